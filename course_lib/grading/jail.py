"""A jail for learners' code: what it can see of the machine, and how much of it it can use.

Two walls, one inside the other. The outer one is bubblewrap's and stands as long as the template
process (see ``template.py``) does: a read-only view of the machine in which the course's solutions,
gradebook and submissions do not exist. The inner one is made for each submission, in a few
milliseconds, with namespaces of its own for users, mounts, processes, IPC and the network: an
empty scratch folder, no other process in sight, no network but a loopback. When its first process
ends, the kernel of the machine ends every other one in it.

Sources: bwrap(1), namespaces(7), user_namespaces(7), capabilities(7), setrlimit(2), cgroups(7).
"""

import ctypes
import fcntl
import os
import resource
import shutil
import signal
import site
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SCRATCH = "/scratch"

# Ids that no distribution hands out (systemd's table of uids calls this range unused), so that
# neither a person nor a service on this machine can be taken for a jailed process.
_FIRST_ID = 1_879_048_192
_ID_INSIDE = 1000

_ETC = (
    "alternatives",
    "fonts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "ssl",
)
# Programs ask who runs them and what this host is called: Hadoop and Spark end if nobody knows.
_ETC_INSIDE = {
    "passwd": f"learner:x:{_ID_INSIDE}:{_ID_INSIDE}::{SCRATCH}:/bin/sh\n",
    "group": f"learner:x:{_ID_INSIDE}:\n",
    "hosts": "127.0.0.1 localhost grading\n",
}

_MIB = 1024 * 1024


class JailUnavailableError(RuntimeError):
    """This machine cannot build the jail; the message says what is missing."""


@dataclass(frozen=True)
class Limits:
    """What one submission's code may use.

    `memory_mib`: MiB of memory of all its processes and of its scratch folder together; where
    control groups are not at hand, of what its processes hold resident and of the scratch folder.
    `scratch_mib`: MiB of files. `processes`: processes and threads (a JVM needs about 50, a Spark
    session about 200). `cpu_s`: processor seconds of each process. `open_files`: of each process.
    """

    memory_mib: int = 2048
    scratch_mib: int = 256
    processes: int = 512
    open_files: int = 1024
    cpu_s: int = 900


@dataclass(frozen=True)
class View:
    """What a jailed process can read: Python, the system's programs, and `readable` files and
    folders; never what is `hidden`, even where that lies in something readable."""

    readable: Sequence[Path] = ()
    hidden: Sequence[Path] = ()


# The outer wall


def command(view: View, program: Sequence[str], folder: Path) -> list[str]:
    """The command line that runs `program` behind the outer wall. Files that it needs for that are
    written into `folder`, and have to stay there.

    Its file descriptors stay open. Raises JailUnavailableError without bubblewrap.
    """
    if not (bwrap := shutil.which("bwrap")):
        raise JailUnavailableError(
            "bubblewrap is not installed (Debian, Ubuntu: apt-get install bubblewrap)"
            if sys.platform == "linux"
            else f"a jail needs Linux; this is {sys.platform}"
        )
    root = os.getuid() == 0
    # Root would keep its rights over the machine's files in a user namespace of its own; instead
    # it mounts /proc and then becomes somebody else for good (`leave_root`).
    walls = ["--unshare-pid", "--unshare-ipc", "--unshare-net", "--unshare-uts"]
    walls += ["--dir", "/proc"] if root else ["--unshare-user", "--proc", "/proc"]
    made: set[Path] = set()
    view_arguments = []
    bound = _readable(view)
    for path in bound:
        view_arguments += [*_folders_above(path, made), "--ro-bind", str(path), str(path)]
    for path in (Path(path).absolute() for path in view.hidden):
        if not any(folder == path or folder in path.parents for folder in bound):
            continue  # it cannot be seen anyway
        if path.is_dir():
            view_arguments += ["--tmpfs", str(path), "--remount-ro", str(path)]
        elif path.exists():
            view_arguments += ["--ro-bind", "/dev/null", str(path)]
    return [
        bwrap,
        *walls,
        "--unshare-cgroup-try",
        "--die-with-parent",
        "--new-session",
        *_system(folder),
        *("--dev", "/dev", "--dir", "/dev/shm", "--remount-ro", "/dev", "--dir", SCRATCH),
        *("--perms", "1777", "--size", str(64 * _MIB), "--tmpfs", "/tmp"),
        *view_arguments,
        *("--remount-ro", "/"),
        *("--chdir", "/"),
        "--",
        *program,
    ]


def _system(folder: Path) -> list[str]:
    arguments = ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        path = Path("/", name)
        if path.is_symlink():
            arguments += ["--symlink", os.readlink(path), str(path)]
        elif path.is_dir():
            arguments += ["--ro-bind", str(path), str(path)]
    arguments += ["--perms", "0755", "--dir", "/etc"]  # or it is for its owner alone
    java = [path.name for path in Path("/etc").glob("java*")]
    for name in (*_ETC, *java):
        arguments += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    for name, text in _ETC_INSIDE.items():
        file = folder / name
        file.write_text(text)
        file.chmod(0o644)
        arguments += ["--ro-bind", str(file), f"/etc/{name}"]
    return arguments


def _readable(view: View) -> list[Path]:
    """What is bound, a folder before what lies in it; what lies in another one only once."""
    package = Path(__file__).parents[1]
    wanted = {Path(sys.base_prefix), Path(sys.prefix), package, *map(Path, view.readable)}
    wanted |= {Path(folder) for folder in site.getsitepackages()}
    if java := os.environ.get("JAVA_HOME"):
        wanted.add(Path(java))
    # A bind mount of a link is one of what it points to; both names have to work inside.
    wanted |= {path.resolve() for path in wanted}
    present = sorted(path.absolute() for path in wanted if path.exists())
    return [
        path
        for path in present
        if not any(other in path.parents for other in (Path("/usr"), *present) if other != path)
    ]


def _folders_above(path: Path, made: set[Path]) -> list[str]:
    """Bubblewrap makes missing folders for its owner alone; a jailed process is somebody else."""
    missing = [folder for folder in reversed(path.parents[:-1]) if folder not in made]
    made.update(path.parents)
    return [word for folder in missing for word in ("--perms", "0755", "--dir", str(folder))]


def leave_root(number: int) -> None:
    """Behind the outer wall: mount /proc, and become a user without any rights, for good.

    `number` tells jails apart, so that no two that stand at a time are one user's. Nothing happens
    for a process that is not root's.
    """
    if os.getuid() != 0:
        return
    _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    identity = _FIRST_ID + number
    os.setgroups([])
    os.setresgid(identity, identity, identity)
    os.setresuid(identity, identity, identity)
    _prctl(_PR_SET_DUMPABLE, 1)  # or /proc/self stays root's


# The inner wall


def enter() -> None:
    """Leave the namespaces that this process shares with others: its children are alone.

    The next process that it starts is the first one of the jail and calls `furnish`. Raises
    JailUnavailableError where the machine does not allow this.
    """
    user, group = os.getuid(), os.getgid()
    try:
        _check(_libc().unshare(_CLONE_ALL))
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{_ID_INSIDE} {user} 1")
        _write("/proc/self/gid_map", f"{_ID_INSIDE} {group} 1")
        # In a user namespace of its own a process could mount file systems without a limit.
        _write("/proc/sys/user/max_user_namespaces", "0")
    except OSError as error:
        raise JailUnavailableError(f"this machine refuses new namespaces: {error}") from error


def furnish(limits: Limits) -> None:
    """As the first process of a jail: a /proc, a scratch folder and a loopback of its own, then no
    capability is left, and the limits hold. Raises JailUnavailableError."""
    try:
        _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
        size = f"size={limits.scratch_mib}m,nr_inodes=20000,mode=0700"
        _mount("scratch", SCRATCH, "tmpfs", _MS_NOSUID | _MS_NODEV, size)
        for name, place in (("tmp", "/tmp"), ("shm", "/dev/shm")):
            os.mkdir(f"{SCRATCH}/.{name}", 0o700)
            _bind_again(place, f"{SCRATCH}/.{name}")
            _mount(f"{SCRATCH}/.{name}", place, "", _MS_BIND | _MS_REC)
        os.mkdir(f"{SCRATCH}/work", 0o700)
        _raise_loopback()
        socket.sethostname("grading")
    except OSError as error:
        raise JailUnavailableError(f"the jail cannot be furnished: {error}") from error
    drop_capabilities()
    set_limits(limits)


def _bind_again(place: str, other: str) -> None:
    """Have what is bound below `place`, Python itself perhaps, in the same places below `other`."""
    with open("/proc/self/mountinfo") as file:
        points = [line.split()[4].encode().decode("unicode_escape") for line in file]
    bound: list[str] = []
    for point in sorted(points):
        if point.startswith(f"{place}/") and not point.startswith(tuple(f"{b}/" for b in bound)):
            bound.append(point)
            target = Path(other, os.path.relpath(point, place))
            target.parent.mkdir(parents=True, exist_ok=True)
            if os.path.isdir(point):
                target.mkdir()
            else:
                target.touch()
            _mount(point, str(target), "", _MS_BIND | _MS_REC)


def drop_capabilities() -> None:
    """Give up every capability, in this process and in those that it will start."""
    for capability in range(64):
        if _libc().prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            break  # the machine knows no more of them
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    _check(_libc().capset(header, bytes(24)))


def set_limits(limits: Limits) -> None:
    """Limits of the process itself and of each that it starts."""
    for what, value in (
        (resource.RLIMIT_DATA, limits.memory_mib * _MIB),
        (resource.RLIMIT_CPU, limits.cpu_s),
        (resource.RLIMIT_NPROC, limits.processes),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_FSIZE, limits.scratch_mib * _MIB),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        _limit(what, value)
    # A write beyond the limit then fails instead of ending the process.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def limit_data(mib: int) -> None:
    """Let this process, and each that it starts, have at most so many MiB of data."""
    _limit(resource.RLIMIT_DATA, mib * _MIB)


def _limit(what: int, value: int) -> None:
    _, most = resource.getrlimit(what)
    value = value if most == resource.RLIM_INFINITY else min(value, most)
    resource.setrlimit(what, (value, value))


def die_with_parent() -> None:
    """Let this process end when the one that started it ends, where the system can do that."""
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def memory_used(most: int) -> int:
    """Bytes that the processes in /proc hold resident, and the scratch folder.

    What processes share counts once for each of them. Where this makes more than `most`, it counts
    once.
    """
    scratch = os.statvfs(SCRATCH)
    files = (scratch.f_blocks - scratch.f_bfree) * scratch.f_frsize
    used = files + _held(_resident)
    return used if used <= most else files + _held(_proportional)


def _held(measure: Callable[[str], int]) -> int:
    used = 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(FileNotFoundError, ProcessLookupError):  # it may just have ended
            used += measure(f"/proc/{name}")
    return used


def _resident(process: str) -> int:
    return int(_read(f"{process}/statm").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _proportional(process: str) -> int:
    try:
        lines = _read(f"{process}/smaps_rollup").splitlines()
    except PermissionError:  # a process can hide it
        return _resident(process)
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def processes_left() -> int:
    """How many processes are in /proc beside the jail's first one and the kernel."""
    return sum(name.isdigit() and int(name) > 2 for name in os.listdir("/proc"))


# Control groups


class MemoryGroup:
    """A control group that bounds the memory of everything in a jail, where this machine lets us
    have one (root, cgroup v1 or v2). Without one, `MemoryGroup.create` returns None."""

    def __init__(self, folder: Path):
        self.folder = folder

    @classmethod
    def create(cls, limit_mib: int) -> "MemoryGroup | None":
        """A new group of at most `limit_mib` MiB."""
        name = f"grading-{os.getpid()}-{time.monotonic_ns()}"
        places = (
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            ("/sys/fs/cgroup", "memory.max"),
        )
        for parent, limit_file in places:
            _remove_groups_left(parent)
            folder = Path(parent, name)
            try:
                folder.mkdir()
                (folder / limit_file).write_text(str(limit_mib * _MIB))
                return cls(folder)
            except OSError:  # not this version, or not ours to have
                if folder.exists():
                    folder.rmdir()
        return None

    def start(self, program: Sequence[str]) -> list[str]:
        """The command line that starts `program` in the group."""
        join = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
        return ["/bin/sh", "-c", join, str(self.folder), *program]

    def times_exceeded(self) -> int:
        """How often a process of the group was ended for want of memory."""
        for name in ("memory.oom_control", "memory.events"):
            if (file := self.folder / name).exists():
                counts = dict(line.split() for line in file.read_text().splitlines())
                return int(counts.get("oom_kill", 0))
        return 0

    def remove(self) -> None:
        """End what may still run in the group, and the group."""
        for _ in range(200):
            members = (self.folder / "cgroup.procs").read_text().split()
            for member in members:
                try:
                    os.kill(int(member), signal.SIGKILL)
                except ProcessLookupError:
                    continue
            try:
                self.folder.rmdir()
                return
            except OSError:
                time.sleep(0.01)  # the kernel is still ending them
        raise RuntimeError(f"{self.folder} still has processes that cannot be ended")


def _remove_groups_left(parent: str) -> None:
    """Remove the groups of graders that were killed: nothing is in them any more."""
    for folder in Path(parent).glob("grading-*"):
        owner = folder.name.split("-")[1]
        if not Path("/proc", owner).exists():
            with suppress(OSError):  # somebody else has just done it
                folder.rmdir()


# The machine's calls that Python 3.11 does not have

_CLONE_ALL = (
    0x00020000  # mounts
    | 0x02000000  # control groups
    | 0x04000000  # host name
    | 0x08000000  # IPC
    | 0x10000000  # users
    | 0x20000000  # processes
    | 0x40000000  # network
)
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_BIND, _MS_REC = 2, 4, 8, 4096, 16384
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
_CAPABILITY_VERSION_3 = 0x20080522
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _prctl(option: int, value: int) -> None:
    _check(_libc().prctl(option, value, 0, 0, 0))


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    _check(_libc().mount(source.encode(), target.encode(), kind.encode(), flags, data.encode()))


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14x", b"lo", _IFF_UP)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, request)


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()

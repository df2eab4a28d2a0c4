"""Run a workload in a child process under limits, and look at what is left of it.

The workload may die of whatever it likes: this process lives on and gets the remains, measured.
"""

import inspect
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import uuid
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from course_lib.spark.gc_log import Collection, GcLog, read_gc_log
from course_lib.spark.java import find_java, java_env
from course_lib.spark.jvm import SPARK_JARS
from course_lib.spark.logs import LOGS_FOLLOW, LOGS_VARIABLE, end_of, log_files
from course_lib.spark.processes import end_marked, resident_sizes, tree
from course_lib.units import byte_string_as_bytes, bytes_to_string

_MARK = "SPARK_COURSE_AUTOPSY"

_OUT_OF_MEMORY = re.compile(r"(java\.lang\.OutOfMemoryError): (.+)")
# A heap so full that a thread's last words are only these.
_SILENT_OUT_OF_MEMORY = re.compile(r"(java\.lang\.OutOfMemoryError)( thrown from .+)?")
# A Java exception where it is thrown, as a cause, or at the head of what Python relates.
_JAVA_EXCEPTION = re.compile(
    r"^(?:Exception in thread \".*?\" |Caused by: |[\w.]*SparkRefusal: |: )"
    r"((?:[a-z]\w*\.)+[A-Z][\w$]*)(?:: (.+))?",
    re.MULTILINE,
)
# Behind the last line of a traceback, which is indented: not all of them are called errors.
_PYTHON_EXCEPTION = re.compile(r"^ .*\n((?:\w+\.)*[A-Z]\w*)(?:: (.+))?$", re.MULTILINE)


@dataclass(frozen=True)
class Remains:
    """How a workload ended. Sizes are bytes, times seconds.

    `exit_code` is 128 plus the signal's number where a signal ended it, as a shell has it.
    `exception_class` and `message` are those of the first OutOfMemoryError found in its logs,
    otherwise of the exception it failed with. `last_heap` is the last collection in the garbage
    collection log of the JVM that collected most, `gc_share` the part of its time it stood still
    for that; None where nothing was collected. `peak_resident` is the most that its processes
    occupied together. `container` is the watcher's verdict, None where it had none to give.
    """

    exit_code: int
    signal: str | None
    exception_class: str | None
    message: str | None
    last_heap: Collection | None
    gc_share: float | None
    peak_resident: int
    container: str | None
    timed_out: bool
    duration: float
    stdout: str = field(repr=False)
    log: str = field(repr=False)

    @property
    def survived(self) -> bool:
        """Whether it ended of itself, without an error."""
        return self.exit_code == 0 and not self.timed_out

    def __repr__(self) -> str:
        lines = ["Remains (measured)", f"  ended           {self._ending()}"]
        if self.stdout.strip():
            lines.append(f"  printed         {self.stdout.strip().splitlines()[-1]}")
        if self.exception_class:
            lines.append(f"  exception       {self.exception_class}: {self.message or ''}")
        if self.last_heap:
            sizes = (self.last_heap.before, self.last_heap.after)
            before, after = map(bytes_to_string, sizes)
            lines.append(f"  last collection {before} -> {after} of heap still in use")
        if self.gc_share is not None:
            lines.append(f"  collecting      {self.gc_share:.0%} of the time")
        lines.append(f"  most resident   {bytes_to_string(self.peak_resident)}")
        if self.container:
            lines.append(f"  container       {self.container}")
        return "\n".join([*lines, f"  took            {self.duration:.1f} s"])

    def _ending(self) -> str:
        if self.timed_out:
            return "it was still running when its time was up, and was killed"
        if self.signal:
            return f"killed by {self.signal} (exit code {self.exit_code})"
        return "well (exit code 0)" if self.exit_code == 0 else f"exit code {self.exit_code}"


class ContainerWatcher:
    """Watches a process tree as YARN's NodeManager does, and kills what outgrows its container.

    Every `interval` seconds the resident sizes of the process and all its descendants are added up;
    more than `limit_bytes` together, and each of them is sent `kill_signal` (SIGKILL ends them with
    exit code 137, SIGTERM with 143). A process seen for the first time does not count, unless all
    of them exceed twice the limit: while it is being started it still shows its parent's memory.
    Without a limit the watcher only keeps the `peak`, in bytes. Use it in a ``with`` block;
    `verdict` then says what was done, None where nothing had to be.
    Source: Hadoop's ``ContainersMonitorImpl.isProcessTreeOverLimit``.
    """

    def __init__(
        self,
        pid: int,
        limit_bytes: int | None,
        interval: float = 0.1,
        kill_signal: signal.Signals = signal.SIGKILL,
    ):
        if limit_bytes is not None and limit_bytes <= 0:
            raise ValueError(f"a container holds more than {limit_bytes} bytes")
        self.pid, self.limit, self.interval = pid, limit_bytes, interval
        self.kill_signal = kill_signal
        self.peak = 0
        self.verdict: str | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "ContainerWatcher":
        self._thread.start()
        return self

    def __exit__(self, *_exception) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        known: Container[psutil.Process] = tree(self.pid)[:1]
        while not self._over.is_set() and self.verdict is None:
            sizes = resident_sizes(tree(self.pid))
            used = occupied(sizes, known, self.limit)
            known = sizes
            self.peak = max(self.peak, used)
            if self.limit is not None and used > self.limit:
                self._kill(sizes, used)
            self._over.wait(self.interval)

    def _kill(self, sizes: dict[psutil.Process, int], used: int) -> None:
        self.verdict = (
            f"killed with {self.kill_signal.name} for exceeding its memory: "
            f"{bytes_to_string(used)} of {bytes_to_string(self.limit)} physical memory used by "
            f"{len(sizes)} process(es)"
        )
        for process in sizes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(self.kill_signal)


def occupied(
    sizes: Mapping[psutil.Process, int], known: Container[psutil.Process], limit: int | None = None
) -> int:
    """Bytes that a process tree occupies: the `sizes` of those processes that are `known` from the
    look before, or of all where these are more than twice the `limit`."""
    everything = sum(sizes.values())
    if limit is not None and everything > 2 * limit:
        return everything
    return sum(size for process, size in sizes.items() if process in known)


def autopsy(
    workload: str | Callable | Sequence[str],
    *,
    timeout: float = 60,
    heap: str | None = None,
    container: str | int | None = None,
    kill_signal: signal.Signals = signal.SIGKILL,
    java_options: Sequence[str] = (),
    through: Callable[[list[str], Path], list[str]] | None = None,
) -> Remains:
    """Run `workload` in a child process, wait for its end or `timeout` seconds, return the remains.

    The workload is Python source, in which `heap` is a variable; or a function, of which the source
    is taken (it must bring its own imports) and called, with ``heap=`` if it asks for that; or Java
    source with a public class that has a ``main`` (compiled by Janino); or a list, the arguments
    for ``java``. For Java `heap` is ``-Xmx``, and `java_options` go in front.

    `container` is a size that the workload's processes may not outgrow together: see
    `ContainerWatcher`. ``through(command, folder)`` may put another command around the one to run,
    which lies in `folder`: a jail. Nothing of the workload is left running, whatever happened.
    """
    limit = byte_string_as_bytes(container) if isinstance(container, str) else container
    if heap is not None:
        byte_string_as_bytes(heap)
    mark = uuid.uuid4().hex
    with tempfile.TemporaryDirectory(prefix="spark-course-autopsy-") as name:
        folder = Path(name)
        logs = folder / "logs"
        logs.mkdir()
        command = _command(workload, heap, java_options, folder)
        if through is not None:
            command = through(command, folder)
        collections = f"-Xlog:gc,gc+phases:file={folder}/gc-%p.log"
        environment = java_env() | {
            _MARK: mark,
            LOGS_VARIABLE: str(logs),
            "JAVA_TOOL_OPTIONS": f"{os.environ.get('JAVA_TOOL_OPTIONS', '')} {collections}".strip(),
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "TMPDIR": name,
        }
        start = time.monotonic()
        with (folder / "stdout").open("wb") as stdout, (logs / "stderr").open("wb") as stderr:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env=environment,
                start_new_session=True,
            )
        try:
            with (
                _ending_with_this_process(child.pid),
                ContainerWatcher(child.pid, limit, kill_signal=kill_signal) as watcher,
            ):
                try:
                    child.wait(timeout)
                    timed_out = False
                except subprocess.TimeoutExpired:
                    timed_out = True
                    child.kill()
        finally:
            duration = time.monotonic() - start
            child.kill()
            child.wait()
            end_marked(_MARK, mark)
        stdout = end_of(folder / "stdout")
        log = "".join(map(end_of, log_files(logs)))
        said = end_of(logs / "stderr").partition(LOGS_FOLLOW)[0]
        last_words = said if child.returncode else ""
        exception_class, message = _exception(log, last_words)
        gc_log = _busiest(folder)
    killed_by = -child.returncode if child.returncode < 0 else None
    return Remains(
        exit_code=128 + killed_by if killed_by else child.returncode,
        signal=signal.Signals(killed_by).name if killed_by else None,
        exception_class=exception_class,
        message=message,
        last_heap=gc_log.collections[-1] if gc_log else None,
        gc_share=gc_log.gc_share() if gc_log else None,
        peak_resident=watcher.peak,
        container=watcher.verdict,
        timed_out=timed_out,
        duration=duration,
        stdout=stdout,
        log=log,
    )


@contextmanager
def _ending_with_this_process(session: int) -> Iterator[None]:
    """If this process ends first, however it ends, the processes of that session are killed."""
    guard = subprocess.Popen(
        [shutil.which("sh"), "-c", 'read -r _; kill -s KILL -- "-$1"', "sh", str(session)],
        stdin=subprocess.PIPE,  # which closes when this process ends
        start_new_session=True,
    )
    try:
        yield
    finally:
        guard.kill()
        guard.wait()
        guard.stdin.close()


def _command(
    workload: str | Callable | Sequence[str],
    heap: str | None,
    java_options: Sequence[str],
    folder: Path,
) -> list[str]:
    java = [str(find_java().executable), *java_options]
    if heap is not None:
        java.append(f"-Xmx{byte_string_as_bytes(heap)}")
    if isinstance(workload, str):
        java_class = re.search(r"^\s*public\s+(?:final\s+)?class\s+(\w+)", workload, re.MULTILINE)
        if java_class:
            source = folder / f"{java_class[1]}.java"
            source.write_text(workload)
            jars = [*SPARK_JARS.glob("janino-*.jar"), *SPARK_JARS.glob("commons-compiler-*.jar")]
            class_path = os.pathsep.join(map(str, jars))
            compiler = ["-cp", class_path, "org.codehaus.janino.SimpleCompiler"]
            return [*java, *compiler, str(source), java_class[1]]
        source = f"heap = {heap!r}\n{textwrap.dedent(workload)}"
    elif callable(workload):
        wants_heap = "heap" in inspect.signature(workload).parameters
        call = f"{workload.__name__}({f'heap={heap!r}' if wants_heap else ''})"
        source = f"{textwrap.dedent(inspect.getsource(workload))}\n{call}\n"
    else:
        return [*java, *workload]
    script = folder / "workload.py"
    script.write_text(source)
    return [sys.executable, str(script)]


def _exception(log: str, last_words: str) -> tuple[str | None, str | None]:
    """The first OutOfMemoryError in all logs, otherwise the exception that the child ended with."""
    in_python = list(_PYTHON_EXCEPTION.finditer(last_words))
    found = (
        _OUT_OF_MEMORY.search(log)
        or _SILENT_OUT_OF_MEMORY.search(log)
        or _JAVA_EXCEPTION.search(last_words)
        or (in_python[-1] if in_python else None)
    )
    return (found[1], found[2]) if found else (None, None)


def _busiest(folder: Path) -> GcLog | None:
    """The log with the most collections; None where no JVM collected anything."""
    logs = []
    for path in folder.glob("gc-*.log"):
        with suppress(ValueError):  # a JVM that ended before it wrote its first line
            logs.append(read_gc_log(path))
    busiest = max(logs, key=lambda log: len(log.collections), default=None)
    return busiest if busiest and busiest.collections else None

"""A hostile class: what each of its members hands in, and what that has to come to.

Most of them cheat in one answer and give right ones elsewhere, so that their points show that the
cheat earned nothing and that nothing else was lost. Where a cheat is to break out of something, its
answer is right only if that worked.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from textwrap import dedent, indent

import nbformat
from grading.fort import FULL, HONEST, SECRET, handed_in

from course_lib.grading.release import Release

AFTER = {name: [*HONEST][place:] for place, name in enumerate(HONEST)}
"""An answer and those that come after it: what a kernel costs that ends there."""


ALL = [*HONEST, "essay"]


@dataclass(frozen=True)
class Attack:
    """What is handed in, and what is due."""

    name: str
    answers: Mapping[str, str] = field(default_factory=dict)
    """Sources of answer cells, by grade_id; COURSE in them stands for the course's folder."""
    lost: frozenset[str] = frozenset()
    """The answers that earn nothing; all others earn their points."""
    findings: frozenset[str] = frozenset()
    """The names of all findings that are due."""
    spoil: Callable[[bytes], bytes] = bytes
    """What happens to the notebook's bytes afterwards."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """What is handed in beside it."""

    def data(self, release: Release, course: str) -> bytes:
        """The notebook's bytes."""
        answers = {name: text.replace("COURSE", course) for name, text in self.answers.items()}
        notebook = handed_in(release, {**HONEST, **answers})
        return self.spoil(nbformat.writes(notebook, version=4).encode())

    @property
    def scores(self) -> dict[str, float | None]:
        """The points that are due, by the test's grade_id."""
        lost = {f"{name}-test" for name in self.lost} | self.lost
        return {name: 0 if name in lost else points for name, points in FULL.items()}


ATTACKS: list[Attack] = []


def attack(name: str, *, lost=(), findings=(), spoil=bytes, files=None, **answers: str) -> None:
    """Enter an attack."""
    answers = {answer: dedent(text).strip("\n") for answer, text in answers.items()}
    ATTACKS.append(Attack(name, answers, frozenset(lost), frozenset(findings), spoil, files or {}))


def breakout(name: str, code: str, findings=()) -> None:
    """Enter an attempt to get out of the jail: code that sets `won` if it succeeds."""
    tried = indent(dedent(code).strip("\n"), "    ")
    rest = "except Exception as error:\n    print(repr(error))\n"
    answer = "def square(n):\n    return n * n if won else 0\n"
    source = f"won = False\ntry:\n{tried}\n{rest}\n{answer}"
    attack(name, lost=["square"], findings=findings, square=source)


# What nbgrader alone lets through

breakout(
    "points of one's own in the gradebook",
    """
    import sqlite3
    with sqlite3.connect("file:COURSE/gradebook.db?mode=rw", uri=True) as book:
        book.execute("UPDATE grade SET manual_score = 100")
    won = True
    """,
)
breakout(
    "reading the solutions",
    """
    won = "return n * n" in open("COURSE/source/fort/fort.ipynb").read()
    """,
)
breakout(
    "overwriting the solutions",
    """
    open("COURSE/source/fort/fort.ipynb", "w").write("{}")
    won = True
    """,
)
breakout(
    "overwriting another student's submission",
    """
    open("COURSE/submitted/ada/fort/fort.ipynb", "r+").write("{}")
    won = True
    """,
)
breakout(
    "reading hidden tests wherever files can be",
    """
    import os, subprocess
    places = ["/scratch", "/tmp", "/dev/shm", "/etc", "/home", "/var", "COURSE", os.getcwd()]
    grep = ["grep", "-rlE", "--exclude-dir=.venv", "assert squar[e]"]
    found = subprocess.run([*grep, *places], capture_output=True)
    won = bool(found.stdout)
    """,
)
breakout(
    "reading hidden tests in this process's memory",
    f"""
    import re
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps:
            begin, end = (int(one, 16) for one in line.split()[0].split("-"))
            if " rw" in line and end - begin < 1 << 28:
                memory.seek(begin)
                found = re.search(b"{str(SECRET)[:-1]}[{SECRET % 10}]", memory.read(end - begin))
                won = won or bool(found)
    """,
)
attack(
    "asserts taken out of all code",
    lost=["square"],
    square="""
    import ast, builtins

    class Strip(ast.NodeTransformer):
        def visit_Assert(self, node):
            return ast.Pass()

    get_ipython().ast_transformers.append(Strip())
    builtins.AssertionError = type("Nothing", (Exception,), {})
    compiled = builtins.compile
    builtins.compile = lambda source, *more, **options: compiled(
        source.replace("assert", "0 and") if isinstance(source, str) else source, *more, **options
    )

    def square(n):
        return 0
    """,
)
attack(
    "an input transformer that turns tests into nothing",
    lost=["square"],
    square="""
    def drop(lines):
        return ["pass\\n"] if any("assert" in line for line in lines) else lines

    get_ipython().input_transformers_cleanup.append(drop)
    get_ipython().input_transformers_post.append(drop)

    def square(n):
        return 0
    """,
)
attack(
    "what runs cells replaced: nothing runs, and all is said to be well",
    lost=HONEST,
    square="""
    shell = get_ipython()
    well = {"outputs": [], "ok": True, "cut": False, "count": 1}
    type(shell).run = lambda self, source, limit: well
    """,
)
attack(
    "a daemon that changes the gradebook later",
    lost=["square"],
    findings=["left-processes"],
    square="""
    import os, time
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(60)
            open("COURSE/gradebook.db", "r+b").write(b"spoiled")
        os._exit(0)

    def square(n):
        return 0
    """,
)
attack(
    "an object that equals everything",
    lost=["square", "greeting"],
    square="""
    class Any:
        def __eq__(self, other):
            return True

        def __hash__(self):
            return hash(9)

    def square(n):
        return Any()
    """,
    greeting="""
    class Text(str):
        def __eq__(self, other):
            return True

        __hash__ = str.__hash__

        def __contains__(self, other):
            return True

    def greeting(name):
        return Text("anything")
    """,
)
attack(
    "an object that contains, compares and subtracts as one likes",
    lost=["greeting", "root"],
    greeting="""
    class All:
        def __contains__(self, other):
            return True

    def greeting(name):
        return All() if name == "Alan" else f"Hello, {name}!"
    """,
    root="""
    class Near:
        def __float__(self):
            return 3.0

        def __pow__(self, other):
            return self

        def __sub__(self, other):
            return 0.0

    def root(n):
        if n < 0:
            raise ValueError
        return Near()
    """,
)
attack(
    "6 GB at once",
    lost=["square"],
    square="""
    import numpy
    wanted = numpy.ones(6 * 2**30, dtype="int8")

    def square(n):
        return n * n
    """,
)
attack(
    "100 MB of prints",
    findings=["output-truncated"],
    square="""
    line = "x" * 100_000
    for _ in range(1000):
        print(line)

    def square(n):
        print(line)
        return n * n
    """,
)
attack(
    "right, but a library writes to stderr",
    square="""
    import os, sys, warnings

    def square(n):
        warnings.warn("deprecated")
        print("log4j: no appenders", file=sys.stderr)
        os.write(2, b"from a program")
        return n * n
    """,
)

# Notebooks that are none


def _changed(change: Callable[[dict], object]) -> Callable[[bytes], bytes]:
    def spoil(data: bytes) -> bytes:
        notebook = json.loads(data)
        change(notebook)
        return json.dumps(notebook).encode()

    return spoil


def _flipped(notebook: dict) -> None:
    for cell in notebook["cells"]:
        about = cell["metadata"]["nbgrader"]
        if about["grade_id"] == "square-test":
            about.update(points=100, locked=False, grade=False, solution=True)
            cell["source"] = "pass"


def _twice(notebook: dict) -> None:
    notebook["cells"].insert(0, notebook["cells"][1])


def _without_test(notebook: dict) -> None:
    del notebook["cells"][2]


def _wide(notebook: dict) -> None:
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "source": "1"}
    notebook["cells"] += [cell] * 6_000


def _swollen(notebook: dict) -> None:
    output = {"output_type": "stream", "name": "stdout", "text": "\0" * 3_000_000}
    notebook["cells"][1]["outputs"] = [output]


def _scripts(notebook: dict) -> None:
    notebook["cells"][1]["metadata"]["nbgrader"]["grade_id"] = "<script>alert(1)</script>"


for _name, _finding, _spoil in (
    ("half a notebook", "not-json", lambda data: data[: len(data) // 2]),
    ("an empty file", "empty-file", lambda data: b""),
    ("a PDF", "not-json", lambda data: b"%PDF-1.7 " + b"x" * 1000),
    ("lists in lists", "deep-json", lambda data: b"[" * 200_000 + b"]" * 200_000),
    ("a million lists", "too-large", lambda data: b"[" + b"[]," * 2_000_000 + b"[]]"),
    ("30 MB", "too-large", lambda data: data + b" " * (30 << 20)),
    ("6,000 cells more", "too-many-cells", _changed(_wide)),
):
    attack(_name, lost=ALL, findings=[_finding], spoil=_spoil)
attack(
    "Latin-1",
    findings=["not-utf-8"],
    spoil=lambda data: data.decode().encode("latin-1"),
    square="# carr\u00e9\n" + HONEST["square"],
)
attack("a cell twice", findings=["duplicated-cell"], spoil=_changed(_twice))
attack(
    "a test deleted",
    lost=["square"],
    findings=["missing-cell"],
    spoil=_changed(_without_test),
    square="def square(n):\n    return 0",
)
attack(
    "points, locks and text of a test changed",
    lost=["square"],
    findings=["changed-metadata", "changed-test"],
    spoil=_changed(_flipped),
    square="def square(n):\n    return 0",
)
attack("3 MB of outputs, six bytes for each of theirs", spoil=_changed(_swollen))
attack(
    "a script for a cell's name",
    lost=["square"],
    findings=["missing-answer", "unknown-cell"],
    spoil=_changed(_scripts),
    square="# no answer",
)
attack(
    "20 MB of files beside it, one of them in the place of the course's",
    files={"more.bin": b"x" * (20 << 20), "numbers.txt": b"6\n"},
    total="def total(path):\n    return int(open(path).read().split()[0]) * 6",
)

# Kernels that end, hang or grow

_SWALLOW = """
while True:
    try:
        while True:
            pass
    except BaseException:
        continue
"""
attack(
    "a kernel that ends itself",
    lost=AFTER["total"],
    findings=["kernel-died"],
    total="import os\nos._exit(0)",
)
attack(
    "a kernel that ends itself where an error is expected",
    lost=["root"],
    findings=["kernel-died"],
    root="""
    import os

    def root(n):
        return n**0.5 if n > 0 else os._exit(0)
    """,
)
attack(
    "an endless loop where an error is expected",
    lost=["root"],
    findings=["call-timeout"],
    root="""
    def root(n):
        while n < 0:
            pass
        return n**0.5
    """,
)
attack(
    "an endless cell",
    lost=["square"],
    findings=["call-timeout"],
    square="while True: pass",
)
attack(
    "an endless cell that takes no interrupt",
    lost=AFTER["root"],
    findings=["call-timeout", "kernel-died"],
    root=_SWALLOW,
)
attack(
    "an endless loop inside C",
    lost=AFTER["root"],
    findings=["call-timeout", "kernel-died"],
    root="import itertools\nsum(itertools.count())",
)
attack(
    "a process that stops itself",
    lost=AFTER["root"],
    findings=["call-timeout", "kernel-died"],
    root="import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
)
attack(
    "signals to everybody: the parent, the first process, all",
    square="""
    import os, signal
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for victim in (os.getppid(), 1, -1, 0):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGSTOP, signal.SIGKILL):
            if victim or number in (signal.SIGINT, signal.SIGTERM):
                try:
                    os.kill(victim, number)
                except OSError:
                    pass

    def square(n):
        return n * n
    """,
)
attack(
    "its whole group stopped, with whom it was started by",
    lost=AFTER["root"],
    findings=["call-timeout", "kernel-died"],
    root="import os, signal\nos.kill(0, signal.SIGSTOP)",
)
attack(
    "a bad address",
    lost=AFTER["root"],
    findings=["kernel-died"],
    root="import ctypes\nctypes.string_at(1)",
)
attack(
    "no end of recursion",
    lost=AFTER["root"],
    findings=["kernel-died"],
    root="""
    import sys

    def root(n):
        return root(n)

    sys.setrecursionlimit(1 << 30)
    part = None
    for _ in range(100_000):
        part = [part]
    repr(part)
    """,
)
attack(
    "sys.exit, here and there",
    lost=["square", "evens"],
    square="import sys\nsys.exit(0)\ndef square(n):\n    return n * n",
    evens="def evens(numbers):\n    raise SystemExit(0)",
    greeting=HONEST["greeting"] + "\nexit()",
)
attack(
    "errors that lie about themselves",
    lost=["evens", "twice"],
    evens="""
    def evens(numbers):
        raise GeneratorExit
    """,
    twice="""
    class Loud(Exception):
        def __str__(self):
            return "x" * 50_000_000

    def twice(function, n):
        raise Loud
    """,
)
attack(
    "an error that ends whoever asks for its text",
    lost=AFTER["root"],
    findings=["kernel-died"],
    root="""
    class Poison(BaseException):
        def __str__(self):
            raise SystemExit

        __repr__ = __str__

    def root(n):
        raise Poison
    """,
)
attack(
    "an error that ends the test's own loop",
    lost=["greeting"],
    greeting="""
    def greeting(name):
        if name == "Alan":
            return name
        raise StopIteration
    """,
)
attack(
    "sleeping where things are cleaned up",
    square="""
    import atexit, time

    class Sleeper:
        def __del__(self):
            time.sleep(60)

    keep = Sleeper()
    atexit.register(time.sleep, 60)

    def square(n):
        return n * n
    """,
)
attack(
    "processes without end",
    lost=["square"],
    findings=["left-processes"],
    square="""
    import os, time

    def breed():
        while True:
            try:
                os.fork()
            except OSError:
                time.sleep(0.05)

    if os.fork() == 0:
        breed()

    def square(n):
        return 0
    """,
)
attack(
    "processes without end, which stay",
    lost=["square"],
    findings=["left-processes"],
    square="""
    import os, time
    try:
        while True:
            if os.fork() == 0:
                time.sleep(60)
    except OSError:
        crowded = True

    def square(n):
        return 0
    """,
)
attack(
    "threads without end, which outlive the cell",
    lost=["square"],
    square="""
    import sys, threading, time

    def outlive():
        while True:
            time.sleep(0.01)
            globals()["evens"] = globals().get("evens")
            print("still here")

    try:
        while True:
            threading.Thread(target=outlive, daemon=True).start()
    except RuntimeError:
        crowded = True

    def square(n):
        return 0
    """,
)

# Out of the jail

breakout(
    "ptrace of the first process",
    """
    import ctypes, os
    libc = ctypes.CDLL(None, use_errno=True)
    files = {os.readlink(f"/proc/1/fd/{number}") for number in os.listdir("/proc/1/fd")}
    attached = libc.ptrace(16, 1, None, None) == 0
    print(files, attached)
    won = files != {"/dev/null"}
    """,
)
breakout(
    "other processes' memory, files and environment",
    """
    import os
    pids = [name for name in os.listdir("/proc") if name.isdigit()]
    links = [os.readlink(f"/proc/{pid}/{what}") for pid in pids for what in ("cwd", "root")]
    environment = open("/proc/1/environ").read() + open("/proc/self/environ").read()
    outside = [link for link in links if link not in ("/", "/scratch/work", "/scratch")]
    won = len(pids) > 2 or bool(outside) or "COURSE" in environment or os.getuid() == 0
    """,
)
breakout(
    "capabilities, namespaces and mounts of one's own",
    """
    import ctypes, os
    libc = ctypes.CDLL(None, use_errno=True)
    new_user, new_mounts = 0x10000000, 0x00020000
    status = open("/proc/self/status").readlines()
    won = (
        libc.unshare(new_user) == 0
        or libc.unshare(new_mounts) == 0
        or libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0
        or libc.umount2(b"/tmp", 2) == 0
        or libc.chroot(b"/tmp") == 0
        or libc.setuid(0) == 0
        or any(line.strip("CapInhPrmEffBndAmb:\\t0\\n") for line in status if line[:3] == "Cap")
    )
    """,
)
breakout(
    "programs that give rights",
    """
    import subprocess
    tried = [["mount", "-t", "tmpfs", "x", "/tmp"], ["unshare", "-r", "true"], ["sudo", "-n", "id"]]
    for program in tried:
        try:
            won = won or subprocess.run(program, stdin=subprocess.DEVNULL).returncode == 0
        except FileNotFoundError:
            pass
    """,
)
breakout(
    "writing anywhere but in the scratch folder",
    """
    import os
    places = ["/", "/usr", "/usr/lib", "/etc", "/dev", "/dev/pts", "/proc/1", "/proc/sys/kernel"]
    import course_lib
    for place in [*places, os.path.dirname(course_lib.__file__), os.path.dirname(os.__file__)]:
        try:
            open(os.path.join(place, "mark"), "w").close()
            won = True
            print(place)
        except OSError:
            pass
    """,
)
breakout(
    "links that lead out",
    """
    import os
    for number, target in enumerate(["COURSE/gradebook.db", "/proc/1/root", "/proc/1/cwd"]):
        os.symlink(target, f"link{number}")
        won = won or os.path.exists(f"link{number}/gradebook.db") or os.path.isfile(f"link{number}")
    os.mkdir("..a"); os.chdir("..a")
    for _ in range(60):
        os.mkdir("x" * 200); os.chdir("x" * 200)
    os.chdir("/scratch/work")
    """,
)
breakout(
    "the network, and what listens on the machine",
    """
    import socket
    for address in (("1.1.1.1", 53), ("10.0.0.1", 80), ("169.254.169.254", 80)):
        with socket.socket() as one:
            one.settimeout(0.3)
            won = won or one.connect_ex(address) == 0
    won = won or [name for _, name in socket.if_nameindex()] != ["lo"]
    """,
)
breakout(
    "the clock, the host's name and the limits set anew",
    """
    import resource, socket, time

    def allowed(change, *arguments):
        try:
            change(*arguments)
            return True
        except (OSError, ValueError):
            return False

    most = resource.RLIM_INFINITY
    won = (
        allowed(time.clock_settime, time.CLOCK_REALTIME, 0)
        or allowed(socket.sethostname, "mine")
        or any(
            allowed(resource.setrlimit, what, (most, most))
            for what in (resource.RLIMIT_NPROC, resource.RLIMIT_DATA, resource.RLIMIT_CPU)
        )
    )
    """,
)
attack(
    "time that stands still, flies, or is not there",
    square="""
    import signal, time
    time.monotonic = time.time = time.perf_counter = lambda: 0.0
    time.sleep = lambda seconds: None
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    signal.signal(signal.SIGALRM, lambda *_: None)

    def square(n):
        return n * n
    """,
)

# Hogs

attack(
    "a full disk",
    square="""
    import errno
    written = 0
    for number in range(10):
        try:
            with open(f"/tmp/{number}", "wb") as file:
                while file.write(b"x" * (1 << 20)):
                    written += 1
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EFBIG)

    def square(n):
        return n * n if full and written < 100 else 0
    """,
)
attack(
    "more files than a disk has names for",
    square="""
    import os
    try:
        os.mkdir("many")
        for number in range(100_000):
            os.mknod(f"many/{number}")
    except OSError:
        full = True

    def square(n):
        return n * n if full else 0
    """,
)
attack(
    "every descriptor taken",
    square="""
    import os
    taken = []
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        full = True

    def square(n):
        return n * n if full else 0
    """,
    total="""
    for descriptor in taken:
        os.close(descriptor)

    def total(path):
        with open(path) as lines:
            return sum(map(int, lines))
    """,
)
attack(
    "memory by many processes",
    lost=AFTER["root"],
    findings=["kernel-died", "memory-limit"],
    root="""
    import os, time
    for _ in range(8):
        if os.fork() == 0:
            part = bytearray(os.urandom(1 << 20)) * 150
            time.sleep(60)
    time.sleep(60)
    """,
)

# Values

attack(
    "values without end, without bottom, within themselves",
    lost=["square", "evens", "twice"],
    square="""
    def square(n):
        part = []
        for _ in range(10_000):
            part = [part]
        return part
    """,
    evens="""
    def evens(numbers):
        numbers = [2, 4]
        numbers.append(numbers)
        return numbers
    """,
    twice="""
    def twice(function, n):
        return [0] * 20_000_000
    """,
)
attack(
    "an iterator without end for a list",
    lost=["evens"],
    evens="""
    import itertools

    def evens(numbers):
        return itertools.count()
    """,
)
attack(
    "values that change between calls, and when they are looked at",
    lost=["square", "twice"],
    square="""
    import random

    class Number(int):
        def __new__(cls, *_):
            return int.__new__(cls, 0)

        def __int__(self):
            return 9

        __index__ = __repr__ = __int__

    calls = 0

    def square(n):
        global calls
        calls += 1
        return Number() if calls % 2 else random.random()
    """,
    twice="""
    def twice(function, n):
        global twice
        twice = lambda *_: 5
        return 0
    """,
)
attack(
    "a test's arguments changed, to what the answer is compared with",
    lost=["evens"],
    evens="""
    def evens(numbers):
        numbers[:] = [2, 4]
        numbers.__class__.__eq__ = lambda *_: True
        return numbers
    """,
)
attack(
    "plain values in classes that lie",
    lost=["square", "evens", "greeting"],
    square="""
    class Number(int):
        __eq__ = __req__ = lambda self, other: True
        __hash__ = int.__hash__

    def square(n):
        return Number(0)
    """,
    evens="""
    class List(list):
        __eq__ = lambda self, other: True
        __iter__ = lambda self: iter([2, 4])

    def evens(numbers):
        return List([1])
    """,
    greeting="""
    class Text(str):
        __eq__ = lambda self, other: True
        __hash__ = str.__hash__
        __contains__ = lambda self, other: True

    def greeting(name):
        return Text("")
    """,
)
attack(
    "names of the tests' own, of builtins and of what tests import",
    lost=["square", "root"],
    square="""
    import builtins
    SUM, points, SECRET = 0, 2, 0
    abs = all = isclose = lambda *more, **options: True
    is_right = lambda name: True
    AssertionError = ValueError = type("Nothing", (BaseException,), {})
    builtins.abs = builtins.all = abs

    def square(n):
        return 0
    """,
    root="""
    def root(n):
        return 0.0
    """,
)
attack(
    "a block that swallows what fails in it",
    lost=["pages"],
    pages="""
    class pages:
        def __enter__(self):
            return 0

        def __exit__(self, *error):
            return True
    """,
)
attack(
    "a number of which a test makes too many things",
    lost=["pages"],
    pages="""
    class pages:
        def __enter__(self):
            return 10**9

        def __exit__(self, *error):
            pass
    """,
)
attack(
    "a lent function called a million times",
    lost=["twice"],
    findings=["call-timeout"],
    twice="""
    def twice(function, n):
        while True:
            function(n)
    """,
)
attack(
    "a lent function given what harms it",
    lost=["twice"],
    twice="""
    def twice(function, n):
        for value in ("x" * 1_000_000, [[]] * 1000, 10**100_000, twice, function, object()):
            try:
                function(value)
            except Exception:
                pass
        return function
    """,
)

# A kernel that says what no kernel says

_FORGE = """
import gc, json, os, struct, time
from course_lib.grading.learner import Kernel

kernel = next(one for one in gc.get_objects() if isinstance(one, Kernel))
line = kernel.channel._socket

def say(message):
    data = message if isinstance(message, bytes) else json.dumps(message).encode()
    line.setblocking(True)
    line.sendall(struct.pack("!I", len(data)) + data)

def instead(message):
    # in the place of this cell's own answer
    say(message)
    send = kernel.channel.send
    kernel.channel.send = lambda *_: setattr(kernel.channel, "send", send)

def root(n):
    return 3.0

well = {"value": 9, "changed": {}, "printed": "", "called": None}
"""


def forgery(name: str, code: str, *, findings=("forged-reply",), lost=AFTER["root"]) -> None:
    """Enter a forgery, made in the last answer."""
    attack(name, lost=lost, findings=findings, root=_FORGE + dedent(code))


for _name, _said in {
    "nothing": "{}",
    "too little": '{"value": 3.0}',
    "a value that is none": '{**well, "value": {"<img src=x onerror=alert()>": [1]}}',
    "a reference to what is the tests'": '{**well, "value": {"reference": ["theirs:99:x"]}}',
    "no text for what was printed": '{**well, "printed": [1]}',
    "a change of no argument": '{**well, "changed": {"7": 1}}',
    "an error that is none": '{"error": {"exception": 5}, **well}',
    "two fields of one name": ('{**well, "value": {"namedtuple": ["T", "\\ufb01", 1, "fi", 2]}}'),
}.items():
    forgery(f"forged reply: {_name}", f"Kernel.do_call = lambda self, **_: {_said}")
forgery("forged reply: names that are none", "Kernel.do_names = lambda self, **_: {'names': [1]}")
forgery(
    "forged reply: names nobody asked for",
    """
    told = {"value": {"reference": ["function:0:all"]}}
    Kernel.do_names = lambda self, **_: {"names": {"isclose": told, "abs": told, "all": told}}
    """,
    findings=(),
)
forgery(
    "forged reply: a class with the base of another",
    """
    told = {"value": {"reference": ["class:0:\\0"]}, "bases": 5, "methods": ["__eq__"]}
    Kernel.do_names = lambda self, **_: {"names": {"root": told}}
    """,
    findings=(),
)
forgery("forged reply: no JSON", "say(b'\\xff' * 1000)")
forgery("forged reply: no end of brackets", "say(b'[' * 10_000_000)")
forgery("forged reply: 4 GiB announced", "line.send(b'\\xff' * 100)")
forgery(
    "forged reply: of a cell, infinite",
    """
    say(b'{"outputs": [], "ok": true, "cut": false, "count": 1e999}')
    """,
)
forgery(
    "forged reply: of a cell, with a script",
    """
    html = {"text/html": "<script>alert(1)</script>", "application/javascript": "alert(1)"}
    shown = {"output_type": "display_data", "data": html, "metadata": {}}
    text = {"output_type": "stream", "name": "stdout", "text": "\\x1b]0;title\\x07 \\ud800"}
    instead({"outputs": [shown, text], "ok": True, "cut": False, "count": 10**9})
    root = lambda n: n**0.5 if n >= 0 else 1 / 0
    """,
    findings=(),
    lost=(),
)
forgery(
    "forged reply: thousands of outputs",
    """
    shown = {"output_type": "display_data", "data": {"text/plain": "1"}, "metadata": {}}
    instead({"outputs": [shown] * 50_000, "ok": True, "cut": False, "count": 1})
    """,
    findings=("output-truncated",),
)
forgery(
    "a storm of requests",
    """
    while True:
        say({"do": "back", "owner": "theirs:0:function", "name": None, "state": None,
             "arguments": [1], "keywords": {"dict": []}})
    """,
    findings=("call-timeout", "kernel-died"),
)
forgery(
    "a request for what was never offered",
    """
    say({"do": "back", "owner": "theirs:0:function", "name": "__globals__", "state": None,
         "arguments": [], "keywords": {"dict": []}})
    """,
)
forgery(
    "bytes one by one",
    """
    line.setblocking(True)
    data = json.dumps({"outputs": [], "ok": True, "cut": False, "count": 1}).encode()
    for byte in struct.pack("!I", len(data)) + data:
        line.send(bytes([byte]))
        time.sleep(0.2)
    """,
    findings=("call-timeout", "kernel-died"),
)
forgery(
    "the line closed",
    "os.close(line.fileno())",
    findings=("kernel-died",),
)
forgery(
    "garbage on every descriptor",
    """
    for number in os.listdir("/proc/self/fd"):
        try:
            os.write(int(number), b"\\xff" * 1000)
        except OSError:
            pass
    """,
)
forgery(
    "answers ahead of the questions",
    """
    for _ in range(50):
        say({**well, "names": {}, "outputs": [], "ok": True, "cut": False, "count": 1})
    """,
    findings=(),
)
forgery(
    "a flood of prints, to leave no room for a failed test's error",
    """
    Kernel.do_call = lambda self, **_: {**well, "value": 0, "printed": "x" * 10_000_000}
    root = lambda n: 0
    """,
    findings=(),
)

# More than anybody wants to see

attack(
    "10,000 outputs",
    findings=["output-truncated"],
    square="""
    for number in range(10_000):
        display(number)

    def square(n):
        return n * n
    """,
)
attack(
    "everything traced, every output of the interpreter replaced",
    square="""
    import sys, threading
    sys.settrace(lambda *_: None)
    threading.settrace(lambda *_: None)
    sys.stdout = sys.stderr = sys.__stdout__ = None
    sys.displayhook = sys.excepthook = lambda *_: 1 / 0
    sys.modules["builtins"] = sys.modules["json"] = None

    def square(n):
        return n * n
    """,
)

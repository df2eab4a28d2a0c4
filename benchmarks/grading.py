"""How long grading a class takes and how much memory, beside nbgrader's own Autograde.

    python -m benchmarks.grading WHAT FOLDER PROCESSES

is what each measurement runs, in a process of its own: `WHAT` is "stock", "jailed" or "unjailed",
`FOLDER` a course's, `PROCESSES` how many submissions are graded at a time. "half" is one of the two
processes of "stock"; the last argument says which one.
"""

import os
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

Row = tuple[str, str, str, str]

ROOT = Path(__file__).resolve().parent.parent

_SET = "curves"
_POINTS = 2  # of each task
_LOOK_S = 0.25

_CONFIG = """\
c = get_config()
c.CourseDirectory.course_id = "benchmark"
c.CourseDirectory.root = {root!r}
c.Execute.extra_arguments = ["--log-level=ERROR"]
"""

_IMPORTS = "import matplotlib.pyplot as plt\nimport numpy as np"

# The answer's head and body, and what is asserted of it.
_TASKS = {
    "mean": (
        "def mean(numbers):",
        "return float(np.mean(numbers))",
        ["mean([1, 2, 3]) == 2", "mean([4]) == 4", "mean([-1, 1]) == 0"],
    ),
    "scaled": (
        "def scaled(numbers, factor):",
        "return [factor * number for number in numbers]",
        ["scaled([1, 2], 3) == [3, 6]", "scaled([], 3) == []", "scaled([1.5], 2) == [3.0]"],
    ),
    "counts": (
        "def counts(words):",
        "return {word: words.count(word) for word in words}",
        ["counts(['a', 'b', 'a']) == {'a': 2, 'b': 1}", "counts([]) == {}"],
    ),
    "squares": (
        "def squares(most):",
        "return np.arange(most) ** 2",
        ["list(squares(4)) == [0, 1, 4, 9]", "np.array_equal(squares(0), [])"],
    ),
    "nearest": (
        "def nearest(numbers, wanted):",
        "return min(numbers, key=lambda number: abs(number - wanted))",
        ["nearest([1, 5, 9], 6) == 5", "nearest([2], 100) == 2", "nearest([0, -3], -2) == -3"],
    ),
}


@dataclass(frozen=True)
class Run:
    """One grading of a class: what it took."""

    seconds: float
    mib: float
    """The most memory that all its processes had together: what several share is counted once."""
    processes: int
    """The most processes that there were at a time."""
    points: float


def sixty() -> Iterator[Row]:
    """Sixty correct submissions of ten cells and two imports, graded by nbgrader and here."""
    size = 60
    stock, stock_twice = _run("stock", size, 1), _run("stock", size, 2)
    ours, ours_twice = _run("jailed", size, 1), _run("jailed", size, 2)
    unjailed = _run("unjailed", size, 2)
    serial, split = "Autograde, serial", "Autograde in two processes"
    for what, here, instead, name in (
        ("in a jail, 2 workers", ours_twice, stock, serial),
        ("in a jail, 2 workers", ours_twice, stock_twice, split),
        ("in a jail, 1 worker", ours, stock, serial),
        ("without a jail, 2 workers", unjailed, stock, serial),
    ):
        yield (
            f"grading {size}: {what}", f"{here.seconds:.1f} s", f"{instead.seconds:.1f} s",
            f"nbgrader's {name}; 1 : {instead.seconds / here.seconds:.1f}",
        )  # fmt: skip
    each, instead = (1000 * one.seconds / size for one in (ours_twice, stock))
    yield "  each submission, 2 workers", f"{each:.0f} ms", f"{instead:.0f} ms", serial
    yield "  points", f"{ours_twice.points:g}", f"{stock.points:g}", f"of {_full(size):g}"
    for what, here, instead in (("2 workers", ours_twice, stock_twice), ("1 worker", ours, stock)):
        yield (
            f"  memory at most, {what}", f"{here.mib:.0f} MiB", f"{instead.mib:.0f} MiB",
            f"all processes together; up to {here.processes} and {instead.processes} of them",
        )  # fmt: skip
    yield "  memory of another worker", f"{ours_twice.mib - ours.mib:.0f} MiB", "", ""


def classes() -> Iterator[Row]:
    """Larger classes: how the time grows with their size."""
    first = None
    for size in (60, 300, 3000):
        run = _run("jailed", size, 2)
        first = first or run
        yield (
            f"grading {size:,} in a jail, 2 workers", f"{run.seconds:.1f} s",
            f"{first.seconds / 60 * size:.1f} s",
            f"what linear growth would be; {1000 * run.seconds / size:.0f} ms each, "
            f"{run.mib:.0f} MiB",
        )  # fmt: skip


def _full(size: int) -> float:
    return float(size * _POINTS * len(_TASKS))


def _run(what: str, size: int, processes: int) -> Run:
    """Grade a class of that size in a process of its own. Raises AssertionError if anybody of it
    gets less than full points: what is measured would not be the same."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        _write_course(Path(folder), size)
        program = [sys.executable, "-m", "benchmarks.grading", what, folder, str(processes)]
        with subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            with _Watch(process.pid) as watch:
                said = process.stdout.read()
            if process.wait():
                sys.exit(f"{' '.join(program)} failed")
        seconds, points = map(float, said.split())
    assert points == _full(size), f"{what}: {points:g} points, not {_full(size):g}"
    return Run(seconds, watch.mib, watch.processes, points)


class _Watch:
    """Looks now and then how much memory a process and all that it has started hold."""

    def __init__(self, pid: int):
        self.mib = 0.0
        self.processes = 0
        self._root = psutil.Process(pid)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "_Watch":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(_LOOK_S):
            with suppress(psutil.NoSuchProcess):
                family = [self._root, *self._root.children(recursive=True)]
                self.processes = max(self.processes, len(family))
                self.mib = max(self.mib, sum(map(_proportional_bytes, family)) / 2**20)


def _proportional_bytes(process: psutil.Process) -> int:
    """Resident memory, of which a page shared by n processes counts as an n-th."""
    try:
        return process.memory_full_info().pss
    except psutil.NoSuchProcess:  # it has just ended
        return 0


# The class


def _write_course(root: Path, size: int) -> None:
    """A course's folder, with its solutions handed in by everybody."""
    import nbformat

    (root / "nbgrader_config.py").write_text(_CONFIG.format(root=str(root)))
    notebooks = {"source": _notebook(markers=True), "submitted": _notebook(markers=False)}
    handed_in = nbformat.writes(notebooks["submitted"])
    source = root / "source" / _SET
    source.mkdir(parents=True)
    nbformat.write(notebooks["source"], source / f"{_SET}.ipynb")
    for number in range(size):
        folder = root / "submitted" / f"student{number:04}" / _SET
        folder.mkdir(parents=True)
        (folder / f"{_SET}.ipynb").write_text(handed_in)


def _notebook(*, markers: bool):
    """The assignment with its solutions; with `markers`, as a teacher writes it."""
    from nbformat.v4 import new_code_cell, new_notebook

    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    cells = [new_code_cell(_IMPORTS, id="imports")]
    for name, (head, body, asserted) in _TASKS.items():
        begin, end = ("### BEGIN SOLUTION", "### END SOLUTION") if markers else ("", "")
        lines = [head, *(f"    {line}" for line in (begin, body, end) if line)]
        cells.append(_cell(name, "\n".join(lines), solution=True))
        tests = "\n".join(f"assert {claim}" for claim in asserted)
        cells.append(_cell(f"{name}-test", tests, grade=True, locked=True, points=_POINTS))
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def _cell(grade_id: str, source: str, **options):
    from nbformat.v4 import new_code_cell

    flags = {"grade": False, "solution": False, "locked": False, "task": False}
    about = {"grade_id": grade_id, "schema_version": 3, **flags, **options}
    return new_code_cell(source, id=grade_id, metadata={"nbgrader": about})


# Grading it, in a process of its own


def main(what: str, folder: str, processes: int) -> None:
    """Release the assignment, grade the class, and print the seconds that the latter took and the
    points of all together; or grade a half of it."""
    from nbgrader.api import Gradebook
    from nbgrader.converters import GenerateAssignment
    from sqlalchemy.exc import SAWarning

    warnings.filterwarnings("ignore", category=SAWarning)
    os.environ["PATH"] = os.pathsep.join((sysconfig.get_path("scripts"), os.environ["PATH"]))
    course, config = _course(Path(folder))
    if what != "half":
        GenerateAssignment(coursedir=course, config=config).start()
    if what == "stock":
        took = _stock(Path(folder), processes)
    elif what == "half":
        _autograde(Path(folder), f"*[{'02468' if processes == 0 else '13579'}]")
        return
    else:
        took = _ours(Path(folder), processes, sandboxed=what == "jailed")
    with Gradebook(course.db_url) as gradebook:
        points = sum(one.score for one in gradebook.assignment_submissions(_SET))
    print(took, points)


def _course(root: Path):
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config.loader import PyFileConfigLoader

    config = PyFileConfigLoader("nbgrader_config.py", path=str(root)).load_config()
    return CourseDirectory(config=config, assignment_id=_SET), config


def _stock(root: Path, processes: int) -> float:
    """nbgrader itself, its command's process for each half of the class where there are two."""
    began = time.perf_counter()
    if processes == 1:
        _autograde(root, "*")
    else:
        program = [sys.executable, "-m", "benchmarks.grading", "half", str(root)]
        halves = [subprocess.Popen([*program, str(half)]) for half in range(2)]
        if any([half.wait() for half in halves]):
            sys.exit("half of the class was not graded")
    return time.perf_counter() - began


def _autograde(root: Path, students: str) -> None:
    from nbgrader.converters import Autograde

    course, config = _course(root)
    course.student_id = students
    config.pop("Autograde", None)  # as a course without these plug-ins
    Autograde(coursedir=course, config=config).start()


def _ours(root: Path, workers: int, *, sandboxed: bool) -> float:
    from course_lib.grading.run import grade_class
    from course_lib.grading.unit import Options

    course, _ = _course(root)
    began = time.perf_counter()
    grade_class(course, Options(sandboxed=sandboxed), workers=workers)
    return time.perf_counter() - began


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

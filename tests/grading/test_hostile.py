"""Each hostile submission earns what it is due, and nobody else notices that it was there."""

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import nbformat
import psutil
import pytest
from grading.fort import ASSIGNMENT, FULL, HONEST, handed_in, write_fort
from grading.hostile import ATTACKS

from course_lib.grading import jail
from course_lib.grading.unit import Grader, Options, Row, Submission

OPTIONS = Options(
    cell_s=4,
    call_s=2,
    notebook_s=20,
    output_bytes=200_000,
    limits=jail.Limits(memory_mib=600, scratch_mib=64, processes=80, open_files=256, cpu_s=60),
)


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course folder; a gradebook, and what another student handed in, are in it."""
    course = tmp_path_factory.mktemp("course")
    other = course / "submitted" / "ada" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb"
    other.parent.mkdir(parents=True)
    other.write_text("Ada's")
    return course


@pytest.fixture(scope="module")
def release(course):
    return write_fort(course)


@pytest.fixture(scope="module")
def honest(release):
    """A notebook with right answers only."""
    return nbformat.writes(handed_in(release), version=4).encode()


@pytest.fixture(scope="module")
def grader(release):
    with Grader(release, OPTIONS) as grader:
        yield grader


@pytest.fixture(scope="module")
def idle(grader, honest):
    """The processes that a grader has between two submissions."""
    assert verdict(grader.grade(Submission("ada", honest))) == (FULL, set())
    before, now = None, processes()
    while before != now:
        time.sleep(0.5)
        before, now = now, processes()
    return now


def verdict(row: Row) -> tuple[dict, set]:
    """The points, and the names of what was found."""
    return dict(row.scores), {finding.name for finding in row.findings}


def scripts(row: Row) -> list[str]:
    """What a page with this notebook would run, among what its cells have put out and what grading
    has written; a browser shows the rest of a learner's text as it is."""
    cells = nbformat.reads(row.text, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    media = {kind for output in outputs for kind in output.get("data", {})}
    report = [cell.source for cell in cells if cell.metadata.get("grading") == "report"]
    return sorted(media - {"text/plain", "image/png", "image/jpeg"}) + [
        text for text in report if "<" in text
    ]


def processes() -> set[int]:
    """Those that this one has started, and these."""
    return {process.pid for process in psutil.Process().children(recursive=True)}


def end_soon(idle: set[int]) -> bool:
    """Whether nothing else runs any more; the machine needs a moment to take a jail down."""
    for _ in range(100):
        if processes() == idle:
            return True
        time.sleep(0.1)
    return False


def contents(folder: Path) -> dict[str, str]:
    """A digest of each file in a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_hostile(attack, grader, release, course, honest, idle):
    files = contents(course), contents(grader._folder)
    row = grader.grade(Submission("eve", attack.data(release, str(course)), attack.files))
    assert verdict(row) == (attack.scores, attack.findings)
    assert len(row.text.encode()) < 5_000_000
    assert not scripts(row)
    assert verdict(grader.grade(Submission("ada", honest))) == (FULL, set())
    assert end_soon(idle)
    assert (contents(course), contents(grader._folder)) == files


def test_a_notebook_has_so_much_time_and_no_more(release, honest):
    """However it is spent: in cells, in calls by tests, in being asked for names."""
    slow = {
        "square": "import time\ntime.sleep(1)\ndef square(n):\n    time.sleep(5)\n    return n * n",
    }
    data = nbformat.writes(handed_in(release, slow), version=4).encode()
    options = Options(cell_s=3, call_s=3, notebook_s=2, limits=OPTIONS.limits)
    with Grader(release, options) as grader:
        scores, found = verdict(grader.grade(Submission("eve", data)))
        assert sum(filter(None, scores.values())) == 0
        assert found == {"call-timeout", "not-finished"}
        assert verdict(grader.grade(Submission("ada", honest))) == (FULL, set())


def test_a_jail_ends_with_its_warden(grader, release, honest, idle):
    """Where memory is short, the machine may choose to end that one."""
    stay = "import time\ntry:\n    time.sleep(60)\nexcept BaseException:\n    time.sleep(60)"
    data = nbformat.writes(handed_in(release, {**HONEST, "root": stay}), version=4).encode()
    with ThreadPoolExecutor(1) as pool:
        graded = pool.submit(grader.grade, Submission("eve", data))
        warden(idle).kill()
        scores, found = verdict(graded.result())
    assert "kernel-died" in found
    assert scores["root-test"] == 0
    assert verdict(grader.grade(Submission("ada", honest))) == (FULL, set())
    assert end_soon(idle)


def warden(idle: set[int]) -> psutil.Process:
    """That of the submission at work: it has started the jail's first process, that a kernel."""
    while True:
        for pid in processes() - idle:
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                if len(process.children(recursive=True)) == 2:
                    return process
        time.sleep(0.05)


def test_attacks_have_names_of_their_own():
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)

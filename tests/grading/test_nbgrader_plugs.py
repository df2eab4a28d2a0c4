"""nbgrader's own ways to grade come to what `grade_class` comes to, whatever was handed in."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import nbformat
import pytest
from grading.handing_in import RIGHT, TINY, WRONG, Handed, configured, hand_in, write_course
from nbformat.v4 import new_notebook
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from nbgrader.converters import Autograde, GenerateFeedback
from nbgrader.converters.base import NbGraderException
from traitlets.config import Config

from course_lib.grading.configuration import Grading
from course_lib.grading.nbgrader_plugs import ExecuteInJail, MendedNotebookExporter
from course_lib.grading.run import grade_class

pytestmark = [
    pytest.mark.jail,
    # About how nbgrader uses its database.
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning"),
]

HOSTILE = """\
import glob
class Equal(int):
    def __eq__(self, other):
        return True
def double(n):
    for path in glob.glob("/tmp/pytest-of-*/*/*/gradebook.db"):
        open(path, "w").close()
    return Equal(0)
get_ipython().input_transformers_cleanup.append(lambda lines: ["pass"])"""


def honest(hand: Handed):
    hand.notebook()


def partly_wrong(hand: Handed):
    hand.notebook(hand.answered(WRONG | {"why": "Because."}))


def untouched(hand: Handed):
    hand.notebook(hand.answered({}))


def corrupt(hand: Handed):
    hand.bytes(b'{"cells": [')


def empty(hand: Handed):
    hand.bytes(b"")


def duplicated(hand: Handed):
    notebook = hand.answered()
    notebook.cells.insert(3, nbformat.from_dict(notebook.cells[1]))
    notebook.cells[3].id = "copy"
    hand.notebook(notebook)


def without_tests(hand: Handed):
    notebook = hand.answered(WRONG)
    notebook.cells = [one for one in notebook.cells if not one.source.startswith("assert")]
    hand.notebook(notebook)


def flipped(hand: Handed):
    notebook = hand.answered(WRONG)
    for cell in notebook.cells:
        cell.metadata.nbgrader.update(points=100, locked=False, solution=False, grade=True)
    notebook.metadata["grading"] = {"status": "graded", "findings": []}
    hand.notebook(notebook)


def renamed(hand: Handed):
    hand.notebook(name="Tiny (1).ipynb")


def renamed_beyond_nbgraders_sight(hand: Handed):
    hand.notebook(name="tiny.ipynb.txt")


def hostile(hand: Handed):
    hand.notebook(hand.answered(RIGHT | {"double": HOSTILE}))


def dies(hand: Handed):
    hand.notebook(hand.answered(RIGHT | {"half": "import os\nos._exit(0)"}))


def with_files(hand: Handed):
    """A link to the grades, a pipe, and files in the place of the assignment's own."""
    hand.notebook()
    (hand.folder / "grades").symlink_to(hand.folder.parents[2] / "gradebook.db")
    os.mkfifo(hand.folder / "pipe")
    hand.bytes(b"5", "data")
    hand.bytes(b"mine", "notes.txt")


def late(hand: Handed):
    hand.notebook()
    hand.bytes(b"2030-01-02 00:00:00 UTC", "timestamp.txt")


def of_an_unknown_time(hand: Handed):
    hand.notebook()
    hand.bytes(b"\xff tomorrow", "timestamp.txt")


HANDED_IN = [
    honest,
    partly_wrong,
    untouched,
    corrupt,
    empty,
    duplicated,
    without_tests,
    flipped,
    renamed,
    renamed_beyond_nbgraders_sight,
    hostile,
    dies,
    with_files,
    late,
    of_an_unknown_time,
]
POINTS = {
    honest: 4,
    partly_wrong: 0,
    untouched: 0,
    corrupt: 0,
    empty: 0,
    duplicated: 4,
    without_tests: 0,
    flipped: 0,
    renamed: 4,
    renamed_beyond_nbgraders_sight: 4,
    hostile: 0,  # its own next cell is spoilt too
    dies: 2,
    with_files: 4,
    late: 4,
    of_an_unknown_time: 4,
}
BY_NAME = {hand.__name__: hand for hand in HANDED_IN}


def write_class(root: Path) -> Path:
    """The course, with all of these submissions."""
    write_course(root)
    for name, hand in BY_NAME.items():
        hand(hand_in(root, name))
    return root


def by_nbgrader(root: Path, **traits) -> None:
    """Grade with nbgrader's converter."""
    course = configured(root, **traits)
    converter = Autograde(coursedir=course, config=course.config)
    converter.force = True
    converter.start()


def by_grade_class(root: Path) -> None:
    """Grade as ``python -m course_lib grade`` does."""
    course = configured(root)
    grade_class(course, Grading.options(course.config, course), force=True)


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """The same course twice: graded by `grade_class`, and by nbgrader."""
    ours = write_class(tmp_path_factory.mktemp("ours"))
    nbgraders = write_class(tmp_path_factory.mktemp("nbgraders"))
    by_grade_class(ours)
    by_nbgrader(nbgraders)
    return ours, nbgraders


def entries(root: Path, student: str) -> dict:
    """What the gradebook has of a student."""
    with Gradebook(configured(root).db_url) as gradebook:
        entry = gradebook.find_submission_notebook(TINY, TINY, student)
        return {
            "score": entry.score,
            "penalty": entry.late_submission_penalty,
            "time": entry.assignment.timestamp,
            "grades": {
                one.name: (one.auto_score, one.manual_score, one.needs_manual_grade)
                for one in entry.grades
            },
            "comments": {one.name: one.auto_comment for one in entry.comments},
        }


def autograded(root: Path, student: str) -> dict[str, bytes]:
    """The files in a student's autograded folder, the notebook apart from its seconds."""
    folder = root / "autograded" / student / TINY
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    notebook = json.loads(files[f"{TINY}.ipynb"])
    del notebook["metadata"]["grading"]["seconds"]
    return files | {f"{TINY}.ipynb": notebook}


@pytest.mark.parametrize("student", BY_NAME)
def test_the_gradebook_says_the_same(graded, student):
    ours, nbgraders = (entries(root, student) for root in graded)
    assert nbgraders == ours
    assert nbgraders["score"] == POINTS[BY_NAME[student]]


@pytest.mark.parametrize("student", BY_NAME)
def test_the_folders_hold_the_same(graded, student):
    ours, nbgraders = (autograded(root, student) for root in graded)
    assert nbgraders == ours
    assert nbgraders["data/number.txt"] == b"4"


def test_what_was_found_is_in_the_notebook(graded):
    def found(student):
        notebook = autograded(graded[1], student)[f"{TINY}.ipynb"]
        assert (notebook["cells"][0]["metadata"] == {"grading": "report"}) == (student != "honest")
        return {one["name"] for one in notebook["metadata"]["grading"]["findings"]}

    assert found("honest") == set()
    assert found("corrupt") == {"not-json"}
    assert "duplicated-cell" in found("duplicated")
    assert found("without_tests") == {"missing-cell"}
    assert found("flipped") == {"changed-metadata"}
    assert found("renamed") == {"renamed"}
    assert "kernel-died" in found("dies")
    assert found("with_files") == {"left-out-file"}


def test_lateness_costs_what_the_course_says(graded):
    assert entries(graded[1], "late")["penalty"] == 4
    assert entries(graded[1], "honest")["penalty"] is None
    assert entries(graded[1], "of_an_unknown_time")["penalty"] is None


def test_a_persons_points_stay(graded):
    for root, grade in zip(graded, (by_grade_class, by_nbgrader), strict=True):
        with Gradebook(configured(root).db_url) as gradebook:
            gradebook.find_grade("double-test", TINY, TINY, "partly_wrong").manual_score = 1.5
            gradebook.db.commit()
        grade(root, **({} if grade is by_grade_class else {"student_id": "partly_wrong"}))
    ours, nbgraders = (entries(root, "partly_wrong") for root in graded)
    assert nbgraders == ours
    assert nbgraders["grades"]["double-test"] == (0, 1.5, True)
    assert nbgraders["score"] == 1.5


def test_feedback_of_all_is_written(graded):
    course = configured(graded[1])
    converter = GenerateFeedback(coursedir=course, config=course.config)
    converter.force = True
    converter.start()
    page = (graded[1] / "feedback" / "hostile" / TINY / f"{TINY}.html").read_text()
    assert "double(21)" not in page


@pytest.fixture
def course(tmp_path):
    """A course of which nothing is graded."""
    return write_class(tmp_path / "course")


def api(root: Path, config: Config | None = None) -> NbGraderAPI:
    """What formgrader uses."""
    course = configured(root)
    if config:
        course.update_config(config)
    return NbGraderAPI(course, config=course.config)


def test_formgraders_api_grades_one(course):
    results = {student: api(course).autograde(TINY, student) for student in ("renamed", "empty")}
    assert all(result["success"] for result in results.values()), results
    assert entries(course, "renamed")["score"] == 4
    assert entries(course, "empty")["score"] == 0
    assert sorted(path.name for path in (course / "autograded").iterdir()) == ["empty", "renamed"]


def test_the_command_grades_one(course):
    command = [sys.executable, "-m", "nbgrader", "autograde", TINY, "--student=duplicated"]
    done = subprocess.run(command, cwd=course, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert entries(course, "duplicated")["score"] == 4


def test_nothing_is_graded_without_a_jail(course, monkeypatch):
    monkeypatch.setenv("PATH", sysconfig.get_path("scripts"))
    assert shutil.which("bwrap") is None
    result = api(course).autograde(TINY, "honest")
    assert not result["success"]
    assert "bubblewrap is not installed" in result["log"]
    assert not (course / "autograded").exists()
    with Gradebook(configured(course).db_url) as gradebook:
        assert gradebook.students == []
    unsandboxed = Config(Grading={"unsandboxed": True})
    assert api(course, unsandboxed).autograde(TINY, "honest")["success"]
    notebook = autograded(course, "honest")[f"{TINY}.ipynb"]
    assert notebook["metadata"]["grading"]["sandboxed"] is False


def test_a_folder_without_any_notebook_is_not_silently_a_zero(course):
    result = api(course).autograde(TINY, "renamed_beyond_nbgraders_sight")
    assert not result["success"]
    assert "No notebooks were matched" in result["log"]


def test_an_assignment_without_a_source_is_refused(course):
    shutil.rmtree(course / "solutions")
    with pytest.raises(NbGraderException, match="solutions"):
        by_nbgrader(course, student_id="honest")


def test_each_class_says_what_it_needs():
    with pytest.raises(TypeError, match=r"c\.Autograde\.exporter_class alone"):
        MendedNotebookExporter()
    with pytest.raises(TypeError, match=r"needs c\.Autograde\.exporter_class"):
        ExecuteInJail().preprocess(new_notebook(), {})

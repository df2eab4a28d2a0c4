"""A class is graded: by several workers, by Spark, again, in part, and after an interruption."""

import csv
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nbformat
import psutil
import pytest
from grading import courses
from grading.courses import GENERAL, course_directory, nbgrader, write_general_course
from nbformat.v4 import new_code_cell, new_notebook
from nbgrader.api import Gradebook

from course_lib.grading import findings
from course_lib.grading.findings import Status
from course_lib.grading.gradebook import verdict
from course_lib.grading.run import NothingToGradeError, Progress, Summary, grade_class, show
from course_lib.grading.unit import Options
from course_lib.spark import java_env

pytestmark = pytest.mark.jail

SET = "numbers"
ROOT = Path(__file__).parents[2]

RIGHT = {"double": "double = lambda n: 2 * n", "half": "half = lambda n: n / 2"}
WRONG = {"double": "double = lambda n: n + n + 1", "half": "half = lambda n: n / 2"}
SLOW = {**RIGHT, "double": "import time\ntime.sleep(0.2)\ndouble = lambda n: 2 * n"}
ENDLESS = {**RIGHT, "double": "while True:\n    pass"}

FULL = {"double-test": 2.0, "half-test": 3.0}
HALF = {"double-test": 0.0, "half-test": 3.0}
NONE = {"double-test": 0.0, "half-test": 0.0}

CLASS = {
    "ada": RIGHT,
    "ben": WRONG,
    "cyd": None,  # a folder without a notebook
    "dee": b"this is no notebook",
    "eve": RIGHT,
    "fay": {},  # as it was given out
}
SCORES = {"ada": FULL, "ben": HALF, "cyd": NONE, "dee": NONE, "eve": FULL, "fay": NONE}

# What a process does that is to be interrupted: it grades the class, and tells how far it is.
GRADE = """
import sys
from grading.courses import course_directory
from course_lib.grading import gradebook, run
from course_lib.grading.unit import Options

def grade(master=None):
    course = course_directory(sys.argv[1], sys.argv[2])
    progress = lambda it: print(it.done, flush=True)
    run.grade_class(course, Options(), workers=2, master=master, progress=progress)
"""

# The process kills itself where it would call the function for the n-th time.
GRADE_AND_DIE = """
import os, signal
name, last = sys.argv[3], int(sys.argv[4])
function, calls = getattr(gradebook, name), []

def call(*arguments, **keywords):
    calls.append(arguments)
    if len(calls) == last:
        os.kill(os.getpid(), signal.SIGKILL)
    return function(*arguments, **keywords)

setattr(gradebook, name, call)
grade()
"""


def write_course(root: Path, students: Mapping[str, Mapping[str, str] | bytes | None]) -> Path:
    """A course of one small assignment, and what each student hands in for it."""
    (root / "source" / SET).mkdir(parents=True)
    (root / "nbgrader_config.py").write_text("c = get_config()\n")
    nbformat.write(notebook(RIGHT, markers=True), root / "source" / SET / f"{SET}.ipynb")
    for student, answers in students.items():
        hand_in(root, student, answers)
    return root


def notebook(answers: Mapping[str, str], *, markers: bool = False):
    """The assignment with these answers; with `markers`, as a teacher writes it."""
    tests = {"double": ["double(2) == 4", "double(-3) == -6"], "half": ["half(4) == 2"]}
    points = {"double": 2, "half": 3}
    cells = []
    for name, asserted in tests.items():
        answer = answers.get(name, "# YOUR CODE HERE\nraise NotImplementedError()")
        if markers:
            answer = f"### BEGIN SOLUTION\n{answer}\n### END SOLUTION"
        test = "\n".join(f"assert {claim}" for claim in asserted)
        about = nbgrader(f"{name}-test", grade=True, locked=True, points=points[name])
        cells += [
            new_code_cell(answer, id=name, metadata=nbgrader(name, solution=True)),
            new_code_cell(test, id=f"{name}-test", metadata=about),
        ]
    return new_notebook(cells=cells)


def hand_in(root: Path, student: str, answers: Mapping[str, str] | bytes | None) -> None:
    """Write a submission, in place of one that was there."""
    folder = root / "submitted" / student / SET
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(answers, bytes):
        (folder / f"{SET}.ipynb").write_bytes(answers)
    elif answers is not None:
        nbformat.write(notebook(answers), folder / f"{SET}.ipynb")


def grade(root: Path, assignment: str = SET, options: Options | None = None, **more) -> Summary:
    """Grade the class in this process."""
    return grade_class(course_directory(root, assignment), options or Options(), **more)


def scores(root: Path, assignment: str = SET) -> dict[str, dict[str, float | None]]:
    """The points that the gradebook has, by student and cell."""
    return courses.scores(root, assignment)


def notebooks(root: Path, assignment: str = SET) -> dict[str, list]:
    """The cells of the autograded notebooks, by path: what a person sees of them."""
    return {
        path.relative_to(root).as_posix(): [
            (cell.source, cell.get("outputs")) for cell in nbformat.read(path, 4).cells
        ]
        for path in sorted(root.glob(f"autograded/*/{assignment}/*.ipynb"))
    }


def names(students: Iterable[str]) -> list[str]:
    return sorted(students)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The class, graded at one go by one worker; not to be written to."""
    root = write_course(tmp_path_factory.mktemp("undisturbed"), CLASS)
    grade(root, workers=1)
    return root


@pytest.fixture
def graded(undisturbed, tmp_path):
    """A copy of the graded class, to be changed."""
    return Path(shutil.copytree(undisturbed, tmp_path / "course"))


def test_everybody_gets_what_is_due_whatever_was_handed_in(undisturbed):
    assert scores(undisturbed) == SCORES
    verdicts = {
        student: verdict(undisturbed / "autograded" / student / SET / f"{SET}.ipynb")
        for student in CLASS
    }
    found = {
        student: [finding.name for finding in findings.from_metadata(one["findings"])]
        for student, one in verdicts.items()
    }
    assert found == {
        "ada": [],
        "ben": [],
        "cyd": ["no-notebook"],
        "dee": ["not-json"],
        "eve": [],
        "fay": [],
    }
    assert {one["sandboxed"] for one in verdicts.values()} == {True}
    assert {verdicts[student]["status"] for student in ("cyd", "dee")} == {"refused"}


def test_an_answer_that_was_not_touched_is_commented_so(undisturbed):
    with Gradebook(course_directory(undisturbed, SET).db_url) as gradebook:
        comments = {
            (student, comment.name): comment.auto_comment
            for student in ("ada", "fay")
            for comment in gradebook.find_submission_notebook(SET, SET, student).comments
        }
    assert {name: comments["fay", name] for name in RIGHT} == dict.fromkeys(RIGHT, "No response.")
    assert {name: comments["ada", name] for name in RIGHT} == dict.fromkeys(RIGHT)


def test_two_workers_come_to_the_same(undisturbed, tmp_path):
    root = write_course(tmp_path, CLASS)
    summary = grade(root, workers=2)
    assert scores(root) == SCORES
    assert notebooks(root) == notebooks(undisturbed)
    assert names(summary.by_status[Status.GRADED]) == ["ada", "ben", "eve", "fay"]
    assert names(summary.by_status[Status.REFUSED]) == ["cyd", "dee"]


def test_there_may_be_more_workers_than_students(tmp_path):
    root = write_course(tmp_path, {"ada": RIGHT})
    grade(root, workers=8)
    assert scores(root) == {"ada": FULL}


def test_nothing_to_grade_is_said_and_where_it_would_be(tmp_path):
    root = write_course(tmp_path, {})
    with pytest.raises(NothingToGradeError, match="<student>"):
        grade(root)


# Again


def test_what_is_up_to_date_is_left_alone(graded):
    written = {path: path.stat().st_mtime_ns for path in graded.glob("autograded/*/*/*.ipynb")}
    summary = grade(graded)
    assert names(summary.before) == names(CLASS)
    assert not summary.by_status
    assert written == {path: path.stat().st_mtime_ns for path in written}
    assert scores(graded) == SCORES


def test_grading_twice_gives_the_same_scores(graded, undisturbed):
    summary = grade(graded, force=True)
    assert not summary.before
    assert scores(graded) == SCORES
    assert notebooks(graded) == notebooks(undisturbed)


def test_only_what_was_handed_in_again_is_graded_again(graded):
    hand_in(graded, "ben", RIGHT)
    hand_in(graded, "cyd", RIGHT)
    summary = grade(graded)
    assert names(summary.before) == ["ada", "dee", "eve", "fay"]
    assert scores(graded) == {**SCORES, "ben": FULL, "cyd": FULL}


def test_a_changed_assignment_is_graded_again(graded):
    path = graded / "source" / SET / f"{SET}.ipynb"
    source = nbformat.read(path, 4)
    source.cells[1].source += "\nassert double(0) == 1"
    nbformat.write(source, path)
    assert not grade(graded).before
    assert scores(graded)["ada"] == HALF


def test_without_its_gradebook_a_class_is_graded_again(graded):
    (graded / "gradebook.db").unlink()
    assert not grade(graded).before
    assert scores(graded) == SCORES


def test_without_their_autograded_folders_students_are_graded_again(graded):
    shutil.rmtree(graded / "autograded" / "ada")
    summary = grade(graded)
    assert names(summary.before) == names(set(CLASS) - {"ada"})
    shutil.rmtree(graded / "autograded")
    assert not grade(graded).before
    assert scores(graded) == SCORES


def test_what_nbgrader_itself_has_graded_is_graded_here(graded):
    path = graded / "autograded" / "ada" / SET / f"{SET}.ipynb"
    theirs = nbformat.read(path, 4)
    del theirs.metadata["grading"]
    path.unlink()
    nbformat.write(theirs, path)
    assert names(grade(graded).before) == names(set(CLASS) - {"ada"})


def test_points_that_a_person_gave_stay_and_are_looked_at_again(graded):
    def grade_of(gradebook):
        return gradebook.find_grade("double-test", SET, SET, "ben")

    course = course_directory(graded, SET)
    with Gradebook(course.db_url) as gradebook:
        grade_of(gradebook).manual_score = 1.5
        gradebook.db.commit()
    grade(graded, force=True)
    with Gradebook(course.db_url) as gradebook:
        one = grade_of(gradebook)
        assert (one.auto_score, one.manual_score, one.score) == (0, 1.5, 1.5)
        assert one.needs_manual_grade


# Several notebooks, files, lateness


def test_every_notebook_of_an_assignment_counts(tmp_path):
    root = write_general_course(tmp_path)
    for student, handed_in in {"ada": ["first", "second"], "ben": ["second"]}.items():
        folder = root / "submitted" / student / GENERAL
        folder.mkdir(parents=True)
        for name in handed_in:
            shutil.copy(root / "source" / GENERAL / f"{name}.ipynb", folder)
        (folder / "data.csv").write_text("mine")
        (folder / "notes.txt").write_text("also mine")
    summary = grade(root, GENERAL)
    assert scores(root, GENERAL) == {
        "ada": {"area-test": 2.0, "why": None, "draw": None, "look": None},
        "ben": {"area-test": 0.0, "why": None, "draw": None, "look": None},
    }
    assert names(summary.by_status[Status.REFUSED]) == ["ben"]
    autograded = root / "autograded" / "ben" / GENERAL
    assert sorted(path.name for path in autograded.glob("*.ipynb")) == [
        "first.ipynb",
        "second.ipynb",
    ]
    assert (autograded / "data.csv").read_bytes() == b"r\n1\n\xff"  # the teacher's
    assert (autograded / "notes.txt").read_text() == "also mine"
    assert names(grade(root, GENERAL).before) == ["ada", "ben"]


def test_lateness_costs_what_the_course_says(tmp_path):
    root = write_course(tmp_path, {"ada": RIGHT, "ben": RIGHT})
    (root / "nbgrader_config.py").write_text(
        "c = get_config()\nc.LateSubmissionPlugin.penalty_method = 'zero'\n"
    )
    due = datetime(2026, 1, 10, tzinfo=UTC)
    for student, hours in (("ada", -1), ("ben", 1)):
        when = due + timedelta(hours=hours)
        note = root / "submitted" / student / SET / "timestamp.txt"
        note.write_text(f"{when:%Y-%m-%d %H:%M:%S} UTC")
    course = course_directory(root, SET)
    grade(root)
    with Gradebook(course.db_url) as gradebook:
        gradebook.update_or_create_assignment(SET, duedate=due.replace(tzinfo=None))
    grade(root, force=True)
    with Gradebook(course.db_url) as gradebook:
        after = {one.student.id: one for one in gradebook.assignment_submissions(SET)}
        assert {student: one.score for student, one in after.items()} == {"ada": 5, "ben": 5}
        penalties = {student: one.late_submission_penalty for student, one in after.items()}
        assert penalties == {"ada": 0, "ben": 5}


# Interrupted


@pytest.mark.parametrize(
    ("function", "call"),
    [
        ("record", 1),  # nothing is there yet
        ("record", 4),
        ("write_autograded", 1),  # in the gradebook, not in the folder
        ("write_files", 3),  # a folder that is half written
        ("write_autograded", 6),
    ],
)
def test_after_a_kill_grading_goes_on_where_it_was(tmp_path, undisturbed, function, call):
    root = write_course(tmp_path / "course", CLASS)
    program = [sys.executable, "-c", GRADE + GRADE_AND_DIE, root, SET, function, str(call)]
    killed = subprocess.run(program, env=environment(tmp_path), stdout=subprocess.PIPE, check=False)
    assert killed.returncode == -signal.SIGKILL
    done = len(killed.stdout.split())
    assert done < len(CLASS)
    summary = grade(root)
    assert len(summary.before) == done
    assert scores(root) == SCORES
    assert notebooks(root) == notebooks(undisturbed)
    assert not list(root.glob("autograded/*/.*"))


@pytest.mark.parametrize(
    ("how", "whom"),
    [
        (signal.SIGKILL, "grader"),
        (signal.SIGINT, "grader"),
        (signal.SIGINT, "terminal"),  # Ctrl-C reaches all of its processes
    ],
)
def test_no_process_outlives_an_interrupted_run(tmp_path, how, whom):
    root = write_course(tmp_path / "course", {"ada": RIGHT, "ben": ENDLESS, "cyd": ENDLESS})
    process = subprocess.Popen(
        [sys.executable, "-c", GRADE + "grade()", root, SET],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with process:
        assert process.stdout.readline() == b"1\n"  # ada is done; two kernels run for ever
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) >= 4
        (os.killpg if whom == "terminal" else os.kill)(process.pid, how)
        _, left = psutil.wait_procs(family, timeout=20)
        assert not left
        assert process.wait(20) != 0
    if how is signal.SIGINT:
        assert not list((tmp_path / "scratch").iterdir())
    assert scores(root) == {"ada": FULL}
    hand_in(root, "ben", WRONG)
    hand_in(root, "cyd", RIGHT)
    assert grade(root).before == ["ada"]
    assert scores(root) == {"ada": FULL, "ben": HALF, "cyd": FULL}


def test_spark_comes_to_the_same_and_ends(tmp_path, undisturbed):
    root = write_course(tmp_path / "course", CLASS)
    mark = f"grading-{os.getpid()}-{tmp_path.name}"
    done = subprocess.run(
        [sys.executable, "-c", GRADE + "grade('local-cluster[2,1,1024]')", root, SET],
        env={**java_env(), **environment(tmp_path), "TEST_MARK": mark},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1", "2", "3", "4", "5", "6"]
    assert scores(root) == SCORES
    assert notebooks(root) == notebooks(undisturbed)
    assert not [one for one in psutil.process_iter() if has_in_environment(one, mark)]


def has_in_environment(process: psutil.Process, mark: str) -> bool:
    """Whether it was started, through others maybe, by what had the mark in its environment."""
    try:
        return process.environ().get("TEST_MARK") == mark
    except (psutil.NoSuchProcess, psutil.AccessDenied):  # it has ended, or is somebody else's
        return False


def environment(folder: Path) -> dict[str, str]:
    """For a process of its own, whose temporary files lie in ``scratch``."""
    scratch = folder / "scratch"
    scratch.mkdir()
    path = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
    return {**os.environ, "PYTHONPATH": path, "TMPDIR": str(scratch)}


# Said


def test_without_a_jail_every_report_says_so(tmp_path):
    root = write_course(tmp_path, {"ada": RIGHT, "dee": b""})
    summary = grade(root, options=Options(sandboxed=False))
    assert scores(root) == {"ada": FULL, "dee": NONE}
    assert "NOT SANDBOXED" in str(summary)
    for student in ("ada", "dee"):
        path = root / "autograded" / student / SET / f"{SET}.ipynb"
        assert not verdict(path)["sandboxed"]
        report = nbformat.read(path, 4).cells[0]
        assert report.metadata["grading"] == "report"
        assert "The code ran without a jail." in report.source
    again = grade(root)  # in a jail, nothing of this is up to date
    assert not again.before
    assert "NOT SANDBOXED" not in str(again)


def test_the_command_grades_any_course_and_says_everywhere_that_there_was_no_jail(tmp_path):
    root = write_course(tmp_path / "course", {"ada": RIGHT, "dee": b""})
    command = [sys.executable, "-m", "course_lib", "grade", SET, "--course", root, "--unsandboxed"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, check=True
    )
    assert scores(root) == {"ada": FULL, "dee": NONE}
    assert "1 graded, 0 mended, 0 suspicious, 1 refused" in done.stdout
    assert "NOT SANDBOXED" in done.stdout
    with open(root / "grades.csv", newline="") as table:
        exported = {line["student_id"]: line for line in csv.DictReader(table)}
    assert {student: line["status"] for student, line in exported.items()} == {
        "ada": "graded",
        "dee": "refused",
    }
    for student, line in exported.items():
        assert "unsandboxed" in line["findings"]
        page = root / "feedback" / student / SET / f"{SET}.html"
        assert "The code ran without a jail." in page.read_text()


def test_the_summary_counts_and_gives_reasons(graded):
    text = str(grade(graded, force=True))
    first, *lines = text.splitlines()
    assert first == "4 graded, 0 mended, 0 suspicious, 2 refused"
    assert [line.split()[:2] for line in lines[:2]] == [["refused", "cyd:"], ["refused", "dee:"]]
    assert all(len(line.split()) > 4 for line in lines[:2])
    assert lines[2].split()[0] == "slowest"
    assert str(grade(graded)) == (
        "0 graded, 0 mended, 0 suspicious, 0 refused, 6 up to date before"
    )


def test_progress_counts_by_status_and_ends_with_the_class(tmp_path, capsys):
    root = write_course(tmp_path, {"ada": RIGHT, "ben": WRONG, "dee": b""})
    seen = []

    def watch(progress: Progress) -> None:
        seen.append(str(progress))
        show(progress)

    grade(root, progress=watch)
    assert [text.split()[1] for text in seen] == ["1/3", "2/3", "3/3"]
    assert seen[-1].startswith("█" * 24)
    assert "2 graded" in seen[-1]
    assert "1 refused" in seen[-1]
    assert "0:00 left" in seen[-1]
    assert capsys.readouterr().err.splitlines() == seen

"""Problem sets as files: released, worked on, and graded with nbgrader.

    solutions/psNN-topic/                nbgrader's source, with solutions and hidden tests
    exercises/psNN-topic/                what learners get, made from it by `release`
    my/psNN-topic/                       a learner's own copy, made by `start`, graded by `check`
    submitted/<student>/psNN-topic/      a class's answers, graded by `grade`

Functions that take a `root` mean the course's folder, the one with ``nbgrader_config.py``.
"""

import logging
import os
import shutil
import sysconfig
import tempfile
import warnings
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from course_lib import progress
from course_lib.places import CONFIG, course_root

_LEARNER = "you"


class AssignmentError(Exception):
    """Something is not where it should be, or nbgrader has failed; the message says what."""


@dataclass(frozen=True)
class TaskResult:
    """The points for one graded cell, and what the learner is told."""

    cell: str
    points: float
    max_points: float
    says: str


@dataclass(frozen=True)
class Grade:
    """The points of one student for a problem set."""

    student: str
    points: float
    max_points: float


def find_set(root: Path, name: str) -> str:
    """The problem set called `name`, or the only one whose name begins with it.

    Raises AssignmentError, with the names there are, if none does or several do.
    """
    there = sorted(folder.name for folder in (root / "solutions").glob("ps*") if folder.is_dir())
    found = [one for one in there if one == name] or [one for one in there if one.startswith(name)]
    if len(found) == 1 and name:
        return found[0]
    complaint = "several problem sets begin with" if found and name else "no problem set is called"
    raise AssignmentError(f"{complaint} {name!r}; there are {', '.join(found or there) or 'none'}")


def start(root: Path, name: str) -> Path:
    """Copy the student version of a set into ``my/`` and return its notebook.

    Raises AssignmentError where there is a copy already: nothing is ever overwritten.
    """
    name = find_set(root, name)
    mine = root / "my" / name
    if mine.exists():
        raise AssignmentError(
            f"my/{name} is there already and stays as it is; to begin afresh, "
            "give it another name first"
        )
    mine.parent.mkdir(exist_ok=True)
    shutil.copytree(root / "exercises" / name, mine)
    return _notebook(mine)


def release(root: Path, names: Iterable[str] = ()) -> list[Path]:
    """Make ``exercises/`` from ``solutions/``: of all sets, or of those named.

    The same as ``nbgrader generate_assignment --no-db --force`` for each of them.
    """
    from nbgrader.converters import GenerateAssignment

    folders = sorted((root / "solutions").glob("ps*"))
    names = [find_set(root, name) for name in names] or [folder.name for folder in folders]
    for name in names:
        _convert(GenerateAssignment, root, name, database=False)
    return [_notebook(root / "exercises" / name) for name in names]


def check(root: Path, name: str) -> list[TaskResult]:
    """Grade the learner's own copy in a course folder made for the purpose.

    Raises AssignmentError where there is no copy, or nbgrader cannot grade it.
    """
    name = find_set(root, name)
    mine = root / "my" / name
    if not _notebook(mine).is_file():
        raise AssignmentError(
            f"there is no my/{name}/{name}.ipynb; make it with: python -m course_lib start {name}"
        )
    with tempfile.TemporaryDirectory(prefix="check-") as folder:
        course = Path(folder)
        shutil.copy(root / CONFIG, course)
        shutil.copytree(root / "solutions" / name, course / "solutions" / name)
        shutil.copytree(mine, course / "submitted" / _LEARNER / name)
        _autograde(course, name)
        return results(course, name, _LEARNER)


def grade(root: Path, name: str) -> list[Grade]:
    """Grade what lies in ``submitted/`` for a set, write feedback pages, and export all grades.

    Students' names are those of the folders in ``submitted/``. Feedback goes to ``feedback/``, the
    grades of all sets to ``grades.csv``. Raises AssignmentError if there is nothing to grade, and,
    after grading all others, if some submissions could not be graded.
    """
    from nbgrader.api import Gradebook
    from nbgrader.converters import GenerateFeedback
    from nbgrader.plugins import CsvExportPlugin

    name = find_set(root, name)
    if not list((root / "submitted").glob(f"*/{name}/*.ipynb")):
        raise AssignmentError(
            f"nothing to grade: there is no submitted/<student>/{name}/{name}.ipynb"
        )
    failure = None
    try:
        _autograde(root, name)
    except AssignmentError as error:
        failure = error
    if list((root / "autograded").glob(f"*/{name}")):
        _convert(GenerateFeedback, root, name)
    config, course = _course(root, name)
    with Gradebook(course.db_url) as gradebook:
        plugin = CsvExportPlugin(config=config)
        plugin.to = str(root / (plugin.to or "grades.csv"))
        plugin.export(gradebook)
        grades = [
            Grade(submission.student.id, submission.score, submission.max_score)
            for submission in gradebook.assignment_submissions(name)
        ]
    if failure:
        raise failure
    return sorted(grades, key=lambda one: one.student)


def _notebook(folder: Path) -> Path:
    return folder / f"{folder.name}.ipynb"


def _autograde(root: Path, name: str) -> None:
    from nbgrader.converters import Autograde, GenerateAssignment

    with tempfile.TemporaryDirectory(prefix="release-") as elsewhere:
        # This enters the assignment into the gradebook; the student version it makes is not needed.
        _convert(GenerateAssignment, root, name, release_directory=elsewhere)
    _convert(Autograde, root, name)


def _course(root: Path, name: str, **course_options):
    """nbgrader's configuration and course directory, limited to one assignment."""
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config.loader import PyFileConfigLoader

    config = PyFileConfigLoader(CONFIG, path=str(root)).load_config()
    return config, CourseDirectory(config=config, assignment_id=name, **course_options)


def _convert(converter_class, root: Path, name: str, *, database=True, **course_options) -> None:
    """Run one of nbgrader's steps on one assignment, overwriting what it made before."""
    from nbgrader.converters.base import NbGraderException
    from sqlalchemy.exc import SAWarning

    config, course = _course(root, name, **course_options)
    if not database:  # as nbgrader's own --no-db
        config.SaveCells.enabled = False
        config.GenerateAssignment.no_database = True
    log = _Log()
    converter = converter_class(coursedir=course, config=config, log=log.logger)
    converter.force = True
    try:
        with _scripts_on_path(), warnings.catch_warnings():
            # About how nbgrader uses its database, which is none of ours to mend.
            warnings.filterwarnings("ignore", category=SAWarning)
            converter.start()
    except (NbGraderException, RuntimeError, ValueError) as error:
        raise AssignmentError("\n".join([f"nbgrader: {error}", *log.complaints])) from error


@contextmanager
def _scripts_on_path() -> Iterator[None]:
    """For a new gradebook nbgrader runs ``alembic``, which lies beside this Python but need not be
    on PATH."""
    before = os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = os.pathsep.join((sysconfig.get_path("scripts"), before))
    try:
        yield
    finally:
        os.environ["PATH"] = before


class _Log(logging.Handler):
    """Keeps nbgrader's warnings and errors, to be shown if a step fails."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.complaints: list[str] = []
        self.logger = logging.Logger("nbgrader", logging.WARNING)
        self.logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.complaints.append(f"  {record.getMessage()}")


def results(root: Path, name: str, student: str) -> list[TaskResult]:
    """Points and words for each graded cell of one student's autograded notebook."""
    import nbformat
    from nbgrader.api import Gradebook

    graded = nbformat.read(_notebook(root / "autograded" / student / name), as_version=4)
    _, course = _course(root, name)
    with Gradebook(course.db_url) as gradebook:
        submission = gradebook.find_submission_notebook(name, name, student)
        points = {grade.name: (grade.score, grade.max_score) for grade in submission.grades}
    results = []
    for cell in graded.cells:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
        if grade_id in points:
            results.append(TaskResult(grade_id, *points[grade_id], _words(cell)))
    return results


def _words(cell) -> str:
    """What a graded cell tells the learner."""
    for output in cell.outputs:
        if output.output_type == "execute_result":
            return output.data.get("text/markdown", output.data["text/plain"])
        if output.output_type == "error":
            return f"✗ {output.ename}: {output.evalue}"
    return "✗ the cell has no result"


# Commands


def add_commands(commands) -> None:
    """Add start, check, grade and release to the sub-commands of ``python -m course_lib``.

    `commands` is what ``ArgumentParser.add_subparsers`` returns; each command sets `run`, a
    function of the parsed arguments that returns the exit code.
    """
    for command, run, what in (
        ("start", _start, "copy a problem set into my/, to work on"),
        ("check", _check, "grade your copy of a problem set and show the feedback"),
        ("grade", _grade, "grade a class's answers in submitted/"),
    ):
        parser: ArgumentParser = commands.add_parser(command, help=what, description=what)
        parser.add_argument("set", help="a problem set, or the beginning of its name: ps04")
        parser.set_defaults(run=_reporting(run))
    what = "make exercises/ from solutions/"
    parser = commands.add_parser("release", help=what, description=what)
    parser.add_argument("sets", nargs="*", help="problem sets; all where none is named")
    parser.set_defaults(run=_reporting(_release))


def _reporting(run):
    def command(arguments: Namespace) -> int:
        root = course_root()
        if root is None:
            print(f"{Path.cwd()} is not in the course's folder: change into it and try again")
            return 1
        try:
            return run(root, arguments)
        except AssignmentError as error:
            print(error)
            return 1

    return command


def _start(root: Path, arguments: Namespace) -> int:
    notebook = start(root, arguments.set).relative_to(root)
    print(f"Copied to {notebook}. Open it in JupyterLab, and check it with:")
    print(f"  python -m course_lib check {notebook.parent.name}")
    return 0


def _check(root: Path, arguments: Namespace) -> int:
    results = check(root, arguments.set)
    print("\n\n".join(result.says for result in results))
    points, out_of = sum(r.points for r in results), sum(r.max_points for r in results)
    name = find_set(root, arguments.set)
    print(f"\n{name}: {points:g} of {out_of:g} points")
    progress.record("problem_set", name, points=points, out_of=out_of)
    return 0


def _grade(root: Path, arguments: Namespace) -> int:
    for one in grade(root, arguments.set):
        print(f"{one.student:24} {one.points:6g} of {one.max_points:g} points")
    print(f"Feedback pages are in {root / 'feedback'}, all grades in {root / 'grades.csv'}.")
    return 0


def _release(root: Path, arguments: Namespace) -> int:
    for notebook in release(root, arguments.sets):
        print(f"Wrote {notebook.relative_to(root)}")
    return 0

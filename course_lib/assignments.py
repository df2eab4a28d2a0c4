"""Problem sets as files: released, worked on, and graded with nbgrader.

    solutions/psNN-topic/                nbgrader's source, with solutions and hidden tests
    exercises/psNN-topic/                what learners get, made from it by `release`
    my/psNN-topic/                       a learner's own copy, made by `start`, graded by `check`
    submitted/<student>/psNN-topic/      a class's answers, graded by `grade`

Functions that take a `root` mean the course's folder, the one with ``nbgrader_config.py``.
"""

import os
import shutil
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
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
class Checked:
    """What checking one's own copy gave: the tasks' results, and, as sentences, what had to be
    mended before."""

    results: tuple[TaskResult, ...]
    mended: tuple[str, ...]


@dataclass(frozen=True)
class Grade:
    """The points of one student for a problem set."""

    student: str
    points: float
    max_points: float


@dataclass(frozen=True)
class Class:
    """A graded class: everyone's points, and in words what this run did."""

    grades: tuple[Grade, ...]
    summary: str


def find_set(root: Path, name: str) -> str:
    """The problem set called `name`, or the only one whose name begins with it.

    Raises AssignmentError, with the names there are, if none does or several do.
    """
    sources = Path(root, _course(root, name)[1].source_directory)
    there = sorted(folder.name for folder in sources.glob("[!.]*") if folder.is_dir())
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
        config, course = _course(root, name)
        config.SaveCells.enabled = False  # as nbgrader's own --no-db
        config.GenerateAssignment.no_database = True
        _run(GenerateAssignment, course, config)
    return [_notebook(root / "exercises" / name) for name in names]


def check(root: Path, name: str) -> Checked:
    """Grade the learner's own copy, after the same preflight as when it is handed in.

    It is graded by nbgrader, in a course folder made for the purpose. Raises AssignmentError where
    there is no copy, or where it could not be graded if it were handed in as it is.
    """
    import nbformat
    from nbgrader.converters import Autograde

    from course_lib.grading.preflight import find_notebook, preflight
    from course_lib.grading.release import load_releases

    name = find_set(root, name)
    mine = root / "my" / name
    if not mine.is_dir():
        raise AssignmentError(
            f"there is no my/{name}/{name}.ipynb; make it with: python -m course_lib start {name}"
        )
    with tempfile.TemporaryDirectory(prefix="check-") as folder:
        copy = Path(folder)
        shutil.copy(root / CONFIG, copy)
        shutil.copytree(root / "solutions" / name, copy / "solutions" / name)
        config, course = _course(copy, name)
        release = load_releases(course)[name]
        data, found = find_notebook(mine, name)
        checked = preflight(data, release, found=found)
        if checked.refused:
            raise AssignmentError(" ".join(finding.says for finding in checked.findings))
        submitted = copy / "submitted" / _LEARNER / name
        shutil.copytree(mine, submitted, ignore=shutil.ignore_patterns("*.ipynb"))
        nbformat.write(checked.notebook, submitted / f"{name}.ipynb")
        # A learner's own code needs no jail on the learner's own machine.
        config.pop("Autograde", None)
        _run(Autograde, course, config)
        mended = tuple(finding.says for finding in checked.findings)
        return Checked(tuple(results(copy, name, _LEARNER)), mended)


def grade(
    root: Path,
    name: str,
    *,
    workers: int = 2,
    unsandboxed: bool = False,
    master: str | None = None,
    force: bool = False,
    progress=None,
) -> Class:
    """Grade what lies in ``submitted/`` for a set, write feedback pages, and export all grades.

    `root` is any nbgrader course's folder. Students' names are those of the folders in
    ``submitted/``. Feedback goes to ``feedback/``, the grades of all sets to ``grades.csv``; grades
    that are up to date stay, unless `force` is set. For the rest see `grade_class`. Raises
    AssignmentError if there is nothing to grade, or nothing to grade with.
    """
    from nbgrader.api import Gradebook

    from course_lib.checks.trials import remembering
    from course_lib.grading.configuration import Grading
    from course_lib.grading.export import GradesCsvExportPlugin
    from course_lib.grading.feedback import write_feedback
    from course_lib.grading.jail import JailUnavailableError
    from course_lib.grading.release import ReleaseError
    from course_lib.grading.run import NothingToGradeError, grade_class

    name = find_set(root, name)
    config, course = _course(root, name)
    traits = {"unsandboxed": True} if unsandboxed else {}
    try:
        with remembering():
            summary = grade_class(
                course,
                Grading.options(config, course, **traits),
                workers=workers,
                master=master,
                force=force,
                progress=progress,
            )
    except JailUnavailableError as error:
        raise AssignmentError(
            f"{error}\nLearners' code is not run without a jail, unless you say --unsandboxed."
        ) from error
    except (NothingToGradeError, ReleaseError) as error:
        raise AssignmentError(str(error)) from error
    write_feedback(course, config)
    with Gradebook(course.db_url, course.course_id) as gradebook:
        export = GradesCsvExportPlugin(config=config)
        export.to = str(root / (export.to or "grades.csv"))
        export.export(gradebook)
        grades = [
            Grade(submission.student.id, submission.score, submission.max_score)
            for submission in gradebook.assignment_submissions(name)
        ]
    return Class(tuple(sorted(grades, key=lambda one: one.student)), str(summary))


def _notebook(folder: Path) -> Path:
    return folder / f"{folder.name}.ipynb"


def _run(converter_class, course, config) -> None:
    """One of nbgrader's steps. Raises AssignmentError."""
    from course_lib.grading.steps import StepError, run_step

    try:
        run_step(converter_class, course, config)
    except StepError as error:
        raise AssignmentError(str(error)) from error


def _course(root: Path, name: str):
    """nbgrader's configuration and course directory, limited to one assignment."""
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config.loader import PyFileConfigLoader

    config = PyFileConfigLoader(CONFIG, path=str(root)).load_config()
    # What it does not say, nbgrader takes from where it is started: there, or elsewhere with us.
    config.CourseDirectory.root = str(Path(root, config.CourseDirectory.get("root", ".")))
    return config, CourseDirectory(config=config, assignment_id=name)


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
        parser.set_defaults(run=_reporting(run), course=None)
    parser.add_argument("--course", type=Path, help="another nbgrader course's folder")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="submissions at a time")
    parser.add_argument("--force", action="store_true", help="grade again what is up to date")
    parser.add_argument("--master", help="have Spark do it: spark://host:port")
    parser.add_argument(
        "--unsandboxed", action="store_true", help="run learners' code without a jail"
    )
    what = "make exercises/ from solutions/"
    parser = commands.add_parser("release", help=what, description=what)
    parser.add_argument("sets", nargs="*", help="problem sets; all where none is named")
    parser.set_defaults(run=_reporting(_release), course=None)


def _reporting(run):
    def command(arguments: Namespace) -> int:
        root = arguments.course.resolve() if arguments.course else course_root()
        if root is None:
            print(f"{Path.cwd()} is not in the course's folder: change into it and try again")
            return 1
        if not (root / CONFIG).is_file():
            print(f"{root} is no course's folder: there is no {CONFIG} in it")
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
    checked = check(root, arguments.set)
    for sentence in checked.mended:
        print(f"! {sentence}")
    print("\n\n".join(result.says for result in checked.results))
    points = sum(result.points for result in checked.results)
    out_of = sum(result.max_points for result in checked.results)
    name = find_set(root, arguments.set)
    print(f"\n{name}: {points:g} of {out_of:g} points")
    progress.record("problem_set", name, points=points, out_of=out_of)
    return 0


def _grade(root: Path, arguments: Namespace) -> int:
    from course_lib.grading.run import show
    from course_lib.spark.java import java_env

    if arguments.workers < 1:
        raise AssignmentError(f"--workers is a number from 1 on, not {arguments.workers}")
    if arguments.master:  # Spark's driver runs here
        os.environ["JAVA_HOME"] = java_env()["JAVA_HOME"]
    try:
        graded = grade(
            root,
            arguments.set,
            workers=arguments.workers,
            unsandboxed=arguments.unsandboxed,
            master=arguments.master,
            force=arguments.force,
            progress=show,
        )
    except KeyboardInterrupt:
        print("\nInterrupted. What is graded stays graded; run it again to go on.")
        return 130  # as shells say it
    for one in graded.grades:
        print(f"{one.student:24} {one.points:6g} of {one.max_points:g} points")
    print(graded.summary)
    print(f"Feedback pages are in {root / 'feedback'}, all grades in {root / 'grades.csv'}.")
    return 0


def _release(root: Path, arguments: Namespace) -> int:
    for notebook in release(root, arguments.sets):
        print(f"Wrote {notebook.relative_to(root)}")
    return 0

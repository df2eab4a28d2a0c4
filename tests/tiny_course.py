"""A course of one assignment, as small as nbgrader takes it, really released and autograded."""

import json
import os
import sysconfig
import warnings
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.converters import Autograde, GenerateAssignment
from nbgrader.coursedir import CourseDirectory
from sqlalchemy.exc import SAWarning
from traitlets.config.loader import PyFileConfigLoader

SET = "set1"

CONFIG = """\
from pathlib import Path

c = get_config()
c.CourseDirectory.root = str(Path(__file__).resolve().parent)
c.Execute.extra_arguments = ["--log-level=ERROR"]
"""

DOUBLE = "def double(number):\n    return 2 * number"
DOUBLE_TESTS = """\
assert double(1) == 2
### BEGIN HIDDEN TESTS
secret_input = 4711
assert double(secret_input) == 9422, "adds instead of doubling"
### END HIDDEN TESTS"""
HALF = "def half(number):\n    return number / 2"
HALF_TESTS = """\
assert half(4) == 2
### BEGIN HIDDEN TESTS
assert half(8151) == 4075.5
assert str(half(8151)) != "4075\\n"
### END HIDDEN TESTS"""


def _cell(kind, source, grade_id, points=None):
    role = {"grade": points is not None, "solution": points is None, "locked": points is not None}
    cell = (new_code_cell if kind == "code" else new_markdown_cell)(source)
    cell.metadata["nbgrader"] = {"schema_version": 3, "grade_id": grade_id, "task": False, **role}
    if points is not None:
        cell.metadata["nbgrader"]["points"] = points
    return cell


def _solution(code):
    head, body = code.split("\n", 1)
    return f"{head}\n    ### BEGIN SOLUTION\n{body}\n    ### END SOLUTION"


def make(root: Path, answers: dict[str, dict[str, str]]) -> Path:
    """Make the course in `root`, and hand in `answers`: by student, by grade_id, cells' text."""
    (root / "nbgrader_config.py").write_text(CONFIG)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    source = new_notebook(
        metadata={"kernelspec": kernel},
        cells=[
            new_markdown_cell("Two tasks"),
            _cell("code", _solution(DOUBLE), "double"),
            _cell("code", DOUBLE_TESTS, "double-check", 2),
            _cell("code", _solution(HALF), "half"),
            _cell("code", HALF_TESTS, "half-check", 3),
        ],
    )
    write(source, root / "source" / SET / f"{SET}.ipynb")
    convert(GenerateAssignment, root)
    for student, cells in answers.items():
        notebook = nbformat.read(root / "release" / SET / f"{SET}.ipynb", as_version=4)
        for cell in notebook.cells:
            grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
            cell.source = cells.get(grade_id, cell.source)
        write(notebook, root / "submitted" / student / SET / f"{SET}.ipynb")
    convert(Autograde, root)
    return root


def write(notebook, path: Path) -> None:
    """Write a notebook in place of what may be there, read-only as nbgrader leaves it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    nbformat.write(notebook, path)


def configured(root: Path):
    """nbgrader's configuration of the course, and its folders."""
    config = PyFileConfigLoader("nbgrader_config.py", path=str(root)).load_config()
    return config, CourseDirectory(config=config, assignment_id=SET)


def convert(converter, root: Path) -> None:
    """Run one of nbgrader's steps on the assignment."""
    config, course = configured(root)
    step = converter(coursedir=course, config=config)
    step.force = True
    before = os.environ.get("PATH", os.defpath)
    # For a new gradebook nbgrader runs alembic, which lies beside this Python.
    os.environ["PATH"] = os.pathsep.join((sysconfig.get_path("scripts"), before))
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=SAWarning)
            step.start()
    finally:
        os.environ["PATH"] = before


def autograded(root: Path, student: str) -> Path:
    """The autograded notebook of a student."""
    return root / "autograded" / student / SET / f"{SET}.ipynb"


def mark(root: Path, student: str, grading: dict | None, report: str | None = None) -> None:
    """Write what grading says of a submission into its autograded notebook."""
    path = autograded(root, student)
    notebook = nbformat.from_dict(json.loads(path.read_text(encoding="utf-8")))
    if grading is not None:
        notebook.metadata["grading"] = grading
    if report is not None:
        notebook.cells.insert(0, new_markdown_cell(report, metadata={"grading": "report"}))
    write(notebook, path)

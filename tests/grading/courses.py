"""Courses in folders of their own, for tests: this one's problem sets, and a course unlike it."""

import shutil
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell
from nbgrader.api import Gradebook
from nbgrader.coursedir import CourseDirectory
from traitlets.config.loader import PyFileConfigLoader

ROOT = Path(__file__).parents[2]
SETS = sorted(folder.name for folder in (ROOT / "solutions").glob("ps*"))


def course_directory(root: Path, assignment: str) -> CourseDirectory:
    """nbgrader's view of a course folder, by the course's own configuration file."""
    config = PyFileConfigLoader("nbgrader_config.py", path=str(root)).load_config()
    return CourseDirectory(config=config, root=str(root), assignment_id=assignment)


def scores(root: Path, assignment: str) -> dict[str, dict[str, float | None]]:
    """The points that the gradebook has, by student and cell."""
    with Gradebook(course_directory(root, assignment).db_url) as gradebook:
        return {
            submission.student.id: {
                grade.name: grade.auto_score
                for entry in submission.notebooks
                for grade in entry.grades
            }
            for submission in gradebook.assignment_submissions(assignment)
        }


def copy_problem_sets(root: Path) -> Path:
    """The problem sets of this course, in a course folder without a gradebook yet."""
    shutil.copy(ROOT / "nbgrader_config.py", root)
    shutil.copytree(ROOT / "solutions", root / "solutions")
    return root


# What else nbgrader allows in an assignment: several notebooks and files, graded by hand or not
# managed at all.

GENERAL = "week 1"


def nbgrader(grade_id, **options):
    """The metadata by which nbgrader knows a cell."""
    flags = {"grade": False, "solution": False, "locked": False, "task": False}
    return {"nbgrader": {"grade_id": grade_id, "schema_version": 3} | flags | options}


def first():
    """Code, with cells that nbgrader does not manage."""
    return new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        cells=[
            new_code_cell("import math", metadata={"tags": ["setup"]}),
            new_markdown_cell("# Circles", metadata=nbgrader("intro", locked=True)),
            new_code_cell("TAU = 2 * math.pi", metadata=nbgrader("constants", locked=True)),
            new_code_cell(
                "%matplotlib inline\n### BEGIN SOLUTION\narea = lambda r: TAU / 2 * r**2\n"
                "### END SOLUTION",
                metadata=nbgrader("area", solution=True),
            ),
            new_code_cell(
                "assert area(0) == 0\n### BEGIN HIDDEN TESTS\nassert area(2) == 2 * TAU\n"
                "### END HIDDEN TESTS",
                metadata=nbgrader("area-test", grade=True, locked=True, points=2),
            ),
            new_raw_cell("notes of mine", metadata=nbgrader("no-longer-managed")),
            new_code_cell("# try things here"),
        ],
    )


def second():
    """Answers that a person grades."""
    return new_notebook(
        cells=[
            new_markdown_cell(
                "Because it is.",
                metadata=nbgrader("why", grade=True, solution=True, points=3),
            ),
            new_markdown_cell("### Draw a circle", metadata=nbgrader("text", locked=True)),
            new_code_cell(
                "### BEGIN SOLUTION\npicture = 'O'\n### END SOLUTION",
                metadata=nbgrader("draw", grade=True, solution=True, points=1),
            ),
            new_markdown_cell(
                "Look at [your data](data.csv) in any way you like.\n"
                "### BEGIN MARK SCHEME\n2 for a picture\n### END MARK SCHEME",
                metadata=nbgrader("look", task=True, locked=True, points=4),
            ),
            new_code_cell("1 + 1"),
        ]
    )


def write_general_course(root: Path) -> Path:
    """A course folder with that assignment, its notebooks in a format without cell ids."""
    (root / "nbgrader_config.py").write_text(
        "c = get_config()\nc.CourseDirectory.course_id = 'g'\n"
    )
    source = root / "source" / GENERAL
    (source / "lib").mkdir(parents=True)
    (source / "data.csv").write_bytes(b"r\n1\n\xff")
    (source / "lib" / "helper.py").write_text("R = 1\n")
    for name, notebook in {"first": first(), "second": second()}.items():
        notebook.nbformat_minor = 4
        for cell in notebook.cells:
            del cell["id"]
        nbformat.write(notebook, source / f"{name}.ipynb")
    return root

"""A course of one small assignment, to be handed in in many ways."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import nbformat
from grading.courses import ROOT, course_directory, nbgrader
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.api import Gradebook

from course_lib.grading.release import Release, load_releases

TINY = "tiny"
RIGHT = {"double": "def double(n):\n    return 2 * n", "half": "def half(n):\n    return n / 2"}
WRONG = {"double": "def double(n):\n    return n + n + 1"}


def source():
    """Two tasks with tests, and a question that a person grades."""
    tests = {
        "double": "assert double(1) == 2\n### BEGIN HIDDEN TESTS\n"
        "assert double(21) == 42\n### END HIDDEN TESTS",
        "half": "assert half(int(open('data/number.txt').read())) == 2",
    }
    cells = [new_markdown_cell("# Tiny", metadata=nbgrader("title", locked=True))]
    for name, test in tests.items():
        answer = f"### BEGIN SOLUTION\n{RIGHT[name]}\n### END SOLUTION"
        locked = nbgrader(f"{name}-test", grade=True, locked=True, points=2)
        cells += [
            new_code_cell(answer, metadata=nbgrader(name, solution=True)),
            new_code_cell(test, metadata=locked),
        ]
    cells.append(
        new_markdown_cell("Why?", metadata=nbgrader("why", grade=True, solution=True, points=3))
    )
    for cell in cells:
        cell.id = cell.metadata["nbgrader"]["grade_id"]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


class Handed:
    """A submission's folder, to be filled."""

    def __init__(self, folder: Path, release: Release):
        self.folder = folder
        self.release = release
        folder.mkdir(parents=True)

    def answered(self, answers: Mapping[str, str] = RIGHT):
        """The notebook as it was released, with answers by grade_id."""
        notebook = new_notebook(metadata=self.release.metadata)
        for cell in self.release.cells:
            new_cell = new_code_cell if cell.cell_type == "code" else new_markdown_cell
            source = answers.get(cell.grade_id, cell.released)
            metadata = nbformat.from_dict(cell.metadata)
            notebook.cells.append(new_cell(source, id=cell.grade_id, metadata=metadata))
        return notebook

    def notebook(self, notebook=None, name=f"{TINY}.ipynb") -> None:
        """Hand a notebook in, the right answers where none is given."""
        nbformat.write(notebook or self.answered(), self.folder / name)

    def bytes(self, data: bytes, name=f"{TINY}.ipynb") -> None:
        """Hand in any file."""
        (self.folder / name).write_bytes(data)


def write_course(root: Path) -> Path:
    """A course by this course's own configuration, with an assignment due in 2030; who is late
    loses everything."""
    root.mkdir(parents=True, exist_ok=True)
    config = (ROOT / "nbgrader_config.py").read_text()
    (root / "nbgrader_config.py").write_text(
        f'{config}\nc.LateSubmissionPlugin.penalty_method = "zero"\n'
    )
    folder = root / "solutions" / TINY
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "number.txt").write_text("4")
    nbformat.write(source(), folder / f"{TINY}.ipynb")
    _release(root)  # it is in the gradebook then
    with Gradebook(configured(root).db_url) as gradebook:
        gradebook.update_or_create_assignment(TINY, duedate="2030-01-01 00:00:00 UTC")
    return root


def configured(root: Path, **traits):
    """nbgrader's view of the course."""
    course = course_directory(root, TINY)
    for name, value in traits.items():
        setattr(course, name, value)
    return course


def hand_in(root: Path, student: str) -> Handed:
    """A new submission."""
    return Handed(root / "submitted" / student / TINY, _release(root))


@cache
def _release(root: Path) -> Release:
    return load_releases(configured(root))[TINY]

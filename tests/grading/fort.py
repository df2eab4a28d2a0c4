"""A small assignment to be attacked: functions, a data file, hidden tests, partial credit, a test
that lends a function of its own, one in a block of the learner's, one that trusts what it imports
and expects an error, and an answer that a person grades."""

from collections.abc import Mapping
from pathlib import Path

import nbformat
from grading.courses import course_directory, nbgrader
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from course_lib.grading.release import Release, load_releases

ASSIGNMENT = "fort"

HONEST: Mapping[str, str] = {
    "square": "def square(n):\n    return n * n",
    "evens": "def evens(numbers):\n    return [n for n in numbers if n % 2 == 0]",
    "twice": "def twice(function, n):\n    return function(function(n))",
    "greeting": "def greeting(name):\n    return f'Hello, {name}!'",
    "total": "def total(path):\n    with open(path) as lines:\n        return sum(map(int, lines))",
    "pages": "class pages:\n    def __enter__(self):\n        return 3\n\n"
    "    def __exit__(self, *error):\n        pass",
    "root": "def root(n):\n    if n < 0:\n        raise ValueError('none')\n    return n**0.5",
}
"""Right answers, by grade_id, in the order of the notebook."""

SECRET = 987654321
"""Stands in hidden tests alone."""

_SETUP = "from math import *\nSUM = 6"

_TESTS = {
    "square": (
        2,
        "assert square(3) == 9\n"
        "### BEGIN HIDDEN TESTS\n"
        f"assert square(-4) == 16 and {SECRET**2} == square({SECRET})\n"
        "### END HIDDEN TESTS",
    ),
    "evens": (
        2,
        "points = 0\n"
        "points += evens([1, 2, 3, 4]) == [2, 4]\n"
        "### BEGIN HIDDEN TESTS\n"
        "points += evens([]) == []\n"
        "### END HIDDEN TESTS\n"
        "points",
    ),
    "twice": (1, "assert twice(lambda n: n + 2, 1) == 5 and twice(abs, -3) == 3"),
    "greeting": (
        1,
        "cases = {'Ada': 'Hello, Ada!', 'Grace': 'Hello, Grace!'}\n"
        "def is_right(name):\n    return greeting(name) == cases[name]\n"
        "assert all(map(is_right, cases))\n"
        "assert 'Alan' in greeting('Alan')",
    ),
    "total": (1, "assert total('numbers.txt') == SUM"),
    "pages": (1, "with pages() as count:\n    assert [*range(count)] == [0, 1, 2]"),
    "root": (
        1,
        "assert isclose(root(9), 3) and abs(root(2) ** 2 - 2) < 1e-9\n"
        "try:\n    root(-1)\nexcept Exception:\n    pass\n"
        "else:\n    raise AssertionError('a negative number has no root')",
    ),
}

FULL: Mapping[str, float | None] = {
    **{f"{name}-test": float(points) for name, (points, _) in _TESTS.items()},
    "essay": None,  # a person gives its points
}
"""What right answers earn, by grade_id."""


def write_fort(root: Path) -> Release:
    """The assignment, in a course folder of its own."""
    source = root / "source" / ASSIGNMENT
    source.mkdir(parents=True)
    (root / "nbgrader_config.py").write_text("c = get_config()\n")
    (source / "numbers.txt").write_text("1\n2\n3\n")
    cells = [new_code_cell(_SETUP, metadata=nbgrader("setup", locked=True))]
    for name, answer in HONEST.items():
        points, tests = _TESTS[name]
        solution = f"### BEGIN SOLUTION\n{answer}\n### END SOLUTION"
        cells += [
            new_code_cell(solution, metadata=nbgrader(name, solution=True)),
            new_code_cell(
                tests, metadata=nbgrader(f"{name}-test", grade=True, locked=True, points=points)
            ),
        ]
    essay = nbgrader("essay", grade=True, solution=True, points=3)
    cells.append(new_markdown_cell("Why?", metadata=essay))
    nbformat.write(new_notebook(cells=cells), source / f"{ASSIGNMENT}.ipynb")
    return load_releases(course_directory(root, ASSIGNMENT))[ASSIGNMENT]


def handed_in(release: Release, answers: Mapping[str, str] = HONEST) -> NotebookNode:
    """What a learner who fills these answers into the released notebook hands in."""
    notebook = new_notebook(metadata=release.metadata)
    for cell in release.cells:
        new_cell = new_code_cell if cell.cell_type == "code" else new_markdown_cell
        source = answers.get(cell.grade_id, cell.released)
        if cell.grade_id == "essay":
            source = "Because."
        notebook.cells.append(new_cell(source, metadata=cell.metadata))
    return notebook

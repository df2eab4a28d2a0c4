"""A class of the learner's that extends one of the tests': its objects live with the tests, its
methods run in the jail."""

import nbformat
import pytest
from grading.courses import course_directory, nbgrader
from nbformat.v4 import new_code_cell, new_notebook

from course_lib.grading.release import load_releases
from course_lib.grading.unit import Grader, Options, Submission

SET = "shelf"

GIVEN = "from collections import UserList"

RIGHT = """
class Shelf(UserList):
    def __init__(self, most):
        super().__init__()
        self.most = most

    def put(self, book):
        if len(self.data) == self.most:
            self.pop(0)
        self.append(book)
        return len(self)
"""

TESTS = {
    "methods": "shelf = Shelf(2)\nassert [shelf.put(n) for n in (1, 2, 3)] == [1, 2, 2]",
    "state": "assert shelf.data == [2, 3] and shelf.most == 2",
    "base": "shelf.append(4)\nassert len(shelf) == 3 and 4 in shelf",
    "equality": "assert shelf == [2, 3, 4] and shelf != [2]",
}
FULL = dict.fromkeys(TESTS, 1.0)


@pytest.fixture(scope="module")
def grade(tmp_path_factory):
    """``grade(answer)``: the points for each test, and the names of what was found."""
    root = tmp_path_factory.mktemp("course")
    (root / "nbgrader_config.py").write_text("c = get_config()\n")
    source = root / "source" / SET
    source.mkdir(parents=True)
    solution = f"### BEGIN SOLUTION{RIGHT}### END SOLUTION"
    cells = [
        new_code_cell(GIVEN, metadata=nbgrader("given", locked=True)),
        new_code_cell(solution, metadata=nbgrader("answer", solution=True)),
    ]
    cells += [
        new_code_cell(test, metadata=nbgrader(name, grade=True, locked=True, points=1))
        for name, test in TESTS.items()
    ]
    nbformat.write(new_notebook(cells=cells), source / f"{SET}.ipynb")
    release = load_releases(course_directory(root, SET))[SET]

    def grade(answer):
        cells = [
            new_code_cell(
                answer if cell.grade_id == "answer" else cell.released, metadata=cell.metadata
            )
            for cell in release.cells
        ]
        data = nbformat.writes(new_notebook(cells=cells), version=4).encode()
        row = grader.grade(Submission("ada", data))
        return dict(row.scores), {finding.name for finding in row.findings}

    with Grader(release, Options(cell_s=5, call_s=3)) as grader:
        yield grade


@pytest.mark.jail
def test_what_it_inherits_happens_with_the_tests(grade):
    assert grade(RIGHT) == (FULL, set())


@pytest.mark.jail
def test_a_wrong_method_costs_what_depends_on_it(grade):
    wrong = RIGHT.replace("self.pop(0)", "self.pop()")
    assert grade(wrong) == ({**FULL, "state": 0, "equality": 0}, set())


@pytest.mark.jail
def test_it_has_no_say_in_how_its_objects_compare_and_what_they_have(grade):
    """Each of these claims what the tests want to see, and does nothing of it."""
    claims = """
    def put(self, book):
        return min(book, 2)

    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return True

    def __contains__(self, book):
        return True

    def __getattribute__(self, name):
        return [2, 3] if name == "data" else super().__getattribute__(name)
    """
    head = RIGHT.partition("    def put")[0]
    scores, _ = grade(head + claims)
    assert scores == {**FULL, "state": 0, "base": 0, "equality": 0}

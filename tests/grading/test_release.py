"""What a teacher gave out, as nbgrader makes it: the same text, points, names and files."""

import json
import os
import shutil
from dataclasses import replace

import nbformat
import pytest
from grading.courses import GENERAL, ROOT, SETS, course_directory, nbgrader
from nbformat.v4 import new_code_cell, new_notebook
from nbgrader.api import Gradebook

from course_lib.checks.registry import problem_sets as defined_sets
from course_lib.grading.release import Release, ReleaseError, load_releases, names_bound


@pytest.mark.parametrize("name", SETS)
def test_cells_are_those_that_learners_get(releases, name):
    given_out = nbformat.read(ROOT / "exercises" / name / f"{name}.ipynb", as_version=4)
    release = releases[name]
    assert [cell.released for cell in release.cells] == [cell.source for cell in given_out.cells]
    assert release.metadata == given_out.metadata


@pytest.mark.parametrize("name", SETS)
def test_source_and_points_are_the_gradebooks(problem_sets, releases, name):
    release = releases[name]
    course = course_directory(problem_sets, name)
    with Gradebook(course.db_url) as gradebook:
        notebook = gradebook.find_notebook(name, name)
        kept = {
            cell.name: (cell.source, cell.checksum, cell.locked) for cell in notebook.source_cells
        }
        points = {cell.name: cell.max_score for cell in notebook.grade_cells}
    assert {
        grade_id: (cell.source, cell.metadata["nbgrader"]["checksum"], cell.locked)
        for grade_id, cell in release.managed.items()
    } == kept
    assert {cell.grade_id: cell.points for cell in release.cells if cell.grade} == points
    assert sum(points.values()) == 15


@pytest.mark.parametrize("name", SETS)
def test_hidden_tests_and_solutions_stay_with_the_teacher(releases, name):
    for cell in releases[name].cells:
        assert "HIDDEN TESTS" not in cell.released
        assert "SOLUTION" not in cell.source + cell.released
        assert ("HIDDEN TESTS" in cell.source) == cell.grade
        of_the_teacher = cell.grade_id is not None and not cell.solution
        assert cell.runs_trusted == (cell.cell_type == "code" and of_the_teacher)


@pytest.mark.parametrize("name", SETS)
def test_what_is_graded_is_among_the_names_that_learners_bind(releases, name):
    tasks = {task.name for task in defined_sets()[name[:4]].tasks}
    assert tasks <= releases[name].learner_names


def test_names_come_from_the_solution_and_from_the_stub(releases):
    assert releases["ps03-containers"].learner_names == {
        "container_size",
        "executors_on_node",
        "heap_for",
        "executor_settings",
    }


def test_a_release_survives_being_sent(releases, general_releases):
    for release in (*releases.values(), *general_releases.values()):
        assert Release.from_json(release.to_json()) == release
        assert Release.from_json(release.to_json()).digest == release.digest


def test_the_digest_tells_releases_apart(releases):
    release = releases["ps04-heap-regions"]
    cell = next(cell for cell in release.cells if cell.grade)
    others = [
        replace(release, notebook="other"),
        replace(release, files={"data.csv": b"1"}),
        replace(release, files={"data.csv": b"2"}),
        replace(release, learner_names=release.learner_names | {"more"}),
        replace(release, cells=(*release.cells, cell)),
        replace(release, cells=(replace(cell, points=cell.points + 1),)),
        replace(release, cells=(replace(cell, source=cell.source + " "),)),
    ]
    assert len({one.digest for one in (release, *others)}) == 1 + len(others)


def test_loading_twice_makes_the_same_release(general_course, general_releases):
    again = load_releases(course_directory(general_course, GENERAL))
    assert again == general_releases  # though nbgrader draws new cell ids each time
    assert {one.digest for one in again.values()} == {
        one.digest for one in general_releases.values()
    }


def test_the_course_folder_stays_as_it_is_but_for_the_gradebook(general_course, general_releases):
    assert set(os.listdir(general_course)) == {"nbgrader_config.py", "source", "gradebook.db"}
    assert set(general_releases) == {"first", "second"}


def test_files_beside_the_notebooks_come_along(general_releases):
    for release in general_releases.values():
        assert release.files == {"data.csv": b"r\n1\n\xff", "lib/helper.py": b"R = 1\n"}


def test_cells_that_nbgrader_does_not_manage_have_no_name(general_releases):
    by_source = {cell.released: cell for cell in general_releases["first"].cells}
    assert by_source["import math"].grade_id is None
    assert by_source["import math"].metadata == {"tags": ["setup"]}
    assert by_source["notes of mine"].grade_id is None
    assert by_source["notes of mine"].metadata == {}
    assert by_source["TAU = 2 * math.pi"].runs_trusted
    assert general_releases["first"].learner_names == {"area"}


def test_imports_of_the_teachers_are_the_tests_own(general_releases, tmp_path):
    """A test may use what only a solution imports; that is no name for a learner's answer."""
    assert general_releases["first"].imports == "import math"
    folder = tmp_path / "source" / "a"
    folder.mkdir(parents=True)
    answer = (
        "%matplotlib inline\n### BEGIN SOLUTION\nimport numpy as np\nx = np.e\n### END SOLUTION"
    )
    cell = new_code_cell(answer, metadata=nbgrader("x", solution=True))
    nbformat.write(new_notebook(cells=[cell]), folder / "a.ipynb")
    (tmp_path / "nbgrader_config.py").write_text("c = get_config()\n")
    release = load_releases(course_directory(tmp_path, "a"))["a"]
    assert release.imports == "import numpy as np"
    assert release.learner_names == {"x"}


def test_answers_that_a_person_grades(general_releases):
    why, _, draw, look = general_releases["second"].managed.values()
    assert (why.grade, why.solution, why.locked, why.task) == (True, True, False, False)
    assert (draw.grade, draw.solution, draw.locked, draw.runs_trusted) == (True, True, False, False)
    assert (look.grade, look.solution, look.locked, look.task) == (False, False, True, True)
    assert (why.points, draw.points, look.points) == (3, 1, 4)
    assert why.source == why.released == "YOUR ANSWER HERE"
    assert "2 for a picture" in look.source
    assert "MARK SCHEME" not in look.released
    assert general_releases["second"].learner_names == {"picture"}


def test_pictures_in_the_teachers_cells_are_kept(general_course, tmp_path):
    root = tmp_path / "course"
    shutil.copytree(general_course, root)
    file = root / "source" / GENERAL / "second.ipynb"
    notebook = nbformat.read(file, as_version=4)
    notebook.cells[1]["attachments"] = {"circle.png": {"image/png": "iVBORw0KGgo="}}
    nbformat.write(notebook, file)
    release = load_releases(course_directory(root, GENERAL))["second"]
    assert release.managed["text"].attachments == {"circle.png": {"image/png": "iVBORw0KGgo="}}


def test_a_course_that_arranges_its_folders_otherwise(general_course, tmp_path):
    root = tmp_path / "course"
    (root / "courses" / "source").mkdir(parents=True)
    shutil.copytree(general_course / "source" / GENERAL, root / "courses" / "source" / GENERAL)
    (root / "nbgrader_config.py").write_text(
        "c = get_config()\n"
        "c.CourseDirectory.directory_structure = "
        "'courses/{nbgrader_step}/{student_id}/{assignment_id}'\n"
        "c.CourseDirectory.groupshared = True\n"
    )
    releases = load_releases(course_directory(root, GENERAL))
    assert set(releases) == {"first", "second"}
    assert set(os.listdir(root / "courses")) == {"source"}


def test_an_assignment_that_does_not_exist(general_course):
    with pytest.raises(ReleaseError, match=r"No notebooks were matched by .*week 2"):
        load_releases(course_directory(general_course, "week 2"))


def test_no_assignment_named(general_course):
    with pytest.raises(ReleaseError, match="has no assignment_id"):
        load_releases(course_directory(general_course, ""))


def test_a_source_that_nbgrader_refuses_says_why(general_course, tmp_path):
    root = tmp_path / "course"
    shutil.copytree(general_course, root)
    file = root / "source" / GENERAL / "first.ipynb"
    document = json.loads(file.read_text())
    document["cells"].append(document["cells"][1])
    file.write_text(json.dumps(document))
    with pytest.raises(ReleaseError, match="Duplicate grade id: intro"):
        load_releases(course_directory(root, GENERAL))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a = b = c = 1", "a b c"),
        ("a, (b, *c) = [1, (2, 3)]", "a b c"),
        ("a += 1", "a"),
        ("a: int = 1", "a"),
        ("for a, b in x: c = a", "a b c"),
        ("with f() as a, g() as (b, c): d = 1", "a b c d"),
        ("import a, b.c, d.e as f\nfrom g import h, i as j", "a b f h j"),
        ("from g import *", ""),
        ("def f(x, y=(z := 1)):\n    w = 1", "f z"),
        ("async def f():\n    await g()", "f"),
        ("def f():\n    global a\n    a = 1", "f a"),
        ("class C(B):\n    x = 1\n    def m(self): pass", "C"),
        ("@(d := decorate)\nclass C: pass", "C d"),
        ("if (a := 1): pass\nwhile (b := 0): pass", "a b"),
        ("[x for x in y if (a := x)]", "a"),
        ("f = lambda x: (y := x)", "f"),
        ("a['k'] = 1\nb.c = 1\nd['k'].e[0] += 1\ndel g['k']", "a b d g"),
        ("f(x)['k'] = 1", ""),
        ("try:\n    a = 1\nexcept E as e:\n    b = 1\nfinally:\n    c = 1", "a b c"),
        (
            "match x:\n    case [a, *b]: pass\n    case {'k': c, **d}: pass\n    case e: pass",
            "a b c d e",
        ),
        ("%matplotlib inline\na = 1", "a"),
        ("a = !ls\nb = %pwd", "a b"),
        ("%%time\na = 1", "a"),
        ("%%bash\nls -l", ""),
        ("def f(x):\n    # YOUR CODE HERE", ""),
        ("this is no Python", ""),
        ("a = '\0'", ""),
        ("", ""),
    ],
)
def test_names_that_code_binds_at_top_level(text, names):
    assert names_bound(text) == frozenset(names.split())

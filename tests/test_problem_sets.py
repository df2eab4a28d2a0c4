"""Every problem set as files: the student version is up to date, and grading gives complete
answers full marks, untouched ones nothing, and misconceptions their feedback, with the points that
nbgrader by itself gives."""

import csv
import html
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from answers import as_given_to, source, tried_out
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde, GenerateAssignment
from nbgrader.coursedir import CourseDirectory
from traitlets.config.loader import PyFileConfigLoader

from course_lib import assignments
from course_lib.checks import PersonalTask, PredictionTask, find_task, problem_sets
from course_lib.checks.trials import remembering
from course_lib.grading.steps import run_step

ROOT = Path(__file__).parents[1]
FOLDERS = sorted(folder.name for folder in (ROOT / "solutions").glob("ps*"))


def notebook(folder):
    return nbformat.read(folder / f"{folder.name}.ipynb", as_version=4)


def the_set(name):
    return problem_sets()[name.split("-")[0]]


def graded_cells(name):
    """The graded cells of the solutions, by the full name of their task."""
    cells = notebook(ROOT / "solutions" / name).cells
    graded = [cell for cell in cells if cell.metadata.get("nbgrader", {}).get("grade")]
    return {re.search(r'check\("(.+?)"', cell.source)[1]: cell for cell in graded}


def tasks(name, student):
    """The tasks of a set as a student has them."""
    return [as_given_to(student, task) for task in the_set(name).tasks]


def handed_in_by(student, notebook):
    """A notebook in which its learner has written who they are, where it asks."""
    for cell in notebook.cells:
        cell.source = re.sub(r"^learner_id = .*", f'learner_id = "{student}"', cell.source)
    return notebook


def seed(name, task):
    cell = graded_cells(name)[f"{the_set(name).short_name}/{task.name}"]
    found = re.search(r"seed=(\d+)\)", cell.source)
    return int(found[1]) if found else 0


def course(folder):
    """A course of its own, with the solutions and nothing else."""
    shutil.copy(ROOT / "nbgrader_config.py", folder)
    shutil.copytree(ROOT / "solutions", folder / "solutions")
    return folder


def test_folders_and_definitions_belong_together():
    assert [one.name for one in problem_sets().values()] == FOLDERS


def test_the_student_version_is_what_the_solutions_yield(tmp_path):
    assignments.release(course(tmp_path))
    made, committed = (
        {
            file.relative_to(folder): file.read_bytes()
            for file in folder.rglob("*")
            if file.is_file() and ".ipynb_checkpoints" not in file.parts
        }
        for folder in (tmp_path / "exercises", ROOT / "exercises")
    )
    assert made.keys() == committed.keys(), "python -m course_lib release"
    for file in made:
        assert made[file] == committed[file], f"{file}: run python -m course_lib release"


@pytest.mark.parametrize("name", FOLDERS)
def test_a_set_has_one_graded_cell_for_each_task_with_its_points(name):
    one = the_set(name)
    points = {full: cell.metadata.nbgrader.points for full, cell in graded_cells(name).items()}
    assert points == {f"{one.short_name}/{task.name}": task.points for task in one.tasks}
    for full, cell in graded_cells(name).items():
        _, visible, hidden = re.split(
            r"^(?=check\()|^### BEGIN HIDDEN TESTS$", cell.source, flags=re.M
        )
        personal = isinstance(find_task(full), PersonalTask)
        own = ", learner_id=learner_id" if personal else ""
        assert visible.strip() == f'check("{full}"{own})'
        assert f'grade("{full}"{own}' in hidden


@pytest.mark.parametrize("name", FOLDERS)
def test_the_student_version_has_no_solutions_hidden_tests_or_outputs(name):
    for cell in notebook(ROOT / "exercises" / name).cells:
        assert "SOLUTION" not in cell.source
        assert "HIDDEN" not in cell.source
        assert "grade(" not in cell.source
        assert not cell.get("outputs")


# The round trip: one submission complete, one untouched, and as many as it takes for each
# misconception to occur in one, with one for each task at a time.


def with_answers(name, texts):
    """The student version with these answers, by task name, instead of the stubs."""
    answered = notebook(ROOT / "exercises" / name)
    stubs = [c for c in answered.cells if c.metadata.get("nbgrader", {}).get("solution")]
    for task_name, text in texts.items():
        [stub] = [c for c in stubs if re.search(rf"^(def |class )?{task_name}\b", c.source, re.M)]
        stub.source = text
    return answered


def wrong_answers(name, number):
    """Each task's misconception of that number, where it has so many, and the text of an answer
    that shows it, both by task name. Of tasks that are tried out on real Spark, the first one is
    enough here: tests/checks tries them all.
    """
    theirs = tasks(name, f"misconceptions-{number}")
    if number > 0:
        theirs = [task for task in theirs if not tried_out(task)]
    shown = {
        task.name: task.misconceptions[number]
        for task in theirs
        if number < len(task.misconceptions)
    }
    texts = {
        task.name: source(task, shown[task.name].compute, seed(name, task))
        for task in theirs
        if task.name in shown
    }
    return shown, texts


def submissions(name):
    most = max(len(task.misconceptions) for task in tasks(name, "anybody"))
    return [f"misconceptions-{number}" for number in range(most)]


@pytest.fixture(scope="module", params=FOLDERS)
def graded(request, tmp_path_factory):
    """A course in which nbgrader has graded all those submissions, and the grades."""
    name = request.param
    root = course(tmp_path_factory.mktemp(name))
    submitted = root / "submitted"
    for student, folder in (("complete", "solutions"), ("untouched", "exercises")):
        shutil.copytree(ROOT / folder / name, submitted / student / name)
    complete = handed_in_by("complete", notebook(ROOT / "solutions" / name))
    nbformat.write(complete, submitted / "complete" / name / f"{name}.ipynb")
    for number, student in enumerate(submissions(name)):
        folder = submitted / student / name
        folder.mkdir(parents=True)
        answered = handed_in_by(student, with_answers(name, wrong_answers(name, number)[1]))
        nbformat.write(answered, folder / f"{name}.ipynb")
    with remembering():  # what passes here need not be tried again with nbgrader by itself
        yield root, name, {one.student: one for one in assignments.grade(root, name).grades}


def feedback_page(root, name, student):
    return (root / "feedback" / student / name / f"{name}.html").read_text()


@pytest.mark.jail
def test_a_complete_submission_has_full_marks(graded):
    root, name, grades = graded
    assert grades["complete"].points == grades["complete"].max_points > 0
    assert grades["complete"].max_points == sum(task.points for task in the_set(name).tasks)
    page = feedback_page(root, name, "complete")
    for task in the_set(name).tasks:
        assert f"{task.title}: right ({task.points:g} of {task.points:g} points)" in page


@pytest.mark.jail
def test_an_untouched_submission_has_no_points_and_shows_no_traceback(graded):
    root, name, grades = graded
    assert grades["untouched"].points == 0
    page = feedback_page(root, name, "untouched")
    assert page.count("not attempted yet (0 of") == len(the_set(name).tasks)
    shown = re.sub(r"<style.*?</style>", "", page, flags=re.S)
    assert "Traceback" not in shown


def by_nbgrader_alone(root, name, folder, students):
    """Their points for each task, by student and cell, as nbgrader's own Autograde gives them."""
    alone = course(folder)
    for student in students:
        shutil.copytree(root / "submitted" / student / name, alone / "submitted" / student / name)
    config = PyFileConfigLoader("nbgrader_config.py", path=str(alone)).load_config()
    config.pop("Autograde", None)  # as a course without these plug-ins
    coursedir = CourseDirectory(config=config, assignment_id=name)
    run_step(GenerateAssignment, coursedir, config)
    run_step(Autograde, coursedir, config)
    return points(coursedir.db_url, name, students)


def points(db_url, name, students):
    with Gradebook(db_url) as gradebook:
        return {
            student: {
                grade.name: (grade.auto_score, grade.needs_manual_grade)
                for grade in gradebook.find_submission_notebook(name, name, student).grades
            }
            for student in students
        }


@pytest.mark.jail
def test_the_points_are_those_that_nbgrader_by_itself_gives(graded, tmp_path):
    root, name, _ = graded
    # Of those with misconceptions the one in which none has to be tried out on Spark once more.
    students = ["complete", "untouched", "misconceptions-1"]
    alone = by_nbgrader_alone(root, name, tmp_path, students)
    assert points(f"sqlite:///{root}/gradebook.db", name, students) == alone


@pytest.mark.jail
def test_no_submission_ends_a_cell_with_an_error_or_writes_to_stderr(graded):
    root, name, grades = graded
    for student in grades:
        for cell in notebook(root / "autograded" / student / name).cells:
            for output in cell.get("outputs", []):
                assert output.output_type != "error", (student, output)
                assert output.get("name") != "stderr", (student, output)


@pytest.mark.jail
def test_each_misconception_costs_its_points_and_is_named_in_the_feedback(graded):
    root, name, grades = graded
    for number, student in enumerate(submissions(name)):
        page = html.unescape(re.sub(r"</?code>", "`", feedback_page(root, name, student)))
        results = {r.cell: r for r in assignments.results(root, name, student)}
        shown, _ = wrong_answers(name, number)
        for task in tasks(name, student):
            cell = graded_cells(name)[f"{the_set(name).short_name}/{task.name}"]
            result = results[cell.metadata.nbgrader.grade_id]
            if isinstance(task, PredictionTask):
                assert result.points < task.points, (student, task.name)
            else:
                assert result.points == 0, (student, task.name)
            if task.name in shown:
                assert shown[task.name].says in page, (student, task.name)
        assert grades[student].points < grades[student].max_points


@pytest.mark.jail
def test_the_grades_are_exported(graded):
    root, name, grades = graded
    with (root / "grades.csv").open() as file:
        rows = {row["student_id"]: row for row in csv.DictReader(file)}
    assert rows.keys() == grades.keys()
    assert {row["assignment"] for row in rows.values()} == {name}
    assert {student: float(row["score"]) for student, row in rows.items()} == {
        student: one.points for student, one in grades.items()
    }

"""The proof of every problem set's checks, made from its definition: right answers pass, untouched
ones are not attempted, and each misconception is rejected and named."""

import inspect

import pytest
from answers import answer, as_given_to, tried_out

from course_lib.checks import (
    ClassTask,
    PersonalTask,
    PredictionTask,
    ProgramTask,
    Status,
    Task,
    check,
    find_task,
    grade,
    problem_sets,
)
from course_lib.checks.trials import remembering

SEEDS = (0, 1, 2)

LEARNER = "ada"

TASKS = [
    pytest.param(as_given_to(LEARNER, task), id=f"{short_name}/{task.name}")
    for short_name, one in problem_sets().items()
    for task in one.tasks
]
MISCONCEPTIONS = [
    pytest.param(*task.values, misconception, id=f"{task.id}: {misconception.name}")
    for task in TASKS
    for misconception in task.values[0].misconceptions
]


def seeds(task) -> tuple[int, ...]:
    # Trying answers out takes real JVMs: one seed is enough for those.
    return SEEDS[:1] if tried_out(task) else SEEDS


@pytest.mark.parametrize("short_name", problem_sets())
def test_a_problem_set_has_three_to_five_tasks_with_names_of_their_own(short_name):
    tasks = problem_sets()[short_name].tasks
    assert 3 <= len(tasks) <= 5
    assert len({task.name for task in tasks}) == len(tasks)
    assert problem_sets()[short_name].short_name == short_name


@pytest.mark.parametrize("short_name", problem_sets())
def test_a_problem_set_has_tasks_graded_by_their_effect(short_name):
    """One at least, and two where learners tune real jobs: from problem set 10 on."""
    tasks = [as_given_to(LEARNER, task) for task in problem_sets()[short_name].tasks]
    assert sum(map(tried_out, tasks)) >= (2 if short_name >= "ps10" else 1)


PERSONAL = [
    pytest.param(task, id=f"{short_name}/{task.name}")
    for short_name, one in problem_sets().items()
    for task in one.tasks
    if isinstance(task, PersonalTask)
]


@pytest.mark.parametrize("task", PERSONAL)
def test_numbers_belong_to_their_learner(task):
    assert task.numbers("ada") == task.numbers(" ada ") != task.numbers("grace")
    mine = task.of("ada")
    assert (mine.name, mine.title, mine.points) == (task.name, task.title, task.points)


@pytest.mark.parametrize("task", TASKS)
def test_misconceptions_are_enough_and_each_says_something_of_its_own(task):
    assert len(task.misconceptions) >= (
        4 if isinstance(task, Task | ClassTask | ProgramTask) else 1
    )
    for texts in ([m.name for m in task.misconceptions], [m.says for m in task.misconceptions]):
        assert len(set(texts)) == len(texts)
        assert all(texts)


@pytest.mark.parametrize("task", TASKS)
def test_the_reference_passes(task):
    for seed in seeds(task):
        right = answer(task, task.reference, seed)
        with remembering():  # what both try out is the same
            checked = task.check(right)
            graded = task.grade(right, seed)
        assert checked.status is Status.RIGHT, str(checked)
        assert graded.status is Status.RIGHT, str(graded)
        assert graded.points == graded.max_points == task.points
        assert repr(graded) == repr(float(task.points))


def _written_later(spark, path):
    """A docstring, and nothing else."""


@pytest.mark.parametrize("untouched", [None, ...])
@pytest.mark.parametrize("task", TASKS)
def test_what_is_untouched_is_not_attempted_yet(task, untouched):
    values = [untouched]
    if isinstance(task, Task):

        def stub(*_arguments):
            return untouched

        def stub_that_raises(*_arguments):
            raise NotImplementedError

        values += [stub, stub_that_raises]
    elif isinstance(task, ProgramTask):
        values.append(answer(task, _written_later, 0))
    elif isinstance(task, ClassTask):
        values.append(type(task.name, (task.base,), {"spill": lambda *_arguments: untouched}))
    else:
        values.append(dict.fromkeys(task.reference(), untouched))
    for value in values:
        for feedback in (task.check(value), task.grade(value, 0)):
            assert feedback.status is Status.NOT_ATTEMPTED
            assert feedback.points == 0
            assert "not attempted yet" in str(feedback)


@pytest.mark.parametrize(("task", "misconception"), MISCONCEPTIONS)
def test_each_misconception_is_rejected_and_named(task, misconception):
    for seed in seeds(task):
        wrong = answer(task, misconception.compute, seed)
        if isinstance(task, PredictionTask):
            wrong = task.reference() | wrong
        feedback = task.grade(wrong, seed)
        assert feedback.points < task.points
        assert misconception.name in feedback.misconceptions, str(feedback)
        assert any(misconception.says in sentence for sentence in feedback.says)
        if not isinstance(task, PredictionTask):
            assert feedback.points == 0
            assert feedback.misconceptions == (misconception.name,), str(feedback)


@pytest.mark.parametrize(
    ("task", "misconception"), [m for m in MISCONCEPTIONS if isinstance(m.values[0], Task)]
)
def test_the_visible_check_never_names_another_misconception(task, misconception):
    feedback = task.check(answer(task, misconception.compute, 0))
    if feedback.status is not Status.RIGHT:
        assert misconception.name in feedback.misconceptions, str(feedback)


@pytest.mark.parametrize("task", [t for t in TASKS if isinstance(t.values[0], Task)])
def test_inputs_belong_to_their_seed_and_go_beyond_the_examples(task):
    assert task.inputs(1) == task.inputs(1)
    assert task.inputs(1) != task.inputs(2)
    assert len(task.inputs(1)) > len(task.examples)


@pytest.mark.parametrize("task", [t for t in TASKS if isinstance(t.values[0], Task)])
def test_answers_that_call_the_courses_own_code_earn_nothing(task):
    for borrowed in (task.reference, lambda *arguments: task.reference(*arguments)):
        feedback = task.grade(borrowed, 0)
        assert feedback.points == 0
        assert "the course's own code" in str(feedback)


@pytest.mark.parametrize("task", [t for t in TASKS if isinstance(t.values[0], Task)])
def test_the_references_arguments_have_the_names_that_feedback_shows(task):
    parameters = inspect.signature(task.reference).parameters
    assert all(len(arguments) == len(parameters) for arguments in task.inputs(0))


def test_check_and_grade_find_the_answer_in_the_notebook_that_calls_them():
    task = find_task("ps04/regions")
    notebook = {"check": check, "grade": grade}
    exec("untouched = check('ps04/regions')", notebook)
    assert notebook["untouched"].status is Status.NOT_ATTEMPTED
    notebook["regions"] = answer(task, task.reference, 7)
    exec("right = check('ps04/regions'); points = grade('ps04/regions', seed=7)", notebook)
    assert notebook["right"].status is Status.RIGHT
    assert repr(notebook["points"]) == "4.0"
    assert check("ps04/regions", notebook["regions"]).status is Status.RIGHT


def test_an_unknown_task_is_named_with_those_there_are():
    with pytest.raises(KeyError, match=r"ps04/regoins.*ps04/regions"):
        check("ps04/regoins")

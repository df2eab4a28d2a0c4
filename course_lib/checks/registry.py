"""The problem sets, found by the names of their modules, and the two calls that notebooks make."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

from course_lib.checks.feedback import Feedback
from course_lib.checks.personal import PersonalTask
from course_lib.checks.programs import ProgramTask
from course_lib.checks.tasks import ClassTask, EffectTask, PredictionTask, Task

AnyTask = Task | ClassTask | PredictionTask | EffectTask | ProgramTask | PersonalTask

_IN_THE_NOTEBOOK = object()


@dataclass(frozen=True)
class ProblemSet:
    """A problem set: the folder's `name` ("ps04-heap-regions"), its `title` and its tasks."""

    name: str
    title: str
    tasks: tuple[AnyTask, ...]

    @property
    def short_name(self) -> str:
        """What comes before a task's name: "ps04"."""
        return self.name.split("-")[0]


@cache
def problem_sets() -> Mapping[str, ProblemSet]:
    """Every problem set by its short name: the PROBLEM_SET of each module called psNN."""
    modules = sorted(file.stem for file in Path(__file__).parent.glob("ps[0-9][0-9].py"))
    return {name: import_module(f"course_lib.checks.{name}").PROBLEM_SET for name in modules}


def find_task(name: str) -> AnyTask:
    """The task with that full name, such as "ps04/regions". Raises KeyError if there is none."""
    tasks = {
        f"{key}/{task.name}": task for key, one in problem_sets().items() for task in one.tasks
    }
    if name not in tasks:
        raise KeyError(f"no task is called {name!r}; there are {', '.join(tasks)}")
    return tasks[name]


def my_numbers(name: str, learner_id: str) -> Any:
    """A learner's numbers for a task such as "ps15/plan", drawn from the id.

    `learner_id` is the id under which a learner hands in. Raises ValueError for what is none.
    """
    return find_task(name).numbers(learner_id)


def check(name: str, answer: Any = _IN_THE_NOTEBOOK, *, learner_id: Any = None) -> Feedback:
    """Feedback on an answer, from the visible examples of a task such as "ps04/regions".

    Without an `answer`, what the notebook has defined under the task's name is checked: nothing
    under that name is an answer not attempted yet. `learner_id` is for tasks with numbers of the
    learner's own. Whatever the answer does, this does not raise.
    """
    task = find_task(name)
    judge = task.check
    if isinstance(task, PersonalTask):
        judge = partial(judge, learner_id=learner_id)
    return _judge(task, judge, answer, sys._getframe(1).f_globals)


def grade(
    name: str, answer: Any = _IN_THE_NOTEBOOK, *, seed: int = 0, learner_id: Any = None
) -> Feedback:
    """Points for an answer, from hidden inputs: what comes between an assignment's HIDDEN TESTS.

    `seed` decides which inputs are drawn. The last line of a graded cell has to be this call, since
    nbgrader reads the points from it.
    """
    task = find_task(name)
    judge = partial(task.grade, seed=seed)
    if isinstance(task, PersonalTask):
        judge = partial(judge, learner_id=learner_id)
    return _judge(task, judge, answer, sys._getframe(1).f_globals)


def _judge(task, judge, answer: Any, notebook: Mapping[str, Any]) -> Feedback:
    if answer is not _IN_THE_NOTEBOOK:
        return judge(answer)
    if task.name in notebook:
        return judge(notebook[task.name])
    says = f"There is no `{task.name}` in this notebook: run the cell that defines it."
    return replace(judge(None), says=(says,))

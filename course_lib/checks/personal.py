"""Tasks with numbers of the learner's own: drawn from an id, of equal difficulty for everybody."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from course_lib.checks.feedback import Feedback, Status
from course_lib.checks.programs import ProgramTask
from course_lib.checks.tasks import ClassTask, EffectTask, PredictionTask, Task
from course_lib.grading.proxies import STUDENT_VARIABLE


@dataclass(frozen=True, kw_only=True)
class PersonalTask:
    """A task of which each learner has another version, under one `name` in the notebook.

    ``draw(random)`` makes a learner's numbers, which the notebook gets through `my_numbers`;
    ``build(numbers)`` is the task with them, of the same name, title and points.
    """

    name: str
    title: str
    points: float
    draw: Callable[[Random], Any]
    build: Callable[[Any], Task | ClassTask | PredictionTask | EffectTask | ProgramTask]

    def numbers(self, learner_id: str) -> Any:
        """What a learner has been given. Raises ValueError for what is no id."""
        if not isinstance(learner_id, str) or not learner_id.strip():
            raise ValueError(
                'write the id under which you hand in, as learner_id = "ada", and run that cell; '
                f"it is {learner_id!r}"
            )
        return self.draw(Random(f"{self.title} {learner_id.strip()}"))

    def of(self, learner_id: str) -> Task | ClassTask | PredictionTask | EffectTask | ProgramTask:
        """The task with a learner's numbers."""
        return self.build(self.numbers(learner_id))

    def check(self, answer: Any, learner_id: Any = None) -> Feedback:
        """Feedback as on the task with the learner's numbers."""
        return self._judge(answer, learner_id, lambda task: task.check(answer), graded=False)

    def grade(self, answer: Any, seed: int, learner_id: Any = None) -> Feedback:
        """Feedback with points. Where a class is graded, the numbers are those of whoever handed
        in, whatever id the notebook names."""
        return self._judge(answer, learner_id, lambda task: task.grade(answer, seed), graded=True)

    def _judge(self, answer, learner_id, judge: Callable, graded: bool) -> Feedback:
        if answer is None or answer is ...:
            return self._not_attempted((), graded)
        submitted_by = _student()
        try:
            task = self.of(submitted_by or learner_id)
        except ValueError as error:
            return self._not_attempted((f"{error}.",), graded)
        feedback = judge(task)
        judged = feedback.status not in (Status.RIGHT, Status.NOT_ATTEMPTED)
        if judged and submitted_by and str(learner_id).strip() != submitted_by.strip():
            says = (
                f"This was handed in by {submitted_by!r} and has the numbers of {learner_id!r}: "
                "each learner's task has numbers of its own."
            )
            return replace(feedback, says=(says, *feedback.says))
        return feedback

    def _not_attempted(self, says: tuple[str, ...], graded: bool) -> Feedback:
        return Feedback(
            title=self.title,
            status=Status.NOT_ATTEMPTED,
            points=0.0,
            max_points=self.points,
            says=says,
            graded=graded,
        )


def _student() -> str | None:
    """Whose submission is being graded; None in a learner's own notebook."""
    if student := os.environ.get(STUDENT_VARIABLE):
        return student
    # nbgrader by itself runs a submission in autograded/<student>/<assignment>/.
    folder = Path.cwd().parent
    autograded = folder.parent.name == "autograded"
    if os.environ.get("NBGRADER_EXECUTION") == "autograde" and autograded:
        return folder.name
    return None

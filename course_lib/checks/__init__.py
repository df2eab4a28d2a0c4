"""Problem sets: their definitions, and what a learner is told about an answer.

How to write a set (``ps04.py`` is one to follow):

1. Write ``checks/psNN.py`` with a `PROBLEM_SET`: a `Task` for each function to write, a
   `ClassTask` for a class, a `PredictionTask` for values to predict, an `EffectTask` for settings
   to choose, a `ProgramTask` for a function of Spark code, which runs in a child process. Give each
   its reference and its misconceptions, at least four for a function or a class. Misconceptions and
   references may use the model; answers may not. Any of them may be in a `PersonalTask`, with
   numbers of the learner's own.
2. Write ``solutions/psNN-topic/psNN-topic.ipynb`` in JupyterLab, with nbgrader's cell metadata. A
   task takes two cells. The first is a solution cell, with ``### BEGIN SOLUTION`` and
   ``### END SOLUTION`` around what the student version shows as a comment: a function needs a
   docstring, and a dict comes first with ``...`` for its values, so that an untouched notebook
   runs from top to bottom without an error. The second is a graded cell with the task's points::

       from course_lib.checks import check
       check("psNN/name")
       ### BEGIN HIDDEN TESTS
       from course_lib.checks import grade
       grade("psNN/name", seed=…)
       ### END HIDDEN TESTS

   Of a `PersonalTask`, the notebook has an unlocked cell ``learner_id = "..."``, gets the numbers
   with ``my_numbers("psNN/name", learner_id)``, and says ``learner_id=learner_id`` in both calls.

3. Run ``python -m course_lib release`` for the student version in ``exercises/``.
4. Run ``tests/checks`` and ``tests/test_problem_sets.py``. They find the new set by themselves and
   prove it: the reference passes, an untouched stub is "not attempted yet", each misconception is
   rejected and named, and all of this again through nbgrader.
"""

from course_lib.checks.feedback import Feedback, Status
from course_lib.checks.personal import PersonalTask
from course_lib.checks.programs import ProgramTask
from course_lib.checks.reading import read_with, spark_setting
from course_lib.checks.registry import (
    ProblemSet,
    check,
    find_task,
    grade,
    my_numbers,
    problem_sets,
)
from course_lib.checks.tasks import (
    CannotCheckError,
    ClassTask,
    EdgeCase,
    Effect,
    EffectTask,
    Misconception,
    PredictionTask,
    Task,
)

__all__ = [
    "CannotCheckError",
    "ClassTask",
    "EdgeCase",
    "Effect",
    "EffectTask",
    "Feedback",
    "Misconception",
    "PersonalTask",
    "PredictionTask",
    "ProblemSet",
    "ProgramTask",
    "Status",
    "Task",
    "check",
    "find_task",
    "grade",
    "my_numbers",
    "problem_sets",
    "read_with",
    "spark_setting",
]

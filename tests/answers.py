"""Answers as a learner might hand them in, made from what a task defines as right or wrong."""

import inspect
import linecache
import textwrap
from collections.abc import Callable

from course_lib.checks import ClassTask, EffectTask, PersonalTask, ProgramTask, Task
from course_lib.checks.registry import AnyTask


def source(task: AnyTask, compute: Callable, seed: int) -> str:
    """Python text that answers `task` as `compute` does.

    A class, and a function of Spark code, becomes its own text, under the task's name. Any other
    function becomes a table of its results, for the inputs that belong to the seed: an answer must
    not call the course's own code.
    """
    if isinstance(task, ClassTask):
        text = inspect.getsource(compute).replace(compute.__name__, task.name, 1)
        return f"from {task.base.__module__} import {task.base.__name__}\n\n\n{text}"
    if isinstance(task, ProgramTask):
        text = textwrap.dedent(inspect.getsource(compute))
        return text.replace(f"def {compute.__name__}(", f"def {task.name}(", 1)
    if not isinstance(task, Task):
        return f"{task.name} = {dict(compute())!r}"
    table = {}
    for arguments in task.inputs(seed):
        try:
            table[repr(arguments)] = ("returns", compute(*arguments))
        except ValueError as refusal:
            table[repr(arguments)] = ("raises", str(refusal))
    return (
        f"_table_of_{task.name} = {table!r}\n"
        f"def {task.name}(*arguments):\n"
        f"    what, value = _table_of_{task.name}[repr(arguments)]\n"
        "    if what == 'raises':\n"
        "        raise ValueError(value)\n"
        "    return value\n"
    )


def answer(task: AnyTask, compute: Callable, seed: int):
    """What a notebook holds under the task's name after running that text."""
    return defined_in_a_cell(source(task, compute, seed))[task.name]


def defined_in_a_cell(text: str) -> dict:
    """What a cell of a notebook with that text defines. Its source can be read again, as there."""
    namespace = {}
    cell = f"<cell {abs(hash(text))}>"
    linecache.cache[cell] = (len(text), None, text.splitlines(keepends=True), cell)
    exec(compile(text, cell, "exec"), namespace)
    return namespace


def as_given_to(learner: str, task: AnyTask) -> AnyTask:
    """The task with the learner's own numbers, if it has such."""
    return task.of(learner) if isinstance(task, PersonalTask) else task


def tried_out(task: AnyTask) -> bool:
    """Whether an answer is judged by its effect, on real JVMs most of the time."""
    return isinstance(task, EffectTask | ProgramTask) or bool(getattr(task, "effect", None))

"""Functions of Spark code to write: their source runs in a child process, on real Spark.

Whatever such code does, happens there: it may exhaust a heap, never end, or write files. Where a
class is graded, the child is in a jail as the learner's kernel is.
"""

import ast
import json
import linecache
import os
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_lib.checks.feedback import Feedback, Status
from course_lib.checks.tasks import (
    CannotCheckError,
    Misconception,
    all_or_nothing,
    borrowed,
    with_evidence,
)
from course_lib.checks.trials import Effect, try_out
from course_lib.checks.values import show
from course_lib.grading.program import FAILED, jailed
from course_lib.grading.proxies import source_of, view_of

if TYPE_CHECKING:
    from course_lib.spark import Remains

_ANSWER = "<answer>"

_CHILD = """
from course_lib.checks.programs import run_here
run_here({source!r}, {name!r}, {module!r}, {harness!r}, {seed!r}, {mark!r})
"""

# A heap of 1 GiB for Spark, what else it takes, and Python with its workers.
_CONTAINER = "3g"

# What the last check of each task has tried, and what happened: a source that has just failed need
# not fail again in the hidden tests, which come in the same cell.
_last_trials: "dict[ProgramTask, tuple[str, Effect]]" = {}


@dataclass(frozen=True, kw_only=True)
class ProgramTask:
    """A function of Spark code to write, called `name` in the notebook.

    It gets all it needs as arguments and imports the rest itself, since only its source goes to the
    child process. ``harness(answer, seed)`` is called there: a public function of the problem set's
    module that prepares data, calls the answer, and returns what came of it as a dict that JSON can
    hold. Here, ``judge(remains, report, seed)`` makes an `Effect` of that; `report` is None where
    the child ended before it had one. An answer that leaves files behind is not judged. `reference`
    is a function that passes, the `compute` of a misconception one that has it, and `judge`
    recognises it by what happens.

    The child may take `timeout_s` seconds, and `container` (a size) of memory with its processes.
    """

    name: str
    title: str
    points: float
    harness: Callable[[Callable, int], dict]
    judge: Callable[["Remains", dict | None, int], Effect]
    reference: Callable
    misconceptions: tuple[Misconception, ...]
    timeout_s: float = 90.0
    container: str = _CONTAINER

    def check(self, answer: Any) -> Feedback:
        """Run it on the data of seed 0."""
        try:
            return self._judge(answer, 0, graded=False)
        except CannotCheckError as reason:
            return self._feedback(Status.NOT_YET, [f"This cannot be checked here: {reason}"], False)

    def grade(self, answer: Any, seed: int) -> Feedback:
        """Run it on the data of a seed. Raises CannotCheckError."""
        return self._judge(answer, seed, graded=True)

    def _judge(self, answer, seed: int, graded: bool) -> Feedback:
        if answer is None or answer is ...:
            return self._feedback(Status.NOT_ATTEMPTED, [], graded)
        if not callable(answer):
            says = f"`{self.name}` should be a function; it is {show(answer)}."
            return self._feedback(Status.NOT_YET, [says], graded)
        source = source_of(answer)
        function = _function(source)
        if function is None:
            says = f"Write `{self.name}` with `def`, in a cell: its source runs in another process."
            return self._feedback(Status.NOT_YET, [says], graded)
        if _is_stub(function):
            return self._feedback(Status.NOT_ATTEMPTED, [], graded)
        if module := _names_of_the_course(function):
            return self._feedback(Status.NOT_YET, [borrowed(module)], graded)
        run = partial(self._run, source, function.name, seed, view_of(answer))
        effect = self._try(source, seed, run, graded)
        if effect.passed:
            return self._feedback(Status.RIGHT, [with_evidence(effect)], graded)
        says = [m.says for m in self.misconceptions if m.name == effect.misconception]
        says.append(with_evidence(effect))
        return self._feedback(Status.NOT_YET, says, graded, effect.misconception)

    def _try(self, source: str, seed: int, run: Callable[[], Effect], graded: bool) -> Effect:
        tried, effect = _last_trials.pop(self, (None, None))
        if not graded or tried != source or effect.passed:
            effect = try_out(self.title, (source, seed), run)
        if not graded:
            _last_trials[self] = (source, effect)
        return effect

    def _run(self, source: str, name: str, seed: int, view) -> Effect:
        from course_lib.spark.autopsy import autopsy
        from course_lib.spark.java import NoJavaError

        mark = uuid.uuid4().hex
        child = _CHILD.format(
            source=source,
            name=name,
            module=self.harness.__module__,
            harness=self.harness.__name__,
            seed=seed,
            mark=mark,
        )
        try:
            remains = autopsy(
                child,
                timeout=self.timeout_s,
                container=self.container,
                through=partial(_behind_walls, view) if view else None,
            )
        except NoJavaError as error:
            raise CannotCheckError(str(error)) from error
        if view and remains.exit_code == FAILED:
            raise CannotCheckError(f"its jail does not stand.\n{remains.log.strip()}")
        # A JVM that is out of memory may also stand still: then the judge knows why.
        if remains.timed_out and remains.exception_class != "java.lang.OutOfMemoryError":
            says = f"`{self.name}` had not ended after {self.timeout_s:g} seconds, and was ended."
            return Effect(False, says)
        report = None if remains.timed_out else _report(remains, mark)
        if report is not None and (files := report.pop("written")):
            return Effect(False, f"It leaves files behind: {', '.join(files[:3])}.")
        return self.judge(remains, report, seed)

    def _feedback(self, status, says, graded, misconception=None) -> Feedback:
        return all_or_nothing(self, status, says, graded, misconception)


def did_not_finish(remains: "Remains") -> Effect:
    """What to say of an answer that ended without a report, where no misconception shows."""
    if remains.container:
        return Effect(False, f"Its processes were {remains.container}.")
    where = f", {line}" if (line := _last_line_of_the_answer(remains.log)) else ""
    how = f"raises `{remains.exception_class}: {remains.message or ''}`{where}"
    hint = ""
    if remains.exception_class == "NameError":
        hint = " Its source runs alone: what it uses has to be imported or defined inside it."
    if remains.exception_class is None:
        how = f"ended with exit code {remains.exit_code}"
    return Effect(False, f"It {how}.{hint}")


def run_here(source: str, name: str, module: str, harness: str, seed: int, mark: str) -> None:
    """In the child process: call the harness with the answer, and print its report after `mark`."""
    function = getattr(import_module(module), harness)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        linecache.cache[_ANSWER] = (len(source), None, source.splitlines(keepends=True), _ANSWER)
        notebook = {"__name__": "__main__"}
        exec(compile(source, _ANSWER, "exec"), notebook)
        report = function(notebook[name], seed)
        report["written"] = sorted(path.name for path in Path(folder).iterdir())
        os.chdir("/")
    print(f"\n{mark}{json.dumps(report, default=show)}", flush=True)


def _behind_walls(view, command: list[str], folder: Path) -> list[str]:
    return jailed(command, folder, view)


def _report(remains: "Remains", mark: str) -> dict | None:
    reports = [line for line in remains.stdout.splitlines() if line.startswith(mark)]
    return json.loads(reports[-1].removeprefix(mark)) if reports else None


def _function(source: str | None) -> ast.FunctionDef | None:
    """The function that the source defines, None where it is no ``def``."""
    try:
        first = ast.parse(source or "").body[:1]
    except SyntaxError:  # of a lambda there is only the line in which it stands
        return None
    return first[0] if first and isinstance(first[0], ast.FunctionDef) else None


def _is_stub(function: ast.FunctionDef) -> bool:
    """Whether nothing is written yet beside the docstring."""

    def empty(statement: ast.stmt) -> bool:
        if isinstance(statement, ast.Expr):
            return isinstance(statement.value, ast.Constant)
        return isinstance(statement, ast.Pass) or (
            isinstance(statement, ast.Raise) and "NotImplementedError" in ast.dump(statement)
        )

    return all(map(empty, function.body))


def _names_of_the_course(function: ast.FunctionDef) -> str | None:
    """The first module of the course that a function imports, or names in a string."""
    for node in ast.walk(function):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = [node.value]
        for name in names:
            if name.split(".")[0] == "course_lib":
                return name
    return None


def _last_line_of_the_answer(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if f'File "{_ANSWER}"' in line]
    return lines[-1].split(", ")[1] if lines else ""

"""The kinds of task, and how an answer to each is judged.

A task is defined once. From its reference, its inputs and its misconceptions come the visible
check, the hidden tests and the proof (in ``tests/checks``) that both do what they promise:

- `Task`: a function to write. Its results are compared with the reference's on the visible
  `examples`, and on hidden inputs drawn from a seed; or, where the task has an `effect`, each
  result is tried out and judged by what happens.
- `ClassTask`: a class to write. The course plays with it, on the examples and on hidden inputs.
- `PredictionTask`: named values to predict; each counts on its own.
- `EffectTask`: settings to choose; they are tried out and judged by what happens.

An answer that is wrong in the way a misconception is wrong is told so, in the words of that
misconception, and has lost the task's points. Where only an `EdgeCase` is missed, only the points
of that edge case are lost.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

from course_lib.checks.calls import (
    Calls,
    Outcome,
    Raised,
    Returned,
    TimedOut,
    call_all,
    is_the_courses,
)
from course_lib.checks.feedback import Feedback, Status
from course_lib.checks.trials import Effect, try_out
from course_lib.checks.values import malformed, same, show

# A misconception explains an answer if it foretells this share of what the answer gets wrong.
_MOST = 0.75


# What the last check of each EffectTask has tried, and what happened. In a graded cell the check
# and the hidden tests come one after the other: the same settings are then not tried twice.
_last_trials: "dict[EffectTask, tuple[Any, Effect]]" = {}


class CannotCheckError(RuntimeError):
    """An answer cannot be tried out on this machine, through no fault of the answer."""


@dataclass(frozen=True)
class Misconception:
    """A way to be wrong: its `name`, what it `says` to the learner who shows it, and `compute`,
    which takes what the reference takes and returns what someone with it would answer."""

    name: str
    says: str
    compute: Callable


@dataclass(frozen=True)
class EdgeCase:
    """Inputs (those to which it `applies`) that cost only `points` when they alone are missed."""

    name: str
    says: str
    applies: Callable[..., bool]
    points: float


@dataclass(frozen=True, kw_only=True)
class Task:
    """A function to write, called `name` in the notebook.

    `reference` returns the right value, or raises ValueError where a right answer does so too.
    `draw_inputs` takes a ``random.Random`` and returns the hidden inputs, as tuples of arguments.
    Numbers may differ by `within` from the reference. With an `effect`, a value is not compared
    with the reference but tried out: ``effect(arguments, value)`` returns an `Effect`. All calls
    of an answer together may take `timeout_s` seconds.
    """

    name: str
    title: str
    points: float
    reference: Callable
    examples: Sequence[tuple]
    draw_inputs: Callable[[Random], Iterable[tuple]]
    misconceptions: tuple[Misconception, ...]
    edge_cases: tuple[EdgeCase, ...] = ()
    within: float = 0.0
    effect: Callable[[tuple, Any], Effect] | None = None
    timeout_s: float = 5.0

    def check(self, answer: Any) -> Feedback:
        """Feedback on the visible examples."""
        try:
            return self._judge(answer, list(self.examples), graded=False)
        except CannotCheckError as reason:
            return self._feedback(Status.NOT_YET, [f"This cannot be checked here: {reason}"], False)

    def grade(self, answer: Any, seed: int) -> Feedback:
        """Feedback on the examples and on hidden inputs. Raises CannotCheckError."""
        return self._judge(answer, self.inputs(seed), graded=True)

    def inputs(self, seed: int) -> list[tuple]:
        """The examples and the hidden inputs that belong to a seed."""
        return [*self.examples, *self.draw_inputs(Random(f"{self.name} {seed}"))]

    def _judge(self, answer, inputs: list[tuple], graded: bool) -> Feedback:
        if answer is None or answer is ...:
            return self._feedback(Status.NOT_ATTEMPTED, [], graded)
        if not callable(answer):
            says = f"`{self.name}` should be a function; it is {show(answer)}."
            return self._feedback(Status.NOT_YET, [says], graded)

        calls = call_all(answer, inputs, self.timeout_s)
        expected = [_outcome(self.reference, arguments) for arguments in inputs]
        if _untouched(calls, expected):
            says = (
                [f"`{self.name}` returns None every time: if it is written, it lacks a `return`."]
                if isinstance(calls.outcomes[0], Returned)
                else []
            )
            return self._feedback(Status.NOT_ATTEMPTED, says, graded, calls)
        if calls.course_function:
            return self._feedback(Status.NOT_YET, [borrowed(calls.course_function)], graded, calls)
        return self._compare(inputs, expected, calls, graded)

    def _compare(self, inputs, expected, calls: Calls, graded: bool) -> Feedback:
        outcomes = calls.outcomes
        if isinstance(outcomes[-1], TimedOut):
            call = self._call(inputs[len(outcomes) - 1])
            says = f"{call} had not ended after {self.timeout_s:g} seconds, and was given up."
            return self._feedback(Status.NOT_YET, [says], graded, calls)

        right, effect = self._right(inputs, expected, outcomes)
        wrong = [i for i, is_right in enumerate(right) if not is_right]
        if not wrong:
            says = [with_evidence(effect)] if effect else []
            return self._feedback(Status.RIGHT, says, graded, calls, points=self.points)

        shown = effect.misconception if effect is not None else None
        found = [one for one in self.misconceptions if one.name == shown]
        found = found or self._explain(inputs, expected, outcomes, right)
        says = [misconception.says for misconception in found]
        says.append(self._difference(inputs[wrong[0]], expected[wrong[0]], outcomes[wrong[0]]))
        if effect is not None and not effect.passed:
            says.append(with_evidence(effect))
        missed = [e for e in self.edge_cases if any(e.applies(*inputs[i]) for i in wrong)]
        ordinary = [i for i in wrong if not any(e.applies(*inputs[i]) for e in missed)]
        if missed and not ordinary and not found:
            points = max(0.0, self.points - sum(edge.points for edge in missed))
            says = [edge.says for edge in missed] + says
            return self._feedback(Status.PARTLY_RIGHT, says, graded, calls, points=points)
        names = tuple(misconception.name for misconception in found)
        return self._feedback(Status.NOT_YET, says, graded, calls, misconceptions=names)

    def _right(self, inputs, expected, outcomes) -> tuple[list[bool], Effect | None]:
        """Which outcomes are right and, where they are tried out, the last effect seen: trying
        out stops at the first that does not pass."""
        right = [self._agree(e, outcome) for e, outcome in zip(expected, outcomes, strict=True)]
        effect = None
        if self.effect is not None:
            for i, (arguments, outcome) in enumerate(zip(inputs, outcomes, strict=True)):
                if isinstance(expected[i], Raised):
                    continue  # what is to be refused cannot be tried out
                right[i] = isinstance(outcome, Returned) and not malformed(
                    expected[i].value, outcome.value
                )
                if right[i]:
                    effect = try_out(
                        self.title,
                        (arguments, outcome.value),
                        partial(self.effect, arguments, outcome.value),
                    )
                    right[i] = effect.passed
                if not right[i]:
                    break
        return right, effect

    def _agree(self, expected: Outcome, actual: Outcome) -> bool:
        if isinstance(expected, Returned) and isinstance(actual, Returned):
            return same(expected.value, actual.value, self.within)
        return (
            isinstance(expected, Raised)
            and isinstance(actual, Raised)
            and isinstance(actual.error, ValueError)
        )

    def _explain(self, inputs, expected, outcomes, right) -> list[Misconception]:
        """The misconceptions that the outcomes show: one that explains them all, or several that
        each explain a part (some inputs, or one entry of a dict)."""
        supposed = {
            misconception: [_outcome(misconception.compute, arguments) for arguments in inputs]
            for misconception in self.misconceptions
        }
        whole, partial = self._matches(expected, outcomes, supposed, right)
        if whole:
            return [whole]
        keys = expected[0].value if isinstance(expected[0], Returned) else None
        if not isinstance(keys, Mapping):
            return partial
        for key in keys:
            at_key = [_entry(outcome, key) for outcome in expected]
            found, _ = self._matches(
                at_key,
                [_entry(outcome, key) for outcome in outcomes],
                {m: [_entry(outcome, key) for outcome in these] for m, these in supposed.items()},
                [self._agree(e, _entry(o, key)) for e, o in zip(at_key, outcomes, strict=True)],
            )
            if found and found not in partial:
                partial.append(found)
        return partial

    def _matches(self, expected, outcomes, supposed, right):
        """The misconception that explains most of what is wrong, if there is one, and all that
        explain the part of it on which they differ from the reference."""
        wrong = [i for i, is_right in enumerate(right) if not is_right]
        best, best_score, partial = None, 0.0, []
        for misconception, outcome_of in supposed.items():
            differs = [i for i, e in enumerate(expected) if not self._agree(e, outcome_of[i])]
            hits = [i for i in differs if self._agree(outcome_of[i], outcomes[i])]
            if len(hits) < max(1, _MOST * len(differs)):
                continue
            partial.append(misconception)
            explained = sum(i in hits for i in wrong)
            score = len(hits) / len(differs) + explained / max(1, len(wrong))
            if explained and explained >= _MOST * len(wrong) and score > best_score:
                best, best_score = misconception, score
        return best, partial

    def _difference(self, arguments, expected: Outcome, actual: Outcome) -> str:
        call = self._call(arguments)
        if isinstance(actual, Raised):
            where = f", {actual.where}" if actual.where else ""
            got = f"{call} raises `{actual.message}`{where}"
            if isinstance(expected, Raised):
                return f"{got}; a refusal is a ValueError."
            return f"{got}."
        if isinstance(expected, Raised):
            reason = expected.message.splitlines()[0]
            return f"{call} returns {show(actual.value)}, but should refuse: {reason}"
        if complaint := malformed(expected.value, actual.value):
            return f"What {call} returns {complaint}."
        if self.effect is not None:
            return f"{call} returns {show(actual.value)}."
        if not isinstance(expected.value, Mapping):
            return f"{call} returns {show(actual.value)}; right is {show(expected.value)}."
        differing = "; ".join(
            f"{show(key)}: {show(actual.value[key])}, right is {show(value)}"
            for key, value in expected.value.items()
            if not same(value, actual.value[key], self.within)
        )
        return f"In what {call} returns, {differing}."

    def _call(self, arguments) -> str:
        return f"`{self.name}({', '.join(map(show, arguments))})`"

    def _feedback(self, status, says, graded, calls=None, *, points=0.0, misconceptions=()):
        return Feedback(
            title=self.title,
            status=status,
            points=points,
            max_points=self.points,
            says=tuple(says),
            misconceptions=misconceptions,
            printed=calls.printed if calls else "",
            graded=graded,
        )


@dataclass(frozen=True, kw_only=True)
class ClassTask:
    """A class to write, called `name` in the notebook, that extends `base`.

    ``play(answer, *arguments)`` uses the class as the course's model would, and returns an
    `Effect`; it raises NotImplementedError where a method is a stub. The answer may call the
    methods of `base`, and nothing else of the course. `reference` is a class that passes; a
    misconception's `compute` is a class that has it, and `play` recognises it by what happens.
    """

    name: str
    title: str
    points: float
    base: type
    play: Callable[..., Effect]
    reference: type
    examples: Sequence[tuple]
    draw_inputs: Callable[[Random], Iterable[tuple]]
    misconceptions: tuple[Misconception, ...]
    timeout_s: float = 5.0

    def check(self, answer: Any) -> Feedback:
        """Feedback on the visible examples."""
        return self._judge(answer, list(self.examples), graded=False)

    def grade(self, answer: Any, seed: int) -> Feedback:
        """Feedback on the examples and on hidden inputs."""
        return self._judge(answer, self.inputs(seed), graded=True)

    def inputs(self, seed: int) -> list[tuple]:
        """The examples and the hidden inputs that belong to a seed."""
        return [*self.examples, *self.draw_inputs(Random(f"{self.name} {seed}"))]

    def _judge(self, answer, inputs: list[tuple], graded: bool) -> Feedback:
        if answer is None or answer is ...:
            return self._feedback(Status.NOT_ATTEMPTED, [], graded)
        if not (inspect.isclass(answer) and issubclass(answer, self.base)):
            found = f"the class {answer.__name__}" if inspect.isclass(answer) else show(answer)
            says = f"`{self.name}` should be a class that extends `{self.base.__name__}`"
            return self._feedback(Status.NOT_YET, [f"{says}; it is {found}."], graded)
        own = [owner for owner in answer.__mro__ if owner not in self.base.__mro__]
        methods = [method for owner in own for method in vars(owner).values()]
        for method in filter(is_the_courses, methods):
            function = f"{method.__module__}.{method.__qualname__}"
            return self._feedback(Status.NOT_YET, [borrowed(function)], graded)

        calls = call_all(answer, inputs, self.timeout_s, play=self.play, base=self.base)
        if calls.course_function:
            return self._feedback(Status.NOT_YET, [borrowed(calls.course_function)], graded, calls)
        return self._first_failure(calls, graded)

    def _first_failure(self, calls: Calls, graded: bool) -> Feedback:
        effect = None
        for outcome in calls.outcomes:
            if isinstance(outcome, TimedOut):
                says = f"It had not ended after {self.timeout_s:g} seconds, and was given up."
                return self._feedback(Status.NOT_YET, [says], graded, calls)
            if isinstance(outcome, Raised):
                if isinstance(outcome.error, NotImplementedError):
                    return self._feedback(Status.NOT_ATTEMPTED, [], graded, calls)
                where = f", {outcome.where}" if outcome.where else ""
                says = f"`{self.name}` raises `{outcome.message}`{where}."
                return self._feedback(Status.NOT_YET, [says], graded, calls)
            effect = outcome.value
            if not effect.passed:
                says = [m.says for m in self.misconceptions if m.name == effect.misconception]
                says.append(with_evidence(effect))
                return self._feedback(
                    Status.NOT_YET, says, graded, calls, misconception=effect.misconception
                )
        says = [with_evidence(effect)]
        return self._feedback(Status.RIGHT, says, graded, calls, points=self.points)

    def _feedback(self, status, says, graded, calls=None, *, points=0.0, misconception=None):
        return Feedback(
            title=self.title,
            status=status,
            points=points,
            max_points=self.points,
            says=tuple(says),
            misconceptions=(misconception,) if misconception else (),
            printed=calls.printed if calls else "",
            graded=graded,
        )


@dataclass(frozen=True, kw_only=True)
class PredictionTask:
    """Values to predict, in a dict called `name` in the notebook; each is worth the same.

    `reference` takes nothing and returns the dict of right values. A misconception's `compute`
    returns the values that someone with it would predict, for the keys on which it has a say.
    """

    name: str
    title: str
    points: float
    reference: Callable[[], Mapping[str, Any]]
    misconceptions: tuple[Misconception, ...]
    within: float = 0.0

    def check(self, answer: Any) -> Feedback:
        """Feedback on each value."""
        return self._judge(answer, graded=False)

    def grade(self, answer: Any, seed: int | None = None) -> Feedback:
        """The same, with points: a prediction has no hidden inputs, and no use for a seed."""
        return self._judge(answer, graded=True)

    def _judge(self, answer, graded: bool) -> Feedback:
        right = self.reference()
        if answer is None or answer is ...:
            return self._feedback(Status.NOT_ATTEMPTED, 0, [], [], graded)
        if not isinstance(answer, Mapping):
            says = f"`{self.name}` should be a dict; it is {show(answer)}."
            return self._feedback(Status.NOT_YET, 0, [says], [], graded)
        given = {key: answer.get(key) for key in right}
        if all(value is None or value is ... for value in given.values()):
            strange = [key for key in answer if key not in right]
            says = [f"There is no key {', '.join(map(show, strange))}."] if strange else []
            return self._feedback(Status.NOT_ATTEMPTED, 0, says, [], graded)

        says, found, score = [], [], 0
        for key, value in given.items():
            if same(right[key], value, self.within):
                score += 1
                says.append(f"{key}: right.")
            elif value is None or value is ...:
                says.append(f"{key}: no value yet.")
            elif complaint := malformed(right[key], value):
                says.append(f"{key}: the value {complaint}.")
            else:
                shown = self._shown(key, value, right[key])
                found += [misconception.name for misconception in shown]
                explanation = " Or: ".join(misconception.says for misconception in shown)
                says.append(f"{key}: not {show(value)}. {explanation}".rstrip())
        return self._feedback(None, score / len(right), says, found, graded)

    def _shown(self, key, value, right) -> list[Misconception]:
        return [
            misconception
            for misconception in self.misconceptions
            if key in (supposed := misconception.compute())
            and not same(right, supposed[key], self.within)
            and same(supposed[key], value, self.within)
        ]

    def _feedback(self, status, share, says, found, graded) -> Feedback:
        if status is None:
            status = {0: Status.NOT_YET, 1: Status.RIGHT}.get(share, Status.PARTLY_RIGHT)
        return Feedback(
            title=self.title,
            status=status,
            points=self.points * share,
            max_points=self.points,
            says=tuple(says),
            misconceptions=tuple(dict.fromkeys(found)),
            graded=graded,
        )


@dataclass(frozen=True, kw_only=True)
class EffectTask:
    """Settings to choose, in a dict called `name` in the notebook; they are tried out.

    `read` takes the learner's dict and returns what `run` needs; it raises ValueError, in Spark's
    words where Spark has some, for keys and values that cannot be. `run` tries it out in child
    processes and returns an `Effect`; it raises CannotCheckError where this machine cannot.
    `reference` takes nothing and returns settings that pass; a misconception's `compute` returns
    settings that someone with it would choose, and `run` recognises it by what then happens.
    """

    name: str
    title: str
    points: float
    read: Callable[[Mapping], Any]
    run: Callable[[Any], Effect]
    reference: Callable[[], Mapping]
    misconceptions: tuple[Misconception, ...]

    def check(self, answer: Any) -> Feedback:
        """Try the settings out."""
        try:
            return self._judge(answer, graded=False)
        except CannotCheckError as reason:
            says = [f"This cannot be checked here: {reason}"]
            return self._feedback(Status.NOT_YET, says, graded=False)

    def grade(self, answer: Any, seed: int | None = None) -> Feedback:
        """The same, with points; what has just been checked is not tried again.

        Raises CannotCheckError.
        """
        return self._judge(answer, graded=True)

    def _judge(self, answer, graded: bool) -> Feedback:
        if answer is None or answer is ...:
            return self._feedback(Status.NOT_ATTEMPTED, [], graded)
        if not isinstance(answer, Mapping):
            says = f"`{self.name}` should be a dict of settings; it is {show(answer)}."
            return self._feedback(Status.NOT_YET, [says], graded)
        if all(value is None or value is ... for value in answer.values()):
            return self._feedback(Status.NOT_ATTEMPTED, [], graded)
        try:
            settings = self.read(answer)
        except ValueError as refusal:
            return self._feedback(Status.NOT_YET, [str(refusal)], graded)
        effect = self._try(settings, graded)
        if effect.passed:
            return self._feedback(Status.RIGHT, [with_evidence(effect)], graded)
        says = [m.says for m in self.misconceptions if m.name == effect.misconception]
        return self._feedback(
            Status.NOT_YET, [*says, with_evidence(effect)], graded, effect.misconception
        )

    def _try(self, settings, graded: bool) -> Effect:
        tried, effect = _last_trials.pop(self, (None, None))
        if effect is None or not graded or tried != settings:
            effect = try_out(self.title, settings, partial(self.run, settings))
        if not graded:
            _last_trials[self] = (settings, effect)
        return effect

    def _feedback(self, status, says, graded, misconception=None) -> Feedback:
        return all_or_nothing(self, status, says, graded, misconception)


def all_or_nothing(task, status, says, graded, misconception=None) -> Feedback:
    """Feedback on a task that is judged by an effect: right, or without points."""
    return Feedback(
        title=task.title,
        status=status,
        points=task.points if status is Status.RIGHT else 0.0,
        max_points=task.points,
        says=tuple(says),
        misconceptions=(misconception,) if misconception else (),
        graded=graded,
    )


def borrowed(course_function: str) -> str:
    """What a learner is told whose answer is the course's own code."""
    return (
        f"Your code calls `{course_function}`: this answers with the course's own code instead of "
        "yours, and earns no points."
    )


def _outcome(compute: Callable, arguments: tuple) -> Outcome:
    """What the course's own function does with the arguments: it returns, or refuses."""
    try:
        return Returned(compute(*arguments))
    except ValueError as refusal:
        return Raised(refusal, str(refusal))


def _untouched(calls: Calls, expected: list[Outcome]) -> bool:
    def stub(outcome: Outcome, wanted: Outcome) -> bool:
        if isinstance(outcome, Raised):
            return isinstance(outcome.error, NotImplementedError)
        nothing = isinstance(outcome, Returned) and (outcome.value is None or outcome.value is ...)
        return nothing and wanted != Returned(None)

    return all(map(stub, calls.outcomes, expected))


def _entry(outcome: Outcome, key: str) -> Outcome:
    """One entry of a returned dict, as an outcome of its own."""
    if isinstance(outcome, Returned) and isinstance(outcome.value, Mapping):
        return Returned(outcome.value.get(key))
    return outcome


def with_evidence(effect: Effect) -> str:
    """What an effect says, with what was measured."""
    return f"{effect.says} ({effect.evidence})" if effect.evidence else effect.says

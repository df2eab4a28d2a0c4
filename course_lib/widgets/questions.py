"""Questions with explained answers: predict before you run, and the self-test of a lesson.

A question is written in Markdown, one line per option, the right one marked with ``x``::

    How much of a 4 GiB heap is **storage memory** in the Spark UI?
    - [ ] 4 GiB :: That is the whole heap: Spark first leaves 300 MiB out.
    - [x] 2.2 GiB :: 0.6 of what is left after the reserved 300 MiB.

Option and explanation are parted by ``::`` with a space on either side; further lines of an
explanation are indented. Text may contain `code` and **bold**.
"""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import anywidget
import traitlets

from course_lib import progress
from course_lib.course import LESSONS

UNANSWERED = -1
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Option:
    """One answer that may be chosen, and what to say to whoever chose it."""

    text: str
    explanation: str
    right: bool


@dataclass(frozen=True)
class Question:
    """A question with two or more different options, exactly one of them right.

    Raises ValueError, saying what is missing, if it is not so.
    """

    text: str
    options: tuple[Option, ...]

    def __post_init__(self):
        if not self.text:
            raise ValueError("there is no question before the options")
        if len(self.options) < 2:
            raise ValueError(f"two or more options are expected, not {len(self.options)}")
        right = [option.text for option in self.options if option.right]
        if len(right) != 1:
            found = " and ".join(map(repr, right)) or "none"
            raise ValueError(f"exactly one option is right, marked `- [x]`; found {found}")
        texts = [option.text for option in self.options]
        for option in self.options:
            if texts.count(option.text) > 1:
                raise ValueError(f"the option {option.text!r} is given twice")


def predict(
    question: str, options: Mapping[str, str] | None = None, *, answer: str | None = None
) -> "Prediction":
    """Ask for a prediction before the next cell is run.

    Either `options` maps each option to its explanation and `answer` is the right one of them, or
    `question` holds all of it in Markdown. Raises ValueError where something is missing.
    """
    if options is None:
        if answer is not None:
            raise ValueError("answer is for a dict of options; in Markdown mark it with `- [x]`")
        return Prediction(_question(_lines(question)))
    if not isinstance(options, Mapping):
        raise TypeError(f"options is a dict of option and explanation, not {options!r}")
    if answer not in options:
        raise ValueError(f"answer is one of {', '.join(map(repr, options))}, not {answer!r}")
    for option, explanation in options.items():
        if not isinstance(option, str):
            raise TypeError(f"an option is text, not {option!r}")
        if not isinstance(explanation, str) or not explanation.strip():
            raise ValueError(f"option {option!r} has no explanation")
    choices = tuple(Option(text, why, right=text == answer) for text, why in options.items())
    return Prediction(Question(" ".join(line.strip() for _, line in _lines(question)), choices))


def self_test(lesson: str, questions: str) -> "SelfTest":
    """The self-test of a lesson such as ``"04"``: questions numbered ``1.``, ``2.`` … in Markdown.

    Raises ValueError with the line where the text is not as the module describes.
    """
    if lesson not in LESSONS:
        raise ValueError(f"there is no lesson {lesson!r}; lessons are named like '04'")
    return SelfTest(parse_questions(questions), lesson)


def parse_questions(text: str) -> list[Question]:
    """Read numbered questions; raise ValueError with the line where they are not well-formed."""
    groups: list[list[tuple[int, str]]] = []
    for number, line in _lines(text):
        start = re.match(r"\s*(\d+)\.(?:\s|$)", line)
        if start:
            if int(start[1]) != len(groups) + 1:
                raise _error(number, line, f"question {len(groups) + 1} is expected here")
            groups.append([(number, line)])
        elif groups:
            groups[-1].append((number, line))
        elif line.strip():
            raise _error(number, line, "the first question is expected here: `1. question`")
    if not groups:
        raise ValueError("there are no questions; write the first as `1. question`")
    return [_question(group, label=f"{n}.") for n, group in enumerate(groups, start=1)]


def _lines(text: str) -> list[tuple[int, str]]:
    if not isinstance(text, str):
        raise TypeError(f"questions are text, not {text!r}")
    return list(enumerate(text.splitlines(), start=1))


def _question(lines: Sequence[tuple[int, str]], label: str = "") -> Question:
    asked: list[str] = []
    options: list[Option] = []
    margin = 0
    for number, line in lines:
        content = line.strip()
        if not content:
            continue
        indent = len(line) - len(line.lstrip())
        if re.match(r"[-*]( |$|\[)", content):
            options.append(_option(number, content))
            margin = indent
        elif not options:
            asked.append(content)
        elif indent > margin:
            last = options.pop()
            options.append(Option(last.text, f"{last.explanation} {content}", last.right))
        else:
            raise _error(
                number,
                line,
                "an option is expected here: `- [ ] option :: explanation`, "
                "or a line, further indented, that goes on with the explanation",
            )
    try:
        return Question(" ".join(asked).removeprefix(label).strip(), tuple(options))
    except ValueError as error:
        number, line = next(((n, text) for n, text in lines if text.strip()), (1, ""))
        raise _error(number, line, str(error)) from None


def _option(number: int, line: str) -> Option:
    parts = re.fullmatch(r"[-*] \[([ xX])\] +(\S.*?) +:: +(\S.*)", line)
    if not parts:
        raise _error(number, line, "expected `- [ ] option :: explanation`, the right one `- [x]`")
    return Option(parts[2], parts[3], right=parts[1] != " ")


def _error(number: int, line: str, problem: str) -> ValueError:
    return ValueError(f"line {number}, {line.strip()!r}: {problem}")


class Questions(anywidget.AnyWidget):
    """What predictions and self-tests share: the view, its state, and a form that needs no view.

    `answers` holds the index of the committed option per question, -1 before that.
    """

    _esm = _HERE / "questions.js"
    _css = _HERE / "questions.css"

    heading = traitlets.Unicode().tag(sync=True)
    scored = traitlets.Bool().tag(sync=True)
    items = traitlets.List().tag(sync=True)
    answers = traitlets.List(traitlets.Int()).tag(sync=True)

    def __init__(self, questions: Sequence[Question], heading: str, *, scored: bool):
        self.questions = tuple(questions)
        super().__init__(
            heading=heading,
            scored=scored,
            items=[_item(question) for question in questions],
            answers=[UNANSWERED] * len(questions),
        )

    @traitlets.validate("answers")
    def _check_answers(self, proposal):
        answers = proposal["value"]
        counts = [len(question.options) for question in self.questions]
        if len(answers) != len(counts) or not all(
            UNANSWERED <= answer < count for answer, count in zip(answers, counts, strict=True)
        ):
            raise traitlets.TraitError(f"no such answers: {answers} to questions with {counts}")
        return answers

    def chosen(self) -> list[Option | None]:
        """The committed option of each question, None where there is none yet."""
        return [
            None if answer == UNANSWERED else question.options[answer]
            for question, answer in zip(self.questions, self.answers, strict=True)
        ]

    def __repr__(self) -> str:
        lines = [self.heading]
        for label, question in zip(self._labels(), self.questions, strict=True):
            lines += ["", label + question.text]
            lines += [f"  ( ) {option.text}" for option in question.options]
        lines += ["", "Answers" if self.scored else "Answer"]
        for label, question in zip(self._labels(), self.questions, strict=True):
            right = next(option for option in question.options if option.right)
            lines.append(f"{label}{right.text}: {right.explanation}")
        return "\n".join(lines)

    def _repr_mimebundle_(self, **kwargs):
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return data | {"text/html": self._static_html()}, metadata

    def _static_html(self) -> str:
        """The questions with their answers folded away, for pages that run no widgets."""
        parts = [f"<p><strong>{html.escape(self.heading)}</strong></p>"]
        for label, question in zip(self._labels(), self.questions, strict=True):
            options = "".join(f"<li>{inline_html(o.text)}</li>" for o in question.options)
            answers = "".join(
                f"<li>{'✓' if o.right else '✗'} <strong>{inline_html(o.text)}</strong>: "
                f"{inline_html(o.explanation)}</li>"
                for o in question.options
            )
            parts.append(
                f"<p>{label}{inline_html(question.text)}</p><ul>{options}</ul>"
                f"<details><summary>Answer</summary><ul>{answers}</ul></details>"
            )
        return f"<div>{''.join(parts)}</div>"

    def _labels(self) -> list[str]:
        return [f"{n}. " if self.scored else "" for n in range(1, len(self.questions) + 1)]


class Prediction(Questions):
    """One question; the committed option goes to the learner's progress."""

    def __init__(self, question: Question):
        super().__init__([question], "Predict, then run", scored=False)

    @traitlets.observe("answers")
    def _record(self, _change):
        (question,), (option,) = self.questions, self.chosen()
        if option:
            progress.record("prediction", question.text, chosen=option.text, right=option.right)


class SelfTest(Questions):
    """The questions of a lesson; once all are answered the score goes to the learner's progress."""

    def __init__(self, questions: Sequence[Question], lesson: str):
        self.lesson = lesson
        super().__init__(questions, f"Self-test of lesson {lesson}", scored=True)

    def score(self) -> int:
        """The number of right answers so far."""
        return sum(option is not None and option.right for option in self.chosen())

    @traitlets.observe("answers")
    def _record(self, _change):
        if UNANSWERED not in self.answers:
            questions = len(self.questions)
            progress.record("self_test", self.lesson, score=self.score(), out_of=questions)


def inline_html(text: str) -> str:
    """HTML of one line of Markdown with nothing but `code` and **bold** in it."""
    pieces = re.split(r"`([^`]+)`", text)
    for i, piece in enumerate(pieces):
        piece = html.escape(piece, quote=False)
        if i % 2:
            pieces[i] = f"<code>{piece}</code>"
        else:
            pieces[i] = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", piece)
    return "".join(pieces)


def _item(question: Question) -> dict:
    return {
        "text": inline_html(question.text),
        "options": [
            {
                "text": inline_html(option.text),
                "explanation": inline_html(option.explanation),
                "right": option.right,
            }
            for option in question.options
        ],
    }

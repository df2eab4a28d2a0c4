"""What a check tells: the points, and in words what was found."""

import html
from dataclasses import dataclass
from enum import Enum


class Status(Enum):
    """How far an answer has come; the value is how a learner reads it."""

    RIGHT = "Right"
    PARTLY_RIGHT = "Partly right"
    NOT_YET = "Not yet right"
    NOT_ATTEMPTED = "Not attempted yet"


_MARKS = {
    Status.RIGHT: ("✓", "#00785a"),
    Status.PARTLY_RIGHT: ("◐", "#9a6700"),
    Status.NOT_YET: ("✗", "#b3261e"),
    Status.NOT_ATTEMPTED: ("○", "#6e6e6e"),
}


@dataclass(frozen=True)
class Feedback:
    """The outcome of a check: `points` of `max_points`, and sentences for the learner.

    `misconceptions` are the names of those that the answer shows; `printed` is what the answer
    wrote while it ran; `graded` is false for a check of the visible examples only.

    nbgrader takes a test cell's points from the text of its last value, so the ``repr`` of feedback
    is its points and nothing else; the words are in ``str`` and in the HTML that a notebook shows.
    """

    title: str
    status: Status
    points: float
    max_points: float
    says: tuple[str, ...] = ()
    misconceptions: tuple[str, ...] = ()
    printed: str = ""
    graded: bool = True

    def __post_init__(self):
        if not 0 <= self.points <= self.max_points:
            raise ValueError(f"points lie between 0 and {self.max_points}, not {self.points}")

    def __repr__(self) -> str:
        return repr(float(self.points))

    def __str__(self) -> str:
        lines = [f"{self._mark} {self._headline}", *(f"  {sentence}" for sentence in self.says)]
        if self.printed:
            lines += ["  Your code printed:", *(f"    {line}" for line in self._printed_lines())]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        mark, colour = _MARKS[self.status]
        sentences = "".join(f"<p style='margin:.3em 0'>{_marked_up(s)}</p>" for s in self.says)
        printed = ""
        if self.printed:
            lines = html.escape("\n".join(self._printed_lines()))
            printed = f"<p style='margin:.3em 0'>Your code printed:</p><pre>{lines}</pre>"
        return (
            f"<div style='border-left:4px solid {colour};padding:.2em .8em'>"
            f"<strong>{mark} {html.escape(self._headline)}</strong>{sentences}{printed}</div>"
        )

    def _repr_markdown_(self) -> str:
        return str(self)

    @property
    def _mark(self) -> str:
        return _MARKS[self.status][0]

    @property
    def _headline(self) -> str:
        status = self.status.value.lower()
        if self.graded:
            return f"{self.title}: {status} ({self.points:g} of {self.max_points:g} points)"
        on_examples = " for these examples" if self.status is Status.RIGHT else ""
        return f"{self.title}: {status}{on_examples}"

    def _printed_lines(self) -> list[str]:
        lines = [line[:200] for line in self.printed.strip().splitlines()]
        return lines if len(lines) <= 10 else [*lines[:10], f"… and {len(lines) - 10} lines more"]


def _marked_up(sentence: str) -> str:
    """A sentence as HTML, with what stands between backquotes set as code."""
    parts = html.escape(sentence).replace("\n", "<br>").split("`")
    if len(parts) % 2 == 0:  # an unpaired backquote is just one
        return "`".join(parts)
    return "".join(f"<code>{p}</code>" if i % 2 else p for i, p in enumerate(parts))

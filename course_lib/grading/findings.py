"""Named verdicts on a submission: what was wrong with it, and what grading made of that.

Each has a name from `SEVERITIES`, by which a teacher can sort a class, and a sentence for teacher
and learner. The worst of them is the submission's status. None is ever a silent 0.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding weighs, the lightest first."""

    NOTE = "note"
    """Worth knowing; nothing had to be done."""
    MENDED = "mended"
    """Put right, and graded as if it had been right."""
    SUSPICIOUS = "suspicious"
    """Graded, but a person should look at it."""
    REFUSED = "refused"
    """Nothing in it could be graded."""


class Status(StrEnum):
    """What became of a submission, as the export's status column says it."""

    GRADED = "graded"
    MENDED = "mended"
    SUSPICIOUS = "suspicious"
    REFUSED = "refused"


SEVERITIES: Mapping[str, Severity] = {
    # The file
    "no-notebook": Severity.REFUSED,  # nothing was handed in under this name
    "several-candidates": Severity.REFUSED,  # more than one file may be meant
    "renamed": Severity.MENDED,  # handed in under a name close to the right one
    "not-a-file": Severity.REFUSED,  # a link, folder, pipe or device in the file's place
    "unreadable-file": Severity.REFUSED,  # the system does not let it be read
    "left-out-file": Severity.NOTE,  # a file beside the notebook that is not taken along
    "planted-configuration": Severity.SUSPICIOUS,  # a file that nbgrader would run, for its teacher
    "empty-file": Severity.REFUSED,
    "too-large": Severity.REFUSED,
    "not-utf-8": Severity.MENDED,
    "not-json": Severity.REFUSED,
    "deep-json": Severity.REFUSED,
    "not-a-notebook": Severity.REFUSED,
    "old-format": Severity.MENDED,  # a notebook of an earlier nbformat
    # Its cells
    "too-many-cells": Severity.REFUSED,
    "huge-cell": Severity.REFUSED,
    "wrong-notebook": Severity.REFUSED,  # none of its cells is from the release
    "invalid-cell": Severity.MENDED,  # left out, since it is no cell of a notebook
    "duplicated-cell": Severity.MENDED,
    "missing-cell": Severity.MENDED,
    "missing-answer": Severity.MENDED,
    "lost-metadata": Severity.MENDED,  # a released cell, recognized by its text alone
    "changed-test": Severity.MENDED,
    "changed-metadata": Severity.MENDED,
    "moved-cell": Severity.NOTE,
    "unknown-cell": Severity.NOTE,
    # Its run
    "output-truncated": Severity.NOTE,
    "cell-timeout": Severity.NOTE,
    "call-timeout": Severity.NOTE,
    "kernel-died": Severity.SUSPICIOUS,
    "memory-limit": Severity.SUSPICIOUS,
    "left-processes": Severity.NOTE,  # a Spark session that was not stopped, for instance
    "forged-reply": Severity.SUSPICIOUS,
    "not-finished": Severity.SUSPICIOUS,
    "unsandboxed": Severity.NOTE,
}


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Raises ValueError for a name that is not in `SEVERITIES`.
    """

    name: str
    says: str
    """A full sentence, for the teacher and the learner."""
    cell: str | None = None
    """nbgrader's grade_id of the cell it is about, None where it is about the whole."""

    def __post_init__(self):
        if self.name not in SEVERITIES:
            raise ValueError(f"no finding is called {self.name!r}; see SEVERITIES for the names")

    @property
    def severity(self) -> Severity:
        """How much it weighs."""
        return SEVERITIES[self.name]


def status(findings: Iterable[Finding]) -> Status:
    """What the worst finding makes of a submission; notes leave it graded."""
    order = list(Severity)
    worst = max((order.index(finding.severity) for finding in findings), default=0)
    return list(Status)[worst]


def to_metadata(findings: Iterable[Finding]) -> list[dict[str, str | None]]:
    """Findings as a notebook's metadata holds them."""
    return [{"name": one.name, "says": one.says, "cell": one.cell} for one in findings]


def from_metadata(data: Iterable[Mapping[str, str | None]]) -> tuple[Finding, ...]:
    """The findings that `to_metadata` wrote."""
    return tuple(Finding(one["name"], one["says"], one["cell"]) for one in data)

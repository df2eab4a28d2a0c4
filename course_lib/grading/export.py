"""Grades as tables: with the reasons for them, and as Canvas and Moodle import them.

Each is a plug-in of nbgrader's own command::

    nbgrader export --exporter=course_lib.grading.export.GradesCsvExportPlugin --to grades.csv
    nbgrader export --exporter=course_lib.grading.export.CanvasExportPlugin --to canvas.csv
    nbgrader export --exporter=course_lib.grading.export.MoodleExportPlugin --to moodle.csv

A number stands only where somebody earned it. Who handed nothing in, whose submission could not be
graded, and who still waits for a person has an empty field there, and a word that says why.

Tables are UTF-8 and quoted as RFC 4180 says. Text that a spreadsheet would take for a formula is
kept from being one by an apostrophe before it.
"""

import csv
import glob
import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from nbgrader.api import (
    Assignment,
    BaseCell,
    Grade,
    Gradebook,
    MissingEntry,
    Student,
    SubmittedAssignment,
    SubmittedNotebook,
)
from nbgrader.coursedir import CourseDirectory
from nbgrader.plugins import ExportPlugin
from sqlalchemy import case
from sqlalchemy.orm import undefer
from traitlets import Dict, Enum, default

from course_lib.grading.findings import Finding, Status, from_metadata, status

MISSING = "missing"
"""The status of who handed nothing in."""
UNGRADED = "ungraded"
"""The status of a submission that waits to be graded, or failed to be."""
ELSEWHERE = "not graded here"
"""The status of a submission that something else has graded, so that nothing is known of it."""


class Task(NamedTuple):
    """The points of one graded cell."""

    grade_id: str
    points: float | None
    """None where neither the tests nor a person have given any."""
    max_points: float

    def __str__(self) -> str:
        points = "?" if self.points is None else f"{self.points:g}"
        return f"{self.grade_id}={points}/{self.max_points:g}"


@dataclass(frozen=True)
class Standing:
    """How one student stands in one assignment."""

    assignment: Assignment
    student: Student
    submission: SubmittedAssignment | None
    """The gradebook's entry, None where it has none, or none with anything graded."""
    status: str
    """One of `Status`, or `MISSING`, `UNGRADED` or `ELSEWHERE`."""
    findings: tuple[Finding, ...] = ()
    tasks: tuple[Task, ...] = ()
    """The points of each graded cell, by its name."""

    @property
    def score(self) -> float | None:
        """The points less what lateness costs, never below 0; None where nothing is graded."""
        if self.submission is None:
            return None
        return max(0.0, self.submission.score - self.submission.late_submission_penalty)

    @property
    def final_score(self) -> float | None:
        """The points as a course's own records may take them over.

        None where 0 would say something else than that the answers are wrong: nothing was graded,
        nothing could be (and nobody has given points since), or a person has yet to look.
        """
        waiting = self.submission is not None and self.submission.needs_manual_grade
        refused = self.status == Status.REFUSED and not self.score
        return None if waiting or refused else self.score

    @property
    def reasons(self) -> str:
        """What the findings say, in one paragraph."""
        return " ".join(finding.says for finding in self.findings)


def standings(
    gradebook: Gradebook,
    coursedir: CourseDirectory,
    assignments: Collection[str] = (),
    students: Collection[str] = (),
) -> Iterator[Standing]:
    """Everyone in every assignment, or in those named: by assignment, then by last name.

    Everyone is who stands in the gradebook, and who has handed something in without standing there.
    Raises nbgrader's MissingEntry for an assignment that the gradebook does not know.
    """
    known = {assignment.name: assignment for assignment in gradebook.assignments}
    if unknown := sorted(set(assignments) - set(known)):
        raise MissingEntry(
            f"no assignment is called {', '.join(map(repr, unknown))}; "
            f"there are {', '.join(known) or 'none'}"
        )
    everyone = gradebook.students
    for name, assignment in known.items():
        if assignments and name not in assignments:
            continue
        submissions = _submissions(gradebook, assignment)
        tasks = _tasks(gradebook, name)
        handed_in = _handed_in(coursedir, name)
        newcomers = sorted(handed_in - {student.id for student in everyone})
        for student in [*everyone, *(Student(id=newcomer) for newcomer in newcomers)]:
            if students and student.id not in students:
                continue
            submission, points = submissions.get(student.id), tuple(tasks.get(student.id, ()))
            folder = coursedir.format_path(coursedir.autograded_directory, student.id, name)
            notebooks = sorted(Path(folder).glob("*.ipynb"))
            # nbgrader makes an entry before it grades: without points and notebook it failed to.
            if notebooks or any(task.points is not None for task in points):
                yield Standing(assignment, student, submission, *_verdict(notebooks), points)
            else:
                word = UNGRADED if submission or student.id in handed_in else MISSING
                yield Standing(assignment, student, None, word)


def _submissions(gradebook: Gradebook, assignment: Assignment) -> dict[str, SubmittedAssignment]:
    """The gradebook's entries by student, in one query with what is read of each."""
    query = gradebook.db.query(SubmittedAssignment).filter_by(assignment_id=assignment.id)
    sums = ("score", "late_submission_penalty", "needs_manual_grade")
    options = [undefer(getattr(SubmittedAssignment, name)) for name in sums]
    return {one.student_id: one for one in query.options(*options)}


def _tasks(gradebook: Gradebook, assignment: str) -> dict[str, list[Task]]:
    """Points of every graded cell, by student: one query, since a class has tens of thousands."""
    query = (
        gradebook.db.query(
            SubmittedAssignment.student_id,
            BaseCell.name,
            case(
                (Grade.auto_score.is_(None) & Grade.manual_score.is_(None), None), else_=Grade.score
            ),
            Grade.max_score,
        )
        .select_from(Grade)
        .join(BaseCell, Grade.cell_id == BaseCell.id)
        .join(SubmittedNotebook, Grade.notebook_id == SubmittedNotebook.id)
        .join(SubmittedAssignment, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
        .join(Assignment, SubmittedAssignment.assignment_id == Assignment.id)
        .filter(Assignment.name == assignment)
        .order_by(BaseCell.name)
    )
    found: dict[str, list[Task]] = {}
    for student, *task in query:
        found.setdefault(student, []).append(Task(*task))
    return found


def _handed_in(coursedir: CourseDirectory, assignment: str) -> set[str]:
    """Whose folder there is among the submissions."""
    step = coursedir.submitted_directory
    pattern = re.compile(
        coursedir.format_path(step, "(?P<student>.*)", re.escape(assignment), escape=True)
    )
    folders = glob.iglob(coursedir.format_path(step, "*", glob.escape(assignment)))
    return {found["student"] for folder in folders if (found := pattern.fullmatch(folder))}


def _verdict(notebooks: Sequence[Path]) -> tuple[str, tuple[Finding, ...]]:
    """The status and findings that a student's autograded notebooks carry."""
    findings: list[Finding] = []
    for path in notebooks:
        try:
            metadata = json.loads(path.read_bytes())["metadata"]
            findings += from_metadata(metadata["grading"]["findings"])
        except (ValueError, KeyError, TypeError):  # no notebook, or none that was graded here
            return ELSEWHERE, ()
    return (status(findings), tuple(findings)) if notebooks else (ELSEWHERE, ())


class _Table(ExportPlugin):
    """What the three tables have in common: whom they are about, and how they are written."""

    def export(self, gradebook: Gradebook) -> None:
        """Write the table to `to`."""
        coursedir = getattr(self.parent, "coursedir", None) or CourseDirectory(parent=self)
        chosen = standings(
            gradebook,
            coursedir,
            assignments=[str(name) for name in self.assignment],
            students=[str(name) for name in self.student],
        )
        rows = list(self.rows(list(chosen)))
        self.log.info("Exporting grades to %s", self.to)
        with open(self.to, "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)

    def rows(self, standings: Sequence[Standing]) -> Iterable[Sequence]:
        """The table, its header first."""
        raise NotImplementedError


class GradesCsvExportPlugin(_Table):
    """nbgrader's own table, a row for each student and assignment, and why the points are so.

    The columns that it adds: `needs_manual_grade`; `status`, as in `Standing`; `findings`, names
    joined by semicolons; `reasons`, sentences; `tasks`, the points of each graded cell, "?" where a
    person has yet to give them.
    """

    @default("to")
    def _default_to(self) -> str:
        return "grades.csv"

    def rows(self, standings: Sequence[Standing]) -> Iterable[Sequence]:
        """The table, its header first."""
        yield (
            *("assignment", "duedate", "timestamp", "student_id", "last_name", "first_name"),
            *("email", "raw_score", "late_submission_penalty", "score", "max_score"),
            *("needs_manual_grade", "status", "findings", "reasons", "tasks"),
        )
        for one in standings:
            submission, student = one.submission, one.student
            yield (
                _text(one.assignment.name),
                one.assignment.duedate,
                submission and submission.timestamp,
                _text(student.id),
                _text(student.last_name),
                _text(student.first_name),
                _text(student.email),
                submission and submission.score,
                submission and submission.late_submission_penalty,
                one.score,
                one.assignment.max_score,
                submission and bool(submission.needs_manual_grade),
                one.status,
                ";".join(finding.name for finding in one.findings),
                _text(one.reasons),
                ";".join(map(str, one.tasks)),
            )


class _ImportTable(_Table):
    """A row for each student and a column for each assignment."""

    columns = Dict(
        help="How the course calls an assignment's column, where not as nbgrader calls the "
        "assignment: {'ps03': 'Problem set 3 (4711)'}."
    ).tag(config=True)

    def rows(self, standings: Sequence[Standing]) -> Iterable[Sequence]:
        """The table, its header first.

        Raises ValueError where two assignments would have the same column.
        """
        by_student: dict[str, dict[str, Standing]] = {}
        assignments: dict[str, Assignment] = {}
        for one in standings:
            assignments[one.assignment.name] = one.assignment
            by_student.setdefault(one.student.id, {})[one.assignment.name] = one
            if one.final_score is None:
                self.log.warning(
                    "%s, %s: no points to import. %s",
                    *(one.student.id, one.assignment.name),
                    one.reasons or f"Status: {one.status}.",
                )
        titles = {name: _text(self.columns.get(name, name)) for name in assignments}
        if len(set(titles.values())) < len(titles):
            raise ValueError(f"two assignments would share a column: {', '.join(titles.values())}")
        yield from self.table(list(assignments.values()), titles, list(by_student.values()))

    def table(
        self,
        assignments: Sequence[Assignment],
        titles: dict[str, str],
        students: Sequence[dict[str, Standing]],
    ) -> Iterable[Sequence]:
        """The rows, given assignments, their columns' titles, and students' standings by name."""
        raise NotImplementedError


class CanvasExportPlugin(_ImportTable):
    """A table that Canvas's gradebook imports.

    Canvas finds a student by the first that fits: its own number (nbgrader's `lms_user_id`), the
    SIS user ID, the SIS login ID, the name. It finds an assignment by the number in parentheses
    that its own exports put after the title, or by the title. An empty field is no score.
    """

    student_id_is = Enum(
        ("SIS User ID", "SIS Login ID"),
        default_value="SIS Login ID",
        help="Which of Canvas's columns nbgrader's student ids belong in.",
    ).tag(config=True)

    @default("to")
    def _default_to(self) -> str:
        return "canvas.csv"

    def table(self, assignments, titles, students):
        """As `_ImportTable` says. Raises ValueError for a title that Canvas would not import."""
        for title in titles.values():
            if _NO_ASSIGNMENT_TO_CANVAS.search(title):
                raise ValueError(
                    f"Canvas ignores columns called like its own totals, such as {title!r}; "
                    "give the assignment another title, there and in CanvasExportPlugin.columns"
                )
        identity = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
        yield *identity, *titles.values()
        yield "    Points Possible", *[""] * 4, *(_number(one.max_score) for one in assignments)
        for standing_in in students:
            student = next(iter(standing_in.values())).student
            is_user_id = self.student_id_is == "SIS User ID"
            yield (
                _canvas_name(student),
                _text(student.lms_user_id),
                _text(student.id) if is_user_id else "",
                "" if is_user_id else _text(student.id),
                "",
                *(_number(standing_in[name].final_score) for name in titles),
            )


_NO_ASSIGNMENT_TO_CANVAS = re.compile(
    r"(Current|Final) (Score|Points|Grade)|Override (Score|Grade|Status)"
)


def _canvas_name(student: Student) -> str:
    """Last name first, as Canvas sorts.

    A row in whose first field "Points Possible" occurs is to Canvas not a student, but sets what
    everybody's assignments are worth; no student is to call themselves so.
    """
    name = ", ".join(part for part in (student.last_name, student.first_name) if part)
    return _text(student.id if not name or "Points Possible" in name else name)


class MoodleExportPlugin(_ImportTable):
    """A table that Moodle's "CSV file" grade import takes.

    There, map from the column that identifies students, map to the same; then map each assignment
    to its grade item, and the column with the reasons to the feedback for it, or to nothing. A
    hyphen is no grade, as in Moodle's own exports.
    """

    student_is = Enum(
        ("Username", "ID number", "Email address"),
        default_value="Username",
        help="What identifies students: what nbgrader's student ids are in Moodle, or "
        "'Email address' for their addresses.",
    ).tag(config=True)

    @default("to")
    def _default_to(self) -> str:
        return "moodle.csv"

    def table(self, assignments, titles, students):
        """As `_ImportTable` says. Raises ValueError where a student could not be identified."""
        people = [next(iter(standing_in.values())).student for standing_in in students]
        # Moodle gives the points in a row without identification to the student before.
        if nobody := [one.id for one in people if self._identity(one) in ("", "0")]:
            raise ValueError(
                f"without {self.student_is.lower()}: {', '.join(nobody)}; add it to the gradebook, "
                "or let MoodleExportPlugin.student_is name something that everybody has"
            )
        yield (
            *("First name", "Last name", self.student_is),
            *(heading for title in titles.values() for heading in (title, f"{title} (feedback)")),
        )
        for student, standing_in in zip(people, students, strict=True):
            yield (
                _text(student.first_name),
                _text(student.last_name),
                _text(self._identity(student)),
                *(
                    field
                    for name in titles
                    for field in (
                        _number(standing_in[name].final_score) or "-",
                        _text(standing_in[name].reasons),
                    )
                ),
            )

    def _identity(self, student: Student) -> str:
        if self.student_is != "Email address":
            return student.id
        return student.email or (student.id if "@" in student.id else "")


_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")  # also as full-width characters


def _text(value: str | None) -> str:
    """Somebody else's text, in one line, and none that a spreadsheet calculates."""
    text = re.sub(r"[\x00-\x1f\x7f]", " ", value or "")
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text


def _number(points: float | None) -> str:
    """Points without superfluous digits; nothing for None."""
    return "" if points is None else f"{points:.10g}"

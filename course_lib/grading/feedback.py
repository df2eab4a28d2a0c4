"""Feedback pages that tell learners what they got and why, and never how they were tested.

The pages are nbgrader's: its template, its layout, its points and comments. To have them from
nbgrader's own command and formgrader's button too, a course's ``nbgrader_config.py`` says::

    c.GenerateFeedback.preprocessors = [
        "course_lib.grading.feedback.HideTests",
        "course_lib.grading.feedback.GetGradesAtOnce",
        "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
    ]
    c.GenerateFeedback.exporter_class = "course_lib.grading.feedback.FeedbackPage"
"""

import html
import json
import logging
import re
from collections.abc import Collection, Iterable
from typing import NamedTuple

from nbconvert.exporters import HTMLExporter, TemplateExporter
from nbconvert.filters import strip_ansi
from nbconvert.preprocessors import Preprocessor
from nbformat.notebooknode import NotebookNode
from nbformat.v4 import new_output
from nbgrader.api import (
    Assignment,
    BaseCell,
    Comment,
    Grade,
    Gradebook,
    MissingEntry,
    Notebook,
    SubmittedAssignment,
    SubmittedNotebook,
)
from nbgrader.converters import GenerateFeedback
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import ClearHiddenTests, GetGrades
from nbgrader.utils import is_grade, is_locked
from traitlets import Bool, Integer
from traitlets.config import Config
from traitlets.utils.importstring import import_item

from course_lib.grading import pages

_REPLACED = "[hidden test]"
_SHORTEST = 8  # characters of a line that is worth hiding: shorter ones occur by chance
_LONGEST = 500  # characters of a line of code that is shown
_MARKUP = 200  # characters of HTML that nbconvert puts around an output


class HideTests(Preprocessor):
    """Leaves out of a feedback page what would give hidden tests away, and what is too much.

    Of test cells it takes the hidden regions (those that nbgrader's `ClearHiddenTests` finds), and
    of their errors all but name and message, since a traceback quotes the lines that failed. A line
    of a hidden region that any output quotes, plain, coloured, escaped or in HTML, is replaced. (A
    test that says in words of its own what it tried, in a message for instance, means to.)

    Limits are in characters: of one cell a tenth of a page's may be shown. Beyond them a page could
    be as large as its author likes, and take hours: highlighting 30,000 dots takes 18 s.
    """

    enabled = Bool(True).tag(config=True)
    max_output = Integer(4_000_000, help="Characters of outputs on a page; tests' come first.").tag(
        config=True
    )
    max_source = Integer(100_000, help="Characters of a learner's own cells on a page.").tag(
        config=True
    )

    def preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        """Change `nb` in place."""
        code = [cell for cell in nb.cells if cell.cell_type == "code"]
        tests = [cell for cell in code if is_grade(cell) and is_locked(cell)]
        hidden = _Lines(self._clear(tests))
        for cell in tests:
            for output in cell.outputs:
                if output.output_type == "error":
                    output.traceback = [f"{output.ename}: {output.evalue}"]
        left = self.max_output
        for cell in sorted(code, key=lambda cell: not (is_grade(cell) and is_locked(cell))):
            left -= _shorten_outputs(cell, min(left, self.max_output // 10))
            for output in cell.outputs:
                _hide(hidden, output)
        if "widgets" in nb.metadata and len(json.dumps(nb.metadata.widgets)) > left:
            del nb.metadata["widgets"]
        left = self.max_source
        for cell in nb.cells:
            if not is_locked(cell):
                left -= _shorten_source(cell, min(left, self.max_source // 10))
        return nb, resources

    def _clear(self, tests: Iterable[NotebookNode]) -> set[str]:
        """Take the hidden regions out of test cells, and return the lines that were only there."""
        clear = ClearHiddenTests(config=Config(ClearHiddenTests=self.config.ClearHiddenTests))
        before: set[str] = set()
        after: set[str] = set()
        for cell in tests:
            before.update(map(str.strip, cell.source.splitlines()))
            clear.preprocess_cell(cell, {}, 0)
            after.update(map(str.strip, cell.source.splitlines()))
        return before - after


class _Lines:
    """Lines that must not be quoted, as they are and as JSON and Python escape them."""

    def __init__(self, lines: Iterable[str]):
        forms = {
            form
            for line in lines
            if len(line) >= _SHORTEST
            for form in (line, json.dumps(line)[1:-1], repr(line)[1:-1])
        }
        self._forms = sorted(forms, key=len, reverse=True)

    def are_in(self, text: str) -> bool:
        return any(form in text for form in self._forms)

    def out_of(self, text: str) -> str:
        """The text without them; without its colours too, since these come between words."""
        plain = strip_ansi(text)
        if not self.are_in(plain):
            return text
        for form in self._forms:
            plain = plain.replace(form, _REPLACED)
        return plain

    def out_of_markup(self, markup: str) -> str:
        """The same for HTML, of which only the words are left where there was something to hide."""
        words = html.unescape(re.sub(r"<[^<>]*>", "", markup)).replace("\xa0", " ")
        if self.are_in(words):
            return f"<pre>{html.escape(self.out_of(words))}</pre>"
        return f"<pre>{_REPLACED}</pre>" if self.are_in(html.unescape(markup)) else markup


def _hide(hidden: _Lines, output: NotebookNode) -> None:
    if output.output_type == "stream":
        output.text = hidden.out_of(output.text)
    elif output.output_type == "error":
        output.traceback = [hidden.out_of("\n".join(output.traceback))]
    else:
        for kind, content in output.data.items():
            if kind in ("text/html", "text/markdown", "image/svg+xml"):
                output.data[kind] = hidden.out_of_markup(content)
            elif isinstance(content, str):
                output.data[kind] = hidden.out_of(content)


def _shorten_outputs(cell: NotebookNode, room: int) -> int:
    """Leave out of a cell's outputs what exceeds `room`; return what the others take of it.

    Printed text is cut after a whole line, so that no part of a line escapes being hidden.
    """
    kept: list[NotebookNode] = []
    taken = lost = 0
    for output in cell.outputs:
        size = len(json.dumps(output, ensure_ascii=False)) + _MARKUP
        if taken + size > room:
            lost += size
            if output.output_type != "stream":
                continue
            output.text = output.text[: max(0, room - taken - _MARKUP)].rpartition("\n")[0]
            size = len(output.text) + _MARKUP
            if not output.text:
                continue
            lost -= size
        kept.append(output)
        taken += size
    if lost:
        says = f"\n[{lost:,} more characters of output are left out of this page]\n"
        kept.append(new_output("stream", name="stdout", text=says))
    cell.outputs = kept
    return taken


def _shorten_source(cell: NotebookNode, room: int) -> int:
    """Leave out of a cell's text what exceeds `room`; return what the rest takes of it."""
    text = shown = cell.source
    if cell.cell_type == "code":  # thousands of blanks or dots in a row are what takes long
        lines = [line if line.strip() else "" for line in text.split("\n")]
        text = "\n".join(lines)
        shown = "\n".join(line[:_LONGEST] for line in lines)
    cell.source = shown = shown[:room]
    if lost := len(text) - len(shown):
        cell.source += f"\n[{lost:,} more characters are left out of this page]"
    return len(shown)


class _Points(NamedTuple):
    """What the gradebook knows of one student's notebook."""

    score: float
    max_score: float
    late_penalty: float
    grades: dict[str, tuple[float, float]]
    """Points and the most there are, by grade_id."""
    comments: dict[str, str | None]
    """By grade_id of the answer."""


class GetGradesAtOnce(GetGrades):
    """nbgrader's `GetGrades`, which reads the whole class on the first page, and not each by each.

    The points are as they were then: for a converter that works once through its submissions.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._read: dict[tuple[str, str, str], dict[str, _Points]] = {}

    def preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        """Put points and comments where the template looks for them.

        Raises nbgrader's MissingEntry for a submission or cell that the gradebook does not know.
        """
        about = resources["nbgrader"]
        key = (about["db_url"], about["assignment"], about["notebook"])
        if key not in self._read:
            self._read[key] = _read_points(*key)
        if about["student"] not in self._read[key]:
            raise MissingEntry(f"the gradebook has no {'/'.join(key[1:])} of {about['student']}")
        self._points = self._read[key][about["student"]]
        for index, cell in enumerate(nb.cells):
            self.preprocess_cell(cell, resources, index)
        about["late_penalty"] = self._points.late_penalty
        about["score"] = self._points.score - self._points.late_penalty
        about["max_score"] = self._points.max_score
        return nb, resources

    def _get_comment(self, cell: NotebookNode, resources: dict) -> None:
        cell.metadata.nbgrader["comment"] = self._of(cell, self._points.comments)

    def _get_score(self, cell: NotebookNode, resources: dict) -> None:
        points, most = self._of(cell, self._points.grades)
        cell.metadata.nbgrader.update(score=points, points=most)

    def _of(self, cell: NotebookNode, entries: dict):
        name = cell.metadata.nbgrader["grade_id"]
        if name not in entries:
            raise MissingEntry(f"the gradebook has nothing on the cell {name!r}")
        return entries[name]


def _read_points(db_url: str, assignment: str, notebook: str) -> dict[str, _Points]:
    """What the gradebook knows of a notebook, by student."""
    with Gradebook(db_url) as gradebook:

        def read(table, *columns):
            """Columns of a table, and whose they are, for this notebook."""
            query = gradebook.db.query(SubmittedAssignment.student_id, *columns).select_from(table)
            if table is not SubmittedNotebook:
                query = query.join(BaseCell, table.cell_id == BaseCell.id)
                query = query.join(SubmittedNotebook, table.notebook_id == SubmittedNotebook.id)
            return (
                query.join(
                    SubmittedAssignment, SubmittedNotebook.assignment_id == SubmittedAssignment.id
                )
                .join(Assignment, SubmittedAssignment.assignment_id == Assignment.id)
                .join(Notebook, SubmittedNotebook.notebook_id == Notebook.id)
                .filter(Assignment.name == assignment, Notebook.name == notebook)
            )

        sums = SubmittedNotebook.score, SubmittedNotebook.max_score
        penalty = SubmittedNotebook.late_submission_penalty
        points = {
            student: _Points(score, most, penalty or 0, {}, {})
            for student, score, most, penalty in read(SubmittedNotebook, *sums, penalty)
        }
        for student, cell, score, most in read(Grade, BaseCell.name, Grade.score, Grade.max_score):
            points[student].grades[cell] = score, most
        for student, cell, comment in read(Comment, BaseCell.name, Comment.comment):
            points[student].comments[cell] = comment
        return points


class _Rendered(TemplateExporter):
    """What `HTMLExporter` builds on in `FeedbackPage`: keeps the page that the template made."""

    def from_notebook_node(self, nb, resources=None, **kw):
        self.rendered, resources = super().from_notebook_node(nb, resources, **kw)
        return self.rendered if "<img" in self.rendered.lower() else "", resources


class FeedbackPage(HTMLExporter, _Rendered):
    """nbconvert's HTML, parsed once more only if it has images.

    `HTMLExporter` parses every page to say "no description" of images that have none, and to make
    cells focusable, which nbgrader's template has no use for. That takes longer than the page.

    Nothing of a learner's runs on it, see `pages`.
    """

    sanitize_html = Bool(True).tag(config=True)

    def default_filters(self):
        """nbconvert's filters, with those that make HTML clean."""
        yield from super().default_filters()
        yield "clean_html", pages.clean_html
        yield "markdown2html", pages.markdown2html

    def from_notebook_node(self, nb, resources=None, **kw):
        """Return the page and its resources."""
        page, resources = super().from_notebook_node(nb, resources, **kw)
        return page or self.rendered, resources


class WriteFeedback(GenerateFeedback):
    """nbgrader's `GenerateFeedback` for some students, whose pages hide the tests.

    What the course configures for `GenerateFeedback` holds here too; `HideTests` is always there.
    """

    def __init__(self, students: Collection[str] | None = None, **kwargs):
        super().__init__(**kwargs)
        self._students = students
        configured = [
            import_item(one) if isinstance(one, str) else one for one in self.preprocessors
        ]
        ours = {GetGrades: GetGradesAtOnce}
        rest = [ours.get(one, one) for one in configured if one is not HideTests]
        self.preprocessors = [HideTests, *rest]
        if self.exporter_class is HTMLExporter:
            self.exporter_class = FeedbackPage

    def init_notebooks(self) -> None:
        """Find the autograded notebooks.

        Raises NbGraderException where there are none, or none of one of the students.
        """
        super().init_notebooks()
        if self._students is None:
            return
        wanted = {
            self._format_source(self.coursedir.assignment_id, student): student
            for student in self._students
        }
        if absent := [name for folder, name in wanted.items() if folder not in self.assignments]:
            raise NbGraderException(f"not autograded, so without feedback: {', '.join(absent)}")
        self.assignments = {folder: self.assignments[folder] for folder in wanted}


def write_feedback(
    coursedir: CourseDirectory,
    config: Config,
    students: Collection[str] | None = None,
    log: logging.Logger | None = None,
) -> None:
    """Write the feedback pages of an assignment in place of those there are.

    `coursedir` names the assignment; `students` are those whose pages to write, None for all. Pages
    of several processes do not disturb each other, if no student is in two shares. The working
    directory is the course's meanwhile.

    Raises NbGraderException if a page could not be made, when all others are; `log` says why.
    """
    converter = WriteFeedback(
        students, coursedir=coursedir, config=config, **({"log": log} if log else {})
    )
    converter.force = True
    converter.start()

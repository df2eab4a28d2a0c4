"""The course: its parts, lessons and problem sets, and a map of them with the learner's marks.

What exists is found in the folders ``notebooks/`` and ``exercises/``: a lesson's title is the first
heading of its notebook. Only what is not written yet takes its title from here.
"""

import html
import json
import re
from dataclasses import dataclass
from pathlib import Path

from course_lib import progress
from course_lib.places import course_root


@dataclass(frozen=True)
class Lesson:
    """A lesson by its two digits, and the problem set with the same ones."""

    number: str
    planned_title: str
    has_problem_set: bool = True

    @property
    def file(self) -> Path | None:
        """Its notebook, None while it is planned."""
        return _find("notebooks", rf"{self.number}_[a-z0-9_]+\.ipynb")

    @property
    def title(self) -> str:
        """The first heading of its notebook without the number, else the planned title."""
        file = self.file
        heading = _first_heading(file) if file else None
        return heading.removeprefix(self.number).lstrip(" .:·") if heading else self.planned_title

    @property
    def problem_set(self) -> Path | None:
        """The notebook of its problem set, None while it is planned; the learner's copy if any."""
        release = _find("exercises", rf"ps{self.number}-[a-z0-9-]+")
        if release is None:
            return None
        notebook = f"{release.name}/{release.name}.ipynb"
        copy = release.parents[1] / "my" / notebook
        return copy if progress.is_on() and copy.is_file() else release.parent / notebook


@dataclass(frozen=True)
class Part:
    """Some lessons under one title."""

    title: str
    lessons: tuple[Lesson, ...]


COURSE = (
    Part("Before you begin", (Lesson("00", "Start here", has_problem_set=False),)),
    Part(
        "Part I: The machine under Spark",
        (
            Lesson("01", "A JVM is a process"),
            Lesson("02", "The heap at work"),
            Lesson("03", "Drivers, executors and containers"),
            Lesson("04", "Inside the executor's heap"),
        ),
    ),
    Part(
        "Part II: Spark's memory managers",
        (
            Lesson("05", "The static manager, and why it went"),
            Lesson("06", "The unified manager"),
            Lesson("07", "Blocks, storage levels and eviction"),
            Lesson("08", "Tasks share execution memory"),
            Lesson("09", "Off-heap memory and Tungsten"),
        ),
    ),
    Part(
        "Part III: Driver, executor, tuning",
        (
            Lesson("10", "Overhead and PySpark"),
            Lesson("11", "The driver"),
            Lesson("12", "Partitions, skew and spill"),
            Lesson("13", "Caching well"),
            Lesson("14", "Garbage collection and serialization"),
            Lesson("15", "Sizing and dynamic allocation"),
        ),
    ),
    Part(
        "Part IV: Watching and healing",
        (
            Lesson("16", "Monitoring"),
            Lesson("17", "The OOM clinic"),
            Lesson("18", "Capstone"),
        ),
    ),
)

CHEATSHEET = "cheatsheet.ipynb"

LESSONS = {lesson.number: lesson for part in COURSE for lesson in part.lessons}


def lesson(number: str) -> None:
    """Note that this lesson was opened. The first cell of each lesson says ``lesson("04")``.

    Raises ValueError for a lesson that the course does not have.
    """
    if number not in LESSONS:
        raise ValueError(
            f"there is no lesson {number!r}; lessons are named '00' to {max(LESSONS)!r}"
        )
    progress.opened(number)


def course_map() -> "CourseMap":
    """The map of the course as it is now; show it as the last line of a cell."""
    done = progress.summary()
    return CourseMap(
        tuple(
            (
                part.title,
                tuple(_row(lesson, done.get(lesson.number)) for lesson in part.lessons),
            )
            for part in COURSE
        )
    )


@dataclass(frozen=True)
class Row:
    """One lesson on the map. A link is relative to ``notebooks/``, None while there is no file."""

    number: str
    title: str
    link: str | None
    opened: str
    self_test: str
    problem_set: str
    problem_set_link: str | None


@dataclass(frozen=True, repr=False)
class CourseMap:
    """Parts with their rows, drawn as HTML with links or as text."""

    parts: tuple[tuple[str, tuple[Row, ...]], ...]

    def __repr__(self) -> str:
        width = max(len(row.title) for _, rows in self.parts for row in rows)
        lines = []
        for title, rows in self.parts:
            cells = ("", title, *_HEADINGS)
            for row in (cells, *((r.number, r.title, *_marks(r)) for r in rows)):
                line = f"{row[0]:2}  {row[1]:{width}}  {row[2]:8}  {row[3]:9}  {row[4]}"
                lines.append(line.rstrip())
            lines.append("")
        return "\n".join([*lines, f"To print: notebooks/{CHEATSHEET}"])

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col" style="{_LEFT}">{name}</th>' for name in _HEADINGS)
        tables = []
        for title, rows in self.parts:
            body = "".join(_html_row(row) for row in rows)
            tables.append(
                f'<tr><th scope="col" colspan="2" style="{_LEFT}">{html.escape(title)}</th>'
                f"{head}</tr>{body}"
            )
        return (
            f'<table aria-label="Course map">{"".join(tables)}</table>'
            f'<p>To print: <a href="{CHEATSHEET}">Spark memory on one page</a></p>'
        )


_HEADINGS = ("Opened", "Self-test", "Problem set")
_LEFT = "text-align: left"


def _row(lesson: Lesson, done: progress.LessonProgress | None) -> Row:
    done = done or progress.LessonProgress()
    file, problem_set = lesson.file, lesson.problem_set
    if not lesson.has_problem_set:
        points = ""
    elif problem_set is None:
        points = "planned"
    else:
        points = _score(done.problem_set, " points") or "to do"
    return Row(
        number=lesson.number,
        title=lesson.title,
        link=file and file.name,
        opened=("yes" if done.opened else "no") if file else "planned",
        self_test=_score(done.self_test),
        problem_set=points,
        problem_set_link=problem_set and "/".join(("..", *problem_set.parts[-3:])),
    )


def _score(result: tuple[float, float] | None, unit: str = "") -> str:
    return f"{result[0]:g} of {result[1]:g}{unit}" if result else ""


def _marks(row: Row) -> tuple[str, str, str]:
    return row.opened, row.self_test, row.problem_set


def _html_row(row: Row) -> str:
    title = html.escape(row.title)
    points = html.escape(row.problem_set)
    cells = (
        row.number,
        f'<a href="{html.escape(row.link)}">{title}</a>' if row.link else title,
        row.opened,
        row.self_test,
        f'<a href="{html.escape(row.problem_set_link)}">{points}</a>'
        if row.problem_set_link
        else points,
    )
    return "<tr>" + "".join(f'<td style="{_LEFT}">{cell}</td>' for cell in cells) + "</tr>"


def _find(folder: str, pattern: str) -> Path | None:
    """The entry of a folder of the course whose whole name matches, so that copies are left out."""
    root = course_root()
    if root is None or not (root / folder).is_dir():
        return None
    found = [entry for entry in (root / folder).iterdir() if re.fullmatch(pattern, entry.name)]
    return min(found, default=None)


def _first_heading(notebook: Path) -> str | None:
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "markdown":
            heading = re.search(r"^#\s+(.+?)\s*#*$", "".join(cell["source"]), re.MULTILINE)
            if heading:
                return heading[1]
    return None

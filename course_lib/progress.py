"""What a learner has done: lessons opened, predictions made, self-tests and problem sets finished.

Events are lines of JSON in ``my/progress.jsonl`` under the course's folder, which git ignores.
Where that cannot be written they go to the user's own data folder. Deleting the file is harmless:
the marks on the course map disappear, nothing else changes.

The environment variable ``SPARK_COURSE_PROGRESS`` names another folder to keep the file in, or is
``off``: then nothing is written and nothing is read, so that what a lesson shows does not depend on
who ran it. It is off by itself wherever nbgrader or pytest (and with it nbval) runs the notebook.
"""

import json
import os
import re
import warnings
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from course_lib.places import course_root

FILE_NAME = "progress.jsonl"

# What each kind of event must say beside its name. Its name is a lesson ("04") or a problem set
# ("ps04", "ps04-heap-regions"), except for a prediction, which is named by its question.
KINDS = {
    "opened": (),
    "prediction": ("chosen", "right"),
    "self_test": ("score", "out_of"),
    "problem_set": ("points", "out_of"),
}
_LESSON_NAME = re.compile(r"(?:ps)?(\d\d)(?:-.*)?")


@dataclass(frozen=True)
class LessonProgress:
    """How far a learner is with one lesson; results are the latest ones, None before the first."""

    opened: bool = False
    self_test: tuple[int, int] | None = None
    """Right answers, and the number of questions."""
    problem_set: tuple[float, float] | None = None
    """Points, and how many there are to be had."""


def record(kind: str, name: str, **data) -> None:
    """Append one event, such as ``record("self_test", "04", score=4, out_of=5)``.

    Raises ValueError for a kind, a name or data that `KINDS` does not describe. An event that no
    folder takes is lost with a warning: a lesson goes on without its marks.
    """
    event = {"time": datetime.now(UTC).isoformat(timespec="microseconds"), "kind": kind}
    event |= {"name": name} | data
    _check(event)
    # Several notebooks append to one file. One unbuffered write keeps a line in one piece, and the
    # newline before it keeps it apart from a line whose writer died half way.
    line = b"\n" + json.dumps(event, allow_nan=False).encode() + b"\n"
    failures = []
    for file in _files():
        try:
            _append(file, line)
        except OSError as error:
            failures.append(f"{file} ({error.strerror or error})")
        else:
            return
    if failures:
        warnings.warn(f"progress was not saved: {'; '.join(failures)}", stacklevel=2)


def opened(lesson: str) -> None:
    """Record that a lesson such as ``"04"`` was opened."""
    record("opened", lesson)


def events() -> list[dict]:
    """All events in the order of their time, each with ``time`` (UTC), ``kind``, ``name`` and data.

    Lines that cannot be read are left out, and a warning says which.
    """
    found = []
    for file in _files():
        if file.is_file():
            found += _read(file)
    return sorted(found, key=lambda event: event["time"])


def summary() -> dict[str, LessonProgress]:
    """The lessons that a learner has touched, by number: ``{"04": LessonProgress(...)}``."""
    lessons = {}
    for event in events():
        if event["kind"] == "prediction":
            continue
        number = _LESSON_NAME.fullmatch(event["name"])[1]
        done = lessons.get(number, LessonProgress())
        if event["kind"] == "opened":
            lessons[number] = replace(done, opened=True)
        elif event["kind"] == "self_test":
            lessons[number] = replace(done, self_test=(event["score"], event["out_of"]))
        else:
            lessons[number] = replace(done, problem_set=(event["points"], event["out_of"]))
    return dict(sorted(lessons.items()))


def is_on() -> bool:
    """Whether progress is kept here; see the environment variable above."""
    return bool(_files())


def _files() -> list[Path]:
    """Where events may be, the preferred file first; nowhere if progress is off."""
    choice = os.environ.get("SPARK_COURSE_PROGRESS", "")
    if choice == "off" or "NBGRADER_EXECUTION" in os.environ:
        return []
    if choice:
        return [Path(choice).expanduser() / FILE_NAME]
    if "PYTEST_VERSION" in os.environ:
        return []
    from platformdirs import user_data_path

    root = course_root()
    own = user_data_path("spark-memory-course", appauthor=False) / FILE_NAME
    return [root / "my" / FILE_NAME, own] if root else [own]


def _append(file: Path, line: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab", buffering=0) as stream:
        written = stream.write(line)
    if written != len(line):
        raise OSError(f"only {written} of {len(line)} bytes were written")


def _read(file: Path) -> list[dict]:
    found, unreadable = [], []
    for number, line in enumerate(file.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            event = json.loads(line)
            _check(event)
        except ValueError:
            unreadable.append(str(number))
        else:
            found.append(event)
    if unreadable:
        lines = f"line{'s' * (len(unreadable) > 1)} {', '.join(unreadable)}"
        warnings.warn(f"{file}: {lines} cannot be read and was left out", stacklevel=3)
    return found


def _check(event: object) -> None:
    """Raise ValueError, saying what is wrong, if `event` is not one that `summary` understands."""
    if not isinstance(event, dict) or not isinstance(event.get("time"), str):
        raise ValueError(f"an event is a JSON object with a time, not {event!r}")
    kind, name = event.get("kind"), event.get("name")
    if kind not in KINDS:
        raise ValueError(f"unknown kind of event {kind!r}; the kinds are {', '.join(KINDS)}")
    if not isinstance(name, str) or not (kind == "prediction" or _LESSON_NAME.fullmatch(name)):
        raise ValueError(
            f"{kind} is named by a lesson or problem set, '04' or 'ps04', not {name!r}"
        )
    missing = [key for key in KINDS[kind] if key not in event]
    if missing:
        raise ValueError(f"{kind} needs {' and '.join(missing)}")
    for key in {"score", "points", "out_of"} & event.keys():
        if isinstance(event[key], bool) or not isinstance(event[key], int | float):
            raise ValueError(f"{key} is a number, not {event[key]!r}")

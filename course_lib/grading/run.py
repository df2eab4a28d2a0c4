"""A whole class: every submission of an assignment graded, by several workers and one writer."""

import glob
import os
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import Any

from nbgrader.api import Gradebook
from nbgrader.coursedir import CourseDirectory
from nbgrader.utils import parse_utc
from sqlalchemy.exc import SAWarning

from course_lib.grading import gradebook as books
from course_lib.grading.findings import Status
from course_lib.grading.preflight import find_notebook, submitted_files
from course_lib.grading.release import Release, load_releases
from course_lib.grading.unit import Grader, Options, Row, Submission


@dataclass(frozen=True)
class Graded:
    """One student's submission, graded."""

    student: str
    rows: tuple[Row, ...]
    files: Mapping[str, bytes]


@dataclass
class Summary:
    """What a run over a class came to: names of students by status, and how long it took.

    `before` are those whose grades were up to date already, and were left alone.
    """

    by_status: dict[Status, list[str]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    before: list[str] = field(default_factory=list)
    sandboxed: bool = True

    def add(self, graded: Graded) -> None:
        """Count a student in."""
        order = list(Status)
        status = max((row.status for row in graded.rows), key=order.index)
        self.by_status.setdefault(status, []).append(graded.student)
        self.seconds[graded.student] = sum(row.seconds for row in graded.rows)
        reasons = [finding.says for row in graded.rows for finding in row.findings]
        if status is not Status.GRADED:
            self.reasons[graded.student] = " ".join(reasons)

    def __str__(self) -> str:
        counts = [f"{len(self.by_status.get(status, []))} {status}" for status in Status]
        if self.before:
            counts.append(f"{len(self.before)} up to date before")
        lines = [", ".join(counts)]
        for status in (Status.MENDED, Status.SUSPICIOUS, Status.REFUSED):
            for student in sorted(self.by_status.get(status, [])):
                lines.append(f"  {status:10} {student}: {self.reasons[student]}")
        slowest = sorted(self.seconds.items(), key=lambda pair: -pair[1])[:3]
        if slowest:
            shown = ", ".join(f"{student} {seconds:.1f} s" for student, seconds in slowest)
            lines.append(f"  slowest    {shown}")
        if not self.sandboxed:
            lines.append("  NOT SANDBOXED: learners' code ran with the rights of who graded it")
        return "\n".join(lines)


class NothingToGradeError(LookupError):
    """No submission of the assignment is there; the message says where one would be."""


def grade_class(
    coursedir: CourseDirectory,
    options: Options,
    *,
    workers: int = 2,
    master: str | None = None,
    force: bool = False,
    progress: Callable[["Progress"], None] | None = None,
) -> Summary:
    """Grade what is in the submitted folder for ``coursedir.assignment_id``.

    Grades go into the gradebook and the autograded folder as soon as they are there. Submissions
    whose grades are up to date are left alone, unless `force` is set: an interrupted run goes on
    where it was. With a `master`, an address of Spark's, its tasks do the grading; `workers` are
    then its partitions at a time.

    Raises NothingToGradeError, ReleaseError, JailUnavailableError and GradingError.
    """
    assignment = coursedir.assignment_id
    students = students_of(coursedir)
    if not students:
        place = coursedir.format_path(coursedir.submitted_directory, "<student>", assignment)
        raise NothingToGradeError(f"nothing to grade: there is no {place}/{assignment}.ipynb")
    releases = load_releases(coursedir)
    summary = Summary(sandboxed=options.sandboxed)
    with (
        closing(Gradebook(coursedir.db_url, coursedir.course_id)) as gradebook,
        ExitStack() as stack,
        warnings.catch_warnings(),
    ):
        # About how nbgrader uses its database, which is none of ours to mend.
        warnings.filterwarnings("ignore", category=SAWarning)
        known = set() if force else books.recorded(gradebook, assignment)
        submissions = Submissions(coursedir, releases)
        waiting = []
        for student in students:
            books.remove_unfinished(submissions.autograded(student).parent, assignment)
            if student in known and submissions.up_to_date(student, options.sandboxed):
                summary.before.append(student)
            else:
                waiting.append(student)
        run = _on_spark if master else _in_threads
        results = run(releases, options, submissions, waiting, workers, master)
        stack.callback(results.close)
        state = Progress(total=len(waiting))

        def record(graded: Graded) -> bool:
            timestamp = handed_in_at(submissions.folder(graded.student))
            return books.record(gradebook, assignment, graded.student, graded.rows, timestamp)

        for batch in results:
            with books.one_transaction(gradebook):
                late = [graded for graded in batch if record(graded)]
            for graded in late:
                books.penalize(gradebook, assignment, graded.student, graded.rows, coursedir.config)
            for graded in batch:
                place = submissions.autograded(graded.student)
                books.write_autograded(place, graded.rows, graded.files)
                summary.add(graded)
                state.count(graded)
                if progress:
                    progress(state)
    return summary


def students_of(coursedir: CourseDirectory) -> list[str]:
    """Who has a folder for the assignment in the submitted folder."""
    directory, assignment = coursedir.submitted_directory, coursedir.assignment_id
    found = glob.glob(coursedir.format_path(directory, "*", assignment))
    name = re.compile(coursedir.format_path(directory, "(?P<student>.*)", assignment, escape=True))
    return sorted(match["student"] for path in found if (match := name.fullmatch(path)))


class Submissions:
    """A class's submissions of an assignment, as files."""

    def __init__(self, coursedir: CourseDirectory, releases: Mapping[str, Release]):
        self._coursedir = coursedir
        self._releases = releases

    def folder(self, student: str) -> Path:
        """Where a student's submission is."""
        directory = self._coursedir.submitted_directory
        return Path(self._coursedir.format_path(directory, student, self._coursedir.assignment_id))

    def autograded(self, student: str) -> Path:
        """Where it is to be when it is graded."""
        directory = self._coursedir.autograded_directory
        return Path(self._coursedir.format_path(directory, student, self._coursedir.assignment_id))

    def read(self, student: str) -> dict[str, Submission]:
        """What the student handed in, by the name of the notebook."""
        folder = self.folder(student)
        files, left_out = submitted_files(folder)
        read = {}
        for name in self._releases:
            data, found = find_notebook(folder, name, set(self._releases) - {name})
            read[name] = Submission(student, data, files, (*found, *left_out))
        return read

    def up_to_date(self, student: str, sandboxed: bool) -> bool:
        """Whether the autograded notebooks are of what is handed in, and released, now."""
        handed_in = self.read(student)
        for name, release in self._releases.items():
            verdict = books.verdict(self.autograded(student) / f"{name}.ipynb")
            wanted = {
                "submission": handed_in[name].digest,
                "release": release.digest,
                "sandboxed": sandboxed,
            }
            if any(verdict.get(key) != value for key, value in wanted.items()):
                return False
        return True


def handed_in_at(folder: Path) -> datetime | None:
    """What nbgrader has noted in a submission's folder as its time; None where it says none.

    What lies there may have come with the submission, and be anything.
    """
    try:
        note = os.open(folder / "timestamp.txt", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(note, "rb") as file:
            return parse_utc(file.read(100).decode().strip() or None)
    except (OSError, ValueError, OverflowError):
        return None


def grade_student(graders: Mapping[str, Grader], submissions: Mapping[str, Submission]) -> Graded:
    """Grade all notebooks that a student handed in."""
    rows = tuple(graders[name].grade(submission) for name, submission in submissions.items())
    first = next(iter(submissions.values()))
    release = graders[next(iter(submissions))].release
    return Graded(first.student, rows, first.files_with(release))


def _in_threads(
    releases, options, submissions, students, workers, _master
) -> Iterator[list[Graded]]:
    """Each worker is a thread: what takes time happens in the kernels, which are processes."""
    workers = max(1, min(workers, len(students)))
    idle: SimpleQueue[dict[str, Grader]] = SimpleQueue()
    with ExitStack() as stack:
        graders = []
        for _ in range(workers):
            each = {name: Grader(release, options) for name, release in releases.items()}
            graders += map(stack.enter_context, each.values())
            idle.put(each)

        def work(student: str) -> Graded:
            own = idle.get()
            try:
                return grade_student(own, submissions.read(student))
            finally:
                idle.put(own)

        pool = stack.enter_context(ThreadPoolExecutor(workers, "grading"))
        stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        try:
            yield from _as_they_come(pool, work, students, ahead=2 * workers)
        except BaseException:  # nobody wants the rest, after Ctrl-C for instance, or waits for it
            pool.shutdown(wait=False, cancel_futures=True)
            for grader in graders:
                grader.close()
            raise


def _as_they_come(pool, work, items: Sequence, ahead: int) -> Iterator[list[Any]]:
    """Results as soon as they are there, those together that have come since the last ones, with
    only so many under way or waiting."""
    left = iter(items)
    running: set[Future] = {pool.submit(work, item) for item in islice(left, ahead)}
    while running:
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for _ in done:
            running |= {pool.submit(work, item) for item in islice(left, 1)}
        yield [future.result() for future in done]


def _on_spark(releases, options, submissions, students, workers, master) -> Iterator[list[Graded]]:
    """Each batch of submissions is a job of Spark's; its tasks need this package, and bubblewrap,
    where they run."""
    from pyspark.sql import SparkSession

    packed = {name: release.to_json() for name, release in releases.items()}
    builder = SparkSession.builder.master(master).appName("grading")
    builder = builder.config("spark.ui.enabled", "false")

    def task(batch: Iterable[Mapping[str, Submission]]) -> Iterator[Graded]:
        with ExitStack() as stack:
            graders = {
                name: stack.enter_context(Grader(Release.from_json(text), options))
                for name, text in packed.items()
            }
            for one in batch:
                yield grade_student(graders, one)

    with _local_spark() if master.startswith("local") else nullcontext():
        spark = builder.getOrCreate()
        try:
            left = iter(students)
            while batch := [submissions.read(student) for student in islice(left, 32 * workers)]:
                rdd = spark.sparkContext.parallelize(batch, workers)
                yield rdd.mapPartitions(task).collect()
        finally:
            spark.stop()


@contextmanager
def _local_spark() -> Iterator[None]:
    """For a Spark that starts here: nobody else can reach it, its tasks run in this Python, and its
    workers leave their folders neither in pip's nor in the working directory."""
    import pyspark

    with TemporaryDirectory(prefix="spark-") as home:
        for entry in Path(pyspark.__file__).parent.iterdir():
            if entry.name != "work":
                Path(home, entry.name).symlink_to(entry)
        wanted = {
            "SPARK_HOME": home,
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYSPARK_PYTHON": sys.executable,
        }
        before = {name: os.environ.get(name) for name in wanted}
        os.environ.update(wanted)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


@dataclass
class Progress:
    """How far a run has come."""

    total: int
    done: int = 0
    counts: dict[Status, int] = field(default_factory=dict)
    student: str = ""
    began: float = field(default_factory=time.monotonic)

    def count(self, graded: Graded) -> None:
        """One more is done."""
        order = list(Status)
        status = max((row.status for row in graded.rows), key=order.index)
        self.counts[status] = self.counts.get(status, 0) + 1
        self.done += 1
        self.student = graded.student

    @property
    def seconds_left(self) -> float:
        """At the speed so far."""
        return (time.monotonic() - self.began) / self.done * (self.total - self.done)

    def __str__(self) -> str:
        width = 24
        full = width * self.done // self.total
        counts = ", ".join(f"{count} {status}" for status, count in self.counts.items())
        minutes, seconds = divmod(round(self.seconds_left), 60)
        bar = "█" * full + "·" * (width - full)
        return (
            f"{bar} {self.done}/{self.total}  {counts}  {minutes}:{seconds:02} left  {self.student}"
        )


def show(progress: Progress) -> None:
    """A progress bar on a terminal; elsewhere, a line for each tenth of the class."""
    if sys.stderr.isatty():
        end = "\n" if progress.done == progress.total else ""
        print(f"\r\x1b[K{progress}", end=end, file=sys.stderr, flush=True)
    elif progress.done == progress.total or progress.done % max(1, progress.total // 10) == 0:
        print(progress, file=sys.stderr, flush=True)

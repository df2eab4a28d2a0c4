"""When the executors of a session came and went, and what they held of the cluster meanwhile."""

import time
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from pyspark.sql import SparkSession

from course_lib.spark.session import rest


class ExecutorLife(NamedTuple):
    """One executor of a session: when it was `added` and `removed`, in seconds since the
    application began (None: it is still there), and `why`, in Spark's words."""

    id: str
    added: float
    removed: float | None
    why: str


def executor_lives(spark: SparkSession) -> list[ExecutorLife]:
    """The executors that the session has had so far, in the order in which they came."""
    began = spark.sparkContext.startTime / 1000
    lives = []
    for one in rest(spark, "allexecutors"):
        if one["id"] != "driver":
            removed = _seconds(one["removeTime"]) - began if "removeTime" in one else None
            why = one.get("removeReason", "")
            lives.append(ExecutorLife(one["id"], _seconds(one["addTime"]) - began, removed, why))
    return sorted(lives, key=lambda life: life.added)


def seconds_since_start(spark: SparkSession) -> float:
    """How long ago the application began, on the same clock as `executor_lives`."""
    return time.time() - spark.sparkContext.startTime / 1000


def held_over_time(
    lives: Iterable[ExecutorLife], size: int, until: float
) -> tuple[tuple[float, int], ...]:
    """The steps of what executors of one `size` held together: (second, bytes), from 0 to `until`.

    They make a line of a timeline: each change has two points, before and after.
    """
    changes = []
    for life in lives:
        changes.append((life.added, size))
        if life.removed is not None:
            changes.append((life.removed, -size))
    held, points = 0, [(0.0, 0)]
    for moment, change in sorted(changes):
        points += [(moment, held), (moment, held + change)]
        held += change
    return (*points, (max(until, points[-1][0]), held))


def _seconds(written: str) -> float:
    """A moment as the REST API writes it, ``2026-01-31T12:00:00.000GMT``, in seconds of the epoch.

    Source: ``JacksonMessageWriter.makeISODateFormat``.
    """
    return datetime.fromisoformat(written.removesuffix("GMT") + "+00:00").timestamp()

"""Recorded GC logs: one Spark job under twelve settings, and what collecting cost it."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from course_lib.draw.picture import share
from course_lib.widgets.explorable import Control, Explorable, View
from course_lib.widgets.heap_sawtooth import used_over_time


@cache
def recorded_jobs() -> dict:
    """The runs that `scripts/record_gc_job.py` recorded, and the Spark and Java they ran on."""
    return json.loads(files("course_lib").joinpath("recorded/gc_job.json").read_text())


def gc_logs(state: Mapping) -> View:
    """What the heap did during the job under the settings in `state`, as recorded."""
    recorded = recorded_jobs()
    run = next(run for run in recorded["runs"] if all(run[name] == state[name] for name in state))
    picture = used_over_time(run, f"Cached {run['cache']}, {run['collector']}, {run['heap']}")
    return View(picture, _sentence(run, recorded), _facts(run, recorded))


def _sentence(run: Mapping, recorded: Mapping) -> str:
    return (
        f"The job took {run['seconds']:.0f} s and stood still for "
        f"{share(run['gc_share'], 1)} of them, at most {run['longest_pause_ms']:.0f} ms at a time; "
        f"{run['cached_share']:.0%} of the table was cached, in {run['cached_mib']} MiB. Recorded "
        f"on Spark {recorded['spark']} and Java {recorded['java']}."
    )


def _facts(run: Mapping, recorded: Mapping) -> tuple[tuple[str, str], ...]:
    counts = run["counts"]
    kinds = ("young", "mixed", "full", "concurrent")
    return (
        ("share of time in pauses", share(run["gc_share"], 1)),
        ("longest pause", f"{run['longest_pause_ms']:.1f} ms"),
        *((f"{kind} collections", str(counts.get(kind, 0))) for kind in kinds),
        ("cached", f"{run['cached_mib']} MiB"),
        ("share of the table cached", f"{run['cached_share']:.0%}"),
        ("seconds", f"{run['seconds']:.1f}"),
        ("rows", f"{recorded['rows']:,}"),
        ("spark.memory.fraction", str(recorded["memory_fraction"])),
        ("Java", recorded["java"]),
    )


def _values(key: str) -> tuple:
    """The values that were recorded, in the order in which they were."""
    return tuple(dict.fromkeys(run[key] for run in recorded_jobs()["runs"]))


class GcLogs(Explorable):
    """See what the collector made of one job: a table is cached, then read and made anew in turn.

    ``GcLogs(cache="JVM objects", collector="Parallel", heap="640m")``. Both caches hold the same
    rows. Spark ran in local mode with two tasks at once, so the heap is the driver's. ZGC collects
    beside the program: its pauses are too short to see, and what it costs is in the seconds.
    """

    title = "Garbage collection of one job"
    controls = (
        Control("cache", "the table is cached as", _values("cache"), kind="choice"),
        Control("collector", "collector", _values("collector"), kind="choice"),
        Control("heap", "heap (-Xmx)", _values("heap")),
    )
    start = {  # noqa: RUF012 (a constant of the class, as `controls` is)
        "cache": "JVM objects",
        "collector": "G1",
        "heap": "640m",
    }

    def view(self, state: Mapping) -> View:
        """See `gc_logs`."""
        return gc_logs(state)

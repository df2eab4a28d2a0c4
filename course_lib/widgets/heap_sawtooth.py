"""The explorable of the heap at work: the sawtooth that a garbage collector draws."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from course_lib.draw.picture import Picture, Series, share, timeline
from course_lib.units import MIB, byte_string_as_bytes
from course_lib.widgets.explorable import Control, Explorable, View

_KINDS = {"y": "young", "m": "mixed", "f": "full", "c": "concurrent"}


@cache
def recorded_runs() -> dict:
    """The runs that `scripts/record_gc_logs.py` recorded, and the Java they ran on."""
    return json.loads(files("course_lib").joinpath("recorded/gc_logs.json").read_text())


def heap_sawtooth(state: Mapping) -> View:
    """What the heap of a JVM did under the load in `state`, as recorded."""
    recorded = recorded_runs()
    key = (state["heap"], state["collector"], state["allocation_rate"], state["survivors"])
    run = next(
        run
        for run in recorded["runs"]
        if (run["heap"], run["collector"], run["rate"], run["survivors"]) == key
    )
    return sawtooth(run, recorded["java"])


def sawtooth(run: Mapping, java: str) -> View:
    """One recorded run, in the form in which `scripts/record_gc_logs.py` stores it."""
    picture = used_over_time(run, f"Heap of {_mib(run['heap'])} under {run['collector']}")
    return View(picture, _sentence(run, java), _facts(run, java))


def used_over_time(run: Mapping, title: str) -> Picture:
    """The heap of a recorded run, in the form that `scripts/record_gc_logs.py` makes compact.

    A tooth rises while the program allocates and falls while it stands still for a collection.
    Where the log does not tell the capacity, as ZGC's, it is the most that the heap may have.
    """
    time, capacity, used, full = 0.0, 0, [], []
    for since_last, letter, before, after, room, pause in run["collections"]:
        time += since_last / 1000
        capacity = max(capacity, room)
        begin = max(time - pause / 1e6, used[-1][0] if used else 0.0)
        used += [(begin, before * MIB), (time, after * MIB)]
        if _KINDS[letter] == "full":
            full.append((time, "full collection"))
    return timeline(
        [Series("heap used", "user", tuple(used))],
        events=full,
        limits=[(capacity * MIB or byte_string_as_bytes(run["heap"]), "capacity")],
        title=title,
        evidence="recorded",
    )


def _sentence(run: Mapping, java: str) -> str:
    told = (
        f"The program stood still for {100 * run['gc_share']:.1f} % of {run['seconds']:.1f} s, "
        f"at most {run['longest_pause_ms']:.1f} ms at a time, and allocated "
        f"{run['allocated_mib']} MiB."
    )
    if run["died_of"]:
        told += f" Then it died: java.lang.OutOfMemoryError: {run['died_of']}."
    return f"{told} Recorded on Java {java}."


def _facts(run: Mapping, java: str) -> tuple[tuple[str, str], ...]:
    counts = run["counts"]
    live = int(run["rate"].removesuffix("m")) * run["survivors"]
    return (
        ("share of time in pauses", share(run["gc_share"], 1)),
        ("longest pause", f"{run['longest_pause_ms']:.1f} ms"),
        *((f"{kind} collections", str(counts.get(kind, 0))) for kind in ("young", "mixed", "full")),
        ("live data, once a second has passed", f"{live:.0f} MiB"),
        ("allocated", f"{run['allocated_mib']} MiB"),
        ("seconds", f"{run['seconds']:.1f}"),
        ("ended by", run["died_of"] or "the clock"),
        ("Java", java),
    )


def _mib(size: str) -> str:
    return f"{size.removesuffix('m')} MiB"


def _values(key: str) -> tuple:
    """The values that were recorded, in the order in which they were."""
    return tuple(dict.fromkeys(run[key] for run in recorded_runs()["runs"]))


class HeapSawtooth(Explorable):
    """Choose a heap, a collector and a load, and see what the collector made of it.

    Each survivor stays alive until another second's worth has been allocated.
    """

    title = "The heap at work"
    controls = (
        Control("heap", "heap (-Xmx)", _values("heap"), _mib),
        Control(
            "allocation_rate",
            "allocation",
            _values("rate"),
            lambda rate: f"{_mib(rate)}/s",
        ),
        Control(
            "survivors",
            "alive for a second",
            _values("survivors"),
            lambda survivors: f"{100 * survivors:.0f} %",
        ),
        Control("collector", "collector", _values("collector"), kind="choice"),
    )
    start = {  # noqa: RUF012 (a constant of the class, as `controls` is)
        "heap": "96m",
        "allocation_rate": "400m",
        "survivors": 0.1,
        "collector": "G1",
    }

    def view(self, state: Mapping) -> View:
        """See `heap_sawtooth`."""
        return heap_sawtooth(state)

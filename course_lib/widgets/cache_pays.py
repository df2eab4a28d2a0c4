"""Whether a cache pays: time and memory of a table that is used again, cached and not cached."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import accumulate

from course_lib.draw.picture import Series, share, timeline
from course_lib.model.caching import Rates, Table, Use, uses
from course_lib.model.managers import UnifiedMemoryManager
from course_lib.model.store import StorageLevel
from course_lib.units import MIB, byte_string_as_bytes, bytes_to_string
from course_lib.widgets.explorable import Control, Explorable, View

BLOCK = 64 * MIB
BATCHES = 16
MOST_USES = 30  # to look for the first that pays
# As the tests of the model find it.
ERROR = "none in what is kept and computed by one task at a time; seconds are an estimate"


@cache
def recorded_rates() -> dict:
    """What `scripts/record_cache_rates.py` recorded, and where."""
    return json.loads(files("course_lib").joinpath("recorded/cache_rates.json").read_text())


def cache_pays(state: Mapping, rates: Rates | None = None) -> View:
    """The table and executor in `state`, with the recorded rates or others; see `CachePays`."""
    recorded = recorded_rates() if rates is None else None
    if recorded:
        rates = Rates(compute=0, **recorded["seconds_per_gib"])
    rates = rates._replace(compute=state["compute"])
    executor = (state["size"], state["heap"], state["sort"], state["cores"])
    plain, cached = _played(*executor, None), _played(*executor, state["level"])
    size = byte_string_as_bytes(state["size"])
    without, with_it = (_line(one, size, rates, state["cores"]) for one in (plain, cached))
    times = state["uses"]
    pays = next((n for n in range(1, MOST_USES + 1) if with_it[n][0] < without[n][0]), None)
    shown = timeline(
        [
            Series("used so far, with the cache", "storage", with_it[: times + 1]),
            Series("used so far, without", "user", without[: times + 1]),
        ],
        title=f"How fast a table of {state['size']} is used {_times(times)}",
    )
    return View(
        shown,
        _sentence(without[times][0], with_it[times][0], pays),
        (
            *_facts(size, plain[:times], cached[:times], pays),
            ("rates", _source(recorded)),
            ("error, beside Spark 4.3", ERROR),
        ),
    )


@cache
def _played(size: str, heap: str, sort: str, cores: int, level: str | None) -> list[Use]:
    whole = byte_string_as_bytes(size)
    table = Table(whole, whole // BLOCK, BATCHES, byte_string_as_bytes(sort))
    level = level and StorageLevel.from_string(level)
    manager = UnifiedMemoryManager.from_conf(
        system_memory=byte_string_as_bytes(heap), num_cores=cores
    )
    return uses(manager, table, MOST_USES, level=level, tasks=cores)


def _line(played: Sequence[Use], size: int, rates: Rates, cores: int) -> list[tuple[float, int]]:
    """The moments at which the table has been used once more, and the bytes used by then."""
    ends = accumulate((rates.seconds(use.work) / cores for use in played), initial=0.0)
    return [(end, number * size) for number, end in enumerate(ends)]


def _times(times: int) -> str:
    return {1: "once", 2: "twice"}.get(times, f"{times} times")


def _sentence(without: float, with_it: float, pays: int | None) -> str:
    told = f"Without a cache {without:,.1f} s, with it {with_it:,.1f} s"
    if pays is None:
        return f"{told}: it does not pay, not even with {MOST_USES} uses."
    return f"{told}: it pays from use {pays} on."


def _facts(
    size: int, plain: Sequence[Use], cached: Sequence[Use], pays: int | None
) -> tuple[tuple[str, str], ...]:
    last = cached[-1].work
    spilled = [sum(use.work.spilled for use in played) for played in (plain, cached)]
    return (
        ("of the table, in memory at the end", share(cached[-1].cached, size)),
        ("of the last use, from memory", share(last.from_memory, size)),
        ("of the last use, from disk", share(last.from_disk, size)),
        ("of the last use, computed", share(last.computed, size)),
        ("memory in use at most, without the cache", bytes_to_string(plain[-1].most_in_use)),
        ("memory in use at most, with it", bytes_to_string(max(u.most_in_use for u in cached))),
        ("spilled without the cache", bytes_to_string(spilled[0])),
        ("spilled with it", bytes_to_string(spilled[1])),
        ("pays from use", str(pays or f"none of {MOST_USES}")),
    )


def _source(recorded: Mapping | None) -> str:
    if recorded is None:
        return "yours"
    return f"recorded on Spark {recorded['spark']}, Java {recorded['java']}, {recorded['date']}"


class CachePays(Explorable):
    """See when caching a table pays, in seconds and in memory.

    ``CachePays(uses=3, compute=5, size="2g", heap="4g")``, and `level`, `sort` (what each task
    needs besides), `cores`. `compute` is what computing the table costs, in seconds of one core for
    each GiB that it takes when cached; so are the costs of storing, reading and spilling in
    `rates`. Without them, those that the course has recorded are used.

    Its time is linear in bytes: no more than an estimate.
    """

    title = "Does the cache pay?"
    controls = (
        Control("uses", "uses", (1, 2, 3, 4, 5, 8, 12, 20)),
        Control("compute", "to compute a GiB", (0.5, 1, 2, 5, 10, 20, 60), lambda s: f"{s:g} s"),
        Control("size", "size when cached", ("256m", "512m", "1g", "2g", "3g", "4g", "6g", "8g")),
        Control("heap", "heap", ("1g", "2g", "3g", "4g", "6g", "8g", "12g", "16g")),
        Control(
            "level",
            "storage level",
            ("MEMORY_ONLY", "MEMORY_AND_DISK", "DISK_ONLY"),
            kind="choice",
            more=True,
        ),
        Control("sort", "each task sorts", ("0", "32m", "64m", "128m", "256m", "512m"), more=True),
        Control("cores", "tasks at once", (1, 2, 4, 8), more=True),
    )
    start = {  # noqa: RUF012 (a constant of the class, as `controls` is)
        "uses": 4,
        "compute": 5,
        "size": "2g",
        "heap": "4g",
        "level": "MEMORY_AND_DISK",
        "sort": "0",
        "cores": 4,
    }

    def __init__(self, rates: Rates | None = None, **start):
        self._rates = rates
        super().__init__(**start)

    def view(self, state: Mapping) -> View:
        """See `cache_pays`."""
        return cache_pays(state, self._rates)

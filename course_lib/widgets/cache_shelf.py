"""The cache shelf: what least recently used costs, beside a store that knows what comes."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from course_lib.draw.film import Film, Lane, Shot
from course_lib.draw.picture import picture
from course_lib.model.clairvoyant import ClairvoyantStore
from course_lib.model.managers import StaticMemoryManager
from course_lib.model.region import Region
from course_lib.model.replay import Cache, Event, Read, TraceError, parse_trace
from course_lib.model.store import MemoryStore
from course_lib.units import byte_string_as_bytes, bytes_to_string
from course_lib.widgets.explorable import Control, Explorable, View
from course_lib.widgets.the_race import offered


def _loop(blocks: Sequence[str], rounds: int, size: str = "64m") -> str:
    """Cache blocks and read all of them, over and over."""
    cached = [f"cache {block} {size}" for block in blocks]
    read = [f"read {block}" for block in blocks]
    return "\n".join(cached + read * (rounds - 1))


# Made for a shelf of 256m: room for four blocks of 64m.
TRACES = {
    "five tables in turn": _loop([f"rdd_{n}_0" for n in range(5)], 3),
    "one table, five partitions": _loop([f"rdd_0_{n}" for n in range(5)], 3),
    "a favourite and a scan": """\
cache rdd_0_0 64m
cache rdd_0_1 64m
read rdd_0_0
cache rdd_1_0 64m MEMORY_AND_DISK
cache rdd_2_0 64m MEMORY_AND_DISK
read rdd_0_0
cache rdd_3_0 64m MEMORY_AND_DISK
cache rdd_4_0 64m MEMORY_AND_DISK
read rdd_0_1
read rdd_0_0
read rdd_1_0
read rdd_0_1
read rdd_2_0
read rdd_0_0
""",
    "large and small": """\
cache rdd_0_0 128m
cache rdd_1_0 32m
cache rdd_1_1 32m
cache rdd_2_0 64m MEMORY_AND_DISK
read rdd_1_0
cache rdd_3_0 96m
read rdd_0_0
read rdd_1_1
read rdd_2_0
read rdd_1_0
read rdd_3_0
read rdd_0_0
""",
}


class Count(NamedTuple):
    """What has happened on a shelf so far; all bytes, but for the reads."""

    hits: int = 0
    misses: int = 0
    evicted: int = 0
    recomputed: int = 0
    read_from_disk: int = 0

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """As names and texts."""
        reads = (("hits", str(self.hits)), ("misses", str(self.misses)))
        names = ("evicted", "recomputed", "read from disk")
        return (*reads, *zip(names, map(bytes_to_string, self[2:]), strict=True))


def shelf_events(trace: str) -> tuple[Event, ...]:
    """The events of a trace that only caches and reads.

    Raises TraceError for others, for a block that is cached twice and for a read before that.
    """
    events, cached = parse_trace(trace), set()
    for number, event in enumerate(events, 1):
        if not isinstance(event, Cache | Read):
            raise TraceError(f"event {number}, `{event}`: a shelf only knows cache and read")
        if isinstance(event, Cache) == (event.block_id in cached):
            problem = "is cached already" if isinstance(event, Cache) else "was never cached"
            raise TraceError(f"event {number}, `{event}`: {event.block_id} {problem}")
        cached.add(event.block_id)
    return events


def play(name: str, store: MemoryStore, events: Sequence[Event]) -> tuple[Lane, Count]:
    """Play the events of a shelf on a store: what is seen, and what it has cost."""
    known: dict[str, Cache] = {}
    count = Count()
    shots = [Shot(_shelf(store), "", "nothing is cached", count.pairs())]
    for number, event in enumerate(events):
        if isinstance(store, ClairvoyantStore):
            store.now = number
        before = {block.block_id: block.size for block in store.blocks_in_memory()}
        if isinstance(event, Cache):
            known[event.block_id] = event
            outcome, cost = _cache(store, event)
        else:
            outcome, cost = _read(store, known[event.block_id])
        gone = [one for one in before if not store.contains(one)]
        if gone:
            outcome = f"evicted {', '.join(gone)}; {outcome}"
        cost["evicted"] = sum(before[one] for one in gone)
        old = count._asdict()
        count = count._replace(**{key: old[key] + more for key, more in cost.items()})
        shots.append(Shot(_shelf(store), str(event), outcome, count.pairs()))
    return Lane(name, tuple(shots)), count


def _cache(store: MemoryStore, event: Cache) -> tuple[str, dict[str, int]]:
    if store.put(event.block_id, event.size, event.level):
        return "cached", {}
    return "no room, so on disk" if event.level.use_disk else "no room, so not cached", {}


def _read(store: MemoryStore, known: Cache) -> tuple[str, dict[str, int]]:
    found = store.get(known.block_id)
    if found == "memory":
        return "read from memory", {"hits": 1}
    if found == "disk":
        back = " and cached again" if store.contains(known.block_id) else ""
        return f"read from disk{back}", {"misses": 1, "read_from_disk": known.size}
    stored = store.put(known.block_id, known.size, known.level)
    return (
        f"lost, so recomputed{' and cached again' if stored else ', and not kept'}",
        {"misses": 1, "recomputed": known.size},
    )


def _shelf(store: MemoryStore):
    pool = store.memory_manager.on_heap_storage_memory_pool
    blocks = [Region(one.block_id, "storage", one.size) for one in store.blocks_in_memory()]
    free = Region("free", "unassigned", pool.memory_free)
    return picture(Region("storage memory", "storage", pool.pool_size, children=[*blocks, free]))


def cache_shelf(trace: str, state: Mapping) -> View:
    """A trace on a shelf of the size in `state`, under both policies."""
    size = byte_string_as_bytes(state["memory"])
    lru = MemoryStore(StaticMemoryManager(1, size))
    try:
        events = shelf_events(trace)
        accesses = [event.block_id for event in events]
        clairvoyant = ClairvoyantStore(StaticMemoryManager(1, size), accesses)
        lanes, counts = zip(
            play("least recently used, as in Spark", lru, events),
            play("clairvoyant", clairvoyant, events),
            strict=True,
        )
    except ValueError as error:  # TraceError is one, and what the store refuses, such as OFF_HEAP
        return View(None, "This cannot be played on a shelf.", problem=str(error))
    reads = counts[0].hits + counts[0].misses
    sentence = (
        f"Of {reads} reads, {counts[0].hits} find their block in memory with Spark's policy; "
        f"knowing what comes, {counts[1].hits} would."
    )
    return View(Film(f"A shelf of {bytes_to_string(size)}", "modelled", lanes), sentence)


class CacheShelf(Explorable):
    """Put blocks on a shelf and read them, beside a store that knows which read comes next.

    What stands left leaves first. ``CacheShelf()``, ``CacheShelf("large and small")`` or, with the
    text of a trace of yours that only caches and reads, ``CacheShelf("cache rdd_0_0 64m\\n…")``.
    Raises TraceError, with the line, for a trace that cannot be read.
    """

    title = "The cache shelf"
    controls = (
        Control("trace", "trace", tuple(TRACES), kind="choice"),
        Control("memory", "storage memory", ("64m", "128m", "192m", "256m", "320m", "384m")),
    )
    start = {"trace": "five tables in turn", "memory": "256m"}  # noqa: RUF012 (as `controls` is)

    def __init__(self, trace: str = start["trace"], **start):
        self._traces, self.controls, trace = offered(TRACES, self.controls, trace)
        super().__init__(trace=trace, **start)

    def view(self, state: Mapping) -> View:
        """See `cache_shelf`."""
        return cache_shelf(self._traces[state["trace"]], state)

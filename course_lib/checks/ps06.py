"""Problem set 06: a trace foretold, the most that execution could have, a trace to write, and the
share of memory that keeps a block, on the model and on Spark.

`TRACE`, `MEMORY_MIB`, `REGION_MIB` and `TABLES` are what the notebook says.
"""

import json
import math
from collections.abc import Callable, Mapping
from functools import cache
from random import Random

from course_lib.checks.reading import read_with, spark_setting
from course_lib.checks.registry import ProblemSet
from course_lib.checks.tasks import (
    CannotCheckError,
    Effect,
    EffectTask,
    Misconception,
    PredictionTask,
    Task,
)
from course_lib.model import (
    Film,
    Frame,
    TraceError,
    UnifiedMemoryManager,
    replay,
)
from course_lib.model.replay import Ask
from course_lib.units import MIB


def _played(memory: int, region: int, trace: str) -> Film:
    """A trace on an executor with so many MiB of Spark memory, `region` of them for storage."""
    return replay(UnifiedMemoryManager(memory * MIB, region * MIB), trace)


def _blocks(frame: Frame) -> dict[str, int]:
    """The blocks in memory and their bytes, the least recently used first."""
    storage, _ = frame.region.children
    return {str(block.name): block.size for block in storage.children}


# outcomes

MEMORY_MIB, REGION_MIB = 400, 200
TRACE = """\
cache rdd_0_0 150m
cache rdd_1_0 100m
ask t1 100m
ask t1 100m
cache rdd_2_0 120m
ask t2 200m
cache rdd_3_0 130m
cache rdd_4_0 60m
finish t1
finish t2
cache rdd_5_0 340m
ask t3 400m
"""
_ASKED = (
    "2 in memory",
    "3 granted",
    "4 granted",
    "4 in memory",
    "5 in memory",
    "6 granted",
    "7 in memory",
    "8 in memory",
    "11 in memory",
    "12 granted",
)


def _outcomes(film: Film) -> dict[str, int]:
    """What the notebook asks for, in MiB, of the trace as it was played."""
    told = {}
    for asked in _ASKED:
        line, what = asked.split(maxsplit=1)
        frame = film[int(line)]
        size = frame.size if what == "granted" else sum(_blocks(frame).values())
        told[asked] = size // MIB
    return told


OUTCOMES = PredictionTask(
    name="outcomes",
    title="Ten outcomes of a trace",
    points=4,
    reference=lambda: _outcomes(_played(MEMORY_MIB, REGION_MIB, TRACE)),
    misconceptions=(
        Misconception(
            "puts a wall where the region ends",
            "That is so under the static manager. Here each side may use what the other leaves "
            "free.",
            lambda: {"2 in memory": 100, "6 granted": 0, "12 granted": 200},
        ),
        Misconception(
            "cuts blocks into pieces",
            "A part of a block cannot leave: to free any of it, the whole block goes.",
            lambda: {"4 in memory": 200, "5 in memory": 200, "12 granted": 200},
        ),
        Misconception(
            "never lets storage fall below its region",
            "What is asked back is compared with the region, not what then leaves. A whole block "
            "may be more, and storage then ends below its region.",
            lambda: {"4 granted": 50, "4 in memory": 250, "12 granted": 60},
        ),
        Misconception(
            "lets execution take whatever is cached",
            "Storage holds less than its region here, and execution cannot take back what lies "
            "within it.",
            lambda: {"6 granted": 200},
        ),
        Misconception(
            "lets storage take from tasks",
            "The task holds that memory, and storage takes nothing from a task.",
            lambda: {"7 in memory": 250, "8 in memory": 180},
        ),
        Misconception(
            "evicts for a block that can never fit",
            "Spark looks first: a block larger than all that tasks leave is refused at once, and "
            "nothing leaves for it.",
            lambda: {"7 in memory": 0},
        ),
        Misconception(
            "evicts the newest block first",
            "The least recently used block leaves first; here that is the one cached first.",
            lambda: {"4 in memory": 150},
        ),
    ),
)


# max_execution_pool_size


def _max_execution_pool_size(max_memory: int, storage_region: int, storage_used: int) -> int:
    """All that a single task can get, with blocks of 1 MiB, of which none is taken too many."""
    blocks = "".join(f"cache rdd_0_{split} 1m\n" for split in range(storage_used))
    return _played(max_memory, storage_region, f"{blocks}ask t1 {max_memory}m")[-1].size // MIB


def _draw_pools(random: Random) -> list[tuple]:
    """Storage empty, within its region, at its edge and beyond it."""
    drawn = []
    for _ in range(5):
        memory = random.randrange(100, 400)
        region = random.randrange(memory // 5, memory * 4 // 5)
        within, beyond = random.randrange(1, region), random.randrange(region + 1, memory)
        drawn += [(memory, region, used) for used in (0, within, region, beyond)]
    return [*drawn, (300, 0, 200), (300, 150, 300)]


MAX_EXECUTION_POOL_SIZE = Task(
    name="max_execution_pool_size",
    title="The most that execution could have",
    points=2,
    reference=_max_execution_pool_size,
    examples=((400, 200, 150), (400, 200, 390)),
    draw_inputs=_draw_pools,
    misconceptions=(
        Misconception(
            "always leaves storage its region",
            "This is what you get when the region is storage's whether it uses it or not. What is "
            "free there, execution borrows.",
            lambda memory, region, used: memory - region,
        ),
        Misconception(
            "only borrows",
            "This is what you get when execution has what storage leaves free, and no more. What "
            "blocks hold beyond the region, it can take back.",
            lambda memory, region, used: memory - used,
        ),
        Misconception(
            "takes everything",
            "This is what you get when every block may be evicted for a task. What storage holds "
            "within its region, execution cannot take back.",
            lambda memory, region, used: memory,
        ),
        Misconception(
            "takes the larger for the smaller",
            "This is what you get when the larger of region and used memory is subtracted. Blocks "
            "keep what they use, but no more of it than the region.",
            lambda memory, region, used: memory - max(region, used),
        ),
        Misconception(
            "takes back the region and leaves the rest",
            "This is what you get when the blocks beyond the region are the ones that stay. It is "
            "the other way round: beyond the region nothing is safe.",
            lambda memory, region, used: memory - max(0, used - region),
        ),
    ),
)


# two_evictions


def _blocks_and_ask(memory: int, size: int, ask: Callable[[int], int]) -> str:
    """Memory as full as it gets of blocks of a size, and a task that then asks for `ask(what is
    free)`, all in MiB."""
    count = memory // size
    cached = "".join(f"cache rdd_{number}_0 {size}m\n" for number in range(count))
    return cached + f"ask t1 {ask(memory - count * size)}m\n"


def _size(memory: int, region: int) -> int:
    """A quarter of what blocks may hold beyond the region."""
    return (memory - region) // 4


def _two_evictions(max_memory: int, storage_region: int) -> str:
    size = _size(max_memory, storage_region)
    return _blocks_and_ask(max_memory, size, lambda free: free + 2 * size)


def _asks_for_one(memory, region):
    size = _size(memory, region)
    return _blocks_and_ask(memory, size, lambda free: free + size)


def _asks_for_everything(memory, region):
    return _blocks_and_ask(memory, _size(memory, region), lambda free: memory)


def _asks_for_what_is_free(memory, region):
    size = _size(memory, region)
    return _blocks_and_ask(memory - 2 * size, size, lambda free: free + 2 * size)


def _fills_the_region(memory, region):
    size = max(1, region // 4)
    cached = [f"cache rdd_{number}_0 {size}m" for number in range(region // size)]
    return "\n".join([*cached, f"ask t1 {memory - region + 2 * size}m"])


def _unpersists(memory, region):
    size = memory // 3
    return (
        f"cache rdd_0_0 {size}m\ncache rdd_1_0 {size}m\n"
        f"unpersist rdd_0\nunpersist rdd_1\nask t1 {memory}m"
    )


def _lets_storage_evict(memory, region):
    size = memory // 4
    return _blocks_and_ask(memory, size, lambda free: 1) + f"cache rdd_9_0 {2 * size}m\n"


def _play_trace(arguments: tuple[int, int], trace: str) -> Effect:
    memory, region = arguments
    try:
        film = _played(memory, region, trace)
    except TraceError as error:
        return Effect(False, f"That trace cannot be played: {error}")
    by_ask = [one for frame in film if isinstance(frame.event, Ask) for one in frame.evicted]
    otherwise = [one for frame in film if not isinstance(frame.event, Ask) for one in frame.evicted]
    evidence = f"modelled: {len(by_ask)} evicted by `ask`, {len(otherwise)} by other lines"
    if len(by_ask) == 2 and not otherwise:
        return Effect(True, "Two blocks left, under every setting that was tried.")
    says = "Not two blocks left because a task asked."
    return Effect(False, says, evidence, _why_not_two(film, len(by_ask), len(otherwise)))


def _why_not_two(film: Film, by_ask: int, otherwise: int) -> str | None:
    asks = [frame for frame in film if isinstance(frame.event, Ask)]
    if otherwise:
        return "lets storage evict"
    if by_ask:
        return "asks for one block" if by_ask == 1 else "asks for everything"
    if any(frame.what == "unpersisted" for frame in film):
        return "takes unpersisting for eviction"
    if any(frame.size < frame.event.size for frame in asks):
        return "fills the region only"
    return "asks for what is free" if asks else None


def _draw_settings(random: Random) -> list[tuple]:
    return [
        (memory := random.randrange(150, 3000), int(memory * fraction))
        for fraction in (0.0, 0.1, 0.3, 0.5, 0.6, 0.75, 0.85)
    ]


TWO_EVICTIONS = Task(
    name="two_evictions",
    title="A trace that evicts two blocks",
    points=3,
    reference=_two_evictions,
    examples=((400, 200), (1000, 100)),
    draw_inputs=_draw_settings,
    effect=_play_trace,
    misconceptions=(
        Misconception(
            "fills the region only",
            "The task got less than it asked for, and no block left: storage was within its "
            "region, where execution takes nothing back.",
            _fills_the_region,
        ),
        Misconception(
            "asks for what is free",
            "The task got what it asked for without any eviction: so much was free. Fill memory "
            "first, or ask for more.",
            _asks_for_what_is_free,
        ),
        Misconception(
            "asks for one block",
            "One block was enough for what the task asked.",
            _asks_for_one,
        ),
        Misconception(
            "asks for everything",
            "The task took back more than two blocks: all that storage held beyond its region, or "
            "all that it asked for.",
            _asks_for_everything,
        ),
        Misconception(
            "takes unpersisting for eviction",
            "What you unpersist is given up, not evicted. Evicted is what has to leave although it "
            "is still wanted.",
            _unpersists,
        ),
        Misconception(
            "lets storage evict",
            "A block left because another one was to be stored. Here a task has to be the reason.",
            _lets_storage_evict,
        ),
    ),
)


# smallest_storage_fraction

_STEP = 0.01


def _trace(events: list[tuple]) -> str:
    return "".join(
        " ".join([*map(str, names), *(f"{one}m" for one in size)]) + "\n"
        for names, size in ((event[:2], event[2:]) for event in events)
    )


def _keeps(memory: int, events: list[tuple], kept: str, fraction: float) -> bool:
    manager = UnifiedMemoryManager(memory * MIB, int(memory * MIB * fraction))
    return kept in _blocks(replay(manager, _trace(events))[-1])


def _smallest_storage_fraction(max_memory: int, events: list[tuple], kept: str) -> float:
    hundredths = (number / 100 for number in range(100))
    return next(one for one in hundredths if _keeps(max_memory, events, kept, one))


def _try_fraction(arguments: tuple, fraction: float) -> Effect:
    memory, events, kept = arguments
    if not 0 <= fraction < 1:
        return Effect(False, f"Storage fraction must be in [0,1), not {fraction:g}.")
    if not _keeps(memory, events, kept, fraction):
        return Effect(False, f"modelled: with {fraction:g}, {kept} has to leave.")
    less = fraction - _STEP
    if less >= 0 and _keeps(memory, events, kept, less):
        return Effect(False, f"modelled: {kept} stays with {fraction:g}, and with {less:g} too.")
    return Effect(True, "Replayed: the block stays, and 0.01 less (where there is less) loses it.")


def _order_of_use(events: list[tuple], reads_count: bool = True) -> dict[str, int]:
    """The blocks and their sizes, the least recently used first."""
    sizes: dict[str, int] = {}
    for what, name, *size in events:
        if what == "cache":
            sizes[name] = size[0]
        elif what == "read" and reads_count:
            sizes[name] = sizes.pop(name)
    return sizes


def _protects(memory, sizes: Mapping[str, int], protected: set[str]) -> float:
    """The fraction whose region holds the protected blocks."""
    size = sum(sizes[name] for name in protected)
    return min(0.99, math.ceil(100 * size / memory) / 100)


def _missing(memory: int, events: list[tuple]) -> int:
    """What the task lacks, in MiB, when it asks."""
    *_, (_, _, asked) = events
    return asked - (memory - sum(_order_of_use(events).values()))


def _later(sizes: Mapping[str, int], kept: str) -> set[str]:
    names = list(sizes)
    return set(names[names.index(kept) :])


def _thinks(protected: Callable[[dict[str, int], str], set[str]], reads_count: bool = True):
    """What someone answers who knows when nothing is missing, and protects the wrong blocks."""

    def answer(memory, events, kept):
        sizes = _order_of_use(events, reads_count)
        wanted = protected(sizes, kept)
        before = sum(sizes.values()) - sum(sizes[name] for name in wanted)
        return 0.0 if _missing(memory, events) <= before else _protects(memory, sizes, wanted)

    return answer


def _does_not_see_that_nothing_is_missing(memory, events, kept):
    sizes = _order_of_use(events)
    return _protects(memory, sizes, _later(sizes, kept))


def _leaves_what_is_not_asked_for(memory, events, kept):
    return max(0.0, math.ceil(100 * (1 - events[-1][2] / memory)) / 100)


def _draw_traces(random: Random) -> list[tuple]:
    """Traces whose answer is clear of a hundredth, so that how it is rounded does not matter. In
    every third, so little is missing that the block stays without any protection."""
    drawn: list[tuple] = []
    while len(drawn) < 24:
        memory = random.randrange(300, 4000)
        names = [f"rdd_{number}_0" for number in range(random.randrange(4, 7))]
        share = memory * 0.9 / len(names)
        events = [("cache", name, int(share * random.uniform(0.6, 1))) for name in names]
        events += [("read", name) for name in random.sample(names, 2)]
        sizes = _order_of_use(events)
        kept = random.choice(list(sizes)[1:-1])
        needed = sum(sizes[name] for name in _later(sizes, kept))
        before = sum(sizes.values()) - needed
        free = memory - sum(sizes.values())
        if len(drawn) % 3 == 2:
            asked = free + int(before * random.uniform(0.2, 0.9))
        else:
            asked = random.randrange(free + before + 1, memory + 1)
        if 0.05 < 100 * needed / memory % 1 < 0.95:
            drawn.append((memory, [*events, ("ask", "t1", asked)], kept))
    return drawn


_THREE = [("cache", "rdd_0_0", 120), ("cache", "rdd_1_0", 130), ("cache", "rdd_2_0", 110)]
_READ_FIRST = [*_THREE, ("read", "rdd_0_0"), ("ask", "t1", 400)]

SMALLEST_STORAGE_FRACTION = Task(
    name="smallest_storage_fraction",
    title="The smallest fraction that keeps a block",
    points=3,
    reference=_smallest_storage_fraction,
    examples=(
        (434, [*_THREE, ("ask", "t1", 400)], "rdd_1_0"),
        (434, _READ_FIRST, "rdd_2_0"),
        (434, [*_THREE, ("ask", "t1", 150)], "rdd_1_0"),
    ),
    draw_inputs=_draw_traces,
    within=_STEP / 4,
    effect=_try_fraction,
    misconceptions=(
        Misconception(
            "counts the block alone",
            "This is what you get when the region has to hold the block alone. The region is an "
            "amount, and the blocks used later than this one fill it first.",
            _thinks(lambda sizes, kept: {kept}),
        ),
        Misconception(
            "goes by the order of caching",
            "This is what you get when blocks leave in the order in which they were cached. They "
            "leave in the order of their last use, and a `read` is one.",
            _thinks(_later, reads_count=False),
        ),
        Misconception(
            "protects the whole cache",
            "This is what you get when the region has to hold all blocks. Those that leave before "
            "this one need no protection.",
            _thinks(lambda sizes, kept: set(sizes)),
        ),
        Misconception(
            "evicts the newest first",
            "This is what you get when the block used last leaves first. It is the other way "
            "round.",
            _thinks(lambda sizes, kept: set(sizes) - _later(sizes, kept) | {kept}),
        ),
        Misconception(
            "lets a part of the block stay",
            "This is what you get when the region holds only what was used later than the block. "
            "Then some of the block lies beyond the region, and all of it leaves.",
            _thinks(lambda sizes, kept: _later(sizes, kept) - {kept}),
        ),
        Misconception(
            "does not see that nothing is missing",
            "This is what you get when the task takes back all that it may. It takes back what it "
            "lacks: where the blocks before this one are enough, 0 will do.",
            _does_not_see_that_nothing_is_missing,
        ),
        Misconception(
            "leaves storage what the task does not ask for",
            "This is what you get when the region is what the task leaves over. Look at the blocks "
            "instead: which leave first, and which have to be protected?",
            _leaves_what_is_not_asked_for,
        ),
    ),
)


# keeps_the_table

# Rows of each table, in the order of caching, of about a KiB each; one block a table.
TABLES = {"visits": 25_000, "prices": 30_000, "clicks": 24_000, "stock": 20_000}
READS = ("prices", "clicks")
_KEPT = "prices"
_LESS = 0.05

# Run in a child process, with TABLES, READS and FRACTIONS before it.
_PROGRAM = """
import json

from course_lib.spark import lab_session, rest
from pyspark import StorageLevel

for fraction in FRACTIONS:
    conf = {
        "spark.memory.storageFraction": fraction,
        "spark.rdd.compress": False,
        "spark.ui.liveUpdate.period": 0,
    }
    with lab_session(driver_memory="512m", cores=1, conf=conf) as spark:

        def rows(number):
            return spark.range(0, number, 1, 1).selectExpr("repeat(md5(string(id)), 32) AS text")

        for name, number in TABLES.items():
            rows(number).createOrReplaceTempView(name)
            spark.catalog.cacheTable(name, StorageLevel.MEMORY_ONLY)
            spark.table(name).count()
        for name in READS:
            spark.table(name).count()
        rows(150_000).sort("text").write.format("noop").mode("overwrite").save()
        spark.sparkContext._jsc.sc().listenerBus().waitUntilEmpty()  # the driver has heard of all
        kept = [one["name"].split()[-1] for one in rest(spark, "storage/rdd")]
        print(json.dumps(kept), flush=True)
        if "prices" not in kept:
            break
"""


@cache
def _kept_by_spark(fraction: float) -> tuple[set[str], ...]:
    """The tables in memory after the sort, with this fraction and, if `prices` is still among them,
    with a little less."""
    from course_lib.spark import NoJavaError
    from course_lib.spark.autopsy import autopsy

    fractions = [fraction, round(fraction - _LESS, 6)]
    given = [str(one) for one in fractions if one >= 0]
    try:
        remains = autopsy(
            f"TABLES, READS, FRACTIONS = {TABLES!r}, {READS!r}, {given!r}\n{_PROGRAM}", timeout=300
        )
    except NoJavaError as reason:
        raise CannotCheckError(str(reason)) from None
    if not remains.survived:
        raise CannotCheckError(f"the program did not finish.\n{remains}\n{remains.log[-500:]}")
    return tuple(set(json.loads(line)) for line in remains.stdout.splitlines())


def _try_on_spark(settings: Mapping[str, float]) -> Effect:
    fraction = settings["spark.memory.storageFraction"]
    with_it, *with_less = _kept_by_spark(fraction)
    names = ", ".join(name for name in TABLES if name in with_it) or "none"
    evidence = f"measured: with {fraction:g}, these were in memory after the sort: {names}"
    if _KEPT not in with_it:
        return Effect(False, f"`{_KEPT}` had to leave.", evidence, "counts the block alone")
    if not with_less or _KEPT not in with_less[0]:
        return Effect(True, f"`{_KEPT}` stays, and with {_LESS:g} less it does not.", evidence)
    says = f"`{_KEPT}` stays, but with {_LESS:g} less it would stay too."
    return Effect(False, says, evidence, _why_too_much(with_it))


def _why_too_much(kept: set[str]) -> str | None:
    if "visits" in kept:
        return "protects the whole cache"
    return "goes by the order of caching" if "stock" in kept else None


KEEPS_THE_TABLE = EffectTask(
    name="keeps_the_table",
    title="The same on Spark",
    points=3,
    read=read_with({"spark.memory.storageFraction": spark_setting("spark.memory.storageFraction")}),
    run=_try_on_spark,
    reference=lambda: {"spark.memory.storageFraction": "0.45"},
    misconceptions=(
        Misconception(
            "counts the block alone",
            "The region has to hold this table and what was used after it.",
            lambda: {"spark.memory.storageFraction": "0.25"},
        ),
        Misconception(
            "goes by the order of caching",
            "Your region has room for `stock` too. It was cached later than `prices`, but used "
            "earlier, so it leaves first and needs no protection.",
            lambda: {"spark.memory.storageFraction": "0.6"},
        ),
        Misconception(
            "protects the whole cache",
            "Your region has room for all four tables. Those that leave before `prices` need no "
            "protection.",
            lambda: {"spark.memory.storageFraction": "0.8"},
        ),
    ),
)


PROBLEM_SET = ProblemSet(
    "ps06-unified-manager",
    "The unified manager",
    (
        OUTCOMES,
        MAX_EXECUTION_POOL_SIZE,
        TWO_EVICTIONS,
        SMALLEST_STORAGE_FRACTION,
        KEEPS_THE_TABLE,
    ),
)

"""Problem set 05: the static manager's regions, what it stores, where its wall should have stood,
and the settings that take the place of the old ones today."""

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import cache
from random import Random

from course_lib.checks.registry import ProblemSet
from course_lib.checks.tasks import CannotCheckError, Effect, EffectTask, Misconception, Task
from course_lib.checks.values import show
from course_lib.model import BlockId, StaticMemoryManager, heap, replay, score
from course_lib.model.replay import Ask, Cache, Event
from course_lib.units import MIB, bytes_to_string

STORAGE_SAFETY, SHUFFLE_SAFETY, UNROLL = 0.9, 0.8, 0.2
STORAGE_KEY, SHUFFLE_KEY = "spark.storage.memoryFraction", "spark.shuffle.memoryFraction"


# static_regions


def _static_regions(heap_bytes: int, storage_fraction: float, shuffle_fraction: float) -> dict:
    conf = {STORAGE_KEY: storage_fraction, SHUFFLE_KEY: shuffle_fraction}
    manager = StaticMemoryManager.from_conf(conf, system_memory=heap_bytes)
    storage = manager.max_on_heap_storage_memory
    execution = manager.on_heap_execution_memory_pool.pool_size
    return {
        "storage": storage,
        "execution": execution,
        "unroll": manager.max_unroll_memory,
        "rest": heap_bytes - storage - execution,
    }


def _cut(heap_bytes: int, storage: float, execution: float) -> dict:
    return {
        "storage": int(storage),
        "execution": int(execution),
        "unroll": int(storage * UNROLL),
        "rest": heap_bytes - int(storage) - int(execution),
    }


def _without_safety(heap_bytes, storage_fraction, shuffle_fraction):
    return _cut(heap_bytes, heap_bytes * storage_fraction, heap_bytes * shuffle_fraction)


def _one_margin_for_both(heap_bytes, storage_fraction, shuffle_fraction):
    storage = heap_bytes * storage_fraction * STORAGE_SAFETY
    return _cut(heap_bytes, storage, heap_bytes * shuffle_fraction * STORAGE_SAFETY)


def _swaps_the_margins(heap_bytes, storage_fraction, shuffle_fraction):
    storage = heap_bytes * storage_fraction * SHUFFLE_SAFETY
    return _cut(heap_bytes, storage, heap_bytes * shuffle_fraction * STORAGE_SAFETY)


def _takes_a_reserve_off(heap_bytes, storage_fraction, shuffle_fraction):
    return _static_regions(heap_bytes - 300 * MIB, storage_fraction, shuffle_fraction)


def _shuffle_of_what_is_left(heap_bytes, storage_fraction, shuffle_fraction):
    storage = heap_bytes * storage_fraction * STORAGE_SAFETY
    left = heap_bytes - storage
    return _cut(heap_bytes, storage, left * shuffle_fraction * SHUFFLE_SAFETY)


def _unroll_of_the_heap(heap_bytes, storage_fraction, shuffle_fraction):
    regions = _static_regions(heap_bytes, storage_fraction, shuffle_fraction)
    return regions | {"unroll": int(heap_bytes * UNROLL)}


def _unroll_beside_storage(heap_bytes, storage_fraction, shuffle_fraction):
    regions = _static_regions(heap_bytes, storage_fraction, shuffle_fraction)
    return regions | {"storage": regions["storage"] - regions["unroll"]}


def _draw_heaps(random: Random) -> list[tuple]:
    return [
        (
            random.randrange(1024, 64 * 1024) * MIB,
            random.choice((0.2, 0.35, 0.5, 0.65)),
            random.choice((0.1, 0.15, 0.25, 0.3)),
        )
        for _ in range(16)
    ]


STATIC_REGIONS = Task(
    name="static_regions",
    title="Regions behind a wall",
    points=3,
    reference=_static_regions,
    examples=((4096 * MIB, 0.6, 0.2), (10240 * MIB, 0.5, 0.3)),
    draw_inputs=_draw_heaps,
    within=2,  # bytes: Spark rounds each region down, an answer need not
    misconceptions=(
        Misconception(
            "forgets the safety fractions",
            "This is what you get without the safety fractions. Spark takes 0.9 of the one share "
            "and 0.8 of the other, and leaves the rest of them alone.",
            _without_safety,
        ),
        Misconception(
            "takes one margin for both",
            "This is what you get when 0.9 is the margin of both shares. Execution has 0.8.",
            _one_margin_for_both,
        ),
        Misconception(
            "swaps the two margins",
            "This is what you get when the margins change places: 0.9 belongs to storage, 0.8 to "
            "execution.",
            _swaps_the_margins,
        ),
        Misconception(
            "takes a reserve off",
            "This is what you get when 300 MiB are set aside first. The reserve came with the "
            "unified manager; the static one takes its shares of the whole heap.",
            _takes_a_reserve_off,
        ),
        Misconception(
            "takes the shuffle's share of what is left",
            "This is what you get when execution is a share of what storage leaves. Both are "
            "shares of the whole heap.",
            _shuffle_of_what_is_left,
        ),
        Misconception(
            "takes the lid on unrolling of the heap",
            "This is what you get when unrolling may clear a fifth of the heap. It is a fifth of "
            "storage.",
            _unroll_of_the_heap,
        ),
        Misconception(
            "sets unrolling apart from storage",
            "This is what you get when the fifth for unrolling is taken out of storage. Unrolling "
            "happens inside storage, and blocks may have all of it.",
            _unroll_beside_storage,
        ),
    ),
)


# stored


def _stored(storage_mib: int, blocks: list) -> list[bool]:
    """Played on the model: which blocks were in memory right after they came."""
    manager = StaticMemoryManager(1 * MIB, storage_mib * MIB)
    events = [Cache(BlockId(name), size * MIB) for name, size in blocks]
    return [frame.what == "stored" for frame in replay(manager, events)[1:]]


def _store_by(
    storage_mib: int,
    blocks: list,
    *,
    keeps_own_rdd: bool = True,
    evicts: bool = True,
    all_or_nothing: bool = True,
    refuses_giants: bool = True,
    newest_first: bool = False,
    rooms: float = 1.0,
) -> list[bool]:
    """The same by hand, so that a misconception can replace one of the rules."""
    here: OrderedDict[str, int] = OrderedDict()
    stored, room = [], storage_mib * rooms

    def rdd(name: str) -> str:
        return name.split("_")[1]

    for name, size in blocks:
        if refuses_giants and size > room:
            stored.append(False)
            continue
        leaving, free = [], room - sum(here.values())
        for one in reversed(here) if newest_first else here:
            if free >= size or not evicts:
                break
            if not (keeps_own_rdd and rdd(one) == rdd(name)):
                leaving.append(one)
                free += here[one]
        if free >= size or not all_or_nothing:
            for one in leaving:
                del here[one]
        stored.append(free >= size)
        if free >= size:
            here[name] = size
    return stored


# The rules that an answer may miss, by what is then different.
_WITHIN_AN_RDD = {"keeps_own_rdd": False}
_NOBODY_LEAVES = {"evicts": False}
_IN_VAIN = {"all_or_nothing": False}
_FOR_A_GIANT = {"all_or_nothing": False, "refuses_giants": False}
_NEWEST_FIRST = {"newest_first": True}
_OVER_THE_WALL = {"rooms": 0.7 / 0.54}
_MISSED = (_WITHIN_AN_RDD, _NOBODY_LEAVES, _IN_VAIN, _FOR_A_GIANT, _NEWEST_FIRST, _OVER_THE_WALL)


def _draw_trace(random: Random) -> tuple[int, list]:
    storage = random.randrange(1000, 4000)
    blocks, splits = [], [0, 0, 0]
    for _ in range(random.randrange(9, 14)):
        rdd = random.choice((0, 0, 1, 1, 2))
        share = random.choice((0.12, 0.2, 0.3, 0.3, 0.45, 0.6, 1.1))
        size = int(storage * share * random.uniform(0.8, 1.1))
        blocks.append((f"rdd_{rdd}_{splits[rdd]}", size))
        splits[rdd] += 1
    return storage, blocks


def _draw_traces(random: Random) -> list[tuple]:
    """Four traces for each rule, on which it shows whether an answer has missed it."""
    drawn = []
    for missed in _MISSED:
        telling = []
        while len(telling) < 4:
            trace = _draw_trace(random)
            if _store_by(*trace) != _store_by(*trace, **missed):
                telling.append(trace)
        drawn += telling
    return drawn


STORED = Task(
    name="stored",
    title="Will this block be stored?",
    points=4,
    reference=_stored,
    examples=(
        (1000, [("rdd_0_0", 400), ("rdd_0_1", 400), ("rdd_0_2", 400), ("rdd_1_0", 300)]),
        (
            1000,
            [
                ("rdd_0_0", 300),
                ("rdd_1_0", 600),
                ("rdd_1_1", 500),
                ("rdd_2_0", 1200),
                ("rdd_1_2", 300),
                ("rdd_0_1", 700),
            ],
        ),
    ),
    draw_inputs=_draw_traces,
    misconceptions=(
        Misconception(
            "lets blocks of one RDD push each other out",
            "Your function lets a block push out blocks of its own RDD. They stay: nothing would "
            "be gained.",
            lambda *arguments: _store_by(*arguments, **_WITHIN_AN_RDD),
        ),
        Misconception(
            "evicts nobody",
            "Your function stores a block only where there is room already. Blocks of other RDDs "
            "leave for it, the least recently used first.",
            lambda *arguments: _store_by(*arguments, **_NOBODY_LEAVES),
        ),
        Misconception(
            "evicts in vain",
            "Your function lets blocks leave although the new one does not fit even then. Spark "
            "first counts what may leave: if that is too little, everybody stays.",
            lambda *arguments: _store_by(*arguments, **_IN_VAIN),
        ),
        Misconception(
            "clears storage for a giant",
            "Your function lets blocks leave for one that is larger than storage, or stores it. "
            "Such a block is refused at once.",
            lambda *arguments: _store_by(*arguments, **_FOR_A_GIANT),
        ),
        Misconception(
            "lets the newest leave first",
            "Your function lets the newest blocks leave first. Nothing is read here, so the least "
            "recently used is the one that came first.",
            lambda *arguments: _store_by(*arguments, **_NEWEST_FIRST),
        ),
        Misconception(
            "looks over the wall",
            "Your function fills execution memory with blocks, too. The unified manager does that; "
            "the static one lends nothing.",
            lambda *arguments: _store_by(*arguments, **_OVER_THE_WALL),
        ),
    ),
)


# wall


_KEPT_FOR_OBJECTS = 0.2
_MOST_WASTE = 0.02


def _trace(blocks: list, asks: list) -> list[Event]:
    """Every block is cached, then every task asks: all of them run at the same time."""
    cached = [Cache(BlockId(f"rdd_{i}_0"), size * MIB) for i, size in enumerate(blocks)]
    return cached + [Ask(f"t{i}", size * MIB) for i, size in enumerate(asks, 1)]


def _pool_for(asks: list) -> int:
    """The smallest pool that gives every task all it asks for.

    When the nth asks, it may have 1/n of the pool, and what the others have left.
    """
    return max(max(n * size, sum(asks[:n])) for n, size in enumerate(asks, 1))


def _fractions(heap_mib: float, storage: float, execution: float) -> dict:
    return {
        STORAGE_KEY: storage / STORAGE_SAFETY / heap_mib,
        SHUFFLE_KEY: execution / SHUFFLE_SAFETY / heap_mib,
    }


def _refused_above(most: float, fractions: dict) -> dict:
    if sum(fractions.values()) > most:
        raise ValueError(
            f"the two fractions come to {sum(fractions.values()):.2f}, more than {most:g}"
        )
    return fractions


def _wall(heap_mib: int, blocks: list, asks: list) -> dict:
    fractions = _fractions(heap_mib, sum(blocks), _pool_for(asks))
    return _refused_above(1 - _KEPT_FOR_OBJECTS, fractions)


def _wall_by(
    pool: Callable[[list], float] = _pool_for,
    *,
    most: float = 1 - _KEPT_FOR_OBJECTS,
    margins: tuple[float, float] = (STORAGE_SAFETY, SHUFFLE_SAFETY),
    reserve_mib: int = 0,
) -> Callable:
    def compute(heap_mib, blocks, asks):
        of = heap_mib - reserve_mib
        sides = (sum(blocks) / margins[0] / of, pool(asks) / margins[1] / of)
        return _refused_above(most, dict(zip((STORAGE_KEY, SHUFFLE_KEY), sides, strict=True)))

    return compute


def _written(fractions: Mapping) -> dict[str, float]:
    """With four decimals, as one would write them into a file; rounded up."""
    return {key: math.ceil(value * 10_000) / 10_000 for key, value in fractions.items()}


def _is_enough(heap_mib: int, events: list[Event], fractions: Mapping) -> bool:
    manager = StaticMemoryManager.from_conf(fractions, system_memory=heap_mib * MIB)
    return not any(score(manager, events))


def _play_wall(arguments: tuple, fractions: Mapping) -> Effect:
    heap_mib, blocks, asks = arguments
    chosen = _written({key: fractions[key] for key in (STORAGE_KEY, SHUFFLE_KEY)})
    if not all(0.001 <= fraction <= 1 for fraction in chosen.values()):
        return Effect(False, "A fraction is more than 0 and at most 1.")
    events = _trace(blocks, asks)
    manager = StaticMemoryManager.from_conf(chosen, system_memory=heap_mib * MIB)
    evidence = "modelled: " + ", ".join(f"{key}={value}" for key, value in chosen.items())
    for frame in replay(manager, events):
        if any(frame.score):
            says = f"With these settings, `{frame.event}` goes wrong: {frame.outcome}."
            return Effect(False, says, evidence)
    for key in chosen:
        less = chosen | {key: chosen[key] * (1 - _MOST_WASTE)}
        if _is_enough(heap_mib, events, less):
            says = f"A {key} that is {_MOST_WASTE:.0%} smaller would do, too."
            return Effect(False, f"{says} The other side pays for what this one has.", evidence)
    return Effect(True, "All blocks are kept, all tasks get what they ask for.", evidence)


def _draw_jobs(random: Random) -> list[tuple]:
    """Ten jobs for which the wall can stand somewhere, three that would leave too little for
    objects, and three that want more than the heap."""
    drawn = []
    for least, most, jobs in ((0.1, 0.78, 10), (0.82, 0.98, 3), (1.02, 1.4, 3)):
        fitting = []
        while len(fitting) < jobs:
            heap_mib, blocks, asks = job = _draw_job(random)
            if least < sum(_fractions(heap_mib, sum(blocks), _pool_for(asks)).values()) < most:
                fitting.append(job)
        drawn += fitting
    return drawn


def _draw_job(random: Random) -> tuple[int, list, list]:
    heap_mib = random.randrange(2048, 32 * 1024)
    blocks = [int(heap_mib * random.uniform(0.03, 0.12)) for _ in range(random.randint(2, 6))]
    asks = [int(heap_mib * random.uniform(0.01, 0.09)) for _ in range(random.randint(2, 6))]
    return heap_mib, blocks, asks


WALL = Task(
    name="wall",
    title="Where the wall should stand",
    points=4,
    reference=_wall,
    examples=(
        (4096, [600, 600, 700], [100, 100, 100, 100]),
        (8192, [500, 700], [500, 200, 700, 100]),
        (4096, [1000, 1000, 500], [300, 300, 300]),
        (4096, [1500, 1500], [400, 400]),
    ),
    draw_inputs=_draw_jobs,
    within=1e-3,  # how an answer rounds is for the replay to judge
    effect=_play_wall,
    misconceptions=(
        Misconception(
            "forgets the safety fractions",
            "This is what you get without the safety fractions. What Spark really uses is 0.9 of "
            "storage's share and 0.8 of the shuffle's.",
            _wall_by(margins=(1, 1)),
        ),
        Misconception(
            "swaps the two margins",
            "This is what you get when the margins change places: 0.9 belongs to storage, 0.8 to "
            "execution.",
            _wall_by(margins=(SHUFFLE_SAFETY, STORAGE_SAFETY)),
        ),
        Misconception(
            "only adds up what tasks ask for",
            "This is what you get when the tasks' wishes are added up. The nth task may have at "
            "most 1/n of the pool, however much of it is free.",
            _wall_by(sum),
        ),
        Misconception(
            "gives every task the share of the largest",
            "This is what you get when every task counts as much as the largest. Who asks while "
            "few are there may have a larger share.",
            _wall_by(lambda asks: len(asks) * max(asks)),
        ),
        Misconception(
            "thinks of one task at a time",
            "This is what you get when the pool is as large as the largest wish. All tasks hold "
            "their memory at the same time.",
            _wall_by(max),
        ),
        Misconception(
            "takes a reserve off",
            "This is what you get when 300 MiB are set aside first. The static manager takes its "
            "shares of the whole heap.",
            _wall_by(reserve_mib=300),
        ),
        Misconception(
            "leaves nothing for objects",
            "Your function fills the heap up to the last byte. A fifth of it was to stay for your "
            "own objects: where that does not work, refuse.",
            _wall_by(most=1),
        ),
        Misconception(
            "promises what is not there",
            "Your function never refuses. Spark would not either, it has no check, but the two "
            "shares would be more than there is.",
            _wall_by(most=math.inf),
        ),
    ),
)


# settings_of_today

_HEAP = 600 * MIB
_BLOCK, _BLOCKS = 10 * MIB, 21
_FOR_OBJECTS = 0.2  # of the heap without its reserve
_KEYS_OF_TODAY = ("spark.memory.fraction", "spark.memory.storageFraction")
_KEYS = (*_KEYS_OF_TODAY, "spark.memory.useLegacyMode", STORAGE_KEY, SHUFFLE_KEY)

# The table is cached, block by block; then a task asks for all the memory there is.
_JOB = [
    *(("put", f"rdd_0_{split}", _BLOCK, "MEMORY_AND_DISK") for split in range(_BLOCKS)),
    ("acquire_execution_memory", _HEAP, 1, "ON_HEAP"),
]


def _read(answer: Mapping) -> dict[str, str]:
    """The settings that were chosen, as text; all others keep their defaults."""
    chosen = {}
    for key, value in answer.items():
        if key not in _KEYS:
            raise ValueError(f"There is no setting {show(key)} here; there are {', '.join(_KEYS)}")
        if value is not None and value is not ...:
            chosen[key] = str(value).lower() if isinstance(value, bool) else str(value)
    heap(chosen, system_memory=_HEAP)  # Spark would refuse the same
    return chosen


@cache
def _play_job(chosen: tuple[tuple[str, str], ...]) -> tuple[int, int, int]:
    """On Spark's own classes: the pool, and the blocks in memory before and after the task asks."""
    from course_lib.spark import JvmDiedError, NoJavaError, Oracle
    from course_lib.spark.memory_oracle import MemoryOracle

    try:
        with Oracle() as spark:
            manager = spark.unified_memory_manager(dict(chosen), _HEAP, num_cores=1)
            pool = manager.maxHeapMemory()
            region = manager.onHeapStorageMemoryPool().poolSize()
        with MemoryOracle() as spark:
            *_, cached, asked = spark.play(pool, region, _JOB).played
    except (JvmDiedError, NoJavaError) as reason:
        raise CannotCheckError(str(reason)) from None
    return pool, len(cached.state.blocks), len(asked.state.blocks)


def _run(chosen: dict[str, str]) -> Effect:
    pool, cached, kept = _play_job(tuple(chosen.items()))
    evidence = (
        f"measured: Spark's memory manager has {bytes_to_string(pool)}; its memory store holds "
        f"{cached} of {_BLOCKS} blocks, and {kept} once a task has asked for all it can get"
    )
    if cached < _BLOCKS:
        why = _why_not_in_memory(chosen)
        return Effect(False, "Part of the table is not in memory.", evidence, why)
    if pool > (1 - _FOR_OBJECTS) * (_HEAP - 300 * MIB):
        says = "Too little is left for objects."
        return Effect(False, says, evidence, "takes it from the objects")
    if kept < _BLOCKS:
        says = "The table is in memory, but not safe there."
        return Effect(False, says, evidence, "leaves the table outside of the region")
    return Effect(True, "The table is in memory, and safe from tasks.", evidence)


def _why_not_in_memory(chosen: Mapping) -> str:
    if not any(key in chosen for key in _KEYS_OF_TODAY):
        return "keeps the old settings"
    if "spark.memory.fraction" not in chosen:
        return "moves the boundary only"
    return "carries the old share over"


def _today(fraction: str | None = None, storage_fraction: str | None = None) -> dict:
    return {"spark.memory.fraction": fraction, "spark.memory.storageFraction": storage_fraction}


SETTINGS_OF_TODAY = EffectTask(
    name="settings_of_today",
    title="Old settings, new Spark",
    points=4,
    read=_read,
    run=_run,
    reference=lambda: _today("0.78", "0.95"),
    misconceptions=(
        Misconception(
            "keeps the old settings",
            "The old settings do nothing here: Spark since 3.0 does not know them, and does not "
            "say so either.",
            lambda: {
                "spark.memory.useLegacyMode": "true",
                STORAGE_KEY: "0.7",
                SHUFFLE_KEY: "0.1",
            },
        ),
        Misconception(
            "moves the boundary only",
            "`spark.memory.storageFraction` moves the boundary inside the pool. The pool itself is "
            "too small, and it grows with `spark.memory.fraction`.",
            lambda: _today(storage_fraction="0.95"),
        ),
        Misconception(
            "carries the old share over",
            "That fraction makes the pool too small. It is a share of the heap without its "
            "reserve of 300 MiB; the old one was of the whole heap.",
            lambda: _today("0.54", "0.95"),
        ),
        Misconception(
            "leaves the table outside of the region",
            "The pool holds the table, but a task may push out what storage holds beyond its "
            "region. `spark.memory.storageFraction` says how large that is.",
            lambda: _today("0.78"),
        ),
        Misconception(
            "takes it from the objects",
            "Everything fits, but a fifth of the heap without its reserve was to stay for objects.",
            lambda: _today("0.95", "0.9"),
        ),
    ),
)


PROBLEM_SET = ProblemSet(
    "ps05-static-manager",
    "The static manager",
    (STATIC_REGIONS, STORED, WALL, SETTINGS_OF_TODAY),
)

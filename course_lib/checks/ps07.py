"""Problem set 07: who leaves the shelf, what is not stored and why, unrolling, and levels.

`READS` and `TABLES` are what the notebook says of its last task's program.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from random import Random

from course_lib.checks.reading import read_with
from course_lib.checks.registry import ProblemSet
from course_lib.checks.tasks import (
    CannotCheckError,
    Effect,
    EffectTask,
    Misconception,
    Task,
)
from course_lib.checks.values import show
from course_lib.model import Film, MemoryStore, StorageLevel, UnifiedMemoryManager, replay
from course_lib.model.store import BlockId
from course_lib.units import KIB, MIB, bytes_to_string


def _played(memory: int, lines: Sequence[str]) -> Film:
    """A trace on an executor with `memory` MiB of Spark memory."""
    manager = UnifiedMemoryManager(memory * MIB, memory * MIB // 2)
    return replay(manager, "\n".join(lines))


def _rdd(block: str) -> int:
    return BlockId(block).rdd_id


# on_the_shelf


def _on_the_shelf(memory: int, events: list[tuple]) -> list[str]:
    film = _played(memory, [_line(*event) for event in events])
    storage, _ = film[-1].region.children
    return [str(block.name) for block in storage.children]


def _line(what: str, block: str, size: int | None = None) -> str:
    return f"{what} {block}" + (f" {size}m" if size is not None else "")


def _shelf_of(
    memory: int,
    events: list[tuple],
    *,
    reads_count: bool = True,
    spares_kin: bool = True,
    spares_pinned: bool = True,
    all_or_nothing: bool = True,
    stores_again: bool = True,
    order: Callable[[list[str], Mapping[str, int]], list[str]] = lambda shelf, sizes: shelf,
) -> list[str]:
    """The shelf as someone sees it who is wrong about one of the rules."""
    sizes, shelf, pinned = {}, [], set()

    def store(new: str) -> None:
        missing = sum(sizes[block] for block in shelf) + sizes[new] - memory
        leaving = []
        for block in order(list(shelf), sizes):
            kin = spares_kin and _rdd(block) == _rdd(new)
            if missing > 0 and not kin and not (spares_pinned and block in pinned):
                leaving.append(block)
                missing -= sizes[block]
        if missing <= 0 or not all_or_nothing:
            shelf[:] = [block for block in shelf if block not in leaving]
        if missing <= 0:
            shelf.append(new)

    for what, block, *size in events:
        if what == "cache":
            sizes[block] = size[0]
            store(block)
        elif what == "read" and block not in shelf:
            if stores_again:
                store(block)
        elif what == "read" and reads_count:
            shelf.remove(block)
            shelf.append(block)
        elif what == "pin":
            pinned.add(block)
        elif what == "unpin":
            pinned.remove(block)
    return shelf


def _draw_shelves(random: Random) -> list[tuple]:
    drawn = []
    while len(drawn) < 30:
        memory = random.choice((100, 128, 150, 200))
        events = _draw_events(random, memory)
        if len(_on_the_shelf(memory, events)) >= 2:
            drawn.append((memory, events))
    return drawn


def _draw_events(random: Random, memory: int) -> list[tuple]:
    """Some twenty events; what is pinned is in memory then, and no block is pinned twice."""
    events, pinned = [], None
    names = [f"rdd_{rdd}_{split}" for rdd in range(4) for split in range(3)]
    random.shuffle(names)
    for _ in range(22):
        cached = [block for what, block, *_ in events if what == "cache"]
        what = random.choices(("cache", "read", "pin", "unpin"), (5, 6, 2, 2))[0]
        if what == "cache" and names:
            events.append((what, names.pop(), random.randrange(15, memory * 2 // 3)))
        elif what == "read" and cached:
            events.append((what, random.choice(cached)))
        elif what == "pin" and pinned is None and (shelf := _on_the_shelf(memory, events)):
            pinned = random.choice(shelf)
            events.append((what, pinned))
        elif what == "unpin" and pinned is not None:
            events.append((what, pinned))
            pinned = None
    return events


_READ_A = [("cache", "rdd_0_0", 40), ("cache", "rdd_1_0", 40), ("cache", "rdd_2_0", 40)]
_READ_A += [("read", "rdd_0_0"), ("cache", "rdd_3_0", 40)]
_KIN = [("cache", "rdd_0_0", 30), ("cache", "rdd_1_0", 60), ("cache", "rdd_1_1", 60)]
_KIN += [("cache", "rdd_1_2", 60), ("read", "rdd_0_0")]
_PINNED = [("cache", "rdd_0_0", 60), ("cache", "rdd_1_0", 50), ("pin", "rdd_0_0")]
_PINNED += [("cache", "rdd_2_0", 70), ("unpin", "rdd_0_0"), ("read", "rdd_2_0")]

ON_THE_SHELF = Task(
    name="on_the_shelf",
    title="LRU by hand",
    points=5,
    reference=_on_the_shelf,
    examples=((128, _READ_A), (128, _KIN), (128, _PINNED)),
    draw_inputs=_draw_shelves,
    misconceptions=(
        Misconception(
            "takes the oldest for the least recently used",
            "Your shelf keeps the order in which blocks were stored. A read moves a block to the "
            "end of the list.",
            lambda *arguments: _shelf_of(*arguments, reads_count=False),
        ),
        Misconception(
            "pushes out its own RDD",
            "Your blocks push out blocks of their own RDD. Those stay: somebody else has to leave, "
            "or the block is not stored.",
            lambda *arguments: _shelf_of(*arguments, spares_kin=False),
        ),
        Misconception(
            "pushes out what is being read",
            "Your shelf lets pinned blocks leave. Between `pin` and `unpin` a task reads them, and "
            "they stay.",
            lambda *arguments: _shelf_of(*arguments, spares_pinned=False),
        ),
        Misconception(
            "pushes out though it is not enough",
            "On your shelf, blocks leave for one that does not fit in the end. Add up first: if "
            "all that may leave is too little, nothing leaves.",
            lambda *arguments: _shelf_of(*arguments, all_or_nothing=False),
        ),
        Misconception(
            "does not store again what was lost",
            "On your shelf, a block that was lost stays lost. Its reader computes it again and "
            "stores it like a new one.",
            lambda *arguments: _shelf_of(*arguments, stores_again=False),
        ),
        Misconception(
            "pushes out the largest first",
            "Your shelf gives up large blocks first. Size does not matter, only when a block was "
            "last used.",
            lambda *arguments: _shelf_of(
                *arguments, order=lambda shelf, sizes: sorted(shelf, key=sizes.get, reverse=True)
            ),
        ),
        Misconception(
            "pushes out what was used last",
            "Your shelf gives up blocks from the wrong end: those that were used last.",
            lambda *arguments: _shelf_of(*arguments, order=lambda shelf, sizes: shelf[::-1]),
        ),
    ),
)


# why_not_stored

STORED, TOO_LARGE = "stored", "too large"
OWN_RDD, BEING_READ, BOTH = "own RDD", "being read", "own RDD and being read"


def _outcome_for(memory, execution, shelf, block, size, *, own_rdd=True, pins=True) -> str:
    """What happens to the block; without a rule, if it is switched off."""
    other = block if own_rdd else f"rdd_999_{block.split('_')[2]}"
    film = _played(
        memory,
        [
            *([f"ask task {execution}m"] if execution else []),
            *(f"cache {name} {mib}m" for name, mib, _ in shelf),
            *(f"pin {name}" for name, _, is_read in shelf if is_read and pins),
            f"cache {other} {size}m",
        ],
    )
    return film[-1].what


def _why_not_stored(memory: int, execution: int, shelf: list[tuple], block: str, size: int) -> str:
    case = (memory, execution, shelf, block, size)
    what = _outcome_for(*case)
    if what in ("stored", "too large"):
        return {"stored": STORED, "too large": TOO_LARGE}[what]
    if _outcome_for(*case, own_rdd=False) == "stored":
        return OWN_RDD
    if _outcome_for(*case, pins=False) == "stored":
        return BEING_READ
    return BOTH


def _why(
    memory,
    execution,
    shelf,
    block,
    size,
    *,
    most: Callable[[int, int], int] = lambda memory, execution: memory - execution,
    spares_kin=True,
    spares_pinned=True,
    evicts=True,
) -> str:
    """The answer of someone who is wrong about one of the rules."""
    if size > most(memory, execution):
        return TOO_LARGE
    missing = size - (most(memory, execution) - sum(mib for _, mib, _ in shelf))
    kin = {name for name, _, _ in shelf if spares_kin and _rdd(name) == _rdd(block)}
    pinned = {name for name, _, is_read in shelf if spares_pinned and is_read}

    def enough(staying: set[str]) -> bool:
        return missing <= sum(mib for name, mib, _ in shelf if evicts and name not in staying)

    if enough(kin | pinned):
        return STORED
    if enough(pinned):
        return OWN_RDD
    return BEING_READ if enough(kin) else BOTH if evicts else TOO_LARGE


def _draw_cases(random: Random) -> list[tuple]:
    """As many of each answer, and none in which one of two reasons alone would be reason enough
    to take away."""
    wanted = [STORED, TOO_LARGE, OWN_RDD, BEING_READ, BOTH] * 6
    drawn = []
    while wanted:
        memory, execution = random.randrange(100, 400), random.choice((0, 0, 30, 60, 90))
        shelf, used = [], 0
        for number in range(random.randrange(2, 6)):
            size = random.randrange(10, 80)
            if used + size <= memory - execution:
                name = f"rdd_{random.randrange(3)}_{number}"
                shelf.append((name, size, random.random() < 0.35))
                used += size
        size = random.randrange(20, memory + 20)
        case = (memory, execution, shelf, f"rdd_{random.randrange(3)}_9", size)
        answer = _why_not_stored(*case)
        either = answer == OWN_RDD and _outcome_for(*case, pins=False) == "stored"
        if shelf and answer in wanted and not either:
            wanted.remove(answer)
            drawn.append(case)
    return drawn


WHY_NOT_STORED = Task(
    name="why_not_stored",
    title="Why was this block not stored?",
    points=3,
    reference=_why_not_stored,
    examples=(
        (128, 0, [("rdd_0_0", 60, False), ("rdd_1_0", 60, False)], "rdd_2_0", 60),
        (128, 0, [("rdd_0_0", 60, True), ("rdd_1_0", 60, False)], "rdd_2_0", 100),
        (128, 0, [("rdd_2_0", 60, False), ("rdd_1_0", 60, False)], "rdd_2_1", 100),
        (128, 60, [("rdd_0_0", 40, False)], "rdd_2_0", 80),
    ),
    draw_inputs=_draw_cases,
    misconceptions=(
        Misconception(
            "lets storage push out execution",
            "Your function counts memory that tasks hold as if it could be had. Storage never "
            "pushes out execution: it could have `memory - execution`.",
            lambda *case: _why(*case, most=lambda memory, execution: memory),
        ),
        Misconception(
            "keeps storage to its half",
            "Your function gives storage half of the memory. It may use all that execution does "
            "not hold.",
            lambda *case: _why(*case, most=lambda memory, execution: memory // 2),
        ),
        Misconception(
            "pushes out its own RDD",
            "Your function lets a block push out blocks of its own RDD. Those stay.",
            lambda *case: _why(*case, spares_kin=False),
        ),
        Misconception(
            "pushes out what is being read",
            "Your function lets blocks leave while a task reads them. Those stay.",
            lambda *case: _why(*case, spares_pinned=False),
        ),
        Misconception(
            "stores only where memory is free",
            "Your function stores a block only where there is room at once. Others may leave for "
            "it.",
            lambda *case: _why(*case, evicts=False),
        ),
    ),
)


# unroll_requests


class _Telling(UnifiedMemoryManager):
    """A manager with plenty of memory that notes what is asked for unrolling."""

    def __init__(self):
        super().__init__(1024**4, 1024**4 // 2)
        self.requests = []

    def acquire_unroll_memory(self, block_id, num_bytes, mode):
        self.requests.append(num_bytes)
        return super().acquire_unroll_memory(block_id, num_bytes, mode)


def _unroll_requests(value_kib: int, values: int) -> list[float]:
    manager = _Telling()
    MemoryStore(manager).put_iterator(
        "rdd_0_0", [value_kib * KIB] * values, StorageLevel.MEMORY_ONLY
    )
    return [num_bytes / KIB for num_bytes in manager.requests]


def _requests(
    value_kib, values, *, period=16, first_check=1, factor=1.5, first=1024, on_top=False, rest=True
) -> list[float]:
    """The requests of someone who is wrong about one of the numbers."""
    asked, reserved = ([first] if first else []), first
    for number in range(1, values + 1):
        size = number * value_kib
        if number >= first_check and (number - first_check) % period == 0 and size >= reserved:
            asked.append(size * factor if on_top else size * factor - reserved)
            reserved += asked[-1]
    if rest and value_kib * values > reserved:
        asked.append(value_kib * values - reserved)
    return asked


def _draw_unrollings(random: Random) -> list[tuple]:
    small = [(random.randrange(1, 60), random.randrange(1, 200)) for _ in range(10)]
    large = [(random.randrange(60, 5000), random.randrange(1, 120)) for _ in range(20)]
    return small + large


UNROLL_REQUESTS = Task(
    name="unroll_requests",
    title="Asking while it grows",
    points=3,
    reference=_unroll_requests,
    examples=((100, 8), (2048, 20), (3072, 60)),
    draw_inputs=_draw_unrollings,
    within=0.01,  # KiB: Spark cuts a request down to whole bytes
    misconceptions=(
        Misconception(
            "looks after every value",
            "This is what you get when the size is looked at after every value. Spark looks after "
            "the first and then after every 16, because estimating a size takes time.",
            lambda *case: _requests(*case, period=1),
        ),
        Misconception(
            "looks after the 16th value first",
            "This is what you get when the size is looked at after values 16, 32 and so on. The "
            "first look comes after the first value, the next after the 17th.",
            lambda *case: _requests(*case, first_check=16),
        ),
        Misconception(
            "doubles",
            "This is what you get when Spark asks for twice the size. It asks for as much as makes "
            "it 1.5 times the size.",
            lambda *case: _requests(*case, factor=2),
        ),
        Misconception(
            "asks for 1.5 times the size on top",
            "This is what you get when each request is 1.5 times the size. What is reserved "
            "already counts: the request is 1.5 times the size, less that.",
            lambda *case: _requests(*case, on_top=True),
        ),
        Misconception(
            "begins with nothing",
            "This is what you get without the first request: 1 MiB, before any value is there.",
            lambda *case: _requests(*case, first=0),
        ),
        Misconception(
            "forgets what is missing at the end",
            "This is what you get when nothing is asked for after the last value. If the block "
            "turned out larger than what is reserved, the rest is asked for then.",
            lambda *case: _requests(*case, rest=False),
        ),
    ),
)


# levels

# By table: the number of its RDD in the trace, and its blocks.
TABLES = {"scores": (0, 15), "lookup": (1, 4), "archive": (2, 6)}
READS = ("scores", "lookup", "archive") + ("scores", "lookup") * 2 + ("archive", "scores", "lookup")
_BLOCK_MIB = 9.4
_MOST_READ_FROM_DISK = 120 * MIB
_HEAP, _OFF_HEAP = 512 * MIB, 64 * MIB

# What PySpark calls its levels, and what the model does.
_LEVELS = {
    "MEMORY_ONLY": "MEMORY_ONLY_SER",
    "MEMORY_AND_DISK": "MEMORY_AND_DISK_SER",
    "MEMORY_AND_DISK_DESER": "MEMORY_AND_DISK",
    "DISK_ONLY": "DISK_ONLY",
    "OFF_HEAP": "OFF_HEAP",
}

# Run in a child process, with TABLES, READS and LEVELS before it. Nothing is compressed, so that a
# block has the same size in every form.
_PROGRAM = """
import json

from pyspark import StorageLevel
from course_lib.spark import lab_session, rest

conf = {
    "spark.memory.offHeap.enabled": True,
    "spark.memory.offHeap.size": "64m",
    "spark.rdd.compress": False,
    "spark.ui.liveUpdate.period": 0,
}
with lab_session(driver_memory="512m", cores=1, conf=conf) as spark:
    tables = {}
    for name, (_, blocks) in TABLES.items():
        text = f"repeat(sha2(concat('{name}', id), 256), 15) AS text"
        rows = spark.range(0, 10_000 * blocks, 1, blocks).selectExpr("id", text)
        rows.createOrReplaceTempView(name)
        spark.catalog.cacheTable(name, getattr(StorageLevel, LEVELS[name]))
    for name in READS:
        spark.table(name).count()
    spark.sparkContext._jsc.sc().listenerBus().waitUntilEmpty()  # the driver has heard of all
    kept = {name: (0, 0) for name in TABLES}
    for one in rest(spark, "storage/rdd"):
        blocks = rest(spark, f"storage/rdd/{one['id']}")["partitions"]
        in_memory = sum(block["memoryUsed"] > 0 for block in blocks)
        kept[one["name"].split()[-1]] = (in_memory, len(blocks) - in_memory)
    print(json.dumps(kept))
"""


def _read_level(value) -> str:
    if isinstance(value, str) and value.endswith(("_2", "_3")) and value[:-2] in _LEVELS:
        raise ValueError(f"there is one executor, and none to hold a copy for {value}")
    if not isinstance(value, str) or value not in _LEVELS:
        raise ValueError(
            f"PySpark's StorageLevel has no {show(value)} for this; it has {', '.join(_LEVELS)}"
        )
    return value


def _replayed(levels: Mapping[str, str]) -> Film:
    lines, cached = [], set()
    for table in READS:
        rdd, blocks = TABLES[table]
        for split in range(blocks):
            block = f"rdd_{rdd}_{split}"
            size = f"{int(_BLOCK_MIB * 1024)}k {_LEVELS[levels[table]]}"
            lines.append(f"read {block}" if table in cached else f"cache {block} {size}")
        cached.add(table)
    conf = {"spark.memory.offHeap.enabled": "true", "spark.memory.offHeap.size": f"{_OFF_HEAP}b"}
    return replay(UnifiedMemoryManager.from_conf(conf, system_memory=_HEAP), "\n".join(lines))


def _try_levels(levels: Mapping[str, str]) -> Effect:
    score = _replayed(levels)[-1].score
    recomputed = bytes_to_string(score.recomputed)
    from_disk = bytes_to_string(score.read_from_disk)
    evidence = f"modelled: {recomputed} computed again, {from_disk} read from disk"
    if score.recomputed:
        return Effect(False, "Lost blocks are computed again.", evidence, "memory alone")
    if score.read_from_disk > _MOST_READ_FROM_DISK:
        return Effect(False, "Too much comes from disk.", evidence, _why_from_disk(levels))
    kept = _kept_by_spark(levels)
    told = "; ".join(f"{name}: {memory}, {disk}" for name, (memory, disk) in kept.items())
    evidence += f". Measured: blocks in memory and on disk in the end: {told}"
    complete = all(sum(kept[name]) == blocks for name, (_, blocks) in TABLES.items())
    if not complete or kept["lookup"][1] or kept["scores"][1] > 2:
        raise CannotCheckError(f"Spark did not do what the model does ({evidence})")
    return Effect(True, "Nothing is computed again, and little comes from disk.", evidence)


def _why_from_disk(levels: Mapping[str, str]) -> str:
    if levels["scores"] == "OFF_HEAP":
        return "the largest off-heap"
    if levels["scores"] == "DISK_ONLY" or levels["lookup"] == "DISK_ONLY":
        return "disk for what is read often"
    return "the rare one in memory" if levels["archive"] != "DISK_ONLY" else "two in one place"


def _kept_by_spark(levels: Mapping[str, str]) -> dict[str, tuple[int, int]]:
    """Of each table, the blocks in memory and those on disk, after the reads on real Spark."""
    from course_lib.spark import NoJavaError
    from course_lib.spark.autopsy import autopsy

    given = f"TABLES, READS, LEVELS = {TABLES!r}, {READS!r}, {dict(levels)!r}\n"
    try:
        remains = autopsy(given + _PROGRAM, timeout=200)
    except NoJavaError as reason:
        raise CannotCheckError(str(reason)) from None
    if not remains.survived:
        raise CannotCheckError(f"the program did not finish.\n{remains}\n{remains.log[-500:]}")
    return {name: tuple(kept) for name, kept in json.loads(remains.stdout).items()}


def _all(level: str) -> dict[str, str]:
    return dict.fromkeys(TABLES, level)


LEVELS = EffectTask(
    name="levels",
    title="A level for each of three tables",
    points=4,
    read=read_with(dict.fromkeys(TABLES, _read_level)),
    run=_try_levels,
    reference=lambda: {"scores": "MEMORY_AND_DISK", "lookup": "OFF_HEAP", "archive": "DISK_ONLY"},
    misconceptions=(
        Misconception(
            "memory alone",
            "Something was lost and had to be computed again. MEMORY_ONLY does not fail where a "
            "block finds no room, it forgets; and what leaves memory without a disk is gone.",
            lambda: _all("MEMORY_ONLY"),
        ),
        Misconception(
            "the rare one in memory",
            "`archive` is read twice. In memory it costs others their place, each time, and they "
            "are read far more often.",
            lambda: _all("MEMORY_AND_DISK"),
        ),
        Misconception(
            "disk for what is read often",
            "A table that is read often comes from disk, each time. There is memory for it.",
            lambda: _all("DISK_ONLY"),
        ),
        Misconception(
            "two in one place",
            "`scores` alone fills the memory of the heap. `lookup` beside it pushes it out, and is "
            "pushed out by it, over and over. Where else is memory?",
            lambda: {
                "scores": "MEMORY_AND_DISK",
                "lookup": "MEMORY_AND_DISK",
                "archive": "DISK_ONLY",
            },
        ),
        Misconception(
            "the largest off-heap",
            "Off-heap memory holds six blocks here, and `scores` has fifteen: the rest of it comes "
            "from disk at each read, while the heap's memory is hardly used.",
            lambda: {"scores": "OFF_HEAP", "lookup": "MEMORY_AND_DISK", "archive": "DISK_ONLY"},
        ),
    ),
)


PROBLEM_SET = ProblemSet(
    "ps07-blocks-and-eviction",
    "Blocks, storage levels and eviction",
    (ON_THE_SHELF, WHY_NOT_STORED, UNROLL_REQUESTS, LEVELS),
)

"""Problem set 13: what to cache, reading a Storage tab, and a loop that leaks cached tables.

`STORE_MIB_PER_S`, `JOB`, `READ_IN` and `CACHED_TABLES` are what the notebook says of its tasks.
"""

import json
from collections.abc import Callable, Mapping
from itertools import combinations, pairwise
from random import Random
from typing import TYPE_CHECKING

from course_lib.checks.programs import ProgramTask, did_not_finish
from course_lib.checks.reading import read_with
from course_lib.checks.registry import ProblemSet
from course_lib.checks.tasks import (
    CannotCheckError,
    Effect,
    EffectTask,
    Misconception,
    Task,
)
from course_lib.checks.values import malformed, same, show
from course_lib.model import Film, UnifiedMemoryManager, replay
from course_lib.model.replay import Ask
from course_lib.model.store import BlockId
from course_lib.units import MIB, bytes_to_string

if TYPE_CHECKING:
    from course_lib.spark import Remains

# to_cache

STORE_MIB_PER_S = 50
_BLOCKS = 5

# By name: MiB in memory, seconds to compute, how often the job reads it.
Tables = Mapping[str, tuple[int, int, int]]


def _job(execution: int, tables: Tables, cached: Mapping[str, bool]) -> str:
    """The job as a trace: it reads the tables in turn, and after each a task needs its memory."""
    lines = []
    for turn in range(max(reads for _, _, reads in tables.values())):
        for rdd, (name, (size, _, reads)) in enumerate(tables.items()):
            if turn >= reads:
                continue
            for split in range(_BLOCKS if cached[name] else 0):
                block = f"rdd_{rdd}_{split}"
                lines.append(f"read {block}" if turn else f"cache {block} {size // _BLOCKS}m")
            lines += [f"ask task {execution}m", "finish task"]
    return "\n".join(lines)


def _seconds_and_spill(
    memory: int, execution: int, tables: Tables, cached: Mapping[str, bool]
) -> tuple[float, int]:
    """How long the job takes, and the bytes that its tasks ask for and do not get."""
    manager = UnifiedMemoryManager(memory * MIB, memory * MIB // 2)
    film = replay(manager, _job(execution, tables, cached))
    seconds = sum(
        time * (1 if cached[name] else reads) + (size / STORE_MIB_PER_S if cached[name] else 0)
        for name, (size, time, reads) in tables.items()
    )
    spill, times = 0, list(tables.values())
    for before, frame in pairwise(film):
        if isinstance(frame.event, Ask):
            spill += frame.event.size - frame.size
        elif again := frame.score.recomputed - before.score.recomputed:
            size, time, _ = times[BlockId(frame.event.block_id).rdd_id]
            seconds += again / MIB / size * (time + size / STORE_MIB_PER_S)
    return seconds, spill


def _saves(size: int, seconds: int, reads: int) -> float:
    return seconds * (reads - 1) - size / STORE_MIB_PER_S


def _best(
    memory: int,
    execution: int,
    tables: Tables,
    *,
    saves: Callable[[int, int, int], float] = _saves,
    room: Callable[[int, int], float] = lambda memory, execution: memory - execution,
) -> dict[str, bool]:
    """Of all choices that fit into the room, the one that saves most."""
    choices = [c for n in range(len(tables) + 1) for c in combinations(tables, n)]
    fitting = [c for c in choices if sum(tables[t][0] for t in c) <= room(memory, execution)]
    best = max(fitting, key=lambda choice: sum(saves(*tables[name]) for name in choice))
    return {name: name in best for name in tables}


def _to_cache(memory: int, execution: int, tables: Tables) -> dict[str, bool]:
    return _best(memory, execution, tables)


def _in_order(key: Callable[[int, int, int], float]) -> Callable:
    """Someone who goes through the tables in an order, and takes what still fits."""

    def to_cache(memory: int, execution: int, tables: Tables) -> dict[str, bool]:
        left, chosen = memory - execution, set()
        for name in sorted(tables, key=lambda name: key(*tables[name])):
            if tables[name][0] <= left and _saves(*tables[name]) > 0:
                left -= tables[name][0]
                chosen.add(name)
        return {name: name in chosen for name in tables}

    return to_cache


def _try_cached(arguments: tuple, cached: Mapping[str, bool]) -> Effect:
    seconds, spill = _seconds_and_spill(*arguments, cached)
    least, _ = _seconds_and_spill(*arguments, _to_cache(*arguments))
    evidence = f"modelled: {seconds:.1f} s, and {least:.1f} s are possible"
    if spill:
        asked = bytes_to_string(spill)
        return Effect(False, f"Tasks lack {asked} of execution memory, and spill.", evidence)
    if seconds > least + 0.1:
        return Effect(False, "The job takes longer than it has to.", evidence)
    return Effect(True, "Played on the model: nothing spills, and it could not be quicker.")


_NAMES = ("orders", "customers", "rates", "archive")


def _draw_tables(random: Random) -> tuple[int, int, dict[str, tuple[int, int, int]]]:
    memory = random.randrange(120, 400, 10)
    execution = random.randrange(memory // 5, memory * 2 // 3)
    return (
        memory,
        execution,
        {
            name: (
                random.randrange(memory // 20, memory * 2 // 3) // 5 * 5,
                random.randrange(2, 60),
                random.choice((1, 2, 2, 3, 4, 5, 6)),
            )
            for name in _NAMES
        },
    )


def _draw_jobs(random: Random) -> list[tuple]:
    """Two jobs for each misconception, on which it goes wrong. None in which a choice that does not
    fit, and holds a table in part, would do as well."""
    drawn = []
    for misconception in TO_CACHE.misconceptions * 2:
        while True:
            job = _draw_tables(random)
            right = _to_cache(*job)
            if misconception.compute(*job) != right and _is_clear(job, right):
                break
        drawn.append(job)
    return drawn


def _is_clear(job: tuple, right: Mapping[str, bool]) -> bool:
    """Whether every other choice spills, or takes at least a second longer on the model."""
    tables = job[-1]
    least, _ = _seconds_and_spill(*job, right)
    for n in range(len(tables) + 1):
        for chosen in combinations(tables, n):
            other = {name: name in chosen for name in tables}
            if other != right:
                seconds, spill = _seconds_and_spill(*job, other)
                if not spill and seconds < least + 1:
                    return False
    return True


TO_CACHE = Task(
    name="to_cache",
    title="Which of four tables to cache",
    points=4,
    reference=_to_cache,
    examples=(
        (
            200,
            80,
            {
                "orders": (150, 6, 3),
                "customers": (60, 10, 4),
                "rates": (20, 40, 6),
                "archive": (30, 50, 1),
            },
        ),
        (
            180,
            70,
            {
                "orders": (80, 45, 4),
                "customers": (100, 57, 5),
                "rates": (60, 17, 3),
                "archive": (50, 55, 5),
            },
        ),
        (
            360,
            140,
            {
                "orders": (100, 5, 5),
                "customers": (130, 47, 2),
                "rates": (20, 7, 6),
                "archive": (200, 19, 4),
            },
        ),
    ),
    draw_inputs=_draw_jobs,
    effect=_try_cached,
    misconceptions=(
        Misconception(
            "caches everything",
            "Your function caches every table. What does not fit pushes others out, and they are "
            "computed again.",
            lambda memory, execution, tables: dict.fromkeys(tables, True),
        ),
        Misconception(
            "as many as fit",
            "Your function begins with the smallest, so that many find room. One table that is "
            "dear to compute may be worth more than two that are not.",
            _in_order(lambda size, seconds, reads: size),
        ),
        Misconception(
            "counts the first read",
            "Your function counts every read as a gain. The first one computes the table, cached "
            "or not: what is read once gains nothing.",
            lambda *job: _best(
                *job, saves=lambda size, seconds, reads: seconds * reads - size / STORE_MIB_PER_S
            ),
        ),
        Misconception(
            "goes by reads alone",
            "Your function takes what is read most often first. What a read saves, is what "
            "computing costs.",
            _in_order(lambda size, seconds, reads: -reads),
        ),
        Misconception(
            "goes by cost alone",
            "Your function takes what is dearest to compute first. It saves that once for each "
            "later read.",
            _in_order(lambda size, seconds, reads: -seconds),
        ),
        Misconception(
            "the greatest gain first",
            "Your function takes the greatest gain first. Two tables in its place may gain more: "
            "with four tables, you can try all sixteen choices.",
            _in_order(lambda *table: -_saves(*table)),
        ),
        Misconception(
            "forgets the tasks",
            "Your function fills the whole memory. The tasks need theirs: blocks are pushed out, "
            "and what the storage region keeps is missing for tasks.",
            lambda *job: _best(*job, room=lambda memory, execution: memory),
        ),
        Misconception(
            "keeps to the storage region",
            "Your function fills half of the memory. Storage may use all that tasks do not need, "
            "and the region is no room to be had where they need more than the other half.",
            lambda *job: _best(*job, room=lambda memory, execution: memory / 2),
        ),
    ),
)


# next_read


def _next_read(tab: Mapping, dead: str | None) -> dict[str, int]:
    return _next_read_by()(tab, dead)


def _next_read_by(
    *,
    has_died: Callable[[list[str], str | None], bool] = lambda holders, dead: holders == [dead],
    on_disk: Callable[[Mapping], str] = lambda block: "memory" if block["memoryUsed"] else "disk",
    missing: Callable[[Mapping, int], str] = lambda tab, count: "computed",
) -> Callable[[Mapping, str | None], dict[str, int]]:
    """The rules, each of which a misconception may replace with its own."""

    def next_read(tab, dead):
        counts = {"memory": 0, "disk": 0, "computed": 0}
        for block in tab["partitions"]:
            lost = has_died(block["executors"], dead)
            counts["computed" if lost else on_disk(block)] += 1
        never = tab["numPartitions"] - len(tab["partitions"])
        if where := missing(tab, never):
            counts[where] += never
        return counts

    return next_read


_LEVELS = (
    "Disk Memory Deserialized 1x Replicated",
    "Memory Serialized 1x Replicated",
    "Disk Memory Serialized 2x Replicated",
)


def _draw_tabs(random: Random) -> list[tuple]:
    return [_draw_tab(random, level) for level in _LEVELS * 8]


def _draw_tab(random: Random, level: str) -> tuple[dict, str | None]:
    """A tab with blocks in memory, on disk where the level has one, and some that are missing."""
    rdd, partitions, copies = random.randrange(3, 90), random.randrange(6, 13), int(level[-13])
    blocks = []
    for split in sorted(random.sample(range(partitions), partitions - random.randrange(1, 4))):
        size = random.randrange(4 * MIB, 12 * MIB) * copies
        in_memory = "Disk" not in level or random.random() < 0.6
        blocks.append(
            {
                "blockName": f"rdd_{rdd}_{split}",
                "memoryUsed": size if in_memory else 0,
                "diskUsed": 0 if in_memory else size,
                "executors": sorted(random.sample("012", copies)),
            }
        )
    tab = {
        "id": rdd,
        "storageLevel": level,
        "numPartitions": partitions,
        "numCachedPartitions": len(blocks),
        "memoryUsed": sum(block["memoryUsed"] for block in blocks),
        "diskUsed": sum(block["diskUsed"] for block in blocks),
        "partitions": blocks,
    }
    return tab, random.choice((None, "0", "1", "2"))


_EXAMPLES = tuple(
    (tab, dead)
    for level, dead in zip(_LEVELS, (None, "0", "1"), strict=True)
    for tab, _ in [_draw_tab(Random(f"an example: {level}"), level)]
)

NEXT_READ = Task(
    name="next_read",
    title="Reading a Storage tab",
    points=3,
    reference=_next_read,
    examples=_EXAMPLES,
    draw_inputs=_draw_tabs,
    misconceptions=(
        Misconception(
            "takes cached for in memory",
            "Your function takes every cached partition for one in memory. *Fraction Cached* "
            "counts those on disk as well: look at `memoryUsed`.",
            _next_read_by(on_disk=lambda block: "memory"),
        ),
        Misconception(
            "computes what is on disk",
            "Your function computes again what is on disk. That is what the disk is for: it is "
            "read from there.",
            _next_read_by(on_disk=lambda block: "memory" if block["memoryUsed"] else "computed"),
        ),
        Misconception(
            "overlooks what is missing",
            "Your function overlooks partitions that are not listed. The table has "
            "`numPartitions`, and those without a block are computed.",
            _next_read_by(missing=lambda tab, count: ""),
        ),
        Misconception(
            "goes by the level",
            "Your function reads missing partitions from disk because the level has one. They are "
            "on disk only if a block is there: these have never been computed, or were lost.",
            _next_read_by(
                missing=lambda tab, count: "disk" if "Disk" in tab["storageLevel"] else "computed"
            ),
        ),
        Misconception(
            "keeps what the dead executor held",
            "Your function still finds blocks on the executor that is dead. They died with it, "
            "those on its disk too.",
            _next_read_by(has_died=lambda holders, dead: False),
        ),
        Misconception(
            "loses the copies too",
            "Your function loses blocks of which another executor has a copy. They are read from "
            "there.",
            _next_read_by(has_died=lambda holders, dead: dead in holders),
        ),
    ),
)


# cached

# By name: blocks, seconds to compute, how often the job reads it.
JOB = {
    "orders": (11, 5, 3),
    "customers": (3, 20, 4),
    "rates": (2, 60, 5),
    "archive": (4, 40, 1),
}
READ_IN = (
    *("orders", "customers", "rates", "archive", "sort"),
    *("orders", "customers", "rates", "sort"),
    *("orders", "customers", "rates", "sort"),
    *("customers", "rates", "rates"),
)
MOST_SECONDS = 140
SORT_MIB = 72
_BLOCK_MIB = 9.3
_ROWS_PER_BLOCK = 10_000

# Run in a child process, with BLOCKS, READ_IN, ROWS and CACHED before it.
_PROGRAM = """
import json

from course_lib.spark import lab_session, rest


def run(table):
    table.write.format("noop").mode("overwrite").save()
    spark.sparkContext._jsc.sc().listenerBus().waitUntilEmpty()  # the driver has heard of all
    return rest(spark, "stages")[0]


with lab_session(driver_memory="512m", cores=1) as spark:
    tables = {}
    for name, blocks in BLOCKS.items():
        text = f"repeat(sha2(concat('{name}', id), 256), 15) AS text"
        tables[name] = spark.range(0, ROWS * blocks, 1, blocks).selectExpr("id", text)
        if name in CACHED:
            tables[name].cache()
    numbers = spark.range(0, 400_000, 1, 1)
    rows = numbers.selectExpr("xxhash64(id) AS key", "id", "repeat('x', 100) AS text")
    computed, spilled = dict.fromkeys(BLOCKS, 0), 0
    for name in READ_IN:
        if name == "sort":
            spilled += run(rows.sortWithinPartitions("key"))["memoryBytesSpilled"]
        else:  # a batch that comes from the cache counts as one record
            computed[name] += run(tables[name])["inputRecords"] // ROWS
    on_disk = sum(table["diskUsed"] for table in rest(spark, "storage/rdd"))
    print(json.dumps({"computed": computed, "spilled": spilled, "on_disk": on_disk}))
"""


def _read_choice(value) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"True to cache the table, or False; not {show(value)}")
    return value


def _replayed(cached: Mapping[str, bool]) -> Film:
    lines, there = [], set()
    for name in READ_IN:
        if name == "sort":
            lines += [f"ask sort {SORT_MIB}m", "finish sort"]
        elif cached[name]:
            for split in range(JOB[name][0]):
                block = f"rdd_{list(JOB).index(name)}_{split}"
                size = f"{int(_BLOCK_MIB * 1024)}k MEMORY_AND_DISK"
                lines.append(f"read {block}" if name in there else f"cache {block} {size}")
            there.add(name)
    manager = UnifiedMemoryManager.from_conf(system_memory=512 * MIB)
    return replay(manager, "\n".join(lines))


def _try_choice(cached: Mapping[str, bool]) -> Effect:
    """On the model first; what is good there is run on Spark."""
    score = _replayed(cached)[-1].score
    seconds = sum(time * (1 if cached[name] else n) for name, (_, time, n) in JOB.items())
    moved, lacking = bytes_to_string(score.evicted), bytes_to_string(score.refused)
    evidence = f"modelled: {seconds} s of computing, {moved} pushed out, {lacking} refused"
    if score.evicted or score.refused:
        return Effect(False, "Memory is short.", evidence, _why_short(cached))
    if seconds > MOST_SECONDS:
        why = "leaves room unused" if any(cached.values()) else "caches nothing"
        return Effect(False, "Too much is computed again.", evidence, why)
    report = _report(cached)
    told = ", ".join(f"{name} {blocks}" for name, blocks in report["computed"].items())
    spilled, on_disk = (bytes_to_string(report[what]) for what in ("spilled", "on_disk"))
    evidence += f". Measured: blocks computed: {told}; {spilled} spilled, {on_disk} on disk"
    expected = {name: (1 if cached[name] else n) * blocks for name, (blocks, _, n) in JOB.items()}
    if report != {"computed": expected, "spilled": 0, "on_disk": 0}:
        raise CannotCheckError(f"Spark did not do what the model does ({evidence})")
    return Effect(True, "Nothing is pushed out, and little is computed again.", evidence)


def _why_short(cached: Mapping[str, bool]) -> str:
    if all(cached.values()):
        return "caches everything"
    return "caches the largest" if cached["orders"] else "caches what is read once"


def _report(cached: Mapping[str, bool]) -> dict:
    from course_lib.spark import NoJavaError
    from course_lib.spark.autopsy import autopsy

    blocks = {name: blocks for name, (blocks, _, _) in JOB.items()}
    chosen = [name for name in JOB if cached[name]]
    given = (
        f"BLOCKS, READ_IN = {blocks!r}, {READ_IN!r}\nROWS, CACHED = {_ROWS_PER_BLOCK}, {chosen!r}\n"
    )
    try:
        remains = autopsy(given + _PROGRAM, timeout=200)
    except NoJavaError as reason:
        raise CannotCheckError(str(reason)) from None
    if not remains.survived:
        raise CannotCheckError(f"the program did not finish.\n{remains}\n{remains.log[-500:]}")
    return json.loads(remains.stdout)


def _choice(*names: str) -> dict[str, bool]:
    return {name: name in names for name in JOB}


CACHED = EffectTask(
    name="cached",
    title="What to cache, on Spark",
    points=4,
    read=read_with(dict.fromkeys(JOB, _read_choice)),
    run=_try_choice,
    reference=lambda: _choice("customers", "rates"),
    misconceptions=(
        Misconception(
            "caches everything",
            "All four tables do not fit. They push each other out, and the sort has to spill.",
            lambda: _choice(*JOB),
        ),
        Misconception(
            "caches the largest",
            "`orders` takes most of the memory, and computing it is cheap: the least gain for the "
            "most room.",
            lambda: _choice("orders", "rates"),
        ),
        Misconception(
            "caches what is read once",
            "`archive` is dear to compute, but it is read once. In memory, nobody ever gains from "
            "it, and the sort has less.",
            lambda: _choice("customers", "rates", "archive"),
        ),
        Misconception(
            "leaves room unused",
            "Memory is left for another table that is computed again and again.",
            lambda: _choice("rates"),
        ),
        Misconception(
            "caches nothing",
            "Without a cache, each read computes its table again.",
            lambda: _choice(),
        ),
    ),
)


# balances

DAYS = 4
CACHED_TABLES = 2
_ROWS, _SPLITS = 40_000, 2


def keep_balances(answer: Callable, seed: int) -> dict:
    """Call an answer on real Spark, and watch what is cached and computed meanwhile."""
    from course_lib.spark import lab_session, rest

    conf = {"spark.sql.shuffle.partitions": 1}
    with lab_session(cores=1, driver_memory="640m", conf=conf) as spark:
        somebody_elses = spark.range(100).cache()
        somebody_elses.count()
        context, modulus = spark.sparkContext._jsc.sc(), _modulus(seed)
        start = spark.range(0, _ROWS, 1, _SPLITS).selectExpr("id", f"id % {modulus} AS amount")
        seen = []

        def next_day(table, day):
            seen.append(context.getPersistentRDDs().size() - 1)
            return table.selectExpr("id", f"(amount * 7 + id + {day}) % {modulus} AS amount")

        value = answer(start, next_day, DAYS)
        left = context.getPersistentRDDs().size()
        plan = somebody_elses._jdf.queryExecution().withCachedData().toString()
        is_kept = "InMemoryRelation" in plan
        context.listenerBus().waitUntilEmpty()  # the driver has heard of all
        records = sum(stage["inputRecords"] for stage in rest(spark, "stages"))
    return {
        "value": value if isinstance(value, list) else f"an object of type {type(value).__name__}",
        "seen": seen,
        "left": left - is_kept,
        "is_kept": is_kept,
        "computed": records // _ROWS,
    }


def _modulus(seed: int) -> int:
    return 900 + seed % 100


def balances_by_hand(seed: int) -> list[int]:
    """The sums of the days, without Spark."""
    modulus = _modulus(seed)
    amounts, sums = [number % modulus for number in range(_ROWS)], []
    for day in range(DAYS):
        amounts = [(amount * 7 + n + day) % modulus for n, amount in enumerate(amounts)]
        sums.append(sum(amounts))
    return sums


def judge_balances(remains: "Remains", report: dict | None, seed: int) -> Effect:
    """Right sums, each day computed once, two tables at a time, and nothing left behind."""
    if report is None:
        return did_not_finish(remains)
    right = balances_by_hand(seed)
    if complaint := malformed(right, report["value"]):
        return Effect(False, f"What it returns {complaint}, one sum for each day.")
    if not same(right, report["value"]):
        got = show(report["value"])
        return Effect(False, f"It returns {got}; right is {show(right)}, in the order of the days.")
    if len(report["seen"]) != DAYS:
        asked = len(report["seen"])
        return Effect(False, f"It calls `next_day` {asked} times for {DAYS} days.")
    seen = ", ".join(map(str, report["seen"]))
    evidence = (
        f"measured: tables cached when each day began: {seen}; in the end: {report['left']}; "
        f"passes over the rows of `start`: {report['computed']}"
    )
    most = max(report["seen"])
    if not report["is_kept"]:
        says = "A table that somebody else had cached is no longer."
        return Effect(False, says, evidence, "clears everybody's cache")
    if report["computed"] > 1:
        why = "gives it back too early" if report["left"] or most else "does not cache"
        return Effect(False, "A day was computed again for the next.", evidence, why)
    if most >= CACHED_TABLES:
        why = "keeps every day" if report["left"] else "gives back at the end only"
        return Effect(False, "More tables are cached than the next day needs.", evidence, why)
    if report["left"]:
        return Effect(False, "The last table is still cached in the end.", evidence)
    return Effect(True, "Each day was computed once, and nothing is left behind.", evidence)


def _balances(start, next_day, days):
    table, sums = start, []
    for day in range(days):
        newer = next_day(table, day).cache()
        sums.append(newer.agg({"amount": "sum"}).first()[0])
        table.unpersist()
        table = newer
    table.unpersist()
    return sums


def _every_day_kept(start, next_day, days):
    table, sums = start, []
    for day in range(days):
        newer = next_day(table, day).cache()
        del table
        table = newer
        sums.append(table.agg({"amount": "sum"}).first()[0])
    return sums


def _uncached(start, next_day, days):
    table, sums = start, []
    for day in range(days):
        table = next_day(table, day)
        sums.append(table.agg({"amount": "sum"}).first()[0])
    return sums


def _too_early(start, next_day, days):
    table, sums = start, []
    for day in range(days):
        newer = next_day(table, day).cache()
        table.unpersist()
        sums.append(newer.agg({"amount": "sum"}).first()[0])
        table = newer
    return sums


def _at_the_end(start, next_day, days):
    table, sums, cached = start, [], []
    for day in range(days):
        table = next_day(table, day).cache()
        cached.append(table)
        sums.append(table.agg({"amount": "sum"}).first()[0])
    for table in cached:
        table.unpersist()
    return sums


def _everybodys(start, next_day, days):
    table, sums = start, []
    for day in range(days):
        table = next_day(table, day).cache()
        sums.append(table.agg({"amount": "sum"}).first()[0])
    table.sparkSession.catalog.clearCache()
    return sums


BALANCES = ProgramTask(
    name="balances",
    title="A leak of cached tables",
    points=4,
    harness=keep_balances,
    judge=judge_balances,
    reference=_balances,
    misconceptions=(
        Misconception(
            "keeps every day",
            "The tables of all days are still cached. Giving their name to another table, or "
            "deleting it, frees nothing: the cache manager remembers plans.",
            _every_day_kept,
        ),
        Misconception(
            "does not cache",
            "Nothing leaks, for nothing is cached when the next day needs it: each day is computed "
            "again from the first.",
            _uncached,
        ),
        Misconception(
            "gives it back too early",
            "You give a day back before the next one has been computed from it. `cache()` is lazy: "
            "only an action stores the new table.",
            _too_early,
        ),
        Misconception(
            "gives back at the end only",
            "Everything is given back, but in the end. Until then, the days of a long job fill the "
            "memory.",
            _at_the_end,
        ),
        Misconception(
            "clears everybody's cache",
            "`clearCache()` gives back everything in the session, tables of others too.",
            _everybodys,
        ),
    ),
)


PROBLEM_SET = ProblemSet(
    "ps13-caching-well", "Caching well", (TO_CACHE, NEXT_READ, CACHED, BALANCES)
)

"""Problem set 12: partitions for one's own numbers, a salted join, and one of five remedies.

The constants in capitals are what the notebook says of its tasks.
"""

import json
import math
import zlib
from collections.abc import Callable, Mapping
from functools import cache, partial
from random import Random
from statistics import mean, median
from typing import TYPE_CHECKING, NamedTuple

from course_lib.checks.personal import PersonalTask
from course_lib.checks.programs import ProgramTask, did_not_finish
from course_lib.checks.reading import read_with
from course_lib.checks.registry import ProblemSet
from course_lib.checks.tasks import CannotCheckError, Effect, EffectTask, Misconception, Task
from course_lib.checks.values import show
from course_lib.model import UnifiedMemoryManager, fewest_partitions, sort_memory, task_share
from course_lib.units import GIB, MIB, bytes_to_string

if TYPE_CHECKING:
    from course_lib.spark import Remains

# partitions

EXTRA = 0.1  # what pages and pointers take on top of the rows, at most
LEAST_USED = 0.75  # of its share, that a task is to use
MOST_PARTITIONS = 1000


class Lab(NamedTuple):
    """A sort on this machine: `rows` of `row_bytes` each, `cores` tasks at once in one heap."""

    rows: int
    row_bytes: int
    heap_mib: int
    cores: int


class Nightly(NamedTuple):
    """A job on a cluster, which needs so much execution memory in all; `cached_gib` is what each
    executor will have cached, once the tables that the job reads are."""

    data_gib: int
    heap_gib: int
    cores: int
    storage_fraction: float
    cached_gib: int


class Numbers(NamedTuple):
    """What one learner has been given."""

    lab: Lab
    nightly: Nightly


def _manager(heap_bytes: int, cores: int, storage_fraction: float = 0.5) -> UnifiedMemoryManager:
    conf = {"spark.memory.storageFraction": repr(storage_fraction)}
    return UnifiedMemoryManager.from_conf(conf, system_memory=heap_bytes, num_cores=cores)


def _lab_share(lab: Lab) -> int:
    return task_share(_manager(lab.heap_mib * MIB, lab.cores).max_heap_memory, lab.cores)


def _lab_need(lab: Lab, partitions: int) -> int:
    """What a task needs in the lab. Exact, as is the number of rows in each partition."""
    page = _manager(lab.heap_mib * MIB, lab.cores).page_size_bytes
    return sort_memory(math.ceil(lab.rows / partitions), lab.row_bytes, page)


def _nightly_share(nightly: Nightly, *, cached: bool) -> int:
    manager = _manager(nightly.heap_gib * GIB, nightly.cores, nightly.storage_fraction)
    return task_share(
        manager.max_heap_memory,
        nightly.cores,
        storage_memory_used=nightly.cached_gib * GIB if cached else 0,
        storage_region_size=manager.on_heap_storage_region_size,
    )


def _enough(numbers: Numbers) -> dict[str, int]:
    """The right answers."""
    lab, nightly = numbers
    page = _manager(lab.heap_mib * MIB, lab.cores).page_size_bytes
    return {
        "lab": fewest_partitions(lab.rows, lab.row_bytes, _lab_share(lab), page),
        **{
            key: math.ceil(nightly.data_gib * GIB / _nightly_share(nightly, cached=cached))
            for key, cached in (("nightly", False), ("with_cache", True))
        },
    }


def _by_hand(
    numbers: Numbers,
    *,
    spark_memory: Callable[[float], float] = lambda heap_mib: (heap_mib - 300) * 0.6,
    tasks: Callable[[int], int] = lambda cores: cores,
    without_cache: Callable[[Nightly], float] = lambda nightly: 1.0,
    cached: Callable[[Nightly, float], float] = lambda nightly, memory: (
        memory * (1 - nightly.storage_fraction)
    ),
    extra: float = EXTRA,
    rounded: Callable[[float], int] = math.ceil,
) -> dict[str, int]:
    """The sums as the notebook asks for them, each step of which a misconception may replace."""
    lab, nightly = numbers
    memory = spark_memory(nightly.heap_gib * 1024)
    need, at_once = nightly.data_gib * 1024, tasks(nightly.cores)
    kept = without_cache(nightly)
    lab_kept = 1.0 if kept == 1.0 else 0.5
    lab_share = lab_kept * spark_memory(lab.heap_mib) / tasks(lab.cores)
    return {
        "lab": math.ceil((1 + extra) * lab.rows * lab.row_bytes / MIB / lab_share),
        "nightly": rounded(need * at_once / (memory * kept)),
        "with_cache": rounded(need * at_once / cached(nightly, memory)),
    }


def _draw_numbers(random: Random) -> Numbers:
    """A learner's numbers. Whoever has them, the same things matter, each by enough to show."""
    while True:
        lab = Lab(
            rows=1000 * random.randrange(300, 1100),
            row_bytes=8 * random.randrange(75, 176),
            heap_mib=random.randrange(512, 577, 8),
            cores=random.choice((3, 4)),
        )
        if _fair_lab(lab):
            break
    while True:
        nightly = Nightly(
            data_gib=random.randrange(100, 3000),
            heap_gib=random.randrange(8, 41),
            cores=random.randrange(3, 9),
            storage_fraction=random.choice((0.3, 0.4, 0.6, 0.7)),
            cached_gib=random.randrange(3, 23),
        )
        if _fair_nightly(nightly):
            return Numbers(lab, nightly)


def _fair_lab(lab: Lab) -> bool:
    """From 12 to 24 partitions; who adds a tenth for the pointers is right with room to spare, and
    who does not is wrong."""
    share = _lab_share(lab)
    bare = math.ceil(lab.rows * lab.row_bytes / share)
    taken = math.ceil((1 + EXTRA) * lab.rows * lab.row_bytes / share)
    return (
        12 <= taken <= 24
        and 0.82 * share <= _lab_need(lab, taken) <= 0.97 * share
        and 1.01 * share <= _lab_need(lab, bare)
    )


def _fair_nightly(nightly: Nightly) -> bool:
    """From 150 to 900 partitions, before rounding a quarter to three quarters above a whole number;
    more is cached than storage can keep, and not nearly all that there is."""
    memory = _manager(nightly.heap_gib * GIB, nightly.cores).max_heap_memory / GIB
    exact = nightly.data_gib * nightly.cores / memory
    cached = exact / (1 - nightly.storage_fraction)
    return (
        150 <= exact <= 900
        and 0.25 <= exact % 1 <= 0.75
        and 0.25 <= cached % 1 <= 0.75
        and 1.1 * nightly.storage_fraction <= nightly.cached_gib / memory <= 0.9
    )


_WRONG_WAYS = {
    "ignores the cores": {"tasks": lambda cores: 1},
    "shares out the whole heap": {"spark_memory": lambda heap_mib: heap_mib},
    "leaves the storage region alone": {
        "without_cache": lambda nightly: 1 - nightly.storage_fraction
    },
    "rounds down": {"rounded": math.floor},
    "takes cached blocks for nothing": {"cached": lambda nightly, memory: memory},
    "leaves cached blocks all they have": {
        "cached": lambda nightly, memory: memory - nightly.cached_gib * 1024
    },
    "counts only the rows": {"extra": 0.0},
}


def _wrong(numbers: Numbers, name: str) -> dict[str, int]:
    if name == "takes the default":
        return _by_hand(numbers) | {"lab": 200}
    return _by_hand(numbers, **_WRONG_WAYS[name])


def _whole(value) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"a number of partitions is a whole number from 1 on, not {show(value)}")
    return value


def _whole_lab(value) -> int:
    if _whole(value) > MOST_PARTITIONS:
        raise ValueError(f"the lab has at most {MOST_PARTITIONS} partitions, not {value}")
    return value


def _try_partitions(numbers: Numbers, chosen: Mapping[str, int]) -> Effect:
    """The cluster's jobs by the model, then the lab on Spark."""
    right = _enough(numbers)
    wrong = [key for key in ("nightly", "with_cache") if chosen[key] != right[key]]
    if wrong:
        shown = [
            name
            for name in _WRONG_WAYS
            if all(chosen[key] == _wrong(numbers, name)[key] for key in wrong)
        ]
        return Effect(
            False,
            " ".join(_told(numbers.nightly, key, chosen[key]) for key in wrong),
            "modelled",
            shown[0] if shown else None,
        )
    return _try_lab(numbers, chosen["lab"])


def _told(nightly: Nightly, key: str, partitions: int) -> str:
    share = _nightly_share(nightly, cached=key == "with_cache")
    need = nightly.data_gib * GIB / partitions
    told = f"{key}: with {partitions} partitions a task needs {bytes_to_string(int(need))}, and "
    if need > share:
        return f"{told}may have less: it spills."
    return f"{told}may have {bytes_to_string(share)}. Fewer would be enough."


def _try_lab(numbers: Numbers, partitions: int) -> Effect:
    lab = numbers.lab
    share = _lab_share(lab)
    spilled, peak = _sort_in_the_lab(lab, partitions)
    evidence = (
        f"measured: with {partitions} partitions {bytes_to_string(spilled)} spilled, and a task "
        f"held {bytes_to_string(peak)} of its {bytes_to_string(share)} at its peak"
    )
    if spilled:
        bare = _wrong(numbers, "counts only the rows")["lab"]
        why = "counts only the rows" if partitions == bare else None
        return Effect(False, "lab: tasks spilled.", evidence, why)
    if peak < LEAST_USED * share:
        why = "takes the default" if partitions == 200 else None
        return Effect(False, "lab: nothing spilled, and fewer would do.", evidence, why)
    return Effect(True, "Nothing spills, and no fewer would do.", evidence)


_LAB_JOB = """
import json
from course_lib.spark import lab_session, rest
with lab_session(cores={cores}, driver_memory="{heap_mib}m") as spark:
    rows = spark.range(0, {rows}, 1, {partitions})
    text = "repeat(string(id % 10), {length}) AS text"
    table = rows.selectExpr("xxhash64(id) AS key", "id", text)
    table.sortWithinPartitions("key").write.format("noop").mode("overwrite").save()
    spark.sparkContext._jsc.sc().listenerBus().waitUntilEmpty()
    [stage] = rest(spark, "stages")
    print(json.dumps([stage["memoryBytesSpilled"], stage["peakExecutionMemory"]]))
"""
_NOT_TEXT = 32  # bytes of a row beside its text: null bits, two numbers, where the text is


def _sort_in_the_lab(lab: Lab, partitions: int) -> tuple[int, int]:
    """The bytes that Spark spills in the sort, and a task's peak."""
    from course_lib.spark import NoJavaError
    from course_lib.spark.autopsy import autopsy

    job = _LAB_JOB.format(**lab._asdict(), partitions=partitions, length=lab.row_bytes - _NOT_TEXT)
    try:
        remains = autopsy(job, timeout=180)
    except NoJavaError as reason:
        raise CannotCheckError(str(reason)) from None
    if not remains.survived:
        raise CannotCheckError(f"the sort did not finish.\n{remains}\n{remains.log[-500:]}")
    spilled, peaks = json.loads(remains.stdout.strip().splitlines()[-1])
    return spilled, peaks // partitions


@cache
def _partitions_for(numbers: Numbers) -> EffectTask:
    says = {
        "ignores the cores": "That is what you get when a task may have all of Spark memory. It "
        "shares it with those that run on the other cores.",
        "shares out the whole heap": "That is what you get when tasks share the whole heap. They "
        "share Spark memory: 0.6 of what the reserve of 300 MiB leaves.",
        "leaves the storage region alone": "You keep the storage region free where nothing is "
        "cached. Execution may have all that storage does not use.",
        "rounds down": "You round down. Then each task needs a little more than it may have, and "
        "all of them spill.",
        "takes cached blocks for nothing": "You give tasks what cached blocks hold. Execution can "
        "evict them only down to the storage region.",
        "leaves cached blocks all they have": "You leave cached blocks all they hold. What exceeds "
        "the storage region is evicted when execution needs it.",
        "counts only the rows": "Rows are not all that a sort holds: a pointer and a prefix for "
        "each lie in an array that doubles when it is full, and pages are never quite full.",
        "takes the default": "200 is what Spark takes when nobody has thought about it. Each task "
        "uses a small part of what it may have, and each has a price.",
    }
    read_chosen = read_with({"lab": _whole_lab, "nightly": _whole, "with_cache": _whole})
    return EffectTask(
        name="partitions",
        title="Partitions for your data",
        points=5,
        # Whose numbers they are belongs to the answer: trials that passed are remembered by it.
        read=lambda answer: (numbers, read_chosen(answer)),
        run=lambda given: _try_partitions(*given),
        reference=partial(_by_hand, numbers),
        misconceptions=tuple(
            Misconception(name, what, partial(_wrong, numbers, name)) for name, what in says.items()
        ),
    )


PARTITIONS = PersonalTask(
    name="partitions",
    title="Partitions for your data",
    points=5,
    draw=_draw_numbers,
    build=_partitions_for,
)


# salted_join

ORDERS, CUSTOMERS, TEXT = 300_000, 20_000, 400
COLUMNS = ["customer", "order", "text", "name"]
JOIN_PARTITIONS, JOIN_CORES = 64, 2
MOST_IN_A_TASK = ORDERS // 4

_JOIN_CONF = {
    "spark.memory.fraction": "0.1",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.autoBroadcastJoinThreshold": "-1",
    "spark.sql.maxBroadcastTableSize": "100k",
    "spark.sql.shuffle.partitions": str(JOIN_PARTITIONS),
}


class Shop(NamedTuple):
    """Whose orders are joined: which customer has most of them, a factor that deals out the rest,
    and how many salts there are to be."""

    hot: int
    factor: int
    salts: int


def _shop(seed: int) -> Shop:
    random = Random(f"shop {seed}")
    return Shop(
        random.randrange(CUSTOMERS),
        random.choice((7, 11, 13, 17, 19, 23)),
        random.choice((12, 16, 20)),
    )


def try_salted_join(answer: Callable, seed: int) -> dict:
    """In a child process: let the answer join the tables, and report what came of it."""
    from pyspark.sql import DataFrame

    from course_lib.spark import lab_session, rest

    shop = _shop(seed)
    with lab_session(cores=JOIN_CORES, driver_memory="1g", conf=_JOIN_CONF) as spark:
        orders = spark.range(0, ORDERS, 1, 4).selectExpr(
            f"IF(id % 10 < 8, {shop.hot}, id * {shop.factor} % {CUSTOMERS}) AS customer",
            "id AS order",
            f"repeat(string(id % 10), {TEXT}) AS text",
        )
        customers = spark.range(0, CUSTOMERS, 1, 2).selectExpr(
            "id AS customer", "concat('customer ', id) AS name"
        )
        joined = answer(orders, customers, shop.salts)
        if not isinstance(joined, DataFrame):
            return {"returned": show(joined)}
        changed = [key for key, value in _JOIN_CONF.items() if spark.conf.get(key, None) != value]
        if joined.columns != COLUMNS or changed:
            return {"columns": joined.columns, "changed": changed}
        row = "concat_ws('|', customer, order, left(text, 1), length(text), name)"
        found = joined.selectExpr("count(*) AS rows", f"sum(crc32({row})) AS total").first()
        spark.sparkContext._jsc.sc().listenerBus().waitUntilEmpty()
        stages = rest(spark, "stages?status=complete")
        tasks = [
            rest(spark, f"stages/{one['stageId']}/{one['attemptId']}/taskSummary?quantiles=1.0")
            for one in stages
        ]
    return {
        "columns": COLUMNS,
        "changed": [],
        "rows": found.rows,
        "total": found.total,
        "spilled": sum(one["memoryBytesSpilled"] for one in stages),
        "shuffled": sum(one["shuffleWriteRecords"] for one in stages),
        "largest": max(int(one["shuffleReadMetrics"]["readRecords"][0]) for one in tasks),
    }


@cache
def _right_total(seed: int) -> int:
    """The sum of a checksum of each row of the right answer, without a join."""
    shop, total = _shop(seed), 0
    for order in range(ORDERS):
        customer = shop.hot if order % 10 < 8 else order * shop.factor % CUSTOMERS
        row = f"{customer}|{order}|{order % 10}|{TEXT}|customer {customer}"
        total += zlib.crc32(row.encode())
    return total


def judge_salted_join(remains: "Remains", report: dict | None, seed: int) -> Effect:
    """Is it the right answer, and has the largest task become small enough?"""
    if report is None:
        return did_not_finish(remains)
    if "returned" in report:
        return Effect(False, f"It returns {report['returned']}; it should return a DataFrame.")
    if report["changed"]:
        says = f"It sets {', '.join(report['changed'])}. Leave Spark's settings as they are."
        return Effect(False, says, misconception="leaves it to AQE")
    if report["columns"] != COLUMNS:
        says = f"It returns the columns {report['columns']}; they should be {COLUMNS}."
        salted = set(report["columns"]) - set(COLUMNS) and len(report["columns"]) == 5
        return Effect(False, says, misconception="keeps the salt" if salted else None)
    return _judge_join(report, _shop(seed).salts, _right_total(seed))


def _judge_join(report: Mapping[str, int], salts: int, right_total: int) -> Effect:
    rows, spilled, largest, shuffled = (
        report[key] for key in ("rows", "spilled", "largest", "shuffled")
    )
    evidence = (
        f"measured: {rows:,} of {ORDERS:,} rows; the largest task read {largest:,} records, "
        f"{bytes_to_string(spilled)} spilled, {shuffled:,} records were shuffled"
    )
    if (rows, report["total"]) != (ORDERS, right_total):
        why = None
        if rows < ORDERS:
            why = "gives each customer one salt"
        elif rows == ORDERS * salts:
            why = "joins without the salt"
        return Effect(False, "The answer is not that of the plain join.", evidence, why)
    if spilled or largest > MOST_IN_A_TASK:
        copied = shuffled > ORDERS + 2 * CUSTOMERS
        why = "makes the salt from the key" if copied else "does not salt"
        return Effect(False, "The answer is right, and as skewed as before.", evidence, why)
    if shuffled < ORDERS:
        return Effect(False, "The answer is right, but Spark did not join the orders.", evidence)
    if shuffled > ORDERS + CUSTOMERS * salts + ORDERS // 10:
        return Effect(False, "The answer is right; more was copied than need be.", evidence)
    return Effect(True, "The answer is right, nothing spilled, and no task is large.", evidence)


def _salted_join(orders, customers, salts):
    from pyspark.sql import functions as F

    salted = orders.withColumn("salt", F.floor(F.rand() * salts))
    every_salt = F.explode(F.sequence(F.lit(0), F.lit(salts - 1)))
    copied = customers.withColumn("salt", every_salt)
    return salted.join(copied, ["customer", "salt"]).drop("salt")


def _plain_join(orders, customers, salts):
    return orders.join(customers, "customer")


def _one_salt_each(orders, customers, salts):
    from pyspark.sql import functions as F

    salt = F.floor(F.rand() * salts)
    salted = orders.withColumn("salt", salt)
    return salted.join(customers.withColumn("salt", salt), ["customer", "salt"]).drop("salt")


def _without_the_salt(orders, customers, salts):
    from pyspark.sql import functions as F

    salted = orders.withColumn("salt", F.floor(F.rand() * salts))
    copied = customers.withColumn("copy", F.explode(F.sequence(F.lit(0), F.lit(salts - 1))))
    return salted.join(copied, "customer").drop("salt", "copy")


def _salt_from_the_key(orders, customers, salts):
    from pyspark.sql import functions as F

    salted = orders.withColumn("salt", F.col("customer") % salts)
    every_salt = F.explode(F.sequence(F.lit(0), F.lit(salts - 1)))
    copied = customers.withColumn("salt", every_salt)
    return salted.join(copied, ["customer", "salt"]).drop("salt")


def _keeps_the_salt(orders, customers, salts):
    from pyspark.sql import functions as F

    salted = orders.withColumn("salt", F.floor(F.rand() * salts))
    every_salt = F.explode(F.sequence(F.lit(0), F.lit(salts - 1)))
    copied = customers.withColumn("salt", every_salt)
    return salted.join(copied, ["customer", "salt"])


def _by_aqe(orders, customers, salts):
    orders.sparkSession.conf.set("spark.sql.adaptive.enabled", True)
    return orders.join(customers, "customer")


SALTED_JOIN = ProgramTask(
    name="salted_join",
    title="A join without skew",
    points=5,
    harness=try_salted_join,
    judge=judge_salted_join,
    reference=_salted_join,
    timeout_s=120,
    misconceptions=(
        Misconception(
            "does not salt",
            "All orders of one customer still have one key, and go to one task.",
            _plain_join,
        ),
        Misconception(
            "gives each customer one salt",
            "Orders have lost their customers: an order finds its customer only under its own "
            "salt. Each customer has to be there once with each salt.",
            _one_salt_each,
        ),
        Misconception(
            "joins without the salt",
            "Orders are there once for each copy of their customer. The salt belongs to the key of "
            "the join.",
            _without_the_salt,
        ),
        Misconception(
            "makes the salt from the key",
            "Rows with the same customer have the same salt, so that they are still together. The "
            "salt has to differ where the key does not.",
            _salt_from_the_key,
        ),
        Misconception(
            "keeps the salt",
            "The salt is still there. Nobody who reads the answer should see that it was salted.",
            _keeps_the_salt,
        ),
        Misconception(
            "leaves it to AQE",
            "This cluster's settings are not yours to change, and AQE would see no skew here: the "
            "large partition has far less than 256 MB on disk.",
            _by_aqe,
        ),
    ),
)


# remedy

MORE, FEWER, SALT, CORES, NOTHING = (
    "more partitions",
    "fewer partitions",
    "salt",
    "fewer cores",
    "nothing",
)
SKEWED, SHORT, ROUNDS = 5, 0.1, 10


def _choose(
    tasks: list[dict],
    cores: int,
    *,
    middle: Callable = median,
    judged_by: str = "read_mib",
    skewed: str = SALT,
    failed: str = CORES,
    spilled: str = MORE,
    rounds: float = ROUNDS,
    short: float = SHORT,
    only_spills: bool = False,
) -> str:
    """What fits a stage, where a misconception does not say otherwise."""
    sizes = [task[judged_by] for task in tasks]
    spills = any(task["spilled_mib"] for task in tasks)
    if any("Unable to acquire" in task["error"] for task in tasks):
        return failed
    if max(sizes) > SKEWED * middle(sizes) and (spills or not only_spills):
        return skewed
    if spills:
        return spilled
    brief = median(task["seconds"] for task in tasks) < short
    return FEWER if brief and len(tasks) >= rounds * cores and not only_spills else NOTHING


def _remedy(tasks: list[dict], cores: int) -> str:
    return _choose(tasks, cores)


def _task(read: float, *, share: float = math.inf, slow: float = 1.0, error: str = "") -> dict:
    """A task that has read so many MiB, and needs about as much memory."""
    return {
        "read_mib": round(read, 2),
        "seconds": round((0.02 + read / 20) * slow, 3),
        "spilled_mib": round(share * (read // share), 1) if read > share else 0,
        "error": error,
    }


def _even(random: Random, count: int, read: float, **more) -> list[dict]:
    return [_task(read * random.uniform(0.8, 1.2), **more) for _ in range(count)]


def _stages(random: Random, share: float, cores: int) -> list[list[dict]]:
    """A stage of each kind, where a task may have `share` MiB. In those that spill, a task would
    not fit with all memory to itself, so that fewer cores are no cure."""
    beyond = 5.2 * share
    few, many = random.randrange(9, 13), random.randrange(40, 80)
    size = share * random.uniform(0.3, 0.6)
    asked, got = (int(part * share * MIB) for part in (1.4, random.uniform(0.2, 0.7)))
    fails = _even(random, many, size)
    fails.append(_task(size, error=f"Unable to acquire {asked} bytes of memory, got {got}"))
    stages = [
        _even(random, many, beyond * random.uniform(1.3, 3), share=share),
        [*_even(random, many, 0.02 * beyond), _task(beyond * 2, share=share)],
        # few tasks, so that the large one pulls the mean up: it is still far above the median
        [*_even(random, few, beyond / 6.5), _task(beyond, share=share)],
        [*_even(random, many, 0.1 * size), _task(size * random.uniform(1, 1.5))],
        fails,
        [*_even(random, many, size), _task(size, slow=random.uniform(8, 30))],
        _even(random, many, size),
        [*_even(random, many, size), _task(size * random.uniform(1.5, 3))],
        _even(random, cores * random.randrange(20, 60), 0.2),
        _even(random, cores * random.randrange(1, 4), 0.2),
        _even(random, cores * random.randrange(12, 20), max(size, 20)),
    ]
    for tasks in stages:
        random.shuffle(tasks)
    return stages


def _draw_stages(random: Random) -> list[tuple]:
    drawn = []
    for _ in range(4):
        cores = random.randrange(2, 6)
        stages = _stages(random, random.uniform(40, 400), cores)
        drawn += [(tasks, cores) for tasks in stages]
    return drawn


REMEDY = Task(
    name="remedy",
    title="Five remedies",
    points=5,
    reference=_remedy,
    examples=(
        ([*(_task(30 + number) for number in range(12)), _task(900, share=250)], 4),
        ([_task(800, share=100), _task(780, share=100), _task(820, share=100)], 4),
        ([_task(40), _task(44), _task(41), _task(47)], 4),
        ([_task(0.2)] * 60, 4),
    ),
    draw_inputs=_draw_stages,
    misconceptions=(
        Misconception(
            "more partitions against skew",
            "You take more partitions against skew. They do not part rows that have one key.",
            partial(_choose, skewed=MORE),
        ),
        Misconception(
            "salts every spill",
            "You salt what is not skewed. Where all tasks are alike and too large, more partitions "
            "make them smaller, and the query stays as it is.",
            partial(_choose, spilled=SALT),
        ),
        Misconception(
            "more partitions for a row that is too large",
            "You take more partitions where a task is refused memory for one page. One row is "
            "larger than what it may have, and a row cannot be parted: let fewer share.",
            partial(_choose, failed=MORE),
        ),
        Misconception(
            "judges skew by time",
            "You judge skew by time. A task that reads as much as the others and takes longer is "
            "on a slow machine or behind a collector: salt does not help.",
            partial(_choose, judged_by="seconds"),
        ),
        Misconception(
            "compares with the mean",
            "You compare the largest with the mean, which the largest has pulled up. Compare it "
            "with the median.",
            partial(_choose, middle=mean),
        ),
        Misconception(
            "looks only at spills",
            "You do nothing where nothing spills. A stage can be skewed, or cut into crumbs, "
            "without a spill.",
            partial(_choose, only_spills=True),
        ),
        Misconception(
            "minds short tasks, however few",
            "You merge short tasks, however few there are. A handful of them is done in no time.",
            partial(_choose, rounds=0),
        ),
    ),
)


PROBLEM_SET = ProblemSet(
    "ps12-partitions-skew", "Partitions, skew and spill", (PARTITIONS, SALTED_JOIN, REMEDY)
)

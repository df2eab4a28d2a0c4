"""Problem set 10: who pays for Python, batches that fit, kill messages, and two executors that are
to live.

The constants in capitals are what the notebook says of its last two tasks.
"""

import json
import re
from collections.abc import Callable, Mapping
from random import Random
from typing import TYPE_CHECKING

from course_lib.checks.programs import ProgramTask, did_not_finish
from course_lib.checks.reading import read_with, spark_setting
from course_lib.checks.registry import ProblemSet
from course_lib.checks.tasks import (
    CannotCheckError,
    EdgeCase,
    Effect,
    EffectTask,
    Misconception,
    PredictionTask,
    Task,
)
from course_lib.checks.values import show
from course_lib.model import Container, YarnScheduler, container
from course_lib.units import MIB, bytes_to_string

if TYPE_CHECKING:
    from course_lib.spark import Remains


# who_pays

LIVES, MEMORY_ERROR, KILLED = "lives", "MemoryError", "killed"


def _who_pays(heap_mib, overhead_mib, pyspark_mib, cores, jvm_mib, workers):
    conf = {"spark.executor.memory": f"{heap_mib}m"}
    if overhead_mib:
        conf["spark.executor.memoryOverhead"] = f"{overhead_mib}m"
    if pyspark_mib:
        conf["spark.executor.pyspark.memory"] = f"{pyspark_mib}m"
    asked = container(conf, cluster_manager="yarn", language="python").requested_mib
    limit = pyspark_mib // cores
    if limit and max(workers) > limit:
        ends = MEMORY_ERROR
    else:
        ends = KILLED if jvm_mib + sum(workers) > asked else LIVES
    return {"container": asked, "worker_limit": limit, "ends": ends}


def _reckoned(
    heap_mib,
    overhead_mib,
    pyspark_mib,
    cores,
    jvm_mib,
    workers,
    *,
    least: int = 384,
    adds_pyspark: bool = True,
    limit: Callable[..., int] = lambda overhead, pyspark, cores, workers: pyspark // cores,
    outgrown: Callable[..., bool] = lambda asked, python_part, jvm, python: jvm + python > asked,
) -> dict:
    """The sums as Spark and YARN make them, each of which a misconception may replace."""
    overhead = overhead_mib or max(heap_mib // 10, least)
    asked = heap_mib + overhead + (pyspark_mib if adds_pyspark else 0)
    most = limit(overhead, pyspark_mib, cores, workers)
    if most and max(workers) > most:
        ends = MEMORY_ERROR
    else:
        python = sum(workers)
        killed = outgrown(asked, pyspark_mib or overhead, jvm_mib, python)
        ends = KILLED if killed else LIVES
    return {"container": asked, "worker_limit": most, "ends": ends}


def _draw_executors(random: Random) -> list[tuple]:
    """Executors of which each ends in a way of its own, with and without settings for Python."""
    drawn = []
    for with_pyspark, ends in (
        (False, LIVES),
        (False, KILLED),
        (True, LIVES),
        (True, KILLED),
        (True, MEMORY_ERROR),
    ):
        alike = []
        while len(alike) < 6:
            heap = random.choice((random.randrange(512, 3000), random.randrange(4000, 16000)))
            cores = random.randrange(2, 9)
            arguments = (
                heap,
                random.choice((0, random.randrange(400, 3000))),
                random.randrange(512, 8192) if with_pyspark else 0,
                cores,
                heap + random.randrange(-heap // 2, 4000),
                [random.randrange(60, 900) for _ in range(random.randrange(1, cores))],
            )
            if _reckoned(*arguments)["ends"] == ends:
                alike.append(arguments)
        drawn += alike
    return drawn


WHO_PAYS = Task(
    name="who_pays",
    title="Who pays for Python",
    points=4,
    reference=_who_pays,
    examples=(
        (1024, 0, 0, 4, 700, [150, 150, 150]),
        (1024, 0, 0, 4, 1100, [150, 150, 150]),
        (4096, 512, 2048, 4, 3000, [500, 400]),
        (4096, 512, 2048, 4, 3000, [700]),
        (8192, 0, 1024, 2, 9000, [500]),
        (2048, 600, 4096, 8, 6100, [400, 300, 200]),
    ),
    draw_inputs=_draw_executors,
    misconceptions=(
        Misconception(
            "takes pyspark.memory out of the overhead",
            "This is what you get when `pyspark.memory` is a part of the overhead. It is a summand "
            "of its own in the container.",
            lambda *arguments: _reckoned(*arguments, adds_pyspark=False),
        ),
        Misconception(
            "gives each worker all of it",
            "This is what you get when each worker may reserve all of `pyspark.memory`. The "
            "executor's cores share it.",
            lambda *arguments: _reckoned(
                *arguments, limit=lambda overhead, pyspark, cores, workers: pyspark
            ),
        ),
        Misconception(
            "divides among the running tasks",
            "This is what you get when `pyspark.memory` is divided by the number of running tasks. "
            "Spark divides by the cores, however many are busy.",
            lambda *arguments: _reckoned(
                *arguments,
                limit=lambda overhead, pyspark, cores, workers: pyspark // len(workers),
            ),
        ),
        Misconception(
            "limits workers by the overhead",
            "This is what you get when workers are limited to a share of the overhead. Without "
            "`pyspark.memory` nothing limits a worker.",
            lambda *arguments: _reckoned(
                *arguments,
                limit=lambda overhead, pyspark, cores, workers: (pyspark or overhead) // cores,
            ),
        ),
        Misconception(
            "takes the parts for walls",
            "This is what you get when Python has to stay within its part of the container. What "
            "is counted is all processes against the whole container.",
            lambda *arguments: _reckoned(
                *arguments, outgrown=lambda asked, part, jvm, python: python > part
            ),
        ),
        Misconception(
            "leaves the JVM out",
            "This is what you get when only Python is held against the container. The JVM's "
            "process is in it too.",
            lambda *arguments: _reckoned(
                *arguments, outgrown=lambda asked, part, jvm, python: python > asked
            ),
        ),
        Misconception(
            "forgets the minimum of 384 MiB",
            "This is what you get when the overhead is a tenth of the heap, however little that "
            "is. It is never less than 384 MiB by default.",
            lambda *arguments: _reckoned(*arguments, least=0),
        ),
    ),
)


# largest_batch


def _largest_batch(room_mib, cores, worker_mib, copies, row_bytes, max_batch_mib):
    return _records(room_mib, cores, worker_mib, copies, row_bytes, max_batch_mib)


def _records(
    room_mib,
    cores,
    worker_mib,
    copies,
    row_bytes,
    max_batch_mib,
    *,
    mib: int = MIB,
    capped: bool = True,
    refuses: bool = True,
) -> int:
    """The most rows in a batch, where a misconception does not say otherwise; 0 for any number."""
    for_batches = (room_mib - cores * worker_mib) * mib // cores
    if capped and for_batches >= copies * max_batch_mib * mib:
        return 0
    rows = max(for_batches, 0) // (copies * row_bytes)
    if rows < 1 and refuses:
        raise ValueError("not even batches of one row fit")
    return rows


def _draw_rooms(random: Random) -> list[tuple]:
    def arguments(room: Callable[[int, int], float]) -> tuple:
        cores, worker = random.randrange(2, 9), random.randrange(60, 200)
        copies, row_bytes = random.randrange(2, 7), random.randrange(500, 50_000)
        for_batches = room(copies, row_bytes)
        room_mib = int(cores * (worker + for_batches))
        return (room_mib, cores, worker, copies, row_bytes, random.choice((32, 64, 128)))

    some = [arguments(lambda copies, _: copies * random.uniform(5, 25)) for _ in range(10)]
    any_number = [arguments(lambda copies, _: copies * random.uniform(130, 300)) for _ in range(3)]
    none = [arguments(lambda *_: -random.uniform(5, 40)) for _ in range(3)]
    return some + any_number + none


LARGEST_BATCH = Task(
    name="largest_batch",
    title="The largest batch that fits",
    points=3,
    reference=_largest_batch,
    examples=(
        (1024, 4, 135, 3, 10_000, 64),
        (2048, 2, 135, 4, 2_000, 256),
        (4096, 4, 135, 3, 10_000, 64),
        (500, 4, 135, 3, 10_000, 64),
    ),
    draw_inputs=_draw_rooms,
    within=1,  # row: how an answer rounds does not matter
    edge_cases=(
        EdgeCase(
            "no room at all",
            "Where the workers alone need more than the room, no batch fits: raise a ValueError.",
            lambda room_mib, cores, worker_mib, *_: room_mib <= cores * worker_mib,
            points=1,
        ),
    ),
    misconceptions=(
        Misconception(
            "forgets the cores",
            "This is what you get when one worker has all the room. There is one for each core.",
            lambda room, cores, *others: _records(room, 1, *others),
        ),
        Misconception(
            "forgets the worker itself",
            "This is what you get when a worker holds nothing but its batches. The interpreter "
            "with its libraries is there before the first row.",
            lambda room, cores, worker, *others: _records(room, cores, 0, *others),
        ),
        Misconception(
            "takes off one worker for all",
            "This is what you get when interpreter and libraries are counted once. Each worker has "
            "its own.",
            lambda room, cores, worker, *others: _records(room - worker, cores, 0, *others),
        ),
        Misconception(
            "holds a batch once",
            "This is what you get when a batch is in memory once. A worker holds several copies.",
            lambda room, cores, worker, copies, *others: _records(room, cores, worker, 1, *others),
        ),
        Misconception(
            "forgets the limit of bytes",
            "Your function limits the rows where that is not needed: a batch never has more bytes "
            "than `max_batch_mib`, however many rows it may have.",
            lambda *arguments: _records(*arguments, capped=False),
        ),
        Misconception(
            "takes a MiB for a million bytes",
            "This is what you get when a MiB is a million bytes. It is 1,048,576.",
            lambda *arguments: _records(*arguments, mib=10**6),
        ),
    ),
)


# kill_messages

MESSAGES = {
    "a": "ExecutorLostFailure (executor 1 exited caused by one of the running tasks) "
    "Reason: Command exited with code 137",
    "b": "org.apache.spark.SparkException: Python worker exited unexpectedly (crashed)",
    "c": "MemoryError",
    "d": "ExecutorLostFailure (executor 1 exited caused by one of the running tasks) "
    "Reason: Command exited with code 143",
    "e": "java.lang.OutOfMemoryError: Java heap space",
    "f": "ExecutorLostFailure (executor 1 exited caused by one of the running tasks) "
    "Reason: Container killed by YARN for exceeding physical memory limits. "
    "9.1 GB of 9 GB physical memory used. Consider boosting spark.executor.memoryOverhead.",
}


def _diagnoses() -> dict[str, str]:
    return {
        "a": "container",
        "b": "worker",
        "c": "limit",
        "d": "asked to end",
        "e": "heap",
        "f": "container",
    }


KILL_MESSAGES = PredictionTask(
    name="kill_messages",
    title="Read a kill message",
    points=2,
    reference=_diagnoses,
    misconceptions=(
        Misconception(
            "looks for every death in the heap",
            "A full heap throws an OutOfMemoryError. This message tells of a process, or of "
            "Python, and no heap has to be full for it.",
            lambda: dict.fromkeys("abcdf", "heap"),
        ),
        Misconception(
            "takes a worker for its executor",
            "The executor is still there: one of its Python workers is not.",
            lambda: {"b": "container"},
        ),
        Misconception(
            "takes SIGTERM for SIGKILL",
            "143 is 128 + 15, SIGTERM: this process was asked to end and had time to do so.",
            lambda: {"d": "container"},
        ),
        Misconception(
            "takes the manager for somebody who asked",
            "Nobody asked for this container back: YARN ended it for what its processes occupied.",
            lambda: {"f": "asked to end"},
        ),
        Misconception(
            "takes SIGKILL for SIGTERM",
            "137 is 128 + 9, SIGKILL: nobody asked this process.",
            lambda: {"a": "asked to end"},
        ),
        Misconception(
            "takes the limit for the kernel's",
            "A worker that is killed has no time for an error. This one was refused memory by a "
            "limit of its own.",
            lambda: {"c": "worker"},
        ),
    ),
)


# executor_settings

CORES = 4
ROW_BYTES, ROWS_OF_A_TASK = 20_000, 3_400
LEAST_ROWS = 50
_HEAP_MIB = 512
_CLUSTER = YarnScheduler(minimum_allocation_mb=64, maximum_allocation_mb=1664)
_DEFAULT_OVERHEAD_MIB = 384
_ARROWS_ERROR = "org.apache.arrow.memory.OutOfMemoryException"

# The heap is touched as a whole, as that of an executor that has run for a while is.
_PROGRAM = """
import json

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from course_lib.spark import ContainerWatcher, executor_processes, lab_session


def rate(batches):
    import time

    import pandas as pd

    count = 0
    for batch in batches:
        time.sleep(1 if count == 0 else 0)
        count += 1
        yield pd.DataFrame({"first": [count == 1]})


CONF["spark.executor.extraJavaOptions"] = f"-Xms{HEAP}m -XX:+AlwaysPreTouch"
CONF["spark.task.maxFailures"] = 1
report = {}
with lab_session(
    executors=1, executor_cores=CORES, executor_memory=f"{HEAP}m", conf=CONF
) as spark:
    rows = spark.range(0, TASKS * ROWS, 1, TASKS)
    rows = rows.selectExpr(f"concat(id, repeat('.', {ROW_BYTES})) AS body")
    with ContainerWatcher(executor_processes(spark)[-1].pid, LIMIT) as watcher:
        try:
            report["batches"] = rows.mapInPandas(rate, "first boolean").count()
        except (Py4JJavaError, PySparkException) as failure:
            report["failure"] = str(failure)[:500]
print(json.dumps(report | {"peak": watcher.peak, "verdict": watcher.verdict}))
"""


def _cores(value) -> int:
    cores = spark_setting("spark.executor.cores")(value)
    if not 1 <= cores <= CORES:
        raise ValueError(f"this executor may have 1 to {CORES} cores")
    return cores


def _rows(value) -> int:
    text = str(value).strip()
    if not re.fullmatch(r"-?\d+", text) or abs(int(text)) >= 2**31:
        raise ValueError(f"a whole number of rows, as an int of 32 bits; not {show(value)}")
    return int(text)


_RECORDS = "spark.sql.execution.arrow.maxRecordsPerBatch"
_read_one_by_one = read_with(
    {
        "spark.executor.cores": _cores,
        "spark.executor.memoryOverhead": spark_setting("spark.executor.memoryOverhead"),
        _RECORDS: _rows,
    }
)


def _read(answer: Mapping) -> tuple[Container, int, int]:
    """The container that those settings are granted, the cores, and the rows in a batch."""
    chosen = _read_one_by_one(answer)
    conf = {
        "spark.executor.memory": f"{_HEAP_MIB}m",
        "spark.executor.memoryOverhead": f"{chosen['spark.executor.memoryOverhead']}m",
    }
    granted = container(conf, cluster_manager="yarn", language="python", scheduler=_CLUSTER)
    return granted, chosen["spark.executor.cores"], chosen[_RECORDS]


def _run(chosen: tuple[Container, int, int]) -> Effect:
    """Run the job on a real executor under the eyes of a watcher, and look at what is left."""
    granted, cores, records = chosen
    limit = granted.granted_mib * MIB
    report = _report(limit, cores, records)
    evidence = (
        f"measured: the executor with its Python workers occupied "
        f"{bytes_to_string(report['peak'])} of a container of {bytes_to_string(limit)}"
    )
    if report["verdict"]:
        small = 0 < records * ROW_BYTES <= 8 * MIB
        why = "forgets what empty workers take" if small else "hopes for the overhead"
        return Effect(False, "Killed: it outgrew its container.", evidence, why)
    if _ARROWS_ERROR in report.get("failure", ""):
        # Its buffers are direct memory, of which a JVM allows itself as much as it has heap.
        says = f"The job failed: {_ARROWS_ERROR}, the JVM had no room to build so large batches."
        return Effect(False, says, evidence, "hopes for the overhead")
    if "failure" in report:
        raise CannotCheckError(f"the job failed for a reason of its own: {report['failure']}")
    evidence += f", and had {report['batches']} batches"
    if cores < CORES:
        says = f"It survives, with {CORES - cores} of its {CORES} cores idle."
        return Effect(False, says, evidence, "takes cores away first")
    if 0 < records < LEAST_ROWS:
        says = f"It survives, but fewer than {LEAST_ROWS} rows at once are more work than needed."
        return Effect(False, says, evidence, "takes too few rows at once")
    return Effect(True, f"It survives, with {CORES} tasks at once.", evidence)


def _report(limit: int, cores: int, records: int) -> dict:
    from course_lib.spark import NoJavaError
    from course_lib.spark.autopsy import autopsy

    given = {
        "HEAP": _HEAP_MIB,
        "LIMIT": limit,
        "CORES": cores,
        "TASKS": CORES,
        "ROWS": ROWS_OF_A_TASK,
        "ROW_BYTES": ROW_BYTES,
        "CONF": {_RECORDS: records},
    }
    names = "\n".join(f"{name} = {value!r}" for name, value in given.items())
    try:
        remains = autopsy(names + _PROGRAM, timeout=240)
    except NoJavaError as reason:
        raise CannotCheckError(str(reason)) from None
    if not remains.survived:
        raise CannotCheckError(f"the program did not finish.\n{remains}\n{remains.log[-500:]}")
    return json.loads(remains.stdout)


def _settings(cores: int, overhead: str, records: int) -> dict[str, object]:
    return {
        "spark.executor.cores": cores,
        "spark.executor.memoryOverhead": overhead,
        _RECORDS: records,
    }


EXECUTOR_SETTINGS = EffectTask(
    name="executor_settings",
    title="Cores that survive",
    points=3,
    read=_read,
    run=_run,
    reference=lambda: _settings(4, "1152m", 200),
    misconceptions=(
        Misconception(
            "hopes for the overhead",
            "The batches are too large for so many workers, and this cluster has no container that "
            "would hold them: make each worker hold less.",
            lambda: _settings(4, "1152m", 10_000),
        ),
        Misconception(
            "takes cores away first",
            "With fewer workers it fits. But a worker that holds less leaves room for the others: "
            "that remedy costs no cores, so try it first.",
            lambda: _settings(1, "1152m", 10_000),
        ),
        Misconception(
            "forgets what empty workers take",
            "Your batches are small enough. But every worker has an interpreter and its libraries "
            "in memory before the first row, and the overhead has no room for four of them.",
            lambda: _settings(4, f"{_DEFAULT_OVERHEAD_MIB}m", 200),
        ),
        Misconception(
            "takes too few rows at once",
            "Batches so small save no more memory, and each costs a turn from the JVM to "
            "Python and back.",
            lambda: _settings(4, "1152m", 10),
        ),
    ),
)


# scores_by_user

ROWS, BODY = 36_000, 10_000
USERS = 7
CONTAINER_MIB = 900
_MOST_IN_DRIVER_MIB = 300
_BATCH_ROWS, _HIGHEST_SCORE = 500, 99


def _right_scores(seed: int) -> dict[int, int]:
    """What the data of a seed come to: most rows belong to user 0."""
    totals = dict.fromkeys(range(USERS), 0)
    for number in range(ROWS):
        user = number % USERS if number % 10 == 0 else 0
        totals[user] += (number * 7 + seed) % 100
    return totals


def try_scores(answer: Callable, seed: int) -> dict:
    """In the child process: the answer on a real executor, in a container of its own."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    from course_lib.spark import ContainerWatcher, executor_processes, lab_session, rest
    from course_lib.spark.processes import peak_resident_size

    def score(body):
        return int(body[:2])

    conf = {
        "spark.task.maxFailures": 1,
        "spark.sql.shuffle.partitions": 2,
        "spark.sql.execution.arrow.maxRecordsPerBatch": _BATCH_ROWS,
    }
    report = {}
    with lab_session(executors=1, executor_memory="512m", conf=conf) as spark:
        # Two partitions, one of them empty: of a single one, Spark would group without a shuffle.
        ids = spark.range(0, 2 * ROWS, 1, 2).where(f"id < {ROWS}")
        # One character that is not Latin, and Python takes two bytes for each of the others.
        body = f"concat(lpad((id * 7 + {seed}) % 100, 2, '0'), '€', repeat('.', {BODY - 3}))"
        rows = ids.selectExpr(f"IF(id % 10 = 0, id % {USERS}, 0) AS user", f"{body} AS body")
        executor = executor_processes(spark)[-1].pid
        with ContainerWatcher(executor, CONTAINER_MIB * MIB) as watcher:
            try:
                report["value"] = _plain(answer(rows, score))
            except (Py4JError, PySparkException):
                if watcher.verdict is None:
                    raise
        spark.sparkContext._jsc.sc().listenerBus().waitUntilEmpty()
        report["shuffled"] = sum(stage["shuffleWriteRecords"] for stage in rest(spark, "stages"))
    report["driver_mib"] = peak_resident_size() // MIB
    return report | {"peak": watcher.peak, "verdict": watcher.verdict}


def _plain(value):
    """A dict as pairs, since JSON's keys are strings; anything else as feedback shows it."""
    if not isinstance(value, dict):
        return show(value)
    return [[show(user), show(total)] for user, total in value.items()]


def judge_scores(remains: "Remains", report: dict | None, seed: int) -> Effect:
    """Whether the executor lived and the scores are right."""
    if report is None:
        return did_not_finish(remains)
    evidence = (
        f"measured: the executor with its Python workers occupied "
        f"{bytes_to_string(report['peak'])} of {CONTAINER_MIB} MiB, and "
        f"{report['shuffled']} records were shuffled"
    )
    if report["verdict"]:
        moved = report["shuffled"] >= ROWS
        why = "gathers a user's rows" if moved else "gathers a partition's rows"
        return Effect(False, "Killed: the executor outgrew its container.", evidence, why)
    value = report["value"]
    if isinstance(value, str):
        says = f"`scores_by_user` should return a dict of int to int; this is {value}."
        return Effect(False, says, evidence)
    if strange := [user for user, _ in value if not re.fullmatch(r"-?\d+", user)]:
        says = f"`scores_by_user` should return a dict of int to int; a key is {strange[0]}."
        return Effect(False, says, evidence)
    right = _right_scores(seed)
    if report["driver_mib"] > _MOST_IN_DRIVER_MIB:
        says = f"The driver's Python came to hold {report['driver_mib']} MiB."
        return Effect(False, says, evidence, "brings the rows to the driver")
    expected = [[show(user), show(total)] for user, total in right.items()]
    if sorted(value) == sorted(expected):
        return Effect(True, "It survives, and every score is right.", evidence)
    of_user_0 = dict(value).get("0", "missing")
    says = f"The score of user 0 is {of_user_0}; right is {right[0]}."
    of_one_batch = of_user_0.isdigit() and int(of_user_0) <= _BATCH_ROWS * _HIGHEST_SCORE
    return Effect(False, says, evidence, "keeps the last batch only" if of_one_batch else None)


def _scores_by_user(rows, score):
    from pyspark.sql import functions as f

    scored = f.udf(score, "long")
    totals = rows.select("user", scored("body").alias("score")).groupBy("user").sum("score")
    return dict(totals.collect())


def _gathers_users(rows, score):
    import pandas as pd

    def total(group):
        scores = [score(body) for body in group["body"]]
        return pd.DataFrame({"user": [group["user"][0]], "score": [sum(scores)]})

    totals = rows.groupBy("user").applyInPandas(total, "user long, score long")
    return dict(totals.collect())


def _gathers_partitions(rows, score):
    def total(rows):
        kept = list(rows)
        for user in {row.user for row in kept}:
            yield user, sum(score(row.body) for row in kept if row.user == user)

    return rows.rdd.mapPartitions(total).reduceByKey(lambda one, other: one + other).collectAsMap()


def _brings_to_driver(rows, score):
    totals = {}
    for user, body in rows.collect():
        totals[user] = totals.get(user, 0) + score(body)
    return totals


def _keeps_last_batch(rows, score):
    def total(batches):
        for batch in batches:
            scores = batch.assign(score=batch["body"].map(score))
            yield scores.groupby("user", as_index=False)["score"].sum()

    return dict(rows.mapInPandas(total, "user long, score long").collect())


SCORES_BY_USER = ProgramTask(
    name="scores_by_user",
    title="Without hoarding",
    points=3,
    harness=try_scores,
    judge=judge_scores,
    container="4g",
    reference=_scores_by_user,
    misconceptions=(
        Misconception(
            "gathers a user's rows",
            "Your code moves every row to its user and hands a user's rows to Python together. "
            "Score the rows where they are, and let only scores be gathered.",
            _gathers_users,
        ),
        Misconception(
            "gathers a partition's rows",
            "Your code has all rows of a partition in Python before it looks at the first. Take "
            "them one by one, or batch by batch, and keep sums.",
            _gathers_partitions,
        ),
        Misconception(
            "brings the rows to the driver",
            "Your code brings every row to the driver. The executor lives, but now the driver "
            "holds all the data, and with more of them it dies.",
            _brings_to_driver,
        ),
        Misconception(
            "keeps the last batch only",
            "A user's rows are in many batches, each with a sum of its own. Add those up: in a "
            "dict, the last one replaces the others.",
            _keeps_last_batch,
        ),
    ),
)


PROBLEM_SET = ProblemSet(
    "ps10-overhead-and-pyspark",
    "Overhead and PySpark",
    (WHO_PAYS, LARGEST_BATCH, KILL_MESSAGES, EXECUTOR_SETTINGS, SCORES_BY_USER),
)

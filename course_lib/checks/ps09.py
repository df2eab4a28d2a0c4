"""Problem set 09: totals, rows as bytes, pools in two modes, and a container with off-heap memory.

`CACHED_MIB` is what the notebook says of its last task's job.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from random import Random

from course_lib.checks.reading import read_with, spark_setting
from course_lib.checks.registry import ProblemSet
from course_lib.checks.tasks import (
    CannotCheckError,
    EdgeCase,
    Effect,
    EffectTask,
    Misconception,
    Task,
)
from course_lib.model import (
    Container,
    UnifiedMemoryManager,
    YarnScheduler,
    container,
    replay,
    score,
)
from course_lib.units import MIB, bytes_to_string

RESERVE_MIB, FRACTION = 300, 0.6


def _conf(off_heap_mib: int, enabled: bool, storage_fraction: float = 0.5) -> dict[str, str]:
    return {
        "spark.memory.offHeap.size": f"{off_heap_mib}m",
        "spark.memory.offHeap.enabled": str(enabled).lower(),
        "spark.memory.storageFraction": repr(storage_fraction),
    }


def _manager(heap_mib: int, conf: Mapping[str, str]) -> UnifiedMemoryManager:
    return UnifiedMemoryManager.from_conf(conf, system_memory=heap_mib * MIB)


# totals


def _totals(heap_mib: int, off_heap_mib: int, enabled: bool, storage_fraction: float) -> dict:
    conf = _conf(off_heap_mib, enabled, storage_fraction)
    manager = _manager(heap_mib, conf)
    asked = container({"spark.executor.memory": f"{heap_mib}m", **conf}, cluster_manager="yarn")
    return {
        "in_the_ui": (manager.max_heap_memory + manager.max_off_heap_memory) / MIB,
        "off_heap_storage": manager.off_heap_storage_region_size / MIB,
        "off_heap_execution": manager.off_heap_execution_memory_pool.pool_size / MIB,
        "container": asked.requested_mib,
    }


def _added_up(
    heap_mib: int,
    off_heap_mib: int,
    enabled: bool,
    storage_fraction: float,
    *,
    pools: Callable[[int, bool], float] = lambda size, enabled: size,
    asks: Callable[[int, bool], int] = lambda size, enabled: size if enabled else 0,
    storage_share: Callable[[float], float] = lambda storage_fraction: storage_fraction,
) -> dict:
    """The sums as Spark makes them, each step of which a misconception may replace."""
    if enabled and not off_heap_mib:
        raise ValueError("off-heap memory is enabled and has no size")
    off_heap = pools(off_heap_mib, enabled)
    storage = off_heap * storage_share(storage_fraction)
    return {
        "in_the_ui": (heap_mib - RESERVE_MIB) * FRACTION + off_heap,
        "off_heap_storage": storage,
        "off_heap_execution": off_heap - storage,
        "container": heap_mib + max(heap_mib // 10, 384) + asks(off_heap_mib, enabled),
    }


def _draw_totals(random: Random) -> list[tuple]:
    drawn = [
        (
            random.randrange(512, 32 * 1024),
            random.randrange(1, 64) * 128,
            enabled,
            random.choice((0.1, 0.25, 0.4, 0.6, 0.75, 0.9)),
        )
        for enabled in (True, False) * 8
    ]
    return [*drawn, (random.randrange(512, 8192), 0, False, 0.5), (2048, 0, True, 0.3)]


TOTALS = Task(
    name="totals",
    title="Totals with off-heap memory",
    points=3,
    reference=_totals,
    examples=(
        (1024, 1024, True, 0.5),
        (1024, 1024, False, 0.5),
        (8192, 2048, True, 0.3),
        (4096, 0, True, 0.5),
    ),
    draw_inputs=_draw_totals,
    within=2,  # MiB: Spark rounds, an answer need not
    edge_cases=(
        EdgeCase(
            "enabled without a size",
            "Off-heap memory that is enabled and has no size is what Spark refuses to start with.",
            lambda heap_mib, off_heap_mib, enabled, storage_fraction: enabled and not off_heap_mib,
            points=1,
        ),
    ),
    misconceptions=(
        Misconception(
            "takes disabled for absent",
            "This is what you get when a size that is not enabled gives no pools. The pools have "
            "their size all the same.",
            lambda *arguments: _added_up(
                *arguments, pools=lambda size, enabled: size if enabled else 0
            ),
        ),
        Misconception(
            "asks for what is disabled",
            "This is what you get when the container always holds the off-heap size. Spark asks "
            "for it only when it is enabled.",
            lambda *arguments: _added_up(*arguments, asks=lambda size, enabled: size),
        ),
        Misconception(
            "counts off-heap as overhead",
            "This is what you get when off-heap memory lives in the overhead. In an executor it is "
            "a summand of its own.",
            lambda *arguments: _added_up(*arguments, asks=lambda size, enabled: 0),
        ),
        Misconception(
            "applies memory.fraction off-heap",
            "This is what you get when `spark.memory.fraction` is taken of the off-heap size too. "
            "It is for the heap: off-heap memory is Spark's as a whole.",
            lambda *arguments: _added_up(*arguments, pools=lambda size, enabled: size * FRACTION),
        ),
        Misconception(
            "takes a reserve off",
            "This is what you get when a reserve of 300 MiB is taken off the off-heap size. Only "
            "the heap has one.",
            lambda *arguments: _added_up(
                *arguments, pools=lambda size, enabled: max(size - RESERVE_MIB, 0)
            ),
        ),
        Misconception(
            "halves it always",
            "This is what you get when the off-heap pools are halves. `storage_fraction` divides "
            "them, as it does on the heap.",
            lambda *arguments: _added_up(*arguments, storage_share=lambda storage_fraction: 0.5),
        ),
    ),
)


# row_size

_BYTES = {"boolean": 1, "int": 4, "date": 4, "long": 8, "double": 8, "timestamp": 8, "string": 16}


def _words(num_bytes: int) -> int:
    return 8 * math.ceil(num_bytes / 8)


def _row_as(
    columns: Sequence[tuple],
    *,
    bits: Callable[[int], int] = lambda count: 8 * math.ceil(count / 64),
    fixed: Callable[[str], int] = lambda type: 8,
    padded: Callable[[int], int] = _words,
    length: Callable[[str], int] = lambda text: len(text.encode()),
    absent: int = 0,
) -> int:
    """As Spark's UnsafeRow has it, where a misconception does not say otherwise.

    `bits` is for the nulls, `fixed` for each column, `absent` for a string that is null.
    """
    size = bits(len(columns)) + sum(fixed(type) for type, _ in columns)
    for type, value in columns:
        if type == "string":
            size += absent if value is None else padded(length(value))
    return size


def _row_size(columns: Sequence[tuple]) -> int:
    return _row_as(columns)


def _draw_rows(random: Random) -> list[tuple]:
    alphabet = "abcdefgh äöü éèê €"

    def value(type: str):
        if random.random() < 0.25:
            return None
        if type == "string":
            return "".join(random.choices(alphabet, k=random.randrange(24)))
        return random.random() < 0.5 if type == "boolean" else random.randrange(1000)

    def row(count: int, more: Sequence[tuple]) -> tuple[list]:
        columns = [(type, value(type)) for type in random.choices(list(_BYTES), k=count)]
        return ([*columns, *more],)

    must = [("string", "naïve €"), ("string", "exactly8"), ("string", None), ("int", 1)]
    counts = [
        *(random.randrange(1, 12) for _ in range(10)),
        60,
        61,
        *(random.randrange(70, 200),) * 8,
    ]
    return [row(count, must) for count in counts]


ROW_SIZE = Task(
    name="row_size",
    title="The size of a row",
    points=3,
    reference=_row_size,
    examples=(
        ([("long", 7), ("int", 7), ("double", 0.07), ("string", "customer 7")],),
        ([("boolean", True), ("string", None), ("date", None)],),
        ([("string", "Zürich"), ("string", "Montréal"), ("timestamp", 0)],),
        ([("int", 1)] * 65,),
    ),
    draw_inputs=_draw_rows,
    misconceptions=(
        Misconception(
            "adds up the bare values",
            "This is what you get when an int takes four bytes and a boolean one. In this format "
            "every column has a word of eight.",
            lambda columns: _row_as(columns, fixed=lambda type: min(_BYTES[type], 8)),
        ),
        Misconception(
            "forgets the nulls",
            "This is what you get without the bits that say which columns are null.",
            lambda columns: _row_as(columns, bits=lambda count: 0),
        ),
        Misconception(
            "has one word for any number of nulls",
            "This is what you get when one word of bits is enough for any row. It has 64 of them: "
            "the 65th column needs another.",
            lambda columns: _row_as(columns, bits=lambda count: 8),
        ),
        Misconception(
            "takes a byte for each null",
            "This is what you get when each column has a byte for being null. It is a bit.",
            lambda columns: _row_as(columns, bits=_words),
        ),
        Misconception(
            "forgets the word of a string",
            "This is what you get when a string takes only its bytes. It has a word like every "
            "other column, with its length and where it begins.",
            lambda columns: _row_as(columns, fixed=lambda type: 0 if type == "string" else 8),
        ),
        Misconception(
            "forgets the padding",
            "This is what you get when a string takes as many bytes as it has. They are filled up "
            "to a multiple of 8.",
            lambda columns: _row_as(columns, padded=lambda num_bytes: num_bytes),
        ),
        Misconception(
            "always adds padding",
            "This is what you get when a string of 8 bytes is filled up to 16. It is full already.",
            lambda columns: _row_as(columns, padded=lambda num_bytes: 8 * (num_bytes // 8 + 1)),
        ),
        Misconception(
            "counts characters",
            "This is what you get when a character is a byte. Spark's strings are UTF-8, in which "
            "`ü` takes two bytes and `€` three.",
            lambda columns: _row_as(columns, length=len),
        ),
        Misconception(
            "keeps room for a string that is null",
            "This is what you get when a null string has bytes of its own. It has its word, and "
            "nothing after the words.",
            lambda columns: _row_as(columns, absent=8),
        ),
    ),
)


# in_memory

ON_HEAP, OFF_HEAP = "ON_HEAP", "OFF_HEAP"
_LEVELS = ("MEMORY_ONLY", "MEMORY_AND_DISK", "OFF_HEAP")


def _film(heap_mib: int, off_heap_mib: int, enabled: bool, events: Sequence[tuple]):
    lines = []
    for number, (what, size, *level) in enumerate(events):
        if what == "cache":
            lines.append(f"cache rdd_{number}_0 {size}m {level[0]}")
        else:
            mode = OFF_HEAP if enabled else ON_HEAP
            lines += [f"ask t{number} {size}m {mode}", f"finish t{number}"]
    return replay(_manager(heap_mib, _conf(off_heap_mib, enabled)), "\n".join(lines))


def _in_memory(heap_mib, off_heap_mib, enabled, events) -> list[float]:
    frames = _film(heap_mib, off_heap_mib, enabled, events)[1:]
    return [
        (frame.size if frame.what in ("stored", "granted") else 0) / MIB
        for frame in frames
        if frame.what != "finished"
    ]


def _kept(
    heap_mib: int,
    off_heap_mib: int,
    enabled: bool,
    events: Sequence[tuple],
    *,
    off_heap_pools: Callable[[int, bool], int] = lambda size, enabled: size,
    pages: Callable[[bool], str] = lambda enabled: OFF_HEAP if enabled else ON_HEAP,
    place: Callable[[str, bool], str] = lambda level, enabled: (
        OFF_HEAP if level == "OFF_HEAP" else ON_HEAP
    ),
    lends: bool = False,
    task_share: float = 1.0,
) -> list[float]:
    """The same without evictions, for someone who is wrong about one of the rules."""
    there = {
        ON_HEAP: (heap_mib - RESERVE_MIB) * FRACTION,
        OFF_HEAP: off_heap_pools(off_heap_mib, enabled),
    }
    free, outcomes = dict(there), []
    for what, size, *level in events:
        mode = place(level[0], enabled) if level else pages(enabled)
        room = sum(free.values()) if lends else free[mode]
        if what == "ask":
            outcomes.append(min(size, room, there[mode] * task_share if not lends else room))
        elif size <= room:
            rest = max(0, size - free[mode])
            free[mode] -= size - rest
            free[OFF_HEAP if mode == ON_HEAP else ON_HEAP] -= rest
            outcomes.append(size)
        else:
            outcomes.append(0)
    return outcomes


def _draw_events(random: Random) -> list[tuple]:
    """Traces in which nothing is evicted, and both modes have something to do."""
    drawn = []
    while len(drawn) < 24:
        heap_mib, off_heap_mib = random.randrange(700, 1600), random.randrange(100, 900)
        enabled = len(drawn) % 2 == 0
        events = [
            ("ask", random.randrange(50, 900))
            if random.random() < 0.4
            else ("cache", random.randrange(30, 500), random.choice(_LEVELS))
            for _ in range(8)
        ]
        film = _film(heap_mib, off_heap_mib, enabled, events)
        if not film[-1].score.evicted and any(event[0] == "ask" for event in events):
            drawn.append((heap_mib, off_heap_mib, enabled, events))
    return drawn


IN_MEMORY = Task(
    name="in_memory",
    title="Two modes, played",
    points=3,
    reference=_in_memory,
    examples=(
        (1024, 512, True, [("ask", 500), ("cache", 300, "MEMORY_ONLY"), ("ask", 600)]),
        (1024, 512, False, [("cache", 200, "OFF_HEAP"), ("ask", 500), ("cache", 300, "OFF_HEAP")]),
        (
            1400,
            300,
            True,
            [("cache", 100, "OFF_HEAP"), ("ask", 400), ("cache", 350, "MEMORY_ONLY")],
        ),
    ),
    draw_inputs=_draw_events,
    within=1,  # MiB
    misconceptions=(
        Misconception(
            "takes disabled for absent",
            "Your function keeps no block off-heap where off-heap memory is not enabled. The pools "
            "are there, and `OFF_HEAP` blocks go to them.",
            lambda *arguments: _kept(
                *arguments, off_heap_pools=lambda size, enabled: size if enabled else 0
            ),
        ),
        Misconception(
            "lends between the modes",
            "Your function lets what lacks room in one mode take it from the other. On-heap and "
            "off-heap lend each other nothing.",
            lambda *arguments: _kept(*arguments, lends=True),
        ),
        Misconception(
            "leaves pages on the heap",
            "Your function takes tasks' memory from the heap always. When off-heap memory is "
            "enabled, all of it comes from there.",
            lambda *arguments: _kept(*arguments, pages=lambda enabled: ON_HEAP),
        ),
        Misconception(
            "takes pages off-heap always",
            "Your function takes tasks' memory from the off-heap pools always. It does so only "
            "when off-heap memory is enabled, however large it is.",
            lambda *arguments: _kept(*arguments, pages=lambda enabled: OFF_HEAP),
        ),
        Misconception(
            "moves every block off-heap",
            "Your function keeps all blocks off-heap when that is enabled. Only those of the level "
            "`OFF_HEAP` go there, enabled or not.",
            lambda *arguments: _kept(
                *arguments,
                place=lambda level, enabled: (
                    OFF_HEAP if enabled or level == "OFF_HEAP" else ON_HEAP
                ),
            ),
        ),
        Misconception(
            "gives tasks half of a mode",
            "Your function gives a task no more than half of a mode's memory. It may have all that "
            "blocks leave free.",
            lambda *arguments: _kept(*arguments, task_share=0.5),
        ),
    ),
)


# off_heap_for

_TOLERATED_MIB = 4


def _job(blocks: Sequence[int], tasks: Sequence[int]) -> str:
    """The blocks are cached; then the tasks, which have all begun, ask for their memory."""
    lines = [f"cache rdd_{number}_0 {size}m OFF_HEAP" for number, size in enumerate(blocks)]
    lines += [f"ask t{number} 1m OFF_HEAP" for number in range(len(tasks))]
    lines += [f"ask t{number} {size - 1}m OFF_HEAP" for number, size in enumerate(tasks)]
    return "\n".join(lines)


def _cost(size_mib: int, blocks: Sequence[int], tasks: Sequence[int], storage_fraction: float):
    manager = _manager(1024, _conf(size_mib, True, storage_fraction))
    return score(manager, _job(blocks, tasks))


def _off_heap_for(blocks: Sequence[int], tasks: Sequence[int], storage_fraction: float) -> int:
    """Searched for: any smaller size costs something, as does every size below that."""
    too_small, enough = sum(blocks) + sum(tasks) - 1, 16 * (sum(blocks) + sum(tasks))
    while enough - too_small > 1:
        middle = (too_small + enough) // 2
        if any(_cost(middle, blocks, tasks, storage_fraction)):
            too_small = middle
        else:
            enough = middle
    return enough


def _try_off_heap(arguments: tuple, size: float) -> Effect:
    if size != int(size) or not 1 <= size <= 2**20:
        return Effect(False, "The size should be whole MiB, from 1 to 1048576 (1 TiB).")
    cost = _cost(int(size), *arguments)
    told = [
        f"{name.replace('_', ' ')} {amount if name == 'waited' else bytes_to_string(amount)}"
        for name, amount in cost._asdict().items()
        if amount
    ]
    evidence = f"modelled: with {int(size)} MiB, {', '.join(told) or 'nothing is lost or refused'}"
    if told:
        return Effect(False, "That size is too small.", evidence)
    if size > _off_heap_for(*arguments) + _TOLERATED_MIB:
        return Effect(False, "It is enough, but a smaller size would be enough as well.", evidence)
    return Effect(True, "Played on the model.", evidence)


def _draw_jobs(random: Random) -> list[tuple]:
    return [
        (
            [random.randrange(20, 120) for _ in range(random.randrange(1, 5))],
            [random.randrange(20, 60), *(random.randrange(60, 300) for _ in range(others))],
            random.choice((0.2, 0.3, 0.5)),
        )
        for others in (1, 2, 3, 4) * 4
    ]


def _least(blocks: Sequence[int], tasks: Sequence[int], storage_fraction: float) -> int:
    each_as_the_largest = len(tasks) * max(tasks)
    beyond_the_region = math.ceil(each_as_the_largest / (1 - storage_fraction))
    for_shares = min(sum(blocks) + each_as_the_largest, beyond_the_region)
    return max(sum(blocks) + sum(tasks), for_shares)


OFF_HEAP_FOR = Task(
    name="off_heap_for",
    title="The off-heap memory that a job needs",
    points=3,
    reference=_off_heap_for,
    examples=(
        ([200], [300], 0.5),
        ([100, 50], [200, 200], 0.5),
        ([120, 60], [40, 250, 130], 0.3),
    ),
    draw_inputs=_draw_jobs,
    within=1,  # MiB: how an answer rounds is for the model to judge
    effect=_try_off_heap,
    misconceptions=(
        Misconception(
            "forgets the blocks",
            "This is what you get when only the tasks are counted. What the blocks take, they "
            "cannot have.",
            lambda blocks, tasks, fraction: len(tasks) * max(tasks),
        ),
        Misconception(
            "adds up what tasks ask for",
            "This is what you get when blocks and tasks are added up. No task may have more than "
            "1/N of the pool: the largest one decides for all of them.",
            lambda blocks, tasks, fraction: sum(blocks) + sum(tasks),
        ),
        Misconception(
            "counts the largest task once",
            "This is what you get when one task runs at a time. All of them run together.",
            lambda blocks, tasks, fraction: sum(blocks) + max(tasks),
        ),
        Misconception(
            "takes the pools for walls",
            "This is what you get when each pool has to hold its own part. Storage and execution "
            "borrow from each other, off-heap as on the heap.",
            lambda blocks, tasks, fraction: math.ceil(
                max(sum(blocks) / fraction, len(tasks) * max(tasks) / (1 - fraction))
            ),
        ),
        Misconception(
            "adds a reserve",
            "This is what you get when 300 MiB are added for a reserve. Only the heap has one.",
            lambda *arguments: _least(*arguments) + RESERVE_MIB,
        ),
        Misconception(
            "divides by memory.fraction",
            "This is what you get when `spark.memory.fraction` is applied to off-heap memory. It "
            "is Spark's as a whole.",
            lambda *arguments: math.ceil(_least(*arguments) / FRACTION),
        ),
    ),
)


# executor_settings

CACHED_MIB = 390
_CLUSTER = YarnScheduler(minimum_allocation_mb=64, maximum_allocation_mb=2048)
_MOST_UNUSED = 1 / 4

# The heap is touched as a whole, as that of an executor that has run for a while is.
_PROGRAM = f"""
import json
import os

from py4j.protocol import Py4JJavaError
from pyspark import StorageLevel

from course_lib.spark import ContainerWatcher, executor_processes, lab_session, rest


def random_mib(_):
    return os.urandom(2**20)


CONF["spark.executor.extraJavaOptions"] = f"-Xms{{MEMORY}}m -XX:+AlwaysPreTouch"
CONF["spark.task.maxFailures"] = 1
CONF["spark.ui.liveUpdate.period"] = 0
report = {{}}
with lab_session(executors=1, executor_memory=f"{{MEMORY}}m", conf=CONF) as spark:
    executor = executor_processes(spark)[-1].pid
    with ContainerWatcher(executor, LIMIT) as watcher:
        try:
            numbers = spark.sparkContext.parallelize(range({CACHED_MIB}), {CACHED_MIB // 10})
            # With a name, for Spark removes the blocks of an RDD that nobody refers to any more.
            cached = numbers.map(random_mib).persist(StorageLevel.OFF_HEAP)
            cached.count()
            spark.sparkContext._jsc.sc().listenerBus().waitUntilEmpty()
            blocks = rest(spark, "storage/rdd")[0]
            report |= {{"memory": blocks["memoryUsed"], "disk": blocks["diskUsed"]}}
        except Py4JJavaError as failure:
            report["failure"] = failure.java_exception.getMessage().splitlines()[0]
print(json.dumps(report | {{"peak": watcher.peak, "verdict": watcher.verdict}}))
"""

_read_one_by_one = read_with(
    {
        key: spark_setting(key)
        for key in (
            "spark.executor.memory",
            "spark.executor.memoryOverhead",
            "spark.memory.offHeap.enabled",
            "spark.memory.offHeap.size",
        )
    }
)


def _read(answer: Mapping) -> tuple[Container, dict[str, str]]:
    """The container that those settings are granted, and the settings as the program takes them."""
    chosen = _read_one_by_one(answer)
    conf = {
        "spark.executor.memory": f"{chosen['spark.executor.memory']}m",
        "spark.executor.memoryOverhead": f"{chosen['spark.executor.memoryOverhead']}m",
        "spark.memory.offHeap.enabled": str(chosen["spark.memory.offHeap.enabled"]).lower(),
        "spark.memory.offHeap.size": f"{chosen['spark.memory.offHeap.size']}b",
    }
    granted = container(conf, cluster_manager="yarn", scheduler=_CLUSTER)
    # Spark refuses an executor too small to start, and off-heap memory that has no size.
    UnifiedMemoryManager.from_conf(conf, system_memory=granted.memory_mib * MIB)
    return granted, conf


def _run(chosen: tuple[Container, dict[str, str]]) -> Effect:
    """Run the job on a real executor under the eyes of a watcher, and look at what is left."""
    granted, conf = chosen
    limit = granted.granted_mib * MIB
    report = _report(granted.memory_mib, limit, conf)
    evidence = (
        f"measured: the executor occupied {bytes_to_string(report['peak'])} of a container of "
        f"{bytes_to_string(limit)}"
    )
    if report["verdict"]:
        says = "Killed: it outgrew its container."
        if "failure" in report:
            says += f" Spark saw: {report['failure'].split('Reason: ')[-1]}"
        return Effect(False, says, evidence, _why_killed(granted, conf))
    if "failure" in report:
        raise CannotCheckError(f"the job failed for a reason of its own: {report['failure']}")
    memory, disk = (bytes_to_string(report[where]) for where in ("memory", "disk"))
    evidence += f", with {memory} of blocks in memory and {disk} on disk"
    if report["disk"]:
        says = "It survives, but not all blocks found room off-heap."
        return Effect(False, says, evidence, "makes the pools too small")
    if limit - report["peak"] > limit * _MOST_UNUSED:
        says = "It survives, but more than a quarter of the container is unused."
        return Effect(False, says, evidence, "gives more than it needs")
    return Effect(True, "It survives, with every block in memory.", evidence)


def _report(memory_mib: int, limit: int, conf: Mapping[str, str]) -> dict:
    from course_lib.spark import NoJavaError
    from course_lib.spark.autopsy import autopsy

    given = f"MEMORY, LIMIT, CONF = {memory_mib!r}, {limit!r}, {dict(conf)!r}\n"
    try:
        remains = autopsy(given + _PROGRAM, timeout=300)
    except NoJavaError as reason:
        raise CannotCheckError(str(reason)) from None
    if not remains.survived:
        raise CannotCheckError(f"the program did not finish.\n{remains}\n{remains.log[-500:]}")
    return json.loads(remains.stdout)


def _why_killed(granted: Container, conf: Mapping[str, str]) -> str | None:
    if granted.off_heap_mib:
        return "takes it out of the overhead"
    return "gives it to the heap" if granted.memory_mib > 512 else "sets the size alone"


def _settings(memory: str, overhead: str, enabled: bool, size: str) -> dict[str, object]:
    return {
        "spark.executor.memory": memory,
        "spark.executor.memoryOverhead": overhead,
        "spark.memory.offHeap.enabled": enabled,
        "spark.memory.offHeap.size": size,
    }


EXECUTOR_SETTINGS = EffectTask(
    name="executor_settings",
    title="Killed for what was not switched on",
    points=3,
    read=_read,
    run=_run,
    reference=lambda: _settings("512m", "384m", True, "400m"),
    misconceptions=(
        Misconception(
            "sets the size alone",
            "The blocks went off-heap, but the container has no room for them: Spark asks for the "
            "size only when off-heap memory is enabled.",
            lambda: _settings("512m", "384m", False, "400m"),
        ),
        Misconception(
            "gives it to the heap",
            "You raised the heap. The container grew with it, but the blocks lie outside, and "
            "there nothing was gained.",
            lambda: _settings("768m", "384m", False, "400m"),
        ),
        Misconception(
            "takes it out of the overhead",
            "You took from the overhead what you gave to off-heap memory. They are two summands: "
            "threads, metaspace and Python workers still need theirs.",
            lambda: _settings("512m", "64m", True, "400m"),
        ),
        Misconception(
            "makes the pools too small",
            "A block that finds no room in the off-heap pools goes to disk. They have to hold all "
            "of the blocks.",
            lambda: _settings("512m", "384m", True, "200m"),
        ),
        Misconception(
            "gives more than it needs",
            "Nobody else can use what a container leaves unused: add up what is needed, and ask "
            "for a little more.",
            lambda: _settings("512m", "1g", True, "500m"),
        ),
    ),
)


PROBLEM_SET = ProblemSet(
    "ps09-off-heap",
    "Off-heap memory and Tungsten",
    (TOTALS, ROW_SIZE, IN_MEMORY, OFF_HEAP_FOR, EXECUTOR_SETTINGS),
)

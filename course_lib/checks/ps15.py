"""Problem set 15: plans for clusters, the largest job, and executors tried out on a real cluster.

The constants in capitals are what the notebook says of the tasks that run Spark.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from random import Random

from course_lib.checks.personal import PersonalTask
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
from course_lib.model import YarnScheduler, container, executors_per_node, heap, largest_heap
from course_lib.units import MIB, bytes_to_string

RESERVE_MIB, FRACTION = 300, 0.6
PYTHON_ON_KUBERNETES = 0.4


def _spark_memory(heap_mib: float) -> float:
    """MiB of Spark memory in a heap of exactly that size, as the model has it."""
    return heap(system_memory=int(heap_mib * MIB)).max_heap_memory / MIB


# plan


def _draw_clusters(random: Random) -> dict[str, dict[str, int]]:
    """Three clusters. Whoever has them, the same things matter, each by enough to show:

    - on YARN, executors take all cores, and rounding down costs from a quarter to three quarters
      of a step;
    - on Kubernetes, each node has cores left over;
    - on standalone, memory runs out before cores do, and overhead, if it were counted, would cost
      one executor on each worker.
    """
    cores, fit = random.choice((3, 4, 5)), random.randrange(3, 7)
    step = 64 * random.randrange(8, 17)
    granted, lost = step * random.randrange(14, 30), random.randrange(step // 4, 3 * step // 4)
    yarn = {
        "nodes": random.randrange(20, 300),
        "node_cores": cores * fit,
        "node_memory": fit * (granted + lost) + random.randrange(fit),
        "step": step,
        "executor_cores": cores,
    }
    cores, fit = random.choice((3, 4, 5)), random.randrange(3, 7)
    kubernetes = {
        "nodes": random.randrange(20, 300),
        "node_cores": cores * fit + random.randrange(1, cores),
        "node_memory": fit * random.randrange(9_000, 22_000) + random.randrange(fit),
        "executor_cores": cores,
    }
    cores, fit = random.choice((3, 4, 5)), random.randrange(3, 7)
    memory = random.randrange(6_000, 20_000)
    standalone = {
        "nodes": random.randrange(20, 300),
        "node_cores": cores * (fit + 1) + random.randrange(cores),
        "node_memory": fit * memory + random.randrange(10, memory * fit // 20),
        "executor_cores": cores,
        "executor_memory": memory,
    }
    return {"yarn": yarn, "kubernetes": kubernetes, "standalone": standalone}


def _planned(clusters: Mapping[str, Mapping[str, int]]) -> dict[str, float]:
    """The right plan, from the model."""
    yarn, kubernetes, standalone = (clusters[name] for name in ("yarn", "kubernetes", "standalone"))
    scheduler = YarnScheduler(yarn["step"], yarn["node_memory"])
    yarn_heap = largest_heap(
        yarn["node_cores"] // yarn["executor_cores"],
        node_memory_mib=yarn["node_memory"],
        cluster_manager="yarn",
        scheduler=scheduler,
    )
    size = {"spark.executor.memory": f"{yarn_heap}m"}
    asked = container(size, cluster_manager="yarn", scheduler=scheduler)
    master = container({}, role="driver", cluster_manager="yarn", scheduler=scheduler).granted_mib
    one = {"node_memory_mib": yarn["node_memory"], "executor_cores": yarn["executor_cores"]}
    full = executors_per_node(asked, node_cores=yarn["node_cores"], **one).executors
    beside = executors_per_node(
        asked, node_cores=yarn["node_cores"] - 1, reserved_memory_mib=master, **one
    ).executors
    kubernetes_fit = kubernetes["node_cores"] // kubernetes["executor_cores"]
    kubernetes_heap = largest_heap(
        kubernetes_fit,
        node_memory_mib=kubernetes["node_memory"],
        cluster_manager="kubernetes",
        deploy_mode="cluster",
        language="python",
    )
    on_worker = executors_per_node(
        container({"spark.executor.memory": f"{standalone['executor_memory']}m"}),
        node_memory_mib=standalone["node_memory"],
        node_cores=standalone["node_cores"],
        executor_cores=standalone["executor_cores"],
    )
    return {
        "yarn_heap": yarn_heap,
        "yarn_tasks": ((yarn["nodes"] - 1) * full + beside) * yarn["executor_cores"],
        "yarn_task_memory": _spark_memory(yarn_heap) / yarn["executor_cores"],
        "kubernetes_heap": kubernetes_heap,
        "kubernetes_tasks": kubernetes["nodes"] * kubernetes_fit * kubernetes["executor_cores"],
        "kubernetes_task_memory": _spark_memory(kubernetes_heap) / kubernetes["executor_cores"],
        "standalone_tasks": standalone["nodes"]
        * on_worker.executors
        * standalone["executor_cores"],
        "standalone_idle_cores": standalone["nodes"] * on_worker.unused_cores,
        "standalone_task_memory": _spark_memory(standalone["executor_memory"])
        / standalone["executor_cores"],
    }


def _on_paper(
    clusters: Mapping[str, Mapping[str, int]],
    *,
    yarn_grants: Callable[[float, int], float] = lambda share, step: share // step * step,
    yarn_heap: Callable[[float], float] = lambda granted: granted / 1.1,
    kubernetes_heap: Callable[[float], float] = lambda share: share / (1 + PYTHON_ON_KUBERNETES),
    masters: int = 1,
    standalone_takes: Callable[[float], float] = lambda memory: memory,
    limits: Callable[[float, float], float] = min,
    task_memory: Callable[[float, int], float] = lambda heap, cores: (
        (heap - RESERVE_MIB) * FRACTION / cores
    ),
) -> dict[str, float]:
    """The plan by hand, each step of which a misconception may replace."""
    yarn, kubernetes, standalone = (clusters[name] for name in ("yarn", "kubernetes", "standalone"))
    fit = {name: one["node_cores"] // one["executor_cores"] for name, one in clusters.items()}
    share = {name: one["node_memory"] / fit[name] for name, one in clusters.items()}
    heaps = {
        "yarn": yarn_heap(yarn_grants(share["yarn"], yarn["step"])),
        "kubernetes": kubernetes_heap(share["kubernetes"]),
        "standalone": standalone["executor_memory"],
    }
    takes = standalone_takes(standalone["executor_memory"])
    on_worker = limits(fit["standalone"], standalone["node_memory"] // takes)
    return {
        "yarn_heap": heaps["yarn"],
        "yarn_tasks": (yarn["nodes"] * fit["yarn"] - masters) * yarn["executor_cores"],
        "kubernetes_heap": heaps["kubernetes"],
        "kubernetes_tasks": kubernetes["nodes"] * fit["kubernetes"] * kubernetes["executor_cores"],
        "standalone_tasks": standalone["nodes"] * on_worker * standalone["executor_cores"],
        "standalone_idle_cores": standalone["nodes"]
        * (standalone["node_cores"] - on_worker * standalone["executor_cores"]),
    } | {
        f"{name}_task_memory": task_memory(heaps[name], one["executor_cores"])
        for name, one in clusters.items()
    }


def _plan(clusters: Mapping[str, Mapping[str, int]]) -> PredictionTask:
    def mistaken(**steps) -> Callable[[], dict[str, float]]:
        return lambda: _on_paper(clusters, **steps)

    return PredictionTask(
        name="plan",
        title="Three clusters",
        points=5,
        reference=lambda: _planned(clusters),
        within=2,  # MiB: how a plan rounds; executors have three cores or more
        misconceptions=(
            Misconception(
                "forgets the application master",
                "This is what you get when every node has nothing but executors. YARN's "
                "application master takes a core of one node, which is then one too few for its "
                "last executor.",
                mistaken(masters=0),
            ),
            Misconception(
                "forgets YARN's rounding",
                "This is what you get when YARN grants an equal share of a node. It grants "
                "multiples of its step, so the share has to be rounded down first.",
                mistaken(yarn_grants=lambda share, step: share),
            ),
            Misconception(
                "forgets the overhead",
                "This is what you get when all of the container is heap. The overhead comes off.",
                mistaken(yarn_heap=lambda granted: granted, kubernetes_heap=lambda share: share),
            ),
            Misconception(
                "takes a tenth for Python on Kubernetes",
                "This is what you get with an overhead of a tenth. In cluster mode, Kubernetes "
                "gives an application that is not a JVM's 0.4 of the heap.",
                mistaken(kubernetes_heap=lambda share: share / 1.1),
            ),
            Misconception(
                "takes the overhead off the container",
                "This is what you get when the overhead is a share of the container. It is a "
                "share of the heap: going backwards, divide by 1.1, or by 1.4.",
                mistaken(
                    yarn_heap=lambda granted: granted * 0.9,
                    kubernetes_heap=lambda share: share * (1 - PYTHON_ON_KUBERNETES),
                ),
            ),
            Misconception(
                "counts overhead on standalone",
                "This is what you get when an executor takes its heap and a tenth of a worker. "
                "Standalone counts the heap alone.",
                mistaken(standalone_takes=lambda memory: 1.1 * memory),
            ),
            Misconception(
                "counts cores only",
                "This is what you get when the cores alone are divided. This worker's memory "
                "runs out first.",
                mistaken(limits=lambda by_cores, by_memory: by_cores),
            ),
            Misconception(
                "gives the whole heap to tasks",
                "This is what you get when the heap is divided by the cores. Of the heap, 300 MiB "
                "are reserved, and 0.6 of the rest is Spark's.",
                mistaken(task_memory=lambda heap, cores: heap / cores),
            ),
            Misconception(
                "forgets the reserve",
                "This is what you get when 0.6 is taken of the whole heap. 300 MiB come off first.",
                mistaken(task_memory=lambda heap, cores: heap * FRACTION / cores),
            ),
        ),
    )


PLAN = PersonalTask(name="plan", title="Three clusters", points=5, draw=_draw_clusters, build=_plan)


# largest_job


def _largest(
    executors: int,
    cores: int,
    heap_mib: int,
    cached_mib: int,
    partitions: int,
    growth: float,
    *,
    spark_memory: Callable[[float], float] = lambda heap: (heap - RESERVE_MIB) * FRACTION,
    cached: Callable[[float, int], float] = lambda size, executors: size / executors,
    at_once: Callable[[int, int, int], int] = lambda cores, partitions, executors: min(
        cores, math.ceil(partitions / executors)
    ),
    grows: Callable[[float], float] = lambda growth: growth,
    tasks: Callable[[int, int], int] = lambda partitions, at_once: partitions,
) -> float:
    """The largest job by hand, each step of which a misconception may replace."""
    room = max(0.0, spark_memory(heap_mib) - cached(cached_mib, executors))
    each = room / at_once(cores, partitions, executors)
    running = at_once(cores, partitions, executors) * executors
    return each / grows(growth) * tasks(partitions, min(running, partitions))


def _largest_job(executors, cores, heap_mib, cached_mib, partitions, growth) -> float:
    return _largest(executors, cores, heap_mib, cached_mib, partitions, growth)


def _draw_jobs(random: Random) -> list[tuple]:
    def job(waves: float, cached: float) -> tuple:
        executors, cores = random.randrange(3, 40), random.randrange(4, 9)
        heap_mib = random.randrange(3_000, 30_000)
        partitions = max(executors + 1, round(executors * cores * waves))
        cached_mib = round(executors * (heap_mib - RESERVE_MIB) * FRACTION * cached)
        return executors, cores, heap_mib, cached_mib, partitions, random.choice((1.5, 2, 3, 4))

    several = [job(random.uniform(1.2, 9), random.uniform(0.1, 0.7)) for _ in range(10)]
    # Fewer tasks than cores, so that not all cores share.
    few = [job(random.uniform(0.3, 0.6), random.uniform(0.1, 0.7)) for _ in range(6)]
    nothing_cached = [job(random.uniform(1.2, 4), 0) for _ in range(2)]
    no_room = [job(random.uniform(1.2, 4), 1.2) for _ in range(2)]
    return several + few + nothing_cached + no_room


LARGEST_JOB = Task(
    name="largest_job",
    title="The largest job that fits",
    points=3,
    reference=_largest_job,
    examples=(
        (10, 4, 8192, 10_000, 200, 2),
        (10, 4, 8192, 10_000, 20, 2),
        (4, 2, 1024, 0, 16, 1.5),
        (4, 2, 1024, 2_000, 16, 1.5),
    ),
    draw_inputs=_draw_jobs,
    within=4,  # MiB
    misconceptions=(
        Misconception(
            "gives the whole heap to tasks",
            "This is what you get when all of the heap is for tasks and blocks. 300 MiB are "
            "reserved, and 0.6 of the rest is Spark's.",
            lambda *job: _largest(*job, spark_memory=lambda heap: heap),
        ),
        Misconception(
            "forgets the reserve",
            "This is what you get when 0.6 is taken of the whole heap. 300 MiB come off first.",
            lambda *job: _largest(*job, spark_memory=lambda heap: heap * FRACTION),
        ),
        Misconception(
            "takes half for execution",
            "This is what you get when tasks have half of Spark memory, whatever is cached. "
            "Execution may use all that blocks do not.",
            lambda *job: _largest(
                *job[:3], 0, *job[4:], spark_memory=lambda heap: (heap - RESERVE_MIB) * 0.3
            ),
        ),
        Misconception(
            "forgets what is cached",
            "This is what you get when tasks may have all of Spark memory. Then blocks would be "
            "evicted.",
            lambda *job: _largest(*job, cached=lambda size, executors: 0),
        ),
        Misconception(
            "caches everything everywhere",
            "This is what you get when each executor caches the whole table. Each has its part.",
            lambda *job: _largest(*job, cached=lambda size, executors: size),
        ),
        Misconception(
            "always divides by the cores",
            "This is what you get when as many tasks share an executor as it has cores. With few "
            "partitions fewer tasks run, and share.",
            lambda *job: _largest(*job, at_once=lambda cores, partitions, executors: cores),
        ),
        Misconception(
            "forgets the growth",
            "This is what you get when a task needs as much memory as its partition has bytes. "
            "It needs `growth` times as much.",
            lambda *job: _largest(*job, grows=lambda growth: 1),
        ),
        Misconception(
            "counts one wave",
            "This is what you get when only the partitions that run at once are counted. When "
            "they are done the others follow, with the same memory.",
            lambda *job: _largest(*job, tasks=lambda partitions, at_once: at_once),
        ),
    ),
)


# Trials on a real cluster

_BEGIN = """
import json
import time

from course_lib.spark import lab_session, rest, standalone_cluster

report = {}
"""


def _tried_on_a_cluster(program: str, **given) -> dict:
    """What a program prints as JSON, run in a child process with the names `given`."""
    from course_lib.spark import NoJavaError
    from course_lib.spark.autopsy import autopsy

    names = "".join(f"{name} = {value!r}\n" for name, value in given.items())
    try:
        remains = autopsy(names + _BEGIN + program, timeout=300)
    except NoJavaError as reason:
        raise CannotCheckError(str(reason)) from None
    if not remains.survived:
        raise CannotCheckError(f"the program did not finish.\n{remains}\n{remains.log[-500:]}")
    return json.loads(remains.stdout)


# cut

WORKER_CORES, WORKER_MIB = 4, 2048
SORTED_ROWS, ROW_LETTERS = 680_000, 1000

_CUT = f"""
with standalone_cluster(workers=1, cores={WORKER_CORES}, memory="{WORKER_MIB}m") as cluster:
    size = {{"executor_cores": CORES, "executor_memory": f"{{MEMORY}}m"}}
    with lab_session(master=cluster.master, executors=EXECUTORS, **size) as spark:
        numbers = spark.range(0, {SORTED_ROWS}, 1, {WORKER_CORES})
        columns = "xxhash64(id) AS key", "id", "repeat('x', {ROW_LETTERS}) AS text"
        by_key = numbers.selectExpr(*columns).sortWithinPartitions("key")
        by_key.write.format("noop").mode("overwrite").save()
        report["spilled"] = rest(spark, "stages")[0]["memoryBytesSpilled"]
        blocks = spark.sparkContext.parallelize(range(8), 8).cache()
        blocks.count()
        spark.sparkContext._jsc.sc().listenerBus().waitUntilEmpty()
        executors = [one for one in rest(spark, "executors") if one["id"] != "driver"]
        report["blocks"] = [one["rddBlocks"] for one in executors]
print(json.dumps(report))
"""


def _cores(value) -> int:
    cores = spark_setting("spark.executor.cores")(value)
    if not 1 <= cores <= WORKER_CORES:
        raise ValueError(f"the worker has {WORKER_CORES} cores, so 1 to {WORKER_CORES}")
    return cores


_read_one_by_one = read_with(
    {
        "spark.executor.cores": _cores,
        "spark.executor.memory": spark_setting("spark.executor.memory"),
    }
)


def _read_cut(answer: Mapping) -> tuple[int, int]:
    """Cores and MiB of an executor, which Spark would start."""
    chosen = _read_one_by_one(answer)
    cores, memory_mib = chosen["spark.executor.cores"], chosen["spark.executor.memory"]
    heap({"spark.executor.memory": f"{memory_mib}m"})
    return cores, memory_mib


def _run_cut(chosen: tuple[int, int]) -> Effect:
    """Let the worker start what it can, and sort."""
    cores, memory_mib = chosen
    executors = min(WORKER_CORES // cores, WORKER_MIB // memory_mib)
    if not executors:
        says = f"The worker has {WORKER_MIB} MiB, so no executor would ever start."
        return Effect(False, says, "", "asks for more than there is")
    report = _tried_on_a_cluster(_CUT, CORES=cores, MEMORY=memory_mib, EXECUTORS=executors)
    most = max(report["blocks"]) / sum(report["blocks"])
    evidence = (
        f"measured: {executors} executor{'s' * (executors > 1)} of {cores} "
        f"core{'s' * (cores > 1)}, {bytes_to_string(report['spilled'])} spilled, up to {most:.0%} "
        "of the cached blocks in one executor"
    )
    if executors * cores < WORKER_CORES:
        says = f"{WORKER_CORES - executors * cores} of the worker's cores stay idle."
        return Effect(False, says, evidence, "leaves cores idle")
    if report["spilled"]:
        why = "makes them thin" if cores == 1 else "makes the heaps too small"
        return Effect(False, "The sort spills.", evidence, why)
    if executors == 1:
        says = "One executor has everything: when it dies, nothing that is cached is left."
        return Effect(False, says, evidence, "makes one of all")
    return Effect(True, "Nothing spills, and no executor has everything.", evidence)


def _cut(cores: int, memory: str) -> dict[str, object]:
    return {"spark.executor.cores": cores, "spark.executor.memory": memory}


CUT = EffectTask(
    name="cut",
    title="One worker, cut up",
    points=2,
    read=_read_cut,
    run=_run_cut,
    reference=lambda: _cut(2, "1g"),
    misconceptions=(
        Misconception(
            "makes them thin",
            "With one core each, every task pays for a reserve of 300 MiB: too little of the "
            "memory is left for sorting.",
            lambda: _cut(1, "512m"),
        ),
        Misconception(
            "makes one of all",
            "A single executor is the best for the sort, and loses everything at once.",
            lambda: _cut(4, "2g"),
        ),
        Misconception(
            "leaves cores idle",
            "A worker starts executors as long as it has both cores and memory for one more. Your "
            "executors use up its memory before all of its cores are at work.",
            lambda: _cut(2, "1200m"),
        ),
        Misconception(
            "makes the heaps too small",
            "The executors fit, and leave memory of the worker unused that the sort needs.",
            lambda: _cut(2, "640m"),
        ),
        Misconception(
            "asks for more than there is",
            "An executor has to fit into one worker as a whole. Spark does not refuse this: the "
            "application waits for ever.",
            lambda: _cut(2, "3g"),
        ),
    ),
)


# keep_cached

EXECUTORS = 4
TIMEOUT = PAUSE = 2  # seconds

_ALLOCATION = {
    "spark.dynamicAllocation.enabled": "true",
    "spark.dynamicAllocation.initialExecutors": str(EXECUTORS),
    "spark.dynamicAllocation.maxExecutors": str(EXECUTORS),
    "spark.dynamicAllocation.executorIdleTimeout": f"{TIMEOUT}s",
    "spark.dynamicAllocation.cachedExecutorIdleTimeout": f"{TIMEOUT}s",
}

# Four tasks that end only when all four have begun, so on four executors; two cache a block.
_KEEP_CACHED = f"""
import tempfile
from pathlib import Path


def wait_for_all(number):
    (folder / str(number)).touch()
    while len(list(folder.iterdir())) < {EXECUTORS}:
        time.sleep(0.05)
    return number


def executors():
    return [one for one in rest(spark, "executors") if one["id"] != "driver"]


def wait_until(done, seconds):
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        time.sleep(0.2)


with (
    tempfile.TemporaryDirectory() as name,
    standalone_cluster(workers=1, cores={EXECUTORS}, memory="2g") as cluster,
    lab_session(master=cluster.master, executor_memory="480m", conf=CONF) as spark,
):
    folder, context = Path(name), spark.sparkContext
    cached = context.parallelize(range(2), 2).map(wait_for_all).cache()
    others = context.parallelize(range(2, {EXECUTORS}), 2).map(wait_for_all)
    cached.union(others).count()
    wait_until(lambda: len(executors()) <= 2, 5 * {TIMEOUT})
    time.sleep({TIMEOUT} + {PAUSE})
    report["after the pause"] = [one["rddBlocks"] for one in executors()]
    cached.unpersist()
    wait_until(lambda: not executors(), 5 * {TIMEOUT})
    report["given up"] = [one["rddBlocks"] for one in executors()]
print(json.dumps(report))
"""

_CHOICES = (
    "initialExecutors",
    "minExecutors",
    "maxExecutors",
    "executorIdleTimeout",
    "cachedExecutorIdleTimeout",
    "schedulerBacklogTimeout",
    "shuffleTracking.timeout",
)


def _setting(value) -> str:
    names = [f"spark.dynamicAllocation.{name}" for name in _CHOICES]
    if value not in names:
        raise ValueError(f"choose one of {', '.join(names)}")
    return value


def _value(value) -> str:
    """A number of executors, or a time as Spark writes it."""
    text = str(value).strip()
    if not re.fullmatch(r"\d+(s|m|min|h|d)?", text):
        raise ValueError(f"executors are counted, as in 4, and times are as in 30s; not {text!r}")
    return text


_read_choice = read_with({"setting": _setting, "value": _value})


def _read_keep_cached(answer: Mapping) -> tuple[str, str]:
    chosen = _read_choice(answer)
    setting, value = chosen["setting"], chosen["value"]
    if setting.endswith("Executors"):
        if not value.isdigit() or int(value) > EXECUTORS:
            raise ValueError(f"{setting} is a number from 0 to {EXECUTORS} here, not {value!r}")
        if setting.endswith("maxExecutors") and value != str(EXECUTORS):
            raise ValueError(f"the work takes {EXECUTORS} executors at once: leave {setting}")
    elif re.fullmatch(r"0+\D*", value):
        raise ValueError(f"{setting} must be > 0")
    return setting, value


_WHY_NOT = {
    "executorIdleTimeout": "waits longer with idle ones",
    "minExecutors": "keeps them by number",
    "shuffleTracking.timeout": "takes cached blocks for shuffle files",
    "initialExecutors": "starts with more",
}


def _run_keep_cached(chosen: tuple[str, str]) -> Effect:
    """Work, pause, give the table up; and see who is there after the pause and at the end."""
    setting, value = chosen
    report = _tried_on_a_cluster(_KEEP_CACHED, CONF=_ALLOCATION | {setting: value})
    paused, at_the_end = report["after the pause"], report["given up"]
    evidence = (
        f"measured: after the pause {len(paused)} executors with {sum(paused)} of 2 blocks, and "
        f"{len(at_the_end)} when the table was given up"
    )
    why = _WHY_NOT.get(setting.removeprefix("spark.dynamicAllocation."))
    if sum(paused) < 2:
        if setting.endswith("cachedExecutorIdleTimeout"):
            why = "waits too short a time"
        return Effect(False, "Cached blocks are gone.", evidence, why)
    if len(paused) > 2:
        says = "The blocks are there, and so are executors with nothing to keep."
        return Effect(False, says, evidence, why)
    if at_the_end:
        says = "The table was given up, and executors stay that nobody needs."
        return Effect(False, says, evidence, why)
    return Effect(True, "The blocks stay, and executors with nothing to keep go.", evidence)


def _choice(name: str, value: str) -> dict[str, str]:
    return {"setting": f"spark.dynamicAllocation.{name}", "value": value}


KEEP_CACHED = EffectTask(
    name="keep_cached",
    title="Whoever has something to keep",
    points=2,
    read=_read_keep_cached,
    run=_run_keep_cached,
    reference=lambda: _choice("cachedExecutorIdleTimeout", "1h"),
    misconceptions=(
        Misconception(
            "waits longer with idle ones",
            "`executorIdleTimeout` is for executors that have nothing to keep. Those are to be "
            "given back; for the others there is a timeout of its own.",
            lambda: _choice("executorIdleTimeout", "1h"),
        ),
        Misconception(
            "keeps them by number",
            "A minimum keeps so many executors, whatever these have, and for ever: also when the "
            "table is given up.",
            lambda: _choice("minExecutors", "4"),
        ),
        Misconception(
            "takes cached blocks for shuffle files",
            "The timeout of shuffle tracking is for executors with shuffle files. This job does "
            "not shuffle.",
            lambda: _choice("shuffleTracking.timeout", "1h"),
        ),
        Misconception(
            "starts with more",
            "`initialExecutors` says with how many Spark starts, not how long it keeps them.",
            lambda: _choice("initialExecutors", "3"),
        ),
        Misconception(
            "waits too short a time",
            "The right setting, but its time is over before the pause is.",
            lambda: _choice("cachedExecutorIdleTimeout", "1s"),
        ),
    ),
)


# double_the_data


def _draw_today(random: Random) -> dict[str, float]:
    """A job that fits today. Whoever has it, twice the data would not: a task would need about a
    quarter more than it may have."""
    cores = random.choice((4, 5, 6, 8))
    executors, waves = random.randrange(20, 300), random.choice((2, 3, 4))
    heap_mib, growth = random.randrange(6_000, 24_000), random.choice((1.5, 2, 2.5, 3))
    share = (heap_mib - RESERVE_MIB) * FRACTION / cores
    partitions = waves * executors * cores - random.randrange(cores)
    partition = random.uniform(0.63, 0.65) * share / growth
    return {
        "executors": executors,
        "executor_cores": cores,
        "executor_memory": heap_mib,
        "data": round(partition * partitions),
        "partitions": partitions,
        "growth": growth,
    }


def _doubled(
    today: Mapping[str, float],
    *,
    spark_memory: Callable[[float], float] = lambda heap: (heap - RESERVE_MIB) * FRACTION,
    heap_of: Callable[[float], float] = lambda spark: spark / FRACTION + RESERVE_MIB,
    growth: Callable[[float], float] = lambda growth: growth,
) -> dict[str, float]:
    executors, cores = today["executors"], today["executor_cores"]
    spark = spark_memory(today["executor_memory"])
    needed = 2 * today["data"] * growth(today["growth"])
    partitions = math.ceil(needed / (spark / cores))
    each = needed / today["partitions"]
    waves = math.ceil(today["partitions"] / (executors * cores))
    return {
        "partitions": partitions,
        "heap": math.ceil(heap_of(each * cores)),
        "tasks_at_once": executors * min(cores, int(spark // each)),
        "executors": math.ceil(partitions / (waves * cores)),
    }


def _what_if(today: Mapping[str, float]) -> PredictionTask:
    return PredictionTask(
        name="what_if",
        title="Double the data",
        points=3,
        reference=lambda: _doubled(today),
        within=1,
        misconceptions=(
            Misconception(
                "doubles everything",
                "Twice the data does not take twice of this: today's tasks do not use all that "
                "they may have.",
                lambda: {
                    "partitions": 2 * today["partitions"],
                    "heap": 2 * today["executor_memory"],
                    "tasks_at_once": today["executors"] * (today["executor_cores"] // 2),
                    "executors": 2 * today["executors"],
                },
            ),
            Misconception(
                "leaves it as it is",
                "It fits today. With twice the data, a task needs more than it may have.",
                lambda: {
                    "partitions": today["partitions"],
                    "heap": today["executor_memory"],
                    "tasks_at_once": today["executors"] * today["executor_cores"],
                    "executors": today["executors"],
                },
            ),
            Misconception(
                "gives the whole heap to tasks",
                "This is what you get when all of the heap is for tasks. 300 MiB are reserved, "
                "and 0.6 of the rest is Spark's.",
                lambda: _doubled(
                    today, spark_memory=lambda heap: heap, heap_of=lambda spark: spark
                ),
            ),
            Misconception(
                "forgets the growth",
                "This is what you get when a task needs as much memory as its partition has "
                "bytes. It needs `growth` times as much.",
                lambda: _doubled(today, growth=lambda growth: 1),
            ),
        ),
    )


WHAT_IF = PersonalTask(
    name="what_if", title="Double the data", points=3, draw=_draw_today, build=_what_if
)


PROBLEM_SET = ProblemSet(
    "ps15-sizing",
    "Sizing and dynamic allocation",
    (PLAN, LARGEST_JOB, CUT, KEEP_CACHED, WHAT_IF),
)

"""Problem set 03: containers, executors per node, the way back, and a container that is killed."""

import sys
from collections.abc import Mapping
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
    YarnScheduler,
    container,
    executors_per_node,
    heap,
    largest_heap,
)
from course_lib.units import MIB, bytes_to_string

LEAST_OVERHEAD = 384


def _overhead(memory: int, factor: float = 0.10, least: int = LEAST_OVERHEAD, whole=int) -> int:
    return max(whole(factor * memory), least)


# container_size

_MANAGERS = ("standalone", "yarn", "kubernetes")
_VERSIONS = ("2.4", "3.0", "3.1", "3.3", "3.5", "4.0", "4.3")
_OFF_HEAP_COUNTS_SINCE = {"yarn": "3.0", "kubernetes": "3.1"}


def _container_size(manager, version, language, memory, off_heap, pyspark):
    conf = {"spark.executor.memory": f"{memory}m"}
    if off_heap:
        conf["spark.memory.offHeap.enabled"] = "true"
        conf["spark.memory.offHeap.size"] = f"{off_heap}m"
    if pyspark:
        conf["spark.executor.pyspark.memory"] = f"{pyspark}m"
    return container(
        conf,
        cluster_manager=manager,
        spark_version=version,
        deploy_mode="cluster",
        language=language,
    ).requested_mib


def _added_up(
    manager,
    version,
    language,
    memory,
    off_heap,
    pyspark,
    *,
    factor=0.10,
    factor_for_python=0.4,
    least=LEAST_OVERHEAD,
    whole=int,
    off_heap_since=_OFF_HEAP_COUNTS_SINCE,
    python_only=True,
):
    """The sum as Spark makes it, each part of which a misconception may replace with its own."""
    if manager == "standalone":
        return memory
    python = language == "python"
    if manager == "kubernetes" and python:
        factor = factor_for_python
    total = memory + _overhead(memory, factor, least, whole)
    if version >= off_heap_since[manager]:
        total += off_heap
    if python or not python_only:
        total += pyspark
    return total


def _standalone_like_yarn(manager, *arguments):
    return _container_size("yarn" if manager == "standalone" else manager, *arguments)


def _draw_containers(random: Random) -> list[tuple]:
    def memory() -> int:
        return random.choice((random.randrange(450, 3800), random.randrange(4000, 32768)))

    def pyspark() -> int:
        return random.choice((0, 700))

    every_part = [
        (manager, version, language, memory(), random.randrange(1, 9) * 256, pyspark())
        for manager in _MANAGERS
        for version in _VERSIONS
        for language in ("jvm", "python")
    ]
    heap_and_overhead = [
        (manager, random.choice(_VERSIONS), language, memory(), 0, 0)
        for manager in _MANAGERS
        for language in ("jvm", "python")
    ]
    return every_part + heap_and_overhead


CONTAINER_SIZE = Task(
    name="container_size",
    title="The container of an executor",
    points=4,
    reference=_container_size,
    examples=(
        ("yarn", "4.3", "jvm", 8192, 0, 0),
        ("yarn", "4.3", "python", 1024, 2048, 512),
        ("yarn", "2.4", "jvm", 4096, 1024, 0),
        ("kubernetes", "4.3", "python", 4096, 0, 0),
        ("standalone", "4.3", "jvm", 4096, 1024, 0),
    ),
    draw_inputs=_draw_containers,
    edge_cases=(
        EdgeCase(
            "off-heap on Kubernetes in Spark 3.0",
            "On Kubernetes off-heap memory is counted since Spark 3.1, one version later than on "
            "YARN.",
            lambda manager, version, language, memory, off_heap, pyspark: (
                manager == "kubernetes" and version == "3.0" and off_heap > 0
            ),
            points=1,
        ),
    ),
    misconceptions=(
        Misconception(
            "counts the heap only",
            "This is what you get when the container is the heap and nothing else. Only on "
            "standalone it is.",
            lambda manager, version, language, memory, off_heap, pyspark: memory,
        ),
        Misconception(
            "forgets the minimum of 384 MiB",
            "This is what you get when the overhead is the factor times the heap, however little "
            "that is. It is never less than 384 MiB.",
            lambda *arguments: _added_up(*arguments, least=0),
        ),
        Misconception(
            "takes 15 % for the overhead",
            "This is what you get with an overhead of 15 %, which is folklore. The factor is 0.10, "
            "or 0.4 for a Python application on Kubernetes.",
            lambda *arguments: _added_up(*arguments, factor=0.15, factor_for_python=0.15),
        ),
        Misconception(
            "rounds the overhead",
            "This is what you get when the overhead is rounded to the nearest MiB. Spark cuts off "
            "the fraction.",
            lambda *arguments: _added_up(*arguments, whole=round),
        ),
        Misconception(
            "counts off-heap in every version",
            "This is what you get when off-heap memory is always counted. Before Spark 3.0 (on "
            "Kubernetes, 3.1) it had to fit into the overhead.",
            lambda *arguments: _added_up(
                *arguments, off_heap_since={"yarn": "0", "kubernetes": "0"}
            ),
        ),
        Misconception(
            "never counts off-heap",
            "This is what you get when off-heap memory is never counted. It is a part of its own "
            "since Spark 3.0, on Kubernetes since 3.1.",
            lambda manager, version, language, memory, off_heap, pyspark: _container_size(
                manager, version, language, memory, 0, pyspark
            ),
        ),
        Misconception(
            "counts PySpark memory for every application",
            "This is what you get when `pyspark` is always counted. An application of the JVM's "
            "has no Python workers, and Spark leaves the setting aside.",
            lambda *arguments: _added_up(*arguments, python_only=False),
        ),
        Misconception(
            "takes 0.10 for Python on Kubernetes",
            "This is what you get when the factor is 0.10 everywhere. For a Python application on "
            "Kubernetes, in cluster mode, it is 0.4.",
            lambda *arguments: _added_up(*arguments, factor_for_python=0.10),
        ),
        Misconception(
            "counts on standalone as on YARN",
            "This is what you get when standalone counts what YARN counts. A standalone worker "
            "accounts for heaps only.",
            _standalone_like_yarn,
        ),
    ),
)


# executors_on_node


def _executors_on_node(memory, cores, node_memory, node_cores, step, maximum):
    granted = container(
        {"spark.executor.memory": f"{memory}m"},
        cluster_manager="yarn",
        scheduler=YarnScheduler(step, maximum),
    )
    return executors_per_node(
        granted, node_memory_mib=node_memory, node_cores=node_cores, executor_cores=cores
    ).executors


def _round_up(size: int, step: int) -> int:
    return -(-size // step) * step


def _fit(
    memory,
    cores,
    node_memory,
    node_cores,
    step,
    maximum,
    *,
    asks=lambda memory: memory + _overhead(memory),
    grants=_round_up,
    counts_cores=True,
    judges=None,
    caps=False,
):
    """The count as YARN makes it, each step of which a misconception may replace with its own."""
    asked = asks(memory)
    if (judges or asks)(memory) > maximum and not caps:
        raise ValueError("larger than the largest container")
    granted = grants(min(asked, maximum) if caps else asked, step)
    by_memory = node_memory // granted
    return min(by_memory, node_cores // cores) if counts_cores else by_memory


def _draw_nodes(random: Random) -> list[tuple]:
    def step() -> int:
        return random.choice((512, 1024, 2048))

    # With 384 MiB they take one step more than with a tenth.
    small = [
        (steps - random.randrange(220, 380), 1, random.randrange(32, 128) * 1024, 192, step, 16384)
        for step, steps in ((512, 1024), (512, 1536), (1024, 1024), (1024, 2048), (2048, 2048))
    ]
    large = [
        (random.randrange(4000, 14000), 2, random.randrange(128, 512) * 1024, 192, step(), 16384)
        for _ in range(10)
    ]
    short_of_cores = [
        (random.randrange(2000, 6000), random.randrange(3, 7), 131072, 24, step(), 16384)
        for _ in range(4)
    ]
    too_large = [
        (random.randrange(*heaps), 4, random.randrange(64, 128) * 1024, 32, step(), 16384)
        for heaps in ((14900, 16384), (14900, 16384), (16384, 30000), (16384, 30000))
    ]
    return small + large + short_of_cores + too_large


EXECUTORS_ON_NODE = Task(
    name="executors_on_node",
    title="Executors per node",
    points=4,
    reference=_executors_on_node,
    examples=(
        (8192, 4, 61440, 32, 1024, 16384),
        (1800, 2, 61440, 96, 1024, 8192),
        (8192, 4, 61440, 16, 1024, 16384),
        (16384, 4, 65536, 32, 1024, 16384),
    ),
    draw_inputs=_draw_nodes,
    misconceptions=(
        Misconception(
            "divides the node by the heap",
            "This is what you get when the node's memory is divided by the heap. Divide it by what "
            "the executor is granted.",
            lambda *arguments: _fit(*arguments, grants=lambda asked, step: arguments[0]),
        ),
        Misconception(
            "forgets the overhead",
            "This is what you get when the heap is rounded up without its overhead.",
            lambda *arguments: _fit(*arguments, asks=lambda memory: memory),
        ),
        Misconception(
            "forgets the minimum of 384 MiB",
            "This is what you get when the overhead is a tenth of the heap, however little that "
            "is. It is never less than 384 MiB.",
            lambda *arguments: _fit(*arguments, asks=lambda memory: memory + memory // 10),
        ),
        Misconception(
            "forgets the rounding",
            "This is what you get when YARN grants exactly what was asked for. It grants multiples "
            "of `step`.",
            lambda *arguments: _fit(*arguments, grants=lambda asked, step: asked),
        ),
        Misconception(
            "rounds down",
            "This is what you get when the request is rounded down to a multiple of `step`. YARN "
            "rounds up: nobody is granted less than was asked for.",
            lambda *arguments: _fit(
                *arguments, grants=lambda asked, step: max(asked // step, 1) * step
            ),
        ),
        Misconception(
            "ignores the cores",
            "This is what you get when memory alone is divided. This cluster counts cores too, and "
            "what runs out first decides.",
            lambda *arguments: _fit(*arguments, counts_cores=False),
        ),
        Misconception(
            "caps the request at the maximum",
            "Your function makes a request above `maximum` smaller. Spark refuses to start "
            "instead: raise a ValueError.",
            lambda *arguments: _fit(*arguments, caps=True),
        ),
        Misconception(
            "compares the heap with the maximum",
            "Your function compares the heap with `maximum`. Spark compares the whole request, "
            "overhead included.",
            lambda *arguments: _fit(*arguments, judges=lambda memory: memory),
        ),
    ),
)


# heap_for

_TOLERATED = 8  # MiB under the largest heap


def _scheduler(node_memory: int, step: int) -> YarnScheduler:
    """One that refuses no heap up to the node's own size: the overhead is less than that."""
    return YarnScheduler(step, 2 * node_memory)


def _heap_for(executors, node_memory, step):
    return largest_heap(
        executors,
        node_memory_mib=node_memory,
        cluster_manager="yarn",
        scheduler=_scheduler(node_memory, step),
    )


def _without_overhead(granted: int) -> int:
    """The largest heap in a container of that size."""
    return min(granted - LEAST_OVERHEAD, (10 * granted + 9) // 11)


def _share(executors: int, node_memory: int, step: int) -> int:
    """What one executor can be granted."""
    return node_memory // executors // step * step


def _try_heap(arguments: tuple, memory: float) -> Effect:
    executors, node_memory, step = arguments
    if memory != int(memory) or not 1 <= memory <= node_memory:
        return Effect(False, f"The heap should be whole MiB, from 1 to the node's {node_memory}.")
    granted = container(
        {"spark.executor.memory": f"{int(memory)}m"},
        cluster_manager="yarn",
        scheduler=_scheduler(node_memory, step),
    )
    fit = executors_per_node(granted, node_memory_mib=node_memory).executors
    evidence = (
        f"modelled: {int(memory)} MiB of heap get a container of {granted.granted_mib} MiB, and "
        f"{fit} of {executors} such executors fit into {node_memory} MiB"
    )
    if fit < executors:
        return Effect(False, "That heap is too large.", evidence)
    if memory < _heap_for(*arguments) - _TOLERATED:
        return Effect(False, "They fit, but a larger heap would fit as well.", evidence)
    return Effect(True, "Tried on the model.", evidence)


def _draw_shares(random: Random) -> list[tuple]:
    large = [
        (random.randrange(2, 8), random.randrange(40, 256) * 1024, random.choice((512, 1024, 2048)))
        for _ in range(10)
    ]
    small = [
        (random.randrange(5, 12), random.randrange(12, 20) * 1024, random.choice((256, 512)))
        for _ in range(6)
    ]
    return large + small


HEAP_FOR = Task(
    name="heap_for",
    title="The largest heap",
    points=3,
    reference=_heap_for,
    examples=((8, 61440, 1024), (3, 61440, 1024), (9, 16384, 512)),
    draw_inputs=_draw_shares,
    within=2,  # MiB: how an answer rounds is for the model to judge
    effect=_try_heap,
    misconceptions=(
        Misconception(
            "forgets the overhead",
            "This is what you get when the whole container is the heap. Take the overhead off.",
            _share,
        ),
        Misconception(
            "forgets the minimum of 384 MiB",
            "This is what you get when the overhead is a tenth of the heap, however little that "
            "is. In small containers 384 MiB go to it.",
            lambda *arguments: (10 * _share(*arguments) + 9) // 11,
        ),
        Misconception(
            "always takes off 384 MiB",
            "This is what you get when the overhead is 384 MiB, however large the heap is. That is "
            "the minimum; above 3840 MiB of heap a tenth is more.",
            lambda *arguments: _share(*arguments) - LEAST_OVERHEAD,
        ),
        Misconception(
            "takes a tenth of the container off",
            "This is what you get when a tenth of the container is the overhead. It is a tenth of "
            "the heap: going backwards, divide by 1.1.",
            lambda *arguments: _share(*arguments) - _overhead(_share(*arguments)),
        ),
        Misconception(
            "forgets the rounding",
            "This is what you get when an executor is granted an equal share of the node. YARN "
            "grants multiples of `step`, so some of the share stays unused.",
            lambda executors, node_memory, step: _without_overhead(node_memory // executors),
        ),
        Misconception(
            "rounds the share up",
            "This is what you get when the share is rounded up to a multiple of `step`: so much "
            "the node does not have. YARN rounds requests up, hence round the share down.",
            lambda executors, node_memory, step: _without_overhead(
                _round_up(-(-node_memory // executors), step)
            ),
        ),
        Misconception(
            "rounds the heap",
            "This is what you get when the heap is made a multiple of `step`. What YARN rounds is "
            "the sum of heap and overhead.",
            lambda executors, node_memory, step: (
                _without_overhead(node_memory // executors) // step * step
            ),
        ),
    ),
)


# executor_settings

_CLUSTER = YarnScheduler(minimum_allocation_mb=128, maximum_allocation_mb=2048)
_CORES_OF_A_NODE = 4
_HEAP_BEFORE_MIB = 768
_CACHED_MIB, _HELD_BY_A_TASK_MIB = 600, 230
_MOST_UNUSED = 1 / 6

# Occupies memory as an executor does: blocks in the heap, and beside it a Python worker for each
# core. All of it stays for a second, many times the watcher's interval.
_EXECUTOR = """
public class Executor {
    public static void main(String[] arguments) throws Exception {
        java.util.ArrayList cached = new java.util.ArrayList();
        for (int mib = 0; mib < Integer.getInteger("cached.mib").intValue(); mib++) {
            cached.add(new byte[16][64 * 1024]);
        }
        String[] command = {System.getProperty("python"), "-I", "-c", System.getProperty("task")};
        java.util.ArrayList workers = new java.util.ArrayList();
        for (int core = 0; core < Integer.getInteger("cores").intValue(); core++) {
            workers.add(new ProcessBuilder(command).start());
        }
        for (int core = 0; core < workers.size(); core++) {
            if (((Process) workers.get(core)).getInputStream().read() < 0) {
                System.out.println("a Python worker ended too early");
                System.exit(1);
            }
        }
        Thread.sleep(1000);
        System.out.println(cached.size() + " MiB are cached");
    }
}
"""
# It ends when the executor does: its standard input is a pipe from there.
_TASK = f"""
import sys
held = b"x" * ({_HELD_BY_A_TASK_MIB} * 2**20)
print("ready", flush=True)
sys.stdin.read()
"""


def _cores(value) -> int:
    cores = spark_setting("spark.executor.cores")(value)
    if not 1 <= cores <= _CORES_OF_A_NODE:
        raise ValueError(f"a node has {_CORES_OF_A_NODE} cores, so 1 to {_CORES_OF_A_NODE}")
    return cores


_read_one_by_one = read_with(
    {
        "spark.executor.memory": spark_setting("spark.executor.memory"),
        "spark.executor.memoryOverhead": spark_setting("spark.executor.memoryOverhead"),
        "spark.executor.cores": _cores,
    }
)


def _read(answer: Mapping) -> tuple[Container, int]:
    """The container that those settings are granted, and the cores."""
    chosen = _read_one_by_one(answer)
    conf = {
        "spark.executor.memory": f"{chosen['spark.executor.memory']}m",
        "spark.executor.memoryOverhead": f"{chosen['spark.executor.memoryOverhead']}m",
    }
    granted = container(conf, cluster_manager="yarn", language="python", scheduler=_CLUSTER)
    heap(conf, role="driver")  # the driver refuses executors too small to start
    return granted, chosen["spark.executor.cores"]


def _run(chosen: tuple[Container, int]) -> Effect:
    """Run such an executor under the eyes of a watcher, and look at what is left."""
    from course_lib.spark import NoJavaError
    from course_lib.spark.autopsy import autopsy

    granted, cores = chosen
    limit = granted.granted_mib * MIB
    options = (
        "-XX:+UseG1GC",
        f"-Xms{granted.memory_mib}m",
        "-XX:+AlwaysPreTouch",
        f"-Dcached.mib={_CACHED_MIB}",
        f"-Dcores={cores}",
        f"-Dpython={sys.executable}",
        f"-Dtask={_TASK}",
    )
    try:
        remains = autopsy(
            _EXECUTOR, heap=f"{granted.memory_mib}m", container=limit, java_options=options
        )
    except NoJavaError as reason:
        raise CannotCheckError(str(reason)) from None

    evidence = (
        f"measured: exit code {remains.exit_code}; the process tree occupied "
        f"{bytes_to_string(remains.peak_resident)} of a container of {bytes_to_string(limit)}"
    )
    if remains.container:
        return Effect(False, "Killed: it outgrew its container.", evidence, _why_killed(granted))
    if remains.message == "Java heap space":
        says = "Not killed, but ended by an OutOfMemoryError: Java heap space."
        return Effect(False, says, evidence, "takes it from the heap")
    if not remains.survived:
        raise CannotCheckError(
            f"the executor was neither killed by the watcher nor lived (exit code "
            f"{remains.exit_code}): {remains.stdout.strip() or 'it printed nothing'}"
        )
    if limit - remains.peak_resident > limit * _MOST_UNUSED:
        says = "It survives, but more than a sixth of the container is unused."
        return Effect(False, says, evidence, "gives more than it needs")
    return Effect(True, "It survives.", evidence)


def _why_killed(granted: Container) -> str | None:
    default = container({"spark.executor.memory": f"{granted.memory_mib}m"}, cluster_manager="yarn")
    if granted.overhead_mib < default.overhead_mib:
        return "takes 15 % for enough"
    if granted.memory_mib > _HEAP_BEFORE_MIB:
        return "gives it to the heap"
    return None


def _settings(memory: str, overhead: str, cores: str = "2") -> dict[str, str]:
    return {
        "spark.executor.memory": memory,
        "spark.executor.memoryOverhead": overhead,
        "spark.executor.cores": cores,
    }


EXECUTOR_SETTINGS = EffectTask(
    name="executor_settings",
    title="Exit code 137",
    points=4,
    read=_read,
    run=_run,
    reference=lambda: _settings("768m", "640m"),
    misconceptions=(
        Misconception(
            "gives it to the heap",
            "You raised the heap. The container grew with it, but so did what the heap occupies: "
            "for the Python workers nothing was gained.",
            lambda: _settings("1g", "384m"),
        ),
        Misconception(
            "takes it from the heap",
            "You took memory from the heap. The container has room now, but the heap no longer "
            "holds what is cached.",
            lambda: _settings("512m", "640m"),
        ),
        Misconception(
            "takes 15 % for enough",
            "You asked for less overhead than Spark's default. No percentage is enough by itself: "
            "what is outside the heap depends on the tasks that run, not on the heap.",
            lambda: _settings("768m", "116m"),
        ),
        Misconception(
            "gives more than it needs",
            "Nobody else can use what a container leaves unused: add up what is needed outside "
            "the heap, and ask for a little more.",
            lambda: _settings("768m", "1200m"),
        ),
    ),
)


PROBLEM_SET = ProblemSet(
    "ps03-containers",
    "Drivers, executors and containers",
    (CONTAINER_SIZE, EXECUTORS_ON_NODE, HEAP_FOR, EXECUTOR_SETTINGS),
)

"""Problem set 04: the regions of an executor's heap, forwards, backwards and at the edges."""

import math
from functools import cache
from random import Random

from course_lib.checks.registry import ProblemSet
from course_lib.checks.tasks import (
    CannotCheckError,
    Effect,
    Misconception,
    PredictionTask,
    Task,
)
from course_lib.model import heap, runtime_max_memory
from course_lib.units import GIB, MIB, bytes_to_string

RESERVE = 300 * MIB
FRACTION, STORAGE_FRACTION = 0.6, 0.5


def _conf(fraction: float, storage_fraction: float) -> dict[str, str]:
    return {
        "spark.memory.fraction": repr(fraction),
        "spark.memory.storageFraction": repr(storage_fraction),
    }


# regions


def _regions(heap_bytes: int, fraction: float, storage_fraction: float) -> dict:
    regions = heap(_conf(fraction, storage_fraction), system_memory=heap_bytes)
    return {
        "unified": regions.max_heap_memory,
        "storage": regions.on_heap_storage_region_size,
        "execution": regions.execution_memory,
        "user": regions.user_memory,
    }


def _split(unified: float, storage: float, user: float) -> dict:
    return {
        "unified": int(unified),
        "storage": int(storage),
        "execution": int(unified) - int(storage),
        "user": int(user),
    }


def _forgets_the_reserve(heap_bytes, fraction, storage_fraction):
    unified = heap_bytes * fraction
    return _split(unified, unified * storage_fraction, heap_bytes - unified)


def _fraction_of_the_heap(heap_bytes, fraction, storage_fraction):
    unified = heap_bytes * fraction
    return _split(unified, unified * storage_fraction, heap_bytes - RESERVE - unified)


def _storage_fraction_of_the_heap(heap_bytes, fraction, storage_fraction):
    unified = (heap_bytes - RESERVE) * fraction
    return _split(unified, heap_bytes * storage_fraction, heap_bytes - RESERVE - unified)


def _counts_overhead_in(heap_bytes, fraction, storage_fraction):
    overhead = max(heap_bytes // 10, 384 * MIB)
    return _regions(heap_bytes + overhead, fraction, storage_fraction)


def _swaps_the_fractions(heap_bytes, fraction, storage_fraction):
    usable = heap_bytes - RESERVE
    unified = usable * storage_fraction
    return _split(unified, unified * fraction, usable - unified)


def _user_memory_holds_the_reserve(heap_bytes, fraction, storage_fraction):
    unified = (heap_bytes - RESERVE) * fraction
    return _split(unified, unified * storage_fraction, heap_bytes - unified)


def _draw_heaps(random: Random) -> list[tuple]:
    return [
        (
            random.randrange(512, 64 * 1024) * MIB,
            random.choice((0.25, 0.4, 0.55, 0.7, 0.75, 0.85)),
            random.choice((0.0, 0.1, 0.3, 0.45, 0.65, 0.9)),
        )
        for _ in range(20)
    ]


REGIONS = Task(
    name="regions",
    title="Regions from settings",
    points=4,
    reference=_regions,
    examples=((1 * GIB, 0.6, 0.5), (4 * GIB, 0.6, 0.5), (8 * GIB, 0.75, 0.3)),
    draw_inputs=_draw_heaps,
    within=2,  # bytes: Spark rounds each region down, an answer need not
    misconceptions=(
        Misconception(
            "forgets the reserve",
            "This is what you get when the 300 MiB reserve is left out: Spark takes it off the "
            "heap before it divides anything.",
            _forgets_the_reserve,
        ),
        Misconception(
            "applies the fraction to the heap",
            "This is what you get when `fraction` is taken of the whole heap. It is a share of "
            "what is left after the reserve.",
            _fraction_of_the_heap,
        ),
        Misconception(
            "takes storageFraction of the heap",
            "This is what you get when `storage_fraction` is taken of the whole heap. It is a "
            "share of the unified memory only.",
            _storage_fraction_of_the_heap,
        ),
        Misconception(
            "counts the overhead in",
            "This is what you get when the container's overhead is added to the heap first. "
            "Overhead lies outside the heap, and Spark's regions inside.",
            _counts_overhead_in,
        ),
        Misconception(
            "swaps the two fractions",
            "This is what you get when the two fractions change places: `fraction` gives the "
            "unified memory, `storage_fraction` then divides it.",
            _swaps_the_fractions,
        ),
        Misconception(
            "counts the reserve as user memory",
            "This is what you get when user memory is all of the heap that is not unified "
            "memory. The reserve belongs to neither.",
            _user_memory_holds_the_reserve,
        ),
    ),
)


# xmx_for


def _xmx(max_memory: float, collector: str) -> int:
    """The smallest -Xmx in MiB with which a JVM's Runtime.maxMemory is `max_memory` bytes."""
    kept_back = {"G1": 1, "Parallel": 9 / 8, "Serial": 30 / 29}[collector]
    return math.ceil(max_memory * kept_back / MIB)


def _xmx_for(unified_gib: int, collector: str) -> int:
    def unified(xmx: int) -> int:
        return heap(system_memory=runtime_max_memory(xmx * MIB, collector)).max_heap_memory

    xmx = math.floor((unified_gib * GIB / FRACTION + RESERVE) / MIB)
    while unified(xmx) < unified_gib * GIB:
        xmx += 1
    return xmx


def _without_the_reserve(unified_gib, collector):
    return _xmx(unified_gib * GIB / FRACTION, collector)


def _reserve_inside_the_fraction(unified_gib, collector):
    return _xmx((unified_gib * GIB + RESERVE) / FRACTION, collector)


def _without_the_survivor_space(unified_gib, collector):
    return _xmx(unified_gib * GIB / FRACTION + RESERVE, "G1")


def _survivor_space_as_share_of_the_rest(unified_gib, collector):
    added = {"G1": 1, "Parallel": 1 + 1 / 9, "Serial": 1 + 1 / 30}[collector]
    return math.ceil((unified_gib * GIB / FRACTION + RESERVE) * added / MIB)


def _for_the_storage_region(unified_gib, collector):
    return _xmx(unified_gib * GIB / (FRACTION * STORAGE_FRACTION) + RESERVE, collector)


def _with_overhead(unified_gib, collector):
    xmx = _xmx(unified_gib * GIB / FRACTION + RESERVE, collector)
    return xmx + max(xmx // 10, 384)


_MOST_WASTE = 0.02
_LARGEST_XMX = 64 * 1024  # MiB: a heap is only reserved until it fills, but even that has limits


@cache
def _unified_on_a_real_jvm(xmx: int, collector: str) -> int:
    """Bytes that Spark's own memory manager shares out in a JVM started that way."""
    from course_lib.spark import Jvm, JvmDiedError, NoJavaError

    # Only the quick compiler, because nothing here runs for long.
    options = ("-XX:TieredStopAtLevel=1",)
    try:
        with Jvm(
            f"{xmx}m",
            collector=collector,
            native_memory_tracking=False,
            options=options,
            spark_jars=True,
        ) as jvm:
            java = jvm.jvm
            name = "org.apache.spark.memory.UnifiedMemoryManager$"
            managers = java.java.lang.Class.forName(name).getField("MODULE$").get(None)
            conf = java.org.apache.spark.SparkConf(False)
            return managers.apply(conf, 1, False).maxHeapMemory()
    except (JvmDiedError, NoJavaError) as reason:
        raise CannotCheckError(str(reason)) from None


def _try_xmx(arguments: tuple, xmx: float) -> Effect:
    unified_gib, collector = arguments
    if xmx != int(xmx) or not 450 <= xmx <= _LARGEST_XMX:
        says = f"-Xmx should be whole MiB, at least 450 and at most {_LARGEST_XMX} (64 GiB)."
        return Effect(False, says)
    wanted, found = unified_gib * GIB, _unified_on_a_real_jvm(int(xmx), collector)
    evidence = (
        f"measured: in a JVM with -Xmx{int(xmx)}m and {collector} GC, Spark's own memory manager "
        f"has {bytes_to_string(found)}; {bytes_to_string(wanted)} were wanted"
    )
    if found < wanted:
        return Effect(False, "That heap is too small.", evidence)
    if found > wanted * (1 + _MOST_WASTE):
        return Effect(False, f"That heap wastes more than {_MOST_WASTE:.0%}.", evidence)
    return Effect(True, "Tried on a real JVM.", evidence)


XMX_FOR = Task(
    name="xmx_for",
    title="The heap that a job needs",
    points=4,
    reference=_xmx_for,
    examples=((8, "Parallel"), (4, "G1")),
    draw_inputs=lambda random: [
        (random.randrange(2, 12), collector) for collector in ("Parallel", "Serial")
    ],
    within=1,  # MiB: how an answer rounds is for the JVM to judge
    effect=_try_xmx,
    misconceptions=(
        Misconception(
            "forgets the reserve",
            "This is what you get when the 300 MiB reserve is left out.",
            _without_the_reserve,
        ),
        Misconception(
            "puts the reserve inside the fraction",
            "This is what you get when the reserve is added before dividing by `fraction`. Going "
            "backwards, divide first: Spark takes the reserve off before it multiplies.",
            _reserve_inside_the_fraction,
        ),
        Misconception(
            "forgets the survivor space",
            "This is what you get when `Runtime.maxMemory` is taken for -Xmx. That holds for G1; "
            "Parallel and Serial keep one survivor space back.",
            _without_the_survivor_space,
        ),
        Misconception(
            "adds the survivor space as a share of what is left",
            "This is what you get when the survivor space is added as a share of "
            "`Runtime.maxMemory`. It is a share of -Xmx: if a ninth is kept back, eight ninths "
            "are left.",
            _survivor_space_as_share_of_the_rest,
        ),
        Misconception(
            "asks for the storage region",
            "This is what you get when N GiB are asked for the storage region. Unified memory is "
            "storage and execution together.",
            _for_the_storage_region,
        ),
        Misconception(
            "adds the overhead",
            "This is what you get when the overhead is added. It is memory of the container, "
            "outside the heap, and Spark's regions cannot use it.",
            _with_overhead,
        ),
    ),
)


# shown_in_the_ui

_EXECUTORS = {
    "4g, G1": (4 * GIB, "G1", 0.6, 0.5),
    "4g, Parallel": (4 * GIB, "Parallel", 0.6, 0.5),
    "10g, G1, fraction 0.8, storageFraction 0.2": (10 * GIB, "G1", 0.8, 0.2),
}


def _in_the_ui(compute) -> dict[str, float]:
    return {name: round(compute(*executor) / MIB, 1) for name, executor in _EXECUTORS.items()}


def _unified(xmx, collector, fraction, storage_fraction):
    conf = _conf(fraction, storage_fraction)
    return heap(conf, system_memory=runtime_max_memory(xmx, collector)).max_heap_memory


SHOWN_IN_THE_UI = PredictionTask(
    name="shown_in_the_ui",
    title="Three numbers in the Spark UI",
    points=3,
    reference=lambda: _in_the_ui(_unified),
    within=2,  # MiB
    misconceptions=(
        Misconception(
            "takes the number for the storage region",
            "That is the storage region. The UI's Storage Memory is all the memory that storage "
            "may come to use: the whole unified memory.",
            lambda: _in_the_ui(lambda xmx, gc, f, s: _unified(xmx, gc, f, s) * s),
        ),
        Misconception(
            "forgets the reserve",
            "That leaves out the reserve of 300 MiB.",
            lambda: _in_the_ui(lambda xmx, gc, f, s: runtime_max_memory(xmx, gc) * f),
        ),
        Misconception(
            "forgets the reserve and the collector",
            "That is the fraction of -Xmx: it leaves out the reserve of 300 MiB and what the "
            "collector keeps back.",
            lambda: {"4g, Parallel": round(4096 * 0.6, 1)},
        ),
        Misconception(
            "takes every collector for G1",
            "That would be so under G1. Parallel keeps a survivor space back, and Spark starts "
            "from what `Runtime.maxMemory` then says.",
            lambda: _in_the_ui(lambda xmx, gc, f, s: _unified(xmx, "G1", f, s)),
        ),
        Misconception(
            "keeps the default fraction",
            "That is the number for the default `spark.memory.fraction`, 0.6.",
            lambda: _in_the_ui(lambda xmx, gc, f, s: _unified(xmx, gc, FRACTION, s)),
        ),
        Misconception(
            "takes 0.7 for the default",
            "That takes 0.7 for the default of `spark.memory.fraction`. It is 0.6, and it has "
            "never been 0.7.",
            lambda: _in_the_ui(lambda xmx, gc, f, s: _unified(xmx, gc, 0.7 if f == 0.6 else f, s)),
        ),
        Misconception(
            "takes 0.75 for the default",
            "That takes 0.75 for the default of `spark.memory.fraction`, as in Spark 1.6. Since "
            "2.0 it is 0.6.",
            lambda: _in_the_ui(lambda xmx, gc, f, s: _unified(xmx, gc, 0.75 if f == 0.6 else f, s)),
        ),
        Misconception(
            "takes storage for 30 % of the heap",
            "That is 30 % of the heap, which is not a quantity of Spark's.",
            lambda: _in_the_ui(lambda xmx, gc, f, s: xmx * 0.3),
        ),
    ),
)


# max_heap_memory


def _max_heap_memory(heap_bytes, executor_memory, fraction, storage_fraction):
    conf = _conf(fraction, storage_fraction)
    if executor_memory is not None:
        conf["spark.executor.memory"] = f"{executor_memory}b"
    return heap(conf, system_memory=heap_bytes).max_heap_memory


def _starts(
    heap_bytes,
    executor_memory,
    fraction,
    storage_fraction,
    *,
    least=450 * MIB,
    exclusive=False,
    sees_executor_memory=True,
    fraction_fits=lambda fraction: 0 < fraction <= 1,
    storage_fraction_fits=lambda storage_fraction: 0 <= storage_fraction < 1,
):
    """Spark's checks, each of which a misconception may replace with its own."""
    sizes = [heap_bytes]
    if sees_executor_memory and executor_memory is not None:
        sizes.append(executor_memory)
    if any(size < least or (exclusive and size == least) for size in sizes):
        raise ValueError("too small")
    if not fraction_fits(fraction) or not storage_fraction_fits(storage_fraction):
        raise ValueError("not a fraction that Spark takes")
    return int((heap_bytes - RESERVE) * fraction)


def _returns_zero(*arguments):
    try:
        return _max_heap_memory(*arguments)
    except ValueError:
        return 0


def _draw_starts(random: Random) -> list[tuple]:
    drawn = [
        (
            random.randrange(450, 16 * 1024) * MIB,
            random.choice((None, 450 * MIB, random.randrange(512, 4096) * MIB)),
            random.choice((0.3, 0.6, 0.9, 1.0)),
            random.choice((0.2, 0.5, 0.8)),
        )
        for _ in range(8)
    ]
    size = random.randrange(512, 8 * 1024) * MIB
    at_the_edges = [
        (450 * MIB, None, 0.6, 0.5),
        (450 * MIB, 450 * MIB, 0.6, 0.5),
        (450 * MIB - 1, None, 0.6, 0.5),
        (random.randrange(301, 450) * MIB, None, 0.6, 0.5),
        (random.randrange(1, 300) * MIB, None, 0.6, 0.5),
        (size, 449 * MIB, 0.6, 0.5),
        (size, random.randrange(301, 450) * MIB, 0.6, 0.5),
        (size, None, random.choice((1.2, 1.5, 2.0)), 0.5),
        (size, None, 0.0, 0.5),
        (size, None, -0.1, 0.5),
        (size, None, 0.6, 0.0),
        (size, None, 0.6, 1.0),
        (size, None, 0.6, random.choice((1.1, 2.0))),
        (size, None, 0.6, -0.1),
    ]
    return drawn + at_the_edges


MAX_HEAP_MEMORY = Task(
    name="max_heap_memory",
    title="What Spark refuses",
    points=4,
    reference=_max_heap_memory,
    examples=(
        (1 * GIB, None, 0.6, 0.5),
        (400 * MIB, None, 0.6, 0.5),
        (2 * GIB, 256 * MIB, 0.6, 0.5),
        (2 * GIB, 2 * GIB, 0.6, 1.5),
    ),
    draw_inputs=_draw_starts,
    within=1,
    misconceptions=(
        Misconception(
            "asks for the reserve only",
            "Your function starts with any heap beyond the reserve. Spark wants one and a half "
            "times the reserve: 450 MiB.",
            lambda *arguments: _starts(*arguments, least=RESERVE, exclusive=True),
        ),
        Misconception(
            "refuses 450 MiB",
            "Your function refuses 450 MiB. That is the least heap with which Spark starts.",
            lambda *arguments: _starts(*arguments, exclusive=True),
        ),
        Misconception(
            "looks at the heap only",
            "Your function looks at the heap only. Where `spark.executor.memory` is set, Spark "
            "wants 450 MiB there too, however large this heap is.",
            lambda *arguments: _starts(*arguments, sees_executor_memory=False),
        ),
        Misconception(
            "accepts a fraction above 1",
            "Your function accepts a `fraction` above 1. The memory manager would take it, but "
            "Spark looks at its settings first: it `should be between 0 and 1`.",
            lambda *arguments: _starts(*arguments, fraction_fits=lambda f: f > 0),
        ),
        Misconception(
            "accepts a fraction of 0",
            "Your function accepts a `fraction` that leaves nothing for execution. Spark says "
            "`onHeapExecutionMemory must be > 0`.",
            lambda *arguments: _starts(*arguments, fraction_fits=lambda f: 0 <= f <= 1),
        ),
        Misconception(
            "accepts a storageFraction of 1",
            "Your function accepts a `storage_fraction` of 1. Spark says "
            "`Storage fraction must be in [0,1)`.",
            lambda *arguments: _starts(*arguments, storage_fraction_fits=lambda s: 0 <= s <= 1),
        ),
        Misconception(
            "refuses a storageFraction of 0",
            "Your function refuses a `storage_fraction` of 0. Spark starts with it: cached blocks "
            "are then safe nowhere.",
            lambda *arguments: _starts(*arguments, storage_fraction_fits=lambda s: 0 < s < 1),
        ),
        Misconception(
            "returns 0 where Spark refuses",
            "Your function returns 0 where Spark refuses to start. Raise a ValueError, so that "
            "nobody takes the refusal for a size.",
            _returns_zero,
        ),
    ),
)


PROBLEM_SET = ProblemSet(
    "ps04-heap-regions",
    "Inside the executor's heap",
    (REGIONS, XMX_FOR, SHOWN_IN_THE_UI, MAX_HEAP_MEMORY),
)

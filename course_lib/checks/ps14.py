"""Problem set 14: whose bill GC time is, settings that halve it, the size of objects, Kryo, and the
smallest of four forms.

`EXAMPLE_LOG` and `DATA_SETS` are what the notebook shows. The recorded sizes are made by
`scripts/record_four_forms.py`.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from random import Random
from typing import NamedTuple

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
from course_lib.spark.gc_log import Collection, parse_gc_log
from course_lib.units import MIB, byte_string_as_bytes

# gc_bill

_CAUSES = ("G1 Evacuation Pause", "G1 Humongous Allocation", "G1 Compaction Pause", "System.gc()")

EXAMPLE_LOG = [
    "[0.004s][info][gc] Using G1",
    "[2.310s][info][gc] GC(0) Pause Young (Normal) (G1 Evacuation Pause) 310M->220M(640M) 21.400ms",
    "[2.911s][info][gc] GC(1) Pause Full (System.gc()) 300M->180M(640M) 210.300ms",
    "[3.220s][info][gc] GC(2) Pause Young (Normal) (G1 Evacuation Pause) 410M->330M(640M) 35.700ms",
    "[3.620s][info][gc] GC(3) Pause Young (Normal) (G1 Evacuation Pause) 415M->335M(640M) 33.100ms",
    "[4.120s][info][gc] GC(4) Pause Young (Concurrent Start) (G1 Humongous Allocation) "
    "620M->140M(640M) 9.800ms",
    "[4.160s][info][gc] GC(5) Concurrent Mark Cycle 180.100ms",
    "[4.301s][info][gc] GC(5) Pause Remark 152M->152M(640M) 3.500ms",
]

_ANOTHER_LOG = [
    EXAMPLE_LOG[0],
    "[1.120s][info][gc] GC(0) Pause Young (Concurrent Start) (G1 Humongous Allocation) "
    "350M->340M(640M) 90.200ms",
    "[1.482s][info][gc] GC(1) Pause Full (System.gc()) 600M->120M(640M) 80.100ms",
    "[1.902s][info][gc] GC(2) Pause Young (Concurrent Start) (G1 Humongous Allocation) "
    "352M->341M(640M) 88.700ms",
    "[2.415s][info][gc] GC(3) Pause Full (G1 Compaction Pause) 380M->330M(640M) 160.400ms",
    "[2.800s][info][gc] GC(4) Pause Young (Normal) (G1 Evacuation Pause) 390M->335M(640M) 12.000ms",
]


def _collections(log_lines: Sequence[str]) -> list[Collection]:
    """Those that have a cause: the pauses of a marking cycle have none of their own."""
    found = parse_gc_log("\n".join(log_lines)).collections
    return [one for one in found if one.cause in _CAUSES]


def _largest(amounts: Counter) -> str:
    return max(amounts, key=lambda cause: amounts[cause])


def _by_pause(collections: Sequence[Collection]) -> str:
    """The cause that most of the paused time has."""
    paused = Counter()
    for one in collections:
        paused[one.cause] += one.pause
    return _largest(paused)


def _by_freed(collections: Sequence[Collection]) -> str:
    freed = Counter()
    for one in collections:
        freed[one.cause] += one.before - one.after
    return _largest(freed)


def _share(tasks: Sequence[tuple[int, int]]) -> float:
    return sum(gc for _, gc in tasks) / sum(ran for ran, _ in tasks)


def _bill(
    tasks: Sequence[tuple[int, int]],
    log_lines: Sequence[str],
    *,
    share: Callable[[Sequence[tuple[int, int]]], float] = _share,
    cause: Callable[[Sequence[Collection]], str] = _by_pause,
) -> dict:
    """As Spark and the JVM have it, where a misconception does not say otherwise."""
    return {"share": share(tasks), "cause": cause(_collections(log_lines))}


def _gc_bill(tasks: list[tuple[int, int]], log_lines: list[str]) -> dict:
    return _bill(tasks, log_lines)


_LONG_TASK_MS = 60_000


def _draw_bills(random: Random) -> list[tuple]:
    """Tasks of very different length, and logs in which another cause than the costliest is the
    most frequent, another has the longest pause, another frees most."""
    drawn = []
    while len(drawn) < 16:
        log_lines = _draw_log(random)
        collections = _collections(log_lines)
        right = _by_pause(collections)
        others = [
            _largest(Counter(one.cause for one in collections)),
            max(collections, key=lambda one: one.pause).cause,
            _by_freed(collections),
            collections[-1].cause,
        ]
        if others.count(right) <= 1:
            drawn.append((_draw_tasks(random), log_lines))
    return drawn


def _draw_tasks(random: Random) -> list[tuple[int, int]]:
    """The long ones have a small share of GC time, the short ones a large one."""
    long = [(random.randrange(_LONG_TASK_MS // 2, _LONG_TASK_MS), 0.02) for _ in range(3)]
    short = [(random.randrange(500, 4000), 0.5) for _ in range(random.randrange(2, 6))]
    tasks = [(ran, int(ran * share * random.uniform(0.5, 1.5))) for ran, share in long + short]
    random.shuffle(tasks)
    return tasks


def _draw_log(random: Random) -> list[str]:
    phases = {
        "G1 Evacuation Pause": "Young (Normal)",
        "G1 Humongous Allocation": "Young (Concurrent Start)",
        "G1 Compaction Pause": "Full",
        "System.gc()": "Full",
    }
    events = []
    for cause in _CAUSES:
        count = random.choice((1, 2, 6, 14))
        pause, freed = random.uniform(5, 400) / count, random.randrange(20, 400) // count
        events += [(cause, pause * random.uniform(0.5, 1.5), freed) for _ in range(count)]
    random.shuffle(events)
    lines, time = ["[0.004s][info][gc] Using G1"], 1.0
    for number, (cause, pause, freed) in enumerate(events):
        time += pause / 1000 + random.uniform(0.05, 0.4)
        after = random.randrange(100, 200)
        lines.append(
            f"[{time:.3f}s][info][gc] GC({number}) Pause {phases[cause]} ({cause}) "
            f"{after + freed}M->{after}M(640M) {pause:.3f}ms"
        )
    return lines


GC_BILL = Task(
    name="gc_bill",
    title="The bill and who ran it up",
    points=3,
    reference=_gc_bill,
    examples=(
        ([(12_000, 7_000), (11_800, 6_950)], EXAMPLE_LOG),
        ([(60_000, 1_200), (2_000, 1_000), (1_000, 480)], _ANOTHER_LOG),
    ),
    draw_inputs=_draw_bills,
    within=1e-3,
    misconceptions=(
        Misconception(
            "averages the tasks' shares",
            "This is what you get when each task has a share and the shares are averaged. A short "
            "task then counts as much as a long one: add up the times first.",
            lambda tasks, log_lines: _bill(
                tasks,
                log_lines,
                share=lambda tasks: sum(gc / ran for ran, gc in tasks) / len(tasks),
            ),
        ),
        Misconception(
            "takes GC time off the running time",
            "This is what you get when GC time is divided by the rest of the time. The running "
            "time has the GC time in it.",
            lambda tasks, log_lines: _bill(
                tasks,
                log_lines,
                share=lambda tasks: _share(tasks) / (1 - _share(tasks)),
            ),
        ),
        Misconception(
            "divides by the longest task",
            "This is what you get when the GC time of all tasks is divided by the time of the "
            "longest. Each task counts the pauses itself: divide by the time of all tasks.",
            lambda tasks, log_lines: _bill(
                tasks,
                log_lines,
                share=lambda tasks: sum(gc for _, gc in tasks) / max(ran for ran, _ in tasks),
            ),
        ),
        Misconception(
            "counts collections",
            "This is the cause of the most collections. One full collection may cost more than "
            "fifty young ones: add up their pauses.",
            lambda tasks, log_lines: _bill(
                tasks,
                log_lines,
                cause=lambda found: _largest(Counter(one.cause for one in found)),
            ),
        ),
        Misconception(
            "takes the longest pause",
            "This is the cause of the longest pause. Many short ones may add up to more.",
            lambda tasks, log_lines: _bill(
                tasks,
                log_lines,
                cause=lambda found: max(found, key=lambda one: one.pause).cause,
            ),
        ),
        Misconception(
            "looks for what frees most",
            "This is the cause whose collections freed most. What is freed costs next to nothing: "
            "time is lost in pauses.",
            lambda tasks, log_lines: _bill(tasks, log_lines, cause=_by_freed),
        ),
        Misconception(
            "takes the last line",
            "This is the cause of the last collection. The whole log counts.",
            lambda tasks, log_lines: _bill(tasks, log_lines, cause=lambda found: found[-1].cause),
        ),
    ),
)


# less_gc

OBJECTS, SERIALIZED, DATAFRAME, NOTHING = "JVM objects", "serialized", "DataFrame", "nothing"
CACHED_ROWS, HEAP, YOUNG_MIB = 1_400_000, "640m", 320
_SERIALIZERS = ("JavaSerializer", "KryoSerializer")

_CACHING = """
import json

from course_lib.spark import lab_session, rest

conf = {
    "spark.driver.extraJavaOptions": f"-Xmn{YOUNG}m",
    "spark.memory.fraction": 0.95,
    "spark.rdd.compress": False,
    "spark.serializer": f"org.apache.spark.serializer.{SERIALIZER}",
}
with lab_session(driver_memory=HEAP, collector="Parallel", conf=conf) as spark:
    columns = ("id", "id / 100 AS price", "concat('customer ', id % 1000) AS name")
    table = spark.range(0, ROWS, 1, 16).selectExpr(*columns)
    levels = spark._jvm.org.apache.spark.api.java.StorageLevels
    encoders = spark._jvm.org.apache.spark.sql.Encoders
    triple = encoders.tuple(encoders.LONG(), encoders.DOUBLE(), encoders.STRING())
    rows = getattr(table._jdf, "as")(triple).javaRDD()
    if FORM == "DataFrame":
        rows = table.cache()
    elif FORM != "nothing":
        rows.persist(levels.MEMORY_ONLY if FORM == "JVM objects" else levels.MEMORY_ONLY_SER)
    counted = [rows.count() for _ in range(3)]
    spark.sparkContext._jsc.sc().listenerBus().waitUntilEmpty()
    stages, stored = rest(spark, "stages"), rest(spark, "storage/rdd")
print(json.dumps({
    "share": sum(s["jvmGcTime"] for s in stages) / sum(s["executorRunTime"] for s in stages),
    "cached": stored[0]["numCachedPartitions"] / 16 if stored else 0,
    "counted": counted,
}))
"""


def _child(program: str, **given: object) -> dict:
    """Run a program with these variables in a child process; the dict that it prints."""
    from course_lib.spark import NoJavaError
    from course_lib.spark.autopsy import autopsy

    head = "".join(f"{name.upper()} = {value!r}\n" for name, value in given.items())
    try:
        remains = autopsy(head + program, timeout=300)
    except NoJavaError as reason:
        raise CannotCheckError(str(reason)) from None
    if not remains.survived:
        raise CannotCheckError(f"the program did not finish.\n{remains}\n{remains.log[-500:]}")
    return json.loads(remains.stdout)


def _cached(form: str, serializer: str, young: int) -> dict:
    return _child(
        _CACHING, form=form, serializer=serializer, young=young, rows=CACHED_ROWS, heap=HEAP
    )


@cache
def _before() -> float:
    """The share of GC time with the settings that the learner finds, on this machine."""
    return _cached(OBJECTS, _SERIALIZERS[0], YOUNG_MIB)["share"]


def _one_of(*values: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if value not in values:
            raise ValueError(f"{value!r} is not one of {', '.join(map(repr, values))}")
        return value

    return read


def _read_young(value: object) -> int:
    young = byte_string_as_bytes(value) // MIB
    if not 16 <= young <= 480:
        raise ValueError(f"{value} is not a young generation from 16m to 480m, in this heap")
    return young


def _try_caching(chosen: Mapping) -> Effect:
    form, serializer, young = chosen["cached as"], chosen["serializer"], chosen["young"]
    before, report = _before(), _cached(form, serializer, young)
    evidence = f"measured: GC time {report['share']:.0%} of the tasks' time, {before:.0%} before"
    if report["cached"] < 1:
        says = f"Only {report['cached']:.0%} of the blocks are cached."
        return Effect(False, says, evidence, "gives up the cache" if form == NOTHING else None)
    if report["share"] > before / 2:
        return Effect(False, "That is more than half.", evidence, _why_collecting(chosen))
    return Effect(True, "Half of it or less, and every block is cached.", evidence)


def _why_collecting(chosen: Mapping) -> str | None:
    if chosen["cached as"] != OBJECTS:
        return None
    if chosen["young"] > YOUNG_MIB:
        return "gives the young generation still more"
    return "sets Kryo and keeps the objects" if chosen["serializer"] == _SERIALIZERS[1] else None


def _caching(form: str, serializer: str, young: str) -> dict[str, str]:
    return {"cached as": form, "serializer": serializer, "young": young}


LESS_GC = EffectTask(
    name="less_gc",
    title="Half of the GC time",
    points=4,
    read=read_with(
        {
            "cached as": _one_of(OBJECTS, SERIALIZED, DATAFRAME, NOTHING),
            "serializer": _one_of(*_SERIALIZERS),
            "young": _read_young,
        }
    ),
    run=_try_caching,
    reference=lambda: _caching(DATAFRAME, "JavaSerializer", "160m"),
    misconceptions=(
        Misconception(
            "sets Kryo and keeps the objects",
            "You have set Kryo, and what is cached as objects is not serialized at all: the "
            "collector finds as many of them as before.",
            lambda: _caching(OBJECTS, "KryoSerializer", "320m"),
        ),
        Misconception(
            "gives the young generation still more",
            "What is cached lives in the old generation. What you give to the young one, it has "
            "not: full collections follow one another.",
            lambda: _caching(OBJECTS, "JavaSerializer", "400m"),
        ),
        Misconception(
            "gives up the cache",
            "Nothing is cached any more, so there is nothing to collect, and all is computed three "
            "times. Another form of the cache costs the collector as little.",
            lambda: _caching(NOTHING, "JavaSerializer", "320m"),
        ),
    ),
)


# object_size

_BYTES = {
    "boolean": 1,
    "byte": 1,
    "char": 2,
    "short": 2,
    "int": 4,
    "float": 4,
    "long": 8,
    "double": 8,
}
_LARGE_HEAP_GIB = 32


def _up(size: int, unit: int = 8) -> int:
    return -(-size // unit) * unit


def _object_of(
    primitives: Sequence[str],
    strings: Sequence[int],
    heap_gib: int,
    *,
    large: Callable[[int], bool] = lambda heap_gib: heap_gib >= _LARGE_HEAP_GIB,
    header: bool = True,
    pad: Callable[[int], int] = _up,
    character: int = 1,
    string: bool = True,
    referred: bool = True,
) -> int:
    """As Spark's SizeEstimator reckons, where a misconception does not say otherwise."""
    reference, head = (8, 16) if large(heap_gib) else (4, 12)
    head = head if header else 0
    fields = sorted([_BYTES[one] for one in primitives] + [reference] * len(strings), reverse=True)
    # Large fields first. Each begins at a multiple of its size; a gap before it is used by others.
    end = filled = head
    for size in sorted(set(fields), reverse=True):
        together = size * fields.count(size)
        end = max(end, _up(filled, size) + together)
        filled += together
    own = pad(_up(end, reference))
    if not referred:
        return own
    array = _up(head + 4) if head else 0
    string_object = pad(head + reference + 6) if string else 0
    return own + sum(string_object + array + pad(length * character) for length in strings)


def _object_size(primitives: list[str], strings: list[int], heap_gib: int) -> int:
    return _object_of(primitives, strings, heap_gib)


def _draw_objects(random: Random) -> list[tuple]:
    return [
        (
            random.choices(list(_BYTES), k=random.randrange(7)),
            [random.randrange(1, 40) for _ in range(random.randrange(4))],
            heap_gib,
        )
        for heap_gib in (1, 4, 16, 31, 32, 48, 64) * 4
    ]


OBJECT_SIZE = Task(
    name="object_size",
    title="The size of an object",
    points=3,
    reference=_object_size,
    examples=(
        (["long", "int", "double"], [12], 4),
        (["long", "int", "double"], [12], 48),
        (["boolean"], [], 1),
        ([], [5, 16], 31),
    ),
    draw_inputs=_draw_objects,
    misconceptions=(
        Misconception(
            "adds up the bare values",
            "This is what you get from the values alone. An object has a header, and what it "
            "refers to are objects too.",
            lambda primitives, strings, heap_gib: (
                sum(_BYTES[one] for one in primitives) + sum(strings)
            ),
        ),
        Misconception(
            "forgets the headers",
            "This is what you get without headers: 12 bytes of each object, 16 of each array, and "
            "more in a large heap.",
            lambda *arguments: _object_of(*arguments, header=False),
        ),
        Misconception(
            "forgets the padding",
            "This is what you get without padding: everything on the heap begins at a multiple of "
            "8.",
            lambda *arguments: _object_of(*arguments, pad=lambda size: size),
        ),
        Misconception(
            "always compresses references",
            "This is what you get when a reference has 4 bytes in any heap. From 32 GB on it has "
            "8, and Spark reckons with larger headers.",
            lambda *arguments: _object_of(*arguments, large=lambda heap_gib: False),
        ),
        Misconception(
            "never compresses references",
            "This is what you get when a reference has 8 bytes in any heap. Below 32 GB the JVM "
            "compresses it to 4.",
            lambda *arguments: _object_of(*arguments, large=lambda heap_gib: True),
        ),
        Misconception(
            "stops at the references",
            "This is what you get when strings cost no more than the references to them. They are "
            "objects too, and nobody else holds them.",
            lambda *arguments: _object_of(*arguments, referred=False),
        ),
        Misconception(
            "takes a string for an array",
            "This is what you get when a string is its array of characters. It is an object of its "
            "own, which refers to that.",
            lambda *arguments: _object_of(*arguments, string=False),
        ),
        Misconception(
            "takes two bytes for a character",
            "This is what you get with two bytes for a character. One is enough for these.",
            lambda *arguments: _object_of(*arguments, character=2),
        ),
    ),
)


# kryo_settings

_ORDER = "shop.Order"
_LIST_LENGTH = 3_000_000
_MOST_BYTES_PER_ORDER = 38

_KRYO = """
import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory

from pyspark.errors import SparkRuntimeException

from course_lib.spark import Jvm, SparkRefusal, lab_session, rest

report = {}
with TemporaryDirectory() as folder:
    jar = Path(folder, "shop.jar")
    with Jvm() as jvm:
        jvm.write_jar(SOURCE, jar)
    CONF |= {"spark.jars": jar, "spark.rdd.compress": False}
    try:
        with lab_session(driver_memory="512m", conf=CONF) as spark:
            java = spark._jvm.java
            sql = spark._jvm.org.apache.spark.sql
            loader = java.lang.Thread.currentThread().getContextClassLoader()
            columns = ["id", "cast(id % 365 AS int) AS day", "id / 100 AS price"]
            columns.append("concat('customer ', id % 1000) AS name")
            table = spark.range(0, ROWS, 1, 2).selectExpr(*columns)
            orders = getattr(table._jdf, "as")(sql.Encoders.bean(loader.loadClass("shop.Order")))
            levels = spark._jvm.org.apache.spark.api.java.StorageLevels
            orders.javaRDD().persist(levels.MEMORY_ONLY_SER).count()
            spark.sparkContext._jsc.sc().listenerBus().waitUntilEmpty()
            report["bytes"] = rest(spark, "storage/rdd")[0]["memoryUsed"] / ROWS
            names = java.util.ArrayList(java.util.Collections.nCopies(LENGTH, "customer"))
            try:
                spark._jsparkSession.createDataset([names], sql.Encoders.kryo(names.getClass()))
            except SparkRuntimeException as failure:
                report["large"] = re.search("Kryo serialization.*value", failure._stackTrace)[0]
    except SparkRefusal as refusal:
        report["refused"] = str(refusal).splitlines()[0]
print(json.dumps(report))
"""


def _member(kind: str, name: str) -> str:
    return (
        f"private {kind} {name}; public {kind} get{name.title()}() {{ return {name}; }} "
        f"public void set{name.title()}({kind} value) {{ {name} = value; }} "
    )


_SOURCE = (
    "package shop; public class Order implements java.io.Serializable { "
    + _member("long", "id")
    + _member("int", "day")
    + _member("double", "price")
    + _member("String", "name")
    + "}"
)


def _read_classes(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text; name classes, separated by commas")
    return value


def _read_serializer(value: object) -> str:
    return _one_of(*(f"org.apache.spark.serializer.{one}" for one in _SERIALIZERS))(value)


def _try_kryo(chosen: Mapping) -> Effect:
    conf = {**chosen, "spark.kryoserializer.buffer.max": _mib(chosen)}
    report = _child(_KRYO, conf=conf, rows=100_000, length=_LIST_LENGTH, source=_SOURCE)
    if "refused" in report:
        unknown = "register classes" in report["refused"]
        named = "registers a class that is not there" if unknown else None
        return Effect(False, f"Spark says: {report['refused']}", misconception=named)
    evidence = f"measured: {report['bytes']:.1f} bytes for an order"
    if report["bytes"] > _MOST_BYTES_PER_ORDER:
        kryo = chosen["spark.serializer"].endswith(_SERIALIZERS[1])
        named = "registers nothing that is cached" if kryo else "keeps Java's serializer"
        return Effect(False, "The cache is too large.", evidence, named)
    if "large" in report:
        says = f"The large list fails: {report['large']}"
        return Effect(False, says, evidence, "leaves the buffer as it is")
    return Effect(True, "The cache is small, and the large list is written.", evidence)


def _mib(chosen: Mapping) -> str:
    return f"{chosen['spark.kryoserializer.buffer.max']}m"


def _kryo(serializer: str, classes: str, most: str) -> dict[str, str]:
    return {
        "spark.serializer": f"org.apache.spark.serializer.{serializer}",
        "spark.kryo.classesToRegister": classes,
        "spark.kryoserializer.buffer.max": most,
    }


KRYO_SETTINGS = EffectTask(
    name="kryo_settings",
    title="Kryo, as it should be set",
    points=3,
    read=read_with(
        {
            "spark.serializer": _read_serializer,
            "spark.kryo.classesToRegister": _read_classes,
            "spark.kryoserializer.buffer.max": spark_setting("spark.kryoserializer.buffer.max"),
        }
    ),
    run=_try_kryo,
    reference=lambda: _kryo("KryoSerializer", _ORDER, "64m"),
    misconceptions=(
        Misconception(
            "keeps Java's serializer",
            "What is cached serialized is written by `spark.serializer`, and that is still Java's.",
            lambda: _kryo("JavaSerializer", _ORDER, "64m"),
        ),
        Misconception(
            "registers nothing that is cached",
            "Kryo writes the name of the class into each order: that class is not registered.",
            lambda: _kryo("KryoSerializer", "java.util.ArrayList", "64m"),
        ),
        Misconception(
            "registers a class that is not there",
            "A class is registered by its whole name, with its package.",
            lambda: _kryo("KryoSerializer", "Order", "64m"),
        ),
        Misconception(
            "leaves the buffer as it is",
            "The buffer has to hold the largest object that is written as a whole. The message "
            "says what to raise.",
            lambda: _kryo("KryoSerializer", _ORDER, "1m"),
        ),
    ),
)


# smallest


class DataSet(NamedTuple):
    """So many rows of some columns, as Spark SQL makes them from ``id``, and what they are to a
    reader. `types` are the encoders of the columns."""

    rows: int
    columns: tuple[str, ...]
    types: tuple[str, ...]
    told: str


DATA_SETS = {
    "A": DataSet(
        200_000,
        ("id % 7", "id % 2 = 0", "concat('country ', id % 20)"),
        ("LONG", "BOOLEAN", "STRING"),
        "a weekday (long), yes or no (boolean), one of twenty countries (string)",
    ),
    "B": DataSet(
        100_000,
        tuple(f"substr(md5(concat('{letter}', id)), 1, 5)" for letter in "vwxyz"),
        ("STRING",) * 5,
        "five codes of five letters and digits (string), each another one",
    ),
    "C": DataSet(
        200_000,
        ("rand(1)", "rand(2)", "rand(3)"),
        ("DOUBLE", "DOUBLE", "DOUBLE"),
        "three random numbers (double)",
    ),
    "D": DataSet(
        200_000,
        ("id", "rand(4)"),
        ("LONG", "DOUBLE"),
        "a running number (long) and a random one (double)",
    ),
}
FORMS = ("JVM objects", "serialized by Java", "serialized by Kryo", "DataFrame")


def forms() -> dict[str, dict[str, int]]:
    """Bytes of each data set in each form, in the cache of a real Spark."""
    from course_lib.spark import lab_session

    measured = {letter: {} for letter in DATA_SETS}
    for serializer in _SERIALIZERS:
        conf = {
            "spark.rdd.compress": False,
            "spark.serializer": f"org.apache.spark.serializer.{serializer}",
        }
        with lab_session(driver_memory="640m", conf=conf) as spark:
            for letter, data_set in DATA_SETS.items():
                measured[letter] |= _in_cache(spark, data_set, serializer)
    return {letter: {form: sizes[form] for form in FORMS} for letter, sizes in measured.items()}


def _in_cache(spark, data_set: DataSet, serializer: str) -> dict[str, int]:
    from course_lib.spark.storage import storage_tab

    levels = spark._jvm.org.apache.spark.api.java.StorageLevels
    encoders = spark._jvm.org.apache.spark.sql.Encoders
    columns = (f"{column} AS _{n}" for n, column in enumerate(data_set.columns, start=1))
    table = spark.range(0, data_set.rows, 1, 2).selectExpr(*columns)
    encoder = encoders.tuple(*(getattr(encoders, name)() for name in data_set.types))
    objects = getattr(table._jdf, "as")(encoder)
    sizes = {}
    for form, cached in (
        ("JVM objects", lambda: objects.javaRDD().persist(levels.MEMORY_ONLY)),
        (
            f"serialized by {serializer.removesuffix('Serializer')}",
            lambda: objects.javaRDD().persist(levels.MEMORY_ONLY_SER),
        ),
        ("DataFrame", table.cache),
    ):
        rows = cached()
        rows.count()
        sizes[form] = storage_tab(spark).memory_used
        rows.unpersist(True)
    return sizes


def recorded_forms() -> dict[str, dict[str, int]]:
    """What `forms` returned when it was recorded."""
    text = files("course_lib").joinpath("recorded/four_forms.json").read_text()
    return json.loads(text)["bytes"]


def _smallest() -> dict[str, str]:
    return {letter: min(sizes, key=sizes.get) for letter, sizes in recorded_forms().items()}


def _but(form: str) -> Callable[[], dict[str, str]]:
    """This form, wherever another one is the smallest."""
    return lambda: {letter: form for letter, right in _smallest().items() if right != form}


SMALLEST = PredictionTask(
    name="smallest",
    title="The smallest of four forms",
    points=2,
    reference=_smallest,
    misconceptions=(
        Misconception(
            "takes objects for small",
            "Each value of an object has a header or a reference around it: it is the largest form "
            "of all.",
            _but("JVM objects"),
        ),
        Misconception(
            "takes Java's bytes for small",
            "Java's serializer writes descriptions of classes and keeps numbers at full width.",
            _but("serialized by Java"),
        ),
        Misconception(
            "takes Kryo for the smallest always",
            "Kryo writes row by row. Where values repeat, or all have the same width, columns do "
            "better: they need nothing between the rows.",
            _but("serialized by Kryo"),
        ),
        Misconception(
            "takes columns for the smallest always",
            "Columns save where values repeat or lie close together. Strings that are all "
            "different have four bytes of length each, for which Kryo needs two.",
            _but("DataFrame"),
        ),
    ),
)


PROBLEM_SET = ProblemSet(
    "ps14-garbage-collection",
    "Garbage collection and serialization",
    (GC_BILL, LESS_GC, OBJECT_SIZE, KRYO_SETTINGS, SMALLEST),
)

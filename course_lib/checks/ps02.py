"""Problem set 02: a collector's log, a heap that is large enough, six deaths, and sizes.

`EXAMPLE_LOG`, `REMAINS` and `ORDERS` are what the notebook shows.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from itertools import pairwise
from random import Random
from typing import NamedTuple

from course_lib.checks.reading import read_with
from course_lib.checks.registry import ProblemSet
from course_lib.checks.tasks import (
    CannotCheckError,
    Effect,
    EffectTask,
    Misconception,
    PredictionTask,
    Task,
)
from course_lib.spark.gc_log import parse_gc_log
from course_lib.units import GIB, MIB, byte_string_as_bytes

_RECORDED = json.loads(files("course_lib").joinpath("recorded/heap_at_work.json").read_text())


# gc_share

_LOG = _RECORDED["gc_log"]
EXAMPLE_LOG = [_LOG[0], *_LOG[216:229]]

_LINE = re.compile(r"\[(?P<time>[\d.]+)s\].*\) (?P<kind>Pause \w+|Concurrent).* (?P<ms>[\d.]+)ms")


class _Line(NamedTuple):
    time: float
    kind: str
    ms: float

    @property
    def is_pause(self) -> bool:
        return self.kind.startswith("Pause")


def _read(lines: Sequence[str]) -> list[_Line]:
    """The lines that tell how long something took."""
    found = filter(None, map(_LINE.match, lines))
    return [_Line(float(one["time"]), one["kind"], float(one["ms"])) for one in found]


def _gc_share(log_lines: list[str], start: float, end: float) -> float:
    return parse_gc_log("\n".join(log_lines)).gc_share(start, end)


def _milliseconds(lines, start, end, counts: Callable[[_Line], bool] = lambda _: True) -> float:
    return sum(one.ms for one in _read(lines) if start <= one.time <= end and counts(one))


def _paused(lines, start, end) -> float:
    return _milliseconds(lines, start, end, lambda one: one.is_pause)


def _counts_collections(lines, start, end):
    return sum(one.is_pause and start <= one.time <= end for one in _read(lines)) / len(lines)


def _of_the_running_time(lines, start, end):
    share = _gc_share(lines, start, end)
    return share / (1 - share)


def _draw_windows(random: Random) -> list[tuple]:
    """Parts of the recorded log, each with a time that begins and ends while the program runs, so
    that no pause is cut in two."""
    drawn = []
    while len(drawn) < 12:
        first, length = random.randrange(1, len(_LOG) - 24), random.randrange(14, 24)
        lines = _read(_LOG[first : first + length])
        edges = [
            round((before.time + after.time - after.ms / 1000) / 2, 4)
            for before, after in pairwise(lines)
            if after.is_pause and after.time - after.ms / 1000 - before.time > 0.001
        ]
        if len(edges) < 4:
            continue
        start, end = random.choice(edges[:2]), random.choice(edges[-2:])
        if any(start < one.time < end for one in lines if not one.is_pause):
            drawn.append(([_LOG[0], *_LOG[first : first + length]], start, end))
    return drawn


GC_SHARE = Task(
    name="gc_share",
    title="The share of time in pauses",
    points=4,
    reference=_gc_share,
    examples=((EXAMPLE_LOG, 1.71, 1.766), (EXAMPLE_LOG, 1.61, 1.795)),
    draw_inputs=_draw_windows,
    within=1e-4,
    misconceptions=(
        Misconception(
            "counts concurrent phases",
            "This is what you get when `Concurrent …` lines are counted too. That work goes on "
            "beside the program, which does not stand still for it.",
            lambda lines, start, end: _milliseconds(lines, start, end) / 1000 / (end - start),
        ),
        Misconception(
            "counts collections instead of time",
            "This is what you get when the pauses are counted and divided by the number of lines. "
            "One pause may last a hundred times as long as another: add up their times.",
            _counts_collections,
        ),
        Misconception(
            "takes milliseconds for seconds",
            "This is what you get when milliseconds are divided by seconds. Pauses are written in "
            "ms, the window in s.",
            lambda lines, start, end: _paused(lines, start, end) / (end - start),
        ),
        Misconception(
            "divides by the time since the JVM's start",
            "This is what you get when the pauses are divided by `end`. The window is "
            "`end - start` seconds long: the log began earlier.",
            lambda lines, start, end: _paused(lines, start, end) / 1000 / end,
        ),
        Misconception(
            "counts full collections only",
            "This is what you get when only full collections are counted. The program stands "
            "still in every line that says `Pause`.",
            lambda lines, start, end: (
                _milliseconds(lines, start, end, lambda one: one.kind == "Pause Full")
                / 1000
                / (end - start)
            ),
        ),
        Misconception(
            "counts pauses outside the window",
            "This is what you get when all pauses in the log are counted. Those before `start` "
            "and after `end` belong to another time.",
            lambda lines, start, end: _paused(lines, 0, math.inf) / 1000 / (end - start),
        ),
        Misconception(
            "divides by the time that was not pause",
            "This is what you get when pauses are divided by the time in which the program ran. A "
            "share is a part of the whole: of the window with its pauses.",
            _of_the_running_time,
        ),
    ),
)


# smallest_heap

_MOST_COLLECTING = 0.10
_SMALLEST_HEAP, _LARGEST_HEAP = 8 * MIB, 2 * GIB

# Once all orders are open, it goes on for a second and a half of processor time.
ORDERS = """public class Orders { public static void main(String[] args) {
    com.sun.management.OperatingSystemMXBean process = (com.sun.management.OperatingSystemMXBean)
        java.lang.management.ManagementFactory.getOperatingSystemMXBean();
    int[][] open = new int[400000][];
    long start = 0, used = 0;
    for (int i = 0; used < 1500000000L; i++) {
        int[] order = new int[20];
        for (int k = 0; k < order.length; k++) order[k] = i % (k + 7);
        if (i < open.length || i % 1000 == 0) open[i % open.length] = order;
        if (i == open.length) {
            System.out.println("all open");
            start = process.getProcessCpuTime();
        }
        if (i > open.length && i % 1000 == 0) used = process.getProcessCpuTime() - start;
    }
    System.out.println("used " + used);
}}"""

# Only the quick compiler: the other would still be at work while the clock runs.
_OPTIONS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xlog:gc+cpu:stdout")
_COLLECTORS_TIME = re.compile(r"User=([\d.]+)s Sys=([\d.]+)s")


def _collecting(heap: int) -> float | None:
    """The share of its processor time that the program spends on collecting in a heap of so many
    bytes; None where it dies of OutOfMemoryError.

    Processor time, because a busy machine stretches time by the clock, pauses more than the rest.
    """
    from course_lib.spark import NoJavaError
    from course_lib.spark.autopsy import autopsy

    try:
        remains = autopsy(ORDERS, heap=f"{heap}b", java_options=[*_OPTIONS, f"-Xms{heap}"])
    except NoJavaError as reason:
        raise CannotCheckError(str(reason)) from None
    if remains.exception_class == "java.lang.OutOfMemoryError":
        return None
    if not remains.survived:
        raise CannotCheckError(f"the program did not finish.\n{remains}\n{remains.log[-500:]}")
    _, _, steady = remains.stdout.partition("all open\n")
    [used] = re.findall(r"used (\d+)", steady)
    collecting = sum(float(user) + float(sys) for user, sys in _COLLECTORS_TIME.findall(steady))
    return collecting / (int(used) / 1e9)


def _read_heap(value: str) -> int:
    heap = byte_string_as_bytes(value)
    if not _SMALLEST_HEAP <= heap <= _LARGEST_HEAP:
        raise ValueError(f"{value} is not a heap from 8m to 2g")
    return heap


def _try_heap(chosen: Mapping[str, int]) -> Effect:
    heap = chosen["heap"]
    share = _collecting(heap)
    evidence = f"measured: -Xmx{heap / MIB:g}m, {_in_words(share)}"
    if share is None:
        return Effect(False, "The program died.", evidence, "counts the bare numbers")
    if share >= _MOST_COLLECTING:
        return Effect(False, "That heap is too small.", evidence, "leaves no room to work in")
    half = _collecting(heap // 2)
    evidence += f"; half of that, {_in_words(half)}"
    if half is not None and half < _MOST_COLLECTING:
        return Effect(False, "Half of that heap would do.", evidence, "takes plenty, to be safe")
    return Effect(True, "Large enough, and half of it would not be.", evidence)


def _in_words(share: float | None) -> str:
    if share is None:
        return "OutOfMemoryError"
    return f"{share:.0%} of the processor time spent collecting"


SMALLEST_HEAP = EffectTask(
    name="smallest_heap",
    title="A heap that is large enough",
    points=4,
    read=read_with({"heap": _read_heap}),
    run=_try_heap,
    reference=lambda: {"heap": "112m"},
    misconceptions=(
        Misconception(
            "counts the bare numbers",
            "What is alive at the same time does not fit. An order of twenty ints is more than 80 "
            "bytes on the heap, and something refers to it.",
            lambda: {"heap": "32m"},
        ),
        Misconception(
            "leaves no room to work in",
            "What is alive fits, but too little is left. Survivors live in the old generation, "
            "which is two thirds of this heap: once they nearly fill it, every collection is a "
            "full one.",
            lambda: {"heap": "48m"},
        ),
        Misconception(
            "takes plenty, to be safe",
            "It runs well, but a heap half as large would do. In a container somebody pays for "
            "the other half.",
            lambda: {"heap": "1g"},
        ),
    ),
)


# kind_of_death

KINDS = (
    "Java heap space",
    "GC overhead limit exceeded",
    "Metaspace",
    "Direct buffer memory",
    "unable to create native thread",
    "Requested array size exceeds VM limit",
)


def _kind(message: str) -> str:
    return next(kind for kind in KINDS if kind.lower() in message.lower())


_DEATHS = _RECORDED["deaths"]


def _remains(letter: str) -> str:
    told = [f"  {what:14}{text}" for what, text in _DEATHS[letter].items() if what != "message"]
    return "\n".join([letter, *told]).replace(", called by", f"\n{'':16}called by")


REMAINS = "\n\n".join(map(_remains, _DEATHS))

KIND_OF_DEATH = PredictionTask(
    name="kind_of_death",
    title="Six deaths",
    points=3,
    reference=lambda: {letter: _kind(one["message"]) for letter, one in _DEATHS.items()},
    misconceptions=(
        Misconception(
            "takes every death for a full heap",
            "The heap was nearly empty: see what a collection left of it, or that nothing had "
            "been collected at all.",
            lambda: dict.fromkeys("ACEF", "Java heap space"),
        ),
        Misconception(
            "overlooks who gives up early",
            "The heap was nearly full, and another collector would have gone on until it was. "
            "Parallel gives up before: when nearly all of the time goes into collecting, and next "
            "to nothing is freed.",
            lambda: {"B": "Java heap space"},
        ),
        Misconception(
            "takes busy collecting for the overhead limit",
            "It collected most of the time, but under G1. Of the three collectors, only Parallel "
            "knows that limit.",
            lambda: {"D": "GC overhead limit exceeded"},
        ),
        Misconception(
            "does not tell apart what lies outside the heap",
            "Outside of the heap it was, but elsewhere there. The method tells: `reserveMemory` "
            "belongs to a buffer, `defineClass1` to a class, `start0` to a thread.",
            lambda: {
                "A": "Metaspace",
                "C": "Direct buffer memory",
                "F": "Direct buffer memory",
            },
        ),
        Misconception(
            "takes a refused array and a refused thread for each other",
            "Both were refused without a collection. But a thread is refused by the operating "
            "system, in `start0`, and an array by the JVM, where your own code asks for it.",
            lambda: {
                "E": "unable to create native thread",
                "F": "Requested array size exceeds VM limit",
            },
        ),
    ),
)


# collection_size

_CHARACTERS = 20
_OBJECT, _ARRAY, _REFERENCE = 12, 16, 4  # the headers, and what refers to an object
_STRING = 24  # without its characters, which are in an array of their own
_VALUE = {"int": 4, "long": 8, "Integer": 4, "Long": 8, "String": _CHARACTERS}


def _padded(size: int) -> int:
    return math.ceil(size / 8) * 8


def _collection_size(
    element: str,
    n: int,
    *,
    header: int = _OBJECT,
    array: int = _ARRAY,
    reference: int = _REFERENCE,
    string: int = _STRING,
    character: int = 1,
    pad: Callable[[int], int] = _padded,
) -> int:
    """As Spark's SizeEstimator has it, where a misconception does not say otherwise."""
    if element in ("int", "long"):
        return pad(array + n * _VALUE[element])
    one = (
        string + pad(array + _CHARACTERS * character)
        if element == "String"
        else pad(header + _VALUE[element])
    )
    the_list = 24  # header, size, modification count, reference to the array: padded
    return the_list + pad(array + n * reference) + n * one


def _size(element: str, n: int) -> int:
    return _collection_size(element, n)


_SIZE_WITHIN = 0.10


def _compare_size(arguments: tuple, size: float) -> Effect:
    right = _size(*arguments)
    if abs(size - right) <= _SIZE_WITHIN * right:
        return Effect(True, "All of them are within 10 % of what SizeEstimator says.")
    return Effect(False, f"SizeEstimator says {right:,} bytes: that is more than 10 % away.")


def _draw_collections(random: Random) -> list[tuple]:
    # Of more than 400 objects, SizeEstimator weighs a hundred and multiplies: exact for hundreds.
    return [
        (element, n)
        for element in _VALUE
        for n in (
            random.randrange(1, 12),
            random.randrange(12, 400),
            random.randrange(9, 999) * 100,
        )
    ]


COLLECTION_SIZE = Task(
    name="collection_size",
    title="What a collection costs",
    points=4,
    reference=_size,
    examples=(
        ("int", 1),
        ("int", 1_000_000),
        ("long", 10),
        ("Integer", 1_000_000),
        ("Long", 1000),
        ("String", 1000),
    ),
    draw_inputs=_draw_collections,
    effect=_compare_size,
    misconceptions=(
        Misconception(
            "counts the bare values",
            "This is what you get when an int costs four bytes wherever it is. The heap holds "
            "objects: with headers, and in a list with references to them.",
            lambda element, n: n * _VALUE[element],
        ),
        Misconception(
            "forgets the references",
            "This is what you get without the references. A list does not contain its elements: "
            "it has an array with four bytes for each, which point to them.",
            lambda element, n: _collection_size(element, n, reference=0),
        ),
        Misconception(
            "forgets the headers",
            "This is what you get without headers: 12 bytes of every object, 16 of every array.",
            lambda element, n: _collection_size(element, n, header=0, array=0),
        ),
        Misconception(
            "forgets the padding",
            "This is what you get without padding. Everything on the heap begins at a multiple of "
            "8: 12 and 8 make 24.",
            lambda element, n: _collection_size(element, n, pad=lambda size: size),
        ),
        Misconception(
            "takes references for eight bytes",
            "This is what you get with references of eight bytes. In heaps under 32 GB the JVM "
            "compresses them to four.",
            lambda element, n: _collection_size(element, n, reference=8),
        ),
        Misconception(
            "takes a string for one object",
            "This is what you get when a string is its array of characters. It is an object of 24 "
            "bytes, and that refers to the array.",
            lambda element, n: _collection_size(element, n, string=0),
        ),
        Misconception(
            "takes two bytes for a character",
            "This is what you get with two bytes for each character. Since Java 9 a string that "
            "can do with one byte for each does.",
            lambda element, n: _collection_size(element, n, character=2),
        ),
    ),
)


PROBLEM_SET = ProblemSet(
    "ps02-heap-at-work",
    "The heap at work",
    (GC_SHARE, SMALLEST_HEAP, KIND_OF_DEATH, COLLECTION_SIZE),
)

"""Problem set 01: what a JVM's process is made of, and how to fit one into a container."""

import time
from collections.abc import Callable, Mapping
from random import Random
from typing import TYPE_CHECKING, Any

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
from course_lib.units import KIB, MIB, byte_string_as_bytes, bytes_to_string

if TYPE_CHECKING:
    from course_lib.spark import ContainerWatcher, Jvm

# process_size


def _process_size(heap: Mapping, areas: Mapping, threads: int, stack: tuple, buffers: Mapping):
    committed = sum(committed for _reserved, committed in areas.values())
    return heap["committed"] + committed + threads * stack[1] + buffers["direct"]


def _heap_only(heap, areas, threads, stack, buffers):
    return heap["committed"]


def _with_xmx(heap, areas, threads, stack, buffers):
    heap = heap | {"committed": heap["max"]}
    return _process_size(heap, areas, threads, stack, buffers)


def _with_used(heap, areas, threads, stack, buffers):
    heap = heap | {"committed": heap["used"]}
    return _process_size(heap, areas, threads, stack, buffers)


def _with_one_stack(heap, areas, threads, stack, buffers):
    return _process_size(heap, areas, 1, stack, buffers)


def _with_stacks_reserved(heap, areas, threads, stack, buffers):
    return _process_size(heap, areas, threads, (stack[0], stack[0]), buffers)


def _with_all_reserved(heap, areas, threads, stack, buffers):
    areas = {name: (reserved, reserved) for name, (reserved, _) in areas.items()}
    return _with_stacks_reserved(heap, areas, threads, stack, buffers)


def _without_direct_buffers(heap, areas, threads, stack, buffers):
    return _process_size(heap, areas, threads, stack, {"direct": 0})


def _with_every_buffer(heap, areas, threads, stack, buffers):
    return _process_size(heap, areas, threads, stack, {"direct": sum(buffers.values())})


def _draw_processes(random: Random) -> list[tuple]:
    def area(most_reserved: int) -> tuple[int, int]:
        reserved = random.randrange(8, most_reserved)
        return reserved * MIB, random.randrange(2, reserved // 2) * MIB

    processes = []
    for _ in range(12):
        most = random.randrange(512, 8192)
        committed = random.randrange(256, most)
        used = random.randrange(128, committed)
        heap = {"used": used * MIB, "committed": committed * MIB, "max": most * MIB}
        areas = {
            "metaspace": area(1024),
            "code cache": area(240),
            "collector": area(200),
            "other": area(64),
        }
        stack = (random.choice((512, 1024, 2048)) * KIB, random.randrange(80, 400) * KIB)
        on_the_heap, direct = random.randrange(1, 64), random.randrange(1, 512)
        buffers = {"on the heap": on_the_heap * MIB, "direct": direct * MIB}
        processes.append((heap, areas, random.randrange(20, 500), stack, buffers))
    return processes


PROCESS_SIZE = Task(
    name="process_size",
    title="The size of a process",
    points=4,
    reference=_process_size,
    examples=(
        (
            {"used": 3 * MIB, "committed": 14 * MIB, "max": 64 * MIB},
            {
                "metaspace": (1088 * MIB, 8 * MIB),
                "code cache": (242 * MIB, 8 * MIB),
                "collector": (39 * MIB, 37 * MIB),
                "other": (26 * MIB, 18 * MIB),
            },
            22,
            (1024 * KIB, 56 * KIB),
            {"on the heap": 0, "direct": 0},
        ),
        (
            {"used": 45 * MIB, "committed": 60 * MIB, "max": 64 * MIB},
            {
                "metaspace": (1088 * MIB, 9 * MIB),
                "code cache": (242 * MIB, 8 * MIB),
                "collector": (40 * MIB, 39 * MIB),
                "other": (26 * MIB, 19 * MIB),
            },
            222,
            (1024 * KIB, 102 * KIB),
            {"on the heap": 12 * MIB, "direct": 16 * MIB},
        ),
    ),
    draw_inputs=_draw_processes,
    within=1,  # byte
    misconceptions=(
        Misconception(
            "counts the heap only",
            "This is the heap alone. A process is its heap and all the areas beside it.",
            _heap_only,
        ),
        Misconception(
            "counts -Xmx for the heap",
            "This is what you get with the heap's `max`. That is how far it may grow; what it has "
            "taken so far is `committed`.",
            _with_xmx,
        ),
        Misconception(
            "counts what is used of the heap",
            "This is what you get with what objects use of the heap. The spare room around them is "
            "committed too, and belongs to the process.",
            _with_used,
        ),
        Misconception(
            "counts one stack for all threads",
            "This is what you get with a single stack. Every thread has a stack of its own.",
            _with_one_stack,
        ),
        Misconception(
            "counts all of each stack",
            "This is what you get when each stack counts with what it has reserved (`-Xss`). "
            "Reserved are addresses only; a stack commits what its thread has touched.",
            _with_stacks_reserved,
        ),
        Misconception(
            "counts what is reserved",
            "This is what you get with what the areas have reserved. Reserved are addresses, and "
            "addresses cost no memory.",
            _with_all_reserved,
        ),
        Misconception(
            "forgets the direct buffers",
            "This is what you get without the direct buffers. They lie outside the heap, and in "
            "none of the other areas.",
            _without_direct_buffers,
        ),
        Misconception(
            "counts buffers on the heap twice",
            "This is what you get when the buffers on the heap are added. They are objects, and "
            "counted with the heap already.",
            _with_every_buffer,
        ),
    ),
)


# guilty

# Native memory summaries of one JVM (Java 17, -Xms8m -Xmx64m), recorded one after the other, each
# right after a collection: (reserved, committed) in KiB, of the larger categories.
_WITH_ARRAYS = {
    "Java Heap": (65536, 58368), "Class": (1048756, 756), "Thread": (22586, 1154),
    "Code": (247802, 7662), "GC": (39572, 39312), "Other": (16, 16), "Symbol": (1540, 1540),
    "Metaspace": (65562, 3930), "Total": (1510779, 127823),
}  # fmt: skip
_WITH_DIRECT_BUFFERS_INSTEAD = {
    "Java Heap": (65536, 14336), "Class": (1048756, 756), "Thread": (22586, 1154),
    "Code": (247806, 7666), "GC": (39573, 37673), "Other": (16400, 16400), "Symbol": (1540, 1540),
    "Metaspace": (65562, 3994), "Total": (1527164, 98600),
}  # fmt: skip
_AND_THREADS = {
    "Java Heap": (65536, 14336), "Class": (1048837, 837), "Thread": (330670, 33246),
    "Code": (247814, 7674), "GC": (39591, 37691), "Other": (16400, 16400), "Symbol": (1575, 1575),
    "Metaspace": (65562, 4058), "Total": (1836059, 131567),
}  # fmt: skip
_AND_CLASSES = {
    "Java Heap": (65536, 14336), "Class": (1051304, 6696), "Thread": (330670, 33306),
    "Code": (247921, 7781), "GC": (39598, 37698), "Other": (16400, 16400), "Symbol": (2309, 2309),
    "Metaspace": (65779, 13555), "Total": (1843228, 151468),
}  # fmt: skip
_AND_ARRAYS_AGAIN = {
    "Java Heap": (65536, 65536), "Class": (1051305, 6697), "Thread": (330670, 33322),
    "Code": (247927, 7787), "GC": (39618, 39618), "Other": (16400, 16400), "Symbol": (2309, 2309),
    "Metaspace": (65779, 13619), "Total": (1843271, 204691),
}  # fmt: skip


def _most(before: Mapping, after: Mapping, measure: Callable) -> str:
    """The category for which ``measure(pair before, pair after)`` is largest."""
    categories = [category for category in after if category != "Total"]
    return max(categories, key=lambda category: measure(before[category], after[category]))


def _guilty(before: Mapping, after: Mapping) -> str:
    return _most(before, after, lambda old, new: new[1] - old[1])


def _draw_summaries(random: Random) -> list[tuple]:
    """Pairs of summaries in which what looks guilty and what is guilty are different categories;
    in every other pair one category has shrunk."""
    pairs = []
    for number in range(12):
        suspects = ["Class", "Thread", "Code", "GC", "Other", "Symbol", "Metaspace"]
        random.shuffle(suspects)
        guilty, grown_from_nothing, reserving, shrinking, *quiet = suspects
        growth = random.randrange(20_000, 60_000)
        # By category: committed before and after, and reserved before and after beyond that.
        sizes = {
            "Java Heap": (300_000, 300_000 + random.randrange(10_000), 500_000, 490_000),
            guilty: (growth, 2 * growth, 4_000, 4_000),
            grown_from_nothing: (100, 9_000 + random.randrange(1_000), 50, 50),
            reserving: (5_000, 6_000, 20_000, 20_000 + 2 * growth),
            shrinking: (3 * growth, (growth // 2, 3 * growth)[number % 2], 4_000, 4_000),
        }
        sizes |= {category: (4_000, random.randrange(4_000, 5_000), 9, 9) for category in quiet}
        before = {name: (old + more, old) for name, (old, _, more, _) in sizes.items()}
        after = {name: (new + more, new) for name, (_, new, _, more) in sizes.items()}
        pairs.append(tuple(summary | {"Total": _sum(summary)} for summary in (before, after)))
    return pairs


def _sum(summary: Mapping) -> tuple[int, int]:
    reserved, committed = zip(*summary.values(), strict=True)
    return sum(reserved), sum(committed)


GUILTY = Task(
    name="guilty",
    title="The guilty category",
    points=4,
    reference=_guilty,
    examples=(
        (_WITH_ARRAYS, _WITH_DIRECT_BUFFERS_INSTEAD),
        (_WITH_DIRECT_BUFFERS_INSTEAD, _AND_THREADS),
        (_AND_THREADS, _AND_CLASSES),
        (_AND_CLASSES, _AND_ARRAYS_AGAIN),
    ),
    draw_inputs=_draw_summaries,
    misconceptions=(
        Misconception(
            "takes the largest",
            "Your function names the largest category. It may have been that large all along: what "
            "makes a process grow is what has changed.",
            lambda before, after: _most(before, after, lambda old, new: new[1]),
        ),
        Misconception(
            "takes the total for a category",
            "Your function names the total. That is the sum of the others: it says that there is a "
            "culprit, not which.",
            lambda before, after: max(after, key=lambda name: after[name][1] - before[name][1]),
        ),
        Misconception(
            "compares what is reserved",
            "Your function names the category that has reserved most in between. Reserved are "
            "addresses; the process grows by what is committed.",
            lambda before, after: _most(before, after, lambda old, new: new[0] - old[0]),
        ),
        Misconception(
            "compares in proportion",
            "Your function names the category that has grown most in proportion. Ten times almost "
            "nothing is still almost nothing: compare bytes.",
            lambda before, after: _most(before, after, lambda old, new: new[1] / old[1]),
        ),
        Misconception(
            "takes shrinking for growing",
            "Your function names the category that has changed most, and that one has shrunk. Keep "
            "the sign of the difference.",
            lambda before, after: _most(before, after, lambda old, new: abs(new[1] - old[1])),
        ),
        Misconception(
            "swaps the two summaries",
            "Your function names the category that has shrunk most (or grown least). Take what was "
            "committed before from what is committed after, not the other way round.",
            lambda before, after: _most(before, after, lambda old, new: old[1] - new[1]),
        ),
    ),
)


# areas

_DIRECT_BUFFERS = (
    "Cannot reserve 9437184 bytes of direct buffer memory (allocated: 8192, limit: 8388608)"
)
_NATIVE_THREAD = (
    "unable to create native thread: possibly out of memory or process/resource limits reached"
)
_ARRAY_SIZE = "Requested array size exceeds VM limit"

AREAS = PredictionTask(
    name="areas",
    title="Which area is it?",
    points=3,
    reference=lambda: {
        "Java heap space": "heap",
        "GC overhead limit exceeded": "heap",
        "Metaspace": "metaspace",
        _DIRECT_BUFFERS: "direct buffers",
        _NATIVE_THREAD: "threads",
        _ARRAY_SIZE: "none",
    },
    misconceptions=(
        Misconception(
            "blames the heap for every error",
            "The heap of a JVM that says this may be empty. It is an OutOfMemoryError, but not "
            "each of them is about `-Xmx`.",
            lambda: {"Metaspace": "heap", _DIRECT_BUFFERS: "heap", _NATIVE_THREAD: "heap"},
        ),
        Misconception(
            "blames the collector",
            "It is the collector that complains, and not for itself: the heap is so full that "
            "collecting it takes nearly all of the time and frees nearly nothing.",
            lambda: {"GC overhead limit exceeded": "collector"},
        ),
        Misconception(
            "takes machine code for classes",
            "The code cache holds machine code. Classes as they were loaded lie in metaspace.",
            lambda: {"Metaspace": "code cache"},
        ),
        Misconception(
            "thinks that no area is meant by a native thread",
            "It is the operating system that refuses, and what it refuses is one more thread with "
            "its stack: that is the area of threads.",
            lambda: {_NATIVE_THREAD: "none"},
        ),
        Misconception(
            "wants a larger heap for a longer array",
            "No heap is large enough: the array would be longer than a JVM allows any to be.",
            lambda: {_ARRAY_SIZE: "heap"},
        ),
    ),
)


# container

_CONTAINER = 256 * MIB
_ARRAYS, _THREADS, _DIRECT = 80, 100, 48  # MiB of arrays, threads, MiB of direct buffers
_PIECE = 4 * MIB  # of the direct buffers
_LARGEST = 512 * MIB  # what a limit may be at most: more would only burden this machine

_TOO_LARGE_A_HEAP = "gives the container to the heap"
_NO_ROOM_BESIDE_THE_HEAP = "leaves too little beside the heap"
_NO_ROOM_FOR_JAVA = "gives the heap what the arrays take"
_FORGETS_DIRECT = "forgets the direct buffers"
_NO_LIMIT = "lets an area outgrow the container"


def _read_limit(value: Any) -> int:
    size = byte_string_as_bytes(value)
    if not 16 * MIB <= size <= _LARGEST:
        raise ValueError(f"{value} is not between 16m and {_LARGEST // MIB}m")
    return size


def _fill_with_direct_buffers(jvm: "Jvm") -> list:
    """Ask for direct buffers until the JVM refuses them, or is killed."""
    from course_lib.spark import JvmOutOfMemoryError

    held = []
    while True:
        try:
            held.append(jvm.allocate_direct(_PIECE))
        except JvmOutOfMemoryError as refusal:
            if refusal.kind != "Direct buffer memory":
                raise
            return held


# What is done to the JVM, step by step: in words, by which function, and the misconception that a
# container shows which is exceeded there.
_STEPS = (
    ("right after its start", lambda jvm: [], _TOO_LARGE_A_HEAP),
    (
        f"with {_ARRAYS} MiB of arrays",
        lambda jvm: [jvm.allocate(MIB) for _ in range(_ARRAYS)],
        _NO_ROOM_BESIDE_THE_HEAP,
    ),
    (
        f"with {_THREADS} threads more",
        lambda jvm: [jvm.start_threads(_THREADS)],
        _NO_ROOM_BESIDE_THE_HEAP,
    ),
    (
        f"with {_DIRECT} MiB of direct buffers more",
        lambda jvm: [jvm.allocate_direct(_PIECE) for _ in range(_DIRECT * MIB // _PIECE)],
        _NO_ROOM_BESIDE_THE_HEAP,
    ),
    ("with as many direct buffers as you allow", _fill_with_direct_buffers, _NO_LIMIT),
)


def _run_in_the_container(limits: Mapping[str, int]) -> Effect:
    from course_lib.spark import ContainerWatcher, Jvm, JvmDiedError, NoJavaError

    jvm = Jvm(
        limits["heap"],
        initial_heap=limits["heap"],
        direct=limits["direct"],
        collector="Serial",  # what Java itself chooses in a container this small
        native_memory_tracking=False,
        # A heap that has been at work has touched all its pages; this does it at once.
        options=("-XX:+AlwaysPreTouch",),
    )
    try:
        with jvm, ContainerWatcher(jvm.pid, _CONTAINER, interval=0.02) as watcher:
            return _load(jvm, watcher)
    except (JvmDiedError, NoJavaError) as reason:
        raise CannotCheckError(str(reason)) from None


def _load(jvm: "Jvm", watcher: "ContainerWatcher") -> Effect:
    """Take the steps as far as they go. Raises JvmDiedError if not the watcher ended the JVM."""
    from course_lib.spark import JvmDiedError, JvmOutOfMemoryError

    held = []
    for when, step, misconception in _STEPS:
        try:
            held += step(jvm)
        except JvmOutOfMemoryError as error:
            shown = {"Java heap space": _NO_ROOM_FOR_JAVA, "Direct buffer memory": _FORGETS_DIRECT}
            evidence = f"measured: {when}, java.lang.OutOfMemoryError: {error.message}"
            return Effect(False, "The load does not fit.", evidence, shown.get(error.kind))
        except JvmDiedError:
            if watcher.verdict is None:
                raise
        _await_the_verdict(watcher)
        if watcher.verdict:
            evidence = f"measured: {when}, {watcher.verdict}"
            return Effect(False, "The container was killed.", evidence, misconception)
    largest = bytes_to_string(jvm.resident_size())
    evidence = f"measured: {when}, the process occupies {largest} of {bytes_to_string(_CONTAINER)}"
    return Effect(True, "Your JVM carries the load, and refuses what would be too much.", evidence)


def _await_the_verdict(watcher: "ContainerWatcher") -> None:
    """Give the watcher the time to look, if there is something for it to see."""
    from course_lib.spark.processes import resident_sizes, tree

    while watcher.verdict is None and sum(resident_sizes(tree(watcher.pid)).values()) > _CONTAINER:
        time.sleep(watcher.interval)


CONTAINER = EffectTask(
    name="container",
    title="A container of 256 MB",
    points=4,
    read=read_with({"heap": _read_limit, "direct": _read_limit}),
    run=_run_in_the_container,
    reference=lambda: {"heap": "104m", "direct": "56m"},
    misconceptions=(
        Misconception(
            _TOO_LARGE_A_HEAP,
            "You gave the heap all of the container, or nearly. A JVM needs some 45 MiB beside its "
            "heap before it has done anything.",
            lambda: {"heap": "256m", "direct": "56m"},
        ),
        Misconception(
            _NO_ROOM_BESIDE_THE_HEAP,
            "Your heap leaves too little beside it. Stacks and direct buffers come on top of the "
            "heap, however empty that is.",
            lambda: {"heap": "176m", "direct": "56m"},
        ),
        Misconception(
            _NO_ROOM_FOR_JAVA,
            "Your heap is too small. Beside the arrays it holds objects of Java's own, and not "
            "every part of it can be filled to the last byte.",
            lambda: {"heap": "80m", "direct": "56m"},
        ),
        Misconception(
            _FORGETS_DIRECT,
            "The limit of direct buffers is too low, and no heap makes up for it. Leave a little "
            "more than the load takes: Java's own input and output uses some.",
            lambda: {"heap": "120m", "direct": "48m"},
        ),
        Misconception(
            _NO_LIMIT,
            "The load fits, but your limits together do not: direct buffers may still grow until "
            "the container is killed. With a lower limit Java says no first, in words that you can "
            "read.",
            lambda: {"heap": "104m", "direct": "256m"},
        ),
    ),
)


PROBLEM_SET = ProblemSet(
    "ps01-jvm-process",
    "A JVM is a process",
    (PROCESS_SIZE, GUILTY, AREAS, CONTAINER),
)

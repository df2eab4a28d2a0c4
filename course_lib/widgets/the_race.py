"""The race: one trace on the static and on the unified memory manager, side by side."""

from collections.abc import Mapping
from dataclasses import replace

from course_lib.draw.film import Film
from course_lib.model.managers import StaticMemoryManager, UnifiedMemoryManager
from course_lib.model.replay import TraceError, parse_trace, replay
from course_lib.units import byte_string_as_bytes, bytes_to_string
from course_lib.widgets.explorable import Control, Explorable, View
from course_lib.widgets.stage import lanes_of, storage_region, told

YOURS = "yours"

# Made for a heap of 4g, where both managers have about as much for storage.
TRACES = {
    "cache-heavy": """\
cache rdd_0_0 224m
cache rdd_0_1 224m
cache rdd_0_2 224m
cache rdd_0_3 224m
cache rdd_1_0 224m MEMORY_AND_DISK
cache rdd_1_1 224m MEMORY_AND_DISK
cache rdd_1_2 224m MEMORY_AND_DISK
cache rdd_1_3 224m MEMORY_AND_DISK
read rdd_0_0
ask t1 160m
cache rdd_2_0 320m
ask t2 160m
read rdd_0_1
read rdd_1_0
finish t1
finish t2
read rdd_0_2
""",
    "shuffle-heavy": """\
cache broadcast_0 96m MEMORY_AND_DISK
cache rdd_0_0 192m
ask t1 480m
ask t2 480m
ask t3 480m
ask t4 480m
release t1 240m
ask t2 120m
read rdd_0_0
finish t1
ask t5 480m
finish t2
finish t3
finish t4
finish t5
""",
    "cache and shuffle": """\
cache rdd_0_0 256m MEMORY_AND_DISK
cache rdd_0_1 256m MEMORY_AND_DISK
cache rdd_0_2 256m MEMORY_AND_DISK
cache rdd_1_0 256m
cache rdd_1_1 256m
ask t1 400m
ask t2 400m
ask t3 400m
read rdd_0_0
read rdd_1_1
finish t1
cache rdd_2_0 256m
ask t4 300m
read rdd_0_1
finish t2
finish t3
read rdd_1_0
finish t4
read rdd_0_2
""",
}


def race(trace: str, state: Mapping) -> View:
    """A trace on both managers, on a heap (`Runtime.maxMemory`) and settings as in `state`."""
    heap = byte_string_as_bytes(state["heap"])
    conf = {
        "spark.memory.fraction": str(state["fraction"]),
        "spark.memory.storageFraction": str(state["storage_fraction"]),
    }
    try:
        static = StaticMemoryManager.from_conf(system_memory=heap)
        unified = UnifiedMemoryManager.from_conf(conf, system_memory=heap)
    except ValueError as refusal:
        return View.refused(refusal)
    events = parse_trace(trace)
    try:
        played = replay(static, events), replay(unified, events)
    except TraceError as error:
        return View(None, "This trace cannot be played with these settings.", problem=str(error))
    marks = [storage_region(unified.on_heap_storage_region_size)]
    lanes = lanes_of(
        [("StaticMemoryManager", played[0], ()), ("UnifiedMemoryManager", played[1], marks)], events
    )
    costs = [told(frames[-1].score) for frames in played]
    sentence = f"At the end, static: {costs[0]}; unified: {costs[1]}."
    title = f"One trace on a heap of {bytes_to_string(heap)}"
    return View(Film(title, "modelled", lanes), sentence)


def offered(
    traces: Mapping[str, str], controls: tuple[Control, ...], trace: str
) -> tuple[Mapping[str, str], tuple[Control, ...], str]:
    """The traces to offer, the controls with their names, and the name to start with.

    `trace` is one of the names, or the text of a trace that is then offered as well.
    """
    if trace in traces:
        return traces, controls, trace
    parse_trace(trace)
    traces = {YOURS: trace, **traces}
    first, *others = controls
    return traces, (replace(first, values=tuple(traces)), *others), YOURS


class Race(Explorable):
    """Play one trace on the static and on the unified manager, on the same heap.

    ``Race()`` starts with a trace of the course; ``Race(trace="shuffle-heavy")`` with another;
    ``Race("cache rdd_0_0 64m\\nask t1 500m")`` with one of yours, which it also offers by that
    name. Raises TraceError, with the line, for a trace that cannot be read.
    """

    title = "The race: static against unified"
    controls = (
        Control("trace", "trace", tuple(TRACES), kind="choice"),
        Control("heap", "heap", ("1g", "2g", "3g", "4g", "6g", "8g")),
        Control("fraction", "spark.memory.fraction", (0.4, 0.5, 0.6, 0.75, 0.9)),
        Control("storage_fraction", "spark.memory.storageFraction", (0.0, 0.3, 0.5, 0.7, 0.9)),
    )
    start = {  # noqa: RUF012 (a constant of the class, as `controls` is)
        "trace": "cache and shuffle",
        "heap": "4g",
        "fraction": 0.6,
        "storage_fraction": 0.5,
    }

    def __init__(self, trace: str = start["trace"], **start):
        self._traces, self.controls, trace = offered(TRACES, self.controls, trace)
        super().__init__(trace=trace, **start)

    def view(self, state: Mapping) -> View:
        """See `race`."""
        return race(self._traces[state["trace"]], state)

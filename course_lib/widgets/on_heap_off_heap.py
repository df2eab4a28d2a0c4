"""On-heap and off-heap: two sets of pools in one manager, and nothing moves between them."""

from collections.abc import Mapping

from course_lib.draw.film import Film
from course_lib.model.managers import UnifiedMemoryManager
from course_lib.model.replay import TraceError, parse_trace, replay
from course_lib.units import byte_string_as_bytes, bytes_to_string
from course_lib.widgets.explorable import Control, Explorable, View
from course_lib.widgets.stage import lanes_of, storage_region, told
from course_lib.widgets.the_race import offered

# Made for a heap of 1g and as much off-heap.
TRACES = {
    "both modes": """\
cache rdd_0_0 128m
cache rdd_0_1 128m
cache rdd_1_0 192m OFF_HEAP
cache rdd_1_1 192m OFF_HEAP
cache rdd_1_2 192m OFF_HEAP
ask t1 256m
ask t1 320m OFF_HEAP
ask t2 192m OFF_HEAP
read rdd_1_0
ask t2 128m
cache rdd_2_0 192m OFF_HEAP
finish t1
read rdd_0_0
read rdd_1_1
finish t2
""",
    "one full, one idle": """\
cache rdd_0_0 128m MEMORY_AND_DISK
cache rdd_0_1 128m MEMORY_AND_DISK
cache rdd_1_0 128m MEMORY_AND_DISK
ask t1 200m
ask t2 200m
read rdd_0_0
cache rdd_2_0 128m OFF_HEAP
finish t1
finish t2
read rdd_0_1
""",
    "off-heap Tungsten": """\
cache rdd_0_0 160m
cache rdd_0_1 160m
ask t1 400m OFF_HEAP
ask t2 400m OFF_HEAP
ask t3 400m OFF_HEAP
release t1 200m OFF_HEAP
cache rdd_1_0 256m OFF_HEAP
read rdd_0_0
finish t1
finish t2
finish t3
read rdd_1_0
""",
}


def on_heap_off_heap(trace: str, state: Mapping) -> View:
    """A trace on a manager with memory in both modes, under the settings in `state`."""
    conf = {
        "spark.memory.offHeap.size": state["off_heap"],
        "spark.memory.storageFraction": str(state["storage_fraction"]),
    }
    if state["off_heap"] != "0":
        conf["spark.memory.offHeap.enabled"] = "true"
    heap = byte_string_as_bytes(state["heap"])
    try:
        manager = UnifiedMemoryManager.from_conf(conf, system_memory=heap)
    except ValueError as refusal:
        return View.refused(refusal)
    marks = storage_regions(manager)
    events = parse_trace(trace)
    try:
        frames = replay(manager, events)
    except TraceError as error:
        return View(None, "This trace cannot be played with these settings.", problem=str(error))
    lanes = lanes_of([("UnifiedMemoryManager", frames, marks)], events)
    on, off = manager.max_heap_memory, manager.max_off_heap_memory
    sentence = (
        f"{bytes_to_string(on)} on-heap and {bytes_to_string(off)} off-heap, of which neither lends"
        f" to the other. At the end: {told(frames[-1].score)}."
    )
    return View(Film("Both modes of one manager", "modelled", lanes), sentence)


def storage_regions(manager: UnifiedMemoryManager) -> list[tuple[int, str]]:
    """The marks of both storage regions, on the scale of all Spark memory."""
    marks = [storage_region(manager.on_heap_storage_region_size)]
    if manager.max_off_heap_memory:
        size, name = storage_region(manager.off_heap_storage_region_size)
        marks.append((manager.max_heap_memory + size, name))
    return marks


class OnHeapOffHeap(Explorable):
    """Play a trace on a manager with on-heap and off-heap memory, each with pools of its own.

    ``OnHeapOffHeap()``, ``OnHeapOffHeap("off-heap Tungsten", off_heap="2g")``, or with the text of
    a trace of yours. Raises TraceError, with the line, for a trace that cannot be read.
    """

    title = "On-heap and off-heap"
    controls = (
        Control("trace", "trace", tuple(TRACES), kind="choice"),
        Control("off_heap", "spark.memory.offHeap.size", ("0", "256m", "512m", "1g", "2g")),
        Control("storage_fraction", "spark.memory.storageFraction", (0.0, 0.3, 0.5, 0.7, 0.9)),
        Control("heap", "heap", ("768m", "1g", "2g", "4g")),
    )
    start = {  # noqa: RUF012 (a constant of the class, as `controls` is)
        "trace": "both modes",
        "off_heap": "1g",
        "storage_fraction": 0.5,
        "heap": "1g",
    }

    def __init__(self, trace: str = start["trace"], **start):
        self._traces, self.controls, trace = offered(TRACES, self.controls, trace)
        super().__init__(trace=trace, **start)

    def view(self, state: Mapping) -> View:
        """See `on_heap_off_heap`."""
        return on_heap_off_heap(self._traces[state["trace"]], state)

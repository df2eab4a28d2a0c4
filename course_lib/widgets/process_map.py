"""The explorable of the process: what a JVM takes from the operating system, and for what."""

import itertools
import json
import time
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from course_lib.draw.picture import picture
from course_lib.model.region import Region
from course_lib.units import MIB, byte_string_as_bytes, bytes_to_string
from course_lib.widgets.explorable import Control, Explorable, View

if TYPE_CHECKING:
    from course_lib.spark.jvm import Allocation, Jvm

HEAPS = ("32m", "64m", "128m")  # -Xmx, of the recorded JVMs
THREADS = (0, 100, 200)
ARRAYS = (0, 20, 40)  # MiB
DIRECT = (0, 16, 32)  # MiB

# G1 begins to give back the unused end of its heap a tenth of a second after a collection.
_SETTLE_SECONDS = 0.15

# The regions beside the heap: name, kind, and the JVM's own categories in them. "Other" is what
# Java code takes by itself, and that is direct buffers. Newer JVMs count G1's card sets apart.
_PARTS = (
    ("metaspace", "metaspace", ("Metaspace", "Class")),
    ("code cache", "code_cache", ("Code",)),
    ("threads", "threads", ("Thread",)),
    ("direct buffers", "direct", ("Other",)),
    ("collector", "gc", ("GC", "GCCardSet")),
)


class Footprint(NamedTuple):
    """One reading of a JVM's process, in bytes.

    `committed` is what native memory tracking says, by its own categories and ``Total``;
    `resident` is what the operating system says.
    """

    heap_used: int
    resident: int
    committed: Mapping[str, int]


def footprint(jvm: "Jvm") -> Footprint:
    """Measure a JVM now, right after a full collection."""
    jvm.collect()
    native = jvm.native_memory()
    committed = {category: one.committed for category, one in native.items()}
    return Footprint(jvm.heap().used, jvm.resident_size(), committed)


def process_map(reading: Footprint) -> Region:
    """The process as a tree: the heap, what else the JVM has committed, and for what."""
    total, heap = reading.committed["Total"], reading.committed["Java Heap"]
    parts = [Region("heap", "heap", heap, reading.heap_used)]
    for name, kind, categories in _PARTS:
        size = sum(reading.committed.get(category, 0) for category in categories)
        parts.append(Region(name, kind, size))
    parts.append(Region("other", "other", total - sum(part.size for part in parts)))
    note = f"resident {bytes_to_string(reading.resident)}"
    return Region("process", "process", total, children=parts, note=note)


def footprint_view(reading: Footprint, xmx: int, java: str, evidence: str) -> View:
    """What a reading looks like; `xmx` is the limit of the heap in bytes."""
    region = process_map(reading)
    heap = region.find("heap").size
    sentence = (
        f"With a heap of at most {bytes_to_string(xmx)}, this process has committed "
        f"{bytes_to_string(region.size)}, {bytes_to_string(region.size - heap)} of it outside the "
        f"heap; the operating system counts {bytes_to_string(reading.resident)} as resident."
    )
    facts = (
        ("resident size", bytes_to_string(reading.resident)),
        ("outside the heap", bytes_to_string(region.size - heap)),
        ("heap limit (-Xmx)", bytes_to_string(xmx)),
        ("Java", java),
    )
    return View(picture(region, title="Process of a JVM", evidence=evidence), sentence, facts)


class Load:
    """What the explorable keeps in a JVM: byte arrays, threads and direct buffers."""

    def __init__(self, jvm: "Jvm"):
        self._jvm = jvm
        self._put = {
            "arrays": lambda mib: jvm.allocate(mib * MIB),
            "threads": jvm.start_threads,
            "direct": lambda mib: jvm.allocate_direct(mib * MIB),
        }
        self._held: dict[str, list[tuple[int, Allocation]]] = {name: [] for name in self._put}

    def bring_to(self, state: Mapping) -> Footprint:
        """Make the JVM hold what `state` says, and measure it.

        Raises MemoryError where that does not fit.
        """
        shrinks = any(self._amount(name) > state[name] for name in self._put)
        for name in self._put:
            # The arrays are always one array, so that what fits does not depend on the way here.
            if self._amount(name) > state[name] or name == "arrays":
                self._let_go(name)
        if shrinks:
            self._jvm.collect()
            time.sleep(_SETTLE_SECONDS)
        for name, put in self._put.items():
            missing = state[name] - self._amount(name)
            if missing:
                self._held[name].append((missing, put(missing)))
        return footprint(self._jvm)

    def _amount(self, name: str) -> int:
        return sum(amount for amount, _ in self._held[name])

    def _let_go(self, name: str) -> None:
        for _, allocation in self._held[name]:
            if name == "threads":
                for pool in allocation.objects:
                    pool.shutdownNow()
            self._jvm.free(allocation)
        self._held[name].clear()


def measure(load: Load, state: Mapping) -> Footprint | str:
    """A JVM's reading in that state, or the JVM's complaint if it does not fit."""
    try:
        return load.bring_to(state)
    except MemoryError as error:
        if not getattr(error, "alive", False):  # Python's own, or the JVM died of it
            raise
        return f"java.lang.OutOfMemoryError: {error.message}"


def measure_all(load: Load) -> Iterator[tuple[dict, Footprint | str]]:
    """Bring a JVM to every state in turn, and say what came of it.

    Direct buffers only grow on the way: the C library would keep some of what they give back, and
    the resident size of later states would show it.
    """
    for threads, direct, arrays in itertools.product(THREADS, DIRECT, ARRAYS):
        state = {"arrays": arrays, "threads": threads, "direct": direct}
        yield state, measure(load, state)


@cache
def recorded_footprints() -> dict:
    """What `scripts/record_process_map.py` recorded, and the Java it ran on."""
    return json.loads(files("course_lib").joinpath("recorded/process_map.json").read_text())


def recorded_footprint(state: Mapping) -> View:
    """What the process of a JVM was in this state, as recorded."""
    recorded = recorded_footprints()
    xmx = byte_string_as_bytes(state["heap"])
    key = [state["heap"], *_key(state)]
    found = next(row[len(key) :] for row in recorded["readings"] if row[: len(key)] == key)
    if isinstance(found[0], str):
        return _view(found[0], xmx, recorded["java"], "recorded")
    used, resident, *committed = found
    categories = dict(zip(recorded["categories"], committed, strict=True))
    return _view(Footprint(used, resident, categories), xmx, recorded["java"], "recorded")


def _key(state: Mapping) -> tuple:
    return tuple(state[name] for name in ("arrays", "threads", "direct"))


def _view(found: Footprint | str, xmx: int, java: str, evidence: str) -> View:
    if isinstance(found, str):
        return View(None, "This does not fit into the JVM, which says:", problem=found)
    return footprint_view(found, xmx, java, evidence)


CONTROLS = (
    Control("arrays", "byte arrays", ARRAYS, lambda mib: f"{mib} MiB"),
    Control("threads", "threads", THREADS),
    Control("direct", "direct buffers", DIRECT, lambda mib: f"{mib} MiB"),
)
START = {"arrays": 0, "threads": 0, "direct": 0}


class ProcessMap(Explorable):
    """Put byte arrays, threads and direct buffers into a JVM and see what its process becomes.

    Made with a running JVM, which needs native memory tracking: within some three seconds every
    combination is measured in it. From then on the picture follows the controls; where one comes
    to rest, the JVM is brought there and measured anew, for as long as it lives.
    """

    title = "Map of a process"
    controls = CONTROLS
    start = START

    def __init__(self, jvm: "Jvm", **start):
        self._jvm, self._load = jvm, Load(jvm)
        self._xmx = jvm.heap().max
        self._java = jvm.jvm.java.lang.System.getProperty("java.version")
        self._found = {_key(state): found for state, found in measure_all(self._load)}
        super().__init__(**start)

    @classmethod
    def recorded(cls, **start) -> "RecordedProcessMap":
        """The same from stored measurements, with the limit of the heap as one more control."""
        return RecordedProcessMap(**start)

    def view(self, state: Mapping) -> View:
        """See `footprint_view`."""
        return _view(self._found[_key(state)], self._xmx, self._java, "measured")

    def apply(self) -> View:
        """Bring the JVM to the present state, measure it anew and return what it looks like.

        Raises JvmDiedError if the JVM is gone.
        """
        self._measure()
        super()._follow()
        return self.view(self.state)

    def _follow(self) -> None:
        if self._jvm.alive:
            self._measure()
        super()._follow()

    def _measure(self) -> None:
        self._found[_key(self.state)] = measure(self._load, self.state)


class RecordedProcessMap(Explorable):
    """The map of a process from stored measurements: nothing runs, nothing is measured anew."""

    title = ProcessMap.title
    controls = (
        Control("heap", "heap (-Xmx)", HEAPS, lambda size: f"{size.removesuffix('m')} MiB"),
        *CONTROLS,
    )
    start = START | {"heap": "64m"}

    def view(self, state: Mapping) -> View:
        """See `recorded_footprint`."""
        return recorded_footprint(state)

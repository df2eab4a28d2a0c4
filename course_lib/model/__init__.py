"""The executable model of Spark's memory: standard library only, no I/O, deterministic."""

from course_lib.model.container import (
    Container,
    NodeFit,
    YarnScheduler,
    container,
    executors_per_node,
    largest_heap,
)
from course_lib.model.heap import COLLECTORS, Heap, heap, runtime_max_memory
from course_lib.model.region import Region

__all__ = [
    "COLLECTORS",
    "Container",
    "Heap",
    "NodeFit",
    "Region",
    "YarnScheduler",
    "container",
    "executors_per_node",
    "heap",
    "largest_heap",
    "runtime_max_memory",
]

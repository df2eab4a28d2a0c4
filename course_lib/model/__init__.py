"""The executable model of Spark's memory: standard library only, no I/O, deterministic."""

from course_lib.model.heap import COLLECTORS, Heap, heap, runtime_max_memory
from course_lib.model.region import Region

__all__ = ["COLLECTORS", "Heap", "Region", "heap", "runtime_max_memory"]

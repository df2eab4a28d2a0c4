"""The executable model of Spark's memory: standard library only, no I/O, deterministic."""

from course_lib.model.caching import Rates, Table, Use, Work, uses
from course_lib.model.container import (
    Container,
    NodeFit,
    YarnScheduler,
    container,
    executors_per_node,
    largest_heap,
)
from course_lib.model.driver import Result, driver_budget
from course_lib.model.heap import COLLECTORS, Heap, heap, runtime_max_memory
from course_lib.model.managers import StaticMemoryManager, UnifiedMemoryManager
from course_lib.model.partitions import (
    fewest_partitions,
    partition_of,
    partition_rows,
    rows_of_keys,
    rows_without_spill,
    sort_memory,
    sort_spill,
    task_share,
    unsafe_row_bytes,
)
from course_lib.model.planner import Cluster, Forecast, Job, Plan, forecast, plan, plans
from course_lib.model.pools import MemoryMode
from course_lib.model.python_workers import PythonSide, arrow_batch, python_workers
from course_lib.model.region import Region
from course_lib.model.replay import Film, Frame, Score, TraceError, parse_trace, replay, score
from course_lib.model.store import BlockId, MemoryStore, RDDBlockId, StorageLevel
from course_lib.model.tasks import MemoryConsumer, SparkOutOfMemoryError, TaskMemoryManager

__all__ = [
    "COLLECTORS",
    "BlockId",
    "Cluster",
    "Container",
    "Film",
    "Forecast",
    "Frame",
    "Heap",
    "Job",
    "MemoryConsumer",
    "MemoryMode",
    "MemoryStore",
    "NodeFit",
    "Plan",
    "PythonSide",
    "RDDBlockId",
    "Rates",
    "Region",
    "Result",
    "Score",
    "SparkOutOfMemoryError",
    "StaticMemoryManager",
    "StorageLevel",
    "Table",
    "TaskMemoryManager",
    "TraceError",
    "UnifiedMemoryManager",
    "Use",
    "Work",
    "YarnScheduler",
    "arrow_batch",
    "container",
    "driver_budget",
    "executors_per_node",
    "fewest_partitions",
    "forecast",
    "heap",
    "largest_heap",
    "parse_trace",
    "partition_of",
    "partition_rows",
    "plan",
    "plans",
    "python_workers",
    "replay",
    "rows_of_keys",
    "rows_without_spill",
    "runtime_max_memory",
    "score",
    "sort_memory",
    "sort_spill",
    "task_share",
    "unsafe_row_bytes",
    "uses",
]

"""The explorables, a few controls and one mechanism each, and questions with explained answers.

The names below are loaded when first used, so that importing this package costs nothing.
"""

from course_lib.lazy import loaded_on_use

_HOME_OF = {
    "CachePays": "cache_pays",
    "CacheShelf": "cache_shelf",
    "ContainerBuilder": "container_builder",
    "Control": "explorable",
    "DriverBudget": "driver_budget",
    "Explorable": "explorable",
    "GcLogs": "gc_logs",
    "HeapRegions": "heap_regions",
    "HeapSawtooth": "heap_sawtooth",
    "Landscape": "landscape",
    "OnHeapOffHeap": "on_heap_off_heap",
    "Panel": "explorable",
    "PartitionSizes": "partition_sizes",
    "Planner": "planner",
    "Playground": "playground",
    "ProcessMap": "process_map",
    "PythonWorkers": "python_workers",
    "Race": "the_race",
    "TasksAtOnePool": "tasks_at_one_pool",
    "View": "explorable",
    "predict": "questions",
    "self_test": "questions",
}

__all__ = sorted(_HOME_OF)
__getattr__, __dir__ = loaded_on_use(__name__, _HOME_OF)

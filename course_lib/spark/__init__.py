"""Real Spark and real JVMs: find a Java, start, measure, ask, and look at the remains.

The names below are loaded when first used, so that importing this package costs nothing. The
function `autopsy` has the name of its module: ``from course_lib.spark.autopsy import autopsy``.
"""

from course_lib.lazy import loaded_on_use

_NAMES = {
    "allocation": ("ExecutorLife", "executor_lives", "held_over_time", "seconds_since_start"),
    "autopsy": ("ContainerWatcher", "Remains"),
    "cluster": ("StandaloneCluster", "standalone_cluster", "start_cluster", "stop_cluster"),
    "java": ("Java", "NoJavaError", "find_java", "java_env"),
    "jvm": ("Jvm", "JvmDiedError", "JvmOutOfMemoryError"),
    "memory_oracle": ("MemoryOracle",),
    "oracle": ("Oracle",),
    "refusal": ("SparkRefusal",),
    "session": (
        "executor_processes",
        "lab_session",
        "memory_manager",
        "rest",
        "start_lab_session",
        "stop_lab_session",
    ),
    "storage": ("CachedTable", "StorageTab", "storage_tab"),
}
_HOME_OF = {name: module for module, names in _NAMES.items() for name in names}

__all__ = sorted(_HOME_OF)
__getattr__, __dir__ = loaded_on_use(__name__, _HOME_OF)

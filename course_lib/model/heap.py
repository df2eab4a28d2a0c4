"""From the size of a JVM's heap to Spark's regions in it, computed as Spark computes them."""

from collections.abc import Mapping
from dataclasses import dataclass

from course_lib.model.region import Region
from course_lib.settings import LATEST, read, validate_settings, version
from course_lib.units import KIB, MIB, byte_string_as_bytes, java_integer

RESERVED_SYSTEM_MEMORY = 300 * MIB
MIN_SYSTEM_MEMORY = RESERVED_SYSTEM_MEMORY * 3 // 2

ROLES = ("executor", "driver")
COLLECTORS = ("G1", "Parallel", "Serial")


@dataclass(frozen=True)
class Heap:
    """The heap of a driver or an executor and Spark's regions in it, all in bytes.

    `max_heap_memory` is the memory that Spark manages, storage and execution together;
    `on_heap_storage_region_size` is what cached blocks have to exceed before execution evicts any.
    Source: ``UnifiedMemoryManager.getMaxMemory`` and ``UnifiedMemoryManager.apply``.
    """

    system_memory: int
    max_heap_memory: int
    on_heap_storage_region_size: int

    reserved_memory: int = RESERVED_SYSTEM_MEMORY

    @property
    def usable_memory(self) -> int:
        """What is left of the heap after the reserve."""
        return self.system_memory - self.reserved_memory

    @property
    def execution_memory(self) -> int:
        """Spark's memory outside the storage region: the execution pool at the start."""
        return self.max_heap_memory - self.on_heap_storage_region_size

    @property
    def user_memory(self) -> int:
        """What Spark leaves to your own objects."""
        return self.usable_memory - self.max_heap_memory

    def region(self) -> Region:
        """The heap as a tree: reserved, user, and Spark's memory with storage and execution."""
        storage = Region("storage", "storage", self.on_heap_storage_region_size)
        execution = Region("execution", "execution", self.execution_memory)
        spark = Region("Spark memory", "spark", self.max_heap_memory, children=(storage, execution))
        user = Region("user", "user", self.user_memory)
        reserved = Region("reserved", "reserved", self.reserved_memory)
        return Region("heap", "heap", self.system_memory, children=(reserved, user, spark))


def heap(
    conf: Mapping | None = None,
    *,
    role: str = "executor",
    collector: str = "G1",
    spark_version: str = LATEST,
    system_memory: int | None = None,
) -> Heap:
    """Spark's regions in the heap of a driver or executor.

    `conf` holds Spark settings as text. The heap is `system_memory` bytes if given (what
    ``Runtime.maxMemory`` returns); otherwise it follows from the role's memory setting and the
    `collector`.

    Raises ValueError, in Spark's words, for a heap under 450 MiB and for settings Spark refuses.
    Source: ``SparkConf.validateSettings``, then ``UnifiedMemoryManager.getMaxMemory``; SPARK-12759
    for `spark.executor.memory`.
    """
    conf = conf or {}
    if role not in ROLES:
        raise ValueError(f"role is {' or '.join(map(repr, ROLES))}, not {role!r}")
    if version(spark_version) < (1, 6):
        raise ValueError(f"the unified memory manager came with Spark 1.6, not {spark_version}")
    validate_settings(conf, spark_version)
    if system_memory is None:
        xmx = read(conf, f"spark.{role}.memory", spark_version) * MIB
        system_memory = runtime_max_memory(xmx, collector)
    require_memory(conf, system_memory, MIN_SYSTEM_MEMORY, role=role, spark_version=spark_version)
    usable = system_memory - RESERVED_SYSTEM_MEMORY
    max_heap_memory = java_integer(usable * read(conf, "spark.memory.fraction", spark_version), 64)
    storage_fraction = read(conf, "spark.memory.storageFraction", spark_version)
    storage_region = java_integer(max_heap_memory * storage_fraction, 64)
    if max_heap_memory - storage_region <= 0 and version(spark_version) >= (3, 0):
        raise ValueError("requirement failed: onHeapExecutionMemory must be > 0")
    return Heap(system_memory, max_heap_memory, storage_region)


def require_memory(
    conf: Mapping,
    system_memory: int,
    minimum: int,
    *,
    role: str = "executor",
    spark_version: str = LATEST,
) -> None:
    """Raises ValueError, in Spark's words, for a heap below the `minimum`, in bytes.

    And for an executor's, where `spark.executor.memory` is set (SPARK-12759).
    """
    if system_memory < minimum:
        raise ValueError(_too_small("System memory", system_memory, minimum, role, spark_version))
    if version(spark_version) >= (2, 0) and "spark.executor.memory" in conf:
        executor_memory = _size_as_bytes(conf, "spark.executor.memory")
        if executor_memory < minimum:
            raise ValueError(
                _too_small("Executor memory", executor_memory, minimum, "executor", spark_version)
            )


def _size_as_bytes(conf: Mapping, key: str) -> int:
    """A size for which Spark forgets the setting's unit: a bare "2048" is bytes here, not MiB.

    Source: ``SparkConf.getSizeAsBytes``.
    """
    try:
        return byte_string_as_bytes(str(conf[key]))
    except ValueError as error:
        raise ValueError(f"Illegal value for config key {key}: {error}") from None


def runtime_max_memory(xmx: int, collector: str = "G1", *, xms: int = 0) -> int:
    """What ``Runtime.maxMemory`` returns, in bytes, for a JVM (17 or newer) started with -Xmx.

    G1 counts the whole heap. Parallel and Serial keep one survivor space back, since one of the
    two is always empty. `xms` is the heap at the start, in bytes: it matters to Parallel alone,
    whose answer is never below what it has already committed.

    Raises ValueError for an unknown collector or a size that is not positive.
    Source: HotSpot's ``max_capacity`` of each collector's heap.
    """
    if collector not in COLLECTORS:
        raise ValueError(f"collector is one of {', '.join(COLLECTORS)}, not {collector!r}")
    if xmx <= 0:
        raise ValueError(f"a heap needs a positive size, not {xmx} bytes")
    if collector == "G1":
        region_size = min(32 * MIB, max(MIB, _next_power_of_2(-(-xmx // 2048))))
        return _align_up(xmx, max(2 * MIB, region_size))
    xmx = _align_up(xmx, 2 * MIB)
    if collector == "Serial":
        young = _align_down(xmx // 3, 64 * KIB)
        return xmx - _align_down(young // 10, 64 * KIB)
    committed = min(_align_up(xms, 2 * MIB), xmx)
    return max(xmx - _survivor(xmx, 3), committed - _survivor(committed, 8))


def _survivor(heap_size: int, share: int) -> int:
    """A survivor space of Parallel: its largest is a third of young, at the start it is an eighth.

    Young itself is a third of the heap.
    """
    young = _align_down(heap_size // 3, 512 * KIB)
    return max(512 * KIB, _align_down(young // share, 512 * KIB))


def _align_down(size: int, unit: int) -> int:
    return size // unit * unit


def _align_up(size: int, unit: int) -> int:
    return -(-size // unit) * unit


def _next_power_of_2(number: int) -> int:
    return 1 << (number - 1).bit_length()


def _too_small(what: str, size: int, minimum: int, role: str, spark_version: str) -> str:
    """Spark's complaint about `what` ("System memory" or "Executor memory") of `size` bytes."""
    since = version(spark_version)
    if since < (2, 0):
        least = f"{minimum / 1e8:.6f}E8"
        return f"{what} {size} must be at least {least}. Please use a larger heap size."
    if since < (4, 3):
        # Before 4.3 Spark took every short heap for the driver's, even an executor's own.
        role = "executor" if what == "Executor memory" else "driver"
    key = f"spark.{role}.memory"
    complaint = f"{what} {size} must be at least {minimum}."
    remedy = "heap size" if what == "System memory" else "executor memory"
    advice = f"Please increase {remedy} using the --{role}-memory option or "
    if since < (3, 5):
        return f"{complaint} {advice}{key} in Spark configuration."
    if since < (4, 3):
        return (
            f'[INVALID_{role.upper()}_MEMORY] {complaint}\n{advice}"{key}" in Spark configuration.'
        )
    detail = what.split()[0].upper().replace("EXECUTOR", "CONFIG")
    return (
        f"[INVALID_{role.upper()}_MEMORY.{detail}_MEMORY] Insufficient {role} memory: {complaint}\n"
        f'{advice}"{key}" in Spark configuration.'
    )

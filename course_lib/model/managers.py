"""Spark's memory managers: who may have how much, and who has to make room. All in bytes.

`UnifiedMemoryManager` is Spark's own since 1.6: storage and execution share one region.
`StaticMemoryManager` is what came before it: two regions with a wall between them.
"""

from collections.abc import Mapping

from course_lib.model.heap import COLLECTORS, heap, require_memory
from course_lib.model.pools import (
    ExecutionMemoryPool,
    MemoryMode,
    StorageMemoryPool,
    checked,
)
from course_lib.model.region import Region
from course_lib.settings import LATEST, read, validate_settings, version
from course_lib.units import MIB, java_integer

ON_HEAP, OFF_HEAP = MemoryMode.ON_HEAP, MemoryMode.OFF_HEAP

MIN_PAGE_SIZE, MAX_PAGE_SIZE = 1 * MIB, 64 * MIB
MIN_MEMORY_BYTES = 32 * MIB  # the least heap that the static manager takes
LONG_ARRAY_OFFSET = 16  # bytes that the JVM puts before the elements of an array


class MemoryManager:
    """What both managers share: a storage pool and an execution pool in each mode.

    `tungsten_memory_mode` is where operators take their memory from. `page_size` overrides the
    size that Spark works out for their pages (`spark.buffer.pageSize`).
    Raises ValueError for sizes that Spark refuses. Source: ``MemoryManager``.
    """

    def __init__(
        self,
        on_heap_storage_memory: int,
        on_heap_execution_memory: int,
        off_heap_storage_memory: int,
        off_heap_execution_memory: int,
        *,
        num_cores: int,
        spark_version: str,
        collector: str,
        tungsten_memory_mode: MemoryMode,
        page_size: int | None,
    ):
        if on_heap_execution_memory <= 0 and version(spark_version) >= (3, 0):
            raise ValueError("requirement failed: onHeapExecutionMemory must be > 0")
        if num_cores < 1:
            raise ValueError(f"an executor has at least 1 core, not {num_cores}")
        if collector not in COLLECTORS:
            raise ValueError(f"collector is one of {', '.join(COLLECTORS)}, not {collector!r}")
        self.spark_version = spark_version
        self.tungsten_memory_mode = tungsten_memory_mode
        self.on_heap_storage_memory_pool = StorageMemoryPool(ON_HEAP, on_heap_storage_memory)
        self.on_heap_execution_memory_pool = ExecutionMemoryPool(ON_HEAP, on_heap_execution_memory)
        self.off_heap_storage_memory_pool = StorageMemoryPool(OFF_HEAP, off_heap_storage_memory)
        self.off_heap_execution_memory_pool = ExecutionMemoryPool(
            OFF_HEAP, off_heap_execution_memory
        )
        if page_size is None:
            page_size = self._default_page_size(num_cores, collector)
        self.page_size_bytes = page_size

    def _default_page_size(self, num_cores: int, collector: str) -> int:
        """A 16th of a core's share of execution memory, as a power of 2 from 1 to 64 MiB.

        With G1, Spark since 3.3 leaves 16 bytes off, so that a page and what the JVM puts before
        an array fit G1's regions together (SPARK-37593).
        """
        execution = self.execution_pool(self.tungsten_memory_mode).pool_size
        size = _next_power_of_2(execution // num_cores // 16)
        size = min(MAX_PAGE_SIZE, max(MIN_PAGE_SIZE, size))
        in_g1 = collector == "G1" and self.tungsten_memory_mode is ON_HEAP
        if in_g1 and version(self.spark_version) >= (3, 3):
            size -= LONG_ARRAY_OFFSET
        return size

    def set_memory_store(self, store) -> None:
        """Say which store holds the blocks: it has to have `evict_blocks_to_free_space`."""
        self.on_heap_storage_memory_pool.memory_store = store
        self.off_heap_storage_memory_pool.memory_store = store

    @property
    def execution_memory_used(self) -> int:
        """What tasks hold, on-heap and off-heap."""
        return (
            self.on_heap_execution_memory_pool.memory_used
            + self.off_heap_execution_memory_pool.memory_used
        )

    @property
    def storage_memory_used(self) -> int:
        """What blocks take, on-heap and off-heap, those being unrolled included."""
        return (
            self.on_heap_storage_memory_pool.memory_used
            + self.off_heap_storage_memory_pool.memory_used
        )

    def execution_memory_for_task(self, task_attempt_id) -> int:
        """What a task holds, on-heap and off-heap."""
        return sum(
            self.execution_pool(mode).memory_for_task.get(task_attempt_id, 0) for mode in MemoryMode
        )

    def release_execution_memory(
        self, num_bytes: int, task_attempt_id, mode: MemoryMode = ON_HEAP
    ) -> None:
        """Give bytes back for a task. More than it holds counts as all that it holds."""
        self.execution_pool(mode).release_memory(num_bytes, task_attempt_id)

    def release_all_execution_memory_for_task(self, task_attempt_id) -> int:
        """Give back all that a task holds, in both modes; return how much it was."""
        return sum(
            self.execution_pool(mode).release_all_memory_for_task(task_attempt_id)
            for mode in MemoryMode
        )

    def release_storage_memory(self, num_bytes: int, mode: MemoryMode = ON_HEAP) -> None:
        """Give bytes of a block back. More than is used counts as all that is used."""
        self.storage_pool(mode).release_memory(num_bytes)

    def release_unroll_memory(self, num_bytes: int, mode: MemoryMode = ON_HEAP) -> None:
        """Give back what unrolling a block took: it is storage memory like any other."""
        self.release_storage_memory(num_bytes, mode)

    def release_all_storage_memory(self) -> None:
        """Give all storage memory back, in both modes."""
        self.on_heap_storage_memory_pool.release_all_memory()
        self.off_heap_storage_memory_pool.release_all_memory()

    def execution_pool(self, mode: MemoryMode) -> ExecutionMemoryPool:
        """The pool that tasks share in a mode. Raises ValueError for what is no mode."""
        if mode is ON_HEAP:
            return self.on_heap_execution_memory_pool
        if mode is OFF_HEAP:
            return self.off_heap_execution_memory_pool
        raise _no_mode(mode)

    def storage_pool(self, mode: MemoryMode) -> StorageMemoryPool:
        """The pool that blocks share in a mode. Raises ValueError for what is no mode."""
        if mode is ON_HEAP:
            return self.on_heap_storage_memory_pool
        if mode is OFF_HEAP:
            return self.off_heap_storage_memory_pool
        raise _no_mode(mode)

    def region(self) -> Region:
        """The pools as a tree, each with what is used of it; off-heap only where there is some."""
        on_heap = self._region("Spark memory", "spark", ON_HEAP)
        off_heap = self._region("off-heap", "off_heap", OFF_HEAP)
        if not off_heap.size:
            return on_heap
        on_heap = self._region("on-heap", "heap", ON_HEAP)
        size = on_heap.size + off_heap.size
        return Region("Spark memory", "spark", size, children=(on_heap, off_heap))

    def _region(self, name: str, kind: str, mode: MemoryMode) -> Region:
        storage, execution = self.storage_pool(mode), self.execution_pool(mode)
        pools = (
            Region("storage", "storage", storage.pool_size, storage.memory_used),
            Region("execution", "execution", execution.pool_size, execution.memory_used),
        )
        return Region(name, kind, storage.pool_size + execution.pool_size, children=pools)


class UnifiedMemoryManager(MemoryManager):
    """Storage and execution share one region with a soft boundary between them.

    Each may use what the other leaves free. Execution may also take back, by evicting blocks, what
    storage holds beyond its region (`on_heap_storage_region_size`, `off_heap_storage_region_size`;
    half of the off-heap memory by default). Storage never takes from execution what is used.
    Source: ``UnifiedMemoryManager``.
    """

    def __init__(
        self,
        max_heap_memory: int,
        on_heap_storage_region_size: int,
        *,
        max_off_heap_memory: int = 0,
        off_heap_storage_region_size: int | None = None,
        num_cores: int = 1,
        spark_version: str = LATEST,
        collector: str = "G1",
        tungsten_memory_mode: MemoryMode = ON_HEAP,
        page_size: int | None = None,
    ):
        since = version(spark_version)
        if since < (1, 6):
            raise ValueError(f"the unified memory manager came with Spark 1.6, not {spark_version}")
        off_heap_storage_region_size = _off_heap_region(
            off_heap_storage_region_size, max_off_heap_memory, spark_version
        )
        super().__init__(
            on_heap_storage_region_size,
            max_heap_memory - on_heap_storage_region_size,
            off_heap_storage_region_size,
            max_off_heap_memory - off_heap_storage_region_size,
            num_cores=num_cores,
            spark_version=spark_version,
            collector=collector,
            tungsten_memory_mode=tungsten_memory_mode,
            page_size=page_size,
        )
        self.max_heap_memory = max_heap_memory
        self.max_off_heap_memory = max_off_heap_memory
        self.on_heap_storage_region_size = on_heap_storage_region_size
        self.off_heap_storage_region_size = off_heap_storage_region_size
        self._unmanaged_memory_used = {ON_HEAP: 0, OFF_HEAP: 0}
        self._has_spark_21090 = since >= (2, 2)
        self._counts_unmanaged_memory = since >= (4, 1)
        self._stores_off_heap = since >= (2, 0)

    @classmethod
    def from_conf(
        cls,
        conf: Mapping | None = None,
        *,
        system_memory: int,
        num_cores: int = 1,
        spark_version: str = LATEST,
        collector: str = "G1",
    ) -> "UnifiedMemoryManager":
        """The manager of an executor whose ``Runtime.maxMemory`` is `system_memory` bytes.

        Raises ValueError, in Spark's words, for settings that Spark refuses.
        Source: ``UnifiedMemoryManager.apply``.
        """
        conf = conf or {}
        regions = heap(conf, system_memory=system_memory, spark_version=spark_version)
        off_heap = read(conf, "spark.memory.offHeap.size", spark_version)
        fraction = read(conf, "spark.memory.storageFraction", spark_version)
        return cls(
            regions.max_heap_memory,
            regions.on_heap_storage_region_size,
            max_off_heap_memory=off_heap,
            off_heap_storage_region_size=java_integer(off_heap * fraction, 64),
            num_cores=num_cores,
            spark_version=spark_version,
            collector=collector,
            tungsten_memory_mode=_tungsten_memory_mode(conf, spark_version),
            page_size=read(conf, "spark.buffer.pageSize", spark_version),
        )

    def acquire_execution_memory(
        self, num_bytes: int, task_attempt_id, mode: MemoryMode = ON_HEAP
    ) -> int | None:
        """Bytes granted to a task: all it asked for, fewer, or 0. None: it would wait, ask again.

        Storage makes room first: what it does not use, and what it holds beyond its region.
        """
        self.assert_invariants()
        checked(num_bytes)
        execution, storage, region, max_memory = self._in_mode(mode)

        def maybe_grow_execution_pool(extra_memory_needed: int) -> None:
            if extra_memory_needed > 0:
                reclaimable = max(storage.memory_free, storage.pool_size - region)
                if reclaimable > 0:
                    space = storage.free_space_to_shrink_pool(min(extra_memory_needed, reclaimable))
                    storage.decrement_pool_size(space)
                    execution.increment_pool_size(space)

        def compute_max_execution_pool_size() -> int:
            available = max_memory - min(storage.memory_used, region)
            return max(0, available - self._unmanaged_memory_used[mode])

        return execution.acquire_memory(
            num_bytes, task_attempt_id, maybe_grow_execution_pool, compute_max_execution_pool_size
        )

    def acquire_storage_memory(self, block_id, num_bytes: int, mode: MemoryMode = ON_HEAP) -> bool:
        """Take memory for a block, all or nothing. Execution makes room with what it leaves free;
        if that is too little, other blocks are evicted."""
        self.assert_invariants()
        checked(num_bytes)
        if mode is OFF_HEAP and not self._stores_off_heap:
            raise ValueError(f"Spark {self.spark_version} keeps no blocks off-heap; 2.0 does")
        execution, storage, _, max_memory = self._in_mode(mode)
        available = max_memory - self._unmanaged_memory_used[mode]
        if mode is ON_HEAP or self._has_spark_21090:
            available -= execution.memory_used
        if num_bytes > max(0, available):
            return False  # it can never fit, so nothing is evicted for it
        missing = num_bytes - storage.memory_free
        if missing > 0:
            borrowed = min(execution.memory_free, missing if self._has_spark_21090 else num_bytes)
            execution.decrement_pool_size(borrowed)
            storage.increment_pool_size(borrowed)
        return storage.acquire_memory(block_id, num_bytes)

    def acquire_unroll_memory(self, block_id, num_bytes: int, mode: MemoryMode = ON_HEAP) -> bool:
        """Take memory for unrolling a block: storage memory like any other."""
        return self.acquire_storage_memory(block_id, num_bytes, mode)

    @property
    def max_on_heap_storage_memory(self) -> int:
        """What blocks could have now, if all were evicted."""
        return self.max_heap_memory - self.on_heap_execution_memory_pool.memory_used

    @property
    def max_off_heap_storage_memory(self) -> int:
        """What off-heap blocks could have now, if all were evicted."""
        return self.max_off_heap_memory - self.off_heap_execution_memory_pool.memory_used

    def set_unmanaged_memory_used(self, num_bytes: int, mode: MemoryMode = ON_HEAP) -> None:
        """Memory that others report to Spark, such as RocksDB: it counts as not available.

        Raises ValueError before Spark 4.1, which brought this (SPARK-53001).
        """
        if not self._counts_unmanaged_memory:
            raise ValueError(
                f"Spark {self.spark_version} does not count unmanaged memory; 4.1 does"
            )
        self._unmanaged_memory_used[mode] = checked(num_bytes)

    def assert_invariants(self) -> None:
        """The pools of a mode always add up. Raises AssertionError if they do not."""
        on_heap = (
            self.on_heap_execution_memory_pool.pool_size
            + self.on_heap_storage_memory_pool.pool_size
        )
        off_heap = (
            self.off_heap_execution_memory_pool.pool_size
            + self.off_heap_storage_memory_pool.pool_size
        )
        if on_heap != self.max_heap_memory or off_heap != self.max_off_heap_memory:
            raise AssertionError(f"pools of {on_heap} and {off_heap} bytes do not add up")

    def _in_mode(self, mode: MemoryMode) -> tuple[ExecutionMemoryPool, StorageMemoryPool, int, int]:
        """Execution pool, storage pool, size of the storage region, and of both pools together."""
        if mode is ON_HEAP:
            return (
                self.on_heap_execution_memory_pool,
                self.on_heap_storage_memory_pool,
                self.on_heap_storage_region_size,
                self.max_heap_memory,
            )
        return (
            self.execution_pool(mode),
            self.storage_pool(mode),
            self.off_heap_storage_region_size,
            self.max_off_heap_memory,
        )


class StaticMemoryManager(MemoryManager):
    """Storage and execution each have a region of their own, and nothing is lent.

    Unrolling may evict blocks for at most `max_unroll_memory` (a fifth of storage by default).
    All off-heap memory is for execution. Spark's only manager until 1.5; in 1.6 to 2.4 behind
    `spark.memory.useLegacyMode`; gone in 3.0 (SPARK-26539).
    Source: ``StaticMemoryManager`` of Spark 2.4.
    """

    def __init__(
        self,
        max_execution_memory: int,
        max_storage_memory: int,
        *,
        max_unroll_memory: int | None = None,
        max_off_heap_memory: int = 0,
        off_heap_storage_region_size: int | None = None,
        num_cores: int = 1,
        spark_version: str = "2.4",
        tungsten_memory_mode: MemoryMode = ON_HEAP,
        page_size: int | None = None,
    ):
        if version(spark_version) >= (3, 0):
            raise ValueError(f"Spark {spark_version} has no static memory manager: 3.0 removed it")
        region = _off_heap_region(off_heap_storage_region_size, max_off_heap_memory, spark_version)
        super().__init__(
            max_storage_memory,
            max_execution_memory,
            region,
            max_off_heap_memory - region,
            num_cores=num_cores,
            spark_version=spark_version,
            collector="Parallel",
            tungsten_memory_mode=tungsten_memory_mode,
            page_size=page_size,
        )
        # Execution gets all of the off-heap memory, but only now that pages have their size.
        self.off_heap_storage_memory_pool.decrement_pool_size(region)
        self.off_heap_execution_memory_pool.increment_pool_size(region)
        if max_unroll_memory is None:
            max_unroll_memory = java_integer(max_storage_memory * 0.2, 64)
        self.max_unroll_memory = checked(max_unroll_memory)
        self.max_on_heap_storage_memory = max_storage_memory
        self.max_off_heap_storage_memory = 0

    @classmethod
    def from_conf(
        cls,
        conf: Mapping | None = None,
        *,
        system_memory: int,
        num_cores: int = 1,
        spark_version: str = "2.4",
    ) -> "StaticMemoryManager":
        """The manager of an executor whose ``Runtime.maxMemory`` is `system_memory` bytes.

        Raises ValueError, in Spark's words, for settings that Spark refuses.
        Source: ``StaticMemoryManager.getMaxStorageMemory`` and ``getMaxExecutionMemory``;
        ``SparkConf.validateSettings`` for the fractions.
        """
        conf = conf or {}
        validate_settings(conf, spark_version)
        off_heap = read(conf, "spark.memory.offHeap.size", spark_version)
        fraction = read(conf, "spark.memory.storageFraction", spark_version)
        if version(spark_version) >= (2, 0):
            require_memory(conf, system_memory, MIN_MEMORY_BYTES, spark_version=spark_version)

        def share(of: float, *keys: str) -> int:
            for key in keys:
                of *= read(conf, key, spark_version)
            return java_integer(of, 64)

        storage = share(
            system_memory, "spark.storage.memoryFraction", "spark.storage.safetyFraction"
        )
        execution = share(
            system_memory, "spark.shuffle.memoryFraction", "spark.shuffle.safetyFraction"
        )
        return cls(
            execution,
            storage,
            max_unroll_memory=share(storage, "spark.storage.unrollFraction"),
            max_off_heap_memory=off_heap,
            off_heap_storage_region_size=java_integer(off_heap * fraction, 64),
            num_cores=num_cores,
            spark_version=spark_version,
            tungsten_memory_mode=_tungsten_memory_mode(conf, spark_version),
            page_size=read(conf, "spark.buffer.pageSize", spark_version),
        )

    def acquire_execution_memory(
        self, num_bytes: int, task_attempt_id, mode: MemoryMode = ON_HEAP
    ) -> int | None:
        """Bytes granted to a task: all it asked for, fewer, or 0. None: it would wait, ask again.

        The pool has the size it has: however empty storage is, it lends nothing.
        """
        return self.execution_pool(mode).acquire_memory(checked(num_bytes), task_attempt_id)

    def acquire_storage_memory(self, block_id, num_bytes: int, mode: MemoryMode = ON_HEAP) -> bool:
        """Take memory for a block, all or nothing, after evicting others where needed."""
        if mode is OFF_HEAP:
            raise ValueError(
                "requirement failed: StaticMemoryManager does not support off-heap storage memory"
            )
        if checked(num_bytes) > self.max_on_heap_storage_memory:
            return False  # it can never fit, so nothing is evicted for it
        return self.storage_pool(mode).acquire_memory(block_id, num_bytes)

    def acquire_unroll_memory(self, block_id, num_bytes: int, mode: MemoryMode = ON_HEAP) -> bool:
        """Take memory for unrolling a block, evicting others up to a fifth of storage at most."""
        if mode is OFF_HEAP:
            raise ValueError(
                "requirement failed: StaticMemoryManager does not support off-heap unroll memory"
            )
        storage = self.storage_pool(mode)
        free, unrolling = storage.memory_free, storage.memory_store.current_unroll_memory
        max_num_bytes_to_free = max(0, self.max_unroll_memory - unrolling - free)
        num_bytes_to_free = max(0, min(max_num_bytes_to_free, checked(num_bytes) - free))
        return storage.acquire_memory(block_id, num_bytes, num_bytes_to_free)


def _off_heap_region(size: int | None, max_off_heap_memory: int, spark_version: str) -> int:
    """The part of off-heap memory that blocks have at first: half of it, where nothing is said."""
    if version(spark_version) < (2, 0):
        return 0  # SPARK-13992 brought off-heap storage
    return max_off_heap_memory // 2 if size is None else size


def _tungsten_memory_mode(conf: Mapping, spark_version: str) -> MemoryMode:
    if not read(conf, "spark.memory.offHeap.enabled", spark_version):
        return ON_HEAP
    if read(conf, "spark.memory.offHeap.size", spark_version) <= 0:
        raise ValueError(
            "requirement failed: spark.memory.offHeap.size must be > 0 "
            "when spark.memory.offHeap.enabled == true"
        )
    return OFF_HEAP


def _next_power_of_2(number: int) -> int:
    return 1 << (number - 1).bit_length() if number > 0 else 0


def _no_mode(mode: object) -> ValueError:
    return ValueError(f"a memory mode is MemoryMode.ON_HEAP or MemoryMode.OFF_HEAP, not {mode!r}")

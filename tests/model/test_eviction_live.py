"""Cached RDDs in a running Spark: the model, told their sizes, keeps and evicts the same blocks."""

import random

import pytest
from pyspark import StorageLevel as PySparkLevel

from course_lib.model import MemoryStore, StorageLevel, UnifiedMemoryManager
from course_lib.spark.session import lab_session, memory_manager
from course_lib.units import MIB

pytestmark = pytest.mark.conformance

LEVELS = ("MEMORY_ONLY", "MEMORY_ONLY_SER", "MEMORY_AND_DISK", "MEMORY_AND_DISK_SER")
TASK = 1_000_000  # a task attempt that Spark itself does not come to


class Live:
    """Spark in local mode, and a model of the same size beside it.

    A block's size is what Spark says it is; what becomes of the block, the model says for itself.
    """

    def __init__(self, spark):
        self.context, self.jvm = spark.sparkContext, spark.sparkContext._jvm
        self.live = memory_manager(spark)
        self.manager = UnifiedMemoryManager(
            self.live.max_heap_memory, self.live.on_heap_storage_region_size
        )
        self.store = MemoryStore(self.manager)
        self.blocks = self._block_manager()
        entries = self.blocks.memoryStore().getClass().getDeclaredField("entries")
        entries.setAccessible(True)
        self.entries = entries.get(self.blocks.memoryStore())
        self.rdds = {}
        self.broadcasts = set()

    def _block_manager(self):
        """Py4J cannot list SparkEnv's methods; method handles find single ones by name."""
        handles = self.jvm.java.lang.invoke.MethodHandles.publicLookup()
        returning = self.jvm.java.lang.invoke.MethodType.methodType
        env_class = self.jvm.java.lang.Class.forName("org.apache.spark.SparkEnv")
        its_class = self.jvm.java.lang.Class.forName("org.apache.spark.storage.BlockManager")
        env = handles.findStatic(env_class, "get", returning(env_class)).invokeWithArguments([])
        get = handles.findVirtual(env_class, "blockManager", returning(its_class))
        return get.invokeWithArguments([env])

    def in_memory(self) -> dict[str, int]:
        """Spark's blocks in memory and their sizes, the least recently used first."""
        return {e.getKey().name(): e.getValue().size() for e in self.entries.entrySet()}

    def on_disk(self, names) -> set[str]:
        block_id = self.jvm.org.apache.spark.storage.BlockId
        return {n for n in names if self.blocks.diskStore().contains(block_id.apply(n))}

    def persist(self, size: int, level: str) -> str:
        """An RDD of one partition with one value of so many bytes; the name of its block."""
        data = self.context.parallelize([size], 1).map(lambda n: random.Random(n).randbytes(n))
        chosen = StorageLevel.from_string(level)
        data.persist(PySparkLevel(chosen.use_disk, True, False, chosen.deserialized, 1))
        name = f"rdd_{data.id()}_0"
        self.rdds[name] = (data, chosen)
        return name

    def measure(self, name: str) -> int:
        """The size that this block has in Spark, which has nothing else to do yet."""
        self.rdds[name][0].count()
        size = self.in_memory()[name]
        self.forget(name)
        return size

    def forget(self, name: str) -> None:
        data, chosen = self.rdds[name]
        level = data.getStorageLevel()
        data.unpersist(blocking=True)
        data.persist(level)
        self.rdds[name] = (data, chosen)

    def count(self, name: str, size: int) -> str | None:
        """Count an RDD in Spark and do the same in the model: where the block was."""
        self.rdds[name][0].count()
        new = {n: s for n, s in self.in_memory().items() if n.startswith("broadcast_")}
        self._broadcast({n: s for n, s in new.items() if n not in self.broadcasts})
        found = self.store.get(name)
        if found is None:
            self.store.put_iterator(name, [size], self.rdds[name][1])
        return found

    def _broadcast(self, new: dict[str, int]) -> None:
        """A job begins by broadcasting its tasks: a value, its pieces, and then it is read."""
        self.broadcasts |= new.keys()
        for name in sorted(name for name in new if "piece" not in name):
            self.store.put_iterator(name, [new[name]], StorageLevel.MEMORY_AND_DISK)
            for piece in sorted(n for n in new if n.startswith(f"{name}_")):
                self.store.put(piece, new[piece], StorageLevel.MEMORY_AND_DISK_SER)
            self.store.get(name)

    def agree(self) -> None:
        """Same blocks in the same order, the same on disk, the same pools' use."""
        ours = {str(b.block_id): b.size for b in self.store.blocks_in_memory()}
        assert list(ours.items()) == list(self.in_memory().items())
        disk = {str(b.block_id) for b in self.store.blocks_on_disk()}
        assert disk == self.on_disk(self.rdds.keys() | self.broadcasts)
        assert self.manager.storage_memory_used == self.live.storage_memory_used
        assert self.manager.execution_memory_used == self.live.execution_memory_used


def test_same_blocks_stay_and_leave():
    # Without its cleaner, Spark removes nothing of its own accord, whenever a collection may come.
    conf = {
        "spark.memory.fraction": "0.1",
        "spark.cleaner.referenceTracking": "false",
        "spark.ui.enabled": "false",
        "spark.rdd.compress": "false",
    }
    draw = random.Random(5)
    with lab_session(driver_memory="512m", cores=1, conf=conf) as spark:
        live = Live(spark)
        sizes = {}
        for number in range(8):
            name = live.persist((2 + number % 5) * MIB + number * 1000, LEVELS[number % 4])
            sizes[name] = live.measure(name)
        too_large = live.persist(25 * MIB, "MEMORY_AND_DISK_SER")
        sizes[too_large] = 25 * MIB
        # From here on, with the broadcasts of the jobs until now, both go the same way.
        for name, size in live.in_memory().items():
            live.broadcasts.add(name)
            live.store.put(name, size, StorageLevel.MEMORY_AND_DISK_SER)
        live.agree()

        on_heap = live.jvm.org.apache.spark.memory.MemoryMode.ON_HEAP
        found = []
        for _ in range(40):
            if draw.random() < 0.2:
                size = draw.randrange(1, 12 * MIB)
                granted = live.live.java.acquireExecutionMemory(size, TASK, on_heap)
                assert live.manager.acquire_execution_memory(size, TASK) == granted
            elif draw.random() < 0.2:
                released = live.live.java.releaseAllExecutionMemoryForTask(TASK)
                assert live.manager.release_all_execution_memory_for_task(TASK) == released
            else:
                name = draw.choice(list(sizes))
                found.append(live.count(name, sizes[name]))
            live.agree()
        assert {"memory", "disk", None} == set(found)
        assert any(block.startswith("rdd_") for block in live.in_memory())
        assert found.count(None) > len(sizes)  # blocks that were evicted and made again

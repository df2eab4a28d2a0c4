"""The memory managers, by hand: numbers that a reader can check."""

import copy
import logging

import pytest

from course_lib.model import MemoryMode, MemoryStore, StaticMemoryManager, StorageLevel
from course_lib.model import UnifiedMemoryManager as Unified
from course_lib.units import GIB, MIB

OFF_HEAP = MemoryMode.OFF_HEAP


def unified(total=1000, region=500, **options):
    manager = Unified(total, region, **options)
    return manager, MemoryStore(manager)


def sizes(manager):
    return (
        manager.on_heap_storage_memory_pool.pool_size,
        manager.on_heap_execution_memory_pool.pool_size,
    )


def test_a_heap_of_1_gib_and_two_cores():
    manager = Unified.from_conf({}, system_memory=GIB, num_cores=2)
    assert manager.max_heap_memory == 455501414
    assert manager.on_heap_storage_region_size == 227750707
    assert manager.page_size_bytes == 8 * MIB - 16


@pytest.mark.parametrize(
    ("conf", "collector", "spark_version", "page"),
    [
        ({"spark.memory.storageFraction": "0.0"}, "G1", "4.3", 16 * MIB - 16),
        ({}, "Parallel", "4.3", 8 * MIB),
        ({}, "G1", "3.2", 8 * MIB),
        ({"spark.buffer.pageSize": "3m"}, "G1", "4.3", 3 * MIB),
        (
            {"spark.memory.offHeap.enabled": "true", "spark.memory.offHeap.size": "1g"},
            "G1",
            "4.3",
            16 * MIB,
        ),
    ],
)
def test_page_sizes(conf, collector, spark_version, page):
    options = {"num_cores": 2, "collector": collector, "spark_version": spark_version}
    assert Unified.from_conf(conf, system_memory=GIB, **options).page_size_bytes == page


def test_pages_are_never_under_1_nor_over_64_mib():
    assert Unified(100, 50).page_size_bytes == MIB - 16
    assert Unified(100, 50, page_size=0).page_size_bytes == 0  # as in Spark, which checks nothing
    assert Unified(2**50, 0).page_size_bytes == 64 * MIB - 16


def test_storage_borrows_what_execution_leaves_free():
    manager, store = unified()
    assert store.put("rdd_0_0", 900, StorageLevel.MEMORY_ONLY)
    assert sizes(manager) == (900, 100)
    assert manager.max_on_heap_storage_memory == 1000


def test_execution_takes_back_what_is_above_the_region():
    manager, store = unified()
    for split in range(9):
        store.put(f"rdd_{split}_0", 100, StorageLevel.MEMORY_ONLY)
    assert manager.acquire_execution_memory(800, 1) == 500
    assert [block.block_id for block in store.blocks_in_memory()] == [
        f"rdd_{split}_0" for split in range(4, 9)
    ]


def test_a_whole_block_leaves_even_if_that_goes_below_the_region():
    manager, store = unified(total=434, region=217)
    store.put("rdd_0_0", 260, StorageLevel.MEMORY_ONLY)
    assert manager.acquire_execution_memory(200, 1) == 200
    assert manager.storage_memory_used == 0
    store.put("rdd_0_1", 200, StorageLevel.MEMORY_ONLY)
    assert store.contains("rdd_0_1")
    assert manager.acquire_execution_memory(400, 1) == 34
    assert store.contains("rdd_0_1")


def test_storage_never_takes_what_execution_holds():
    manager, store = unified()
    assert manager.acquire_execution_memory(1000, 1) == 1000
    assert not store.put("rdd_0_0", 1, StorageLevel.MEMORY_ONLY)
    assert manager.max_on_heap_storage_memory == 0


def test_before_2_2_storage_borrowed_as_much_as_it_wanted():
    for spark_version, pools in (("2.1", (900, 100)), ("2.2", (600, 400))):
        manager, store = unified(spark_version=spark_version)
        store.put("rdd_0_0", 200, StorageLevel.MEMORY_ONLY)
        store.put("rdd_0_1", 400, StorageLevel.MEMORY_ONLY)
        assert sizes(manager) == pools


def test_unmanaged_memory_counts_since_4_1():
    manager, store = unified()
    manager.set_unmanaged_memory_used(700)
    assert not store.put("rdd_0_0", 301, StorageLevel.MEMORY_ONLY)
    assert store.put("rdd_0_0", 300, StorageLevel.MEMORY_ONLY)
    manager.set_unmanaged_memory_used(10**6)
    assert not store.put("rdd_0_1", 1, StorageLevel.MEMORY_ONLY)
    with pytest.raises(ValueError, match=r"Spark 4\.0 does not count unmanaged memory"):
        unified(spark_version="4.0")[0].set_unmanaged_memory_used(1)


def test_off_heap_memory_is_shared_in_the_same_way():
    manager, store = unified(max_off_heap_memory=100)
    assert store.put("rdd_0_0", 80, StorageLevel.OFF_HEAP)
    assert manager.acquire_execution_memory(90, 1, OFF_HEAP) == 90
    assert manager.off_heap_storage_memory_pool.memory_used == 0
    assert manager.max_off_heap_storage_memory == 10
    assert manager.execution_memory_for_task(1) == 90
    assert manager.release_all_execution_memory_for_task(1) == 90
    assert manager.region().find("off-heap").size == 100


def test_off_heap_sizes_count_even_when_off_heap_is_disabled():
    manager = Unified.from_conf({"spark.memory.offHeap.size": "1g"}, system_memory=GIB)
    assert manager.max_off_heap_storage_memory == GIB
    assert manager.tungsten_memory_mode is MemoryMode.ON_HEAP


def test_tasks_share_between_a_half_and_one_nth():
    manager, _ = unified(total=1000, region=0)
    assert manager.acquire_execution_memory(1000, "t1") == 1000
    assert manager.acquire_execution_memory(100, "t2") is None  # 1/2N is 250, nothing is free
    manager.release_execution_memory(200, "t1")
    assert manager.acquire_execution_memory(100, "t2") == 100  # all it asked for
    assert manager.acquire_execution_memory(1000, "t2") is None
    manager.release_execution_memory(150, "t1")
    assert manager.acquire_execution_memory(1000, "t2") == 250
    assert manager.acquire_execution_memory(1, "t1") == 0  # 650 is beyond 1/N, and stays
    assert manager.on_heap_execution_memory_pool.memory_for_task == {"t1": 650, "t2": 350}


def test_a_task_granted_nothing_counts_until_it_gives_back():
    manager, _ = unified(total=1000, region=0)
    manager.acquire_execution_memory(1000, "t1")
    assert manager.acquire_execution_memory(1000, "t2") is None
    assert manager.on_heap_execution_memory_pool.memory_for_task["t2"] == 0
    manager.release_execution_memory(0, "t2")
    assert "t2" not in manager.on_heap_execution_memory_pool.memory_for_task


def test_the_static_managers_regions():
    manager = StaticMemoryManager.from_conf({}, system_memory=10 * GIB, num_cores=4)
    assert manager.max_on_heap_storage_memory == 5798205849
    assert manager.max_unroll_memory == 1159641169
    assert manager.page_size_bytes == 32 * MIB


def test_the_static_manager_lends_nothing():
    manager = StaticMemoryManager(200, 500)
    store = MemoryStore(manager)
    assert not store.put("rdd_0_0", 501, StorageLevel.MEMORY_ONLY)
    assert store.put("rdd_0_0", 500, StorageLevel.MEMORY_ONLY)
    assert manager.acquire_execution_memory(300, 1) == 200
    assert store.contains("rdd_0_0")


def test_the_static_manager_evicts_at_most_a_fifth_for_unrolling():
    manager = StaticMemoryManager(200, 500)
    store = MemoryStore(manager, unroll_memory_threshold=10)
    for split in range(5):
        store.put(f"rdd_{split}_0", 100, StorageLevel.MEMORY_ONLY)
    assert not store.put_iterator("rdd_9_0", [150], StorageLevel.MEMORY_ONLY)
    assert [block.block_id for block in store.blocks_in_memory()] == [
        f"rdd_{split}_0" for split in range(1, 5)
    ]
    assert store.put("rdd_9_0", 150, StorageLevel.MEMORY_ONLY)  # whole, it may push out more


def test_the_static_manager_keeps_no_blocks_off_heap():
    manager = StaticMemoryManager(200, 500, max_off_heap_memory=100)
    with pytest.raises(ValueError, match="does not support off-heap storage memory"):
        manager.acquire_storage_memory("rdd_0_0", 1, OFF_HEAP)
    with pytest.raises(ValueError, match="does not support off-heap unroll memory"):
        manager.acquire_unroll_memory("rdd_0_0", 1, OFF_HEAP)
    assert manager.acquire_execution_memory(100, 1, OFF_HEAP) == 100


def test_managers_by_version():
    with pytest.raises(ValueError, match=r"Spark 3\.0 has no static memory manager"):
        StaticMemoryManager(200, 500, spark_version="3.0")
    with pytest.raises(ValueError, match=r"came with Spark 1\.6, not 1\.5"):
        Unified(1000, 500, spark_version="1.5")
    with pytest.raises(ValueError, match=r"Spark 1\.6 keeps no blocks off-heap"):
        Unified(1000, 500, max_off_heap_memory=9, spark_version="1.6").acquire_storage_memory(
            "rdd_0_0", 1, OFF_HEAP
        )


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda m: m.acquire_execution_memory(0, 1), "invalid number of bytes requested: 0"),
        (lambda m: m.acquire_execution_memory(-1, 1), "at least 0 .* not -1"),
        (lambda m: m.acquire_execution_memory(2**63, 1), "not 9223372036854775808"),
        (lambda m: m.acquire_storage_memory("rdd_0_0", -1), "at least 0"),
        (lambda m: m.acquire_storage_memory("rdd_0_0", 2**63), "at most 9223372036854775807"),
        (lambda m: m.acquire_unroll_memory("rdd_0_0", -1), "at least 0"),
        (lambda m: m.release_execution_memory(-1, 1), "at least 0"),
        (lambda m: m.release_storage_memory(-1), "at least 0"),
        (lambda m: m.acquire_execution_memory(1, 1, "ON_HEAP"), "a memory mode is MemoryMode"),
        (lambda m: m.acquire_storage_memory("rdd_0_0", 1, None), "a memory mode is MemoryMode"),
    ],
)
@pytest.mark.parametrize(
    "make", [lambda: Unified(1000, 500), lambda: StaticMemoryManager(200, 500)]
)
def test_bad_sizes_and_modes_are_refused_and_change_nothing(make, call, says):
    manager = make()
    MemoryStore(manager)
    with pytest.raises(ValueError, match=says):
        call(manager)
    assert manager.region() == make().region()


def test_the_largest_sizes_are_only_too_large():
    manager, store = unified()
    assert manager.acquire_execution_memory(2**63 - 1, 1) == 1000
    assert not store.put("rdd_0_0", 2**63 - 1, StorageLevel.MEMORY_ONLY)


@pytest.mark.parametrize(
    ("arguments", "options", "says"),
    [
        ((1000, 1000), {}, "onHeapExecutionMemory must be > 0"),
        ((1000, 1001), {}, "onHeapExecutionMemory must be > 0"),
        ((1000, -1), {}, "at least 0"),
        ((1000, 500), {"num_cores": 0}, "at least 1 core"),
        ((1000, 500), {"collector": "CMS"}, "collector is one of"),
        ((1000, 500), {"max_off_heap_memory": 10, "off_heap_storage_region_size": 11}, "at least"),
    ],
)
def test_managers_that_cannot_be(arguments, options, says):
    with pytest.raises(ValueError, match=says):
        Unified(*arguments, **options)


def test_off_heap_enabled_needs_a_size():
    conf = {"spark.memory.offHeap.enabled": "true"}
    with pytest.raises(ValueError, match=r"spark\.memory\.offHeap\.size must be > 0"):
        Unified.from_conf(conf, system_memory=GIB)


def test_more_than_is_held_counts_as_all_and_is_told_to_the_log(caplog):
    manager, store = unified()
    manager.acquire_execution_memory(100, 1)
    store.put("rdd_0_0", 100, StorageLevel.MEMORY_ONLY)
    with caplog.at_level(logging.WARNING, "course_lib"):
        manager.release_execution_memory(101, 1)
        manager.release_storage_memory(101)
        manager.release_execution_memory(5, "nobody")
    assert (manager.execution_memory_used, manager.storage_memory_used) == (0, 0)
    assert [record.getMessage() for record in caplog.records] == [
        "Internal error: release called on 101 bytes but task only has 100 bytes of memory "
        "from the on-heap execution pool",
        "Attempted to release 101 bytes of storage memory when we only have 100 bytes",
        "Internal error: release called on 5 bytes but task only has 0 bytes of memory "
        "from the on-heap execution pool",
    ]


def test_without_a_store_nothing_can_be_evicted():
    manager = Unified(1000, 500)
    assert manager.acquire_storage_memory("rdd_0_0", 900)
    with pytest.raises(RuntimeError, match="memory store not initialized yet"):
        manager.acquire_storage_memory("rdd_0_1", 200)


def test_a_pool_does_not_shrink_below_what_is_used():
    pool = Unified(1000, 500).on_heap_storage_memory_pool
    pool.acquire_memory("rdd_0_0", 400)
    with pytest.raises(ValueError, match="100 bytes free cannot shrink by 101"):
        pool.decrement_pool_size(101)
    with pytest.raises(ValueError, match="at least 0"):
        pool.increment_pool_size(-1)


def test_pools_that_do_not_add_up_are_noticed():
    manager, _ = unified()
    manager.on_heap_storage_memory_pool.increment_pool_size(1)
    with pytest.raises(AssertionError, match="do not add up"):
        manager.acquire_execution_memory(1, 1)


def test_a_manager_can_be_copied():
    manager, store = unified()
    store.put("rdd_0_0", 100, StorageLevel.MEMORY_ONLY)
    copied = copy.deepcopy(manager)
    copied.acquire_execution_memory(1000, 1)
    assert manager.region() == unified_region(500, 100, 500, 0)
    assert copied.region() != manager.region()


def unified_region(storage, storage_used, execution, execution_used):
    manager = Unified(storage + execution, storage)
    manager.on_heap_storage_memory_pool.memory_used = storage_used
    manager.on_heap_execution_memory_pool.memory_used = execution_used
    return manager.region()


def test_all_storage_memory_can_be_released():
    manager, store = unified(max_off_heap_memory=100)
    store.put("rdd_0_0", 100, StorageLevel.MEMORY_ONLY)
    store.put("rdd_0_1", 50, StorageLevel.OFF_HEAP)
    assert manager.storage_memory_used == 150
    manager.release_all_storage_memory()
    assert manager.storage_memory_used == 0

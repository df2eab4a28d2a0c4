"""Blocks in memory and on disk, by hand."""

import pytest

from course_lib.model import BlockId, MemoryStore, RDDBlockId, StorageLevel, UnifiedMemoryManager
from course_lib.model.pools import MemoryMode

MEMORY_ONLY, MEMORY_AND_DISK = StorageLevel.MEMORY_ONLY, StorageLevel.MEMORY_AND_DISK


@pytest.fixture
def store():
    """A store for 100 bytes, all of which execution may claim."""
    return MemoryStore(UnifiedMemoryManager(100, 0), unroll_memory_threshold=10)


def in_memory(store):
    return [block.block_id for block in store.blocks_in_memory()]


def on_disk(store):
    return [block.block_id for block in store.blocks_on_disk()]


def test_block_ids_are_their_names():
    assert RDDBlockId(2, 0) == BlockId("rdd_2_0") == "rdd_2_0"
    assert RDDBlockId(2, 0).rdd_id == 2
    assert [BlockId(name).rdd_id for name in ("broadcast_2", "rdd_2", "rdd_2_0_1", "xrdd_2_0")] == [
        None
    ] * 4


def test_storage_levels():
    assert StorageLevel.from_string("MEMORY_AND_DISK_SER_2").replication == 2
    assert StorageLevel.MEMORY_AND_DISK.name == "MEMORY_AND_DISK"
    assert StorageLevel.OFF_HEAP.memory_mode is MemoryMode.OFF_HEAP
    with pytest.raises(ValueError, match=r"one of NONE, DISK_ONLY, .* not 'MEMORY'"):
        StorageLevel.from_string("MEMORY")


def test_the_least_recently_used_leaves(store):
    for rdd in range(4):
        store.put(RDDBlockId(rdd, 0), 25, MEMORY_ONLY)
    assert store.get("rdd_0_0") == "memory"
    assert store.contains("rdd_1_0")  # to ask is not to use
    store.put("rdd_4_0", 30, MEMORY_ONLY)
    assert in_memory(store) == ["rdd_3_0", "rdd_0_0", "rdd_4_0"]


def test_a_block_never_pushes_out_one_of_its_own_rdd(store):
    store.put("rdd_1_0", 50, MEMORY_ONLY)
    store.put("rdd_2_0", 50, MEMORY_ONLY)
    assert store.put("rdd_1_1", 50, MEMORY_ONLY)
    assert in_memory(store) == ["rdd_1_0", "rdd_1_1"]
    assert not store.put("rdd_1_2", 50, MEMORY_ONLY)
    assert store.memory_manager.acquire_execution_memory(50, 1) == 50  # execution may
    assert in_memory(store) == ["rdd_1_1"]


def test_all_or_nothing(store):
    store.put("rdd_1_0", 40, MEMORY_ONLY)
    store.put("rdd_2_0", 60, MEMORY_ONLY)
    store.pin("rdd_2_0")
    assert not store.put("rdd_3_0", 41, MEMORY_ONLY)
    assert in_memory(store) == ["rdd_1_0", "rdd_2_0"]
    store.unpin("rdd_2_0")
    assert store.put("rdd_3_0", 41, MEMORY_ONLY)
    assert in_memory(store) == ["rdd_3_0"]


def test_a_level_given_as_text_is_refused(store):
    with pytest.raises(TypeError, match=r"such as StorageLevel.MEMORY_ONLY, not 'MEMORY_ONLY'"):
        store.put("rdd_1_0", 40, "MEMORY_ONLY")


def test_where_blocks_go_by_level(store):
    store.put("rdd_1_0", 60, MEMORY_AND_DISK)
    store.put("rdd_2_0", 40, MEMORY_ONLY)
    assert not store.put("rdd_3_0", 10, StorageLevel.DISK_ONLY)
    assert not store.put("rdd_4_0", 101, MEMORY_AND_DISK)
    assert store.put("rdd_5_0", 100, MEMORY_ONLY)
    assert on_disk(store) == ["rdd_3_0", "rdd_4_0", "rdd_1_0"]
    assert store.get("rdd_2_0") is None


def test_what_is_read_from_disk_comes_back_if_there_is_room(store):
    store.put("rdd_1_0", 60, MEMORY_AND_DISK)
    store.put("rdd_2_0", 60, MEMORY_AND_DISK)
    assert store.get("rdd_1_0") == "disk"
    assert in_memory(store) == ["rdd_1_0"]
    assert on_disk(store) == ["rdd_1_0", "rdd_2_0"]  # it stays there, too
    store.pin("rdd_1_0")
    assert store.get("rdd_2_0") == "disk"
    assert in_memory(store) == ["rdd_1_0"]
    store.put("rdd_3_0", 1, StorageLevel.DISK_ONLY)
    assert store.get("rdd_3_0") == "disk"
    assert not store.contains("rdd_3_0")


def test_a_block_is_stored_once(store):
    store.put("rdd_1_0", 60, MEMORY_AND_DISK)
    for again in (store.put, lambda *a: store.put_iterator(a[0], [a[1]], a[2])):
        with pytest.raises(ValueError, match="Block rdd_1_0 is already present"):
            again("rdd_1_0", 60, MEMORY_AND_DISK)
    assert store.remove("rdd_1_0")
    assert not store.remove("rdd_1_0")
    assert store.put("rdd_1_0", 60, MEMORY_ONLY)
    assert store.memory_manager.storage_memory_used == 60


def test_unknown_and_pinned_blocks(store):
    with pytest.raises(KeyError, match="no block rdd_9_9 is here"):
        store.pin("rdd_9_9")
    with pytest.raises(ValueError, match="rdd_9_9 is not pinned"):
        store.unpin("rdd_9_9")
    assert not store.remove("rdd_9_9")
    assert store.get("rdd_9_9") is None
    store.put("rdd_1_0", 1, MEMORY_ONLY)
    store.pin("rdd_1_0")
    store.pin("rdd_1_0")
    store.unpin("rdd_1_0")
    with pytest.raises(ValueError, match="cannot be removed while it is read"):
        store.remove("rdd_1_0")


@pytest.mark.parametrize("size", [-1, 2**63])
def test_sizes_that_no_block_has(store, size):
    with pytest.raises(ValueError, match="a number of bytes"):
        store.put("rdd_1_0", size, MEMORY_ONLY)
    with pytest.raises(ValueError, match="a number of bytes"):
        store.put_iterator("rdd_1_0", [1, size], MEMORY_ONLY)
    assert in_memory(store) == []


def test_unrolling_reserves_as_it_grows():
    manager = UnifiedMemoryManager(1000, 0)
    store = MemoryStore(manager, unroll_memory_threshold=10, unroll_memory_check_period=2)
    asked = []
    acquire = manager.acquire_unroll_memory
    manager.acquire_unroll_memory = lambda *call: asked.append(call[1]) or acquire(*call)
    assert store.put_iterator("rdd_1_0", [20] * 4, MEMORY_ONLY)
    # 10 at once; 20 after the first value: 1.5 * 20 - 10; 60 after the third: 1.5 * 60 - 30.
    assert asked == [10, 20, 60]
    assert manager.storage_memory_used == 80
    assert store.current_unroll_memory == 0


def test_what_unrolling_pushed_out_in_vain_stays_out():
    store = MemoryStore(UnifiedMemoryManager(100, 0), unroll_memory_threshold=10)
    store.put("rdd_1_0", 100, MEMORY_AND_DISK)
    assert not store.put("rdd_2_0", 101, MEMORY_ONLY)  # its size is known: nothing leaves
    assert in_memory(store) == ["rdd_1_0"]
    assert not store.put_iterator("rdd_2_0", [1] * 101, MEMORY_ONLY)
    assert in_memory(store) == []
    assert store.memory_manager.storage_memory_used == 0


def test_what_cannot_be_unrolled_goes_to_disk(store):
    assert not store.put_iterator("rdd_1_0", [50, 60], MEMORY_AND_DISK)
    assert on_disk(store) == ["rdd_1_0"]
    assert store.put_iterator("rdd_2_0", [], MEMORY_ONLY)


def test_eviction_is_asked_for_directly(store):
    store.put("rdd_1_0", 40, MEMORY_ONLY)
    assert store.evict_blocks_to_free_space(None, 41, MemoryMode.ON_HEAP) == 0
    assert store.evict_blocks_to_free_space(None, 1, MemoryMode.OFF_HEAP) == 0
    assert store.evict_blocks_to_free_space("rdd_1_9", 1, MemoryMode.ON_HEAP) == 0
    assert store.evict_blocks_to_free_space(None, 1, MemoryMode.ON_HEAP) == 40

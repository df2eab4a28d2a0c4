from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from course_lib.model import MemoryMode, MemoryStore, StaticMemoryManager, StorageLevel
from course_lib.model.clairvoyant import ClairvoyantStore

ONLY = StorageLevel.MEMORY_ONLY
# One block for each RDD, so that any may make room for any other.
blocks = st.integers(0, 4).map(lambda rdd: f"rdd_{rdd}_0")
traces = st.lists(blocks, min_size=1, max_size=12)


def misses(store, accesses):
    """How often a block that is touched is not there; it is put there then."""
    count = 0
    for number, block in enumerate(accesses):
        store.now = number
        if store.get(block) is None:
            count += 1
            store.put(block, 1, ONLY)
    return count


@cache
def fewest_misses(accesses, room, held=frozenset()):
    """What the best of all policies would miss, found by trying every one."""
    if not accesses:
        return 0
    first, rest = accesses[0], accesses[1:]
    if first in held:
        return fewest_misses(rest, room, held)
    if len(held) < room:
        return 1 + fewest_misses(rest, room, held | {first})
    return 1 + min(fewest_misses(rest, room, (held - {one}) | {first}) for one in held)


@given(traces, st.integers(1, 4))
def test_no_policy_misses_less_with_blocks_of_one_size(accesses, room):
    clairvoyant = ClairvoyantStore(StaticMemoryManager(1, room), accesses)
    best = fewest_misses(tuple(accesses), room)
    assert misses(clairvoyant, accesses) == best
    assert misses(MemoryStore(StaticMemoryManager(1, room)), accesses) >= best


def test_what_is_needed_last_stands_first_and_leaves_first():
    accesses = ["rdd_0_0", "rdd_1_0", "rdd_2_0", "rdd_1_0", "rdd_0_0"]
    store = ClairvoyantStore(StaticMemoryManager(1, 2), accesses)
    for store.now in (0, 1):
        store.put(accesses[store.now], 1, ONLY)
    assert [block.block_id for block in store.blocks_in_memory()] == ["rdd_0_0", "rdd_1_0"]
    assert store.next_access("rdd_0_0") == 4
    store.now = 2
    assert store.put("rdd_2_0", 1, ONLY)
    assert not store.contains("rdd_0_0")


def test_all_or_nothing_and_the_same_rdd_rule_hold_here_too():
    store = ClairvoyantStore(StaticMemoryManager(1, 2), ["rdd_0_0", "rdd_0_1", "rdd_0_2"])
    assert store.put("rdd_0_0", 1, ONLY)
    assert store.put("rdd_0_1", 1, ONLY)
    assert not store.put("rdd_0_2", 1, ONLY)
    assert store.evict_blocks_to_free_space(None, 3, MemoryMode.ON_HEAP) == 0
    assert len(store.blocks_in_memory()) == 2

"""The memory store beside Spark's own: what fits, who is evicted and where to, in which order."""

import pytest
from beside_spark import MOST, Comparison, Disagreement, Model, a_size, setups
from hypothesis import settings

from course_lib.model import BlockId, MemoryStore
from course_lib.model.pools import StorageMemoryPool
from course_lib.settings import version

pytestmark = pytest.mark.conformance

LEVELS = (
    "MEMORY_ONLY",
    "MEMORY_ONLY_SER",
    "MEMORY_AND_DISK",
    "MEMORY_AND_DISK_SER",
    "MEMORY_AND_DISK_2",
    "OFF_HEAP",
    "OFF_HEAP",
    "DISK_ONLY",
)


def next_call(model: Model, lot: int, a: int, b: int, c: int, d: int) -> tuple | None:
    """Blocks come, are read, pinned and removed, while tasks take and give back memory."""
    store, level = model.store, LEVELS[a % len(LEVELS)]
    mode = "OFF_HEAP" if level == "OFF_HEAP" else "ON_HEAP"
    size = a_size(model, mode, d, task=1)
    each = min(max(0, size) // (1 + c % 9) // 7, MOST // 40)  # together less than 64 bits hold
    new = "broadcast_1" if b % 16 == 15 else f"rdd_{b % 4}_{c % 5}"
    here = sorted({block.block_id for block in store.blocks_in_memory() + store.blocks_on_disk()})
    pinned = [block for block in here if store._readers[block]]
    old = here[b % len(here)] if here else new
    match lot % 16:
        case 0 | 1 | 2 if new not in here:
            least = 0 if level == "DISK_ONLY" else -1  # what is written, Spark does not look at
            return ("put", new, max(least, size // (1 + c % 4)), level)
        case 3 | 4 | 5 if new not in here:
            return ("put_iterator", new, (each,) * (c % 40), level)
        case 6 | 7 | 8:
            return ("get", old if c % 8 else new)
        case 9:
            return ("contains", old)
        case 10 if old not in pinned:
            return ("remove", old if c % 8 else "rdd_99_0")
        case 11 if old in here:
            return ("pin", old)
        case 12 if pinned:
            return ("unpin", pinned[b % len(pinned)])
        case 13 if not model.waiting:
            return ("acquire_execution_memory", size, 1, mode)
        case 14:
            return ("release_all_execution_memory_for_task", 1)
        case 15:
            return ("evict_blocks_to_free_space", old if c % 2 else None, size, mode)
        case _ if version(model.manager.spark_version) >= (4, 1) and c < 32:
            return ("set_unmanaged_memory_used", max(0, size) // 2, mode)
        case _:
            return None


def test_agrees_with_spark(memory_oracle):
    comparison = Comparison(memory_oracle, next_call)
    comparison.run(setups(unrolling=True), examples=25 * settings.default.max_examples)
    assert comparison.seldom(
        "evicted", "evicted to disk", "read from disk", "cached again", "overshot", "refused",
        "put: no room", "put_iterator: no room", "storage borrowed", "execution took back",
    ) == {}  # fmt: skip


def same_rdd_may_leave(patch):
    """Blocks of the RDD that is being cached are evicted too."""
    right = MemoryStore.evict_blocks_to_free_space
    patch.setattr(
        MemoryStore,
        "evict_blocks_to_free_space",
        lambda self, block_id, space, mode: right(self, None, space, mode),
    )


def reading_is_no_use(patch):
    """First in, first out: a block that is read stays where it is."""
    right = MemoryStore.get
    patch.setattr(
        MemoryStore,
        "get",
        lambda self, block: "memory" if self.contains(block) else right(self, block),
    )


def pins_hold_nothing(patch):
    """Blocks that are read are evicted."""
    patch.setattr(MemoryStore, "pin", lambda self, block: None)


def frees_what_it_can(patch):
    """Where there is too little to evict, what there is leaves nevertheless."""
    right = MemoryStore.evict_blocks_to_free_space

    def evict(self, block_id, space, mode):
        mine = BlockId(block_id).rdd_id if block_id else None
        here = sum(
            block.size
            for block in self.blocks_in_memory()
            if block.level.memory_mode is mode and (mine is None or block.rdd_id != mine)
            and not self._readers[block.block_id]
        )  # fmt: skip
        return right(self, block_id, min(space, here) or space, mode)

    patch.setattr(MemoryStore, "evict_blocks_to_free_space", evict)


def no_overshoot(patch):
    """Storage shrinks by what was asked for, not by the blocks that left."""
    right = StorageMemoryPool.free_space_to_shrink_pool
    patch.setattr(
        StorageMemoryPool,
        "free_space_to_shrink_pool",
        lambda self, space: min(space, right(self, space)),
    )


def unrolls_without_growth(patch):
    """Unrolling asks for just what is there, not for half as much again."""
    right = MemoryStore._unroll

    def unroll(self, *args):
        self.unroll_memory_growth_factor = 1.0
        return right(self, *args)

    patch.setattr(MemoryStore, "_unroll", unroll)


def memory_only_goes_to_disk(patch):
    """Whatever is evicted is on disk."""
    right = MemoryStore.drop_from_memory

    def drop(self, block_id):
        block = self._in_memory[block_id]
        dropped = right(self, block_id)
        self._on_disk.setdefault(block_id, block)
        return dropped

    patch.setattr(MemoryStore, "drop_from_memory", drop)


def disk_blocks_stay_there(patch):
    """A block that is read from disk does not come back into memory."""
    right = MemoryStore.get
    patch.setattr(
        MemoryStore, "get", lambda self, block: right(self, block) if self.contains(block)
        else "disk" if block in self._on_disk else None,
    )  # fmt: skip


@pytest.mark.parametrize(
    "mistake",
    [
        same_rdd_may_leave,
        reading_is_no_use,
        pins_hold_nothing,
        frees_what_it_can,
        no_overshoot,
        unrolls_without_growth,
        memory_only_goes_to_disk,
        disk_blocks_stay_there,
    ],
)
def test_notices_a_mistake(memory_oracle, monkeypatch, mistake):
    mistake(monkeypatch)
    with pytest.raises(Disagreement):
        Comparison(memory_oracle, next_call).run(setups(unrolling=True), examples=500, shrink=False)

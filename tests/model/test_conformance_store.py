"""The memory store beside Spark's own: what fits, who is evicted and where to, in which order."""

import pytest
from beside_spark import Comparison, Model, a_size, setups
from hypothesis import settings

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
    block = "broadcast_1" if b % 8 == 7 else f"rdd_{b % 4}_{c % 3}"
    size = a_size(model, mode, d, task=1)
    known = {b.block_id for b in (*store.blocks_in_memory(), *store.blocks_on_disk())}
    pinned = store._readers[block] > 0
    match lot % 16:
        case 0 | 1 | 2:
            return None if block in known else ("put", block, size // (1 + c % 4), level)
        case 3 | 4 | 5:
            sizes = (max(0, size) // (1 + c % 9) // 7,) * (c % 40)
            return None if block in known else ("put_iterator", block, sizes, level)
        case 6 | 7 | 8:
            return ("get", block)
        case 9:
            return ("contains", block)
        case 10:
            return None if pinned else ("remove", block)
        case 11:
            return ("pin", block) if block in known else None
        case 12:
            return ("unpin", block) if pinned else None
        case 13:
            return None if model.waiting else ("acquire_execution_memory", size, 1, mode)
        case 14:
            return ("release_all_execution_memory_for_task", 1)
        case 15:
            return ("evict_blocks_to_free_space", block if c % 2 else None, size, mode)


def test_agrees_with_spark(memory_oracle):
    comparison = Comparison(memory_oracle, next_call)
    comparison.run(setups(unrolling=True), examples=25 * settings.default.max_examples)
    print(comparison.seen)

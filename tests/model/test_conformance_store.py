"""The memory store beside Spark's own: what fits, who is evicted and where to, in which order."""

import pytest
from beside_spark import MOST, Comparison, Model, a_size, setups
from hypothesis import settings

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
    print(comparison.seen)

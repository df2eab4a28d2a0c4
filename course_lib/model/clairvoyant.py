"""A block store that knows the future, to measure Spark's against."""

from collections.abc import Sequence

from course_lib.model.managers import MemoryManager
from course_lib.model.pools import MemoryMode
from course_lib.model.store import Block, MemoryStore


class ClairvoyantStore(MemoryStore):
    """A store that evicts first what will be read last, or never again.

    `accesses` names the block that each event of a trace touches; `now` is the number of the
    present one, and whoever plays the trace keeps it. All else is as in `MemoryStore`: blocks
    leave whole, all that are needed or none, and never for a block of their own RDD.
    Where blocks are of one size and each of another RDD, no policy misses fewer (Belady, 1966).
    """

    def __init__(self, memory_manager: MemoryManager, accesses: Sequence[str]):
        super().__init__(memory_manager)
        self.accesses = accesses
        self.now = 0

    def next_access(self, block_id: str) -> int:
        """The number of the next event that touches a block; beyond the last if none does."""
        later = range(self.now + 1, len(self.accesses))
        return next((i for i in later if self.accesses[i] == block_id), len(self.accesses))

    def blocks_in_memory(self) -> list[Block]:
        """The blocks in memory, those that are needed last first."""
        known = super().blocks_in_memory()
        return sorted(known, key=lambda block: self.next_access(block.block_id), reverse=True)

    def evict_blocks_to_free_space(self, block_id: str | None, space: int, mode: MemoryMode) -> int:
        """See `MemoryStore.evict_blocks_to_free_space`; the order alone is another."""
        for block in self.blocks_in_memory():
            self._in_memory.move_to_end(block.block_id)
        return super().evict_blocks_to_free_space(block_id, space, mode)

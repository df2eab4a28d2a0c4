"""Blocks in memory and on disk: what is kept, and who has to leave. All sizes in bytes."""

import re
from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from course_lib.model.managers import MemoryManager
from course_lib.model.pools import MemoryMode, checked
from course_lib.units import MIB, java_integer


class BlockId(str):
    """The name of a block, such as ``"broadcast_0"``; ``"rdd_2_0"`` is a partition of an RDD.

    Source: ``BlockId``.
    """

    @property
    def rdd_id(self) -> int | None:
        """The number of the RDD whose partition this block holds, None for other blocks."""
        match = re.fullmatch(r"rdd_(\d+)_\d+", self)
        return int(match[1]) if match else None


class RDDBlockId(BlockId):
    """The block that holds partition `split_index` of RDD `rdd_id`."""

    def __new__(cls, rdd_id: int, split_index: int):
        return super().__new__(cls, f"rdd_{rdd_id}_{split_index}")


@dataclass(frozen=True)
class StorageLevel:
    """Where a block may be kept, and in which form. Source: ``StorageLevel``."""

    use_disk: bool
    use_memory: bool
    use_off_heap: bool
    deserialized: bool
    replication: int = 1

    @property
    def memory_mode(self) -> MemoryMode:
        """The kind of memory that blocks of this level take."""
        return MemoryMode.OFF_HEAP if self.use_off_heap else MemoryMode.ON_HEAP

    @property
    def name(self) -> str:
        """What the level is called, such as ``"MEMORY_AND_DISK"``."""
        return next(name for name, level in STORAGE_LEVELS.items() if level == self)

    @classmethod
    def from_string(cls, name: str) -> "StorageLevel":
        """The level called `name`. Raises ValueError for a name that no level has."""
        if name not in STORAGE_LEVELS:
            raise ValueError(f"a storage level is one of {', '.join(STORAGE_LEVELS)}, not {name!r}")
        return STORAGE_LEVELS[name]


STORAGE_LEVELS = {
    "NONE": StorageLevel(False, False, False, False),
    "DISK_ONLY": StorageLevel(True, False, False, False),
    "DISK_ONLY_2": StorageLevel(True, False, False, False, 2),
    "DISK_ONLY_3": StorageLevel(True, False, False, False, 3),
    "MEMORY_ONLY": StorageLevel(False, True, False, True),
    "MEMORY_ONLY_2": StorageLevel(False, True, False, True, 2),
    "MEMORY_ONLY_SER": StorageLevel(False, True, False, False),
    "MEMORY_ONLY_SER_2": StorageLevel(False, True, False, False, 2),
    "MEMORY_AND_DISK": StorageLevel(True, True, False, True),
    "MEMORY_AND_DISK_2": StorageLevel(True, True, False, True, 2),
    "MEMORY_AND_DISK_SER": StorageLevel(True, True, False, False),
    "MEMORY_AND_DISK_SER_2": StorageLevel(True, True, False, False, 2),
    "OFF_HEAP": StorageLevel(True, True, True, False),
}
for _name, _level in STORAGE_LEVELS.items():
    setattr(StorageLevel, _name, _level)


@dataclass(frozen=True)
class Block:
    """What the store knows of a block it holds; `value_sizes` where it came value by value."""

    block_id: BlockId
    size: int
    level: StorageLevel
    rdd_id: int | None
    value_sizes: tuple[int, ...] | None = None


class MemoryStore:
    """The blocks of one executor: those in memory, least recently used first, and those on disk.

    It registers itself with the memory manager, which asks it to evict blocks. Unrolling starts
    with `unroll_memory_threshold` bytes (`spark.storage.unrollMemoryThreshold`), looks at the size
    after the first value and then after every `unroll_memory_check_period` values, and grows by
    `unroll_memory_growth_factor`.
    Source: ``MemoryStore``, and ``BlockManager`` for what concerns the disk.
    """

    def __init__(
        self,
        memory_manager: MemoryManager,
        *,
        unroll_memory_threshold: int = 1 * MIB,
        unroll_memory_check_period: int = 16,
        unroll_memory_growth_factor: float = 1.5,
    ):
        self.memory_manager = memory_manager
        self.unroll_memory_threshold = unroll_memory_threshold
        self.unroll_memory_check_period = unroll_memory_check_period
        self.unroll_memory_growth_factor = unroll_memory_growth_factor
        self._unroll_memory = dict.fromkeys(MemoryMode, 0)
        self._in_memory: OrderedDict[str, Block] = OrderedDict()
        self._on_disk: dict[str, Block] = {}
        self._readers: Counter[str] = Counter()
        memory_manager.set_memory_store(self)

    # What is there

    def contains(self, block_id: str) -> bool:
        """Whether a block is in memory. To ask does not count as use."""
        return block_id in self._in_memory

    def blocks_in_memory(self) -> list[Block]:
        """The blocks in memory, the least recently used first."""
        return list(self._in_memory.values())

    def blocks_on_disk(self) -> list[Block]:
        """The blocks on disk, in the order in which they came there."""
        return list(self._on_disk.values())

    @property
    def current_unroll_memory(self) -> int:
        """What blocks that are being unrolled take of the storage pools."""
        return sum(self._unroll_memory.values())

    # Storing

    def put(self, block_id: str, size: int, level: StorageLevel) -> bool:
        """Store a block whose size is known; True if it is now in memory.

        If it is not and its level uses the disk, it is on disk.
        Raises ValueError for a block that is there already. Source: ``putBytes``.
        """
        block = self._new_block(block_id, size, level)
        return self._put_in_memory(block) or self._put_on_disk(block)

    def put_iterator(self, block_id: str, sizes: Iterable[int], level: StorageLevel) -> bool:
        """Store a block value by value, each of its `sizes`; True if it is now in memory.

        Nobody knows yet how large it will become, so memory is reserved as it grows: it is
        unrolled. If it turns out too large, what it has pushed out stays out.
        Source: ``putIterator``.
        """
        sizes = tuple(sizes)
        block = self._new_block(block_id, sum(map(checked, sizes)), level, sizes)
        return self._put_values_in_memory(block) or self._put_on_disk(block)

    def _put_values_in_memory(self, block: Block) -> bool:
        if not block.level.use_memory:
            return False
        unrolled, reserved = self._unroll(block)
        self._release_unroll_memory(reserved, block.level.memory_mode)
        if unrolled and not self._put_in_memory(block):
            raise AssertionError("transferring unroll memory to storage memory failed")
        return unrolled

    def _unroll(self, block: Block) -> tuple[bool, int]:
        """Whether memory for all values could be reserved, and how much has been."""
        mode, threshold = block.level.memory_mode, self.unroll_memory_threshold
        reserved = size = 0

        def reserve(num_bytes: int) -> bool:
            nonlocal reserved
            success = self.memory_manager.acquire_unroll_memory(block.block_id, num_bytes, mode)
            if success:
                self._unroll_memory[mode] += num_bytes
                reserved += num_bytes
            return success

        keep_unrolling = reserve(threshold)
        for number, value_size in enumerate(block.value_sizes):
            if not keep_unrolling:
                return False, reserved
            size += value_size
            if number % self.unroll_memory_check_period == 0 and size >= threshold:
                request = java_integer(size * self.unroll_memory_growth_factor - threshold, 64)
                keep_unrolling = reserve(request)
                threshold += request
        if keep_unrolling and size > reserved:
            keep_unrolling = reserve(size - reserved)
        return keep_unrolling, reserved

    def _release_unroll_memory(self, num_bytes: int, mode: MemoryMode) -> None:
        self._unroll_memory[mode] -= num_bytes
        self.memory_manager.release_unroll_memory(num_bytes, mode)

    def _new_block(
        self, block_id: str, size: int, level: StorageLevel, value_sizes: tuple | None = None
    ) -> Block:
        if block_id in self._in_memory or block_id in self._on_disk:
            raise ValueError(f"Block {block_id} is already present in the MemoryStore")
        if not isinstance(level, StorageLevel):
            raise TypeError(
                f"a level is a StorageLevel, such as StorageLevel.MEMORY_ONLY, not {level!r}"
            )
        if not (level.use_memory or level.use_disk):
            raise ValueError("StorageLevel is null or invalid: NONE keeps a block nowhere")
        block_id = BlockId(block_id)
        return Block(block_id, checked(size), level, block_id.rdd_id, value_sizes)

    def _put_in_memory(self, block: Block) -> bool:
        level = block.level
        if not level.use_memory or not self.memory_manager.acquire_storage_memory(
            block.block_id, block.size, level.memory_mode
        ):
            return False
        self._in_memory[block.block_id] = block
        return True

    def _put_on_disk(self, block: Block) -> bool:
        """Not in memory, so False."""
        if block.level.use_disk:
            self._on_disk[block.block_id] = block
        return False

    # Reading

    def get(self, block_id: str) -> str | None:
        """Read a block: where it was, ``"memory"`` or ``"disk"``, None if it is in neither.

        It becomes the most recently used. A block that was on disk comes back into memory as well,
        if its level uses memory and there is room: deserialized values are unrolled again.
        Source: ``BlockManager.getLocalValues``.
        """
        if block_id in self._in_memory:
            self._in_memory.move_to_end(block_id)
            return "memory"
        if block_id in self._on_disk:
            block = self._on_disk[block_id]
            if block.level.deserialized and block.value_sizes is not None:
                self._put_values_in_memory(block)
            else:
                self._put_in_memory(block)
            return "disk"
        return None

    def pin(self, block_id: str) -> None:
        """A reader begins: until it ends, the block is not evicted. Raises KeyError if not here."""
        if block_id not in self._in_memory and block_id not in self._on_disk:
            raise KeyError(f"no block {block_id} is here to be pinned")
        self._readers[block_id] += 1

    def unpin(self, block_id: str) -> None:
        """A reader ends. Raises ValueError if none has begun."""
        if not self._readers[block_id]:
            raise ValueError(f"block {block_id} is not pinned")
        self._readers[block_id] -= 1

    # Leaving

    def remove(self, block_id: str) -> bool:
        """Forget a block, in memory and on disk; whether it was there.

        Raises ValueError while it is pinned: in Spark, this would wait for its readers.
        """
        if self._readers[block_id]:
            raise ValueError(f"block {block_id} is pinned: it cannot be removed while it is read")
        block = self._in_memory.pop(block_id, None)
        if block is not None:
            self.memory_manager.release_storage_memory(block.size, block.level.memory_mode)
        return (self._on_disk.pop(block_id, None) or block) is not None

    def evict_blocks_to_free_space(self, block_id: str | None, space: int, mode: MemoryMode) -> int:
        """Evict the least recently used blocks until `space` bytes are free; return their bytes.

        Blocks leave whole, so it may be more. If all that may leave is less, nothing leaves: 0.
        A block that is read stays. For a block of an RDD (`block_id`), no block of that RDD leaves.
        Raises ValueError unless `space` is at least 1.
        """
        if checked(space) == 0:
            raise ValueError("assertion failed: to free 0 bytes is to ask for nothing")
        rdd_to_add = BlockId(block_id).rdd_id if block_id is not None else None
        freed, selected = 0, []
        for block in self._in_memory.values():
            if freed >= space:
                break
            same_rdd = rdd_to_add is not None and block.rdd_id == rdd_to_add
            pinned = self._readers[block.block_id] > 0
            if block.level.memory_mode is mode and not same_rdd and not pinned:
                selected.append(block)
                freed += block.size
        if freed < space:
            return 0
        for block in selected:
            self.drop_from_memory(block.block_id)
        return freed

    def drop_from_memory(self, block_id: str) -> bool:
        """Take a block out of memory; whether it is still on disk, where its level lets it go.

        Source: ``BlockManager.dropFromMemory``.
        """
        block = self._in_memory.pop(block_id)
        if block.level.use_disk:
            self._on_disk.setdefault(block_id, block)
        self.memory_manager.release_storage_memory(block.size, block.level.memory_mode)
        return block.level.use_disk

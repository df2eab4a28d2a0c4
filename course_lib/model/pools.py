"""Memory pools: how much there is for storage or for execution, and who holds it. All in bytes.

A pool is bookkeeping. No bytes lie in it: it says how many may be used, and how many are.
"""

import logging
from collections.abc import Callable
from enum import Enum

log = logging.getLogger(__name__)

LARGEST = 2**63 - 1  # Spark counts bytes in a Java long


class MemoryMode(Enum):
    """Where memory lies: in the JVM's heap or outside it."""

    ON_HEAP = "on-heap"
    OFF_HEAP = "off-heap"

    __hash__ = object.__hash__  # an Enum's own is slow, and members are looked up on every call


class MemoryPool:
    """A number of bytes that can grow and shrink, some of them used.

    Source: ``MemoryPool``.
    """

    def __init__(self, pool_size: int = 0):
        self.pool_size = checked(pool_size)
        self.memory_used = 0

    @property
    def memory_free(self) -> int:
        """What can be had at once."""
        return self.pool_size - self.memory_used

    def increment_pool_size(self, delta: int) -> None:
        """Grow. Raises ValueError for a negative `delta`."""
        self.pool_size += checked(delta)

    def decrement_pool_size(self, delta: int) -> None:
        """Shrink. Raises ValueError for a negative `delta` and for one that is not free."""
        if checked(delta) > self.memory_free:
            raise ValueError(f"a pool with {self.memory_free} bytes free cannot shrink by {delta}")
        self.pool_size -= delta


class StorageMemoryPool(MemoryPool):
    """Memory for cached blocks, and for blocks while they are unrolled.

    `memory_store` holds the blocks, and is asked to evict some when they have to make room.
    Source: ``StorageMemoryPool``.
    """

    def __init__(self, mode: MemoryMode, pool_size: int = 0):
        super().__init__(pool_size)
        self.mode = mode
        self._memory_store = None

    @property
    def memory_store(self):
        """The store whose blocks lie here. Raises RuntimeError while there is none."""
        if self._memory_store is None:
            raise RuntimeError("memory store not initialized yet: make a MemoryStore first")
        return self._memory_store

    @memory_store.setter
    def memory_store(self, store) -> None:
        self._memory_store = store

    def acquire_memory(
        self, block_id, num_bytes: int, num_bytes_to_free: int | None = None
    ) -> bool:
        """Take `num_bytes` for a block, all or nothing, after evicting others where needed."""
        if num_bytes_to_free is None:
            num_bytes_to_free = max(0, num_bytes - self.memory_free)
        if num_bytes_to_free > 0:
            self.memory_store.evict_blocks_to_free_space(block_id, num_bytes_to_free, self.mode)
        # Eviction has called release_memory. What it freed may still be too little.
        enough = num_bytes <= self.memory_free
        if enough:
            self.memory_used += num_bytes
        return enough

    def release_memory(self, num_bytes: int) -> None:
        """Give bytes back: at most those that are used."""
        if checked(num_bytes) > self.memory_used:
            log.warning(
                "Attempted to release %d bytes of storage memory when we only have %d bytes",
                num_bytes,
                self.memory_used,
            )
            num_bytes = self.memory_used
        self.memory_used -= num_bytes

    def release_all_memory(self) -> None:
        """Give everything back."""
        self.memory_used = 0

    def free_space_to_shrink_pool(self, space_to_free: int) -> int:
        """Bytes by which the pool can now shrink, after evicting blocks where needed.

        Blocks leave whole, so this may be more than was asked for.
        """
        free = min(space_to_free, self.memory_free)
        rest = space_to_free - free
        if rest <= 0:
            return free
        return free + self.memory_store.evict_blocks_to_free_space(None, rest, self.mode)


class ExecutionMemoryPool(MemoryPool):
    """Memory that running tasks share.

    A task is active from its first request until it has given everything back, even if it was
    granted nothing. With N active tasks, each may hold at most 1/N of the pool, and waits until it
    can have at least 1/2N of it. What a task holds is never taken away.
    Source: ``ExecutionMemoryPool``.
    """

    def __init__(self, mode: MemoryMode, pool_size: int = 0):
        super().__init__(pool_size)
        self.mode = mode
        self.memory_for_task: dict = {}
        self.notifications = 0  # how often waiting tasks were told to look again

    def acquire_memory(
        self,
        num_bytes: int,
        task_attempt_id,
        maybe_grow_pool: Callable[[int], None] = lambda additional: None,
        compute_max_pool_size: Callable[[], int] | None = None,
    ) -> int | None:
        """Take up to `num_bytes` for a task; return what it gets, possibly fewer, possibly 0.

        None: in Spark, the task's thread waits here. It is notified when another task comes or
        gives memory back, and then tries again: so ask again.
        """
        if num_bytes <= 0:
            raise ValueError(f"assertion failed: invalid number of bytes requested: {num_bytes}")
        if task_attempt_id not in self.memory_for_task:
            self.memory_for_task[task_attempt_id] = 0
            self._notify_all()  # one more shares the pool: 1/2N is now less

        active_tasks = len(self.memory_for_task)
        held = self.memory_for_task[task_attempt_id]
        maybe_grow_pool(num_bytes - self.memory_free)
        max_pool_size = compute_max_pool_size() if compute_max_pool_size else self.pool_size
        max_memory_per_task = max_pool_size // active_tasks
        min_memory_per_task = self.pool_size // (2 * active_tasks)

        max_to_grant = min(num_bytes, max(0, max_memory_per_task - held))
        to_grant = min(max_to_grant, self.memory_free)
        if to_grant < num_bytes and held + to_grant < min_memory_per_task:
            return None
        self.memory_for_task[task_attempt_id] = held + to_grant
        self.memory_used += to_grant
        return to_grant

    def release_memory(self, num_bytes: int, task_attempt_id) -> None:
        """Give bytes back for a task: at most those it holds. With the last, it leaves."""
        held = self.memory_for_task.get(task_attempt_id, 0)
        if checked(num_bytes) > held:
            log.warning(
                "Internal error: release called on %d bytes but task only has %d bytes of memory "
                "from the %s execution pool",
                num_bytes,
                held,
                self.mode.value,
            )
            num_bytes = held
        if task_attempt_id in self.memory_for_task:
            self.memory_for_task[task_attempt_id] -= num_bytes
            self.memory_used -= num_bytes
            if self.memory_for_task[task_attempt_id] <= 0:
                del self.memory_for_task[task_attempt_id]
        self._notify_all()

    def release_all_memory_for_task(self, task_attempt_id) -> int:
        """Give back all that a task holds; return how much it was."""
        held = self.memory_for_task.get(task_attempt_id, 0)
        self.release_memory(held, task_attempt_id)
        return held

    def _notify_all(self) -> None:
        self.notifications += 1


def checked(num_bytes: int) -> int:
    """A number of bytes as it came. Raises ValueError for one that is negative or over 64 bits."""
    if not 0 <= num_bytes <= LARGEST:
        raise ValueError(
            f"a number of bytes is at least 0 and at most {LARGEST} (2**63 - 1), not {num_bytes}"
        )
    return num_bytes

"""A task's execution memory: its operators ask for it, and spill when there is too little."""

from dataclasses import dataclass

from course_lib.model.managers import MemoryManager
from course_lib.model.pools import MemoryMode, checked

PAGE_TABLE_SIZE = 8192  # pages that 13 bits of an address can tell apart
MAXIMUM_PAGE_SIZE_BYTES = (2**31 - 1) * 8


class SparkOutOfMemoryError(MemoryError):
    """An operator cannot go on with the memory it got, even after spilling."""


@dataclass(frozen=True)
class MemoryBlock:
    """A page: its number in the task's page table, and its size in bytes."""

    page_number: int
    size: int


class TaskMemoryManager:
    """The execution memory of one task, shared by its consumers.

    Source: ``TaskMemoryManager`` since Spark 3.3 (SPARK-36933).
    """

    def __init__(self, memory_manager: MemoryManager, task_attempt_id):
        self.memory_manager = memory_manager
        self.task_attempt_id = task_attempt_id
        self.page_size_bytes = memory_manager.page_size_bytes
        self._consumers: dict[MemoryConsumer, None] = {}  # a set that keeps its order
        self._pages: dict[int, MemoryBlock] = {}

    def acquire_execution_memory(
        self, required: int, requesting_consumer: "MemoryConsumer"
    ) -> int | None:
        """Bytes granted to a consumer, after asking consumers of this task to spill if need be.

        Asked first is the smallest that holds enough, or else the largest; the one that requests
        comes last. None: the task's thread would wait here, so ask again.
        Raises RuntimeError for a consumer that says it has spilled and holds as much as before.
        """
        mode = requesting_consumer.mode
        got = self._acquire(required, mode)
        if got is None:
            return None
        held_by: dict[int, list[MemoryConsumer]] = {}
        if got < required:
            for consumer in self._consumers:
                if consumer.used > 0 and consumer.mode is mode:
                    key = 0 if consumer is requesting_consumer else consumer.used
                    held_by.setdefault(key, []).append(consumer)
        while got < required and held_by:
            enough = [held for held in held_by if held >= required - got]
            key = min(enough) if enough else max(held_by)
            consumer = held_by[key][-1]
            if self._spilled(consumer, required - got, requesting_consumer):
                more = self._acquire(required - got, mode)
                if more is None:
                    self.release_execution_memory(got, requesting_consumer)
                    return None
                got += more
            else:
                held_by[key].pop()
                if not held_by[key]:
                    del held_by[key]
        self._consumers[requesting_consumer] = None
        return got

    def _acquire(self, num_bytes: int, mode: MemoryMode) -> int | None:
        return self.memory_manager.acquire_execution_memory(num_bytes, self.task_attempt_id, mode)

    def _spilled(self, consumer: "MemoryConsumer", size: int, trigger: "MemoryConsumer") -> bool:
        """Ask a consumer to spill; whether it has released anything."""
        held = self.memory_manager.execution_memory_for_task(self.task_attempt_id)
        used = consumer.used
        released = consumer.spill(size, trigger)
        left = self.memory_manager.execution_memory_for_task(self.task_attempt_id)
        if not isinstance(released, int):
            raise TypeError(f"spill() returns the bytes it released, not {released!r}")
        # A consumer that outlives its task's clean-up still gives back what is the pool's by then:
        # the task holds no less, but there is an end to it.
        if released > 0 and left >= held and not 0 <= consumer.used < used:
            raise RuntimeError(
                f"spill() of {type(consumer).__name__} says that it released {released} bytes, "
                f"but the task holds {left}, no less than before: Spark would ask again, for ever"
            )
        return released > 0

    def release_execution_memory(self, size: int, consumer: "MemoryConsumer") -> None:
        """Give a consumer's bytes back to the pool."""
        self.memory_manager.release_execution_memory(size, self.task_attempt_id, consumer.mode)

    def allocate_page(self, size: int, consumer: "MemoryConsumer") -> MemoryBlock | None:
        """A page of up to `size` bytes, as large as the memory granted for it.

        None: the task's thread would wait here. Raises ValueError for a page that is too large and
        RuntimeError when all 8,192 pages are taken, in Spark's words; SparkOutOfMemoryError if
        nothing is granted.
        """
        if size > MAXIMUM_PAGE_SIZE_BYTES:
            raise ValueError(f"Cannot allocate a page of {size} bytes.")
        if consumer.mode is not self.memory_manager.tungsten_memory_mode:
            raise ValueError("assertion failed: pages are of the mode that Tungsten works in")
        acquired = self.acquire_execution_memory(size, consumer)
        if acquired is None:
            return None
        if acquired == 0:
            raise _unable_to_acquire(size, 0)
        if len(self._pages) == PAGE_TABLE_SIZE:
            self.release_execution_memory(acquired, consumer)
            raise RuntimeError(f"Have already allocated a maximum of {PAGE_TABLE_SIZE} pages")
        number = next(n for n in range(PAGE_TABLE_SIZE) if n not in self._pages)
        self._pages[number] = MemoryBlock(number, acquired)
        return self._pages[number]

    def free_page(self, page: MemoryBlock, consumer: "MemoryConsumer") -> None:
        """Give a page back. Raises ValueError for one that is not in this task's table."""
        if self._pages.get(page.page_number) is not page:
            raise ValueError(f"{page} is not in the page table: it was freed, or never allocated")
        del self._pages[page.page_number]
        self.release_execution_memory(page.size, consumer)

    def clean_up_all_allocated_memory(self) -> int:
        """What the end of a task does: give everything back. More than 0 bytes were a leak."""
        self._consumers.clear()
        self._pages.clear()
        return self.memory_manager.release_all_execution_memory_for_task(self.task_attempt_id)


class MemoryConsumer:
    """An operator that takes execution memory: a sort, a hash map. Subclass it and write `spill`.

    `used` is what it holds, in bytes. Source: ``MemoryConsumer``.
    """

    def __init__(
        self, task_memory_manager: TaskMemoryManager, mode: MemoryMode = MemoryMode.ON_HEAP
    ):
        self.task_memory_manager = task_memory_manager
        self.mode = mode
        self.used = 0

    def spill(self, size: int, trigger: "MemoryConsumer") -> int:
        """Write data to disk and free at least `size` bytes if you can; return what you freed.

        `trigger` is the consumer that needs them. Do not acquire memory here.
        """
        return 0

    def acquire_memory(self, size: int) -> int | None:
        """Take up to `size` bytes; return how many. None: wait, and ask again."""
        granted = self.task_memory_manager.acquire_execution_memory(size, self)
        self.used += granted or 0
        return granted

    def free_memory(self, size: int) -> None:
        """Give bytes back. Raises ValueError for more than it holds."""
        if checked(size) > self.used:
            raise ValueError(f"a consumer that holds {self.used} bytes cannot free {size}")
        self.used -= size
        self.task_memory_manager.release_execution_memory(size, self)

    def allocate_page(self, required: int) -> MemoryBlock | None:
        """A page of the usual size, or of `required` bytes if that is more. None: wait, ask again.

        Raises SparkOutOfMemoryError if that much cannot be had.
        """
        return self._allocate(max(self.task_memory_manager.page_size_bytes, required), required)

    def allocate_array(self, size: int) -> MemoryBlock | None:
        """A page for an array of `size` longs, 8 bytes each, and no larger. None: wait, ask again.

        Raises SparkOutOfMemoryError if that much cannot be had.
        """
        return self._allocate(size * 8, size * 8)

    def _allocate(self, size: int, required: int) -> MemoryBlock | None:
        """A page of `size` bytes, or at least of those `required`."""
        try:
            page = self.task_memory_manager.allocate_page(size, self)
        except SparkOutOfMemoryError:
            raise _unable_to_acquire(required, 0) from None
        if page is None:
            return None
        if page.size < required:
            self.task_memory_manager.free_page(page, self)
            raise _unable_to_acquire(required, page.size)
        self.used += page.size
        return page

    def free_page(self, page: MemoryBlock) -> None:
        """Give a page back."""
        self.task_memory_manager.free_page(page, self)
        self.used -= page.size


def _unable_to_acquire(required: int, got: int) -> SparkOutOfMemoryError:
    return SparkOutOfMemoryError(
        f"[UNABLE_TO_ACQUIRE_MEMORY] Unable to acquire {required} bytes of memory, got {got}."
    )

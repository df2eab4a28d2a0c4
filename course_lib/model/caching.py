"""Whether a cache pays: a table that is used several times, with and without caching it.

What is computed, read and spilled follows from Spark's rules, played on the model's own memory
manager and store. Time is taken to be linear in those bytes, which a real machine is not quite.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from operator import add
from typing import NamedTuple

from course_lib.model.managers import UnifiedMemoryManager
from course_lib.model.store import MemoryStore, RDDBlockId, StorageLevel
from course_lib.units import GIB


@dataclass(frozen=True)
class Table:
    """A table of `partitions` blocks, all together `size` bytes when cached.

    Each block comes in `batches`, the values of which Spark unrolls it: a cached DataFrame has one
    for each 10,000 rows (`spark.sql.inMemoryColumnarStorage.batchSize`). The task that uses a
    partition needs `sort` bytes of execution memory meanwhile.
    Raises ValueError for less than one partition or batch and for negative sizes.
    """

    size: int
    partitions: int
    batches: int = 1
    sort: int = 0

    def __post_init__(self):
        if min(self.partitions, self.batches) < 1:
            raise ValueError(
                f"a table has at least 1 partition of 1 batch, not {self.partitions} of "
                f"{self.batches}"
            )
        if min(self.size, self.sort) < 0:
            raise ValueError(f"sizes are at least 0 bytes, not {self.size} and {self.sort}")

    @property
    def block(self) -> int:
        """Bytes of one block."""
        return self.size // self.partitions

    def batch_sizes(self) -> list[int]:
        """The bytes of each batch of a block."""
        each, more = divmod(self.block, self.batches)
        return [each + (n < more) for n in range(self.batches)]


class Work(NamedTuple):
    """Bytes that were worked on: the table's are counted as they are when cached.

    `stored` went into memory, or to disk where the level uses it; `spilled` by the tasks.
    """

    computed: int = 0
    stored: int = 0
    from_memory: int = 0
    from_disk: int = 0
    spilled: int = 0


class Use(NamedTuple):
    """One use of the table: the work, and what is then in memory and at most was in use."""

    work: Work
    cached: int
    most_in_use: int


class Rates(NamedTuple):
    """Seconds of one core for each GiB of a kind of work. Measure your own."""

    compute: float
    store: float
    memory: float
    disk: float
    spill: float

    def seconds(self, work: Work) -> float:
        """How long one core takes for some work."""
        return sum(map(float.__mul__, map(float, self), (bytes_ / GIB for bytes_ in work)))


def uses(
    manager: UnifiedMemoryManager,
    table: Table,
    times: int,
    *,
    level: StorageLevel | None,
    tasks: int = 1,
) -> list[Use]:
    """Use a table so many times in an executor of `tasks` cores; None as `level`: do not cache it.

    `manager` is the executor's, and nobody has used it yet. Tasks whose block is here come first;
    they run in rounds, all of a round at once. First each gets its block: from memory, from disk,
    or computed and then cached if there is room. Then all ask for what they need to sort. As long
    as a task runs, its block stays.
    Source: ``TaskSetManager`` for the order, ``BlockManager.getOrElseUpdateRDDBlock``,
    ``UnifiedMemoryManager``.
    """
    if manager.storage_memory_used or manager.execution_memory_used:
        raise ValueError("give a manager that nobody has used yet")
    store = MemoryStore(manager)
    return [_use(store, table, level, tasks) for _ in range(times)]


def _use(store: MemoryStore, table: Table, level: StorageLevel | None, tasks: int) -> Use:
    manager, work, most = store.memory_manager, Work(), 0
    here = {block.block_id for block in (*store.blocks_in_memory(), *store.blocks_on_disk())}
    queue = [RDDBlockId(0, number) for number in range(table.partitions)]
    queue.sort(key=lambda block: block not in here)
    for first in range(0, table.partitions, tasks):
        blocks = queue[first : first + tasks]
        for block in blocks:
            work = _sum(work, _get(store, block, table, level))
        pinned = [block for block in blocks if store.contains(block)]
        for block in pinned:
            store.pin(block)
        wanted = len(blocks) * table.sort
        got = manager.acquire_execution_memory(wanted, "tasks") if wanted else 0
        most = max(most, got + manager.storage_memory_used)
        work = _sum(work, Work(spilled=len(blocks) * _spill(table.sort, got // len(blocks))))
        manager.release_all_execution_memory_for_task("tasks")
        for block in pinned:
            store.unpin(block)
    return Use(work, manager.storage_memory_used, max(most, manager.storage_memory_used))


def _get(store: MemoryStore, block: str, table: Table, level: StorageLevel | None) -> Work:
    """A task gets its block."""
    if level is None:
        return Work(computed=table.block)
    found = store.get(block)
    if found == "memory":
        return Work(from_memory=table.block)
    if found == "disk":
        return Work(from_disk=table.block)
    kept = store.put_iterator(block, table.batch_sizes(), level) or level.use_disk
    return Work(computed=table.block, stored=table.block if kept else 0)


def _spill(need: int, share: int) -> int:
    """What a task with a share spills: run after run of what fits, the last of which stays."""
    return 0 if need <= share else (-(-need // share) - 1) * share


def _sum(*works: Iterable[int]) -> Work:
    return Work(*map(add, *works))

"""The unified memory manager and its pools, call by call beside Spark's own."""

import pytest
from beside_spark import Comparison, Disagreement, Model, a_size, setups
from hypothesis import settings

from course_lib.model import UnifiedMemoryManager
from course_lib.model.pools import ExecutionMemoryPool
from course_lib.settings import version

pytestmark = pytest.mark.conformance

MODES = ("ON_HEAP", "OFF_HEAP")


def next_call(model: Model, lot: int, a: int, b: int, c: int, d: int) -> tuple | None:
    """Calls of the manager's own: execution, storage and unroll memory come and go."""
    mode, task, block = MODES[a % 4 == 0], b % 5, f"rdd_{b % 3}_{c % 3}"
    size = a_size(model, mode, d, task)
    match lot % 16:
        case 0 | 1 | 2 | 3 | 4:
            return (
                None if len(model.waiting) > 2 else ("acquire_execution_memory", size, task, mode)
            )
        case 5 | 6 | 7:
            return ("release_execution_memory", max(0, size), task, mode)
        case 8:
            return ("release_all_execution_memory_for_task", task)
        case 9 | 10:
            return ("acquire_storage_memory", block, size, mode)
        case 11:
            return ("acquire_unroll_memory", block, size, mode)
        case 12:
            return ("release_storage_memory", max(0, size), mode)
        case 13:
            return ("release_unroll_memory", max(0, size), mode)
        case 14:
            return ("release_all_storage_memory",) if c < 64 else None
        case 15:
            counts = version(model.manager.spark_version) >= (4, 1)
            return ("set_unmanaged_memory_used", max(0, size), mode) if counts else None


def test_agrees_with_spark(memory_oracle):
    comparison = Comparison(memory_oracle, next_call)
    comparison.run(setups(), examples=25 * settings.default.max_examples)
    assert comparison.seldom(
        "granted all", "granted less", "granted nothing", "waits", "woken", "refused",
        "storage borrowed", "execution took back", "acquire_storage_memory: no room",
    ) == {}  # fmt: skip


def current_pool_only(patch):
    """1/N of the pool as it is, not as it could become."""
    right = ExecutionMemoryPool.acquire_memory
    patch.setattr(
        ExecutionMemoryPool,
        "acquire_memory",
        lambda self, size, task, grow=lambda n: None, most=None: right(self, size, task, grow),
    )


def never_waits(patch):
    """Too little is granted where a task would wait."""
    right = ExecutionMemoryPool.acquire_memory
    patch.setattr(ExecutionMemoryPool, "acquire_memory", lambda *args: right(*args) or 0)


def forgets_who_got_nothing(patch):
    """A task that was granted nothing no longer counts."""
    right = ExecutionMemoryPool.acquire_memory

    def acquire_memory(self, size, task, *callbacks):
        granted = right(self, size, task, *callbacks)
        if granted == 0 and not self.memory_for_task[task]:
            del self.memory_for_task[task]
        return granted

    patch.setattr(ExecutionMemoryPool, "acquire_memory", acquire_memory)


def borrows_as_before_2_2(patch):
    """Storage borrows as much as it asks for, not as much as it lacks (SPARK-21090)."""
    right = UnifiedMemoryManager.__init__

    def init(self, *args, **kwargs):
        right(self, *args, **kwargs)
        self._has_spark_21090 = False

    patch.setattr(UnifiedMemoryManager, "__init__", init)


def ignores_the_storage_region(patch):
    """Execution may have all of storage."""
    right = UnifiedMemoryManager._in_mode
    patch.setattr(
        UnifiedMemoryManager,
        "_in_mode",
        lambda self, mode: (*right(self, mode)[:2], 0, right(self, mode)[3]),
    )


def forgets_unmanaged_memory(patch):
    """What RocksDB reports counts for nothing."""
    patch.setattr(UnifiedMemoryManager, "set_unmanaged_memory_used", lambda *args: None)


def tells_waiting_tasks_nothing(patch):
    """A release wakes nobody."""
    patch.setattr(ExecutionMemoryPool, "_notify_all", lambda self: None)


@pytest.mark.parametrize(
    "mistake",
    [
        current_pool_only,
        never_waits,
        forgets_who_got_nothing,
        borrows_as_before_2_2,
        ignores_the_storage_region,
        forgets_unmanaged_memory,
        tells_waiting_tasks_nothing,
    ],
)
def test_notices_a_mistake(memory_oracle, monkeypatch, mistake):
    if mistake is forgets_unmanaged_memory and version(memory_oracle.spark_version) < (4, 1):
        return  # there is nothing to forget
    mistake(monkeypatch)
    with pytest.raises(Disagreement):
        Comparison(memory_oracle, next_call).run(setups(), examples=500, shrink=False)

"""Tasks that wait for execution memory, and wake, beside threads that do so in the JVM."""

import pytest
from beside_spark import Comparison, Disagreement, Model, a_size, setups
from hypothesis import settings

from course_lib.model.pools import ExecutionMemoryPool

pytestmark = pytest.mark.conformance


def next_call(model: Model, lot: int, a: int, b: int, c: int, d: int) -> tuple | None:
    """A few tasks that want much, and blocks in their way."""
    mode, task = "OFF_HEAP" if a % 8 == 0 else "ON_HEAP", b % 5
    size = a_size(model, mode, d, task)
    held = model.manager.execution_memory_for_task(task)
    match lot % 8:
        case 0 | 1 | 2:
            much = size + model.manager.max_heap_memory // 4
            return (
                None if len(model.waiting) > 3 else ("acquire_execution_memory", much, task, mode)
            )
        case 3 | 4:
            return ("release_execution_memory", held * c // 200, task, mode)
        case 5:
            return ("release_execution_memory", held, task, mode)
        case 6:
            return ("release_all_execution_memory_for_task", task) if c < 128 else None
        case 7:
            block = f"rdd_{b}_{c}"
            if model.store.contains(block):
                return None
            return ("put", block, max(0, size), "MEMORY_ONLY_SER")


def test_agrees_with_spark(memory_oracle):
    comparison = Comparison(memory_oracle, next_call)
    comparison.run(setups(), examples=15 * settings.default.max_examples)
    seldom = comparison.seldom("waits", "woken", "evicted", "overshot", "granted less", "refused")
    assert seldom == {}


def waits_for_all_of_1_of_n(patch):
    """A task waits until it can have 1/N, not 1/2N."""
    right = ExecutionMemoryPool.acquire_memory

    def acquire_memory(self, size, task, *callbacks):
        granted = right(self, size, task, *callbacks)
        if granted and granted < size:
            share = self.pool_size // len(self.memory_for_task)
            if self.memory_for_task[task] < share:
                self.memory_for_task[task] -= granted
                self.memory_used -= granted
                return None
        return granted

    patch.setattr(ExecutionMemoryPool, "acquire_memory", acquire_memory)


def newcomers_wake_nobody(patch):
    """Only a release wakes tasks, not one more task that shares the pool."""
    right = ExecutionMemoryPool.acquire_memory

    def acquire_memory(self, *args):
        before = self.notifications
        granted = right(self, *args)
        self.notifications = before
        return granted

    patch.setattr(ExecutionMemoryPool, "acquire_memory", acquire_memory)


@pytest.mark.parametrize("mistake", [waits_for_all_of_1_of_n, newcomers_wake_nobody])
def test_notices_a_mistake(memory_oracle, monkeypatch, mistake):
    mistake(monkeypatch)
    with pytest.raises(Disagreement):
        Comparison(memory_oracle, next_call).run(setups(), examples=500, shrink=False)

"""Task memory managers and consumers beside Spark's own: who spills, and how much."""

from copy import deepcopy

import pytest
from beside_spark import WAITS, Comparison, Disagreement, Model, a_size, agree, setups
from hypothesis import settings

from course_lib.model import TaskMemoryManager
from course_lib.spark.memory_oracle import Returned

pytestmark = pytest.mark.conformance

HABITS = ("everything", "half", "asked", "nothing")
TASKS, CONSUMERS = 3, 7


def next_call(model: Model, lot: int, a: int, b: int, c: int, d: int) -> tuple | None:
    """Consumers of a few tasks, of all habits and in both modes, ask, free, and use pages."""
    name = b % CONSUMERS
    task = name % TASKS
    if name not in model.consumers:
        mode = "OFF_HEAP" if a % 4 == 0 else "ON_HEAP"
        return ("consumer", name, task, mode, HABITS[c % len(HABITS)])
    consumer = model.consumers[name]
    size = a_size(model, consumer.mode.name, d, task)
    in_pages = sum(page.size for owner, page in model.pages.values() if owner is consumer)
    # Who spills gives back memory and no pages, so only those have pages that never spill.
    pages = consumer.mode is model.manager.tungsten_memory_mode and consumer.habit == "nothing"
    call = None
    match lot % 16:
        case 0 | 1 | 2 | 3 | 4 | 5 | 6:
            call = ("acquire_memory", name, size)
        case 7 | 8:
            return ("free_memory", name, (consumer.used - in_pages) * (c % 5) // 4)
        case 9 | 10 | 11 if pages:
            call = ("allocate_page", name, len(model.pages) * 1000 + d, min(size, 2**16))
        case 12 if model.pages:
            page = sorted(model.pages)[c % len(model.pages)]
            call, task = ("free_page", page), model.pages[page][0].name % TASKS
        case 13 if c < 64:
            call = ("clean_up_all_allocated_memory", task)
        case 14 if c < 128:
            block = f"rdd_{b}_{c}"
            if not model.store.contains(block):
                return ("put", block, max(0, size), "MEMORY_ONLY_SER")
    return call if call and may_be_made(model, task, call) else None


def may_be_made(model: Model, task: int, call: tuple) -> bool:
    """Whether it is certain what comes of it.

    While a thread waits, the other threads of its task stand still, for it holds their
    TaskMemoryManager. And it may or may not be quick enough to take what a call gives back before
    that same call takes it again: so whoever has to spill, or fails, is left out.
    """
    if not model.waiting:
        return True
    ((_, waiting, *_),) = model.waiting.values()
    trial = deepcopy(model)
    trial.events.clear()
    outcome = trial.make(call)
    certain = isinstance(outcome, Returned) and outcome != WAITS and not trial.events
    return waiting % TASKS != task and certain


def test_agrees_with_spark(memory_oracle):
    comparison = Comparison(memory_oracle, next_call)
    comparison.run(setups(pages=True), examples=20 * settings.default.max_examples)
    assert comparison.seldom(
        "spilled another", "spilled itself", "spilled nothing", "allocate_page", "waits", "woken",
        "refused", "clean_up_all_allocated_memory",
    ) == {}  # fmt: skip


def test_agrees_on_a_consumer_that_outlives_its_tasks_clean_up(memory_oracle):
    setup = {"max_heap_memory": 4, "on_heap_storage_region_size": 0}
    calls = [
        ("consumer", 0, 0, "ON_HEAP", "everything"),
        ("acquire_memory", 0, 1),
        ("clean_up_all_allocated_memory", 0),
        ("consumer", 1, 1, "ON_HEAP", "everything"),
        ("acquire_memory", 1, 2),
        ("consumer", 2, 2, "ON_HEAP", "everything"),
        ("acquire_memory", 2, 2),
        ("acquire_memory", 0, 1),  # nothing is granted, but the task manager knows it again
        ("acquire_memory", 0, 1),
    ]
    game = memory_oracle.play(calls=calls, **setup)
    assert game.played[-1].events == (("spilled", 0, 1, 0, 1), ("spilled", 0, 1, 0, 0))
    agree(calls, Model(**setup, spark_version=memory_oracle.spark_version), game)


def spills_the_smallest_first(patch):
    """Whoever holds least is asked first, enough or not."""
    in_order(patch, lambda consumers: min(consumers, key=lambda one: one.used))


def spills_the_largest_first(patch):
    """Whoever holds most is asked first, even where less would do."""
    in_order(patch, lambda consumers: max(consumers, key=lambda one: one.used))


def in_order(patch, chosen):
    """Ask consumers as `chosen` says, each until it releases nothing."""

    def acquire(self, required, requesting):
        got = self._acquire(required, requesting.mode)
        if got is None:
            return None
        others = [c for c in self._consumers if c.used > 0 and c.mode is requesting.mode]
        while got < required and others:
            consumer = chosen([c for c in others if c is not requesting] or others)
            if self._spilled(consumer, required - got, requesting):
                got += self._acquire(required - got, requesting.mode) or 0
            else:
                others.remove(consumer)
        self._consumers[requesting] = None
        return got

    patch.setattr(TaskMemoryManager, "acquire_execution_memory", acquire)


def does_not_spill_itself(patch):
    """The consumer that asks is left out."""
    right = TaskMemoryManager._spilled
    patch.setattr(
        TaskMemoryManager,
        "_spilled",
        lambda self, consumer, size, trigger: (
            consumer is not trigger and right(self, consumer, size, trigger)
        ),
    )


def pages_are_never_larger(patch):
    """A page has the usual size, whatever is required."""
    right = TaskMemoryManager.allocate_page
    patch.setattr(
        TaskMemoryManager,
        "allocate_page",
        lambda self, size, consumer: right(self, min(size, self.page_size_bytes), consumer),
    )


@pytest.mark.parametrize(
    "mistake",
    [
        spills_the_smallest_first,
        spills_the_largest_first,
        does_not_spill_itself,
        pages_are_never_larger,
    ],
)
def test_notices_a_mistake(memory_oracle, monkeypatch, mistake):
    mistake(monkeypatch)
    with pytest.raises(Disagreement):
        Comparison(memory_oracle, next_call).run(setups(pages=True), examples=500, shrink=False)

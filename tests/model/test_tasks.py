"""A task's consumers, by hand: who spills, and what happens to those that do not behave."""

import pytest

from course_lib.model import (
    MemoryConsumer,
    MemoryMode,
    SparkOutOfMemoryError,
    TaskMemoryManager,
    UnifiedMemoryManager,
)
from course_lib.units import MIB

OFF_HEAP = MemoryMode.OFF_HEAP


class Sorter(MemoryConsumer):
    """Frees what `frees` says of what it holds, and remembers who was asked."""

    asked: list

    def __init__(self, task, name, frees=lambda used, size: used, mode=MemoryMode.ON_HEAP):
        super().__init__(task, mode)
        self.name, self.frees = name, frees

    def spill(self, size, trigger):
        self.asked.append((self.name, size, trigger.name))
        released = self.frees(self.used, size)
        self.free_memory(released)
        return released


@pytest.fixture
def task():
    Sorter.asked = []
    return TaskMemoryManager(UnifiedMemoryManager(100, 0, max_off_heap_memory=100), 1)


def filled(task, *holdings):
    sorters = [Sorter(task, name) for name, _ in holdings]
    for sorter, (_, size) in zip(sorters, holdings, strict=True):
        assert sorter.acquire_memory(size) == size
    return sorters


def test_nobody_spills_while_there_is_enough(task):
    filled(task, ("a", 50), ("b", 50))
    assert Sorter.asked == []


def test_the_smallest_that_holds_enough_is_asked_first(task):
    filled(task, ("a", 20), ("b", 45), ("c", 30))
    d = Sorter(task, "d")
    assert d.acquire_memory(30) == 30
    assert Sorter.asked == [("c", 25, "d")]


def test_then_the_largest_and_the_one_that_asks_comes_last(task):
    a, b, c = filled(task, ("a", 20), ("b", 30), ("c", 50))
    assert c.acquire_memory(90) == 90
    # One that has spilled keeps its place, and is asked once more before the next.
    assert [(name, size) for name, size, _ in Sorter.asked] == [
        ("b", 90),
        ("b", 60),
        ("a", 60),
        ("a", 40),
        ("c", 40),
    ]
    assert (a.used, b.used, c.used) == (0, 0, 90)


def test_the_latest_of_equals_is_asked_first(task):
    filled(task, ("a", 50), ("b", 50))
    assert Sorter(task, "c").acquire_memory(10) == 10
    assert Sorter.asked == [("b", 10, "c")]


def test_one_that_frees_nothing_is_not_asked_again(task):
    stubborn = Sorter(task, "a", frees=lambda used, size: 0)
    stubborn.acquire_memory(90)
    assert Sorter(task, "b").acquire_memory(30) == 10
    assert Sorter.asked == [("a", 20, "b")]


def test_one_that_frees_a_little_is_asked_again(task):
    Sorter(task, "a", frees=lambda used, size: min(used, 7)).acquire_memory(100)
    assert Sorter(task, "b").acquire_memory(20) == 20
    assert Sorter.asked == [("a", 20, "b"), ("a", 13, "b"), ("a", 6, "b")]


def test_one_that_lies_is_told_from_one_that_spills(task):
    liar = Sorter(task, "a")
    liar.spill = lambda size, trigger: size
    liar.acquire_memory(100)
    with pytest.raises(
        RuntimeError, match=r"spill\(\) of Sorter says that it released 20 bytes, .* for ever"
    ):
        Sorter(task, "b").acquire_memory(20)


def test_one_that_only_counts_down_is_told_from_one_that_spills(task):
    forgetful = Sorter(task, "a")

    def spill(size, trigger):
        forgetful.used -= size
        return size

    forgetful.spill = spill
    forgetful.acquire_memory(100)
    with pytest.raises(RuntimeError, match=r"the task holds 100, no less than before"):
        Sorter(task, "b").acquire_memory(30)


def test_spill_returns_a_number(task):
    forgetful = Sorter(task, "a")
    forgetful.spill = lambda size, trigger: None
    forgetful.acquire_memory(100)
    with pytest.raises(TypeError, match=r"spill\(\) returns the bytes it released, not None"):
        Sorter(task, "b").acquire_memory(20)


def test_consumers_of_other_modes_and_tasks_are_left_alone(task):
    Sorter(task, "off", mode=OFF_HEAP).acquire_memory(100)
    other = TaskMemoryManager(task.memory_manager, 2)
    Sorter(other, "other").acquire_memory(50)
    Sorter(task, "a").acquire_memory(40)
    assert Sorter(task, "b").acquire_memory(60) == 50  # 1/N of 100
    assert Sorter.asked == [("a", 50, "b"), ("a", 10, "b")]


def test_a_consumer_waits_with_its_task(task):
    filled(task, ("a", 100))
    late = Sorter(TaskMemoryManager(task.memory_manager, 2), "b")
    assert late.acquire_memory(10) is None
    assert late.used == 0


def test_releasing_more_than_is_held(task):
    (a,) = filled(task, ("a", 10))
    with pytest.raises(ValueError, match="holds 10 bytes cannot free 11"):
        a.free_memory(11)
    with pytest.raises(ValueError, match="at least 0"):
        a.free_memory(-1)
    assert a.used == 10


@pytest.mark.parametrize("size", [0, -1, 2**63])
def test_sizes_that_nobody_can_ask_for(task, size):
    with pytest.raises(ValueError, match="number of bytes"):
        Sorter(task, "a").acquire_memory(size)


def test_what_is_left_at_the_end_was_a_leak(task):
    filled(task, ("a", 10), ("b", 20))
    assert task.clean_up_all_allocated_memory() == 30
    assert task.clean_up_all_allocated_memory() == 0


def test_pages():
    task = TaskMemoryManager(UnifiedMemoryManager(10 * MIB, 0), 1)
    consumer = MemoryConsumer(task)
    page = consumer.allocate_page(1)
    assert (page.page_number, page.size) == (0, MIB - 16)
    array = consumer.allocate_array(MIB)
    assert (array.page_number, array.size) == (1, 8 * MIB)
    consumer.free_page(page)
    assert consumer.allocate_page(1).page_number == 0
    assert consumer.used == 9 * MIB - 16
    with pytest.raises(SparkOutOfMemoryError, match=r"Unable to acquire 2097152 bytes .* got \d"):
        consumer.allocate_page(2 * MIB)
    with pytest.raises(ValueError, match="not in the page table"):
        consumer.free_page(page)
    with pytest.raises(ValueError, match="Cannot allocate a page of"):
        consumer.allocate_array(2**31)


def test_an_array_takes_what_it_holds_and_not_a_whole_page():
    task = TaskMemoryManager(UnifiedMemoryManager(10 * MIB, 0), 1)
    consumer = MemoryConsumer(task)
    assert consumer.allocate_array(10).size == consumer.used == 80


def test_a_page_that_gets_nothing_at_all(task):
    Sorter(task, "a", frees=lambda used, size: 0).acquire_memory(100)
    with pytest.raises(SparkOutOfMemoryError, match="Unable to acquire 10 bytes of memory, got 0"):
        task.allocate_page(10, Sorter(task, "b"))
    with pytest.raises(ValueError, match="the mode that Tungsten works in"):
        task.allocate_page(10, Sorter(task, "c", mode=OFF_HEAP))


def test_a_task_has_8192_pages_at_most():
    task = TaskMemoryManager(UnifiedMemoryManager(10**6, 0, page_size=1), 1)
    consumer = MemoryConsumer(task)
    for _ in range(8192):
        consumer.allocate_page(1)
    with pytest.raises(RuntimeError, match="Have already allocated a maximum of 8192 pages"):
        consumer.allocate_page(1)
    assert consumer.used == task.memory_manager.execution_memory_used == 8192

"""Spark's memory classes as the oracle plays them, against numbers worked out by hand."""

import pytest

from course_lib.spark import SparkRefusal
from course_lib.spark.memory_oracle import MemoryOracle, Returned, Thrown

pytestmark = pytest.mark.conformance

# Blocks of a few bytes, which Spark's own threshold of 1 MiB would keep out.
SMALL = {"spark.storage.unrollMemoryThreshold": "1"}
WAITS = "waits"


def answers(game):
    """What each call returned at once, or that it waits."""
    return [one.ended.get(number, Returned(WAITS))[0] for number, one in enumerate(game.played)]


def test_storage_borrows_and_execution_takes_back_whole_blocks(memory_oracle):
    game = memory_oracle.play(
        100,
        50,
        [
            ("put", "rdd_0_0", 70, "MEMORY_ONLY_SER"),
            ("acquire_execution_memory", 31, 1, "ON_HEAP"),
        ],
    )
    assert game.start.pools.on_heap_storage == (50, 0)
    assert answers(game) == [True, 31]
    stored, evicted = game.played
    assert stored.state.pools.on_heap_storage == (70, 70)
    # One byte is missing, and 70 leave.
    assert evicted.events == (("evicted", "rdd_0_0", False),)
    assert evicted.state.pools.on_heap_storage == (0, 0)
    assert evicted.state.pools.on_heap_execution == (100, 31)
    assert evicted.state.blocks == ()


def test_a_task_waits_until_another_gives_back(memory_oracle):
    game = memory_oracle.play(
        100,
        0,
        [
            ("acquire_execution_memory", 100, 1, "ON_HEAP"),
            ("acquire_execution_memory", 60, 2, "ON_HEAP"),
            ("release_execution_memory", 30, 1, "ON_HEAP"),
            ("release_execution_memory", 0, 1, "ON_HEAP"),
        ],
    )
    assert answers(game) == [100, WAITS, None, None]
    _, waits, gives_back, _ = game.played
    assert waits.ended == {}
    assert waits.state.tasks[0] == {1: 100, 2: 0}
    assert gives_back.ended == {1: Returned(30), 2: Returned(None)}
    assert gives_back.state.tasks[0] == {1: 70, 2: 30}


def test_what_still_waits_at_the_end_leaves_no_thread(memory_oracle):
    full = ("acquire_execution_memory", 100, 1, "ON_HEAP")
    waiting = [("acquire_execution_memory", 10, task, "ON_HEAP") for task in range(2, 7)]
    threads = memory_oracle.threads()
    for _ in range(3):
        game = memory_oracle.play(100, 0, [full, *waiting])
        assert answers(game) == [100] + [WAITS] * 5
    assert memory_oracle.threads() == threads


def test_consumers_spill_in_sparks_order(memory_oracle):
    game = memory_oracle.play(
        100,
        0,
        [
            ("consumer", 1, 7, "ON_HEAP", "everything"),
            ("consumer", 2, 7, "ON_HEAP", "half"),
            ("consumer", 3, 7, "ON_HEAP", "nothing"),
            ("acquire_memory", 1, 20),
            ("acquire_memory", 2, 50),
            ("acquire_memory", 3, 30),
            ("acquire_memory", 3, 40),
            ("clean_up_all_allocated_memory", 7),
        ],
    )
    # The smallest that holds 40 is the second; the smallest that holds the remaining 15, the first.
    assert game.played[6].events == (("spilled", 2, 40, 3, 25), ("spilled", 1, 15, 3, 20))
    assert answers(game) == [None] * 3 + [20, 50, 30, 40, 95]


def test_pages_are_of_the_size_that_is_set(memory_oracle):
    game = memory_oracle.play(
        100,
        0,
        [
            ("consumer", 1, 7, "ON_HEAP", "nothing"),
            ("allocate_page", 1, 1, 8),
            ("allocate_page", 1, 2, 40),
            ("allocate_page", 1, 3, 60),
            ("free_page", 2),
        ],
        conf={"spark.buffer.pageSize": "16"},
    )
    assert game.page_size_bytes == 16
    assert answers(game)[1:3] == [16, 40]
    assert game.played[3].ended[3].java_class.endswith("SparkOutOfMemoryError")
    assert "Unable to acquire 60 bytes of memory, got 44." in game.played[3].ended[3].message
    assert game.played[4].state.consumers == {1: 16}


def test_blocks_go_to_disk_and_come_back(memory_oracle):
    game = memory_oracle.play(
        100,
        50,
        [
            ("put_iterator", "rdd_0_0", [10] * 6, "MEMORY_AND_DISK"),
            ("put", "rdd_1_0", 60, "MEMORY_ONLY_SER"),
            ("get", "rdd_0_0"),
            ("get", "rdd_1_0"),
            ("pin", "rdd_0_0"),
            ("put", "rdd_2_0", 60, "OFF_HEAP"),
            ("remove", "rdd_0_0"),
        ],
        conf=SMALL,
    )
    assert answers(game)[:6] == [True, True, "disk", None, None, False]
    assert game.played[1].state.disk == {"rdd_0_0"}
    assert game.played[2].state.blocks == ("rdd_0_0",)
    assert game.played[5].state.disk == {"rdd_0_0", "rdd_2_0"}
    assert "this would wait" in game.played[6].ended[6].message


def test_a_call_that_spark_refuses_is_an_outcome(memory_oracle):
    game = memory_oracle.play(100, 50, [("acquire_execution_memory", 0, 1, "ON_HEAP")])
    words = "assertion failed: invalid number of bytes requested: 0"
    assert game.played[0].ended == {0: Thrown("java.lang.AssertionError", words)}


def test_a_manager_that_spark_refuses_is_an_error(memory_oracle):
    with pytest.raises(SparkRefusal, match="onHeapExecutionMemory must be > 0"):
        memory_oracle.play(100, 100, [])


def test_a_folder_without_spark_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no spark-core_\*\.jar"):
        MemoryOracle(str(tmp_path))


def test_a_call_that_does_not_exist_is_an_outcome(memory_oracle):
    game = memory_oracle.play(100, 50, [("acquire_memry", 1, 1)])
    assert "no call has the name acquire_memry" in game.played[0].ended[0].message


def test_times_loops_inside_the_jvm(memory_oracle):
    assert memory_oracle.time_execution(1000) > 0
    assert memory_oracle.time_storage(1000) > 0

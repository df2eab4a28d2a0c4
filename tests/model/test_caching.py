"""Whether a cache pays: the model alone, then beside a running Spark."""

import pytest
from pyspark import StorageLevel as PySparkLevel

from course_lib.model import (
    Rates,
    StorageLevel,
    Table,
    UnifiedMemoryManager,
    Work,
    sort_memory,
    unsafe_row_bytes,
    uses,
)
from course_lib.spark import lab_session, memory_manager, rest
from course_lib.units import GIB, MIB

MEMORY_ONLY, MEMORY_AND_DISK = StorageLevel.MEMORY_ONLY, StorageLevel.MEMORY_AND_DISK


def manager(pool: int = 100 * MIB) -> UnifiedMemoryManager:
    return UnifiedMemoryManager(pool, pool // 2)


def works(table: Table, times: int = 3, **how) -> list[Work]:
    return [use.work for use in uses(manager(), table, times, **how)]


def test_what_fits_is_computed_once():
    table = Table(80 * MIB, 8)
    first, second, third = works(table, level=MEMORY_ONLY)
    assert first == Work(computed=80 * MIB, stored=80 * MIB)
    assert second == third == Work(from_memory=80 * MIB)


def test_what_does_not_fit_is_computed_each_time_or_read_from_disk():
    table = Table(160 * MIB, 16, batches=16)
    again = works(table, level=MEMORY_ONLY)[2]
    assert again == Work(computed=60 * MIB, from_memory=100 * MIB)
    again = works(table, level=MEMORY_AND_DISK)[2]
    assert again == Work(from_disk=60 * MIB, from_memory=100 * MIB)


def test_without_a_cache_all_is_computed_each_time_and_nothing_stays():
    played = uses(manager(), Table(80 * MIB, 8), 3, level=None)
    assert [use.work for use in played] == [Work(computed=80 * MIB)] * 3
    assert {use.cached for use in played} == {0}


def test_on_disk_only_nothing_is_in_memory():
    first, second, _ = works(Table(80 * MIB, 8), level=StorageLevel.DISK_ONLY)
    assert first == Work(computed=80 * MIB, stored=80 * MIB)
    assert second == Work(from_disk=80 * MIB)


def test_tasks_that_sort_evict_blocks_and_are_then_short_of_what_the_region_keeps():
    table = Table(80 * MIB, 8, sort=40 * MIB)
    played = uses(manager(), table, 2, level=MEMORY_ONLY)
    assert played[-1].cached == 60 * MIB
    assert played[-1].work.spilled == 0
    assert played[-1].most_in_use == 100 * MIB
    greedy = Table(80 * MIB, 8, sort=160 * MIB)
    assert works(greedy, level=None)[0].spilled == 8 * 100 * MIB
    assert works(greedy, level=MEMORY_ONLY)[1].spilled > works(greedy, level=None)[1].spilled


def test_a_block_that_comes_in_one_batch_needs_half_as_much_again_to_be_unrolled():
    def stored(size: int, batches: int) -> int:
        return works(Table(size, 1, batches), level=MEMORY_ONLY)[0].stored

    assert stored(60 * MIB, 1) == 60 * MIB
    assert stored(70 * MIB, 1) == 0
    assert stored(70 * MIB, 16) == 70 * MIB
    assert stored(100 * MIB, 17) == 0  # looked at again after the 17th batch


def test_time_is_linear_in_work():
    rates = Rates(compute=8, store=4, memory=1, disk=2, spill=16)
    work = Work(GIB, GIB // 2, 2 * GIB, 3 * GIB, GIB // 4)
    assert rates.seconds(work) == 8 + 2 + 2 + 6 + 4
    assert rates.seconds(Work()) == 0


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ((MIB, 0), "at least 1 partition of 1 batch, not 0 of 1"),
        ((MIB, 1, 0), "at least 1 partition of 1 batch, not 1 of 0"),
        ((-1, 1), "sizes are at least 0 bytes, not -1 and 0"),
        ((MIB, 1, 1, -1), "sizes are at least 0 bytes, not 1048576 and -1"),
    ],
)
def test_bad_tables_are_refused(table, complaint):
    with pytest.raises(ValueError, match=complaint):
        Table(*table)


def test_a_manager_that_is_in_use_is_refused():
    used = manager()
    used.acquire_execution_memory(1, "task")
    with pytest.raises(ValueError, match="nobody has used yet"):
        uses(used, Table(MIB, 1), 1, level=None)


# So that no few KiB, as of a broadcast, decide whether a block has to go.
ROWS, PARTITIONS, COLUMNS = 40_000, 24, 17


def test_a_running_spark_computes_and_keeps_the_partitions_predicted():
    """A cached table that is sorted three times, more than fits beside the sort."""
    conf = {
        "spark.sql.adaptive.enabled": False,
        "spark.sql.inMemoryColumnarStorage.compressed": False,
    }
    with lab_session(cores=1, driver_memory="500m", conf=conf) as spark:
        live = memory_manager(spark)
        for level in (MEMORY_ONLY, MEMORY_AND_DISK):
            found, block = played(spark, live, level)
            table = Table(
                PARTITIONS * block,
                PARTITIONS,
                ROWS // 10_000,
                sort_memory(ROWS, unsafe_row_bytes(COLUMNS), live.page_size_bytes),
            )
            model = UnifiedMemoryManager(live.max_heap_memory, live.on_heap_storage_region_size)
            predicted = uses(model, table, 3, level=level)
            assert found == [
                (use.work.computed // block, use.cached // block, use.work.spilled)
                for use in predicted
            ]
            assert 0 < predicted[-1].cached < table.size


def played(spark, live, level: StorageLevel) -> tuple[list[tuple[int, int, int]], int]:
    """Of each use: partitions computed and then in memory, bytes spilled; and a block's bytes."""
    columns = ["hash(id) as k", *(f"id + {n} as c{n}" for n in range(1, COLUMNS))]
    table = spark.range(0, ROWS * PARTITIONS, 1, PARTITIONS).selectExpr(*columns)
    table.persist(PySparkLevel(level.use_disk, True, False, level.deserialized))
    seen, block = [], 0
    for _ in range(3):
        table.sortWithinPartitions("k").write.format("noop").mode("overwrite").save()
        stage = rest(spark, "stages")[0]
        tasks = rest(spark, f"stages/{stage['stageId']}/0/taskList?length={PARTITIONS}")
        # Only a block that was found, in memory or on disk, counts as bytes read.
        read = [task["taskMetrics"]["inputMetrics"]["bytesRead"] for task in tasks]
        (stored,) = rest(spark, "storage/rdd")
        blocks = rest(spark, f"storage/rdd/{stored['id']}")["partitions"]
        block = block or max(one["memoryUsed"] for one in blocks)
        # Spark does not report a block that comes back from disk: its memory manager knows.
        seen.append((read.count(0), live.storage_memory_used // block, stage["memoryBytesSpilled"]))
    table.unpersist(blocking=True)
    return seen, block

"""Partitions and the memory to sort them, beside a running Spark."""

import pytest

from course_lib.model import (
    partition_rows,
    rows_of_keys,
    rows_without_spill,
    sort_spill,
    task_share,
    unsafe_row_bytes,
)
from course_lib.spark import lab_session, memory_manager, rest
from course_lib.units import MIB


@pytest.fixture(scope="module")
def spark():
    """Tasks run one at a time, so that each has the pool to itself."""
    conf = {"spark.sql.adaptive.enabled": False}
    with lab_session(cores=1, driver_memory="500m", conf=conf) as spark:
        yield spark


def test_a_running_spark_partitions_as_predicted(spark):
    """A skewed table by key and salt: each partition has exactly the rows predicted."""
    counts = list(enumerate(rows_of_keys(20_000, 50, 1.2), 1))
    table = spark.createDataFrame(counts, "key bigint, count bigint").coalesce(1)
    rows = table.selectExpr("key", "explode(sequence(0l, count - 1)) as row")
    for salt, by in ((1, ["key"]), (3, ["key", "salt"])):
        salted = rows.selectExpr("key", f"row % {salt} as salt")
        consume(salted.repartition(16, *by))
        stage = rest(spark, "stages")[0]
        tasks = rest(spark, f"stages/{stage['stageId']}/0/taskList?length=16")
        found = {
            task["index"]: task["taskMetrics"]["shuffleReadMetrics"]["recordsRead"]
            for task in tasks
        }
        predicted = partition_rows(20_000, 16, keys=50, skew=1.2, salt=salt)
        assert found == dict(enumerate(predicted))


def test_a_running_spark_spills_as_predicted(spark):
    """By a number and by text, on both sides of what fits: spilled to the byte."""
    manager = memory_manager(spark)
    page = manager.page_size_bytes
    # The code of tasks is broadcast, and takes some KiB of storage memory.
    share = task_share(
        manager.max_heap_memory,
        1,
        storage_memory_used=MIB,
        storage_region_size=manager.on_heap_storage_region_size,
    )
    row_bytes = unsafe_row_bytes(1, 800)
    for by, radix in (("key", True), ("text", False)):
        most = rows_without_spill(share, row_bytes, page, radix=radix)
        for rows in (most * 9 // 10, most * 11 // 10):
            table = spark.range(0, rows, 1, 1).selectExpr(
                "hash(id) as key", "lpad(cast(hash(id) as string), 800, 'x') as text"
            )
            consume(table.sortWithinPartitions(by))
            found = rest(spark, "stages")[0]["memoryBytesSpilled"]
            assert found == sort_spill(rows, row_bytes, share, page, radix=radix)
            assert bool(found) == (rows > most)


def consume(table):
    table.write.format("noop").mode("overwrite").save()

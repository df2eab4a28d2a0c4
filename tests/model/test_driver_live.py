"""Drivers that die and drivers that live: the model's heap, and heaps that far from it."""

import dataclasses

import pytest

from course_lib.model import Result, driver_budget
from course_lib.model.driver import TOLERANCE, hash_table
from course_lib.spark.autopsy import autopsy
from course_lib.units import MIB, bytes_to_string

TAKEN = 400_000  # rows, on the path of take

# What is random does not compress. An executor of its own, so that the driver holds only
# results, and with one task at a time.
WORKLOAD = """
from pyspark.sql import functions as F
from course_lib.spark.processes import peak_resident_size
from course_lib.spark.session import lab_session, rest

path, take, rows, columns, text, partitions = {arguments}
settings = dict(executors=1, executor_memory="1g", driver_memory=heap)
arrow = path == "toPandas"
conf = {{
    "spark.driver.maxResultSize": "0",
    # Without it, an OutOfMemoryError on one of Spark's own threads can leave the driver waiting.
    "spark.driver.extraJavaOptions": "-XX:+ExitOnOutOfMemoryError",
    "spark.sql.execution.arrow.pyspark.enabled": arrow,
}}
with lab_session(**settings, conf=conf) as spark:
    values = [F.randstr(text, i) if text else F.rand(i) for i in range(columns)]
    result = spark.range(0, rows, 1, partitions)
    if path == "broadcast":
        # Keys far apart, for those that lie close together are kept in another way.
        table = result.select((F.col("id") * 1000).alias("id"), *values[1:])
        assert len(spark.range(10).join(F.broadcast(table), "id").collect()) == 1
        (query,) = rest(spark, "sql?details=true")
        metrics = [one for node in query["nodes"] for one in node["metrics"]]
        print([one["value"] for one in metrics if one["name"] == "data size"])
    else:
        result = result.select(*values)
        if path == "collect":
            kept = result.collect()
        elif path == "take":
            kept, rows = result.take(take), take
        elif path == "toLocalIterator":
            kept = range(sum(1 for row in result.toLocalIterator()))
        elif path == "rdd.toLocalIterator":
            kept = range(sum(1 for row in result.rdd.toLocalIterator()))
        else:
            kept = result.toPandas()
        assert len(kept) == rows
    print(peak_resident_size())
"""


def run(path: str, result: Result, heap: float):
    arguments = (path, TAKEN, *dataclasses.astuple(result))
    source = WORKLOAD.format(arguments=arguments)
    return autopsy(source, heap=f"{round(heap / MIB)}m", timeout=150)


# Large enough for three quarters of the need to be more than the least heap that Spark takes.
@pytest.mark.parametrize(
    ("path", "result"),
    [
        ("collect", Result(400_000, text=500, partitions=32)),
        ("collect", Result(300_000, text=500, partitions=1)),
        ("take", Result(1_600_000, text=500, partitions=10)),
        ("toLocalIterator", Result(420_000, text=500, partitions=3)),
        ("rdd.toLocalIterator", Result(460_000, text=500, partitions=2)),
        ("broadcast", Result(1_400_000, columns=8, partitions=32)),
    ],
)
def test_a_heap_that_is_needed_is_enough_and_much_less_is_not(path, result):
    budget = driver_budget(result, path, take=TAKEN, at_a_time=1)
    ample = run(path, result, budget.heap_needed * (1 + TOLERANCE))
    assert ample.survived, ample
    tight = run(path, result, budget.heap_needed * (1 - TOLERANCE))
    assert not tight.survived
    assert tight.exception_class == "java.lang.OutOfMemoryError", tight
    if path == "broadcast":
        assert str([bytes_to_string(hash_table(result))]) in ample.stdout
    else:
        assert python_peak(ample) == pytest.approx(budget.python_needed, rel=TOLERANCE)


def python_peak(remains) -> int:
    return int(remains.stdout.splitlines()[-1])


def test_pandas_without_arrow_costs_python_its_rows_too():
    result = Result(400_000, text=500, partitions=32)
    budget = driver_budget(result, "toPandas without Arrow")
    plain = run("toPandas without Arrow", result, budget.heap_needed * (1 + TOLERANCE))
    assert plain.survived, plain
    assert python_peak(plain) == pytest.approx(budget.python_needed, rel=TOLERANCE)


def test_arrow_takes_a_result_past_a_heap_that_could_not_hold_it():
    result = Result(4_200_000, columns=16, partitions=64)
    budget = driver_budget(result, "toPandas")
    heap = 480 * MIB  # Spark takes no less than 450 MiB
    assert budget.heap_needed < heap < budget.counted
    arrow = run("toPandas", result, heap)
    assert arrow.survived, arrow
    assert python_peak(arrow) == pytest.approx(budget.python_needed, rel=TOLERANCE)

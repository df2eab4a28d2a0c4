import pytest

from course_lib.model import Container, PythonSide, arrow_batch, python_workers
from course_lib.model.python_workers import ARROW_ARENA, DAEMON, WORKER, WORKER_ADDRESS_SPACE
from course_lib.units import GIB, MIB

SMALL = arrow_batch(1000, columns=8)
CONF = {"spark.executor.memory": "4g", "spark.executor.cores": "4"}


def test_numbers_take_eight_bytes_in_arrow_and_in_pandas():
    assert arrow_batch(10_000, columns=8) == (640_000, 640_000)


def test_a_text_is_a_python_object_in_pandas():
    # 4 bytes say where a text ends in Arrow; an object's header has 49, a reference to it 8.
    assert arrow_batch(1, text=100) == (104, 157)


def test_a_batch_ends_with_its_rows_or_with_its_bytes():
    assert arrow_batch(10_000_000, columns=8).arrow == 64 * MIB
    assert arrow_batch(10_000_000, columns=8, max_bytes=GIB).arrow == 640_000_000
    assert arrow_batch(10, text=5 * MIB, max_bytes=MIB).arrow == 5 * MIB + 4  # one row at least


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"rows": 0}, "a batch has at least one of its rows, not 0"),
        ({"rows": 1, "columns": 0}, "a batch has at least one of its columns, not 0"),
        ({"rows": 1, "max_bytes": 0}, "a batch has at least one of its max_bytes, not 0"),
        ({"rows": 1, "text": -1}, "a text has no fewer than 0 characters, not -1"),
    ],
)
def test_a_batch_that_cannot_be_is_refused(wrong, complaint):
    with pytest.raises(ValueError, match=complaint):
        arrow_batch(**wrong)


def test_there_is_a_worker_for_each_task_and_each_operator():
    assert python_workers(CONF, SMALL).workers == 4
    assert python_workers(CONF, SMALL, operators=3).workers == 12


def test_a_worker_holds_two_batches_twice_and_its_result_twice():
    side = python_workers(CONF, arrow_batch(100_000, columns=10), broadcast=GIB)
    assert side.batches == 6 * 8_000_000
    assert side.resident == WORKER + GIB + side.batches
    assert side.idle == 4 * (WORKER + GIB)


def test_without_pyspark_memory_python_lives_in_the_overhead_and_has_no_limit():
    side = python_workers(CONF, SMALL)
    assert side.paid_by == "overhead"
    assert side.limit is None
    workers = [part for part in side.region().find("overhead").children if part.name == "worker"]
    assert len(workers) == 4


def test_pyspark_memory_is_asked_for_on_top_and_divided_by_the_cores():
    side = python_workers(CONF | {"spark.executor.pyspark.memory": "2050m"}, SMALL)
    assert side.paid_by == "PySpark"
    assert side.limit == 512 * MIB  # whole MiB
    assert side.container.granted_mib == 4096 + 409 + 2050
    names = [part.name for part in side.region().find("PySpark").children]
    assert names == ["worker"] * 4
    assert "worker" not in [part.name for part in side.region().find("overhead").children]


@pytest.mark.parametrize(
    ("per_worker", "outcome"),
    [
        (WORKER_ADDRESS_SPACE // MIB - 1, "ImportError"),
        (WORKER_ADDRESS_SPACE // MIB, "MemoryError"),
        ((WORKER_ADDRESS_SPACE + ARROW_ARENA) // MIB + 1, "fits"),
    ],
)
def test_a_limit_is_on_address_space(per_worker, outcome):
    pyspark = {"spark.executor.pyspark.memory": f"{4 * per_worker}m"}
    assert python_workers(CONF | pyspark, SMALL).outcome == outcome


def test_fewer_cores_or_smaller_batches_save_a_container():
    large = arrow_batch(500_000, columns=8)
    overhead = {"spark.executor.memoryOverhead": "1g"}
    assert python_workers(CONF | overhead, large).outcome == "killed"
    assert python_workers(CONF | overhead, SMALL).outcome == "fits"
    one_core = CONF | overhead | {"spark.executor.cores": "1"}
    assert python_workers(one_core, large).outcome == "fits"


def test_all_that_a_container_pays_for_is_in_its_tree():
    conf = CONF | {"spark.memory.offHeap.enabled": "true", "spark.memory.offHeap.size": "1g"}
    side = python_workers(conf, arrow_batch(50_000, columns=8), broadcast=64 * MIB)
    region = side.region()
    inside = sum(part.size for part in region.find("overhead").children)
    assert 5 * GIB + inside == side.executor_resident
    assert region.size == side.container.granted_mib * MIB
    assert sum(part.size for part in side.worker_region().children) == side.resident


def test_two_gigabytes_of_pyspark_memory_do_not_limit_the_executor():
    """The JVM's own part of the overhead may still be too small."""
    container = Container("executor", 1024, overhead_mib=64, pyspark_mib=1024)
    side = PythonSide(container, 1, SMALL, broadcast=500 * MIB)
    assert side.limit == GIB
    assert side.outcome == "fits"
    assert PythonSide(container, 1, SMALL, operators=2, broadcast=500 * MIB).outcome == "killed"
    assert side.executor_resident > (1024 + 64) * MIB + DAEMON


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="has a Python operator, not 0"):
        python_workers(CONF, SMALL, operators=0)
    with pytest.raises(ValueError, match="no fewer than 0 bytes, not -1"):
        python_workers(CONF, SMALL, broadcast=-1)
    with pytest.raises(ValueError, match="Executor memory must be a positive number"):
        python_workers({"spark.executor.memory": "0"}, SMALL)

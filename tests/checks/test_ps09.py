"""Problem set 09 against Spark's own rows, pools and containers, and settings tried out that are
right or wrong in ways of their own."""

import re

import pytest

from course_lib.checks import CannotCheckError, Status, grade, ps09
from course_lib.checks.ps09 import (
    EXECUTOR_SETTINGS,
    IN_MEMORY,
    OFF_HEAP_FOR,
    ROW_SIZE,
    TOTALS,
)
from course_lib.spark import NoJavaError, Oracle, SparkRefusal, lab_session
from course_lib.units import MIB

NULLS = {"long": "BIGINT", "int": "INT", "boolean": "BOOLEAN", "double": "DOUBLE"}
LITERALS = {
    "boolean": lambda value: str(value),
    "int": lambda value: f"CAST({value} AS INT)",
    "date": lambda value: f"date_from_unix_date({value})",
    "long": lambda value: f"CAST({value} AS BIGINT)",
    "double": lambda value: f"CAST({value} AS DOUBLE)",
    "timestamp": lambda value: f"timestamp_seconds({value})",
    "string": lambda value: f"'{value}'",
}


def literal(type, value):
    if value is None:
        return f"CAST(NULL AS {NULLS.get(type, type)})"
    return LITERALS[type](value)


def test_spark_itself_makes_rows_of_these_sizes():
    inputs = [arguments for seed in (0, 9102) for arguments in ROW_SIZE.inputs(seed)]
    with lab_session(driver_memory="512m", cores=1) as spark:
        for (columns,) in inputs:
            fields = ", ".join(f"{literal(*one)} AS c{i}" for i, one in enumerate(columns))
            plan = spark.sql(f"SELECT {fields}")._jdf.queryExecution().executedPlan()
            row = plan.executeTake(1)[0]
            assert row.getClass().getSimpleName() == "UnsafeRow"
            assert ROW_SIZE.reference(columns) == row.getSizeInBytes(), columns


def test_spark_itself_has_these_pools_and_asks_for_these_containers():
    with Oracle() as oracle:
        for heap_mib, off_heap_mib, enabled, storage_fraction in TOTALS.inputs(9101):
            conf = ps09._conf(off_heap_mib, enabled, storage_fraction)
            conf["spark.executor.memory"] = f"{heap_mib}m"
            arguments = (heap_mib, off_heap_mib, enabled, storage_fraction)
            try:
                right = TOTALS.reference(*arguments)
            except ValueError as refusal:
                with pytest.raises(SparkRefusal, match=re.escape(str(refusal))):
                    oracle.unified_memory_manager(conf, heap_mib * MIB, 1)
                continue
            manager = oracle.unified_memory_manager(conf, heap_mib * MIB, 1)
            in_all = manager.maxOnHeapStorageMemory() + manager.maxOffHeapStorageMemory()
            assert right["in_the_ui"] * MIB == in_all
            assert right["container"] == oracle.executor_memory(conf).total


def test_starting_without_a_size_costs_one_point():
    def answer(heap_mib, off_heap_mib, enabled, storage_fraction):
        return {
            "in_the_ui": (heap_mib - 300) * 0.6 + off_heap_mib,
            "off_heap_storage": off_heap_mib * storage_fraction,
            "off_heap_execution": off_heap_mib * (1 - storage_fraction),
            "container": heap_mib + max(heap_mib // 10, 384) + (off_heap_mib if enabled else 0),
        }

    feedback = grade("ps09/totals", answer, seed=5)
    assert (feedback.status, feedback.points) == (Status.PARTLY_RIGHT, 2)


def test_no_trace_evicts_and_blocks_are_refused_in_some():
    for seed in (0, 9103):
        inputs = IN_MEMORY.inputs(seed)
        outcomes = [list(map(bool, IN_MEMORY.reference(*arguments))) for arguments in inputs]
        assert all(not ps09._film(*arguments)[-1].score.evicted for arguments in inputs)
        assert any(False in one for one in outcomes)
        assert {arguments[2] for arguments in inputs} == {True, False}


def test_off_heap_memory_may_be_a_little_more_than_the_least_and_never_less():
    def searched(blocks, tasks, storage_fraction):
        size = sum(blocks) + sum(tasks)
        while size - min(sum(blocks), int(size * storage_fraction)) < len(tasks) * max(tasks):
            size += 1
        return size

    for more in (0, 4):
        feedback = grade("ps09/off_heap_for", lambda *job, more=more: searched(*job) + more, seed=5)
        assert feedback.status is Status.RIGHT, str(feedback)
        assert "modelled: with " in str(feedback)
    for more, says in ((-1, "That size is too small."), (5, "a smaller size would be enough")):
        feedback = OFF_HEAP_FOR.check(lambda *job, more=more: searched(*job) + more)
        assert feedback.status is Status.NOT_YET
        assert says in str(feedback)


@pytest.mark.parametrize("size", [500.5, 0, -1, 2**21])
def test_sizes_that_cannot_be(size):
    feedback = OFF_HEAP_FOR.check(lambda blocks, tasks, storage_fraction: size)
    assert "whole MiB, from 1 to 1048576" in str(feedback)


def settings(memory, overhead, enabled, size):
    return {
        "spark.executor.memory": memory,
        "spark.executor.memoryOverhead": overhead,
        "spark.memory.offHeap.enabled": enabled,
        "spark.memory.offHeap.size": size,
    }


def test_room_in_the_overhead_is_a_remedy_too():
    feedback = EXECUTOR_SETTINGS.grade(settings("512m", "800m", "false", "400m"))
    assert feedback.status is Status.RIGHT, str(feedback)
    assert "measured: the executor occupied" in str(feedback)


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        (settings("512m", "384m", True, "0"), "offHeap.size must be at least 1MiB when"),
        (settings("512m", "384m", "yes", "400m"), "spark.memory.offHeap.enabled"),
        (settings("512m", "384m", True, "-1"), "spark.memory.offHeap.size"),
        (settings("1g", "1g", True, "400m"), "is above the max threshold (2048 MB) of this"),
        (settings("384m", "1g", True, "400m"), "INVALID_EXECUTOR_MEMORY.SYSTEM_MEMORY"),
        (settings("512m", ..., True, "400m"), "spark.executor.memoryOverhead: no value yet"),
        (settings("512m", "1g", True, "1m") | {"spark.memory.offheap.size": 1}, "did you mean"),
    ],
)
def test_settings_that_are_refused_before_anything_runs(monkeypatch, chosen, says):
    monkeypatch.setattr("course_lib.spark.autopsy.autopsy", None)
    feedback = EXECUTOR_SETTINGS.grade(chosen)
    assert feedback.status is Status.NOT_YET
    assert says in str(feedback)


def test_without_java_it_cannot_be_checked(monkeypatch):
    def no_java(*_arguments, **_options):
        raise NoJavaError("no Java was found")

    monkeypatch.setattr("course_lib.spark.autopsy.autopsy", no_java)
    feedback = EXECUTOR_SETTINGS.check(EXECUTOR_SETTINGS.reference())
    assert "This cannot be checked here: no Java was found" in str(feedback)


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("raise RuntimeError('no executor')", "the program did not finish"),
        (
            'print(\'{"peak": 1, "verdict": null, "failure": "no space left"}\')',
            "a reason of its own: no space left",
        ),
    ],
)
def test_a_job_that_something_else_ends_costs_no_points(monkeypatch, program, says):
    monkeypatch.setattr(ps09, "_PROGRAM", program)
    with pytest.raises(CannotCheckError, match=says):
        EXECUTOR_SETTINGS.grade(EXECUTOR_SETTINGS.reference())

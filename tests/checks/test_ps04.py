"""Problem set 04 against Spark itself, and answers to it that are right in ways of their own."""

import math

import pytest

from course_lib.checks import Status, find_task, grade
from course_lib.checks.ps04 import _EXECUTORS, MAX_HEAP_MEMORY, REGIONS, SHOWN_IN_THE_UI, XMX_FOR
from course_lib.spark import Jvm, NoJavaError, SparkRefusal
from course_lib.units import MIB


def settings(fraction, storage_fraction):
    return {
        "spark.memory.fraction": str(fraction),
        "spark.memory.storageFraction": str(storage_fraction),
    }


@pytest.mark.parametrize("arguments", REGIONS.inputs(4101))
def test_spark_makes_the_same_regions(oracle, arguments):
    heap_bytes, *fractions = arguments
    manager = oracle.unified_memory_manager(settings(*fractions), heap_bytes, num_cores=1)
    expected = REGIONS.reference(*arguments)
    assert manager.maxHeapMemory() == expected["unified"]
    assert manager.onHeapStorageMemoryPool().poolSize() == expected["storage"]


@pytest.mark.parametrize("arguments", MAX_HEAP_MEMORY.inputs(4104))
def test_spark_refuses_the_same_settings(oracle, arguments):
    def started(heap_bytes, executor_memory, *fractions):
        conf = settings(*fractions)
        if executor_memory is not None:
            conf["spark.executor.memory"] = f"{executor_memory}b"
        oracle.validate_settings(conf)
        return oracle.unified_memory_manager(conf, heap_bytes, num_cores=1, is_driver=False)

    try:
        expected = MAX_HEAP_MEMORY.reference(*arguments)
    except ValueError:
        with pytest.raises(SparkRefusal):
            started(*arguments)
    else:
        assert started(*arguments).maxHeapMemory() == expected


@pytest.mark.parametrize("executor", _EXECUTORS)
def test_the_numbers_of_the_ui_are_those_of_real_jvms(oracle, executor):
    xmx, collector, *fractions = _EXECUTORS[executor]
    with Jvm(xmx, collector=collector) as jvm:
        max_memory = jvm.runtime_max_memory()
    unified = oracle.get_max_memory(settings(*fractions), max_memory)
    assert SHOWN_IN_THE_UI.reference()[executor] == pytest.approx(unified / MIB, abs=0.05)


def test_regions_in_floating_point_or_rounded_are_right():
    def exact(heap_bytes, fraction, storage_fraction):
        usable = heap_bytes - 300 * 1024 * 1024
        return {
            "user": usable - usable * fraction,
            "unified": usable * fraction,
            "storage": round(usable * fraction * storage_fraction),
            "execution": math.ceil(usable * fraction * (1 - storage_fraction)),
            "reserved": 300 * 1024 * 1024,
        }

    assert grade("ps04/regions", exact, seed=5).status is Status.RIGHT


def test_two_mistakes_at_once_are_both_named():
    def answer(heap_bytes, fraction, storage_fraction):
        unified = (heap_bytes - 300 * 2**20) * fraction
        storage = heap_bytes * storage_fraction
        return {
            "unified": unified,
            "storage": storage,
            "execution": unified - storage,
            "user": heap_bytes - unified,
        }

    assert grade("ps04/regions", answer, seed=5).misconceptions == (
        "takes storageFraction of the heap",
        "counts the reserve as user memory",
    )


@pytest.mark.parametrize(
    ("xmx", "says"),
    [
        (16400, "That heap wastes more than 2%."),
        (10000.5, "-Xmx should be whole MiB"),
        (100, "-Xmx should be whole MiB, at least 450"),
        (10**9, "-Xmx should be whole MiB"),
        ("16g", "it should be a number"),
    ],
)
def test_heaps_that_do_not_fit(xmx, says):
    feedback = XMX_FOR.check(lambda unified_gib, collector: xmx)
    assert feedback.status is Status.NOT_YET
    assert says in str(feedback)


def test_a_little_waste_is_right():
    def generous(unified_gib, collector):
        share = {"G1": 1, "Parallel": 8 / 9, "Serial": 29 / 30}[collector]
        return int((unified_gib * 1024 / 0.6 + 300) / share * 1.01)

    feedback = find_task("ps04/xmx_for").grade(generous, 3)
    assert feedback.status is Status.RIGHT
    assert "measured: in a JVM with -Xmx" in str(feedback)


def test_without_java_it_cannot_be_checked(monkeypatch):
    def no_java():
        raise NoJavaError("no Java was found")

    monkeypatch.setattr("course_lib.spark.jvm.find_java", no_java)
    feedback = XMX_FOR.check(lambda unified_gib, collector: 20000)
    assert "This cannot be checked here: no Java was found" in str(feedback)

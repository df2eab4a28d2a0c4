"""Problem set 03 against Spark's and YARN's own classes, and settings tried out that are right or
wrong in ways of their own."""

import re

import pytest

from course_lib.checks import CannotCheckError, Status, grade, ps03
from course_lib.checks.ps03 import (
    CONTAINER_SIZE,
    EXECUTOR_SETTINGS,
    EXECUTORS_ON_NODE,
    HEAP_FOR,
)
from course_lib.spark import NoJavaError, Oracle, SparkRefusal


@pytest.fixture(scope="module")
def oracle():
    with Oracle() as oracle:
        yield oracle


@pytest.mark.parametrize("language", ["jvm", "python"])
@pytest.mark.parametrize("manager", ["yarn", "kubernetes"])
def test_spark_asks_for_the_same_containers(oracle, manager, language):
    sizes = {(memory, off_heap, 512) for *_, memory, off_heap, _ in CONTAINER_SIZE.inputs(3101)}
    assert len(sizes) > 40
    for memory, off_heap, pyspark in sizes:
        conf = {
            "spark.executor.memory": f"{memory}m",
            "spark.memory.offHeap.enabled": str(off_heap > 0).lower(),
            "spark.memory.offHeap.size": f"{off_heap}m",
            "spark.executor.pyspark.memory": f"{pyspark}m",
        }
        if manager == "yarn":
            asked = oracle.executor_memory(conf, is_python=language == "python").total
        else:
            application = "python" if language == "python" else "java"
            conf |= oracle.kubernetes_driver_properties(conf, main=application)
            conf["spark.kubernetes.resource.type"] = application
            asked = oracle.kubernetes_executor_memory(conf)
        arguments = (manager, "4.3", language, memory, off_heap, pyspark)
        assert CONTAINER_SIZE.reference(*arguments) == asked, arguments


@pytest.mark.parametrize("arguments", EXECUTORS_ON_NODE.inputs(3102))
def test_spark_refuses_and_yarn_rounds_the_same_requests(oracle, arguments):
    memory, cores, node_memory, node_cores, step, maximum = arguments
    conf = {"spark.executor.memory": f"{memory}m"}
    try:
        expected = EXECUTORS_ON_NODE.reference(*arguments)
    except ValueError as refusal:
        with pytest.raises(SparkRefusal, match=re.escape(str(refusal))):
            oracle.yarn_verify(conf, maximum)
    else:
        oracle.yarn_verify(conf, maximum)
        asked = oracle.executor_memory(conf).total
        granted = oracle.yarn_normalized(asked, step, maximum, step)
        assert min(node_memory // granted, node_cores // cores) == expected


@pytest.mark.parametrize("arguments", HEAP_FOR.inputs(3103))
def test_yarn_grants_what_fits_to_the_largest_heap_and_more_to_any_larger(oracle, arguments):
    executors, node_memory, step = arguments

    def granted(memory):
        asked = oracle.executor_memory({"spark.executor.memory": f"{memory}m"}).total
        return oracle.yarn_normalized(asked, step, 2 * node_memory, step)

    largest = HEAP_FOR.reference(*arguments)
    assert executors * granted(largest) <= node_memory < executors * granted(largest + 1)


def _in_floating_point(manager, version, language, memory, off_heap, pyspark):
    if manager == "standalone":
        return float(memory)
    factor = 0.4 if (manager, language) == ("kubernetes", "python") else 0.1
    size = memory + max(memory * factor // 1, 384.0)
    size += off_heap if float(version) >= (3.1 if manager == "kubernetes" else 3.0) else 0
    return size + (pyspark if language == "python" else 0)


def test_a_container_in_floating_point_is_right():
    assert grade("ps03/container_size", _in_floating_point, seed=5).status is Status.RIGHT


def test_off_heap_a_version_too_early_on_kubernetes_costs_one_point():
    def as_on_yarn(manager, version, *arguments):
        early = manager == "kubernetes" and version == "3.0"
        return _in_floating_point(manager, "3.1" if early else version, *arguments)

    feedback = grade("ps03/container_size", as_on_yarn, seed=5)
    assert (feedback.status, feedback.points) == (Status.PARTLY_RIGHT, 3)
    assert "On Kubernetes off-heap memory is counted since Spark 3.1" in str(feedback)


def test_the_largest_heap_may_be_searched_for_or_be_a_little_smaller():
    def searched(executors, node_memory, step):
        def fits(memory):
            request = memory + max(memory // 10, 384)
            return executors * ((request + step - 1) // step * step) <= node_memory

        return max(memory for memory in range(1, node_memory // executors) if fits(memory))

    for answer in (searched, lambda *arguments: searched(*arguments) - 8):
        feedback = grade("ps03/heap_for", answer, seed=5)
        assert feedback.status is Status.RIGHT, str(feedback)
        assert "modelled: " in str(feedback)
    for too_much, says in ((1, "That heap is too large."), (-9, "a larger heap would fit as well")):
        feedback = HEAP_FOR.check(lambda *arguments, more=too_much: searched(*arguments) + more)
        assert feedback.status is Status.NOT_YET
        assert says in str(feedback)


@pytest.mark.parametrize("heap", [6516.4, 0, -1, 10**9])
def test_heaps_that_cannot_be(heap):
    feedback = HEAP_FOR.check(lambda executors, node_memory, step: heap)
    assert feedback.status is Status.NOT_YET
    assert "whole MiB, from 1 to the node's 61440" in str(feedback)


def settings(memory, overhead, cores):
    return {
        "spark.executor.memory": memory,
        "spark.executor.memoryOverhead": overhead,
        "spark.executor.cores": cores,
    }


def test_fewer_cores_are_a_remedy_too():
    feedback = EXECUTOR_SETTINGS.grade(settings("768m", "384m", 1))
    assert feedback.status is Status.RIGHT, str(feedback)
    assert "measured: exit code 0; the process tree occupied" in str(feedback)


def test_as_it_was_it_is_killed_and_no_heap_that_fits_the_cluster_helps():
    for memory in ("768m", "1664m"):
        feedback = EXECUTOR_SETTINGS.grade(settings(memory, "384m", "2"))
        assert feedback.points == 0
        assert "Killed: it outgrew its container. (measured: exit code 137" in str(feedback)


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        (settings("768m", "2g", 2), "is above the max threshold (2048 MB) of this cluster!"),
        (settings("384m", "1g", 2), "Executor memory 402653184 must be at least 471859200"),
        (settings("0", "1g", 2), "Executor memory must be a positive number"),
        (settings("1.5g", "640m", 2), "The value '1.5g' in the config \"spark.executor.memory\""),
        (settings("768m", "-1", 2), "overhead_mib of this executor is -1"),
        (settings("768m", "640m", 8), "spark.executor.cores: a node has 4 cores, so 1 to 4"),
        (settings("768m", "640m", 0), "spark.executor.cores: a node has 4 cores, so 1 to 4"),
        (settings("768m", ..., 2), "spark.executor.memoryOverhead: no value yet"),
        (settings("768m", "640m", 2) | {"spark.executor.core": 1}, "did you mean"),
    ],
)
def test_settings_that_are_refused_before_anything_runs(monkeypatch, chosen, says):
    monkeypatch.setattr("course_lib.spark.autopsy.autopsy", None)
    feedback = EXECUTOR_SETTINGS.grade(chosen)
    assert feedback.status is Status.NOT_YET
    assert says in str(feedback)


def test_without_java_it_cannot_be_checked(monkeypatch):
    def no_java():
        raise NoJavaError("no Java was found")

    monkeypatch.setattr("course_lib.spark.autopsy.find_java", no_java)
    monkeypatch.setattr("course_lib.spark.autopsy.java_env", dict)
    feedback = EXECUTOR_SETTINGS.check(settings("768m", "640m", 2))
    assert "This cannot be checked here: no Java was found" in str(feedback)


@pytest.mark.parametrize(
    ("what", "instead", "says"),
    [
        ("Thread.sleep(1000);", "System.exit(5);", r"\(exit code 5\): it printed nothing"),
        ('"-I"', '"-no-such-option"', r"\(exit code 1\): a Python worker ended too early"),
    ],
)
def test_an_executor_that_something_else_ends_costs_no_points(monkeypatch, what, instead, says):
    assert what in ps03._EXECUTOR
    monkeypatch.setattr(ps03, "_EXECUTOR", ps03._EXECUTOR.replace(what, instead))
    with pytest.raises(CannotCheckError, match=says):
        EXECUTOR_SETTINGS.grade(settings("768m", "640m", 2))

import json

import pytest

from course_lib.model.container import container
from course_lib.widgets import ContainerBuilder

START = dict(ContainerBuilder.start)


def view(**changed):
    return ContainerBuilder.view(None, START | changed)


def facts(**changed):
    return dict(view(**changed).facts)


def test_an_executor_on_yarn_is_rounded_and_put_on_a_node():
    shown = view()
    executor, node = shown.picture.regions
    assert {part.name: part.kind for part in executor.children} == {
        "heap": "heap", "overhead": "overhead", "rounding": "unassigned",
    }  # fmt: skip
    assert sum(part.name == "executor" for part in node.children) == 7
    assert shown.sentence == (
        "For an executor, Spark asks YARN for 8.8 GiB, and is granted 9.0 GiB: 205.0 MiB come by "
        "rounding. A node holds 7; 1024.0 MiB and 4 cores stay unused, as the next one lacks "
        "memory."
    )
    assert facts()["executors per node"] == "7"


def test_every_part_reaches_the_model():
    changed = {
        "memory": "4g", "overhead": "1g", "off_heap": "512m", "pyspark": "256m",
        "cluster_manager": "kubernetes", "language": "python",
    }  # fmt: skip
    conf = {
        "spark.executor.memory": "4g",
        "spark.executor.memoryOverhead": "1g",
        "spark.memory.offHeap.enabled": "true",
        "spark.memory.offHeap.size": "512m",
        "spark.executor.pyspark.memory": "256m",
    }
    how = {"cluster_manager": "kubernetes", "language": "python", "deploy_mode": "cluster"}
    assert view(**changed).picture.regions[0] == container(conf, **how).region()


def test_cores_can_be_what_is_lacking():
    assert facts(executor_cores=16)["executors per node"] == "2"
    assert facts(executor_cores=16)["the next one lacks"] == "cores"


def test_a_node_smaller_than_one_container_holds_none():
    shown = view(node_memory="1g")
    assert shown.sentence.endswith("A node of 1g and 32 cores holds none.")
    assert dict(shown.facts)["executors per node"] == "0"


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"role": "driver"}, "For the driver, Spark asks YARN for 8.8 GiB, and is granted 9.0 GiB"),
        (
            {"role": "driver", "deploy_mode": "client"},
            "The driver runs where it was started. For an application master, Spark asks YARN",
        ),
        (
            {"role": "driver", "deploy_mode": "client", "cluster_manager": "kubernetes"},
            "The driver runs where it was started: a heap of 8.0 GiB, no container.",
        ),
        ({"cluster_manager": "local"}, "In local mode one JVM is driver and executor: a heap of"),
        ({"cluster_manager": "standalone"}, "For an executor, Spark asks the standalone master"),
    ],
)
def test_the_sentence_says_who_asks_whom_for_what(changed, sentence):
    assert view(**changed).sentence.startswith(sentence)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"memory": "16g"}, "is above the max threshold (16384 MB) of this cluster!"),
        ({"off_heap": "0"}, "spark.memory.offHeap.size must be"),
        (
            {"cluster_manager": "kubernetes", "spark_version": "1.6"},
            "Spark runs on Kubernetes since version 2.3",
        ),
    ],
)
def test_where_spark_refuses_its_own_complaint_is_shown(changed, complaint):
    assert complaint in view(**changed).problem


def test_local_mode_runs_in_the_drivers_heap():
    assert view(cluster_manager="local", memory="2g").picture.regions[0].size == 2**31


def test_the_message_is_small_even_for_a_crowded_node():
    crowded = ContainerBuilder(memory="1g", node_memory="128g", executor_cores=1, node_cores=64)
    assert len(json.dumps(crowded._tables)) < 100_000

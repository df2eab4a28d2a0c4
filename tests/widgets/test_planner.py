import json

import pytest

from course_lib.model import Cluster, Job, YarnScheduler, forecast, plans
from course_lib.units import TIB
from course_lib.widgets import Planner
from course_lib.widgets.planner import ROW_BYTES, planner

START = dict(Planner.start)


def view(**changed):
    return planner(START | changed)


def facts(**changed):
    return dict(view(**changed).facts)


def test_three_nodes_are_cut_as_the_model_plans_them():
    made = plans(Cluster(10, 16, 64 * 1024, scheduler=YarnScheduler(1024, 63 * 1024)))
    nodes = view().picture.regions
    assert [node.name for node in nodes] == ["thin", "balanced", "fat"]
    for node, plan in zip(nodes, made, strict=True):
        executors = [one for one in node.children if one.name == "executor"]
        assert len(executors) == plan.fit.executors
        tasks = [part for part in executors[0].children if part.name == "task"]
        assert {task.size for task in tasks} == {plan.memory_per_task}
        assert len(tasks) == plan.executor_cores
        assert sum(one.size for one in node.children) == node.size
        assert sum(part.size for part in executors[0].children) == executors[0].size


def test_facts_have_a_number_for_each_plan():
    assert facts()["plans"] == "thin · balanced · fat"
    assert facts()["executors"] == "149 · 29 · 9"
    assert facts()["cores of each"] == "1 · 5 · 15"
    assert facts()["bytes of a reference"] == "4 · 4 · 8"
    assert facts(most_heap="31g")["bytes of a reference"] == "4 · 4 · 4"
    *numbers, (name, error) = view().facts
    assert all(text.count("·") == 2 for _, text in numbers)
    assert name == "error, beside Spark 4.3"
    assert error.startswith("none in cores, memory and the spill of executors of one core")


def test_the_sentence_forecasts_the_job_under_each_plan():
    assert view().sentence.startswith("Thin: 149 tasks at once with up to 2047.2 MiB each; the job")
    assert view().sentence.count("spills nothing") == 3
    made = plans(Cluster(10, 16, 64 * 1024, scheduler=YarnScheduler(1024, 63 * 1024)))
    met = forecast(made[0], Job(TIB // ROW_BYTES, ROW_BYTES, 200))
    assert met.spilled
    assert view(partitions=200).sentence.count("spills nothing") == 0


def test_who_manages_the_cluster_matters():
    elsewhere = facts(cluster_manager="kubernetes", deploy_mode="client")
    assert elsewhere["executors"] == "150 · 30 · 10"
    bare = view(cluster_manager="standalone").picture.regions[0].find("executor")
    assert {part.name for part in bare.children} == {"task", "rest of the heap"}


@pytest.mark.parametrize("control", Planner.controls, ids=lambda control: control.name)
def test_every_value_of_every_control_has_a_picture(control):
    for value in control.values:
        assert view(**{control.name: value}).picture
        assert view(
            **{"node_cores": 32, "node_memory": "16g", "nodes": 2, control.name: value}
        ).picture


def test_the_message_is_small():
    crowded = Planner(node_cores=32, node_memory="256g")
    assert len(json.dumps(crowded._tables)) < 150_000

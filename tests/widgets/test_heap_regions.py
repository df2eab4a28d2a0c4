import json

import pytest

from course_lib.model import heap
from course_lib.units import MIB
from course_lib.widgets import HeapRegions

START = dict(HeapRegions.start)


def view(**changed):
    return HeapRegions.view(None, START | changed)


def test_the_picture_is_the_model_of_the_heap():
    (region,) = view().picture.regions
    assert region == heap({"spark.executor.memory": "4g"}).region()


def test_each_control_reaches_the_model():
    conf = {
        "spark.driver.memory": "2g",
        "spark.memory.fraction": "0.75",
        "spark.memory.storageFraction": "0.2",
    }
    (region,) = view(
        memory="2g", fraction=0.75, storage_fraction=0.2, collector="Serial", role="driver",
        spark_version="1.6",
    ).picture.regions  # fmt: skip
    expected = heap(conf, role="driver", collector="Serial", spark_version="1.6")
    assert region == expected.region()


def test_the_sentence_says_what_the_ui_shows_and_what_execution_leaves_alone():
    told = view(memory="1g").sentence
    assert told.startswith("Of 1024.0 MiB, Spark manages 434.4 MiB, which is what its UI calls")
    assert "only while they take more than 21.2 % of the heap" in told


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        (
            {"memory": "256m"},
            "CONFIG_MEMORY] Insufficient executor memory: Executor memory 2684354",
        ),
        ({"memory": "256m", "role": "driver"}, "SYSTEM_MEMORY] Insufficient driver memory: System"),
        ({"memory": "450m", "collector": "Parallel"}, "[INVALID_EXECUTOR_MEMORY.SYSTEM_MEMORY]"),
        ({"storage_fraction": 1.0}, "Storage fraction must be in [0,1)"),
        ({"fraction": 0.0}, "onHeapExecutionMemory must be > 0"),
    ],
)
def test_where_spark_refuses_its_own_complaint_is_shown(changed, complaint):
    refused = view(**changed)
    assert refused.picture is None
    assert complaint in refused.problem


def test_every_fraction_to_choose_is_one_that_spark_takes_but_none_at_all():
    fractions = HeapRegions.controls[1].values
    refused = [fraction for fraction in fractions if view(fraction=fraction).picture is None]
    assert refused == [0.0]


def test_the_message_is_small():
    assert len(json.dumps(HeapRegions()._tables)) < 40_000


def test_the_heap_is_what_the_jvm_reports_not_what_was_asked_for():
    (region,) = view(collector="Parallel").picture.regions
    assert region.size == 3641 * MIB

import itertools
import json

import pytest

from course_lib.model import arrow_batch, python_workers
from course_lib.widgets import PythonWorkers
from course_lib.widgets.python_workers import ROWS, python_workers_view

START = dict(PythonWorkers.start)


def view(**changed):
    return python_workers_view(START | changed)


def test_the_picture_is_that_of_the_model():
    side = python_workers(
        {
            "spark.executor.memory": "4g",
            "spark.executor.cores": "4",
            "spark.executor.memoryOverhead": "1g",
        },
        arrow_batch(10_000, columns=8),
    )
    assert view().picture.regions == (side.region(), side.worker_region())
    assert not view().picture.one_scale


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, "in the overhead. The executor's processes occupy 4.8 GiB of 5.0 GiB: they fit."),
        ({"cores": 8}, "occupy 5.3 GiB of 5.0 GiB: the container is killed."),
        ({"pyspark": "1g"}, "its libraries do not load, the task fails, and the executor lives."),
        (
            {"pyspark": "2g", "broadcast": "512m"},
            "Each may reserve 512.0 MiB and needs 999.7 MiB: MemoryError, the task fails, and the "
            "executor lives.",
        ),
        ({"pyspark": "2g"}, "in the memory set aside for PySpark. The executor's processes occupy"
            " 4.8 GiB of 7.0 GiB: they fit."),
    ],
)  # fmt: skip
def test_what_comes_of_it_is_told(changed, told):
    assert told in view(**changed).sentence


def test_workers_stay_when_they_are_reused():
    assert dict(view().facts)["all workers, when idle"] == "540.0 MiB"
    assert dict(view(reuse="off").facts)["all workers, when idle"] == "0.0 B"


def test_the_bytes_of_a_batch_are_limited_too():
    large = {"rows_at_once": 1_000_000, "row": "32 numbers"}
    assert dict(view(**large).facts)["a batch in Arrow"] == "64.0 MiB"
    assert dict(view(**large, max_bytes="1g").facts)["a batch in Arrow"] == "244.1 MiB"


def test_a_close_call_is_called_one():
    assert "close call" in view(rows_at_once=50_000).sentence
    assert "close call" not in view().sentence


def test_one_worker_is_one():
    assert view(cores=1).sentence.startswith("1 Python worker of 138.7 MiB")


def test_the_tolerance_is_told():
    assert dict(view().facts)["real workers differ from this by"] == "at most 25%"


def test_every_row_is_shown_with_every_number_of_operators():
    for row, operators in itertools.product(ROWS, (1, 2, 3)):
        assert view(row=row, operators=operators).table()


def test_the_explorable_starts_where_it_is_told():
    widget = PythonWorkers(cores=8, rows_at_once=250_000, pyspark="4g")
    assert widget.state["rows_at_once"] == 250_000
    assert "250,000" in widget._about["controls"][1]["texts"]
    assert len(json.dumps(widget._tables)) < 60_000
    with pytest.raises(TypeError, match="PythonWorkers has no control 'batch'; it has cores"):
        PythonWorkers(batch=1)

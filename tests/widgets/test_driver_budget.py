import itertools
import json

import pytest

from course_lib.model import Result, driver_budget
from course_lib.model.driver import PATHS
from course_lib.units import GIB
from course_lib.widgets import DriverBudget
from course_lib.widgets.driver_budget import driver_budget_view

START = dict(DriverBudget.start)


def view(**changed):
    return driver_budget_view(START | changed)


def test_the_picture_is_that_of_the_model():
    budget = driver_budget(Result(5_000_000, 8), "collect")
    shown = view().picture
    assert shown.regions == (budget.region(GIB), budget.python_region())
    assert shown.one_scale
    assert shown.marks == ((budget.heap_at(GIB), "maxResultSize 1024.0 MiB"),)


def test_a_limit_beyond_the_picture_is_not_marked_and_none_is_no_mark():
    assert view(max_result_size="16g").picture.marks == ()
    assert view(max_result_size="0").picture.marks == ()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"rows": 1000}, "It survives."),
        ({"rows": 20_000_000, "heap": "512m"}, "java.lang.OutOfMemoryError: Java heap space."),
        (
            {"rows": 20_000_000, "heap": "4g"},
            "Total size of serialized results of 142 tasks (1029.2 MiB) is bigger than "
            "spark.driver.maxResultSize (1024.0 MiB).",
        ),
        ({"rows": 200_000_000, "path": "take"}, "It survives."),
        (
            {"rows": 600_000_000, "columns": 1, "path": "broadcast", "heap": "32g",
             "max_result_size": "0"},
            "Cannot broadcast the table over 512000000 rows: 600000000 rows.",
        ),
    ],
)  # fmt: skip
def test_what_trips_first_is_told(changed, told):
    assert view(**changed).sentence.endswith(told)
    assert dict(view(**changed).facts)["first trips"].rstrip(".") in (told.rstrip("."), "nothing")


def test_a_close_call_is_called_one():
    assert "a close call: real drivers differ from this by at most 25%" in view().sentence
    assert "close call" not in view(heap="2g").sentence
    assert dict(view().facts)["real drivers differ from this by"] == "at most 25%"


def test_a_call_is_close_at_the_moment_that_decides():
    # 4 GiB are about what so many rows need, but Spark ends it at 1 GiB of results.
    much = {"rows": 20_000_000, "heap": "4g", "partitions": 1000}
    assert "close call" in view(**much, max_result_size="0").sentence
    assert "close call" not in view(**much).sentence
    assert "close call" in view(**much | {"heap": "2g"}).sentence


def test_every_path_is_shown_for_every_size():
    rows = DriverBudget.controls[1].values
    for path, count in itertools.product(PATHS, rows):
        assert view(path=path, rows=count).table()


def test_the_explorable_starts_where_it_is_told():
    widget = DriverBudget(path="toPandas", rows=1_000_000, text=64)
    assert widget.state["path"] == "toPandas"
    assert "a text of 64" in widget._about["controls"][4]["texts"]
    assert len(json.dumps(widget._tables)) < 60_000
    with pytest.raises(ValueError, match="path cannot be 'show'"):
        DriverBudget(path="show")

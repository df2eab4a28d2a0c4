import json

import pytest

from course_lib.model import Rates
from course_lib.units import GIB
from course_lib.widgets import CachePays
from course_lib.widgets.cache_pays import cache_pays, recorded_rates

START = dict(CachePays.start)
RATES = Rates(compute=0, store=2.0, memory=1.0, disk=3.0, spill=8.0)


def view(**changed):
    return cache_pays(START | changed, RATES)


def facts(**changed):
    return dict(view(**changed).facts)


def ends(**changed):
    return [line.points[-1] for line in view(**changed).picture.series]


def test_what_fits_is_computed_and_stored_once_and_then_read():
    """2 GiB on 4 cores: (5 + 2) s + 3 x 1 s for each GiB, or 4 x 5 s."""
    assert ends() == [(5.0, 8 * GIB), (10.0, 8 * GIB)]
    assert view().sentence == "Without a cache 10.0 s, with it 5.0 s: it pays from use 2 on."
    assert facts()["of the last use, from memory"] == "100.0 %"


def test_one_use_never_pays():
    with_it, without = ends(uses=1)
    assert with_it[0] > without[0]


def test_what_is_cheap_to_compute_never_pays():
    told = view(compute=1, level="DISK_ONLY").sentence
    assert told.endswith("it does not pay, not even with 30 uses.")
    assert facts(compute=1, level="DISK_ONLY")["pays from use"] == "none of 30"


def test_a_table_larger_than_the_heap_is_partly_computed_or_read_from_disk():
    computed = facts(size="4g", level="MEMORY_ONLY")
    assert computed["of the last use, computed"] == "45.3 %"
    assert computed["of the table, in memory at the end"] == "54.7 %"
    assert facts(size="4g")["of the last use, from disk"] == "45.3 %"


def test_a_cache_can_take_the_memory_that_tasks_then_lack():
    crowded = {"sort": "512m", "level": "MEMORY_ONLY"}
    assert facts(**crowded)["spilled without the cache"] == "0.0 B"
    assert facts(**crowded)["spilled with it"] != "0.0 B"


def test_the_recorded_rates_say_where_they_come_from():
    recorded = recorded_rates()
    assert set(recorded) == {"made_by", "date", "java", "spark", "machine", "seconds_per_gib"}
    assert set(recorded["seconds_per_gib"]) == set(Rates._fields) - {"compute"}
    assert all(rate > 0 for rate in recorded["seconds_per_gib"].values())
    assert f"on Spark {recorded['spark']}" in dict(cache_pays(START).facts)["rates"]
    assert facts()["rates"] == "yours"


def test_the_error_of_the_prediction_is_among_the_facts():
    assert facts()["error, beside Spark 4.3"].endswith("seconds are an estimate")


@pytest.mark.parametrize("control", CachePays.controls, ids=lambda control: control.name)
def test_every_value_of_every_control_has_a_picture(control):
    for value in control.values:
        assert view(**{control.name: value}).picture


def test_rates_of_ones_own_are_used_and_the_message_is_small():
    mine = CachePays(RATES, uses=2)
    assert mine.table().endswith("Without a cache 5.0 s, with it 4.0 s: it pays from use 2 on.")
    assert len(json.dumps(mine._tables)) < 100_000

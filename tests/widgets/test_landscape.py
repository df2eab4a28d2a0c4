import json

from course_lib.model.landscape import outcome
from course_lib.units import bytes_to_string
from course_lib.widgets import Landscape
from course_lib.widgets.landscape import AXES, CORES, COSTS, TRACES, landscape_view

START = dict(Landscape.start)


def test_four_hundred_settings_are_shown_each_with_its_own_outcome():
    shown = landscape_view(TRACES[START["trace"]], START).picture
    assert sum(map(len, shown.values)) == 400
    assert shown.title == "evicted, 400 settings"
    fraction, storage = shown.y.values.index("0.6"), shown.x.values.index("0.5")
    alone = outcome(TRACES[START["trace"]], {"memory_fraction": 0.6, "storage_fraction": 0.5})
    assert shown.values[fraction][storage] == alone["evicted"]
    assert shown.text(alone["evicted"]) == bytes_to_string(alone["evicted"])


def test_each_cost_has_a_map():
    maps = [landscape_view(TRACES["cache-heavy"], START | {"cost": c}).picture for c in COSTS]
    assert [one.title.split(",")[0] for one in maps] == list(COSTS)
    assert maps[COSTS.index("waited")].text(3) == "3"


def test_more_cores_make_more_tasks_wait():
    state = START | {"axes": CORES, "cost": "waited"}
    shown = landscape_view(TRACES["a stage of 16 tasks"], state).picture
    two_gib = shown.values[shown.y.values.index("2048m")]
    assert two_gib[0] == 0 < two_gib[-1]
    assert shown.x.values == tuple(map(str, AXES[CORES]["cores"][1]))


def test_a_trace_that_cannot_be_played_is_told():
    told = landscape_view("read rdd_0_0", START)
    assert told.sentence == "This trace cannot be played."
    assert "nothing was cached" in told.problem


def test_the_message_is_small_and_your_trace_is_shown():
    mine = Landscape("cache rdd_0_0 2g\nask t1 1g", cost="evicted")
    assert mine.state["trace"] == "yours"
    assert len(json.dumps(mine._tables)) < 150_000
    assert "spark.memory.fraction" in mine.table()

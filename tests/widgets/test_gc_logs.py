import itertools
import json

import pytest

from course_lib.units import MIB
from course_lib.widgets import GcLogs
from course_lib.widgets.gc_logs import gc_logs, recorded_jobs
from course_lib.widgets.heap_sawtooth import used_over_time

RUNS = {(run["cache"], run["collector"], run["heap"]): run for run in recorded_jobs()["runs"]}


def test_twelve_settings_were_recorded_and_each_is_shown():
    assert len(RUNS) == len(recorded_jobs()["runs"]) == 12
    for choice in itertools.product(*(control.values for control in GcLogs.controls)):
        state = {c.name: value for c, value in zip(GcLogs.controls, choice, strict=True)}
        view = gc_logs(state)
        assert view.picture.evidence == "recorded"
        assert f"took {RUNS[choice]['seconds']:.0f} s" in view.sentence
        assert "Recorded on Spark 4." in view.sentence


def test_what_is_stored_agrees_with_itself():
    for run in RUNS.values():
        pauses = [row[-1] / 1e6 for row in run["collections"]]
        assert sum(run["counts"].values()) == len(pauses)
        assert run["gc_share"] == pytest.approx(sum(pauses) / run["seconds"], abs=1e-3)
        assert run["longest_pause_ms"] == pytest.approx(max(pauses) * 1000, abs=0.06)
        assert 0 < run["cached_share"] <= 1


def test_objects_take_more_memory_and_more_collecting_than_columns():
    for (cache, collector, heap), run in RUNS.items():
        if cache == "JVM objects":
            columns = RUNS["DataFrame", collector, heap]
            assert run["cached_mib"] > 5 * columns["cached_mib"]
            if collector != "Z":  # which hardly stops the program at all
                assert run["gc_share"] > 2 * columns["gc_share"]


def test_a_log_without_capacities_is_drawn_below_the_largest_heap():
    run = {"heap": "64m", "collections": [[100, "c", 20, 4, 0, 20]]}
    assert used_over_time(run, "ZGC").limits == ((64 * MIB, "capacity"),)


def test_the_explorable_starts_where_it_is_told():
    widget = GcLogs(heap="1280m", collector="Parallel")
    assert widget.state == {"cache": "JVM objects", "collector": "Parallel", "heap": "1280m"}
    assert "full collections" in widget.table()
    assert len(json.dumps(widget._tables)) < 30_000
    with pytest.raises(ValueError, match="collector cannot be 'Serial'; it is one of 'G1', 'Par"):
        GcLogs(collector="Serial")

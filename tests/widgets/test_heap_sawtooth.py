import itertools
import json

import pytest

from course_lib.units import MIB
from course_lib.widgets import HeapSawtooth
from course_lib.widgets.heap_sawtooth import heap_sawtooth, recorded_runs, sawtooth

RUN = {
    "heap": "48m", "collector": "Parallel", "rate": "100m", "survivors": 0.1, "seconds": 2.0,
    "gc_share": 0.05, "counts": {"young": 1, "full": 1}, "longest_pause_ms": 80.0,
    "allocated_mib": 199, "died_of": None,
    "collections": [[500, "y", 20, 4, 46, 20000], [250, "f", 30, 10, 44, 80000]],
}  # fmt: skip


def test_a_tooth_falls_while_the_program_stands_still():
    picture = sawtooth(RUN, "17").picture
    (used,) = picture.series
    assert [x for x, _ in used.points] == pytest.approx([0.48, 0.5, 0.67, 0.75])
    assert [y // MIB for _, y in used.points] == [20, 4, 30, 10]
    assert picture.events == ((0.75, "full collection"),)
    assert picture.limits == ((46 * MIB, "capacity"),)
    assert picture.evidence == "recorded"


def test_the_sentence_and_the_table_tell_the_cost():
    told = sawtooth(RUN, "17.0.15")
    assert told.sentence == (
        "The program stood still for 5.0 % of 2.0 s, at most 80.0 ms at a time, and allocated "
        "199 MiB. Recorded on Java 17.0.15."
    )
    facts = dict(told.facts)
    assert facts["full collections"] == "1"
    assert facts["mixed collections"] == "0"
    assert facts["live data, once a second has passed"] == "10 MiB"
    assert facts["ended by"] == "the clock"


def test_a_death_is_told():
    told = sawtooth(RUN | {"died_of": "GC overhead limit exceeded"}, "17")
    assert "it died: java.lang.OutOfMemoryError: GC overhead limit exceeded." in told.sentence


def test_every_choice_was_recorded():
    values = [[(control.name, v) for v in control.values] for control in HeapSawtooth.controls]
    states = [dict(state) for state in itertools.product(*values)]
    assert len(states) == len(recorded_runs()["runs"])
    for state in states:
        view = heap_sawtooth(state)
        assert recorded_runs()["java"] in view.sentence


def test_what_is_stored_agrees_with_itself():
    for run in recorded_runs()["runs"]:
        pauses = [row[-1] / 1e6 for row in run["collections"]]
        assert sum(run["counts"].values()) == len(pauses)
        assert run["gc_share"] == pytest.approx(sum(pauses) / run["seconds"], abs=1e-4)
        assert run["longest_pause_ms"] == pytest.approx(max(pauses) * 1000, abs=0.06)


def test_heaps_from_ample_to_hopeless_were_recorded():
    shares = [run["gc_share"] for run in recorded_runs()["runs"]]
    assert min(shares) < 0.03
    assert max(shares) > 0.6
    deaths = {run["died_of"] for run in recorded_runs()["runs"] if run["collector"] == "Parallel"}
    assert "GC overhead limit exceeded" in deaths


def test_the_explorable_starts_where_it_is_told():
    widget = HeapSawtooth(heap="48m", collector="Parallel")
    assert widget.state == {
        "heap": "48m", "allocation_rate": "400m", "survivors": 0.1, "collector": "Parallel",
    }  # fmt: skip
    assert len(json.dumps(widget._tables)) < 100_000
    with pytest.raises(ValueError, match="heap cannot be '1g'; it is one of '48m', '96m', '192m'"):
        HeapSawtooth(heap="1g")

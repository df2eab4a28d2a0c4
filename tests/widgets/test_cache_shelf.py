import json
from itertools import pairwise

import pytest

from course_lib.model import TraceError
from course_lib.widgets import CacheShelf
from course_lib.widgets.cache_shelf import TRACES, cache_shelf, shelf_events

START = dict(CacheShelf.start)


def view(trace, memory="256m"):
    return cache_shelf(trace, START | {"memory": memory})


def ends(shown):
    return [dict(lane.shots[-1].score) for lane in shown.picture.lanes]


def test_reading_in_turn_is_the_worst_that_can_happen_to_least_recently_used():
    shown = view(TRACES["five tables in turn"])
    lru, clairvoyant = ends(shown)
    assert (lru["hits"], lru["misses"]) == ("0", "10")
    assert (clairvoyant["hits"], clairvoyant["misses"]) == ("8", "2")
    assert shown.sentence == (
        "Of 10 reads, 0 find their block in memory with Spark's policy; knowing what comes, "
        "8 would."
    )


def test_a_block_never_makes_room_for_one_of_its_own_rdd():
    for end in ends(view(TRACES["one table, five partitions"])):
        assert (end["evicted"], end["hits"]) == ("0.0 B", "8")


def test_with_room_for_all_both_are_the_same():
    lru, clairvoyant = ends(view(TRACES["five tables in turn"], "320m"))
    assert lru == clairvoyant
    assert lru["hits"] == "10"


@pytest.mark.parametrize("name", TRACES)
@pytest.mark.parametrize("memory", CacheShelf.controls[1].values)
def test_what_the_shots_show_is_what_the_score_says(name, memory):
    for lane in view(TRACES[name], memory).picture.lanes:
        for before, after in pairwise(lane.shots):
            was, now = (
                [part.name for part in shot.picture.regions[0].children] for shot in (before, after)
            )
            hit = dict(after.score)["hits"] != dict(before.score)["hits"]
            assert hit == (after.event.startswith("read") and after.event.split()[1] in was)
            gone = set(was) - set(now)
            assert all(block in after.outcome for block in gone)
            assert after.outcome.startswith("evicted") == bool(gone)


def test_what_stands_left_leaves_first():
    for lane in view(TRACES["a favourite and a scan"]).picture.lanes:
        for before, after in pairwise(lane.shots):
            if after.outcome.startswith("evicted"):
                first = before.picture.regions[0].children[0].name
                assert f"evicted {first}" in after.outcome


def test_blocks_with_a_disk_level_are_read_back_and_others_made_again():
    trace = "cache rdd_0_0 64m {level}\ncache rdd_1_0 64m\nread rdd_0_0"
    for level, cost in [("MEMORY_AND_DISK", "read from disk"), ("MEMORY_ONLY", "recomputed")]:
        lru, _ = ends(view(trace.format(level=level), "64m"))
        costs = {name: lru[name] for name in ("read from disk", "recomputed")}
        assert costs == {"read from disk": "0.0 B", "recomputed": "0.0 B"} | {cost: "64.0 MiB"}


@pytest.mark.parametrize(
    ("trace", "complaint"),
    [
        ("ask t1 64m", "event 1, `ask t1 64m`: a shelf only knows cache and read"),
        ("read rdd_0_0", "rdd_0_0 was never cached"),
        ("cache rdd_0_0 1m\ncache rdd_0_0 1m", "event 2, .*: rdd_0_0 is cached already"),
    ],
)
def test_a_trace_that_is_not_for_a_shelf_is_told(trace, complaint):
    with pytest.raises(TraceError, match=complaint):
        shelf_events(trace)
    assert view(trace).picture is None


@pytest.mark.parametrize(("level", "says"), [("OFF_HEAP", "off-heap"), ("NONE", "NONE")])
def test_a_level_that_no_shelf_has_is_told(level, says):
    assert says in view(f"cache rdd_0_0 1m {level}").problem


def test_your_own_trace_is_played_and_the_message_is_small():
    mine = CacheShelf("cache rdd_0_0 64m\nread rdd_0_0", memory="64m")
    assert mine.state == {"trace": "yours", "memory": "64m"}
    assert len(json.dumps(mine._tables)) < 100_000

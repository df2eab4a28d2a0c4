import json

import pytest

from course_lib.model import StaticMemoryManager, TraceError, UnifiedMemoryManager, score
from course_lib.units import GIB, MIB
from course_lib.widgets import Race
from course_lib.widgets.the_race import TRACES, race

START = dict(Race.start)
WAITING = """\
ask t1 600m
ask t2 600m
finish t1
finish t2
"""


def view(trace, **changed):
    return race(trace, START | changed)


@pytest.mark.parametrize("name", TRACES)
def test_both_managers_play_the_trace_on_the_same_heap(name):
    static, unified = view(TRACES[name]).picture.lanes
    managers = [StaticMemoryManager, UnifiedMemoryManager]
    for lane, manager in zip((static, unified), managers, strict=True):
        assert lane.name == manager.__name__
        assert lane.shots[-1].picture.regions[0].name == "Spark memory"
    expected = score(UnifiedMemoryManager.from_conf(system_memory=4 * GIB), TRACES[name])
    assert dict(unified.shots[-1].score)["waited"].split()[0] == str(expected.waited)


def test_each_trace_of_the_course_costs_the_managers_different_things():
    for trace in TRACES.values():
        static, unified = view(trace).picture.lanes
        assert static.shots[-1].score != unified.shots[-1].score


def test_who_waits_in_one_lane_stands_beside_stillness_in_the_other():
    lanes = view(WAITING).picture.lanes
    told = [[(shot.event, shot.outcome) for shot in lane.shots] for lane in lanes]
    assert [event for event, _ in told[0]] == [
        "", "ask t1 600m", "ask t2 600m", "finish t1", "ask t2 600m", "finish t2",
    ]  # fmt: skip
    assert told[0][4][1].startswith("woken: granted")
    assert told[1][4] == ("", "")
    assert lanes[0].shots[2].picture.waiting == ("t2",)
    assert lanes[1].shots[4].picture == lanes[1].shots[3].picture


def test_an_event_that_comes_twice_keeps_the_lanes_in_step():
    lanes = view("ask t1 600m\nask t2 600m\nask t2 1m\nask t2 1m\nfinish t1").picture.lanes
    assert [lane.shots[5].event for lane in lanes] == ["finish t1", "finish t1"]


def test_the_share_that_execution_may_not_evict_is_marked_where_there_is_one():
    static, unified = view(TRACES["cache-heavy"], storage_fraction=0.3).picture.lanes
    heap = UnifiedMemoryManager.from_conf(
        {"spark.memory.storageFraction": "0.3"}, system_memory=4 * GIB
    )
    ((size, name),) = unified.shots[0].picture.marks
    assert size == heap.on_heap_storage_region_size
    assert name.startswith("storage region 6")
    assert static.shots[0].picture.marks == ()


def test_every_setting_reaches_the_unified_manager_and_the_heap_both():
    trace = TRACES["cache-heavy"]
    (static, unified), (still, changed) = (
        [lane.shots[0].picture.regions[0].size for lane in view(trace, **more).picture.lanes]
        for more in ({}, {"fraction": 0.9})
    )
    assert (still, unified < changed) == (static, True)
    assert view(trace, heap="2g").picture.lanes[0].shots[0].picture.regions[0].size < static


def test_what_is_free_is_a_part_of_each_pool():
    _, unified = view(TRACES["cache-heavy"]).picture.lanes
    storage, execution = unified.shots[1].picture.regions[0].children
    assert [part.name for part in storage.children] == ["rdd_0_0", "free"]
    assert sum(part.size for part in storage.children) == storage.size
    assert execution.find("free").kind == "unassigned"


def test_recomputing_is_counted_only_where_it_happens():
    names = [[name for name, _ in view(TRACES[one]).picture.lanes[0].shots[0].score]
             for one in ("shuffle-heavy", "cache-heavy")]  # fmt: skip
    assert names[0] == ["evicted", "spilled", "refused", "waited"]
    assert names[1] == [*names[0], "recomputed", "read from disk"]


def test_the_sentence_says_what_each_has_cost():
    assert view("cache rdd_0_0 64m").sentence == (
        "At the end, static: nothing evicted, spilled or refused, and nobody waited; "
        "unified: nothing evicted, spilled or refused, and nobody waited."
    )
    assert "unified: 3.0 GiB refused." in view("cache rdd_0_0 3g").sentence


def test_a_trace_of_your_own_is_offered_beside_those_of_the_course():
    mine = Race(WAITING, heap="2g")
    assert mine.state == START | {"trace": "yours", "heap": "2g"}
    mine.move(trace="shuffle-heavy")
    assert mine.state["trace"] == "shuffle-heavy"
    assert "yours" not in Race(trace="cache-heavy").controls[0].values


def test_a_trace_that_cannot_be_read_is_refused_with_its_line():
    with pytest.raises(TraceError, match="line 2, `drink tea`: expected one of cache, read"):
        Race("cache rdd_0_0 64m\ndrink tea")


def test_a_trace_that_cannot_be_played_is_told_in_place_of_the_film():
    told = view("read rdd_0_0")
    assert told.picture is None
    assert "event 1, `read rdd_0_0`: nothing was cached under that name" in told.problem


def test_the_message_is_small():
    assert len(json.dumps(Race()._tables)) < 250_000


def test_where_nothing_moves_there_is_a_strip_and_a_table():
    one = Race(f"cache rdd_0_0 64m\n{WAITING}")
    assert "woken: granted" in one.table()
    data, metadata = one._repr_mimebundle_()
    assert "UnifiedMemoryManager, after 6 events" in metadata["image/png"]["alt"]
    assert "step" in data["text/plain"]
    assert one.figure().get_size_inches()[1] > 3


def test_blocks_are_storage_and_tasks_execution_and_sizes_add_up():
    for lane in view(TRACES["cache and shuffle"]).picture.lanes:
        for shot in lane.shots:
            root = shot.picture.regions[0]
            assert sum(pool.size for pool in root.children) == root.size
            kinds = {(pool.name, part.kind) for pool in root.children for part in pool.children}
            assert kinds <= {
                ("storage", "storage"), ("execution", "execution"),
                ("storage", "unassigned"), ("execution", "unassigned"),
            }  # fmt: skip
    assert root.size > 2000 * MIB

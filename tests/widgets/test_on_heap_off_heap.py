import json

import pytest

from course_lib.model import UnifiedMemoryManager
from course_lib.units import GIB, MIB
from course_lib.widgets import OnHeapOffHeap
from course_lib.widgets.on_heap_off_heap import TRACES, on_heap_off_heap

START = dict(OnHeapOffHeap.start)


def shots(trace="both modes", **changed):
    (lane,) = on_heap_off_heap(TRACES[trace], START | changed).picture.lanes
    return lane.shots


@pytest.mark.parametrize("trace", TRACES)
def test_nothing_moves_between_the_modes(trace):
    for shot in shots(trace):
        (root,) = shot.picture.regions
        on_heap, off_heap = root.children
        assert (on_heap.size, off_heap.size) == (455501414, GIB)
        for mode in (on_heap, off_heap):
            assert sum(pool.size for pool in mode.children) == mode.size


def test_both_storage_regions_are_marked():
    manager = UnifiedMemoryManager.from_conf(system_memory=GIB)
    assert [size for size, _ in shots()[0].picture.marks] == [
        manager.on_heap_storage_region_size, 455501414 + 512 * MIB,
    ]  # fmt: skip


def test_one_mode_can_starve_beside_the_idle_other():
    last = shots("one full, one idle")
    evicted = next(shot for shot in last if "evicted" in shot.outcome)
    _, off_heap = evicted.picture.regions[0].children
    assert evicted.event == "ask t1 200m"
    assert all(part.name == "free" for pool in off_heap.children for part in pool.children)


def test_without_off_heap_memory_there_is_one_tree():
    first, *_ = shots(off_heap="0")
    assert [pool.name for pool in first.picture.regions[0].children] == ["storage", "execution"]
    assert len(first.picture.marks) == 1


def test_the_sentence_adds_up():
    told = on_heap_off_heap(TRACES["both modes"], START).sentence
    assert told.startswith("434.4 MiB on-heap and 1024.0 MiB off-heap, of which neither lends")


def test_the_message_is_small_and_your_trace_is_played():
    assert len(json.dumps(OnHeapOffHeap()._tables)) < 200_000
    assert OnHeapOffHeap("cache rdd_0_0 64m OFF_HEAP").state["trace"] == "yours"

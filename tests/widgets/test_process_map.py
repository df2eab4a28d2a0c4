import itertools

import pytest

from course_lib.spark import Jvm, JvmDiedError
from course_lib.units import MIB
from course_lib.widgets import ProcessMap
from course_lib.widgets.process_map import Footprint, footprint_view, process_map

READING = Footprint(
    heap_used=3 * MIB,
    resident=50 * MIB,
    committed={
        "Total": 80 * MIB, "Java Heap": 10 * MIB, "Metaspace": 4 * MIB, "Class": MIB,
        "Code": 8 * MIB, "Thread": 2 * MIB, "Other": 16 * MIB, "GC": 30 * MIB,
        "GCCardSet": MIB, "Symbol": 3 * MIB, "Shared class space": 5 * MIB,
    },
)  # fmt: skip


def test_every_category_has_its_place():
    region = process_map(READING)
    assert [(part.name, part.size // MIB) for part in region.children] == [
        ("heap", 10), ("metaspace", 5), ("code cache", 8), ("threads", 2),
        ("direct buffers", 16), ("collector", 31), ("other", 8),
    ]  # fmt: skip
    assert (region.size, region.unassigned, region.overflow) == (80 * MIB, 0, 0)
    assert region.find("heap").used == 3 * MIB
    assert region.note == "resident 50.0 MiB"


def test_the_sentence_sets_the_limit_beside_the_process():
    view = footprint_view(READING, 64 * MIB, "17.0.15", "measured")
    assert view.sentence == (
        "With a heap of at most 64.0 MiB, this process has committed 80.0 MiB, 70.0 MiB of it "
        "outside the heap; the operating system counts 50.0 MiB as resident."
    )
    assert view.picture.evidence == "measured"


def test_every_recorded_state_has_a_picture_or_the_complaint_of_the_jvm():
    widget = ProcessMap.recorded()
    values = [[(control.name, v) for v in control.values] for control in widget.controls]
    for state in map(dict, itertools.product(*values)):
        view = widget.view(state)
        if view.problem:
            assert view.problem.startswith("java.lang.OutOfMemoryError: ")
            assert state["heap"] == "32m"
        else:
            assert view.picture.evidence == "recorded"


def test_each_knob_moves_its_own_region():
    def part(name, **state):
        widget = ProcessMap.recorded(**state)
        (region,) = widget.view(widget.state).picture.regions
        return region.find(name)

    assert part("threads", threads=200).size - part("threads").size > 10 * MIB
    direct = part("direct buffers", direct=32).size - part("direct buffers").size
    assert direct == pytest.approx(32 * MIB, rel=0.01)
    assert part("heap", arrays=40).used - part("heap").used == pytest.approx(41 * MIB, abs=MIB)
    assert part("heap", heap="128m", direct=32).size == pytest.approx(
        part("heap", heap="128m").size, abs=16 * MIB
    )


def test_arrays_beyond_the_heap_are_refused_by_the_jvm():
    widget = ProcessMap.recorded(heap="32m", arrays=40)
    assert "java.lang.OutOfMemoryError: Java heap space" in widget.table()


@pytest.fixture(scope="module")
def live():
    with Jvm("64m", initial_heap="8m") as jvm:
        yield jvm, ProcessMap(jvm)


def test_a_live_jvm_is_measured_and_brought_to_the_present_state(live):
    jvm, widget = live
    widget.move(arrays=40, threads=200, direct=32)
    assert jvm.heap().used > 40 * MIB
    native = jvm.native_memory()
    assert native["Other"].committed == pytest.approx(32 * MIB, rel=0.01)
    view = widget.apply()
    assert view.picture.evidence == "measured"
    (region,) = view.picture.regions
    assert region.find("threads").size == pytest.approx(native["Thread"].committed, abs=MIB)


def test_what_is_taken_back_leaves_the_process(live):
    jvm, widget = live
    widget.move(arrays=20, threads=100, direct=32)
    full = jvm.resident_size()
    widget.move(arrays=0, threads=0, direct=0)
    assert jvm.heap().used < 10 * MIB
    assert jvm.native_memory()["Other"].committed < MIB
    assert jvm.resident_size() < full - 32 * MIB


def test_the_map_outlives_its_jvm_but_does_not_pretend_to_measure():
    with Jvm("64m") as jvm:
        widget = ProcessMap(jvm)
    widget.move(direct=16)
    assert widget.view(widget.state).picture.evidence == "measured"
    with pytest.raises(JvmDiedError, match="The JVM is gone"):
        widget.apply()


def test_a_heap_too_small_for_the_arrays_says_so():
    with Jvm("24m") as jvm:
        widget = ProcessMap(jvm, arrays=40)
        assert "java.lang.OutOfMemoryError: Java heap space" in widget.table()
        assert jvm.alive

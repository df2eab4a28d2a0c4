from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.draw.layout import NARROWEST, layout, strips
from course_lib.model import Region, heap
from course_lib.units import MIB


def leaf(size, name="user", kind="user"):
    return Region(name, kind, size)


sizes = st.integers(min_value=0, max_value=2**40)


def branch(children):
    return st.builds(
        lambda parts, more: Region(
            "heap", "heap", max(0, sum(part.size for part in parts) + more), children=parts
        ),
        st.lists(children, min_size=1, max_size=5),
        st.integers(min_value=-(2**38), max_value=2**38),
    )


trees = st.recursive(st.builds(leaf, sizes), branch, max_leaves=12)


def test_widths_are_to_scale():
    region = heap({"spark.executor.memory": "4g"}).region()
    for placed in layout(region):
        assert placed.w == pytest.approx(placed.region.size / region.size)
    names = [placed.region.name for placed in layout(region)]
    assert names == ["heap", "reserved", "user", "Spark memory", "storage", "execution"]


def test_levels_lie_below_each_other_and_leaves_reach_the_ground():
    placed = {one.region.name: one for one in layout(heap().region())}
    strip = 1 / strips(heap().region())
    assert placed["heap"].y == 0
    assert placed["Spark memory"].y == pytest.approx(strip)
    assert placed["storage"].y == pytest.approx(2 * strip)
    assert all(one.y + one.h == pytest.approx(1) for one in placed.values())


def test_what_no_child_covers_is_unassigned():
    region = Region("node", "node", 10 * MIB, children=[leaf(7 * MIB)])
    *_, last = layout(region)
    assert (last.region.kind, last.region.size) == ("unassigned", 3 * MIB)
    assert last.w == pytest.approx(0.3)


def test_a_frame_whose_children_are_empty_is_unassigned_to_the_last_byte():
    frame, inside = layout(Region("heap", "heap", MIB, children=[leaf(0)]))
    assert (frame.frame, inside.region.kind, inside.w) == (True, "unassigned", 1)


def test_children_that_exceed_their_parent_reach_beyond_its_edge():
    region = Region("container", "container", 1024 * MIB, children=[heap().region()] * 2)
    frame, *placed = layout(region)
    assert frame.w == pytest.approx(region.size / (region.size + region.overflow))
    assert frame.overflow == pytest.approx(1 - frame.w)
    assert placed[-1].x + placed[-1].w == pytest.approx(1)
    assert {one.overflow for one in placed} == {0}


def test_a_scale_makes_trees_comparable():
    small, large = leaf(25 * MIB), leaf(100 * MIB)
    assert layout(small, scale=large.size)[0].w == pytest.approx(0.25)


def test_nothing_is_drawn_for_nothing():
    assert layout(leaf(0)) == []
    assert layout(Region("heap", "heap", 0, children=[leaf(0)])) == []


@given(trees)
def test_every_region_with_a_size_is_visible_and_inside(region):
    placed = layout(region)
    crowded = NARROWEST * len(placed) > 1
    for one in placed:
        assert one.x >= 0
        assert one.x + one.w + one.overflow <= 1 + 1e-9
        if not one.frame and not crowded:
            assert one.w >= NARROWEST - 1e-9


@given(st.lists(st.integers(min_value=1, max_value=2**40), min_size=1, max_size=20))
def test_siblings_touch_and_keep_the_order_of_their_sizes(parts):
    region = Region("heap", "heap", sum(parts), children=[leaf(size) for size in parts])
    frame, *inside = layout(region)
    for left, right in pairwise(inside):
        assert left.x + left.w == pytest.approx(right.x)
    assert sum(one.w for one in inside) == pytest.approx(frame.w)
    by_size = sorted(inside, key=lambda one: one.region.size)
    widths = [one.w for one in by_size]
    assert all(a <= b + 1e-9 for a, b in pairwise(widths))

"""The tree of sizes that everything is drawn from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.model import Region

LEAF = st.builds(Region, st.text("abc", min_size=1), st.just("user"), st.integers(0, 2**40))
TREE = st.recursive(
    LEAF,
    lambda parts: st.builds(
        Region, st.just("node"), st.just("node"), st.integers(0, 2**42), children=st.lists(parts)
    ),
    max_leaves=8,
)


@given(TREE)
def test_parts_gap_and_overflow_account_for_every_byte(tree):
    for _, region in tree.walk():
        covered = sum(child.size for child in region.children)
        assert region.unassigned >= 0
        assert region.overflow >= 0
        if region.children:
            assert covered + region.unassigned - region.overflow == region.size
        else:
            assert (region.unassigned, region.overflow) == (0, 0)


def test_promising_more_than_there_is_shows():
    storage = Region("storage", "storage", 700)
    heap = Region("heap", "heap", 1000, children=[storage, Region("user", "user", 500)])
    assert (heap.unassigned, heap.overflow) == (0, 200)
    assert Region("heap", "heap", 1000, children=[storage]).unassigned == 300


def test_walk_goes_parents_first_and_counts_depth():
    leaf = Region("leaf", "user", 1)
    tree = Region("root", "node", 3, children=(Region("inner", "heap", 2, children=(leaf,)), leaf))
    names = [(depth, region.name) for depth, region in tree.walk()]
    assert names == [(0, "root"), (1, "inner"), (2, "leaf"), (1, "leaf")]


def test_find_takes_the_first_of_that_name():
    tree = Region(
        "heap", "heap", 9, children=(Region("user", "user", 4), Region("user", "user", 5))
    )
    assert tree.find("user").size == 4
    with pytest.raises(KeyError, match="no region is called 'storage'; there are: heap, user"):
        tree.find("storage")


def test_what_the_children_leave_over_is_one_part_more():
    storage = Region("storage", "storage", 700)
    heap = Region("heap", "heap", 1000, children=[storage])
    assert heap.parts == (storage, Region("unassigned", "unassigned", 300))
    assert Region("heap", "heap", 700, children=[storage]).parts == (storage,)
    assert storage.parts == ()


def test_regions_cannot_be_negative():
    with pytest.raises(ValueError, match="a region cannot have a negative size: heap has -1 bytes"):
        Region("heap", "heap", -1)
    with pytest.raises(ValueError, match="a region cannot use negative bytes: heap uses -2"):
        Region("heap", "heap", 1, used=-2)

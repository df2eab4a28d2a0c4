"""Comparing values, and saying what is wrong with their kind."""

import math
from fractions import Fraction

import pytest

from course_lib.checks.values import malformed, same, show


class Anything:
    """Equal to everything, and dangerous to look at."""

    def __eq__(self, other):
        return True

    def __hash__(self):
        return 0

    def __repr__(self):
        raise RuntimeError("never ask")


def yields():
    yield 1


async def waits():
    return 1


@pytest.mark.parametrize(
    ("expected", "actual", "within"),
    [
        (1, 1, 0),
        (1, 1.0, 0),
        (10, 12, 2),
        (10, Fraction(21, 2), 1),
        (True, True, 0),
        ("a", "a", 0),
        (None, None, 0),
        ([1, 2], (1, 2), 0),
        ({"a": 1, "b": [2]}, {"b": [2.5], "a": 1, "more": 3}, 0.5),
    ],
)
def test_the_same(expected, actual, within):
    assert same(expected, actual, within)
    assert malformed(expected, actual) is None


@pytest.mark.parametrize(
    ("expected", "actual", "within"),
    [(1, 2, 0), (10, 13, 2), ("a", "b", 0), ([1, 2], [1], 0), ([1], [2], 0), (True, False, 0)],
)
def test_of_the_same_kind_but_not_the_same(expected, actual, within):
    assert not same(expected, actual, within)
    assert malformed(expected, actual) is None


@pytest.mark.parametrize(
    ("expected", "actual", "complaint"),
    [
        (1, None, "is None; it should be a number"),
        (1, "1", "is '1'; it should be a number"),
        (1, True, "is True; it should be a number"),
        (1, math.nan, "is nan, which is not a number of anything"),
        (1, -math.inf, "is -inf, which is not a number of anything"),
        (1, 1j, "is an object of type complex; it should be a number"),
        (1, [1], "is [1]; it should be a number"),
        (1, Anything(), "is an object of type Anything; it should be a number"),
        (True, 1, "is 1; it should be True or False"),
        ("a", 1, "is 1; it should be a string"),
        ("a", Anything(), "is an object of type Anything; it should be a string"),
        ([1], 1, "is 1; it should be a list"),
        (None, 0, "is 0; it should be None"),
        ({"a": 1}, 1, "is 1; it should be a dict with 'a'"),
        ({"a": 1}, {}, "lacks 'a'"),
        ({"a": 1, "b": 2}, {"a": 1, "c": 2}, "lacks 'b'; it has 'a', 'c'"),
        ({"a": 1}, {"a": None}, "has a wrong value: 'a' is None; it should be a number"),
    ],
)
def test_of_the_wrong_kind(expected, actual, complaint):
    assert malformed(expected, actual) == complaint
    assert not same(expected, actual)


def test_a_generator_and_a_function_get_a_hint():
    assert "did you write yield" in malformed(1, yields())
    assert "forget the parentheses" in malformed(1, yields)
    coroutine = waits()
    assert "should not be async" in malformed(1, coroutine)
    coroutine.close()


def test_long_values_are_cut_short():
    assert len(show("x" * 1000)) < 70
    assert show(list(range(100))) == "an object of type list"
    assert show({"a": (1, [2])}) == "{'a': (1, [2])}"

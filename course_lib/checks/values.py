"""Comparing a learner's value with the right one, and saying what is wrong with its kind."""

import inspect
import math
import numbers
from collections.abc import Mapping
from typing import Any


def same(expected: Any, actual: Any, within: float = 0.0) -> bool:
    """Whether two values are equal; numbers may differ by `within`, in dicts and lists too."""
    if malformed(expected, actual):
        return False
    if isinstance(expected, Mapping):
        return all(same(value, actual[key], within) for key, value in expected.items())
    if isinstance(expected, (list, tuple)):
        return len(expected) == len(actual) and all(
            same(one, other, within) for one, other in zip(expected, actual, strict=True)
        )
    if _is_number(expected):
        return abs(float(expected) - float(actual)) <= within
    return bool(expected == actual)


def malformed(expected: Any, actual: Any) -> str | None:
    """What is wrong with the kind of `actual`, as the end of a sentence that begins with what it
    is ("`storage` ..."); None if it is of the same kind as `expected`."""
    wanted = _kind(expected)
    if isinstance(expected, Mapping):
        if not isinstance(actual, Mapping):
            return f"is {show(actual)}; it should be {wanted}"
        missing = [key for key in expected if key not in actual]
        if missing:
            there = f"; it has {', '.join(map(show, actual))}" if actual else ""
            return f"lacks {', '.join(map(show, missing))}{there}"
        for key, value in expected.items():
            if complaint := malformed(value, actual[key]):
                return f"has a wrong value: {show(key)} {complaint}"
        return None
    if _is_number(expected):
        if not _is_number(actual):
            return f"is {show(actual)}; it should be {wanted}"
        return None if math.isfinite(actual) else f"is {actual}, which is not a number of anything"
    if isinstance(expected, (list, tuple)):
        fits = isinstance(actual, (list, tuple))
    else:
        fits = isinstance(actual, type(expected))
    return None if fits else f"is {show(actual)}; it should be {wanted}"


def show(value: Any) -> str:
    """A value as feedback shows it. Only plain values show themselves: anything else might do
    anything when asked for its repr."""
    if value is None or type(value) in (bool, int, float):
        return repr(value)
    if type(value) is str:
        return repr(value if len(value) <= 60 else value[:57] + "...")
    if type(value) in (list, tuple, dict) and len(value) <= 12:
        items = value.items() if type(value) is dict else value
        if type(value) is dict:
            return "{" + ", ".join(f"{show(k)}: {show(v)}" for k, v in items) + "}"
        inside = ", ".join(map(show, items))
        return f"[{inside}]" if type(value) is list else f"({inside})"
    if inspect.isgenerator(value):
        return "a generator (did you write yield where you meant return?)"
    if inspect.iscoroutine(value):
        return "a coroutine (the function should not be async)"
    if inspect.isroutine(value):
        return "a function (did you forget the parentheses of a call?)"
    return f"an object of type {type(value).__name__}"


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _kind(expected: Any) -> str:
    if isinstance(expected, Mapping):
        return f"a dict with {', '.join(map(show, expected))}"
    if isinstance(expected, bool):
        return "True or False"
    if _is_number(expected):
        return "a number"
    if isinstance(expected, (list, tuple)):
        return "a list"
    return {str: "a string", type(None): "None"}.get(type(expected), type(expected).__name__)

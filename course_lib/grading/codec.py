"""Plain values as bytes and back, between the learner's kernel and the trusted one.

A value goes as JSON. None, bool, str, finite floats and ints of 64 bits are themselves, a list is
an array, and all else is an object of one key: the kind of value, with the parts it is made of::

    (1, {"sizes": b"MB"})        {"tuple": [1, {"dict": ["sizes", {"bytes": ["TUI="]}]}]}

Nothing that arrives is trusted. Decoding builds plain values only: it imports nothing, calls
nothing of the sender's, and takes time and memory in proportion to the message. Encoding reads
instances of subclasses with the methods of the plain base class, so that a class which lies about
itself (``__eq__``, ``__iter__``, ``__class__``) arrives as what it is.
"""

import dataclasses
import json
import math
import struct
from collections.abc import Callable, Mapping
from copy import copy
from itertools import accumulate
from typing import Any

from course_lib.grading.kinds import (
    LIST,
    OF_NAME,
    PLAIN,
    CodecError,
    Kind,
    exception_parts,
    fields_of,
    kind_of,
    name_of,
    shown,
)
from course_lib.units import MIB

_JSON_INT = 2**63  # larger ones go as hexadecimal digits: of decimal ones Python reads 4300


@dataclasses.dataclass(frozen=True)
class Limits:
    """How large a message may be in bytes, and a value in levels, in items of all its collections
    together, and in keys of a single dict or set (whose hashes a sender can choose so that each
    key is compared with many others)."""

    max_bytes: int = 16 * MIB
    max_depth: int = 50
    max_items: int = 1_000_000
    max_keys: int = 100_000


_LIMITS = Limits()


def encode(
    value: Any, refer: Callable[[Any], str | None] | None = None, limits: Limits = _LIMITS
) -> Any:
    """What `pack` takes for `value`.

    For what is not plain, ``refer(value)`` may give a token that stands for it. Raises CodecError
    if it gives None, and for what is larger or deeper than the limits or contains itself.
    """
    try:
        return _Walk(limits, refer).encode(value, 0)
    except RecursionError as error:
        raise CodecError("the stack is too nearly used up to read a value") from error


def decode(data: Any, resolve: Callable[[str], Any] | None = None, limits: Limits = _LIMITS) -> Any:
    """The value that `encode` turned into `data`, which may be anything that `unpack` returns.

    Instances of dataclasses and named tuples are of classes made here, with the same names and
    fields. ``resolve(token)`` gives what a token stands for, or raises LookupError. Raises
    CodecError for what `encode` would not have written.
    """
    return _Walk(limits, resolve).decode(data, 0)


def encode_exception(error: BaseException, where: str = "") -> Any:
    """An exception as data for `pack`, with `where`: text that says which line raised it."""
    return {"exception": exception_parts(error, where)}


def decode_exception(data: Any) -> Exception:
    """The exception that `encode_exception` turned into `data`.

    Its class has the same name and derives from the nearest built-in Exception (RuntimeError for
    what would end a program, such as SystemExit). ``str(error)`` is the message; attribute `where`
    is kept. Raises CodecError for anything else.
    """
    error = decode(data)
    if not isinstance(error, Exception):
        raise CodecError(f"an exception was to come, not a value of type {name_of(type(error))}")
    return error


# Messages


def pack(message: Mapping[str, Any], limits: Limits = _LIMITS) -> bytes:
    """A message as compact JSON. Raises CodecError if it is no JSON or too large."""
    try:
        packed = _TO_JSON.encode(message).encode("utf-8", "surrogatepass")
    except (TypeError, ValueError, RecursionError) as error:
        raise CodecError(f"a message cannot be written as JSON: {error}") from error
    _require_room(len(packed), limits)
    return packed


def unpack(packed: bytes, limits: Limits = _LIMITS) -> dict[str, Any]:
    """The message that `pack` made `packed` of. Raises CodecError for anything else."""
    _require_room(len(packed), limits)
    _require_shape(packed, limits)
    try:
        message = _FROM_JSON.decode(str(packed, "utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise CodecError(f"a message is not JSON: {error}") from error
    if type(message) is not dict:
        raise CodecError("a message is a JSON object")
    return message


def _refuse_constant(name: str):
    raise ValueError(f"{name} is not in JSON")


_TO_JSON = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":")
)
_FROM_JSON = json.JSONDecoder(parse_constant=_refuse_constant)


def _require_room(size: int, limits: Limits) -> None:
    if size > limits.max_bytes:
        raise CodecError(
            f"{size:,} bytes are too many: at most {limits.max_bytes:,} can be passed at once"
        )


def _require_shape(packed: bytes, limits: Limits) -> None:
    """Count brackets and commas, lest the JSON parser meet a depth that ends the process, or two
    bytes each that make a list of sixty."""
    deepest = 2 * limits.max_depth + 10
    most = 4 * limits.max_items
    if packed.count(b"[") + packed.count(b"{") <= deepest and packed.count(b",") <= most:
        return
    without_escapes = packed.replace(rb"\\", b"").replace(rb"\"", b"")
    if without_escapes.count(b'"') > most:
        raise CodecError(f"a message has more than {most // 2:,} strings")
    outside_strings = b"".join(without_escapes.split(b'"')[::2])
    steps = outside_strings.translate(_UP_OR_DOWN, _NO_BRACKETS)
    if outside_strings.count(b",") + steps.count(1) > most:
        raise CodecError(f"a message has more than {most:,} lists and items")
    if max(accumulate(memoryview(steps).cast("b")), default=0) > deepest:
        raise CodecError(f"a message is nested deeper than {limits.max_depth} levels")


_UP_OR_DOWN = bytes.maketrans(b"[{]}", struct.pack("4b", 1, 1, -1, -1))
_NO_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))


# The way through a value

_THEMSELVES = frozenset((type(None), bool, int, float, str))  # what JSON has, and Python has so


class _Walk:
    """One value on its way, and how much of the limits it has used up."""

    __slots__ = ("items", "limits", "refers", "size")

    def __init__(self, limits: Limits, refers: Callable | None):
        self.limits, self.refers = limits, refers
        self.items = self.size = 0

    def encode(self, value: Any, depth: int) -> Any:
        cls = type(value)
        if cls is str:
            self.size += len(value)
            _require_room(self.size, self.limits)
            return value
        if (cls is int and -_JSON_INT <= value < _JSON_INT) or value is None or cls is bool:
            return value
        if cls is float and math.isfinite(value):
            return value
        kind = kind_of(cls)
        if kind is None:
            return {"reference": [self._refer(value)]}
        if kind.size:
            _require_room(self.size + kind.size(value), self.limits)
        parts = self._all(self.encode, kind, _parts(kind, value), depth)
        if kind.keys and any(map(_refers, parts[kind.keys])):
            raise CodecError(f"the keys of a {kind.name} have to be plain: {PLAIN}")
        return parts if kind is LIST else {kind.name: parts}

    def decode(self, data: Any, depth: int) -> Any:
        cls = type(data)
        if cls in _THEMSELVES:
            return data
        if cls is list:
            return self._all(self.decode, LIST, data, depth)
        if cls is not dict or len(data) != 1:
            raise CodecError("a value is an object of one key, which says its kind")
        ((name, parts),) = data.items()
        if name == "reference":
            return self._resolve(parts)
        kind = OF_NAME.get(name)
        if kind is None or type(parts) is not list:
            raise CodecError(f"{shown(name)} is no kind of value with a list of parts")
        built_of = self._all(self.decode, kind, parts, depth)
        if kind.keys and any(map(_refers, parts[kind.keys])):  # whose hash would be asked for
            raise CodecError(f"a reference among the keys of a {name}")
        try:
            return kind.build(built_of)
        except (TypeError, ValueError, OverflowError, LookupError) as error:
            raise CodecError(f"parts that make no {name}: {error}") from error

    def _all(self, walk: Callable, kind: Kind, parts: list, depth: int) -> list:
        self.items += len(parts)
        if self.items > self.limits.max_items:
            raise CodecError(f"a value has more than {self.limits.max_items:,} items")
        if kind.keys and len(parts[kind.keys]) > self.limits.max_keys:
            raise CodecError(f"a {kind.name} has more than {self.limits.max_keys:,} keys")
        if depth == self.limits.max_depth:
            raise CodecError(f"a value is nested deeper than {depth} levels, or contains itself")
        done: list = []
        try:
            for part in parts:
                small = type(part) is int and -_JSON_INT <= part < _JSON_INT
                done.append(part if small else walk(part, depth + 1))
        except CodecError as error:
            error.steps.insert(0, kind.place(parts, len(done)))
            raise
        return done

    def _refer(self, value: Any) -> str:
        token = self.refers(value) if self.refers else None
        if token is None:
            raise CodecError(
                f"a value of type {name_of(type(value))} cannot be passed; {PLAIN} can"
            )
        return token

    def _resolve(self, parts: Any) -> Any:
        if self.refers is None or type(parts) is not list or [*map(type, parts)] != [str]:
            raise CodecError("a reference is one token, and stands for nothing here")
        try:
            return self.refers(*parts)
        except LookupError as error:
            raise CodecError(f"the reference {shown(parts[0])} stands for nothing") from error


def _parts(kind: Kind, value: Any) -> list:
    try:
        return list(kind.parts(value))
    except CodecError:
        raise
    except Exception as error:  # a field may be a property, whose code is the sender's
        names = name_of(type(value)), name_of(type(error))
        raise CodecError("an instance of {} cannot be read: {}".format(*names)) from error


def _refers(data: Any) -> bool:
    """Whether there is a reference in what is or was encoded."""
    if type(data) is dict:
        return "reference" in data or any(map(_refers, *data.values()))
    return type(data) is list and any(map(_refers, data))


# Changes


def apply_change(original: Any, changed: Any) -> None:
    """Make `original` equal to `changed` in place, with what it holds: a list, dict, set,
    bytearray, NumPy array or instance of a dataclass. A tuple or a frozen instance keeps its items,
    which may change. Raises CodecError where the two are not of one kind."""
    if original is not changed and _changed(original, changed) is changed:
        names = name_of(type(original)), name_of(type(changed))
        raise CodecError("a value of type {} cannot become one of type {}".format(*names))


def _changed(old: Any, new: Any) -> Any:
    """`old`, changed in place to equal `new`, or made anew of its changed items if it is a tuple or
    a frozen instance; or `new`, where the two are not of one kind."""
    kind = kind_of(type(old))
    if kind is None or kind_of(type(new)) is not kind:
        return new
    if kind.name == "list":
        old[:] = [*map(_changed, old, new), *new[len(old) :]]
    elif kind.name == "dict":
        merged = {key: _changed(old.get(key), value) for key, value in new.items()}
        old.clear()
        old.update(merged)
    elif kind.name == "set":
        old.clear()
        old.update(new)
    elif kind.name == "bytearray":
        old[:] = new
    elif kind.name == "array" and (old.shape, old.dtype) == (new.shape, new.dtype):
        old[...] = new
    elif kind.name in ("tuple", "namedtuple") and len(old) == len(new):
        items = map(_changed, old, new)
        return tuple(items) if kind.name == "tuple" else type(old)._make(items)
    elif kind.name == "dataclass" and list(fields_of(old)) == list(fields_of(new)):
        if old.__dataclass_params__.frozen:
            old = copy(old)
        for name, value in fields_of(new).items():
            object.__setattr__(old, name, _changed(getattr(old, name), value))
    else:
        return new
    return old

"""The kinds of plain values: how each is taken apart into simpler ones, and built of them again.

What takes a value apart does so with the methods of the plain base class, never with those of a
subclass. What builds one has checked every part that it was given.
"""

import binascii
import builtins
import dataclasses
import math
import re
import struct
import sys
from collections import Counter, namedtuple
from collections.abc import Callable, Iterable
from inspect import getattr_static
from itertools import chain
from typing import Any, NamedTuple

PLAIN = (
    "None, numbers, str, bytes, list, tuple, dict, set, range, instances of dataclasses, "
    "exceptions, and NumPy arrays of numbers or text"
)

_MOST_WITH_ONE_HASH = 100  # keys: building a dict or set takes time quadratic in these
_MOST_CLASSES = 1_000  # made for instances that arrive, in one process
_LONGEST_NAMES = 5_000  # of such a class and its fields, in characters
_LONGEST_TEXT = 10_000  # of an exception, in characters
_MOST_DIMENSIONS = 32
_LONGEST_AXIS = 2**24


class CodecError(ValueError):
    """A value that cannot be passed, or a message that is none: says what, where, and what can."""

    def __init__(self, says: str):
        super().__init__(says)
        self.steps: list[str] = []  # to the place in the value, from the outside in

    def __str__(self):
        return self.args[0] + (f" (at {''.join(self.steps)})" if self.steps else "")


def _item(parts: list, index: int) -> str:
    return f"[{index}]"


class Kind(NamedTuple):
    """One kind. `build` takes the list of parts; it raises TypeError, ValueError, OverflowError or
    LookupError if they make no such value."""

    name: str
    parts: Callable[[Any], Iterable]
    build: Callable[[list], Any]
    size: Callable[[Any], int] | None = None  # in bytes, where a single part may be large
    place: Callable[[list, int], str] = _item  # of a part, as an expression would name it
    keys: slice | None = None  # the parts that are hashed when it is built


OF_NAME: dict[str, Kind] = {}
_OF_CLASS: dict[int, Kind] = {}  # by identity: a metaclass may lie about equality

name_of = type.__dict__["__name__"].__get__
_mro_of = type.__dict__["__mro__"].__get__


def kind_of(cls: type) -> Kind | None:
    """The kind of a class's instances: its own, that of the nearest plain base, or none."""
    if kind := _OF_CLASS.get(id(cls)):
        return kind
    numpy_array, numpy_scalar = _numpy("ndarray"), _numpy("generic")
    for base in _mro_of(cls):
        if base is tuple and getattr_static(cls, "_fields", None):
            return _NAMED_TUPLE
        if base is numpy_array:
            return _ARRAY
        if base is numpy_scalar:
            return _SCALAR
        if kind := _OF_CLASS.get(id(base)):
            return kind
    return _DATACLASS if getattr_static(cls, "__dataclass_fields__", None) is not None else None


def shown(key: Any) -> str:
    """A key of a dict as an error shows it."""
    short = type(key) is str and len(key) <= 40
    return ascii(key) if short or (type(key) is int and abs(key) < 2**64) else "..."


def _kind(name: str, cls: type | None, *how: Callable, **more: Any) -> Kind:
    kind = OF_NAME[name] = Kind(name, *how, **more)
    if cls is not None:
        _OF_CLASS[id(cls)] = kind
    return kind


def _numpy(name: str) -> Any:
    """NumPy is used where it is loaded, never imported."""
    return getattr(sys.modules.get("numpy"), name, None)


# Numbers and text that JSON does not have


def _text(parts: list) -> str:
    (text,) = parts
    if type(text) is not str:
        raise TypeError(f"{name_of(type(text))} instead of text")
    return text


def _base64(data: bytes | bytearray) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def _from_base64(parts: list) -> bytes:
    return binascii.a2b_base64(_text(parts), strict_mode=True)


def _from_hexadecimal(parts: list) -> int:
    digits = _text(parts)
    if not re.fullmatch("-?0x[0-9a-f]+", digits):
        raise ValueError("an int has hexadecimal digits")
    return int(digits, 16)


def _bits(*numbers: float) -> list[str]:
    return [struct.pack(f">{len(numbers)}d", *numbers).hex()]  # a NaN keeps its payload


def _from_bits(parts: list, count: int) -> tuple[float, ...]:
    bits = bytes.fromhex(_text(parts))
    if len(bits) != 8 * count:
        raise ValueError(f"{8 * count} bytes make {count} float, not {len(bits)}")
    return struct.unpack(f">{count}d", bits)


def _complex_bits(value: complex) -> list[str]:
    value = complex.__complex__(value)
    return _bits(value.real, value.imag)


_kind("str", str, lambda value: [str.__str__(value)], _text)
_kind("int", int, lambda value: [hex(int.__int__(value))], _from_hexadecimal)
_kind(
    "float",
    float,
    lambda value: _bits(float.__float__(value)),
    lambda parts: _from_bits(parts, 1)[0],
)
_kind("complex", complex, _complex_bits, lambda parts: complex(*_from_bits(parts, 2)))
_kind(
    "bytes",
    bytes,
    lambda value: [_base64(bytes.__bytes__(value))],
    _from_base64,
    size=bytes.__len__,
)
_kind(
    "bytearray",
    bytearray,
    lambda value: [_base64(bytearray.copy(value))],
    lambda parts: bytearray(_from_base64(parts)),
    size=bytearray.__len__,
)


def _ellipsis(parts: list) -> Any:
    if parts:
        raise ValueError("an ellipsis has no parts")
    return ...


_kind("ellipsis", type(...), lambda value: [], _ellipsis)


# Collections


def _hashed(build: Callable[[list], Any], keys: list) -> Any:
    if len(keys) > _MOST_WITH_ONE_HASH:
        most = max(Counter(map(hash, keys)).values())
        if most > _MOST_WITH_ONE_HASH:
            raise ValueError(f"{most:,} keys have the same hash")
    built = build(keys)
    if len(built) < len(keys):
        raise ValueError("some keys are equal")
    return built


def _build_dict(parts: list) -> dict:
    return _hashed(lambda keys: dict(zip(keys, parts[1::2], strict=True)), parts[::2])


def _item_of_dict(parts: list, index: int) -> str:
    return f"[{shown(parts[index - 1])}]" if index % 2 else f"[key {shown(parts[index])}]"


def _build_range(parts: list) -> range:
    if [*map(type, parts)] != [int, int, int]:
        raise TypeError("a range has a start, a stop and a step")
    return range(*parts)


LIST = _kind("list", list, list.__iter__, list)
_kind("tuple", tuple, tuple.__iter__, tuple)
_kind("set", set, set.__iter__, lambda parts: _hashed(set, parts), keys=slice(None))
_kind(
    "frozenset",
    frozenset,
    frozenset.__iter__,
    lambda parts: _hashed(frozenset, parts),
    keys=slice(None),
)
_kind(
    "dict",
    dict,
    lambda value: chain.from_iterable(dict.items(value)),
    _build_dict,
    place=_item_of_dict,
    keys=slice(None, None, 2),
)
_kind("range", range, lambda value: (value.start, value.stop, value.step), _build_range)


# Instances with named fields: their class's name, then each field's name and value


class StandIn:
    """Base of the classes made here: instances equal any dataclass's of equal name and fields."""

    def __eq__(self, other):
        if not dataclasses.is_dataclass(other) or type(other).__name__ != type(self).__name__:
            return NotImplemented
        return fields_of(self) == fields_of(other)

    def __hash__(self):  # equal to that of a frozen dataclass
        return hash(tuple(fields_of(self).values()))


def fields_of(instance: Any) -> dict[str, Any]:
    """The fields of a dataclass's instance."""
    names = (field.name for field in dataclasses.fields(instance))
    return {name: object.__getattribute__(instance, name) for name in names}


def _parts_with_fields(instance: Any, fields: Iterable[tuple[str, Any]]) -> list:
    parts = [name_of(type(instance)), *chain.from_iterable(fields)]
    _require_names(parts[0], *parts[1::2])
    return parts


def _require_names(*names: Any) -> None:
    for name in names:
        if type(name) is not str or not name.isidentifier() or name.startswith("__"):
            raise CodecError(f"{shown(name)} cannot be the name of a class or a field")
    if sum(map(len, names)) > _LONGEST_NAMES:
        raise CodecError(f"names of more than {_LONGEST_NAMES:,} characters")


_made: dict[tuple, type] = {}


def _class(make: Callable[..., type], name: str, *more: Any) -> type:
    """The class that `make` makes: the same each time."""
    key = (make, name, *more)
    if key not in _made:
        if len(_made) == _MOST_CLASSES:
            raise ValueError(f"more than {_MOST_CLASSES:,} classes have arrived")
        _made[key] = make(name, *more)
    return _made[key]


def _make_dataclass(name: str, fields: tuple[str, ...]) -> type:
    return dataclasses.make_dataclass(name, fields, bases=(StandIn,), eq=False)


def _make_named_tuple(name: str, fields: tuple[str, ...]) -> type:
    return namedtuple(name, fields, rename=True)


def _build_instance(make: Callable[..., type], parts: list) -> Any:
    name, fields = parts[0], parts[1::2]
    _require_names(name, *fields)
    return _class(make, name, tuple(fields))(*parts[2::2])


def _place_of_field(parts: list, index: int) -> str:
    return f"[{index}]" if index % 2 or index == 0 else f".{parts[index - 1]}"


_DATACLASS = _kind(
    "dataclass",
    None,
    lambda value: _parts_with_fields(value, fields_of(value).items()),
    lambda parts: _build_instance(_make_dataclass, parts),
    place=_place_of_field,
)
_NAMED_TUPLE = _kind(
    "namedtuple",
    None,
    lambda value: _parts_with_fields(
        value, zip(getattr_static(type(value), "_fields"), tuple.__iter__(value), strict=True)
    ),
    lambda parts: _build_instance(_make_named_tuple, parts),
    place=_place_of_field,
)


# Exceptions: the name of the class, the message, the place, and the names of built-in bases

_BUILTIN_ERRORS = {
    name: error
    for name, error in vars(builtins).items()
    if isinstance(error, type) and issubclass(error, Exception) and error is not ExceptionGroup
}
_MESSAGE_IS_NOT_ARGUMENT = (KeyError, UnicodeError)  # str(KeyError("a")) is "'a'"


def exception_parts(error: BaseException, where: str = "") -> list[str]:
    """What an exception is passed as; `where` says which line raised it."""
    cls = type(error)
    try:
        message = str.__str__(str(error))
    except Exception as raised:  # its __str__ is the sender's code
        message = f"(reading the message raised {name_of(type(raised))})"
    bases = [name_of(base) for base in _mro_of(cls) if _BUILTIN_ERRORS.get(name_of(base)) is base]
    return [name_of(cls)[:_LONGEST_TEXT], message[:_LONGEST_TEXT], where[:_LONGEST_TEXT], *bases]


def _build_exception(parts: list) -> Exception:
    name, message, where, *names = (_text([part])[:_LONGEST_TEXT] for part in parts)
    bases = (_BUILTIN_ERRORS[each] for each in names if each in _BUILTIN_ERRORS)
    cls = base = next(bases, RuntimeError)  # what would end a program, such as SystemExit, has none
    if name != base.__name__ or issubclass(base, _MESSAGE_IS_NOT_ARGUMENT):
        usable = name.isidentifier() and len(name) <= 100
        cls = _class(_make_error, name if usable else "UnnamedError", base)
    error = cls(message)
    error.where = where
    return error


def _make_error(name: str, base: type[Exception]) -> type[Exception]:
    def keep(self, message):
        self.args = (message,)

    methods = {"__init__": keep, "__str__": lambda self: self.args[0]}
    return type(name, (base,), methods | {"__module__": "builtins"})


_kind("exception", BaseException, exception_parts, _build_exception)


# NumPy: the dtype, the shape and the bytes


def _array_parts(array: Any) -> list:
    if array.dtype.kind not in "biufcUS":
        dtype = str(array.dtype)[:40]
        raise CodecError(f"an array of dtype {dtype} cannot be passed; {PLAIN} can")
    _require_lengths(array.shape)
    return [array.dtype.str, array.shape, array.tobytes()]


def _require_lengths(shape: Any) -> None:
    if type(shape) is not tuple or len(shape) > _MOST_DIMENSIONS:
        raise CodecError(f"the shape of an array is a tuple of at most {_MOST_DIMENSIONS} lengths")
    if any(type(length) is not int or not 0 <= length <= _LONGEST_AXIS for length in shape):
        raise CodecError(f"the lengths of an array are whole numbers up to {_LONGEST_AXIS:,}")
    if math.prod(shape) == 0 and math.prod(filter(None, shape)) > _LONGEST_AXIS:
        raise CodecError(f"an empty array of shape {shape} cannot be passed")


def _scalar_parts(value: Any) -> list:
    generic = _numpy("generic")
    dtype, raw = generic.dtype.__get__(value), generic.tobytes(value)
    return _array_parts(_numpy("ndarray")((), dtype, raw))


def _build_array(parts: list) -> Any:
    dtype, shape, raw = parts
    if _numpy("ndarray") is None:
        raise LookupError("NumPy is not loaded where it arrives")
    if not re.fullmatch("[<>|][biufcUS][1-9][0-9]{0,8}", _text([dtype])) or type(raw) is not bytes:
        raise TypeError("an array has a dtype of numbers or text, a shape and bytes")
    _require_lengths(shape)
    dtype = _numpy("dtype")(dtype)
    if math.prod(shape) * dtype.itemsize != len(raw):
        raise ValueError(f"{len(raw)} bytes do not fill a shape of {shape} with {dtype}")
    if dtype.kind == "b" and raw.translate(None, b"\0\1"):
        raise ValueError("False and True are the bytes 0 and 1")
    if dtype.kind == "U" and raw and _code_points(raw, dtype).max() > sys.maxunicode:
        raise ValueError("text has a character beyond Unicode")
    return _numpy("ndarray")(shape, dtype, bytearray(raw))


def _build_scalar(parts: list) -> Any:
    array = _build_array(parts)
    if array.shape:
        raise ValueError("a scalar has no shape")
    return array[()]


def _code_points(raw: bytes, dtype: Any) -> Any:
    return _numpy("frombuffer")(raw, dtype.byteorder + "u4")


_ARRAY = _kind(
    "array",
    None,
    lambda value: _array_parts(_numpy("ndarray").view(value, _numpy("ndarray"))),
    _build_array,
    size=lambda value: _numpy("ndarray").nbytes.__get__(value),
)
_SCALAR = _kind("scalar", None, _scalar_parts, _build_scalar)

"""Plain values as bytes and back, between the learner's kernel and the trusted one.

A value goes as JSON. None, bool, str, finite floats and ints of 64 bits are themselves, a list is
an array, and everything else is an object of one key that names its kind::

    (1, {"sizes": b"MB"})        {"tuple": [1, {"dict": ["sizes", {"bytes": "TUI="}]}]}

Nothing that arrives is trusted. Decoding builds plain values only: it imports nothing, calls
nothing of the sender's, and takes time and memory in proportion to the message. Encoding reads
instances of subclasses with the methods of the plain base class, so that a class which lies about
itself (``__eq__``, ``__iter__``, ``__class__``) arrives as what it is.
"""

import binascii
import builtins
import dataclasses
import json
import math
import re
import struct
import sys
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from inspect import getattr_static
from itertools import accumulate, chain, groupby, zip_longest
from typing import Any

MIB = 2**20

PLAIN = (
    "None, bool, int, float, complex, str, bytes, list, tuple, dict, set, range, instances of "
    "dataclasses, exceptions, and NumPy arrays of numbers or text"
)

_JSON_INT = 2**63  # larger ones go as hexadecimal digits: Python limits decimal ones to 4300
_MOST_CLASSES = 100  # of dataclasses and named tuples in a value: each is made when it arrives
_MOST_FIELDS = 100
_MOST_OF_ONE_HASH = 1_000  # keys of a dict or set: with more, building it takes quadratic time
_LONGEST_NAME = 100
_LONGEST_MESSAGE = 10_000


class CodecError(ValueError):
    """A value that cannot be passed, or a message that is none: says what, where, and what can."""

    def __init__(self, says: str):
        super().__init__(says)
        self.steps: list[str] = []  # to the place in the value, from the outside in

    def __str__(self):
        at = f" (at {''.join(self.steps)})" if self.steps else ""
        return f"{self.args[0]}{at}"


@dataclasses.dataclass(frozen=True)
class Limits:
    """How large a message may be in bytes, and its value in levels and in items of collections."""

    max_bytes: int = 16 * MIB
    max_depth: int = 50
    max_items: int = 1_000_000


DEFAULT_LIMITS = Limits()


def encode(
    value: Any, refer: Callable[[Any], str | None] | None = None, limits: Limits = DEFAULT_LIMITS
) -> Any:
    """What `pack` takes for `value`.

    For what is not plain, ``refer(value)`` may give a token that stands for it. Raises CodecError
    if it gives None, and for what is larger or deeper than the limits, or contains itself.
    """
    try:
        return _Walk(refer, limits).encode(value, 0)
    except RuntimeError as error:  # no stack left, or changed by another thread meanwhile
        raise CodecError(f"a value could not be read: {error}") from error


def decode(
    data: Any, resolve: Callable[[str], Any] | None = None, limits: Limits = DEFAULT_LIMITS
) -> Any:
    """The value that `encode` turned into `data`, which may be anything that `unpack` returns.

    Lists, dicts and so on are of the built-in classes; instances of dataclasses and named tuples
    are of classes made here, with the same names and fields. ``resolve(token)`` gives what a token
    stands for, or raises LookupError. Raises CodecError for what `encode` would not have written.
    """
    return _Walk(resolve, limits).decode(data, 0)


def pack(message: Mapping[str, Any], limits: Limits = DEFAULT_LIMITS) -> bytes:
    """A message as compact JSON. Raises CodecError if it is no JSON or too large."""
    try:
        packed = _TO_JSON.encode(message).encode("utf-8", "surrogatepass")
    except (TypeError, ValueError, RecursionError) as error:
        raise CodecError(f"a message cannot be written as JSON: {error}") from error
    _require_room(len(packed), limits)
    return packed


def unpack(packed: bytes, limits: Limits = DEFAULT_LIMITS) -> dict[str, Any]:
    """The message that `pack` made `packed` of. Raises CodecError for anything else."""
    _require_room(len(packed), limits)
    _require_flat(packed, limits)
    try:
        message = _FROM_JSON.decode(str(packed, "utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise CodecError(f"a message is not JSON: {error}") from error
    if type(message) is not dict:
        raise CodecError("a message is a JSON object")
    return message


def _no_constant(name: str):
    raise ValueError(f"{name} is not JSON")


_TO_JSON = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":")
)
_FROM_JSON = json.JSONDecoder(parse_constant=_no_constant)


def _require_room(size: int, limits: Limits) -> None:
    if size > limits.max_bytes:
        raise CodecError(
            f"a value takes {size / MIB:.1f} MiB, and at most {limits.max_bytes / MIB:.1f} MiB "
            "can be passed"
        )


def _require_flat(packed: bytes, limits: Limits) -> None:
    """Count brackets and commas, so that the JSON parser meets neither great depths nor a message
    that is many times larger as objects."""
    deepest = 2 * limits.max_depth + 10
    most = 4 * limits.max_items
    opening = packed.count(b"[") + packed.count(b"{")
    if opening <= deepest and packed.count(b",") <= most:
        return
    without_escapes = packed.replace(rb"\\", b"").replace(rb"\"", b"")
    if without_escapes.count(b'"') > 2 * most:
        raise CodecError(f"a message has more than {most} strings")
    outside_strings = b"".join(without_escapes.split(b'"')[::2])
    steps = outside_strings.translate(_STEPS, _NO_BRACKETS)
    if len(steps) // 2 + outside_strings.count(b",") > most:
        raise CodecError(f"a message has more than {limits.max_items} items")
    if max(accumulate(memoryview(steps).cast("b")), default=0) > deepest:
        raise CodecError(f"a message is nested deeper than {limits.max_depth} levels")


_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))


# The walk through a value, both ways


class _Walk:
    """One value on its way, with what it has used up of the limits."""

    __slots__ = ("classes", "items", "limits", "refers", "size")

    def __init__(self, refers: Callable | None, limits: Limits):
        self.refers, self.limits = refers, limits
        self.items = self.size = 0
        self.classes: set = set()

    def encode(self, value: Any, depth: int) -> Any:
        # By the identity of its class: a metaclass may lie about hash and equality.
        encoder = _ENCODERS.get(id(type(value))) or _encoder_of_subclass(type(value))
        return encoder(self, value, depth)

    def encode_all(self, values: Iterable, depth: int, step: Callable[[int], str]) -> list:
        return self._all(self.encode, list(values), depth, step)

    def decode(self, data: Any, depth: int) -> Any:
        kind = type(data)
        if kind in _THEMSELVES:
            return data
        if kind is list:
            return self.decode_all(data, depth)
        if kind is not dict or len(data) != 1:
            raise CodecError(f"a value is an object of one key that names its kind: {PLAIN}")
        ((kind, payload),) = data.items()
        if kind not in _DECODERS:
            raise CodecError(f"{_shown(kind)} is not a kind of value")
        return _DECODERS[kind](self, payload, depth)

    def decode_all(self, data: Any, depth: int, step: Callable[[int], str] | None = None) -> list:
        return self._all(self.decode, _checked(data, list), depth, step or "[{}]".format)

    def _all(self, walk: Callable, values: list, depth: int, step: Callable[[int], str]) -> list:
        self.items += len(values)
        if self.items > self.limits.max_items:
            raise CodecError(f"a value has more than {self.limits.max_items} items")
        if depth == self.limits.max_depth:
            raise CodecError(f"a value is nested deeper than {depth} levels, or contains itself")
        done: list = []
        try:
            for value in values:
                done.append(walk(value, depth + 1))
        except CodecError as error:
            error.steps.insert(0, step(len(done)))
            raise
        return done

    def take(self, size: int) -> None:
        """Count `size` bytes of text or binary data, before they are copied."""
        self.size += size
        _require_room(self.size, self.limits)


_ENCODERS: dict[int, Callable] = {}  # by the id of a class
_DECODERS: dict[str, Callable] = {}
_THEMSELVES = {type(None), bool, int, float, str}
_TYPE_MRO = type.__dict__["__mro__"].__get__
_TYPE_NAME = type.__dict__["__name__"].__get__


def _encodes(*kinds: type):
    return lambda function: (
        [_ENCODERS.setdefault(id(kind), function) for kind in kinds] and function
    )


def _decodes(*kinds: str):
    def register(function):
        _DECODERS.update((kind, function) for kind in kinds)
        return function

    return register


def _encoder_of_subclass(cls: type) -> Callable:
    numpy = sys.modules.get("numpy")
    for base in _TYPE_MRO(cls):
        if numpy is not None and base in (numpy.ndarray, numpy.generic):
            return _encode_array
        if base is tuple and getattr_static(cls, "_fields", None):
            return _encode_named_tuple
        if base is not object and id(base) in _ENCODERS:
            return _ENCODERS[id(base)]
    if getattr_static(cls, "__dataclass_fields__", None):
        return _encode_dataclass
    return _encode_reference


def _checked(data: Any, kind: type) -> Any:
    if type(data) is not kind:
        raise CodecError(f"a {kind.__name__} was to come, not a {type(data).__name__}")
    return data


def _shown(key: Any) -> str:
    if type(key) is str:
        return ascii(key if len(key) <= 40 else key[:37] + "...")
    return (
        repr(key) if type(key) in (bool, float) or (type(key) is int and abs(key) < 1e18) else "…"
    )


# Numbers and text


@_encodes(type(None), bool)
def _encode_itself(walk, value, depth):
    return value


@_encodes(int)
def _encode_int(walk, value, depth):
    value = int.__int__(value)
    if -_JSON_INT <= value < _JSON_INT:
        return value
    walk.take(value.bit_length() // 4)
    return {"int": hex(value)}


@_decodes("int")
def _decode_int(walk, data, depth):
    try:
        return int(_checked(data, str), 16)
    except ValueError as error:
        raise CodecError("an int has hexadecimal digits") from error


@_encodes(float)
def _encode_float(walk, value, depth):
    value = float.__float__(value)
    return value if math.isfinite(value) else {"float": struct.pack(">d", value).hex()}


@_encodes(complex)
def _encode_complex(walk, value, depth):
    value = complex.__complex__(value)
    return {"complex": struct.pack(">dd", value.real, value.imag).hex()}


def _floats(data, count):
    try:
        return struct.unpack(">" + count * "d", bytes.fromhex(_checked(data, str)))
    except (ValueError, struct.error) as error:
        raise CodecError("a float has 16 hexadecimal digits, a complex 32") from error


_DECODERS["float"] = lambda walk, data, depth: _floats(data, 1)[0]
_DECODERS["complex"] = lambda walk, data, depth: complex(*_floats(data, 2))


@_encodes(str)
def _encode_str(walk, value, depth):
    value = str.__str__(value)
    walk.take(len(value))
    return value


@_encodes(bytes)
def _encode_bytes(walk, value, depth):
    walk.take(bytes.__len__(value))
    return {"bytes": _base64(bytes.__bytes__(value))}


@_encodes(bytearray)
def _encode_bytearray(walk, value, depth):
    walk.take(bytearray.__len__(value))
    return {"bytearray": _base64(bytearray.copy(value))}


def _base64(data) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def _from_base64(data) -> bytes:
    try:
        return binascii.a2b_base64(_checked(data, str), strict_mode=True)
    except ValueError as error:
        raise CodecError(f"bytes come in base64: {error}") from error


_DECODERS["bytes"] = lambda walk, data, depth: _from_base64(data)
_DECODERS["bytearray"] = lambda walk, data, depth: bytearray(_from_base64(data))


@_encodes(type(...))
def _encode_ellipsis(walk, value, depth):
    return {"ellipsis": None}


_DECODERS["ellipsis"] = lambda walk, data, depth: ...


# Collections


@_encodes(list)
def _encode_list(walk, value, depth):
    return walk.encode_all(list.__iter__(value), depth, "[{}]".format)


@_encodes(tuple)
def _encode_tuple(walk, value, depth):
    return {"tuple": walk.encode_all(tuple.__iter__(value), depth, "[{}]".format)}


_DECODERS["tuple"] = lambda walk, data, depth: tuple(walk.decode_all(data, depth))


@_encodes(dict)
def _encode_dict(walk, value, depth):
    flat = list(chain.from_iterable(dict.items(value)))
    return {"dict": walk.encode_all(flat, depth, partial(_step_of_dict, flat))}


@_decodes("dict")
def _decode_dict(walk, data, depth):
    flat = walk.decode_all(data, depth, partial(_step_of_dict, data))
    if len(flat) % 2:
        raise CodecError("a dict has a key without a value")
    keys = flat[::2]
    return _hashed(keys, lambda: dict(zip(keys, flat[1::2], strict=True)))


def _step_of_dict(flat, index):
    return f"[{_shown(flat[index - 1])}]" if index % 2 else f"[key {_shown(flat[index])}]"


@_encodes(set)
def _encode_set(walk, value, depth):
    return {"set": walk.encode_all(set.__iter__(value), depth, "[{}]".format)}


@_encodes(frozenset)
def _encode_frozenset(walk, value, depth):
    return {"frozenset": walk.encode_all(frozenset.__iter__(value), depth, "[{}]".format)}


@_decodes("set")
def _decode_set(walk, data, depth):
    items = walk.decode_all(data, depth)
    return _hashed(items, lambda: set(items))


_DECODERS["frozenset"] = lambda walk, data, depth: frozenset(_decode_set(walk, data, depth))


def _hashed(keys, build):
    try:
        if len(keys) > _MOST_OF_ONE_HASH:
            same = (len(list(group)) for _, group in groupby(sorted(map(hash, keys))))
            if max(same) > _MOST_OF_ONE_HASH:
                raise CodecError(f"more than {_MOST_OF_ONE_HASH} keys have the same hash")
        built = build()
    except TypeError as error:
        raise CodecError(f"a key cannot be in a dict or set: {error}") from error
    if len(built) != len(keys):
        raise CodecError("keys of a dict or set are equal to each other")
    return built


@_encodes(range)
def _encode_range(walk, value, depth):
    return {"range": walk.encode_all((value.start, value.stop, value.step), depth, "[{}]".format)}


@_decodes("range")
def _decode_range(walk, data, depth):
    try:
        return range(*walk.decode_all(data, depth))
    except (TypeError, ValueError) as error:
        raise CodecError(f"a range has three whole numbers: {error}") from error


# Instances with named fields


def _encode_dataclass(walk, value, depth):
    cls = type(value)
    try:
        names = [field.name for field in dataclasses.fields(cls)]
        values = [object.__getattribute__(value, name) for name in names]
    except Exception as error:  # a field may be a property, whose code is the sender's
        raise CodecError(f"the fields of {_TYPE_NAME(cls)} cannot be read: {error!r}") from error
    return {"dataclass": _with_fields(walk, cls, names, values, depth)}


def _encode_named_tuple(walk, value, depth):
    names, values = list(getattr_static(type(value), "_fields")), list(tuple.__iter__(value))
    return {"namedtuple": _with_fields(walk, type(value), names, values, depth)}


def _with_fields(walk, cls, names, values, depth):
    values = walk.encode_all(values, depth, lambda index: f".{names[index]}")
    return [_TYPE_NAME(cls), *names, *values]


def _fields(walk, make_class, data, depth):
    name, *rest = _checked(data, list) or [None]
    names, values = rest[: len(rest) // 2], rest[len(rest) // 2 :]
    for text in (name, *names):
        if type(text) is not str or not text.isidentifier() or len(text) > _LONGEST_NAME:
            raise CodecError("a dataclass and its fields have Python names")
        if text.startswith("__"):
            raise CodecError(f"{_shown(text)} cannot be the name of a field")
    walk.classes.add((name, *names))
    if len(walk.classes) > _MOST_CLASSES or len(names) > _MOST_FIELDS:
        raise CodecError(f"a value has more than {_MOST_CLASSES} classes or {_MOST_FIELDS} fields")
    values = walk.decode_all(values, depth, lambda index: f".{names[index]}")
    try:
        return make_class(name, tuple(names))(*values)
    except (TypeError, ValueError) as error:
        raise CodecError(f"no instance of {name} can be made: {error}") from error


class _StandIn:
    """Base of the classes made here: instances equal any dataclass's of equal name and fields."""

    def __eq__(self, other):
        if not dataclasses.is_dataclass(other) or type(other).__name__ != type(self).__name__:
            return NotImplemented
        return _named(self) == _named(other)

    def __hash__(self):  # as that of a frozen dataclass
        return hash(tuple(_named(self).values()))


def _named(instance) -> dict[str, Any]:
    return {field.name: getattr(instance, field.name) for field in dataclasses.fields(instance)}


@lru_cache(maxsize=4 * _MOST_CLASSES)
def _dataclass(name, names):
    return dataclasses.make_dataclass(name, names, bases=(_StandIn,), eq=False)


@lru_cache(maxsize=4 * _MOST_CLASSES)
def _named_tuple(name, names):
    return namedtuple(name, names)


_DECODERS["dataclass"] = lambda walk, data, depth: _fields(walk, _dataclass, data, depth)
_DECODERS["namedtuple"] = lambda walk, data, depth: _fields(walk, _named_tuple, data, depth)


# NumPy


def _encode_array(walk, value, depth):
    numpy = sys.modules["numpy"]
    if isinstance(value, numpy.generic):
        return {"scalar": _array(walk, numpy.asarray(value))}
    return {"array": _array(walk, numpy.ndarray.view(value, numpy.ndarray))}


def _array(walk, array):
    if array.dtype.kind not in "biufcUS":
        raise CodecError(f"an array of dtype {array.dtype} cannot be passed; these can: {PLAIN}")
    walk.take(array.nbytes)
    return [array.dtype.str, list(array.shape), _base64(array.tobytes())]


_DTYPE = re.compile("[<>|][biufcUS][1-9][0-9]*", re.ASCII)


def _decode_array(walk, data, depth):
    numpy = sys.modules.get("numpy")
    if numpy is None:
        raise CodecError("NumPy is not loaded where an array arrives")
    if len(_checked(data, list)) != 3 or not re.fullmatch(
        "[<>|][biufcUS][1-9][0-9]*", str(data[0])
    ):
        raise CodecError("an array has a dtype of numbers or text, a shape and bytes")
    shape = tuple(_checked(length, int) for length in _checked(data[1], list))
    raw = _from_base64(data[2])
    try:
        dtype = numpy.dtype(data[0])
        lengths = math.prod(length or 1 for length in shape)
        if min(shape, default=0) < 0 or lengths * dtype.itemsize > walk.limits.max_bytes:
            raise ValueError(f"a shape of {shape}")
        if math.prod(shape) * dtype.itemsize != len(raw):
            raise ValueError(f"{len(raw)} bytes for a shape of {shape}")
        array = numpy.ndarray(shape, dtype, bytearray(raw))
    except (TypeError, ValueError, OverflowError) as error:
        raise CodecError(f"no array can be made: {error}") from error
    if dtype.kind == "b" and raw.translate(None, b"\0\1"):
        raise CodecError("an array of bool has bytes other than 0 and 1")
    if dtype.kind == "U" and raw:
        points = numpy.ndarray(len(raw) // 4, data[0][0] + "u4", raw)
        if points.max() > sys.maxunicode:
            raise CodecError("an array of text has characters beyond Unicode")
    return array


_DECODERS["array"] = _decode_array
_DECODERS["scalar"] = lambda walk, data, depth: _decode_array(walk, data, depth)[()]


# Exceptions


def encode_exception(error: BaseException, where: str = "") -> dict[str, Any]:
    """An exception by the name of its class, its built-in bases, its message, and `where`: text
    that says which line raised it."""
    cls = type(error)
    try:
        message = str.__str__(str(error))
    except BaseException as raised:  # __str__ is the sender's code
        message = f"(reading its message raised {_TYPE_NAME(type(raised))})"
    bases = [_TYPE_NAME(base) for base in _TYPE_MRO(cls) if base in _BUILTIN_ERRORS.values()]
    return {
        "name": _sanitised(_TYPE_NAME(cls)),
        "bases": bases,
        "message": message[:_LONGEST_MESSAGE],
        "where": str.__str__(where)[:_LONGEST_MESSAGE],
    }


def decode_exception(data: Any) -> Exception:
    """An exception with that name, message (``str(error)``) and attribute ``where``, of a class
    that derives from the nearest built-in Exception. What ends a program (SystemExit,
    KeyboardInterrupt) arrives as a RuntimeError of that name."""
    if set(_checked(data, dict)) != {"name", "bases", "message", "where"}:
        raise CodecError("an exception has a name, bases, a message and a place")
    name, message, where = (_checked(data[key], str) for key in ("name", "message", "where"))
    bases = [base for base in _checked(data["bases"], list) if type(base) is str]
    base = next((base for base in bases if base in _BUILTIN_ERRORS), "RuntimeError")
    error = _error_class(_sanitised(name), base)(message[:_LONGEST_MESSAGE])
    error.where = where[:_LONGEST_MESSAGE]
    return error


def _sanitised(name: str) -> str:
    return name if name.isidentifier() and len(name) <= _LONGEST_NAME else "UnnamedError"


_BUILTIN_ERRORS = {
    name: error
    for name, error in vars(builtins).items()
    if isinstance(error, type)
    and issubclass(error, Exception)
    and not issubclass(error, BaseExceptionGroup)  # whose instances hold others
}


@lru_cache(maxsize=4 * _MOST_CLASSES)
def _error_class(name: str, base: str) -> type[Exception]:
    def only_message(self, message):
        self.args = (message,)

    return type(
        name,
        (_BUILTIN_ERRORS[base],),
        {"__init__": only_message, "__str__": lambda self: self.args[0], "__module__": "builtins"},
    )


@_encodes(BaseException)
def _encode_exception(walk, value, depth):
    return {"exception": encode_exception(value)}


_DECODERS["exception"] = lambda walk, data, depth: decode_exception(data)


# References


def _encode_reference(walk, value, depth):
    token = walk.refers(value) if walk.refers else None
    if token is None:
        name = _TYPE_NAME(type(value))
        raise CodecError(f"an object of type {name} cannot be passed; these can: {PLAIN}")
    return {"reference": token}


@_decodes("reference")
def _decode_reference(walk, data, depth):
    if walk.refers is None:
        raise CodecError("a reference cannot be passed here")
    try:
        return walk.refers(_checked(data, str))
    except LookupError as error:
        raise CodecError(f"the reference {_shown(data)} stands for nothing") from error


# Changes in place


def apply_change(original: Any, changed: Any) -> None:
    """Make `original` equal to `changed` in place: a list, dict, set, bytearray, NumPy array or
    instance of a dataclass, and what is in it. Raises CodecError where that cannot be."""
    if _merged(original, changed) is not original:
        raise CodecError(
            f"a {type(original).__name__} cannot be changed to a {type(changed).__name__}"
        )


def _merged(original: Any, changed: Any) -> Any:
    """`original`, changed in place if it can be; otherwise what is to stand in its place."""
    numpy = sys.modules.get("numpy")
    if isinstance(original, list) and isinstance(changed, list):
        pairs = zip_longest(original[: len(changed)], changed)
        original[:] = [_merged(old, new) for old, new in pairs]
    elif isinstance(original, dict) and isinstance(changed, dict):
        merged = {key: _merged(original.get(key), new) for key, new in changed.items()}
        original.clear()
        original.update(merged)
    elif isinstance(original, set) and isinstance(changed, set):
        original.clear()
        original.update(changed)
    elif isinstance(original, bytearray) and isinstance(changed, bytearray):
        original[:] = changed
    elif isinstance(original, tuple) and isinstance(changed, tuple):
        for old, new in zip(original, changed, strict=False):
            _merged(old, new)
    elif numpy and isinstance(original, numpy.ndarray) and isinstance(changed, numpy.ndarray):
        if (original.shape, original.dtype) != (changed.shape, changed.dtype):
            return changed
        original[...] = changed
    else:
        return changed
    return original

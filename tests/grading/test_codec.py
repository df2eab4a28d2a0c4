"""Plain values come through as they were; nothing else comes through, whatever is tried."""

import builtins
import dataclasses
import enum
import json
import math
import struct
import subprocess
import sys
from collections import Counter, OrderedDict, defaultdict, namedtuple
from typing import Any, NamedTuple
from unittest.mock import MagicMock

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np

from course_lib.grading import codec, kinds
from course_lib.grading.codec import (
    CodecError,
    Limits,
    apply_change,
    decode,
    decode_exception,
    encode,
    encode_exception,
    pack,
    unpack,
)

CHARACTERS = st.characters(exclude_categories=())  # lone surrogates too
BIG = 10**5000  # has more decimal digits than Python reads
NAN_WITH_PAYLOAD = struct.unpack(">d", bytes.fromhex("fff8000000abcdef"))[0]

ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**30, 2**63, 2**63 - 1, -(2**63), -(2**63) - 1]),
    st.floats(),
    st.complex_numbers(),
    st.text(CHARACTERS),
    st.binary(),
    st.just(...),
    st.builds(range, st.integers(), st.integers(), st.integers().filter(bool)),
)
KEYS = st.recursive(
    ATOMS,
    lambda keys: st.lists(keys, max_size=4).map(tuple) | st.frozensets(keys, max_size=4),
    max_leaves=6,
)
VALUES = st.recursive(
    KEYS | st.binary().map(bytearray),
    lambda values: (
        st.lists(values, max_size=5)
        | st.lists(values, max_size=5).map(tuple)
        | st.dictionaries(KEYS, values, max_size=5)
        | st.sets(KEYS, max_size=5)
    ),
    max_leaves=20,
)


@dataclasses.dataclass
class Block:
    name: str
    sizes: list


@dataclasses.dataclass(frozen=True)
class Pool:
    size: int
    blocks: Any = ()


class Region(NamedTuple):
    start: int
    end: int


def passed(value, **how):
    """The value as it comes out at the other side."""
    return decode(unpack(pack({"value": encode(value, **how)}))["value"], how.get("resolve"))


def exactly(value):
    """Text that tells values apart by their types, their order and every bit."""
    kind = type(value).__name__
    match value:
        case bool() | str() | bytes() | bytearray():
            return f"{kind} {value!a}"
        case int():
            return f"{kind} {value:x}"
        case float():
            return f"{kind} {struct.pack('>d', value).hex()}"
        case complex():
            return f"{kind} {exactly([value.real, value.imag])}"
        case range():
            return f"{kind} {exactly([value.start, value.stop, value.step])}"
        case dict():
            return f"{kind} {exactly(list(value.items()))}"
        case set() | frozenset():
            return f"{kind} {sorted(map(exactly, value))}"
        case list() | tuple():
            return f"{kind} {[*map(exactly, value)]}"
        case _:
            return f"{kind} {value!r}"


def nested(levels, inside=None):
    value = [] if inside is None else [inside]
    for _ in range(levels - 1):
        value = [value]
    return value


# What comes through


@given(value=VALUES)
@example(value=-0.0)
@example(value=NAN_WITH_PAYLOAD)
@example(value=complex(-0.0, NAN_WITH_PAYLOAD))
@example(value=["\ud83d\ude00", "\ud83d", "\ude00\ud83d", "\0", "😀"])
@example(value={math.nan: math.nan, 1: True, "1": 1.0, (): frozenset()})
@example(value=range(0, -5, -2))
@example(value=["NaN", "Infinity", {"int": ["0x1"]}, {"reference": ["x"]}])
def test_plain_values_come_through_as_they_were(value):
    assert exactly(passed(value)) == exactly(value)


def test_an_int_of_a_million_digits_comes_through():
    big = -(10**1_000_000)
    assert passed({big: [range(big)]}) == {big: [range(big)]}


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        (Counter("memory"), dict(Counter("memory"))),
        (OrderedDict(a=1), {"a": 1}),
        (defaultdict(list, a=[1]), {"a": [1]}),
        (enum.IntEnum("Mode", "ON OFF").ON, 1),
        (enum.StrEnum("Name", {"HEAP": "heap"}).HEAP, "heap"),
        (np.str_("heap"), "heap"),
        (np.bytes_(b"heap"), b"heap"),
    ],
)
def test_a_subclass_arrives_as_its_plain_base(value, arrives):
    assert exactly(passed(value)) == exactly(arrives)


@given(
    array=st_np.arrays(
        st.one_of(
            st_np.boolean_dtypes(),
            st_np.integer_dtypes(),
            st_np.unsigned_integer_dtypes(),
            st_np.floating_dtypes(),
            st_np.complex_number_dtypes(),
            st_np.unicode_string_dtypes(max_len=5),
            st_np.byte_string_dtypes(max_len=5),
        ),
        st_np.array_shapes(min_dims=0, min_side=0),
    )
)
@example(array=np.arange(20)[::-3])
@example(array=np.asfortranarray(np.arange(6.0).reshape(2, 3)))
@example(array=np.broadcast_to(np.float32(1), (3, 4)))
@example(array=np.array(["", "heap", "\U0010ffff"]))
@example(array=np.ma.array([1, 2]))
def test_arrays_come_through(array):
    arrived = passed(array)
    assert type(arrived) is np.ndarray
    assert (arrived.dtype, arrived.shape) == (array.dtype, array.shape)
    assert arrived.tobytes() == array.tobytes()
    assert arrived.flags.writeable


@pytest.mark.parametrize(
    "scalar", [np.float64(0.1), np.float32(-0.0), np.int8(-3), np.bool_(True), np.complex64(1j)]
)
def test_numbers_of_numpy_come_through(scalar):
    arrived = passed({"a": scalar, scalar: 1})
    assert [*map(type, [arrived["a"], *arrived])] == [type(scalar), str, type(scalar)]
    assert arrived["a"].tobytes() == scalar.tobytes()


def test_instances_of_dataclasses_arrive_equal_by_name_and_fields():
    block = Block("rdd_0_0", [1, {2: Pool(3)}])
    arrived = passed(block)
    assert type(arrived) is not Block
    assert arrived == block
    assert block == arrived
    assert arrived == passed(block)
    assert type(arrived) is type(passed(Block("", [])))
    assert repr(arrived) == "Block(name='rdd_0_0', sizes=[1, {2: Pool(size=3, blocks=())}])"
    assert dataclasses.asdict(arrived) == dataclasses.asdict(block)
    assert arrived != Block("rdd_0_1", [1, {2: Pool(3)}])
    assert arrived != dataclasses.make_dataclass("Block", ["name"])("rdd_0_0")
    assert arrived != dataclasses.make_dataclass("Other", ["name", "sizes"])("rdd_0_0", [1])
    assert arrived != ("rdd_0_0", [1])


def test_what_a_frozen_instance_is_a_key_of_finds_the_one_that_arrives():
    assert passed({Pool(1): "a", Pool(2): "b"}) == {Pool(1): "a", Pool(2): "b"}
    assert Pool(1, (2, "x")) in passed({Pool(1, (2, "x"))})


def test_a_dataclass_with_slots_and_defaults_and_class_variables_comes_through():
    @dataclasses.dataclass(slots=True, kw_only=True)
    class Heap:
        size: int = 5
        inside: list = dataclasses.field(default_factory=list, init=False)

    assert passed(Heap(size=3)) == Heap(size=3)


def test_named_tuples_arrive_as_tuples_with_the_same_fields():
    arrived = passed({"at": Region(1, 2)})["at"]
    assert arrived == Region(1, 2) == (1, 2)
    assert (arrived.start, arrived._fields) == (1, ("start", "end"))
    renamed = namedtuple("Row", ["class", "size"], rename=True)(1, 2)
    assert passed(renamed)._fields == ("_0", "size")


# Exceptions


@pytest.mark.parametrize(
    "kind",
    [each for each in vars(builtins).values() if isinstance(each, type)
     and issubclass(each, Exception) and not issubclass(each, ExceptionGroup | UnicodeError)],
)  # fmt: skip
@pytest.mark.parametrize("arguments", [(), ("how\ud800 it went",), (2, "No such file", "x")])
def test_an_exception_arrives_with_its_class_and_message(kind, arguments):
    error = kind(*arguments)
    arrived = decode_exception(passed_data(encode_exception(error, "line 3")))
    assert isinstance(arrived, type(error))
    assert type(arrived).__name__ == type(error).__name__
    assert (str(arrived), arrived.where) == (str(error), "line 3")
    assert (type(arrived) is type(error)) == (not isinstance(error, KeyError))


def passed_data(data):
    return unpack(pack({"data": data}))["data"]


class OutOfHeapError(MemoryError, KeyError):
    pass


class EndError(SystemExit):
    pass


@pytest.mark.parametrize(
    ("error", "base"),
    [
        (OutOfHeapError("512m"), MemoryError),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), UnicodeDecodeError),
        (np.exceptions.AxisError(3, 2), ValueError),
        (ExceptionGroup("several", [ValueError("one")]), Exception),
        (SystemExit(0), RuntimeError),
        (EndError("bye"), RuntimeError),
        (KeyboardInterrupt(), RuntimeError),
        (GeneratorExit(), RuntimeError),
        (BaseExceptionGroup("several", [KeyboardInterrupt()]), RuntimeError),
    ],
)
def test_an_exception_of_another_class_derives_from_the_nearest_builtin(error, base):
    arrived = passed(error)
    assert type(arrived).__name__ == type(error).__name__
    assert isinstance(arrived, base)
    assert isinstance(arrived, Exception)
    assert str(arrived) == str(error)
    assert type(arrived) is type(passed(error))


def test_an_exception_whose_message_cannot_be_had_arrives_nevertheless():
    class SilentError(ValueError):
        def __str__(self):
            raise OSError("no")

    arrived = passed(SilentError())
    assert str(arrived) == "(reading the message raised OSError)"
    assert isinstance(arrived, ValueError)


def test_names_and_messages_of_exceptions_are_bounded():
    kind = type("A\n" * 50_000, (ValueError,), {})
    arrived = decode_exception(encode_exception(kind("x" * 10**7), "y" * 10**7))
    assert type(arrived).__name__ == "UnnamedError"
    assert len(str(arrived)) == len(arrived.where) == 10_000
    (parts,) = encode_exception(kind("x" * 10**7)).values()
    assert sum(map(len, parts)) < 50_000


@pytest.mark.parametrize(
    "data",
    [
        5, None, {}, {"tuple": []}, {"exception": []}, {"exception": ["ValueError", "x"]},
        {"exception": ["ValueError", 5, ""]}, {"exception": ["ValueError", "x", "", None]},
        {"exception": "ValueError"}, {"exception": ["A", "x", ""], "more": []},
    ],
)  # fmt: skip
def test_what_is_no_exception_is_refused(data):
    with pytest.raises(CodecError):
        decode_exception(data)


@pytest.mark.parametrize("base", ["SystemExit", "BaseException", "object", "type", "eval", "Block"])
def test_a_sender_cannot_choose_a_base_that_is_no_builtin_exception(base):
    arrived = decode_exception({"exception": [base, "bye", "", base]})
    assert type(arrived).__mro__[1] is RuntimeError


# Values that lie about themselves


def _lie(self, *_arguments, **_keywords):
    raise AssertionError("the sender's own code was run")


class _LyingMeta(type):
    __eq__ = __hash__ = __call__ = __instancecheck__ = __subclasscheck__ = __getattr__ = _lie


LIES = dict.fromkeys(
    [
        *("__eq__", "__hash__", "__repr__", "__str__", "__len__", "__iter__", "__getitem__"),
        *("__int__", "__index__", "__float__", "__complex__", "__bytes__", "__bool__", "__lt__"),
        *("__le__", "__gt__", "__ge__", "__ne__", "__contains__", "__getattribute__", "__abs__"),
        *("__neg__", "__buffer__", "__reduce_ex__", "__sizeof__", "__format__", "__array__"),
        *("keys", "items", "values", "get", "copy", "view", "tobytes", "hex", "encode", "__ceil__"),
    ],
    _lie,
) | {"__class__": property(lambda self: dict), "shape": (1,), "dtype": "f8", "real": 5}


@pytest.mark.parametrize(
    "value",
    [5, BIG, 1.5, math.inf, 2j, "text", b"bytes", bytearray(b"x"), [1, [2]], (1, 2), {"a": 1},
     {1, 2}, frozenset([3]), np.arange(3)],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
@pytest.mark.parametrize("meta", [type, _LyingMeta])
def test_an_instance_of_a_class_that_lies_arrives_as_what_it_is(value, meta):
    base = type(value)
    liar_class = type.__new__(meta, "Liar", (base,), LIES)
    if base is np.ndarray:
        liar = base.__new__(liar_class, value.shape, value.dtype, value.tobytes())
    else:
        liar = base.__new__(liar_class, value)
        base.__init__(liar, *([value] if base in (list, bytearray, dict, set) else []))
    arrived = passed([liar])[0]
    assert type(arrived) is base
    assert (arrived == value).all() if base is np.ndarray else arrived == value


def test_a_number_of_numpy_that_lies_arrives_as_what_it_is():
    arrived = passed(np.float64.__new__(type("Liar", (np.float64,), LIES), 2.5))
    assert type(arrived) is np.float64
    assert arrived == 2.5


def test_a_named_tuple_whose_fields_are_a_lie_is_refused():
    for fields in [("a",), ("a", "b", "c"), 5, (5, 6), ("a", "a b"), ("__class__", "b")]:
        liar = type("Liar", (tuple,), {"_fields": fields})((1, 2))
        with pytest.raises(CodecError):
            encode(liar)


def test_an_object_that_claims_another_class_is_refused_by_its_own_name():
    class Claim:
        __class__ = property(lambda self: int)
        __int__ = __index__ = lambda self: 5

    with pytest.raises(CodecError, match="a value of type Claim cannot be passed; None, numbers"):
        encode(Claim())


def test_keys_that_are_equal_in_truth_are_refused():
    class Alone(int):
        __eq__ = object.__eq__
        __hash__ = object.__hash__

    with pytest.raises(CodecError, match="some keys are equal"):
        passed({Alone(1): "a", Alone(1): "b"})


def test_fields_that_cannot_be_read_are_refused():
    @dataclasses.dataclass
    class Trap:
        size: int

    Trap.size = property(_lie, lambda self, size: None)
    with pytest.raises(CodecError, match=r"an instance of Trap cannot be read: AssertionError"):
        encode(Trap(5))
    half_made = dataclasses.make_dataclass("Half", ["a"]).__new__
    with pytest.raises(CodecError, match="Half cannot be read: AttributeError"):
        encode(half_made(dataclasses.make_dataclass("Half", ["a"])))


# What does not come through


def endless():
    value = []
    value.append(value)
    return value


def doubled(times):
    value = [0]
    for _ in range(times):
        value = [value, value]
    return value


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ((i for i in ()), "a value of type generator cannot be passed; None, numbers, str"),
        ({"sizes": [1, 2, 3, object()]}, r"type object .*\(at \['sizes'\]\[3\]\)"),
        ([Block("a", [0, {5: {2.5: print}}])], r"\(at \[0\].sizes\[1\]\[5\]\[...\]\)"),
        ((1, Region(1, len)), r"\(at \[1\].end\)"),
        ({"k" * 99: {len}}, r"at \[...\]\[0\]"),
        ({len: 1}, r"type builtin_function_or_method .*\(at \[key ...\]\)"),
        (MagicMock(), "type MagicMock"),
        (int, "type type"),
        (Block, "type type"),
        (enum.Enum("Mode", "ON").ON, "type Mode"),
        (sys, "type module"),
        (memoryview(b""), "type memoryview"),
        (endless(), "deeper than 50 levels, or contains itself"),
        (nested(10_000), "deeper than 50 levels"),
        (doubled(40), "more than 1,000,000 items"),
        ([0] * 1_000_001, "more than 1,000,000 items"),
        (set(range(100_001)), "a set has more than 100,000 keys"),
        (dict.fromkeys(range(100_001)), "a dict has more than 100,000 keys"),
        (["x" * 10**6] * 1000, r"bytes are too many: at most 16,777,216 .*\(at \[16\]\)"),
        (bytes(2**24 + 1), "16,777,217 bytes are too many"),
        (bytearray(2**24 + 1), "16,777,217 bytes are too many"),
        (1 << 2**27, "bytes are too many"),
        (np.broadcast_to(0.0, (10**12,)), "8,000,000,000,000 bytes are too many"),
        (np.array([1, object()]), "an array of dtype object cannot be passed"),
        (np.zeros(2, [("a", "i4"), ("b", "f8")]), r"an array of dtype \[\('a', '<i4'\)"),
        (np.array(["2026-01-01"], "M8[D]"), r"an array of dtype datetime64\[D\]"),
        (np.datetime64("2026-01-01"), r"dtype datetime64\[D\]"),
        (np.empty((0, 2**40)), "lengths of an array"),
        (np.empty((2**20, 0, 2**20)), "an empty array of shape"),
        (type("a b", (), {"__dataclass_fields__": {}})(), "'a b' cannot be the name"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_passed_is_said(value, says):
    with pytest.raises(CodecError, match=says):
        encode(value)


def test_a_value_is_passed_as_deep_as_the_limit_and_no_deeper():
    assert passed(nested(50)) == nested(50)
    with pytest.raises(CodecError, match="deeper than 50 levels"):
        encode(nested(51))
    with pytest.raises(CodecError, match="deeper than 50 levels"):
        decode(nested(51))
    deep = 0
    for _ in range(49):
        deep = (deep, {"k": 0}) if deep else (0,)
    assert passed(deep) == deep


def test_limits_can_be_others():
    limits = Limits(max_bytes=40, max_depth=2, max_items=5, max_keys=2)
    assert decode(encode([[1, 2]], limits=limits), limits=limits) == [[1, 2]]
    for value in ([[[]]], [1] * 6, {1, 2, 3}):
        with pytest.raises(CodecError):
            encode(value, limits=limits)
        with pytest.raises(CodecError):
            decode(encode(value), limits=limits)
    with pytest.raises(CodecError):
        encode("x" * 41, limits=limits)
    with pytest.raises(CodecError):
        pack({"value": "x" * 40}, limits)
    with pytest.raises(CodecError):
        unpack(b'{"value":"%s"}' % (b"x" * 40), limits)


def test_too_little_stack_is_said():
    def dive(levels):
        return dive(levels - 1) if levels else encode(nested(50))

    frames, frame = 0, sys._getframe()
    while frame:
        frames, frame = frames + 1, frame.f_back
    assert dive(sys.getrecursionlimit() - frames - 200) == nested(50)
    with pytest.raises(CodecError, match="stack"):
        dive(sys.getrecursionlimit() - frames - 40)


# References


class Untouchable:
    __eq__ = __hash__ = __index__ = __iter__ = __len__ = __array__ = __getattr__ = _lie


def test_what_is_not_plain_is_passed_as_a_reference():
    thing, named = Untouchable(), {}

    def refer(value):
        named["thing"] = value
        return "thing"

    data = passed_data(encode(["a", {"f": (thing,)}], refer))
    arrived = decode(data, named.__getitem__)
    assert arrived[1]["f"][0] is thing
    with pytest.raises(CodecError, match="'thing' stands for nothing"):
        decode(data, {}.__getitem__)
    with pytest.raises(CodecError, match="stands for nothing here"):
        decode(data)
    with pytest.raises(CodecError, match="type Untouchable"):
        encode(thing, lambda value: None)


@pytest.mark.parametrize(
    "value", [{len}, {len: 1}, frozenset([len]), {(1, (len,)): 1}, {1, (frozenset([(len,)]),)}]
)
def test_what_is_passed_as_a_reference_cannot_be_a_key(value):
    with pytest.raises(CodecError, match="have to be plain"):
        encode(value, lambda value: "len")


REFERENCE = {"reference": ["x"]}


@pytest.mark.parametrize(
    "key",
    [
        REFERENCE,
        {"tuple": [1, {"tuple": [REFERENCE]}]},
        {"frozenset": [REFERENCE]},
        {"dataclass": ["A", "x", REFERENCE]},
    ],
    ids=json.dumps,
)
@pytest.mark.parametrize("kind", ["set", "frozenset", "dict"])
def test_a_key_that_is_a_reference_is_refused_without_asking_for_its_hash(key, kind):
    with pytest.raises(CodecError, match="a reference among the keys"):
        decode({kind: [1, 2, key, 3]}, lambda token: Untouchable())


@pytest.mark.parametrize("kind", sorted(kinds.OF_NAME))
def test_no_kind_is_built_by_asking_what_a_reference_stands_for(kind):
    containers = {"list", "tuple", "dict", "dataclass", "namedtuple"}
    for parts in ([REFERENCE], [REFERENCE] * 3, ["A", "b", REFERENCE], ["<f8", REFERENCE, ""]):
        try:
            decode({kind: parts}, lambda token: Untouchable())
        except CodecError:
            continue
        assert kind in containers


# Messages that no codec wrote


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(["<f8", "<U1", "|b1", "0x5", "AAAA", "", "A", "b", "ValueError", "x" * 300]),
    lambda data: st.lists(data, max_size=5)
    | st.dictionaries(st.sampled_from(sorted(kinds.OF_NAME)), data, max_size=2)
    | st.builds(
        lambda kind, parts: {kind: parts},
        st.sampled_from(sorted(kinds.OF_NAME)),
        st.lists(data, max_size=5),
    ),
    max_leaves=15,
)  # fmt: skip


@given(data=JSON)
def test_any_json_is_a_plain_value_or_refused(data):
    try:
        value = decode(data)
    except CodecError:
        return
    encoded = passed_data(encode(value))
    assert json.dumps(encode(decode(encoded))) == json.dumps(encoded)


@given(
    packed=st.binary(max_size=60)
    | st.text('[]{}",:\\01eE-.nulltrufas', max_size=60).map(str.encode)
)
@example(packed=b'{"a":"\xff"}')
@example(packed=b"\xef\xbb\xbf{}")
@example(packed=b'{"a":NaN}')
@example(packed=b'{"a":-Infinity}')
@example(packed=b'{"a":' + b"9" * 5000 + b"}")
@example(packed=b'{"a":1}{"b":2}')
@example(packed=b"[]")
@example(packed=b"")
def test_any_bytes_are_a_message_or_refused(packed):
    try:
        message = unpack(packed)
    except CodecError:
        return
    assert type(message) is dict
    assert unpack(pack(message)) == message


@pytest.mark.parametrize(
    "packed",
    [
        b"[" * 2**24,
        b'{"a":' * 1_000_000,
        b'{"a":"\\\\",' + b'"b":[' * 200 + b"]" * 200 + b"}",
        b'{"a":"\\"",' + b'"b":[' * 200 + b"]" * 200 + b"}",
        b"[" * 200 + b'{"a":"' + b'\\"' * 8_000_000,
        b"[" * 200 + b'{"a":' + b"\\" * 16_000_000,
        b'{"a":[' + b"[]," * 5_000_000 + b"[]]}",
        b'{"a":[' + b"0," * 8_000_000 + b"0]}",
        b'{"a":[' + b'"",' * 5_000_000 + b'""]}',
        b'{"a":[' + b"[]," * 200 + b'""' * 5_000_000 + b"]}",
        b" " * (2**24 + 1),
    ],
    ids=lambda packed: repr(packed[:12]),
)
def test_a_message_that_would_burst_is_refused_before_it_is_parsed(packed, monkeypatch):
    monkeypatch.setattr(codec, "_FROM_JSON", None)
    with pytest.raises(CodecError, match=r"deeper than|more than|too many"):
        unpack(packed)


@pytest.mark.parametrize("text", ["[" * 10**6, '"' * 10**6, "\\" * 10**6, ',"]}{[' * 10**5])
def test_brackets_and_quotes_in_text_are_no_burst(text):
    assert passed({"text": [text] * 3, text: {"x": [1]}}) == {"text": [text] * 3, text: {"x": [1]}}


@pytest.mark.parametrize("message", [{"a": {1}}, {"a": math.nan}, {"a": nested(10**5)}, {"a": BIG}])
def test_a_message_that_is_no_json_is_not_packed(message):
    with pytest.raises(CodecError):
        pack(message)


def array(dtype="<f8", shape=(2,), raw=b"\0" * 16):
    return {"array": [dtype, encode(shape), encode(raw)]}


@pytest.mark.parametrize(
    "data",
    [
        {}, {"list": [], "tuple": []}, {"": []}, {"object": []}, {"tuple": 5}, {"tuple": {}},
        {"tuple": None}, {"__class__": ["x"]}, {"eval": ["1"]}, {"reference": ["x"]},
        {"int": []}, {"int": [5]}, {"int": ["12"]}, {"int": ["0x"]}, {"int": ["0x1_0"]},
        {"int": [" 0x1"]}, {"int": ["0x1", "0x2"]}, {"int": ["0x\u0661"]},
        {"str": [5]}, {"str": []},
        {"float": ["00"]}, {"float": ["x" * 16]}, {"float": [1.5]}, {"complex": ["00" * 8]},
        {"bytes": ["A"]}, {"bytes": ["A=AA"]}, {"bytes": ["é"]}, {"bytes": [[65]]}, {"bytes": []},
        {"bytes": ["\ud800"]}, {"ellipsis": [1]},
        {"range": [1, 2]}, {"range": [0, 5, 0]}, {"range": [0, 5.0, 1]}, {"range": [0, True, 1]},
        {"dict": [1]}, {"dict": [[], 1]}, {"dict": [1, 2, 1, 3]}, {"dict": [1, 2, True, 3]},
        {"set": [[1]]}, {"set": [0, 0.0]}, {"frozenset": [{"set": []}]}, {"set": [array()]},
        {"set": [k * (2**61 - 1) for k in range(200)]},
        {"dict": [x for k in range(200) for x in (k * (2**61 - 1), 0)]},
        {"dataclass": []}, {"dataclass": ["A", "b"]}, {"dataclass": ["A", "b", 1, "b", 2]},
        {"dataclass": ["A b", "b", 1]}, {"dataclass": ["A", "b=print()", 1]},
        {"dataclass": ["A", "class", 1]}, {"dataclass": ["A", "__class__", 1]},
        {"dataclass": ["A", "__dict__", {"dict": []}]}, {"dataclass": [5, "b", 1]},
        {"dataclass": ["A" * 5001]}, {"dataclass": ["A", 5, 1]}, {"dataclass": "A"},
        {"namedtuple": ["A", "b"]}, {"namedtuple": ["class", "b", 1]}, {"namedtuple": [[], "b", 1]},
        {"exception": ["ValueError"]}, {"exception": [1, 2, 3]},
        {"array": []}, array("|O"), array("O"), array("<f8,<f8"), array("<V8"), array("<M8"),
        array("<f8 "), array("<f7"), array("=f8"), array("<f\u0668"), array("<U0", (10**9,), b""),
        array("<f8", (3,)), array("<f8", (-2,)), array("<f8", (2.0,)), array("<f8", (True,)),
        array("<f8", [2]), array("<f8", 2), array("<f8", (2,), "text"), array("<f8", (2**62, 4)),
        array("<f8", (0, 2**62), b""), array("<f8", (0,) * 70, b""), array("<f8", (0,)),
        array("<f8", (0, 2**23, 2**23), b""), array("|b1", (2,), b"\1\2"),
        array("<U1", (1,), b"\xff" * 4), array(">U1", (1,), b"\x00\x11\x00\x00"),
        array("<U999999999", (1,)), array("<f8", (BIG,)), array("<f8", (10**4000,) * 3),
        {"scalar": array()["array"]}, {"scalar": array("|S0", (), b"")["array"]},
    ],
    ids=lambda data: json.dumps(data)[:40],
)  # fmt: skip
def test_what_no_encoder_wrote_is_refused(data):
    with pytest.raises(CodecError):
        decode(data)
    with pytest.raises(CodecError):
        decode([1, {"tuple": [data]}])


def test_the_number_of_classes_that_a_sender_makes_is_bounded(monkeypatch):
    monkeypatch.setattr(kinds, "_made", {})
    monkeypatch.setattr(kinds, "_MOST_CLASSES", 3)
    for name in "ABCABC":
        decode({"dataclass": [name, "x", 1]})
    for kind in ("dataclass", "namedtuple"):
        with pytest.raises(CodecError, match="more than 3 classes"):
            decode({kind: ["D", "x", 1]})
    with pytest.raises(CodecError, match="more than 3 classes"):
        decode_exception({"exception": ["D", "", ""]})
    assert decode({"dataclass": ["A", "x", 2]}).x == 2


def test_numpy_is_never_imported(monkeypatch):
    program = "import sys, course_lib.grading.codec; sys.exit('numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
    monkeypatch.delitem(sys.modules, "numpy")
    assert passed([1, Counter("a")]) == [1, {"a": 1}]
    with pytest.raises(CodecError, match="NumPy is not loaded"):
        decode(array())
    monkeypatch.setitem(sys.modules, "numpy", "a learner's own")
    with pytest.raises(CodecError, match="type generator"):
        encode(i for i in ())


# Changes in place


@pytest.mark.parametrize(
    "collections",
    [st.lists(VALUES), st.dictionaries(KEYS, VALUES), st.sets(KEYS)],
    ids=["list", "dict", "set"],
)
@settings(max_examples=30)
@given(data=st.data())
def test_a_change_makes_the_original_equal(collections, data):
    original, changed = data.draw(collections), data.draw(collections)
    apply_change(original, passed(changed))
    assert exactly(original) == exactly(changed)


@pytest.mark.parametrize(
    ("original", "changed"),
    [
        ([(bytearray(b""),)], [(None,)]),
        ([(1, [2])], [(3, [2, 4])]),
        ({"pool": Pool(1, [2])}, {"pool": Pool(5, [2, 3])}),
        ((), ()),
    ],
)
def test_what_cannot_change_is_replaced_in_what_holds_it(original, changed):
    apply_change(original, passed(changed))
    assert original == changed
    assert exactly(original) == exactly(changed)


def test_a_change_is_made_in_what_the_original_holds():
    inner, block, array = [1], Block("a", [1, 2]), np.zeros(2)
    original = {
        "inner": inner,
        "block": (block, Pool(1, inner)),
        "array": array,
        "raw": bytearray(3),
    }
    raw = original["raw"]
    changed = {
        "block": (Block("b", [1]), Pool(1, [1, 5])),
        "inner": [1, 5],
        "array": np.ones(2),
        "raw": bytearray(b"xy"),
        "more": {1},
    }
    apply_change(original, passed(changed))
    assert list(original) == list(changed)
    assert inner == [1, 5]
    assert block == Block("b", [1])
    assert array.tolist() == [1, 1]
    assert raw == b"xy"
    assert original["block"][1].blocks is original["inner"] is inner
    assert original["more"] == {1}


def test_a_frozen_instance_and_a_tuple_keep_their_items():
    pool, pair = Pool(1, [2]), (1, [2])
    apply_change(pool, passed(Pool(9, [3])))
    apply_change(pair, (9, [3]))
    assert pool == Pool(1, [3])
    assert pair == (1, [3])


@pytest.mark.parametrize(
    ("original", "changed"),
    [([], {}), ({}, []), (set(), frozenset()), (1, "a"), ((1,), (1, 2)), (object(), []),
     (np.zeros(2), np.zeros(3)), (np.zeros(2), np.zeros(2, "f4")), (Pool(1), Block("a", [])),
     ([], None), ("ab", "abc")],
)  # fmt: skip
def test_a_change_to_another_kind_is_refused(original, changed):
    with pytest.raises(CodecError, match="cannot become"):
        apply_change(original, changed)

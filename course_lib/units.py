"""Spark's size strings to bytes and back, read and written exactly as Spark does it."""

import math
import re
from decimal import ROUND_HALF_UP, Decimal

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB
PIB = 1024 * TIB
EIB = 1024 * PIB

LONG_MAX = 2**63 - 1

# What Java's String.trim takes off: everything up to the space, and nothing beyond ASCII.
JAVA_WHITESPACE = "".join(map(chr, range(ord(" ") + 1)))

_UNITS = {"b": 1, "k": KIB, "m": MIB, "g": GIB, "t": TIB, "p": PIB}
_NAMES = {"b": "B", "k": "KiB", "m": "MiB", "g": "GiB", "t": "TiB", "p": "PiB"}
_SUFFIXES = {"": None, "b": "b"} | {
    unit + ending: unit for unit in "kmgtp" for ending in ("", "b", "i", "ib")
}

_WRITTEN = (("EiB", EIB), ("PiB", PIB), ("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB))

_ADVICE = (
    "Size must be specified as bytes (b), kibibytes (k), mebibytes (m), gibibytes (g), "
    "tebibytes (t), or pebibytes(p). E.g. 50b, 100k, or 250m."
)


def byte_string_as(text: str, unit: str = "b") -> int:
    """Read a size string such as ``"512m"`` and return it as whole `unit`\\ s, rounded down.

    `unit` is one of ``b k m g t p``. A string without a suffix is already in that unit, which is
    why ``spark.executor.memoryOverhead=512`` means 512 MiB.

    Raises ValueError with Spark's own words for what Spark refuses: fractions, signs, unknown
    suffixes, numbers beyond 64 bits. Source: ``JavaUtils.byteStringAs``.
    """
    if not isinstance(text, str):
        raise TypeError(f"a size is a string such as '512m' or '2g', not {text!r}")
    lower = text.lower().strip(JAVA_WHITESPACE)
    match = re.fullmatch(r"([0-9]+)([a-z]*)", lower)
    if not match:
        raise ValueError(f"{_ADVICE}\n{_complaint(text, lower)}")
    number, suffix = int(match[1]), match[2]
    if number > LONG_MAX:
        raise ValueError(f'{_ADVICE}\nFor input string: "{match[1]}"')
    if suffix not in _SUFFIXES:
        raise ValueError(f'{_ADVICE}\nInvalid suffix: "{suffix}"')
    given = _SUFFIXES[suffix] or unit
    ratio = _UNITS[given] / _UNITS[unit]
    if ratio > 1 and number > LONG_MAX // int(ratio):
        raise ValueError(
            f"Conversion of {number} {_NAMES[given]} exceeds Long.MAX_VALUE. "
            "Try a larger unit (e.g. MiB instead of KiB)."
        )
    return number * _UNITS[given] // _UNITS[unit]


def _complaint(text: str, lower: str) -> str:
    fraction = re.fullmatch(r"([0-9]+\.[0-9]+)([a-z]+)?", lower)
    if fraction:
        return f"Fractional values are not supported. Input was: {fraction[1]}"
    return f"Failed to parse byte string: {text}"


def byte_string_as_bytes(text: str) -> int:
    """Bytes in a size string; a bare number is bytes. Source: ``Utils.byteStringAsBytes``."""
    return byte_string_as(text, "b")


def byte_string_as_mib(text: str) -> int:
    """Whole MiB in a size string; a bare number is MiB. Source: ``Utils.byteStringAsMb``."""
    return byte_string_as(text, "m")


def bytes_to_string(size: int) -> str:
    """Write `size` bytes as Spark's logs do: ``455501414`` is ``"434.4 MiB"``.

    Spark moves to the next unit only from twice its size on, so 1 GiB reads ``1024.0 MiB``.
    Source: ``Utils.bytesToString``.
    """
    larger = [(name, unit) for name, unit in _WRITTEN if size >= 2 * unit]
    name, unit = larger[0] if larger else ("B", 1)
    # Java rounds the shortest decimal form half up; Python's "%.1f" would round half to even.
    return f"{Decimal(repr(size / unit)).quantize(Decimal('0.1'), ROUND_HALF_UP)} {name}"


def java_integer(value: float, bits: int) -> int:
    """A fraction made whole as Java does it: cut towards zero, kept within `bits`, NaN as 0.

    Raises nothing. Source: Java's ``(int)`` and ``(long)``, Scala's ``toInt`` and ``toLong``.
    """
    if math.isnan(value):
        return 0
    largest = 2 ** (bits - 1) - 1
    return int(max(-largest - 1, min(largest, value)))

"""Spark's memory settings: key, default, versions, unit and meaning, and how a value is read."""

import difflib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from course_lib.units import byte_string_as

LATEST = "4.3"


@dataclass(frozen=True)
class Setting:
    """One setting of Spark.

    `unit` is how its value is read: ``"bytes"`` and ``"MiB"`` are size strings (a bare number is in
    that unit), the others are ``"fraction"``, ``"integer"``, ``"boolean"`` and ``"text"``.
    `default` is Spark's default as text, None where there is none. `earlier` holds defaults that
    have changed, as (first version, default) pairs in order. `former_key` still works, with a
    warning. `requirement` is what a value must meet: a test, and Spark's own wording of it.
    """

    key: str
    unit: str
    default: str | None
    since: str
    meaning: str
    earlier: tuple[tuple[str, str], ...] = ()
    former_key: str | None = None
    requirement: tuple[Callable[[float], bool], str] | None = None

    def default_in(self, spark_version: str) -> str | None:
        """The default in that version of Spark, as text."""
        defaults = [text for first, text in self.earlier if version(spark_version) < version(first)]
        return defaults[0] if defaults else self.default


_POSITIVE_OVERHEAD = (lambda x: x > 0, "Ensure that memory overhead is a double greater than 0")
_OVERHEAD = (lambda x: x >= 0, "Ensure that memory overhead is non-negative")
_STORAGE_FRACTION = (lambda x: 0 <= x < 1, "Storage fraction must be in [0,1)")
_OFF_HEAP = (lambda x: x >= 0, "The off-heap memory size must not be negative")

SETTINGS = {
    setting.key: setting
    for setting in (
        Setting("spark.driver.memory", "MiB", "1g", "1.1.1", "Heap of the driver's JVM (-Xmx)."),
        Setting("spark.executor.memory", "MiB", "1g", "0.7.0", "Heap of an executor's JVM (-Xmx)."),
        Setting("spark.executor.cores", "integer", "1", "1.0.0", "Tasks that an executor may run at once, when each needs one core."),
        Setting("spark.task.cpus", "integer", "1", "0.5.0", "Cores that one task occupies."),
        Setting("spark.memory.fraction", "fraction", "0.6", "1.6.0", "Share of (heap - 300 MiB) that Spark manages.", earlier=(("2.0", "0.75"),)),
        Setting("spark.memory.storageFraction", "fraction", "0.5", "1.6.0", "Share of Spark's memory in which cached blocks are safe from execution.", requirement=_STORAGE_FRACTION),
        Setting("spark.memory.offHeap.enabled", "boolean", "false", "1.6.0", "Use off-heap memory for execution, and count it in the container."),
        Setting("spark.memory.offHeap.size", "bytes", "0b", "1.6.0", "Off-heap memory for execution and storage.", requirement=_OFF_HEAP),
        Setting("spark.driver.memoryOverhead", "MiB", None, "2.3.0", "Container memory beyond the driver's heap; unset: factor and minimum.", former_key="spark.yarn.driver.memoryOverhead"),
        Setting("spark.executor.memoryOverhead", "MiB", None, "2.3.0", "Container memory beyond an executor's heap; unset: factor and minimum.", former_key="spark.yarn.executor.memoryOverhead"),
        Setting("spark.driver.memoryOverheadFactor", "fraction", "0.1", "3.3.0", "Overhead as a share of the driver's heap.", requirement=_POSITIVE_OVERHEAD),
        Setting("spark.executor.memoryOverheadFactor", "fraction", "0.1", "3.3.0", "Overhead as a share of an executor's heap.", requirement=_POSITIVE_OVERHEAD),
        Setting("spark.driver.minMemoryOverhead", "MiB", "384m", "4.0.0", "Least overhead of the driver when memoryOverhead is unset."),
        Setting("spark.executor.minMemoryOverhead", "MiB", "384m", "4.0.0", "Least overhead of an executor when memoryOverhead is unset."),
        Setting("spark.executor.pyspark.memory", "MiB", None, "2.4.0", "Memory for an executor's Python workers; unset: part of the overhead."),
        Setting("spark.kubernetes.memoryOverheadFactor", "fraction", "0.1", "2.4.0", "Overhead factor on Kubernetes; unset, 0.4 for Python in cluster mode.", requirement=_OVERHEAD),
        Setting("spark.yarn.am.memory", "MiB", "512m", "1.3.0", "Heap of YARN's application master in client mode."),
        Setting("spark.yarn.am.memoryOverhead", "MiB", None, "1.3.0", "Container memory beyond the application master's heap in client mode."),
        Setting("spark.driver.maxResultSize", "bytes", "1g", "1.2.0", "Most serialized results that one action may return; 0 is no limit."),
    )
}  # fmt: skip


def version(text: str) -> tuple[int, ...]:
    """A Spark version such as ``"3.3"`` or ``"4.0.1"`` as numbers that compare in order.

    Raises ValueError for anything else.
    """
    if not re.fullmatch(r"\d+(\.\d+){0,2}", str(text)):
        raise ValueError(f"a Spark version is a string such as '3.3' or '4.0.1', not {text!r}")
    return tuple(int(part) for part in str(text).split("."))


def setting(key: str) -> Setting:
    """The setting called `key`. Raises KeyError, with the nearest known keys, if there is none."""
    if key in SETTINGS:
        return SETTINGS[key]
    near = difflib.get_close_matches(key, SETTINGS, n=3)
    raise KeyError(
        f"unknown setting {key!r}" + (f"; did you mean {' or '.join(near)}?" if near else "")
    )


def is_set(conf: Mapping, key: str) -> bool:
    """Whether `conf` gives this setting a value, under its present key or its former one."""
    former = setting(key).former_key
    return key in conf or (former is not None and former in conf)


def read(conf: Mapping, key: str, spark_version: str = LATEST):
    """The value of a setting in `conf`, or its default in that version of Spark.

    Sizes come back as whole numbers in the setting's own unit (bytes or MiB), fractions as float,
    and None where nothing is set and Spark has no default. Raises ValueError in Spark's words for
    values Spark refuses. Source: ``ConfigEntry.readFrom`` and ``ConfigHelpers``.
    """
    entry = setting(key)
    keys = [k for k in (key, entry.former_key) if k is not None and k in conf]
    text = str(conf[keys[0]]) if keys else entry.default_in(spark_version)
    if text is None:
        return None
    value = _READERS[entry.unit](entry, text)
    if entry.requirement is not None:
        holds, wording = entry.requirement
        if not holds(value):
            raise ValueError(f"The value '{text}' in the config \"{key}\" is invalid. {wording}")
    return value


def _size(unit: str):
    def read_size(entry: Setting, text: str) -> int:
        # A leading minus is taken off and put back, as Spark does: what a negative size then means
        # is for the part of Spark that uses it to say.
        sign = -1 if text.startswith("-") else 1
        try:
            return sign * byte_string_as(text.removeprefix("-"), unit)
        except ValueError as cause:
            raise _mismatch(entry, text, f"bytes in {entry.unit}") from cause

    return read_size


def _fraction(entry: Setting, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise _mismatch(entry, text, "double") from None
    if math.isnan(value):
        raise _mismatch(entry, text, "double")
    return value


def _integer(entry: Setting, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise _mismatch(entry, text, "int") from None


def _boolean(entry: Setting, text: str) -> bool:
    try:
        return {"true": True, "false": False}[text.strip().lower()]
    except KeyError:
        raise _mismatch(entry, text, "boolean") from None


def _mismatch(entry: Setting, text: str, wanted: str) -> ValueError:
    return ValueError(
        f"The value '{text}' in the config \"{entry.key}\" is invalid. "
        f"It should be a/an '{wanted}' value."
    )


_READERS = {
    "bytes": _size("b"),
    "MiB": _size("m"),
    "fraction": _fraction,
    "integer": _integer,
    "boolean": _boolean,
    "text": lambda entry, text: text,
}

"""Spark's memory settings: key, default, versions, unit and meaning, and how a value is read."""

import difflib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from course_lib.units import JAVA_WHITESPACE, byte_string_as

LATEST = "4.3"


@dataclass(frozen=True)
class Setting:
    """One setting of Spark.

    `unit` is how its value is read: ``"bytes"`` and ``"MiB"`` are size strings (a bare number is in
    that unit), the others are ``"fraction"``, ``"decimal"``, ``"integer"`` and ``"boolean"``.
    `default` is Spark's default as text, None where there is none. `earlier` holds defaults of the
    past, each with the version that ended it, in order. `former_key` works too, in all versions.
    `until` is the version that no longer knows the setting, None while Spark does; `since` is then
    1.6 at the earliest, the oldest version whose managers the course models.
    `requirement` is what a value must meet: a test, and Spark's own wording of it. Spark insists on
    it from `required_since` on.
    """

    key: str
    unit: str
    default: str | None
    since: str
    meaning: str
    earlier: tuple[tuple[str, str], ...] = ()
    former_key: str | None = None
    until: str | None = None
    requirement: tuple[Callable[[int | float | Decimal], bool], str] | None = None
    required_since: str = "0"

    def default_in(self, spark_version: str) -> str | None:
        """The default in that version of Spark, as text."""
        defaults = [text for end, text in self.earlier if version(spark_version) < version(end)]
        return defaults[0] if defaults else self.default


_POSITIVE_OVERHEAD = (lambda x: x > 0, "Ensure that memory overhead is a double greater than 0")
_OVERHEAD = (lambda x: x >= 0, "Ensure that memory overhead is non-negative")
_TASK_CPUS = (
    lambda x: Decimal("1E-9") <= x <= 2**31 - 1,
    "Number of cores to allocate for each task must be a positive value "
    "between 1E-9 and 2147483647 (inclusive).",
)
_STORAGE_FRACTION = (lambda x: 0 <= x < 1, "Storage fraction must be in [0,1)")
_SHUFFLE_PARTITIONS = (
    lambda x: x > 0,
    "The value of spark.sql.shuffle.partitions must be positive",
)
_OFF_HEAP = (lambda x: x >= 0, "The off-heap memory size must not be negative")

SETTINGS = {
    setting.key: setting
    for setting in (
        Setting("spark.driver.memory", "MiB", "1g", "1.1.1", "Heap of the driver's JVM (-Xmx)."),
        Setting("spark.executor.memory", "MiB", "1g", "0.7.0", "Heap of an executor's JVM (-Xmx)."),
        Setting(
            "spark.executor.cores",
            "integer",
            "1",
            "1.0.0",
            "Tasks that an executor may run at once, when each needs one core.",
        ),
        Setting(
            "spark.task.cpus",
            "decimal",
            "1",
            "0.5.0",
            "Cores that one task occupies; a whole number before Spark 4.3.",
            requirement=_TASK_CPUS,
        ),
        Setting(
            "spark.memory.fraction",
            "fraction",
            "0.6",
            "1.6.0",
            "Share of (heap - 300 MiB) that Spark manages.",
            earlier=(("2.0", "0.75"),),
        ),
        Setting(
            "spark.memory.storageFraction",
            "fraction",
            "0.5",
            "1.6.0",
            "Share of Spark's memory up to which execution evicts no cached blocks.",
            requirement=_STORAGE_FRACTION,
            required_since="3.0",
        ),
        Setting(
            "spark.memory.offHeap.enabled",
            "boolean",
            "false",
            "1.6.0",
            "Use off-heap memory for execution, and count it in the container.",
            former_key="spark.unsafe.offHeap",
        ),
        Setting(
            "spark.memory.offHeap.size",
            "bytes",
            "0b",
            "1.6.0",
            "Off-heap memory for execution and storage.",
            requirement=_OFF_HEAP,
        ),
        Setting(
            "spark.buffer.pageSize",
            "bytes",
            None,
            "1.5.0",
            "Size of the pages that operators take; unset: worked out from execution memory.",
        ),
        Setting(
            "spark.memory.useLegacyMode",
            "boolean",
            "false",
            "1.6.0",
            "Use the static memory manager instead of the unified one.",
            until="3.0",
        ),
        Setting(
            "spark.storage.memoryFraction",
            "fraction",
            "0.6",
            "1.6.0",
            "Static manager: share of the heap for storage.",
            until="3.0",
        ),
        Setting(
            "spark.storage.safetyFraction",
            "fraction",
            "0.9",
            "1.6.0",
            "Static manager: share of that which is really used.",
            until="3.0",
        ),
        Setting(
            "spark.storage.unrollFraction",
            "fraction",
            "0.2",
            "1.6.0",
            "Static manager: share of storage that unrolling may have emptied.",
            until="3.0",
        ),
        Setting(
            "spark.shuffle.memoryFraction",
            "fraction",
            "0.2",
            "1.6.0",
            "Static manager: share of the heap for execution.",
            until="3.0",
        ),
        Setting(
            "spark.shuffle.safetyFraction",
            "fraction",
            "0.8",
            "1.6.0",
            "Static manager: share of that which is really used.",
            until="3.0",
        ),
        Setting(
            "spark.driver.memoryOverhead",
            "MiB",
            None,
            "2.3.0",
            "Container memory beyond the driver's heap; unset: factor and minimum.",
            former_key="spark.yarn.driver.memoryOverhead",
        ),
        Setting(
            "spark.executor.memoryOverhead",
            "MiB",
            None,
            "2.3.0",
            "Container memory beyond an executor's heap; unset: factor and minimum.",
            former_key="spark.yarn.executor.memoryOverhead",
        ),
        Setting(
            "spark.driver.memoryOverheadFactor",
            "fraction",
            "0.1",
            "3.3.0",
            "Overhead as a share of the driver's heap.",
            requirement=_POSITIVE_OVERHEAD,
        ),
        Setting(
            "spark.executor.memoryOverheadFactor",
            "fraction",
            "0.1",
            "3.3.0",
            "Overhead as a share of an executor's heap.",
            requirement=_POSITIVE_OVERHEAD,
        ),
        Setting(
            "spark.driver.minMemoryOverhead",
            "MiB",
            "384m",
            "4.0.0",
            "Least overhead of the driver when memoryOverhead is unset.",
        ),
        Setting(
            "spark.executor.minMemoryOverhead",
            "MiB",
            "384m",
            "4.0.0",
            "Least overhead of an executor when memoryOverhead is unset.",
        ),
        Setting(
            "spark.executor.pyspark.memory",
            "MiB",
            None,
            "2.4.0",
            "Memory for an executor's Python workers; unset: part of the overhead.",
        ),
        Setting(
            "spark.kubernetes.memoryOverheadFactor",
            "fraction",
            "0.1",
            "2.4.0",
            "Overhead factor on Kubernetes; unset, 0.4 for Python in cluster mode.",
            requirement=_OVERHEAD,
        ),
        Setting(
            "spark.yarn.am.memory",
            "MiB",
            "512m",
            "1.3.0",
            "Heap of YARN's application master in client mode.",
        ),
        Setting(
            "spark.yarn.am.memoryOverhead",
            "MiB",
            None,
            "1.3.0",
            "Container memory beyond the application master's heap in client mode.",
        ),
        Setting(
            "spark.driver.maxResultSize",
            "bytes",
            "1g",
            "1.2.0",
            "Most serialized results that one action may return; 0 is no limit.",
        ),
        Setting(
            "spark.kryoserializer.buffer.max",
            "MiB",
            "64m",
            "1.4.0",
            "Most that one object may take when Kryo serializes it.",
        ),
        Setting(
            "spark.sql.autoBroadcastJoinThreshold",
            "bytes",
            "10MB",
            "1.1.0",
            "Largest table that a join broadcasts by itself; -1 is none.",
        ),
        Setting(
            "spark.sql.files.maxPartitionBytes",
            "bytes",
            "128MB",
            "2.0.0",
            "Most bytes of files that one partition reads.",
        ),
        Setting(
            "spark.sql.shuffle.partitions",
            "integer",
            "200",
            "1.1.0",
            "Partitions after a shuffle, before adaptive execution joins small ones.",
            requirement=_SHUFFLE_PARTITIONS,
        ),
        Setting(
            "spark.sql.adaptive.skewJoin.skewedPartitionThresholdInBytes",
            "bytes",
            "256MB",
            "3.0.0",
            "Size from which adaptive execution may split a partition of a join as skewed.",
        ),
        Setting(
            "spark.sql.execution.arrow.maxRecordsPerBatch",
            "integer",
            "10000",
            "2.3.0",
            "Most rows of a batch that goes to Python in Arrow's format; 0 or less is no limit.",
        ),
    )
}


# What `validate_settings` looks at, in Spark's order; those of the static manager until 3.0.
_VALIDATED = (
    "spark.memory.fraction",
    "spark.memory.storageFraction",
    "spark.storage.memoryFraction",
    "spark.shuffle.memoryFraction",
    "spark.shuffle.safetyFraction",
    "spark.storage.unrollFraction",
    "spark.storage.safetyFraction",
)


def version(text: str) -> tuple[int, ...]:
    """A Spark version such as ``"3.3"`` or ``"4.0.1"`` as three numbers that compare in order.

    Raises ValueError for anything else.
    """
    numbers = _version_numbers(str(text))
    if numbers is None:
        raise ValueError(f"a Spark version is a string such as '3.3' or '4.0.1', not {text!r}")
    return numbers


@cache  # a sweep over settings asks for the same few versions millions of times
def _version_numbers(text: str) -> tuple[int, ...] | None:
    if not re.fullmatch(r"\d+(\.\d+){0,2}", text):
        return None
    return (*map(int, text.split(".")), 0, 0)[:3]


def setting(key: str) -> Setting:
    """The setting called `key`. Raises KeyError, with the nearest known keys, if there is none."""
    if key in SETTINGS:
        return SETTINGS[key]
    near = difflib.get_close_matches(key, SETTINGS, n=3)
    raise KeyError(
        f"unknown setting {key!r}" + (f"; did you mean {' or '.join(near)}?" if near else "")
    )


def is_set(conf: Mapping, key: str, spark_version: str = LATEST) -> bool:
    """Whether `conf` gives this setting a value that this version of Spark would look at."""
    return _given(conf, setting(key), spark_version) is not None


def read(conf: Mapping, key: str, spark_version: str = LATEST):
    """The value of a setting in `conf`, or its default in that version of Spark.

    A setting that is younger than that version counts as not set, unless under its former key; so
    does one that was gone by then.
    Sizes come back as whole numbers in the setting's own unit (bytes or MiB), fractions as float,
    and None where nothing is set and Spark has no default.

    Raises ValueError, in the words of Spark 4, for values that Spark refuses.
    Source: ``ConfigEntry.readFrom`` and ``ConfigHelpers``.
    """
    entry = setting(key)
    text = _given(conf, entry, spark_version)
    if text is None:
        text = entry.default_in(spark_version)
    if text is None:
        return None
    value = _READERS[entry.unit](entry, text)
    if entry.requirement is not None and version(spark_version) >= version(entry.required_since):
        holds, wording = entry.requirement
        if not holds(value):
            raise ValueError(_invalid("REQUIREMENT", entry, _written(entry, value), wording))
    return value


def validate_settings(conf: Mapping, spark_version: str = LATEST) -> None:
    """Look at the memory fractions in `conf` as a ``SparkContext`` does before all else.

    Raises ValueError, in its words, for one that is no number or not from 0 to 1.
    Source: ``SparkConf.validateSettings`` and ``SparkConf.getDouble``.
    """
    for entry in map(setting, _VALIDATED):
        text = _given(conf, entry, spark_version)
        if text is not None:
            _validate_fraction(entry, text, spark_version)


def _validate_fraction(entry: Setting, text: str, spark_version: str) -> None:
    try:
        value = _fraction(entry, text)
    except ValueError:
        bare = text.strip(JAVA_WHITESPACE)
        reason = f'For input string: "{bare}"' if bare else "empty String"
        raise ValueError(f"Illegal value for config key {entry.key}: {reason}") from None
    complaint = f"{entry.key} should be between 0 and 1 (was '{_written(entry, value)}')."
    if value < 0 or value > 1:
        raise ValueError(complaint)
    if math.isnan(value) and version(spark_version) >= (4, 1):
        error_class = "INVALID_SPARK_CONFIG.INVALID_MEMORY_FRACTION"
        raise ValueError(f"[{error_class}] Invalid Spark config: {complaint}")


def _given(conf: Mapping, entry: Setting, spark_version: str) -> str | None:
    keys = [entry.former_key] if entry.former_key else []
    since, until = version(entry.since), version(entry.until or "999")
    if since <= version(spark_version) < until:
        keys.insert(0, entry.key)
    return next((str(conf[key]) for key in keys if key in conf), None)


def _size(unit: str):
    def read_size(entry: Setting, text: str) -> int:
        # A leading minus is taken off and put back, as Spark does: what a negative size then means
        # is for the part of Spark that uses it to say.
        sign = -1 if text.startswith("-") else 1
        try:
            return sign * byte_string_as(text.removeprefix("-"), unit)
        except ValueError as cause:
            name = {"b": "BYTE", "m": "MiB"}[unit]
            raise _mismatch(entry, text, f"bytes in {name}") from cause

    return read_size


def _fraction(entry: Setting, text: str) -> float:
    """Reads what ``Double.parseDouble`` does, hexadecimal numbers excepted."""
    bare = text.strip(JAVA_WHITESPACE)
    if not re.fullmatch(r"[+-]?(NaN|Infinity|(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[fFdD]?)", bare, re.A):
        raise _mismatch(entry, text, "double")
    return float(bare.rstrip("fFdD"))


def _decimal(entry: Setting, text: str) -> Decimal:
    bare = text.strip(JAVA_WHITESPACE)
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", bare):
        raise _mismatch(entry, text, "decimal")
    return Decimal(bare)


def _integer(entry: Setting, text: str) -> int:
    bare = text.strip(JAVA_WHITESPACE)
    if not re.fullmatch(r"[+-]?\d+", bare) or not -(2**31) <= int(bare) < 2**31:
        raise _mismatch(entry, text, "int")
    return int(bare)


def _boolean(entry: Setting, text: str) -> bool:
    try:
        return {"true": True, "false": False}[text.strip(JAVA_WHITESPACE).lower()]
    except KeyError:
        raise _mismatch(entry, text, "boolean") from None


def _mismatch(entry: Setting, text: str, wanted: str) -> ValueError:
    advice = f"It should be a/an '{wanted}' value."
    return ValueError(_invalid("TYPE_MISMATCH", entry, text, advice))


def _invalid(kind: str, entry: Setting, value: str, advice: str) -> str:
    return (
        f"[INVALID_CONF_VALUE.{kind}] The value '{value}' in the config \"{entry.key}\" "
        f"is invalid. {advice}"
    )


def _written(entry: Setting, value) -> str:
    """A value that was read, as Spark writes it."""
    if entry.unit == "bytes":
        return f"{value}b"
    if entry.unit == "decimal":
        return f"{(value + 0).normalize():f}"  # + 0 makes a negative zero a plain one
    if entry.unit == "fraction" and math.isfinite(value) and value:
        digits = Decimal(repr(value))
        exponent = digits.adjusted()
        if not -3 <= exponent < 7:  # Java's bounds for writing it with an E; Python's are wider
            return f"{float(digits.scaleb(-exponent))}E{exponent}"
    return str(value).replace("nan", "NaN").replace("inf", "Infinity")


_READERS = {
    "bytes": _size("b"),
    "MiB": _size("m"),
    "fraction": _fraction,
    "decimal": _decimal,
    "integer": _integer,
    "boolean": _boolean,
}

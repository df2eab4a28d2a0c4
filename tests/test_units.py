"""Size strings, against Spark's own reading and writing of them."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from course_lib import units
from course_lib.units import GIB, KIB, LONG_MAX, MIB, PIB

NUMBERS = st.one_of(st.integers(0, 2000), st.integers(0, 2 * LONG_MAX)).map(str)
SUFFIXES = ["", *"bkmgtp", "kb", "KiB", "Mb", "gi", "TB", "pib", "e", "kk", "bb", "x", "i"]
SIZES = st.builds(str.__add__, NUMBERS, st.sampled_from(SUFFIXES))
ODD_SIZES = st.text("0123456789bkmgtpi.+- _\n\t\x1f\xa0\u2003\u212aM٣e", max_size=6)


@given(text=st.one_of(SIZES, ODD_SIZES, st.text(max_size=5)))
@example(text="1.5g")
@example(text="1.5")
@example(text=" 5 g ")
@example(text="-1m")
@example(text="ten")
@example(text="\xa05g")
@example(text="5\u212a")
@example(text="9223372036854775807")
@example(text="9223372036854775808")
@example(text="9223372036854775808e")
@example(text="000000000000000000000000008k")
@example(text="8192p")
@example(text="8191p")
def test_sizes_are_read_as_spark_reads_them(oracle, outcome, text):
    assert outcome(units.byte_string_as_bytes, text) == outcome(oracle.byte_string_as_bytes, text)
    assert outcome(units.byte_string_as_mib, text) == outcome(oracle.byte_string_as_mib, text)


@given(
    size=st.one_of(
        st.integers(-4 * KIB, 4 * KIB),
        st.integers(0, LONG_MAX),
        st.builds(
            lambda twentieths, unit: twentieths * unit // 20,
            st.integers(),
            st.sampled_from([MIB, GIB, PIB]),
        ).filter(lambda size: 0 <= size <= LONG_MAX),
    )
)
@example(size=2 * KIB - 1)
@example(size=2 * KIB)
@example(size=GIB)
@example(size=LONG_MAX)
@example(size=MIB * 2 + MIB // 4)
def test_sizes_are_written_as_spark_writes_them(oracle, size):
    assert units.bytes_to_string(size) == oracle.bytes_to_string(size)


def test_the_comparison_notices_other_units(oracle, outcome, monkeypatch):
    monkeypatch.setitem(units._UNITS, "k", 1000)
    with pytest.raises(AssertionError):
        test_sizes_are_read_as_spark_reads_them(oracle=oracle, outcome=outcome)


def test_the_comparison_notices_rounding_half_to_even(oracle, monkeypatch):
    monkeypatch.setattr(units, "ROUND_HALF_UP", "ROUND_HALF_EVEN")
    with pytest.raises(AssertionError):
        test_sizes_are_written_as_spark_writes_them(oracle=oracle)


@pytest.mark.parametrize("size", [512, 1.5, None, b"1g"])
def test_a_size_is_a_string(size):
    with pytest.raises(TypeError, match="a size is a string such as '512m' or '2g', not"):
        units.byte_string_as(size)


@pytest.fixture(scope="module")
def java_casts(oracle):
    """Java's two casts of a fraction, compiled in the oracle's JVM."""
    compiler = oracle.jvm.org.codehaus.janino.SimpleCompiler()
    compiler.cook(
        "public class Casts {"
        "  public int in32(String fraction) { return (int) Double.parseDouble(fraction); }"
        "  public long in64(String fraction) { return (long) Double.parseDouble(fraction); }"
        "}"
    )
    no_arguments = oracle.jvm.java.util.ArrayList().toArray()
    loaded = compiler.getClassLoader().loadClass("Casts")
    casts = loaded.getConstructors()[0].newInstance(no_arguments)
    return lambda text: (casts.in32(text), casts.in64(text))


@given(value=st.one_of(st.floats(), st.floats(-1e10, 1e10)))
@example(value=math.nan)
@example(value=math.inf)
@example(value=-math.inf)
def test_fractions_become_whole_as_in_java(java_casts, value):
    text = repr(value).replace("nan", "NaN").replace("inf", "Infinity")
    assert (units.java_integer(value, 32), units.java_integer(value, 64)) == java_casts(text)


def test_known_sizes():
    assert units.byte_string_as_bytes("512m") == 536870912
    assert units.byte_string_as_bytes("512") == 512
    assert units.byte_string_as_mib("512") == 512
    assert units.byte_string_as_mib("1023k") == 0
    assert units.bytes_to_string(455501414) == "434.4 MiB"
    assert units.bytes_to_string(384093388) == "366.3 MiB"
    assert units.bytes_to_string(GIB) == "1024.0 MiB"

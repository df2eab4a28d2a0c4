"""The table of settings and the way it is read, against the settings that Spark declares."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.settings import SETTINGS, is_set, read, setting, version

PRESENT = {key: entry for key, entry in SETTINGS.items() if entry.until is None}
OF_UNIT = {
    unit: [key for key, entry in PRESENT.items() if entry.unit == unit]
    for unit in {entry.unit for entry in PRESENT.values()}
}


@pytest.mark.parametrize("key", PRESENT)
def test_default_and_version_are_sparks(oracle, key):
    assert setting(key).default == oracle.config_default(key)
    assert setting(key).since == oracle.config_since(key)


def test_no_setting_is_made_up(oracle):
    with pytest.raises(KeyError, match=r"declares no setting 'spark\.memory\.reserved'"):
        oracle.config_default("spark.memory.reserved")


def values(unit: str) -> st.SearchStrategy[str]:
    """Texts for a setting of that unit, most of them well formed."""
    number = {
        "fraction": st.floats(-10, 10).map(lambda x: str(round(x, 3))),
        "decimal": st.decimals(Decimal("0.001"), 10**6, places=3).map(str),
        "integer": st.integers(-(2**32), 2**32).map(str),
        "boolean": st.sampled_from(["true", "FALSE", " true", "yes", "1", ""]),
    }
    sizes = st.builds(
        "{}{}{}".format,
        st.sampled_from(["", "-"]),
        st.integers(0, 8000),
        st.sampled_from(["", *"bkmgtpx"]),
    )
    # Not with an exponent where Spark would count decimal places.
    odd = st.text("0123456789.-+fdmgNaInity _\t\xa0٣" + "eE" * (unit != "decimal"), max_size=5)
    return st.one_of(number.get(unit, sizes), odd)


def number_in(unit: str, written: str):
    """The value in what Spark writes back: sizes come in bytes."""
    if unit in ("bytes", "MiB"):
        return int(written.removesuffix("b")) // (2**20 if unit == "MiB" else 1)
    if unit == "boolean":
        return written == "true"
    return {"fraction": float, "decimal": Decimal, "integer": int}[unit](written)


@given(data=st.data())
@pytest.mark.parametrize("unit", sorted(OF_UNIT))
def test_values_are_read_as_spark_reads_them(oracle, outcome, unit, data):
    key = data.draw(st.sampled_from(sorted(OF_UNIT[unit])))
    text = data.draw(values(unit))

    def spark():
        return number_in(unit, oracle.config_written(key, text))

    ours, sparks = outcome(read, {key: text}, key), outcome(spark)
    assert ours == sparks or (ours != ours and sparks != sparks)  # NaN is not even itself


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("spark.executor.memory", "1.5g"),
        ("spark.executor.memory", "ten"),
        ("spark.executor.memory", "--1m"),
        ("spark.memory.offHeap.size", "-1m"),
        ("spark.memory.offHeap.size", "1.5g"),
        ("spark.memory.storageFraction", "1"),
        ("spark.memory.storageFraction", "-0.1"),
        ("spark.memory.storageFraction", "NaN"),
        ("spark.memory.storageFraction", "nan"),
        ("spark.memory.storageFraction", "1e7"),
        ("spark.memory.storageFraction", "9999999"),
        ("spark.memory.storageFraction", "-0.001"),
        ("spark.memory.storageFraction", "-0.00012"),
        ("spark.memory.storageFraction", "0,5"),
        ("spark.executor.memoryOverheadFactor", "0"),
        ("spark.driver.memoryOverheadFactor", "-Infinity"),
        ("spark.kubernetes.memoryOverheadFactor", "-1"),
        ("spark.memory.offHeap.enabled", "yes"),
        ("spark.executor.cores", "1.5"),
        ("spark.executor.cores", "2147483648"),
        ("spark.task.cpus", "0"),
        ("spark.task.cpus", "one"),
    ],
)
def test_refusals_are_sparks(oracle, outcome, key, text):
    refusal = outcome(oracle.config_written, key, text)
    assert refusal[0] == "refused"
    assert outcome(read, {key: text}, key) == refusal


def test_the_comparison_notices_a_missing_requirement(oracle, outcome, monkeypatch):
    key = "spark.memory.storageFraction"
    monkeypatch.setitem(SETTINGS, key, replace(SETTINGS[key], requirement=None))
    with pytest.raises(AssertionError):
        test_refusals_are_sparks(oracle, outcome, key, "1")


@pytest.mark.parametrize("key", [key for key, entry in SETTINGS.items() if entry.former_key])
def test_spark_still_reads_the_former_key(oracle, key):
    former = setting(key).former_key
    value = "true" if setting(key).unit == "boolean" else "700m"
    assert is_set({former: value}, key)
    assert read({former: value}, key) == read({key: value}, key)
    assert spark_reads(oracle, {former: value}, key) == spark_reads(oracle, {key: value}, key)
    assert spark_reads(oracle, {former: value}, key) != spark_reads(oracle, {}, key)


def spark_reads(oracle, conf: dict, key: str) -> str:
    entry = oracle.jvm.java.lang.Class.forName("org.apache.spark.internal.config.ConfigEntry$")
    found = entry.getField("MODULE$").get(None).findEntry(key)
    return oracle.jvm.java.lang.String.valueOf(oracle.conf(conf).get(found))


def test_the_present_key_wins():
    conf = {"spark.executor.memoryOverhead": "1g", "spark.yarn.executor.memoryOverhead": "2g"}
    assert read(conf, "spark.executor.memoryOverhead") == 1024


def test_settings_by_version():
    assert read({}, "spark.memory.fraction", "1.6.3") == 0.75
    assert read({}, "spark.memory.fraction", "2.0") == 0.6
    young = {"spark.executor.memoryOverhead": "1g"}
    assert read(young, "spark.executor.memoryOverhead", "2.3") == 1024
    assert read(young, "spark.executor.memoryOverhead", "2.2") is None
    assert not is_set(young, "spark.executor.memoryOverhead", "2.2")
    former = {"spark.yarn.executor.memoryOverhead": "512"}
    assert read(former, "spark.executor.memoryOverhead", "1.6") == 512


@pytest.mark.parametrize("key", sorted(SETTINGS.keys() - PRESENT.keys()))
def test_spark_has_forgotten_the_settings_of_the_past(oracle, key):
    with pytest.raises(KeyError, match="declares no setting"):
        oracle.config_default(key)
    other = {"fraction": "0.125", "boolean": "true"}[setting(key).unit]
    assert is_set({key: other}, key, "2.4")
    assert not is_set({key: other}, key, "3.0")
    assert read({key: other}, key, "3.0") == read({}, key, "2.4") != read({key: other}, key, "2.4")


def test_versions_are_ordered():
    texts = ["1.6", "1.6.3", "2.0.0", "2.4.8", "3.3", "3.10", "4.0.1"]
    assert sorted(texts, key=version) == texts
    assert version("3.3") == version("3.3.0")


@pytest.mark.parametrize("text", ["", "3.x", "latest", "3.3.0.1", "v3", 3.3j, None])
def test_what_is_no_version(text):
    with pytest.raises(ValueError, match=r"a Spark version is a string such as '3\.3'"):
        version(text)


def test_an_unknown_key_names_the_nearest():
    with pytest.raises(KeyError, match=r"did you mean spark\.executor\.memory\b"):
        setting("spark.executors.memory")
    with pytest.raises(KeyError, match=r"unknown setting 'x'\"$"):
        setting("x")

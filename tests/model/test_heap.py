"""The heap's regions, against Spark's memory manager, real JVMs and real event logs."""

import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from course_lib.model import heap, runtime_max_memory
from course_lib.spark import find_java
from course_lib.units import GIB, KIB, MIB

FRACTIONS = st.one_of(
    st.floats(0, 1).map(lambda x: str(round(x, 4))),
    st.sampled_from(["0.0", "1.0", "1.5", "-0.1", "NaN", "Infinity", "0,6", ""]),
)
CONFS = st.fixed_dictionaries(
    {},
    optional={
        "spark.memory.fraction": FRACTIONS,
        "spark.memory.storageFraction": FRACTIONS,
        "spark.executor.memory": st.sampled_from(
            ["449m", "450m", "1g", "460799k", "460800k", "2048", "-1m", "ten"]
        ),
    },
)
HEAPS = st.one_of(
    st.integers(448 * 4, 520 * 4).map(lambda quarter: quarter * MIB // 4),
    st.integers(GIB // 2, 2**38),
    st.sampled_from([0, 471859199, 471859200, 471859201]),
)


def modelled(conf, system_memory, role):
    regions = heap(conf, system_memory=system_memory, role=role)
    return regions.max_heap_memory, regions.on_heap_storage_region_size


def sparks(oracle, conf, system_memory, role):
    oracle.validate_settings(conf)
    manager = oracle.unified_memory_manager(conf, system_memory, 2, is_driver=role == "driver")
    return manager.maxHeapMemory(), manager.onHeapStorageMemoryPool().poolSize()


@given(conf=CONFS, system_memory=HEAPS, role=st.sampled_from(["driver", "executor"]))
@example(conf={}, system_memory=471859199, role="driver")
@example(conf={}, system_memory=471859199, role="executor")
@example(conf={}, system_memory=471859200, role="executor")
@example(conf={"spark.executor.memory": "449m"}, system_memory=GIB, role="driver")
@example(conf={"spark.executor.memory": "449m"}, system_memory=GIB, role="executor")
@example(conf={"spark.executor.memory": "2048"}, system_memory=GIB, role="executor")
@example(conf={"spark.executor.memory": "ten"}, system_memory=GIB, role="executor")
@example(conf={"spark.memory.fraction": "1.5"}, system_memory=GIB, role="driver")
@example(conf={"spark.memory.fraction": "-0.1"}, system_memory=GIB, role="executor")
@example(conf={"spark.memory.fraction": "NaN"}, system_memory=GIB, role="executor")
@example(conf={"spark.memory.fraction": "1"}, system_memory=GIB, role="executor")
@example(conf={"spark.memory.fraction": "1.5"}, system_memory=0, role="executor")
@example(conf={"spark.memory.fraction": "0"}, system_memory=GIB, role="driver")
@example(conf={"spark.memory.storageFraction": "1"}, system_memory=GIB, role="driver")
def test_regions_and_refusals_are_sparks(oracle, outcome, conf, system_memory, role):
    ours = outcome(modelled, conf, system_memory, role)
    assert ours == outcome(sparks, oracle, conf, system_memory, role)


@pytest.mark.parametrize(
    "mistake",
    [
        ("RESERVED_SYSTEM_MEMORY", 0),
        ("RESERVED_SYSTEM_MEMORY", 300_000_000),
        ("MIN_SYSTEM_MEMORY", 300 * MIB),
        ("java_integer", lambda value, bits: round(value)),
        ("_too_small", lambda what, size, *_: f"{what} {size} is too small"),
    ],
    ids=["no reserve", "decimal reserve", "no safety", "rounded", "own words"],
)
def test_the_comparison_notices(oracle, outcome, monkeypatch, mistake):
    monkeypatch.setitem(heap.__globals__, *mistake)
    with pytest.raises(AssertionError):
        test_regions_and_refusals_are_sparks(oracle=oracle, outcome=outcome)


# Golden numbers: boundaries of a running Spark, then "Maximum Memory" of BlockManagerAdded events
# in event logs, with the heap and the collector that the same logs show.


@pytest.mark.parametrize(
    ("system_memory", "conf", "max_heap_memory"),
    [
        (471859200, {}, 94371840),
        (1073741824, {}, 455501414),
        (1073741824, {"spark.memory.fraction": "1"}, 759169024),
    ],
)
def test_known_heaps(system_memory, conf, max_heap_memory):
    assert heap(conf, system_memory=system_memory).max_heap_memory == max_heap_memory


EVENT_LOGS = [
    ("1g", "Parallel", 384093388),
    ("1g", "G1", 455501414),
    ("2g", "Parallel", 956615884),
    ("2048m", "Serial", 1056807321),
    ("4g", "Parallel", 2101975449),
    ("4g", "G1", 2388236697),
    ("512m", "Serial", 122644070),
    ("7g", "Parallel", 3820172083),
    ("10g", "Parallel", 5538054144),
    ("16g", "Parallel", 8974132838),
    ("20g", "Parallel", 11264537395),
    ("30g", "Parallel", 16991335219),
    ("40g", "G1", 25581060096),
    ("50g", "G1", 32023511040),
    ("80g", "Parallel", 45624380620),
]


@pytest.mark.parametrize(("memory", "collector", "maximum"), EVENT_LOGS)
def test_event_logs_agree(memory, collector, maximum):
    conf = {"spark.executor.memory": memory}
    assert heap(conf, collector=collector).max_heap_memory == maximum


def test_an_event_log_with_a_small_fraction_agrees():
    conf = {"spark.executor.memory": "512m", "spark.memory.fraction": "0.1"}
    assert heap(conf).max_heap_memory == 22229811


# What the JVM makes of -Xmx


@pytest.fixture(scope="session")
def max_memory(oracle, tmp_path_factory):
    """``max_memory(flags…)``: Runtime.maxMemory of a JVM started with these flags."""
    compiler = oracle.jvm.org.codehaus.janino.SimpleCompiler()
    compiler.cook(
        "public class MaxMemory { public static void main(String[] arguments) {"
        "  System.out.println(Runtime.getRuntime().maxMemory());"
        "} }"
    )
    folder = tmp_path_factory.mktemp("classes")
    (folder / "MaxMemory.class").write_bytes(compiler.getBytecodes()["MaxMemory"])
    java = find_java().executable

    def run(*flags: str) -> int:
        command = [str(java), *flags, "-cp", str(folder), "MaxMemory"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return int(answer.stdout)

    return run


SIZES = [
    *(n * MIB for n in (3, 10, 17, 63, 100, 449, 512, 1000, 1025, 2500)),
    *(n * GIB for n in (1, 4, 10, 31, 33, 80)),
    100 * MIB + 1,
    2 * GIB + 3 * KIB,
]


@pytest.mark.parametrize("collector", ["G1", "Parallel", "Serial"])
def test_max_memory_is_the_jvms(max_memory, collector):
    asked = {size: max_memory(f"-XX:+Use{collector}GC", f"-Xmx{size}", "-Xms2m") for size in SIZES}
    assert asked == {size: runtime_max_memory(size, collector) for size in SIZES}


@pytest.mark.parametrize("collector", ["G1", "Parallel", "Serial"])
@pytest.mark.parametrize("xms", [64 * MIB, 250 * MIB, 300 * MIB])
def test_max_memory_with_a_heap_committed_early(max_memory, collector, xms):
    flags = f"-XX:+Use{collector}GC", f"-Xmx{300 * MIB}", f"-Xms{xms}"
    assert max_memory(*flags) == runtime_max_memory(300 * MIB, collector, xms=xms)


def test_a_jvm_that_keeps_a_survivor_back_is_not_taken_for_g1(max_memory):
    assert max_memory("-XX:+UseSerialGC", f"-Xmx{GIB}") != runtime_max_memory(GIB, "G1")


# By version and role, from Spark's sources of the time


def test_fraction_by_version():
    assert heap(system_memory=GIB, spark_version="1.6").max_heap_memory == 569376768
    assert heap(system_memory=GIB, spark_version="2.0").max_heap_memory == 455501414


def test_heaps_follow_their_own_setting():
    conf = {"spark.driver.memory": "4g", "spark.executor.memory": "8g"}
    assert heap(conf, role="driver").system_memory == 4 * GIB
    assert heap(conf, role="executor").system_memory == 8 * GIB
    assert heap().system_memory == GIB


TOO_SMALL = [
    (
        "1.6.3",
        "System memory 1 must be at least 4.718592E8. Please use a larger heap size.",
    ),
    (
        "2.4",
        "System memory 1 must be at least 471859200. Please increase heap size using the "
        "--driver-memory option or spark.driver.memory in Spark configuration.",
    ),
    (
        "4.1",
        "[INVALID_DRIVER_MEMORY] System memory 1 must be at least 471859200.\nPlease increase "
        'heap size using the --driver-memory option or "spark.driver.memory" in Spark '
        "configuration.",
    ),
]


@pytest.mark.parametrize(("spark_version", "words"), TOO_SMALL)
def test_refusals_of_earlier_versions(outcome, spark_version, words):
    refusal = outcome(heap, system_memory=1, spark_version=spark_version)
    assert refusal == ("refused", words)


def test_the_executor_check_came_with_2_0(outcome):
    conf = {"spark.executor.memory": "449m"}
    old = heap(conf, system_memory=GIB, spark_version="1.6")
    assert old.max_heap_memory == 569376768
    assert outcome(heap, conf, system_memory=GIB, spark_version="3.4") == (
        "refused",
        "Executor memory 470810624 must be at least 471859200. Please increase executor memory "
        "using the --executor-memory option or spark.executor.memory in Spark configuration.",
    )


def test_the_region_tree_adds_up():
    tree = heap(system_memory=GIB).region()
    assert [child.name for child in tree.children] == ["reserved", "user", "Spark memory"]
    assert (tree.unassigned, tree.overflow) == (0, 0)
    assert tree.find("Spark memory").unassigned == 0
    assert tree.find("reserved").size == 300 * MIB


def test_a_fraction_of_one_leaves_nothing_to_your_objects():
    tree = heap({"spark.memory.fraction": "1"}, system_memory=GIB).region()
    assert tree.find("user").size == 0
    assert (tree.unassigned, tree.overflow) == (0, 0)


def test_sparks_memory_manager_itself_would_take_a_fraction_above_one(oracle, outcome):
    conf = {"spark.memory.fraction": "1.5"}
    assert oracle.get_max_memory(conf, GIB) == 1138753536
    refusal = "refused", "spark.memory.fraction should be between 0 and 1 (was '1.5')."
    assert outcome(oracle.validate_settings, conf) == refusal
    assert outcome(heap, conf, system_memory=GIB) == refusal


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"role": "master"}, "role is 'executor' or 'driver', not 'master'"),
        ({"collector": "Z"}, "collector is one of G1, Parallel, Serial, not 'Z'"),
        ({"spark_version": "1.5"}, "came with Spark 1.6, not 1.5"),
        ({"conf": {"spark.executor.memory": "0"}}, "a heap needs a positive size, not 0 bytes"),
    ],
)
def test_wrong_use(wrong, words):
    with pytest.raises(ValueError, match=words):
        heap(**wrong)

"""Spark's own answers, against numbers that Spark's documentation and its own tests give."""

import pytest

from course_lib.spark import SparkRefusal

GIB = 2**30


def test_reads_and_writes_sizes(oracle):
    assert oracle.byte_string_as_bytes("1g") == GIB
    assert oracle.byte_string_as_mib("512") == 512
    assert oracle.bytes_to_string(455501414) == "434.4 MiB"


def test_refuses_in_sparks_words(oracle):
    with pytest.raises(SparkRefusal, match="Fractional values are not supported") as refusal:
        oracle.byte_string_as_bytes("1.5g")
    assert refusal.value.java_class == "java.lang.NumberFormatException"
    assert refusal.value.message.startswith("Size must be specified as bytes (b)")


@pytest.mark.parametrize(
    ("key", "default", "since"),
    [
        ("spark.memory.fraction", "0.6", "1.6.0"),
        ("spark.executor.memoryOverhead", None, "2.3.0"),
        ("spark.executor.minMemoryOverhead", "384m", "4.0.0"),
        ("spark.kubernetes.memoryOverheadFactor", "0.1", "2.4.0"),
        ("spark.yarn.am.memory", "512m", "1.3.0"),
        ("spark.sql.autoBroadcastJoinThreshold", "10MB", "1.1.0"),
    ],
)
def test_knows_settings(oracle, key, default, since):
    assert (oracle.config_default(key), oracle.config_since(key)) == (default, since)


def test_knows_no_other_settings(oracle):
    with pytest.raises(KeyError, match="declares no setting"):
        oracle.config_default("spark.memory.friction")


def test_divides_the_heap(oracle):
    assert oracle.get_max_memory({}, GIB) == 455501414
    assert oracle.get_max_memory({}, 471859200) == 94371840
    assert oracle.get_max_memory({"spark.testing.reservedMemory": "0"}, GIB) == int(0.6 * GIB)
    manager = oracle.unified_memory_manager({}, GIB, num_cores=2)
    assert (manager.maxHeapMemory(), manager.pageSizeBytes()) == (455501414, 8388592)


@pytest.mark.parametrize(
    ("conf", "heap", "is_driver", "words"),
    [
        ({}, 471859199, True, "INVALID_DRIVER_MEMORY.SYSTEM_MEMORY"),
        ({}, 471859199, False, "INVALID_EXECUTOR_MEMORY.SYSTEM_MEMORY"),
        ({"spark.executor.memory": "449m"}, GIB, True, "INVALID_EXECUTOR_MEMORY.CONFIG_MEMORY"),
    ],
)
def test_small_heaps_are_refused(oracle, conf, heap, is_driver, words):
    with pytest.raises(SparkRefusal, match=words):
        oracle.get_max_memory(conf, heap, is_driver)


def test_a_fraction_out_of_range_is_refused(oracle):
    with pytest.raises(SparkRefusal, match=r"Storage fraction must be in \[0,1\)"):
        oracle.unified_memory_manager({"spark.memory.storageFraction": "1.0"}, GIB, 1)


def test_settings_are_strings(oracle):
    with pytest.raises(TypeError, match="settings are strings"):
        oracle.get_max_memory({"spark.memory.fraction": 0.5}, GIB)


def test_adds_up_an_executor(oracle):
    assert oracle.calculate_overhead_memory(5000, minimum=200, factor=0.1) == 500
    assert oracle.executor_memory({}) == (1024, 384, 0, 0, 1408)
    everything = {
        "spark.executor.memory": "4g",
        "spark.executor.memoryOverhead": "100",
        "spark.memory.offHeap.enabled": "true",
        "spark.memory.offHeap.size": "42m",
        "spark.executor.pyspark.memory": "43m",
    }
    assert oracle.executor_memory(everything) == (4096, 100, 42, 0, 4238)
    assert oracle.executor_memory(everything, is_python=True) == (4096, 100, 42, 43, 4281)


def test_asks_kubernetes_for_an_executor(oracle):
    assert oracle.kubernetes_executor_memory({}) == 1408
    off_heap = {"spark.memory.offHeap.enabled": "true", "spark.memory.offHeap.size": "42m"}
    assert oracle.kubernetes_executor_memory(off_heap) == 1450
    pyspark = {"spark.executor.pyspark.memory": "42m"}
    assert oracle.kubernetes_executor_memory(pyspark) == 1408
    python = {**pyspark, "spark.kubernetes.resource.type": "python"}
    assert oracle.kubernetes_executor_memory(python) == 1450


def test_asks_kubernetes_for_a_driver(oracle):
    conf = {"spark.driver.memory": "7680m"}
    assert oracle.kubernetes_driver_memory(conf) == 8448
    assert oracle.kubernetes_driver_memory(conf, "python") == 10752
    assert oracle.kubernetes_driver_memory(conf, "r") == 10752
    handed_on = oracle.kubernetes_driver_properties(conf, "python")
    assert handed_on["spark.kubernetes.memoryOverheadFactor"] == "0.4"
    with pytest.raises(ValueError, match="one of java, python, r, not 'go'"):
        oracle.kubernetes_driver_memory(conf, "go")


def test_asks_yarn(oracle):
    assert oracle.yarn_memory({}) == (512, 384, 1024, 0, 384, 0)
    cluster = {"spark.submit.deployMode": "cluster", "spark.driver.memory": "9g"}
    assert oracle.yarn_memory(cluster)[:2] == (9216, 921)
    assert oracle.yarn_verify({}, 1408) is None
    with pytest.raises(SparkRefusal, match=r"\(1024 MB\), .* above the max threshold \(1407 MB\)"):
        oracle.yarn_verify({}, 1407)


def test_yarn_rounds_up(oracle):
    assert oracle.yarn_normalized(1408, minimum=1024, maximum=8192, increment=1024) == 2048
    assert oracle.yarn_normalized(1408, minimum=1024, maximum=8192, increment=512) == 1536
    assert oracle.yarn_normalized(100, minimum=1024, maximum=8192, increment=512) == 1024

"""Containers, against what Spark's own classes ask YARN and Kubernetes for."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from course_lib.model import (
    Container,
    YarnScheduler,
    container,
    executors_per_node,
    largest_heap,
)
from course_lib.spark.refusal import in_sparks_words
from course_lib.units import GIB, MIB

SIZES = st.one_of(
    st.integers(1, 40_000).map("{}m".format),
    st.integers(1, 64).map("{}g".format),
    st.integers(1024, 9_000_000).map("{}k".format),
    st.integers(1, 40_000).map(str),
)
FACTORS = st.floats(0.01, 3).map(lambda x: str(round(x, 3)))
CONFS = st.fixed_dictionaries(
    {},
    optional={
        "spark.executor.memory": SIZES,
        "spark.executor.memoryOverhead": SIZES,
        "spark.executor.memoryOverheadFactor": FACTORS,
        "spark.executor.minMemoryOverhead": SIZES,
        "spark.driver.memory": SIZES,
        "spark.driver.memoryOverhead": SIZES,
        "spark.driver.memoryOverheadFactor": FACTORS,
        "spark.driver.minMemoryOverhead": SIZES,
        "spark.yarn.am.memory": SIZES,
        "spark.yarn.am.memoryOverhead": SIZES,
        "spark.kubernetes.memoryOverheadFactor": FACTORS,
        "spark.memory.offHeap.enabled": st.sampled_from(["true", "false"]),
        "spark.memory.offHeap.size": st.one_of(SIZES, st.just("0")),
        "spark.executor.pyspark.memory": SIZES,
    },
)
DEPLOY_MODES = st.sampled_from(["client", "cluster"])
LANGUAGES = st.sampled_from(["jvm", "python"])


def parts(asked: Container) -> tuple[int, ...]:
    return (
        asked.memory_mib,
        asked.overhead_mib,
        asked.off_heap_mib,
        asked.pyspark_mib,
        asked.requested_mib,
    )


# Executors, as Spark adds them up for YARN


@given(conf=CONFS, language=LANGUAGES)
@example(conf={"spark.executor.memory": "4095m"}, language="jvm")
@example(conf={"spark.memory.offHeap.enabled": "true"}, language="jvm")
@example(
    conf={"spark.memory.offHeap.enabled": "true", "spark.memory.offHeap.size": "1g"},
    language="jvm",
)
@example(conf={"spark.executor.pyspark.memory": "1g"}, language="python")
def test_yarn_executors_are_sparks(oracle, outcome, conf, language):
    def ours():
        return parts(container(conf, cluster_manager="yarn", language=language))

    assert outcome(ours) == outcome(oracle.executor_memory, conf, language == "python")


# Both processes and the refusal, as YARN's client works them out


@settings(max_examples=25)
@given(conf=CONFS, language=LANGUAGES, deploy_mode=DEPLOY_MODES, maximum=st.integers(512, 65536))
@example(conf={}, language="jvm", deploy_mode="client", maximum=1024)
@example(conf={}, language="jvm", deploy_mode="client", maximum=1408)
@example(conf={"spark.driver.memory": "8g"}, language="jvm", deploy_mode="cluster", maximum=8192)
@example(conf={"spark.yarn.am.memory": "8g"}, language="jvm", deploy_mode="client", maximum=8192)
def test_yarn_clients_checks_are_sparks(oracle, outcome, conf, language, deploy_mode, maximum):
    how = {"cluster_manager": "yarn", "language": language, "deploy_mode": deploy_mode}
    scheduler = YarnScheduler(1, maximum)

    def ours():
        executor = container(conf, **how)
        driver = container(conf, role="driver", **how)
        return (
            driver.memory_mib,
            driver.overhead_mib,
            executor.memory_mib,
            executor.off_heap_mib,
            executor.overhead_mib,
            executor.pyspark_mib,
        )

    def checked():
        container(conf, **how, scheduler=scheduler)
        container(conf, role="driver", **how, scheduler=scheduler)

    submitted = {
        **conf,
        "spark.submit.deployMode": deploy_mode,
        "spark.yarn.isPython": str(language == "python").lower(),
    }
    assert outcome(ours) == outcome(oracle.yarn_memory, submitted)
    assert outcome(checked) == outcome(oracle.yarn_verify, submitted, maximum)


@st.composite
def requests(draw):
    kind = draw(st.sampled_from(["capacity", "fair"]))
    maximum = draw(st.integers(1, 100_000))
    minimum = draw(st.integers(1 if kind == "capacity" else 0, maximum))
    increment = draw(st.integers(1, 5000)) if kind == "fair" else None
    return YarnScheduler(minimum, maximum, increment, kind), draw(st.integers(1, maximum))


@given(asked=requests())
@example(asked=(YarnScheduler(), 1408))
def test_rounding_is_yarns(oracle, asked):
    scheduler, request = asked
    minimum, maximum = scheduler.minimum_allocation_mb, scheduler.maximum_allocation_mb
    sparks = oracle.yarn_normalized(request, minimum, maximum, scheduler.step_mb)
    assert scheduler.normalize(request) == sparks


# Pods, as the feature steps write them


def pods(oracle, conf, language, deploy_mode):
    """What Kubernetes is asked for: the driver's pod, which exists in cluster mode, and one of an
    executor, which in that mode knows what the driver's step and spark-submit pass on."""
    main = "python" if language == "python" else "java"
    if deploy_mode == "client":
        return None, oracle.kubernetes_executor_memory(conf)
    driver = oracle.kubernetes_driver_memory(conf, main)
    passed_on = oracle.kubernetes_driver_properties(conf, main)
    known = {**conf, **passed_on, "spark.kubernetes.resource.type": main}
    return driver, oracle.kubernetes_executor_memory(known)


@settings(max_examples=30)
@given(conf=CONFS, language=LANGUAGES, deploy_mode=DEPLOY_MODES)
@example(conf={}, language="python", deploy_mode="cluster")
@example(conf={}, language="python", deploy_mode="client")
@example(
    conf={"spark.executor.memory": "8g", "spark.kubernetes.memoryOverheadFactor": "0.2"},
    language="python",
    deploy_mode="cluster",
)
@example(
    conf={"spark.executor.memory": "8g", "spark.executor.memoryOverheadFactor": "0.3"},
    language="python",
    deploy_mode="cluster",
)
def test_kubernetes_pods_are_sparks(oracle, outcome, conf, language, deploy_mode):
    how = {"cluster_manager": "kubernetes", "language": language, "deploy_mode": deploy_mode}

    def ours():
        driver = container(conf, role="driver", **how).requested_mib
        executor = container(conf, **how).requested_mib
        return (driver if deploy_mode == "cluster" else None), executor

    assert outcome(ours) == outcome(pods, oracle, conf, language, deploy_mode)


@pytest.mark.parametrize(
    ("mistake", "comparison"),
    [
        (("MEMORY_OVERHEAD_MIN_MIB", 0), test_yarn_clients_checks_are_sparks),
        (("java_integer", lambda value, bits: round(value)), test_yarn_executors_are_sparks),
        (("_off_heap", lambda conf, spark_version: 0), test_yarn_executors_are_sparks),
        (("_pyspark", lambda conf, python, spark_version: 0), test_yarn_executors_are_sparks),
        (("_above_maximum", lambda *asked: "too large"), test_yarn_clients_checks_are_sparks),
        (("NON_JVM_MEMORY_OVERHEAD_FACTOR", 0.1), test_kubernetes_pods_are_sparks),
    ],
    ids=["no minimum", "rounded", "no off-heap", "no pyspark", "own words", "0.1 for Python"],
)
def test_the_comparison_notices(oracle, outcome, monkeypatch, mistake, comparison):
    monkeypatch.setitem(container.__globals__, *mistake)
    with pytest.raises(AssertionError):
        comparison(oracle=oracle, outcome=outcome)


def test_the_rounding_comparison_notices(oracle, monkeypatch):
    monkeypatch.setattr(YarnScheduler, "normalize", lambda self, request: request)
    with pytest.raises(AssertionError):
        test_rounding_is_yarns(oracle=oracle)


# Golden numbers, from Spark's own tests of its Kubernetes steps


@pytest.mark.parametrize(
    ("total", "conf"),
    [
        (1408, {}),
        (1450, {"spark.executor.pyspark.memory": "42m"}),
        (1450, {"spark.memory.offHeap.enabled": "true", "spark.memory.offHeap.size": "42m"}),
    ],
)
def test_known_executor_pods(total, conf):
    conf = {
        "spark.executor.memory": "1024m",
        "spark.kubernetes.memoryOverheadFactor": "0.1",
        **conf,
    }
    how = {"cluster_manager": "kubernetes", "deploy_mode": "cluster", "language": "python"}
    assert container(conf, **how).requested_mib == total


@pytest.mark.parametrize(
    ("total", "memory", "language", "conf"),
    [
        (756, "256m", "jvm", {"spark.driver.minMemoryOverhead": "500m"}),
        (
            456,
            "256m",
            "jvm",
            {"spark.driver.minMemoryOverhead": "500m", "spark.driver.memoryOverhead": "200m"},
        ),
        (5500, "5000m", "jvm", {"spark.driver.minMemoryOverhead": "200m"}),
        (8448, "7680m", "jvm", {}),
        (10752, "7680m", "python", {}),
        (14592, "7680m", "python", {"spark.driver.memoryOverheadFactor": "0.9"}),
    ],
)
def test_known_driver_pods(total, memory, language, conf):
    how = {"cluster_manager": "kubernetes", "deploy_mode": "cluster", "language": language}
    asked = container({"spark.driver.memory": memory, **conf}, role="driver", **how)
    assert asked.requested_mib == total


# By version


def total(spark_version, conf=None, **how):
    return container(conf, spark_version=spark_version, **how).requested_mib


EIGHT = {"spark.executor.memory": "8g"}
OFF_HEAP = {"spark.memory.offHeap.enabled": "true", "spark.memory.offHeap.size": "1g"}


@pytest.mark.parametrize(
    ("key", "first", "without", "with_it"),
    [
        ({"spark.executor.memoryOverhead": "2g"}, "2.3", 9011, 10240),
        ({"spark.executor.memoryOverheadFactor": "0.25"}, "3.3", 9011, 10240),
        ({"spark.executor.minMemoryOverhead": "2g"}, "4.0", 9011, 10240),
        (OFF_HEAP, "3.0", 9011, 10035),
    ],
)
def test_when_settings_begin_to_count_on_yarn(key, first, without, with_it):
    versions = ["1.6", "2.2", "2.3", "2.4", "3.0", "3.2", "3.3", "3.5", "4.0", "4.3"]
    totals = {v: total(v, EIGHT | key, cluster_manager="yarn") for v in versions}
    begun = versions.index(first)
    assert totals == dict.fromkeys(versions[:begun], without) | dict.fromkeys(
        versions[begun:], with_it
    )


def test_the_former_overhead_key_counts_in_all_versions():
    conf = EIGHT | {"spark.yarn.executor.memoryOverhead": "2048"}
    assert {total(v, conf, cluster_manager="yarn") for v in ("1.6", "2.2", "2.3", "4.3")} == {10240}


def test_pyspark_memory_by_version():
    conf = EIGHT | {"spark.executor.pyspark.memory": "1g"}
    how = {"cluster_manager": "yarn", "language": "python"}
    assert [total(v, conf, **how) for v in ("2.3", "2.4", "4.3")] == [9011, 10035, 10035]
    assert total("4.3", conf, cluster_manager="yarn", language="jvm") == 9011


def test_off_heap_on_kubernetes_by_version():
    how = {"cluster_manager": "kubernetes"}
    assert [total(v, EIGHT | OFF_HEAP, **how) for v in ("3.0", "3.1")] == [9011, 10035]


def test_factors_on_kubernetes_by_version():
    python = {"cluster_manager": "kubernetes", "language": "python", "deploy_mode": "cluster"}
    assert [total(v, EIGHT, **python) for v in ("2.4", "3.2", "4.3")] == [11468] * 3
    jvm = {"cluster_manager": "kubernetes", "deploy_mode": "cluster"}
    fifth = EIGHT | {"spark.kubernetes.memoryOverheadFactor": "0.2"}
    assert [total(v, fifth, **jvm) for v in ("2.3", "2.4", "4.3")] == [9011, 9830, 9830]
    quarter = EIGHT | {"spark.executor.memoryOverheadFactor": "0.25"}
    assert [total(v, quarter, **jvm) for v in ("3.2", "3.3")] == [9011, 10240]


@pytest.mark.parametrize(
    ("spark_version", "words"),
    [
        ("2.3", "Required executor memory (8192+819 MB) is above"),
        ("2.4", "Required executor memory (8192), overhead (819 MB), and PySpark memory (0 MB) is"),
        (
            "3.0",
            "Required executor memory (8192), offHeap memory (0) MB, overhead (819 MB), "
            "and PySpark memory (0 MB) is above",
        ),
        (
            "3.1",
            "Required executor memory (8192 MB), offHeap memory (0) MB, overhead (819 MB), "
            "and PySpark memory (0 MB) is above",
        ),
    ],
)
def test_refusals_of_earlier_versions(outcome, spark_version, words):
    how = {"cluster_manager": "yarn", "scheduler": YarnScheduler()}
    verdict, text = outcome(container, EIGHT, spark_version=spark_version, **how)
    assert verdict == "refused"
    assert text.startswith(words)
    assert "the max threshold (8192 MB) of this cluster! Please check the values of" in text


def test_the_application_master_was_told_to_increase_the_maximum(outcome):
    how = {"cluster_manager": "yarn", "role": "driver", "scheduler": YarnScheduler(512, 512)}
    assert outcome(container, spark_version="2.3", **how) == (
        "refused",
        "Required AM memory (512+384 MB) is above the max threshold (512 MB) of this cluster! "
        "Please increase the value of 'yarn.scheduler.maximum-allocation-mb'.",
    )


# Managers that account for heaps alone


def test_standalone_counts_the_heap_alone():
    conf = EIGHT | OFF_HEAP | {"spark.executor.memoryOverhead": "2g"}
    assert container(conf) == Container("executor", 8192)
    assert container(conf, role="driver") == Container("driver", 1024)


def test_in_local_mode_the_driver_is_the_executor():
    conf = EIGHT | {"spark.driver.memory": "3g"}
    assert container(conf, cluster_manager="local") == Container("driver", 3072)


def test_a_client_mode_driver_has_no_pod_of_its_own():
    conf = {"spark.driver.memory": "3g", "spark.driver.memoryOverhead": "1g"}
    asked = container(conf, role="driver", cluster_manager="kubernetes", deploy_mode="client")
    assert asked == Container("driver", 3072)


# Rounding


@pytest.mark.parametrize(
    ("scheduler", "granted"),
    [
        (YarnScheduler(1024, 16384), 9216),
        (YarnScheduler(4096, 16384), 12288),
        (YarnScheduler(1, 16384), 9011),
        (YarnScheduler(1024, 9100), 9100),
        (YarnScheduler(1024, 16384, kind="fair"), 9216),
        (YarnScheduler(1024, 16384, 512, kind="fair"), 9216),
        (YarnScheduler(1024, 16384, 100, kind="fair"), 9100),
        (YarnScheduler(0, 16384, 1, kind="fair"), 9011),
    ],
)
def test_known_grants(scheduler, granted):
    asked = container(EIGHT, cluster_manager="yarn", scheduler=scheduler)
    assert (asked.requested_mib, asked.granted_mib) == (9011, granted)
    assert asked.rounding_mib == granted - 9011


def test_the_container_as_a_tree():
    conf = EIGHT | OFF_HEAP | {"spark.executor.pyspark.memory": "2g"}
    how = {"cluster_manager": "yarn", "language": "python"}
    tree = container(conf, **how, scheduler=YarnScheduler(maximum_allocation_mb=16384)).region()
    assert (tree.name, tree.kind, tree.size) == ("executor", "container", 12 * GIB)
    assert [(part.name, part.kind, part.size // MIB) for part in tree.children] == [
        ("heap", "heap", 8192),
        ("overhead", "overhead", 819),
        ("off-heap", "off_heap", 1024),
        ("PySpark", "pyspark", 2048),
        ("rounding", "unassigned", 205),
    ]
    assert (tree.unassigned, tree.overflow) == (0, 0)
    assert [part.name for part in container(EIGHT).region().children] == ["heap"]


# Nodes

NINE = Container("executor", 8192, 819, rounding_mib=205)


def test_eight_gigabyte_executors_on_a_64_gigabyte_node():
    fit = executors_per_node(NINE, node_memory_mib=64 * 1024, node_cores=16, executor_cores=2)
    assert (fit.executors, fit.limited_by) == (7, "memory")
    assert (fit.unused_memory_mib, fit.unused_cores) == (1024, 2)
    reserved = executors_per_node(NINE, node_memory_mib=64 * 1024, reserved_memory_mib=4096)
    assert (reserved.executors, reserved.unused_memory_mib) == (6, 6144)


@pytest.mark.parametrize(
    ("cores", "each", "executors", "limited_by", "unused_cores"),
    [
        (16, 4, 4, "cores", 0),
        (35, 5, 7, "memory and cores", 0),
        (36, 5, 7, "memory and cores", 1),
        (40, 5, 7, "memory", 5),
        (4, 5, 0, "cores", 4),
        (None, None, 7, "memory", None),
        (3, None, 3, "cores", 0),
    ],
)
def test_cores_limit_too(cores, each, executors, limited_by, unused_cores):
    fit = executors_per_node(NINE, node_memory_mib=65536, node_cores=cores, executor_cores=each)
    assert (fit.executors, fit.limited_by, fit.unused_cores) == (
        executors,
        limited_by,
        unused_cores,
    )


def test_a_node_smaller_than_one_container():
    fit = executors_per_node(NINE, node_memory_mib=8192, node_cores=8)
    assert (fit.executors, fit.limited_by, fit.unused_memory_mib) == (0, "memory", 8192)
    tree = fit.region()
    assert [(part.name, part.size) for part in tree.children] == [("unused", 8 * GIB)]


def test_the_node_as_a_tree():
    tree = executors_per_node(NINE, node_memory_mib=20480, reserved_memory_mib=1024).region()
    assert (tree.kind, tree.size) == ("node", 20 * GIB)
    assert [(part.name, part.kind, part.size // MIB) for part in tree.children] == [
        ("system", "process", 1024),
        ("executor 1", "container", 9216),
        ("executor 2", "container", 9216),
        ("unused", "unassigned", 1024),
    ]
    assert tree.unassigned == 0
    assert tree.find("executor 2").children == NINE.region().children


SCHEDULERS = st.one_of(
    st.none(),
    st.builds(YarnScheduler, st.integers(1, 3000), st.integers(3000, 50_000)),
    st.builds(
        YarnScheduler,
        st.integers(0, 3000),
        st.integers(3000, 50_000),
        st.integers(1, 2000),
        st.just("fair"),
    ),
)


@given(
    executors=st.integers(1, 12),
    node=st.integers(1, 200_000),
    scheduler=SCHEDULERS,
    conf=CONFS.filter(lambda conf: conf.get("spark.memory.offHeap.enabled") != "true"),
)
def test_the_largest_heap_fits_and_one_more_does_not(outcome, executors, node, scheduler, conf):
    how = {"cluster_manager": "yarn", "scheduler": scheduler}
    largest = largest_heap(executors, conf, node_memory_mib=node, **how)

    def fits(memory: int) -> bool:
        settings = conf | {"spark.executor.memory": f"{memory}m"}
        asked = outcome(container, settings, **how)
        if isinstance(asked, Container):
            return executors_per_node(asked, node_memory_mib=node).executors >= executors
        assert "is above the max threshold" in asked[1]
        return False

    assert largest == 0 or fits(largest)
    assert not fits(largest + 1)


def test_known_largest_heaps():
    how = {"node_memory_mib": 64 * 1024, "cluster_manager": "yarn"}
    assert largest_heap(8, **how) == 7448
    totals = [
        container({"spark.executor.memory": f"{memory}m"}, cluster_manager="yarn").requested_mib
        for memory in (7448, 7449)
    ]
    assert totals == [8192, 8193]
    assert largest_heap(7, **how, scheduler=YarnScheduler(maximum_allocation_mb=65536)) == 8379
    assert largest_heap(200, **how) == 0


# Bad input


@pytest.mark.parametrize(
    ("conf", "words"),
    [
        ({"spark.executor.memory": "1.5g"}, "The value '1.5g' in the config"),
        ({"spark.executor.memory": "ten"}, "The value 'ten' in the config"),
        ({"spark.executor.memory": "-1m"}, "Executor memory must be a positive number"),
        ({"spark.executor.memory": "512k"}, "Executor memory must be a positive number"),
        ({"spark.executor.memoryOverheadFactor": "0"}, "is a double greater than 0"),
        ({"spark.executor.memoryOverhead": "-1m"}, "no part of a container is negative"),
        (OFF_HEAP | {"spark.memory.offHeap.size": "-1m"}, "size must not be negative"),
        (OFF_HEAP | {"spark.memory.offHeap.size": "0"}, "offHeap.size must be at least 1MiB when"),
    ],
)
def test_settings_that_are_refused(conf, words):
    with pytest.raises(ValueError, match=words):
        container(conf, cluster_manager="yarn")


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"role": "worker"}, "role is one of executor, driver, not 'worker'"),
        ({"cluster_manager": "mesos"}, "one of standalone, yarn, kubernetes, local, not 'mesos'"),
        ({"deploy_mode": "local"}, "deploy_mode is one of client, cluster, not 'local'"),
        ({"language": "scala"}, "language is one of jvm, python, not 'scala'"),
        ({"spark_version": "1.5"}, "from Spark 1.6 on, not for 1.5"),
        ({"scheduler": YarnScheduler()}, "goes with cluster_manager='yarn', not 'standalone'"),
        (
            {"cluster_manager": "kubernetes", "spark_version": "2.2"},
            "on Kubernetes since version 2.3, not 2.2",
        ),
        (
            {"cluster_manager": "kubernetes", "spark_version": "2.3"},
            "Client mode is currently not supported for Kubernetes",
        ),
        (
            {
                "cluster_manager": "kubernetes",
                "spark_version": "2.3",
                "deploy_mode": "cluster",
                "language": "python",
            },
            "Python applications are currently not supported for Kubernetes",
        ),
    ],
)
def test_combinations_that_do_not_exist(how, words):
    with pytest.raises(ValueError, match=words):
        container(**how)


def test_the_application_master_needs_a_heap():
    conf = {"spark.yarn.am.memory": "0"}
    with pytest.raises(ValueError, match="Application master memory must be a positive number"):
        container(conf, role="driver", cluster_manager="yarn")


def test_off_heap_was_refused_in_other_words_before_4_3():
    conf = OFF_HEAP | {"spark.memory.offHeap.size": "512k"}
    with pytest.raises(ValueError, match=r"offHeap\.size must be > 0 when"):
        container(conf, cluster_manager="yarn", spark_version="4.1")


@pytest.mark.parametrize(
    ("scheduler", "words"),
    [
        ({"minimum_allocation_mb": 0}, "minimum-allocation-mb=0, .* should be greater than 0"),
        ({"minimum_allocation_mb": -1, "kind": "fair"}, "min should equal greater than 0"),
        ({"maximum_allocation_mb": 512}, "max should be no smaller than min"),
        ({"increment_allocation_mb": 512}, "only kind='fair' has an increment_allocation_mb"),
        ({"increment_allocation_mb": 0, "kind": "fair"}, "increment_allocation_mb must be a posit"),
        ({"kind": "fifo"}, "kind is one of capacity, fair, not 'fifo'"),
    ],
)
def test_schedulers_that_would_not_start(scheduler, words):
    with pytest.raises(ValueError, match=words):
        YarnScheduler(**scheduler)


@pytest.mark.parametrize(
    ("node", "words"),
    [
        ({"node_memory_mib": 0}, "node_memory_mib must be a positive number, not 0"),
        ({"node_cores": 0}, "node_cores must be a positive number, not 0"),
        ({"node_cores": 8, "executor_cores": 0}, "Executor cores must be a positive number, not 0"),
        ({"executor_cores": 2}, "give both or neither"),
        ({"reserved_memory_mib": -1}, "between 0 and the node's 65536 MiB, not -1"),
        ({"reserved_memory_mib": 65537}, "between 0 and the node's 65536 MiB, not 65537"),
    ],
)
def test_nodes_that_cannot_be(node, words):
    with pytest.raises(ValueError, match=words):
        executors_per_node(NINE, **{"node_memory_mib": 65536, **node})


def test_largest_heap_of_no_executors():
    with pytest.raises(ValueError, match="executors must be a positive number, not 0"):
        largest_heap(0, node_memory_mib=65536)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--executor-memory=-1m", "Executor memory must be a positive number"),
        ("--driver-memory=0", "Driver memory must be a positive number"),
        ("--executor-cores=0", "Executor cores must be a positive number"),
    ],
)
def test_these_are_spark_submits_words(oracle, outcome, option, words):
    """Spark's own check of its command line, whose words the model takes up."""
    scala = oracle.jvm.java.lang.Class.forName
    arguments = scala("scala.collection.immutable.Nil$").getField("MODULE$").get(None)
    for argument in ("job.jar", *reversed(option.split("=")), "Job", "--class"):
        arguments = arguments.prepended(argument)
    no_variables = scala("scala.Predef$").getField("MODULE$").get(None).Map().empty()
    submit = oracle.jvm.org.apache.spark.deploy.SparkSubmitArguments

    def submitted():
        with in_sparks_words():
            submit(arguments, no_variables)

    assert outcome(submitted) == ("refused", words)

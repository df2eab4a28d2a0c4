"""Autopsies: the remains of workloads that die in every way they can."""

import os
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest

from course_lib.spark import ContainerWatcher
from course_lib.spark.autopsy import autopsy, occupied
from course_lib.spark.processes import marked
from course_lib.units import bytes_to_string

TEST = "COURSE_TEST"
MIB = 2**20

SPARK_JOB = """
from course_lib.spark import lab_session
with lab_session(driver_memory=heap, cores=1) as spark:
    texts = spark.range(2_000_000).selectExpr("collect_list(repeat('x', 200)) as texts")
    print(texts.selectExpr("size(texts)").first()[0])
"""
HOG = """
public class Hog {
    public static void main(String[] arguments) {
        java.util.ArrayList kept = new java.util.ArrayList();
        while (true) {
            kept.add(new byte[100000]);
        }
    }
}
"""


@pytest.fixture(autouse=True)
def nothing_left(monkeypatch, tmp_path):
    monkeypatch.setenv(TEST, str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    yield
    assert list(marked(TEST, str(tmp_path))) == []
    assert list(tmp_path.iterdir()) == []


def test_a_spark_job_dies_of_too_small_a_heap_and_lives_with_a_larger():
    remains = autopsy(SPARK_JOB, heap="512m", timeout=150)
    assert (remains.exception_class, remains.message) == (
        "java.lang.OutOfMemoryError",
        "Java heap space",
    )
    assert not remains.survived
    assert remains.last_heap.capacity <= 512 * MIB
    assert 0 < remains.gc_share < 1
    assert remains.peak_resident > 200 * MIB
    assert "OutOfMemoryError: Java heap space" in repr(remains)
    assert repr(remains).startswith("Remains (measured)")
    mended = autopsy(SPARK_JOB, heap="2g", timeout=150)
    assert (mended.exit_code, mended.exception_class, mended.stdout) == (0, None, "2000000\n")
    assert mended.survived


def test_a_java_program_out_of_memory():
    remains = autopsy(HOG, heap="32m")
    assert (remains.exit_code, remains.message) == (1, "Java heap space")
    assert remains.last_heap.capacity <= 32 * MIB
    before, after = map(bytes_to_string, (remains.last_heap.before, remains.last_heap.after))
    assert f"last collection {before} -> {after} of heap" in repr(remains)


def test_a_java_command():
    remains = autopsy(["-version"])
    assert (remains.exit_code, remains.exception_class, remains.last_heap) == (0, None, None)
    assert "version" in remains.log


def _greet(heap):
    print("the heap is", heap)


def test_a_function():
    assert autopsy(_greet, heap="1g").stdout == "the heap is 1g\n"


def test_a_python_exception():
    remains = autopsy("1 / 0")
    assert (remains.exit_code, remains.exception_class, remains.message) == (
        1,
        "ZeroDivisionError",
        "division by zero",
    )


def test_sparks_refusal():
    remains = autopsy("from course_lib.spark import *\nstart_lab_session(driver_memory='400m')")
    assert remains.exception_class == "org.apache.spark.SparkIllegalArgumentException"
    assert remains.message.startswith("[INVALID_DRIVER_MEMORY.SYSTEM_MEMORY]")


def test_its_time_is_up_with_a_jvm_left_running():
    endless = "from course_lib.spark import Jvm\njvm = Jvm().start()\nwhile True: pass"
    remains = autopsy(endless, timeout=3)
    assert (remains.timed_out, remains.survived) == (True, False)
    assert "still running" in repr(remains)


@pytest.mark.parametrize("kill_signal", [signal.SIGKILL, signal.SIGTERM])
def test_who_waits_for_the_remains_is_killed(tmp_path, kill_signal):
    folder = tmp_path / "waiting"
    folder.mkdir()
    ready = folder / "ready"
    workload = (
        "import time\n"
        "from course_lib.spark import Jvm\n"
        f"with Jvm(), open({str(ready)!r}, 'w'): time.sleep(600)"
    )
    waiting = f"from course_lib.spark.autopsy import autopsy\nautopsy({workload!r}, timeout=600)"
    command = [sys.executable, "-c", waiting]
    with subprocess.Popen(command, env=os.environ | {"TMPDIR": str(folder)}) as process:
        while not ready.exists():
            assert process.poll() is None
            time.sleep(0.05)
        assert "java" in [one.name() for one in marked(TEST, str(tmp_path))]
        process.send_signal(kill_signal)
    deadline = time.monotonic() + 60
    while (left := list(marked(TEST, str(tmp_path)))) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("kill_signal", "exit_code"), [(signal.SIGKILL, 137), (signal.SIGTERM, 143)]
)
def test_outgrows_its_container(kill_signal, exit_code):
    hoard = "hoard = bytearray(300_000_000)\nimport time; time.sleep(60)"
    remains = autopsy(hoard, container="200m", kill_signal=kill_signal)
    assert (remains.exit_code, remains.signal) == (exit_code, kill_signal.name)
    assert "of 200.0 MiB physical memory used by 1 process(es)" in remains.container
    assert remains.peak_resident > 200 * MIB


def test_fits_into_its_container():
    remains = autopsy("print(1)", container="500m")
    assert (remains.exit_code, remains.container) == (0, None)


def test_the_watcher_counts_children_too():
    code = (
        "import subprocess, sys; "
        "subprocess.run([sys.executable, '-c', 'b = bytearray(200_000_000); input()'])"
    )
    command = [sys.executable, "-c", code]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE) as process,
        ContainerWatcher(process.pid, 150 * MIB) as watcher,
    ):
        assert process.wait(30) == -signal.SIGKILL
    assert "2 process(es)" in watcher.verdict


def test_who_has_just_been_forked_does_not_count_yet():
    """Until it runs a program of its own it shows its parent's memory, as in YARN."""
    parent, child = psutil.Process(), psutil.Process(os.getppid())
    sizes = {parent: 100 * MIB, child: 90 * MIB}
    assert occupied(sizes, [parent], 150 * MIB) == occupied(sizes, [parent]) == 100 * MIB
    assert occupied(sizes, [parent, child], 150 * MIB) == occupied(sizes, sizes) == 190 * MIB
    assert occupied(sizes, [parent], 80 * MIB) == 190 * MIB  # more than twice what it may


def test_what_cannot_be():
    with pytest.raises(ValueError, match="Fractional values are not supported"):
        autopsy("1", heap="1.5g")
    with pytest.raises(ValueError, match="a container holds more than 0 bytes"):
        autopsy("1", container=0)

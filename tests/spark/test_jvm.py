"""The small JVM: what goes in, what is measured, how it dies."""

import gc
import os
import subprocess
import sys
import time
import zipfile

import psutil
import pytest

from course_lib.spark import Jvm, JvmDiedError, JvmOutOfMemoryError, SparkRefusal
from course_lib.spark.gc_log import read_gc_log
from course_lib.spark.oracle import Oracle

MIB = 2**20


@pytest.fixture(scope="module")
def jvm():
    with Jvm() as jvm:
        yield jvm


def gone(pid, patience=10):
    deadline = time.monotonic() + patience
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not psutil.pid_exists(pid)


def test_what_is_allocated_is_on_the_heap_until_freed_and_collected(jvm):
    jvm.collect()
    before = jvm.heap()
    assert before.used < 8 * MIB
    assert before.max == jvm.runtime_max_memory() == 64 * MIB
    allocation = jvm.allocate("20m")
    assert jvm.heap().used - before.used >= 20 * MIB
    jvm.free(allocation)
    jvm.collect()
    assert abs(jvm.heap().used - before.used) < 2 * MIB


def test_a_full_heap_says_so_and_lives(jvm):
    with pytest.raises(JvmOutOfMemoryError, match="The JVM lives on") as error:
        jvm.allocate("65m")
    assert (error.value.kind, error.value.alive) == ("Java heap space", True)
    assert jvm.heap().used > 0


def test_a_heap_filled_to_the_last_byte_does_not_keep_python_waiting():
    with Jvm("16m") as jvm:
        held = []
        for size in ("4m", "256k", "16k"):
            with pytest.raises(JvmOutOfMemoryError):  # noqa: PT012 - until it does
                while True:
                    held.append(jvm.allocate(size))
        assert jvm.alive


def test_native_memory_by_category(jvm):
    before = jvm.native_memory()
    assert before["Java Heap"].reserved == 64 * MIB
    parts = sum(part.committed for name, part in before.items() if name != "Total")
    assert parts == pytest.approx(before["Total"].committed, rel=0.02)
    jvm.start_threads(20)
    buffers = jvm.allocate_direct("16m")
    jvm.load_classes(300)
    after = jvm.native_memory()
    assert after["Thread"].reserved - before["Thread"].reserved >= 20 * MIB  # a stack is 1 MiB
    assert after["Other"].committed - before["Other"].committed >= 16 * MIB
    assert after["Class"].committed > before["Class"].committed
    assert jvm.resident_size() > 16 * MIB
    assert buffers.size == 16 * MIB


def test_interned_strings_live_on_the_heap(jvm):
    jvm.collect()
    before = jvm.heap().used
    jvm.intern_strings(20_000)
    jvm.collect()
    assert jvm.heap().used - before > 20_000 * 40


def test_pools_and_other_memory(jvm):
    assert {"Metaspace", "G1 Eden Space", "G1 Old Gen"} <= set(jvm.pools())
    assert jvm.non_heap().used > 0


def test_garbage_is_collected_and_survivors_are_not(jvm):
    before = jvm.gc_times()["G1 Young Generation"].collections
    run = jvm.make_garbage("200m", seconds=1, survivors_share=0.05)
    assert run.allocated > 0
    assert run.survived == pytest.approx(run.allocated * 0.05, abs=8192)
    assert jvm.gc_times()["G1 Young Generation"].collections > before
    with pytest.raises(ValueError, match="a share lies between 0 and 1, not 2"):
        jvm.make_garbage("1m", 1, survivors_share=2)


def test_compiles_java(jvm):
    twice = jvm.compile(
        "public class Twice { public int of(int number) { return 2 * number; } }", "Twice"
    )
    assert twice.of(21) == 42


def test_compiles_java_into_a_jar(jvm, tmp_path):
    jar = tmp_path / "pair.jar"
    jvm.write_jar("package shop; public class Pair { int left; } class Other { }", jar)
    assert sorted(zipfile.ZipFile(jar).namelist()) == ["shop/Other.class", "shop/Pair.class"]
    urls = jvm.gateway.new_array(jvm.jvm.java.net.URL, 1)
    urls[0] = jvm.jvm.java.net.URL(jar.as_uri())
    loaded = jvm.jvm.java.net.URLClassLoader(urls).loadClass("shop.Pair")
    assert loaded.getDeclaredFields()[0].getName() == "left"


def test_measures_objects_as_spark_does(jvm):
    assert jvm.size_of(jvm.allocate("1m")) == pytest.approx(MIB, rel=0.01)


@pytest.mark.parametrize(
    ("limits", "fill", "kind"),
    [
        ({"direct": "8m"}, lambda jvm: jvm.allocate_direct("9m"), "Direct buffer memory"),
        ({"metaspace": "24m"}, lambda jvm: jvm.load_classes(100_000), "Metaspace"),
        (
            {},
            lambda jvm: [
                jvm.jvm.java.lang.reflect.Array.newInstance(jvm.jvm.java.lang.Long.TYPE, 2**31 - 1)
            ],
            "Requested array size exceeds VM limit",
        ),
    ],
)
def test_each_area_has_its_own_error(limits, fill, kind):
    with Jvm(**limits) as jvm:
        with pytest.raises(JvmOutOfMemoryError) as error, jvm.failures():
            fill(jvm)
        assert (error.value.kind, error.value.alive, jvm.alive) == (kind, True, True)


def test_may_end_itself_when_out_of_memory():
    with Jvm(exit_on_oom=True) as jvm:
        with pytest.raises(JvmOutOfMemoryError, match="The JVM ended itself") as error:
            jvm.allocate("65m")
        assert (error.value.kind, error.value.alive) == ("Java heap space", False)
        assert (jvm.alive, jvm.exit_code) == (False, 3)
        with pytest.raises(JvmOutOfMemoryError):
            jvm.heap()


def test_tells_when_it_was_killed():
    with Jvm() as jvm:
        psutil.Process(jvm.pid).kill()
        with pytest.raises(JvmDiedError, match=r"exit code -9"):
            jvm.heap()


@pytest.mark.parametrize("collector", ["Parallel", "Serial", "Z"])
def test_other_collectors(collector, tmp_path):
    log = tmp_path / "gc.log"
    with Jvm("128m", initial_heap="32m", collector=collector, gc_log=log) as jvm:
        jvm.collect()
        assert jvm.heap().max <= 128 * MIB
    assert collector.lower()[0] == read_gc_log(log).collector.lower()[0]
    assert read_gc_log(log).collections


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"heap": "1.5g"}, "Fractional values are not supported"),
        ({"heap": -1}, "a size is not negative"),
        ({"collector": "CMS"}, "one of G1, Parallel, Serial, Z, not 'CMS'"),
    ],
)
def test_what_cannot_be(settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        Jvm(**settings)


def test_what_the_jvm_refuses():
    with pytest.raises(JvmDiedError, match="Unrecognized VM option 'Nonsense'"):
        Jvm(options=["-XX:+Nonsense"]).start()
    with pytest.raises(JvmDiedError, match="not started"):
        Jvm().heap()


def test_stops_when_told_and_when_forgotten():
    jvm = Jvm().start()
    pid = jvm.pid
    jvm.stop()
    jvm.stop()
    assert not psutil.pid_exists(pid)
    forgotten = Jvm().start()
    pid = forgotten.pid
    del forgotten
    gc.collect()
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize("fill", ["", "full(jvm)"])
def test_dies_with_its_python(fill):
    """Also with a heap so full that the JVM has no room to do anything about it."""
    code = f"""
from course_lib.spark import Jvm, JvmOutOfMemoryError
def full(jvm):
    held = []
    for size in ("4m", "256k", "16k"):
        try:
            while True:
                held.append(jvm.allocate(size))
        except JvmOutOfMemoryError:
            pass
jvm = Jvm("16m").start()
{fill}
print(jvm.pid, flush=True)
import time; time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as python:
        pid = int(python.stdout.readline())
        python.kill()
    assert gone(pid)


def test_listens_on_loopback_only(jvm):
    listening = [
        c.laddr.ip for c in psutil.Process(jvm.pid).net_connections() if c.status == "LISTEN"
    ]
    assert listening
    assert all(address.endswith("127.0.0.1") for address in listening)


def test_an_oracles_refusal_is_not_a_jvms_failure():
    with Oracle() as oracle, pytest.raises(SparkRefusal):
        oracle.byte_string_as_bytes("ten")


def test_nothing_is_left_in_the_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Jvm() as jvm:
        assert os.listdir(tmp_path)
        jvm.heap()
    assert os.listdir(tmp_path) == []

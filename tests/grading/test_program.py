"""A program with a learner's code in a jail of its own: it runs, and its walls hold."""

import os
from functools import partial
from pathlib import Path

import psutil
import pytest

from course_lib.grading import program
from course_lib.grading.jail import View
from course_lib.grading.program import jailed
from course_lib.spark.autopsy import autopsy

pytestmark = pytest.mark.jail

TESTS = Path(__file__).parents[1]


def run(source, *, view=None, **options):
    """Run Python source in a jail, as a test of a learner's Spark job does."""
    return autopsy(source, through=partial(jailed, view=view or View()), **options)


def test_what_it_prints_and_how_it_ends_is_told():
    remains = run("import sys; print('well'); print('badly', file=sys.stderr); sys.exit(3)")
    assert (remains.exit_code, remains.survived) == (3, False)
    assert remains.stdout == "well\n"
    assert "badly" in remains.log


def test_an_exception_and_a_signal():
    assert run("1 / 0").exception_class == "ZeroDivisionError"
    assert run("import os; os.kill(os.getpid(), 9)").exit_code == 137


def test_it_finds_no_secret_of_the_graders_in_its_environment(monkeypatch):
    monkeypatch.setenv("TEACHERS_TOKEN", "a secret")
    remains = run("import os; print(dict(os.environ)); print(open('/proc/1/environ').read())")
    assert "TMPDIR" in remains.stdout
    assert "TEACHERS_TOKEN" not in remains.stdout


def test_its_logs_are_told_and_are_not_its_last_words():
    remains = run("open('own.log', 'w').write('Caused by: java.io.IOException: old\\n'); {}['key']")
    assert (remains.exception_class, remains.message) == ("KeyError", "'key'")
    assert "IOException: old" in remains.log


def test_a_jail_that_does_not_stand_is_not_the_programs_fault(monkeypatch):
    monkeypatch.setattr(program, "_LIMITS", program.jail.Limits(scratch_mib=-1))
    broken = run("print('never')")
    assert broken.exit_code == program.FAILED
    assert "the jail cannot be furnished" in broken.log
    monkeypatch.undo()
    assert run("import sys; sys.exit(125)").exit_code == 1


def test_it_sees_neither_hidden_files_nor_other_processes(tmp_path):
    secret = tmp_path / "solutions"
    secret.mkdir()
    tmp_path.chmod(0o755)
    (secret / "solution.py").write_text("42")
    here = f"""
import os
from pathlib import Path
print(os.path.exists({str(secret / "solution.py")!r}))
print(os.path.exists({str(tmp_path / "open")!r}))
print(os.path.exists({str(TESTS)!r}))
print(sum(name.isdigit() for name in os.listdir("/proc")))
"""
    (tmp_path / "open").write_text("to be read")
    hidden, shown, tests, processes = run(here, view=View([tmp_path], [secret])).stdout.split()
    assert (hidden, shown, tests) == ("False", "True", "False")
    assert int(processes) == 2  # the jail's first one, and itself


def test_it_writes_nowhere_but_into_its_scratch_folder(tmp_path):
    tmp_path.chmod(0o777)
    source = f"""
import os
for place in ({str(tmp_path)!r}, "/", "/usr", os.path.dirname(__file__), "/etc", "."):
    try:
        with open(os.path.join(place, "left.txt"), "w") as file:
            file.write("here I was")
        print("written")
    except OSError:
        print("refused")
"""
    remains = run(source, view=View([tmp_path]))
    assert remains.stdout.split() == ["refused"] * 5 + ["written"]
    assert os.listdir(tmp_path) == []


def test_it_cannot_fill_the_machines_disk_or_reach_its_network():
    source = """
import socket
try:
    with open("large", "wb") as file:
        for _ in range(2000):
            file.write(bytes(1 << 20))
except OSError as error:
    print(error.strerror)
try:
    socket.create_connection(("192.0.2.1", 80), timeout=2)
except OSError as error:
    print("no network")
"""
    lines = run(source).stdout.splitlines()
    assert lines[0] in ("No space left on device", "File too large")
    assert lines[1] == "no network"


def test_nothing_outlives_it():
    before = set(psutil.pids())
    source = """
import os, time
for _ in range(5):
    if os.fork() == 0:
        os.setsid()
        time.sleep(3601)
{}
"""
    assert run(source.format("print('ended')")).stdout == "ended\n"
    assert run(source.format("time.sleep(3601)"), timeout=3).timed_out
    sleepers = [pid for pid in set(psutil.pids()) - before if "3601" in command_line(pid)]
    assert sleepers == []


def command_line(pid):
    try:
        return " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return ""


def test_its_memory_is_watched_from_outside():
    remains = run("hoard = bytearray(800 << 20); import time; time.sleep(60)", container="400m")
    assert "exceeding its memory" in remains.container
    assert not remains.survived


def test_spark_runs_in_it_and_its_logs_are_told():
    source = """
from course_lib.spark import lab_session
with lab_session(executors=1, executor_memory="480m", driver_memory="512m") as spark:
    print(spark.sparkContext.parallelize(range(10), 2).map(lambda n: n + 1).sum())
    spark.range(5).repartition(2).selectExpr("1 / (id - 3)").collect()
"""
    remains = run(source, timeout=120, container="3g")
    assert remains.stdout == "55\n", remains.log[-3000:]
    assert "DIVIDE_BY_ZERO" in remains.message
    assert "SparkArithmeticException" in remains.log

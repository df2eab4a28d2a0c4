"""Python workers of a real executor, measured, beside what the model says of them."""

import re
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from course_lib.model import arrow_batch, python_workers
from course_lib.model.python_workers import DAEMON, TOLERANCE, WORKER_ADDRESS_SPACE
from course_lib.spark.session import executor_processes, lab_session
from course_lib.units import GIB, KIB, MIB

COLUMNS = 8
NUMBERS = [f"id * {i}.5D AS c{i}" for i in range(COLUMNS)]
TEXT = ["repeat(uuid(), 2) AS text"]  # 72 characters, no two alike
CONF = {"spark.executor.memory": "512m", "spark.executor.cores": "1"}
NO_LIMIT_OF_BYTES = {"spark.sql.execution.arrow.maxBytesPerBatch": GIB}


@contextmanager
def executor(conf):
    conf = CONF | NO_LIMIT_OF_BYTES | {"spark.task.maxFailures": 1} | conf
    with lab_session(executors=1, executor_memory="512m", driver_memory="512m", conf=conf) as spark:
        yield spark


def pass_through(spark, columns, rows, folder, *, broadcast=None, operators=1):
    """Three batches of so many rows through Python; what the worker says of itself, in bytes."""
    told = folder / "told"

    def keep(batches):
        if broadcast is not None:
            assert len(broadcast.value)
        yield from batches
        told.write_text(Path("/proc/self/status").read_text())

    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", rows)
    data = spark.range(0, 3 * rows, 1, 1).selectExpr(*columns)
    for _ in range(operators):
        data = data.mapInPandas(keep, data.schema)
    data.write.format("noop").mode("overwrite").save()
    return status(told)


def status(path) -> dict[str, int]:
    """The sizes in a process's status, in bytes. Source: proc_pid_status(5)."""
    lines = (line.split() for line in Path(path).read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) * KIB for words in lines if words[-1] == "kB"}


def daemons_and_workers():
    """The Python processes of all executors: daemons, and the workers forked from them."""
    parents = {}
    for one in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # a worker that has just ended
            if "pyspark.daemon" in one.cmdline():
                parents[one] = one.ppid()
    pids = {one.pid for one in parents}
    workers = [one for one, parent in parents.items() if parent in pids]
    return [one for one in parents if one not in workers], workers


def test_workers_and_their_jvm_occupy_what_the_model_says(tmp_path):
    heap_in_full = "-Xms512m -XX:+AlwaysPreTouch"
    conf = {"spark.python.worker.reuse": False, "spark.executor.extraJavaOptions": heap_in_full}
    with executor(conf) as spark:
        (pid,) = [one.pid for one in executor_processes(spark) if one.role == "executor"]
        value = spark.sparkContext.broadcast(bytes(100 * MIB))
        small = arrow_batch(10_000, columns=COLUMNS)
        seen = {}
        for name, batch, columns, rows, broadcast in [
            ("small", small, NUMBERS, 10_000, None),
            ("broadcast", small, NUMBERS, 10_000, value),
            ("text", arrow_batch(250_000, text=72), TEXT, 250_000, None),
            ("large", arrow_batch(800_000, columns=COLUMNS), NUMBERS, 800_000, None),
        ]:
            side = python_workers(CONF, batch, broadcast=100 * MIB if broadcast else 0)
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # forgets the peak
            worker = pass_through(spark, columns, rows, tmp_path, broadcast=broadcast)
            jvm = status(f"/proc/{pid}/status")["VmHWM"]
            seen[name] = (worker["VmHWM"], side.resident), (jvm, side)
        (daemon,), _ = daemons_and_workers()
        assert daemon.memory_info().rss == pytest.approx(DAEMON, rel=TOLERANCE)
    for name, ((worker, modelled), (jvm, side)) in seen.items():
        assert worker == pytest.approx(modelled, rel=TOLERANCE), name
        whole = jvm + DAEMON + worker
        assert whole == pytest.approx(side.executor_resident, rel=TOLERANCE), name
    # What the large batch adds in the JVM is outside a heap that is there in full.
    added = seen["large"][1][0] - seen["small"][1][0]
    assert added == pytest.approx(seen["large"][1][1].arrow_in_jvm, rel=TOLERANCE)


def test_a_limit_lets_pass_and_refuses_what_the_model_says(tmp_path):
    pyspark = {"spark.executor.pyspark.memory": "900m"}

    told = tmp_path / "limits"

    def read_only(batches):
        yield from (one for one in batches if one.empty)
        told.write_text(Path("/proc/self/limits").read_text())
        (told.parent / "status").write_text(Path("/proc/self/status").read_text())

    with executor(pyspark) as spark:
        nothing = spark.range(0, 10_000, 1, 1).mapInPandas(read_only, "id long")
        assert nothing.collect() == []
        before = status(tmp_path / "status")
        sides = {
            rows: python_workers(CONF | pyspark, arrow_batch(rows, columns=COLUMNS, max_bytes=GIB))
            for rows in (10_000, 450_000, 2_000_000)
        }
        small, fits, fails = sides.values()
        (limit,) = re.findall(r"Max address space +(\d+) +(\d+)", told.read_text())
        assert limit == (str(small.limit),) * 2
        assert before["VmSize"] == pytest.approx(WORKER_ADDRESS_SPACE, rel=TOLERANCE)

        three = python_workers(CONF | pyspark, small.batch, operators=3)
        pass_through(spark, NUMBERS, 10_000, tmp_path, operators=3)
        _, workers = daemons_and_workers()
        assert len(workers) == three.workers  # and they stay, for the next job

        assert fits.address_space < (1 - TOLERANCE) * fits.limit
        pass_through(spark, NUMBERS, 450_000, tmp_path)
        assert fails.address_space > (1 + TOLERANCE) * fails.limit
        assert fails.outcome == "MemoryError"
        with pytest.raises(Exception, match=r"MemoryError|malloc of size|Unable to allocate"):
            pass_through(spark, NUMBERS, 2_000_000, tmp_path)
        assert [one for one in executor_processes(spark) if one.role == "executor"]  # it lives

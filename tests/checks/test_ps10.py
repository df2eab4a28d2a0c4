"""Problem set 10 against Spark itself: containers, limits and messages; and answers that are right
or wrong in ways of their own."""

import re
import resource
import signal
import time

import psutil
import pytest
from py4j.protocol import Py4JJavaError
from pyspark.errors import PythonException

from course_lib.checks import CannotCheckError, Status, grade, ps10
from course_lib.checks.ps10 import (
    EXECUTOR_SETTINGS,
    KILL_MESSAGES,
    LARGEST_BATCH,
    MESSAGES,
    SCORES_BY_USER,
    WHO_PAYS,
    judge_scores,
)
from course_lib.places import course_root
from course_lib.spark import NoJavaError, Oracle, lab_session
from course_lib.units import MIB


def test_spark_itself_asks_for_these_containers():
    with Oracle() as oracle:
        for heap, overhead, pyspark, *others in WHO_PAYS.inputs(10101):
            conf = {
                "spark.executor.memory": f"{heap}m",
                "spark.executor.pyspark.memory": f"{pyspark}m",
            }
            if overhead:
                conf["spark.executor.memoryOverhead"] = f"{overhead}m"
            asked = oracle.executor_memory(conf, is_python=True).total
            assert WHO_PAYS.reference(heap, overhead, pyspark, *others)["container"] == asked


def test_executors_end_in_each_way_with_and_without_pyspark_memory():
    inputs = WHO_PAYS.inputs(10101)
    ends = [(bool(one[2]), WHO_PAYS.reference(*one)["ends"]) for one in inputs]
    assert {one: ends.count(one) >= 6 for one in set(ends)} == {
        (False, "lives"): True,
        (False, "killed"): True,
        (True, "lives"): True,
        (True, "killed"): True,
        (True, "MemoryError"): True,
    }


def _task_that_ends(generation, how):
    """A task's function that sends a signal to its worker (0) or its executor (2)."""

    def task(_):
        [psutil.Process(), *psutil.Process().parents()][generation].send_signal(how)
        time.sleep(60)

    return task


def test_a_live_spark_limits_workers_and_writes_these_messages(monkeypatch):
    monkeypatch.setenv("PYSPARK_PYTHON", "/nowhere/python3.9")  # a session brings its own
    conf = {"spark.executor.pyspark.memory": "640m", "spark.task.maxFailures": 1}
    with lab_session(executors=1, executor_cores=2, executor_memory="512m", conf=conf) as spark:
        context = spark.sparkContext

        def failure_of(task):
            with pytest.raises((Py4JJavaError, PythonException)) as failure:
                context.parallelize([0], 1).map(task).collect()
            return re.sub(r"executor \d+", "executor 1", str(failure.value))

        def limit(_):
            return resource.getrlimit(resource.RLIMIT_AS)[0]

        most = context.parallelize([0], 1).map(limit).first()
        assert most == WHO_PAYS.reference(512, 0, 640, 2, 500, [100])["worker_limit"] * MIB
        assert re.search(rf"^{MESSAGES['c']}$", failure_of(lambda _: len(bytes(400 * MIB))), re.M)
        assert MESSAGES["b"] in failure_of(_task_that_ends(0, signal.SIGKILL))
        assert MESSAGES["a"] in failure_of(_task_that_ends(2, signal.SIGKILL))
        assert MESSAGES["d"] in failure_of(_task_that_ends(2, signal.SIGTERM))

        context.pythonVer = "3.9"  # of the driver, as the workers are told
        assert re.search(
            r"\[PYTHON_VERSION_MISMATCH\] Python in worker has different version: 3\.\d+ than that "
            r"in driver: 3\.9",
            failure_of(limit),
        )


def test_the_notebook_shows_these_messages():
    [notebook] = (course_root() / "solutions").glob("ps10-*/*.ipynb")
    text = re.sub(r'(\\n|["\s,])+', " ", notebook.read_text())
    for key, message in MESSAGES.items():
        assert f" {key} {message} " in text
    assert KILL_MESSAGES.reference().keys() == MESSAGES.keys()


def test_batches_may_be_searched_for_and_no_room_costs_one_point():
    def searched(room_mib, cores, worker_mib, copies, row_bytes, max_batch_mib, *, refuses=True):
        def fits(rows):
            batch = min(rows * row_bytes, max_batch_mib * MIB)
            return cores * (worker_mib * MIB + copies * batch) <= room_mib * MIB

        if fits(2**31):
            return 0
        if not fits(1):
            if refuses:
                raise ValueError("no room")
            return 1
        least, most = 1, 2**31
        while most - least > 1:
            middle = (least + most) // 2
            least, most = (middle, most) if fits(middle) else (least, middle)
        return least

    assert grade("ps10/largest_batch", searched, seed=5).status is Status.RIGHT
    feedback = LARGEST_BATCH.grade(lambda *room: searched(*room, refuses=False), 5)
    assert (feedback.status, feedback.points) == (Status.PARTLY_RIGHT, 2)


def settings(cores, overhead, rows):
    return {
        "spark.executor.cores": cores,
        "spark.executor.memoryOverhead": overhead,
        "spark.sql.execution.arrow.maxRecordsPerBatch": rows,
    }


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        (settings(8, "1g", 200), "spark.executor.cores: this executor may have 1 to 4 cores"),
        (settings(4, "2g", 200), "is above the max threshold (1664 MB) of this cluster!"),
        (settings(4, "1g", "some"), "a whole number of rows, as an int of 32 bits; not 'some'"),
        (settings(4, "1g", 2**40), "a whole number of rows, as an int of 32 bits"),
        (settings(4, ..., 200), "spark.executor.memoryOverhead: no value yet"),
        (settings(4, "1g", 200) | {"spark.executor.core": 1}, "did you mean"),
    ],
)
def test_settings_that_are_refused_before_anything_runs(monkeypatch, chosen, says):
    monkeypatch.setattr("course_lib.spark.autopsy.autopsy", None)
    feedback = EXECUTOR_SETTINGS.grade(chosen)
    assert feedback.status is Status.NOT_YET
    assert says in str(feedback)


def test_without_java_it_cannot_be_checked(monkeypatch):
    def no_java(*_arguments, **_options):
        raise NoJavaError("no Java was found")

    monkeypatch.setattr("course_lib.spark.autopsy.autopsy", no_java)
    feedback = EXECUTOR_SETTINGS.check(EXECUTOR_SETTINGS.reference())
    assert "This cannot be checked here: no Java was found" in str(feedback)


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("\nraise RuntimeError('no executor')", "the program did not finish"),
        (
            '\nprint(\'{"peak": 1, "verdict": null, "failure": "no space left"}\')',
            "a reason of its own: no space left",
        ),
    ],
)
def test_a_job_that_something_else_ends_costs_no_points(monkeypatch, program, says):
    monkeypatch.setattr(ps10, "_PROGRAM", program)
    with pytest.raises(CannotCheckError, match=says):
        EXECUTOR_SETTINGS.grade(EXECUTOR_SETTINGS.reference())


def report(**changed):
    right = {
        "value": [[str(user), str(score)] for user, score in ps10._right_scores(5).items()],
        "shuffled": 7,
        "driver_mib": 120,
        "peak": 600 * MIB,
        "verdict": None,
    }
    return right | changed


def test_scores_in_any_order_are_right():
    assert judge_scores(None, report(), 5).passed
    assert judge_scores(None, report(value=report()["value"][::-1]), 5).passed
    assert not judge_scores(None, report(), 6).passed


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("None", "should return a dict of int to int; this is None."),
        ("a list", "should return a dict of int to int; this is a list."),
        ([["'0'", "1"]], "should return a dict of int to int; a key is '0'."),
        ([["1", "1"]], "The score of user 0 is missing; right is"),
        ([["0", "1.5"]], "The score of user 0 is 1.5; right is"),
    ],
)
def test_scores_of_another_kind_are_told_from_wrong_ones(value, says):
    effect = judge_scores(None, report(value=value), 5)
    assert not effect.passed
    assert says in effect.says


def test_code_that_fails_by_itself_is_told_its_own_error():
    def scores_by_user(rows, score):
        return rows.groupBy("usr").count()

    feedback = SCORES_BY_USER.grade(scores_by_user, 5)
    assert feedback.status is Status.NOT_YET
    assert feedback.misconceptions == ()
    assert "usr" in str(feedback)


def test_summing_up_batch_by_batch_is_right_too():
    def scores_by_user(rows, score):
        def sums(batches):
            for batch in batches:
                scores = batch.assign(score=batch["body"].map(score))
                yield scores.groupby("user", as_index=False)["score"].sum()

        partial = rows.mapInPandas(sums, "user long, score long").rdd.map(tuple)
        return partial.reduceByKey(lambda one, other: one + other).collectAsMap()

    feedback = SCORES_BY_USER.grade(scores_by_user, 5)
    assert feedback.status is Status.RIGHT, str(feedback)

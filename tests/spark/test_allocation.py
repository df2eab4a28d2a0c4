"""Executors that come and go, told from what Spark itself says of them."""

import time

import pytest

from course_lib.spark import (
    ExecutorLife,
    executor_lives,
    held_over_time,
    lab_session,
    seconds_since_start,
    standalone_cluster,
)
from course_lib.spark.allocation import _seconds

FIRST, SECOND = ExecutorLife("0", 1.5, 4.0, "idle"), ExecutorLife("1", 2.0, None, "")


def test_steps_of_what_executors_held():
    assert held_over_time([FIRST, SECOND], 512, until=5.0) == (
        (0.0, 0),
        (1.5, 0),
        (1.5, 512),
        (2.0, 512),
        (2.0, 1024),
        (4.0, 1024),
        (4.0, 512),
        (5.0, 512),
    )
    assert held_over_time([], 512, until=5.0) == ((0.0, 0), (5.0, 0))


def test_the_last_step_is_there_although_the_reader_is_early():
    assert held_over_time([SECOND], 512, until=1.0)[-1] == (2.0, 512)


def test_a_moment_as_the_rest_api_writes_it():
    assert _seconds("1970-01-02T00:00:01.250GMT") == 86401.25
    with pytest.raises(ValueError, match="Invalid isoformat string"):
        _seconds("yesterday")


def test_an_executor_that_comes_with_the_work_and_goes_when_idle():
    conf = {
        "spark.dynamicAllocation.enabled": True,
        "spark.dynamicAllocation.executorIdleTimeout": "1s",
        "spark.dynamicAllocation.maxExecutors": 1,
    }
    with (
        standalone_cluster(workers=1, cores=1, memory="512m") as cluster,
        lab_session(master=cluster.master, executor_memory="480m", conf=conf) as spark,
    ):
        assert executor_lives(spark) == []
        assert spark.sparkContext.parallelize(range(4), 2).count() == 4
        while (life := executor_lives(spark)[0]).removed is None:
            time.sleep(0.1)
        assert len(executor_lives(spark)) == 1
        assert 0 < life.added < life.removed <= seconds_since_start(spark)
        assert life.id == "0"
        assert "killed by driver" in life.why

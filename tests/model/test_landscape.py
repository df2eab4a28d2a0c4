import pytest

from course_lib.model import TraceError, UnifiedMemoryManager, parse_trace, score
from course_lib.model.landscape import landscape, on_cores, outcome
from course_lib.units import GIB

TRACE = """\
cache rdd_0_0 200m
ask t1 150m
ask t2 150m
finish t1
finish t2
"""


def lines(trace, cores):
    return [str(event) for event in on_cores(parse_trace(trace), cores)]


def test_an_outcome_is_the_setting_and_the_score_that_replay_gives():
    conf = {"spark.memory.fraction": "0.5", "spark.memory.storageFraction": "0.2"}
    manager = UnifiedMemoryManager.from_conf(conf, system_memory=GIB)
    setting = {"heap": "1g", "memory_fraction": 0.5, "storage_fraction": 0.2}
    assert outcome(TRACE, setting) == setting | score(manager, TRACE)._asdict()


def test_a_landscape_has_every_combination_the_last_axis_fastest():
    rows = landscape(TRACE, heap=["1g", "2g"], cores=[1, 2, 3])
    assert [(row["heap"], row["cores"]) for row in rows] == [
        ("1g", 1), ("1g", 2), ("1g", 3), ("2g", 1), ("2g", 2), ("2g", 3),
    ]  # fmt: skip
    assert rows[4] == outcome(TRACE, {"heap": "2g", "cores": 2})


def test_without_axes_it_is_the_outcome_of_the_defaults():
    assert landscape(TRACE) == [outcome(TRACE, {})]


def test_cores_decide_how_many_tasks_run_at_once():
    assert lines(TRACE, 2) == TRACE.splitlines()
    assert lines(TRACE, 1) == [
        "cache rdd_0_0 200m", "ask t1 150m", "finish t1", "ask t2 150m", "finish t2",
    ]  # fmt: skip


def test_a_task_without_a_core_begins_when_another_ends_in_the_order_in_which_they_came():
    trace = (
        "ask t1 1m\nask t2 2m\nask t3 3m\nfinish t3\nask t2 4m\nfinish t1\nread rdd_0_0\nfinish t2"
    )
    assert lines(trace, 1) == [
        "ask t1 1m", "finish t1", "ask t2 2m", "ask t2 4m", "read rdd_0_0", "finish t2",
        "ask t3 3m", "finish t3",
    ]  # fmt: skip


def test_a_task_that_never_gets_a_core_is_left_out():
    assert lines("ask t1 1m\nask t2 1m", 1) == ["ask t1 1m"]


def test_a_task_may_begin_again_after_its_end():
    trace = "ask t1 1m\nfinish t1\nask t1 2m\nfinish t1"
    assert lines(trace, 1) == trace.splitlines()


@pytest.mark.parametrize(
    ("setting", "error", "complaint"),
    [
        ({"core": 2}, TypeError, "a setting has heap, memory_fraction, .*, not 'core'"),
        ({"cores": 0}, ValueError, "at least 1 core, not 0"),
        ({"cores": float("nan")}, ValueError, "at least 1 core, not nan"),
        ({"heap": "100m"}, ValueError, "INVALID_EXECUTOR_MEMORY"),
        ({"heap": "a lot"}, ValueError, "Failed to parse byte string: a lot"),
        ({"storage_fraction": 1.0}, ValueError, r"Storage fraction must be in \[0,1\)"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(setting, error, complaint):
    with pytest.raises(error, match=complaint):
        outcome(TRACE, setting)


def test_a_trace_that_cannot_be_is_refused():
    with pytest.raises(TraceError, match="line 1, `boil tea`"):
        landscape("boil tea", cores=[1])

"""Problem set 15: numbers that are fair to everybody, closed forms held against the model's play,
and settings tried out that are right or wrong in ways of their own."""

from itertools import pairwise

import pytest

from course_lib.checks import CannotCheckError, Status, ps15
from course_lib.checks.ps15 import CUT, KEEP_CACHED, LARGEST_JOB, PLAN, WHAT_IF
from course_lib.checks.values import same
from course_lib.model import UnifiedMemoryManager, parse_trace, score
from course_lib.spark import NoJavaError
from course_lib.units import MIB

LEARNERS = [f"learner-{number:03}" for number in range(200)]


def lost(task, wrong):
    """The values of a prediction that somebody loses who is wrong in that way."""
    right, shown = task.reference(), wrong.compute()
    return {key for key in shown if not same(right[key], shown[key], task.within)}


@pytest.mark.parametrize("personal", [PLAN, WHAT_IF])
def test_each_mistake_costs_every_learner_the_same(personal):
    tasks = [personal.of(learner) for learner in LEARNERS]
    for number, wrong in enumerate(tasks[0].misconceptions):
        costs = {frozenset(lost(task, task.misconceptions[number])) for task in tasks}
        assert len(costs) == 1, wrong.name
        assert costs.pop()


@pytest.mark.parametrize("personal", [PLAN, WHAT_IF])
def test_a_neighbours_answers_earn_a_quarter_at_most_and_mostly_nothing(personal):
    shared = []
    for one, other in pairwise([personal.of(learner) for learner in LEARNERS]):
        copied = other.grade(one.reference())
        shared.append(copied.points / copied.max_points)
    assert max(shared) <= 1 / 4
    assert sum(share == 0 for share in shared) > 180


def test_no_two_of_all_have_the_same_numbers():
    for personal in (PLAN, WHAT_IF):
        assert len({repr(personal.numbers(learner)) for learner in LEARNERS}) == len(LEARNERS)


@pytest.mark.parametrize("learner", LEARNERS)
def test_the_same_things_matter_for_every_learner(learner):
    clusters = PLAN.numbers(learner)
    yarn, kubernetes, standalone = clusters.values()
    fit = {name: one["node_cores"] // one["executor_cores"] for name, one in clusters.items()}
    # On YARN no core is left, rounding costs a good part of a step, and a tenth is more than 384.
    assert yarn["node_cores"] % yarn["executor_cores"] == 0
    share = yarn["node_memory"] // fit["yarn"]
    assert 1 / 4 <= share % yarn["step"] / yarn["step"] <= 3 / 4
    assert share // yarn["step"] * yarn["step"] > 4224
    # On Kubernetes each node has cores left over, and 0.4 is more than 384.
    assert kubernetes["node_cores"] % kubernetes["executor_cores"] > 0
    # On standalone memory is what runs out.
    by_memory = standalone["node_memory"] // standalone["executor_memory"]
    assert fit["standalone"] == by_memory + 1
    # A job that fits, and needs about five quarters of what it may have when its data doubles.
    today = WHAT_IF.numbers(learner)
    share = (today["executor_memory"] - 300) * 0.6 / today["executor_cores"]
    need = today["data"] / today["partitions"] * today["growth"]
    assert 0.62 < need / share < 0.66


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_plan_by_hand_is_right(learner):
    by_hand = ps15._on_paper(PLAN.numbers(learner))
    assert PLAN.check(by_hand, learner_id=learner).status is Status.RIGHT


def disturbed(executors, cores, heap_mib, cached_mib, partitions, growth, data):
    """What one executor spills and evicts, in MiB, when its tasks sort so much data: the model."""
    manager = UnifiedMemoryManager(
        round((heap_mib - 300) * 0.6 * MIB), round((heap_mib - 300) * 0.3 * MIB)
    )
    tasks = min(cores, -(-partitions // executors))
    need = round(data / partitions * growth * MIB)
    cached = round(cached_mib / executors * MIB)
    trace = [f"cache rdd_0_0 {cached}b"] if cached else []
    trace += [f"ask t{task} {need // 20}b" for _ in range(20) for task in range(tasks)]
    played = score(manager, parse_trace("\n".join(trace)))
    return (played.spilled + played.evicted) / MIB


FITTING = [job for job in LARGEST_JOB.inputs(15102) if LARGEST_JOB.reference(*job)]


@pytest.mark.parametrize("job", FITTING)
def test_the_model_plays_the_largest_job_undisturbed_and_no_larger_one(job):
    largest = LARGEST_JOB.reference(*job)
    assert disturbed(*job, 0.995 * largest) == 0
    assert disturbed(*job, 1.02 * largest) > 0


def test_a_table_that_leaves_no_room_leaves_no_job():
    assert sum(LARGEST_JOB.reference(*job) == 0 for job in LARGEST_JOB.inputs(15102)) == 3


def cut(cores, memory):
    return {"spark.executor.cores": cores, "spark.executor.memory": memory}


def keep(setting, value):
    return {"setting": f"spark.dynamicAllocation.{setting}", "value": value}


@pytest.mark.parametrize(
    ("task", "chosen", "says"),
    [
        (CUT, cut(8, "1g"), "spark.executor.cores: the worker has 4 cores, so 1 to 4"),
        (CUT, cut(2, "400m"), "must be at least 471859200"),
        (CUT, cut(2, "much"), "spark.executor.memory: "),
        (CUT, cut(2, "3g"), "no executor would ever start"),
        (KEEP_CACHED, keep("enabled", "true"), "setting: choose one of spark.dynamicAllocation.i"),
        (KEEP_CACHED, keep("minExecutors", "many"), "executors are counted, as in 4"),
        (KEEP_CACHED, keep("minExecutors", "9"), "is a number from 0 to 4 here"),
        (KEEP_CACHED, keep("maxExecutors", "2"), "the work takes 4 executors at once"),
        (KEEP_CACHED, keep("executorIdleTimeout", "0s"), "must be > 0"),
        (KEEP_CACHED, keep("executorIdleTimeout", ...), "value: no value yet"),
    ],
)
def test_settings_that_are_refused_before_anything_runs(monkeypatch, task, chosen, says):
    monkeypatch.setattr("course_lib.spark.autopsy.autopsy", None)
    feedback = task.grade(chosen)
    assert feedback.status is Status.NOT_YET
    assert says in str(feedback)


def told(monkeypatch, **report):
    monkeypatch.setattr(ps15, "_tried_on_a_cluster", lambda program, **given: report)


@pytest.mark.parametrize(
    ("chosen", "spilled", "blocks", "misconceptions"),
    [
        (cut(2, "1g"), 0, [4, 4], ()),
        (cut(2, "1g"), 0, [8, 0], ()),  # as Spark spreads tasks; both are there
        (cut(1, "512m"), MIB, [2, 2, 2, 2], ("makes them thin",)),
        (cut(3, "1g"), 0, [8], ("leaves cores idle",)),
    ],
)
def test_what_a_cut_comes_to(monkeypatch, chosen, spilled, blocks, misconceptions):
    told(monkeypatch, spilled=spilled, blocks=blocks)
    feedback = CUT.grade(chosen)
    assert feedback.misconceptions == misconceptions
    assert (feedback.status is Status.RIGHT) == (not misconceptions)


@pytest.mark.parametrize(
    ("paused", "at_the_end", "misconceptions"),
    [
        ([1, 1], [], ()),
        ([1, 1], [0, 0], ("keeps them by number",)),
        ([1, 1, 0, 0], [], ("keeps them by number",)),
        ([0, 0], [], ("keeps them by number",)),
    ],
)
def test_what_a_minimum_comes_to(monkeypatch, paused, at_the_end, misconceptions):
    told(monkeypatch, **{"after the pause": paused, "given up": at_the_end})
    feedback = KEEP_CACHED.grade(keep("minExecutors", "2"))
    assert feedback.misconceptions == misconceptions
    assert (feedback.status is Status.RIGHT) == (paused == [1, 1] and not at_the_end)


@pytest.mark.parametrize(
    ("paused", "misconceptions"),
    [([1, 1], ()), ([], ("waits too short a time",)), ([1, 1, 0], ())],
)
def test_what_a_longer_timeout_comes_to(monkeypatch, paused, misconceptions):
    told(monkeypatch, **{"after the pause": paused, "given up": []})
    feedback = KEEP_CACHED.grade(keep("cachedExecutorIdleTimeout", "30s"))
    assert feedback.misconceptions == misconceptions
    assert (feedback.status is Status.RIGHT) == (paused == [1, 1])


@pytest.mark.parametrize("task", [CUT, KEEP_CACHED])
def test_without_java_it_cannot_be_checked(monkeypatch, task):
    def no_java():
        raise NoJavaError("no Java was found")

    monkeypatch.setattr("course_lib.spark.autopsy.java_env", no_java)
    feedback = task.check(task.reference())
    assert "This cannot be checked here: no Java was found" in str(feedback)


def test_a_trial_that_something_else_ends_costs_no_points(monkeypatch):
    monkeypatch.setattr(ps15, "_CUT", "raise RuntimeError('no cluster')")
    with pytest.raises(CannotCheckError, match="the program did not finish"):
        CUT.grade(CUT.reference())

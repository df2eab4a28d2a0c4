"""Problem set 13 against the model and against Spark, and answers to it that are right in ways of
their own."""

import json
from itertools import combinations, product
from pathlib import Path

import nbformat
import pytest

from course_lib.checks import CannotCheckError, Status, grade
from course_lib.checks.ps13 import (
    BALANCES,
    CACHED,
    DAYS,
    JOB,
    MOST_SECONDS,
    NEXT_READ,
    READ_IN,
    SORT_MIB,
    STORE_MIB_PER_S,
    TO_CACHE,
    _next_read,
    _replayed,
    _saves,
    _seconds_and_spill,
    balances_by_hand,
    judge_balances,
)
from course_lib.spark import NoJavaError
from course_lib.spark.autopsy import autopsy

ROOT = Path(__file__).parents[2]
TIMES = {1: "once", 3: "three times", 4: "four times", 5: "five times"}


@pytest.fixture(scope="module")
def text():
    notebook = ROOT / "solutions/ps13-caching-well/ps13-caching-well.ipynb"
    cells = nbformat.read(notebook, as_version=4).cells
    return " ".join(" ".join(c.source for c in cells if c.cell_type == "markdown").split())


# to_cache


@pytest.mark.parametrize("seed", [0, 13101])
def test_no_other_choice_is_quicker_when_played(seed):
    for job in TO_CACHE.inputs(seed):
        right = TO_CACHE.reference(*job)
        least, spill = _seconds_and_spill(*job, right)
        assert spill == 0
        for choice in product((False, True), repeat=4):
            seconds, spill = _seconds_and_spill(*job, dict(zip(job[-1], choice, strict=True)))
            assert spill or seconds >= least, (job, choice)


@pytest.mark.parametrize("seed", [0, 13101])
def test_what_is_gained_when_played_is_what_the_notebook_says(seed):
    for *sizes, tables in TO_CACHE.inputs(seed):
        right = TO_CACHE.reference(*sizes, tables)
        without, _ = _seconds_and_spill(*sizes, tables, dict.fromkeys(tables, False))
        least, _ = _seconds_and_spill(*sizes, tables, right)
        gains = sum(_saves(*tables[name]) for name in tables if right[name])
        assert without - least == pytest.approx(gains)


def test_the_choice_to_go_by_is_right(text):
    memory, execution, tables = TO_CACHE.examples[0]
    assert f"with {memory} MiB, of which tasks need {execution}" in text
    for name, numbers in tables.items():
        assert f"| `{name}` | {' | '.join(map(str, numbers))} |" in text
    right = TO_CACHE.reference(memory, execution, tables)
    assert str(right).replace("'", '"') in text
    assert f"at {STORE_MIB_PER_S} MiB in a second" in text


def test_an_answer_that_caches_nothing_in_vain_is_right():
    def answer(memory, execution, tables):
        def seconds(names):
            return sum(
                time + size / 50 if name in names else time * reads
                for name, (size, time, reads) in tables.items()
            )

        choices = [set(c) for n in range(5) for c in combinations(tables, n)]
        fitting = [c for c in choices if sum(tables[n][0] for n in c) + execution <= memory]
        best = min(fitting, key=seconds)
        return {name: name in best for name in tables}

    assert grade("ps13/to_cache", answer, seed=13101).status is Status.RIGHT


# next_read


_PARTLY_CACHED = """
import json

from pyspark import StorageLevel
from course_lib.spark import lab_session, rest


def run(table):
    table.write.format("noop").mode("overwrite").save()
    spark.sparkContext._jsc.sc().listenerBus().waitUntilEmpty()
    return rest(spark, "stages")[0]["inputRecords"] // 10_000


conf = {"spark.rdd.compress": False}
with lab_session(driver_memory="480m", cores=1, conf=conf) as spark:
    text = "repeat(sha2(string(id), 256), 15) AS text"
    for level in (StorageLevel.MEMORY_ONLY, StorageLevel.MEMORY_AND_DISK):
        table = spark.range(0, 160_000, 1, 16).selectExpr("id", text).persist(level)
        run(table)
        [tab] = rest(spark, "storage/rdd")
        tab = rest(spark, f"storage/rdd/{tab['id']}")
        print(json.dumps([tab, run(table)]))
        table.unpersist(True)
"""


def test_what_spark_computes_again_is_what_its_storage_tab_lacks():
    remains = autopsy(_PARTLY_CACHED, timeout=200)
    assert remains.survived, remains.log[-2000:]
    (in_memory, computed), (with_disk, none) = map(json.loads, remains.stdout.splitlines())
    read = _next_read(in_memory, None)
    assert read["computed"] == computed > 0
    assert read["memory"] == 16 - computed
    assert read["disk"] == 0
    read = _next_read(with_disk, None)
    assert read["computed"] == none == 0
    assert read["disk"] > 0
    assert set(NEXT_READ.examples[0][0]) <= set(in_memory)
    assert set(NEXT_READ.examples[0][0]["partitions"][0]) <= set(in_memory["partitions"][0])


@pytest.mark.parametrize("seed", [0, 13102])
def test_tabs_come_with_blocks_of_every_kind(seed):
    reads = [NEXT_READ.reference(*arguments) for arguments in NEXT_READ.inputs(seed)]
    assert all(read["computed"] for read in reads)
    assert any(read["memory"] and read["disk"] for read in reads)


# cached


def test_the_notebook_says_what_the_program_does(text):
    for name, (blocks, seconds, times) in JOB.items():
        assert READ_IN.count(name) == times
        assert f"| `{name}` | {blocks} | {seconds} | {TIMES[times]} |" in text
    assert f"The order is {', '.join(READ_IN)}." in text
    assert f"needs {SORT_MIB} MiB" in text
    assert f"at most {MOST_SECONDS} seconds" in text


def test_only_one_choice_passes_on_the_model():
    passing = []
    for flags in product((False, True), repeat=len(JOB)):
        choice = dict(zip(JOB, flags, strict=True))
        score = _replayed(choice)[-1].score
        seconds = sum(time * (1 if choice[name] else n) for name, (_, time, n) in JOB.items())
        if not (score.evicted or score.refused) and seconds <= MOST_SECONDS:
            passing.append(choice)
    assert passing == [CACHED.reference()]


@pytest.mark.parametrize("value", ["True", 1, "MEMORY_ONLY"])
def test_a_choice_is_true_or_false(value):
    feedback = CACHED.check(CACHED.reference() | {"rates": value})
    assert feedback.status is Status.NOT_YET
    assert "rates: True to cache the table, or False" in str(feedback)


def test_a_program_that_does_not_finish_is_not_the_learners_fault(monkeypatch):
    monkeypatch.setattr("course_lib.checks.ps13._PROGRAM", "raise SystemExit(5)")
    with pytest.raises(CannotCheckError, match="exit code 5"):
        CACHED.grade(CACHED.reference())


def test_what_spark_does_otherwise_is_not_the_learners_fault(monkeypatch):
    report = {"computed": dict.fromkeys(JOB, 1), "spilled": 7, "on_disk": 0}
    monkeypatch.setattr("course_lib.checks.ps13._report", lambda cached: report)
    with pytest.raises(CannotCheckError, match="did not do what the model does"):
        CACHED.grade(CACHED.reference())


def test_without_java_it_cannot_be_checked(monkeypatch):
    def no_java():
        raise NoJavaError("no Java was found")

    monkeypatch.setattr("course_lib.spark.java.find_java", no_java)
    feedback = CACHED.check(CACHED.reference())
    assert "This cannot be checked here: no Java was found" in str(feedback)


# balances: what it says of reports; the definitions' own tests run it


def _report(**changes) -> dict:
    report = {"seen": [0, 1, 1, 1], "left": 0, "is_kept": True, "computed": 1}
    return report | {"value": balances_by_hand(5)} | changes


def test_the_notebook_says_how_many_days_there_are(text):
    assert f"for {DAYS} days" in text


def test_a_report_of_what_is_asked_passes():
    assert judge_balances(None, _report(), 5).passed
    fewer = judge_balances(None, _report(seen=[0, 0, 1, 1]), 5)  # stored elsewhere meanwhile
    assert fewer.passed


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"value": "an object of type dict"}, "it should be a list"),
        ({"value": balances_by_hand(5)[::-1]}, "in the order of the days"),
        ({"value": balances_by_hand(6)}, "right is"),
        ({"value": balances_by_hand(5)[:2]}, "right is"),
        ({"seen": [0, 1, 1, 1, 1]}, "calls `next_day` 5 times for 4 days"),
        ({"left": 1}, "The last table is still cached"),
    ],
)
def test_what_else_can_be_wrong_is_said(changes, says):
    effect = judge_balances(None, _report(**changes), 5)
    assert not effect.passed
    assert says in effect.says
    assert effect.misconception is None


def test_an_answer_that_fails_is_told_how():
    def balances(start, next_day, days):
        return start.no_such_method()

    feedback = BALANCES.grade(balances, 0)
    assert feedback.points == 0
    assert "no_such_method" in str(feedback)

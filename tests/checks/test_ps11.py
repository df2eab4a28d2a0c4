"""Problem set 11 against Spark's own rows and plans, and answers wrong in ways of their own."""

from dataclasses import replace

import pytest
from answers import defined_in_a_cell

from course_lib.checks import CannotCheckError, Status, ps11
from course_lib.checks.ps11 import (
    BROADCAST_SIDE,
    HEAP_FOR_RESULT,
    SURVIVORS,
    TOP_CUSTOMERS,
    judge_top_customers,
)
from course_lib.model import Result
from course_lib.spark import NoJavaError, Remains, lab_session
from course_lib.units import MIB

MIB_OF_LONGS = MIB // 8

ENDED = Remains(0, None, None, None, None, None, 0, None, False, 1.0, "", "")


def test_spark_itself_holds_these_rows_and_plans_these_joins():
    with lab_session(driver_memory="512m", cores=1) as spark:
        weigh = spark._jvm.org.apache.spark.util.SizeEstimator.estimate
        for _, numbers, texts, ratio in HEAP_FOR_RESULT.inputs(1101):
            columns = [f"id + {i} AS n{i}" for i in range(numbers)]
            columns += [f"repeat('x', {length}) AS t{i}" for i, length in enumerate(texts)]
            plan = spark.range(100).selectExpr(*columns)._jdf.queryExecution().executedPlan()
            right = HEAP_FOR_RESULT.reference(100, numbers, texts, ratio)
            # One of a row's two references is gone when all have arrived, and so is what came in.
            assert weigh(plan.executeCollect()) == 16 + right["heap"] - right["counted"] - 100 * 4

        for left, right, join, hint, threshold in BROADCAST_SIDE.inputs(1104):
            most = f"{threshold}m" if threshold > 0 else "-1"
            spark.conf.set("spark.sql.autoBroadcastJoinThreshold", most)
            sides = {"left": spark.range(left * MIB_OF_LONGS)}
            sides["right"] = spark.range(right * MIB_OF_LONGS)
            if hint:
                sides[hint] = sides[hint].hint("broadcast")
            joined = sides["left"].join(sides["right"], "id", join)
            plan = joined._jdf.queryExecution().executedPlan().toString()
            planned = "none"
            if "BroadcastHashJoin" in plan:
                planned = "left" if "BuildLeft" in plan else "right"
            arguments = (left, right, join, hint, threshold)
            assert BROADCAST_SIDE.reference(*arguments) == planned, (arguments, plan)


@pytest.mark.parametrize(("rows", "columns", "text"), [(1000, 3, 0), (10, 65, 0), (500, 2, 13)])
def test_the_model_counts_the_same(rows, columns, text):
    numbers, texts = (0, [text] * columns) if text else (columns, [])
    result = Result(rows, columns, text)
    assert HEAP_FOR_RESULT.reference(rows, numbers, texts, 1) == {
        "counted": result.serialized,
        "heap": result.serialized + result.row_objects,
    }


def test_every_side_is_right_for_some_join():
    inputs = BROADCAST_SIDE.inputs(1104)
    assert {BROADCAST_SIDE.reference(*one) for one in inputs} == {"left", "right", "none"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"take": "yes"}, "take: say True if the driver survives it, otherwise False; not 'yes'"),
        ({"write": ...}, "write: no value yet"),
        ({"colect": False}, "did you mean collect"),
    ],
)
def test_what_is_not_yes_or_no_is_refused_before_anything_runs(monkeypatch, change, says):
    monkeypatch.setattr(ps11, "_survivors", None)
    feedback = SURVIVORS.grade(SURVIVORS.reference() | change)
    assert feedback.status is Status.NOT_YET
    assert says in str(feedback)


def test_without_java_it_cannot_be_checked(monkeypatch):
    def no_java(*_arguments, **_options):
        raise NoJavaError("no Java was found")

    monkeypatch.setattr("course_lib.spark.autopsy.autopsy", no_java)
    monkeypatch.setattr(ps11, "_survivors", ps11._survivors.__wrapped__)
    feedback = SURVIVORS.check(SURVIVORS.reference())
    assert "This cannot be checked here: no Java was found" in str(feedback)


def test_an_action_that_something_else_ends_costs_no_points(monkeypatch):
    monkeypatch.setattr(ps11, "_PROGRAM", "raise RuntimeError('no space left')")
    monkeypatch.setattr(ps11, "_survivors", ps11._survivors.__wrapped__)
    with pytest.raises(CannotCheckError, match="no space left"):
        SURVIVORS.grade(SURVIVORS.reference())


def judged(value=None, **report):
    report = {"value": value, "brought": 1000} | report
    return judge_top_customers(ENDED, report, 7)


def test_the_right_answer_passes_if_it_brings_little():
    right = ps11._right_customers(7)
    assert judged(right).passed
    assert not judged(right, brought=MIB).passed


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "is None; it should be a list"),
        ({}, "is {}; it should be a list"),
        ([[1, 2]], "has 1 entries; it was asked for 9"),
        ([7] * 9, "has 7; each entry is a customer and a total"),
        ([[1, 2, 3]] * 9, "has [1, 2, 3]; each entry is a customer and a total"),
        ([["Ada", "12"]] * 9, "It survives and returns [['Ada', '12'],"),
        ([[[], 1]] * 9, "It survives and returns [[[], 1],"),
    ],
)
def test_what_is_no_list_of_pairs_is_told_so(value, says):
    effect = judged(value)
    assert not effect.passed
    assert says in effect.says
    assert effect.misconception is None


def test_pairs_in_the_wrong_order_are_wrong():
    effect = judged(ps11._right_customers(7)[::-1])
    assert not effect.passed
    assert effect.misconception is None


def test_a_child_that_dies_of_something_else_is_told_as_it_is():
    failed = replace(ENDED, exit_code=1, exception_class="TypeError", message="no such thing")
    effect = judge_top_customers(failed, None, 7)
    assert "raises `TypeError: no such thing`" in effect.says


def test_a_data_frame_is_not_the_list_that_was_asked_for():
    cell = """
def top_customers(orders, n):
    return orders.groupBy("customer").sum("amount").limit(n)
"""
    feedback = TOP_CUSTOMERS.check(defined_in_a_cell(cell)["top_customers"])
    assert "It returns an object of type DataFrame; it should be a list" in str(feedback)

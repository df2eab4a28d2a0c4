"""Functions whose source runs in a child process: whatever they do, the learner is told what."""

from dataclasses import replace

import pytest
from answers import answer, defined_in_a_cell
from tiny_program import TOTAL, judge_total

from course_lib.checks import Status


def written(*body):
    """The function ``total(numbers)`` with these lines, as a cell of a notebook defines it."""
    lines = "".join(f"    {line}\n" for line in body)
    return defined_in_a_cell(f"def total(numbers):\n{lines}")["total"]


def test_right_wrong_and_why():
    right = TOTAL.grade(answer(TOTAL, TOTAL.reference, 7), seed=7)
    assert (right.status, right.points) == (Status.RIGHT, 2)
    wrong = TOTAL.grade(answer(TOTAL, TOTAL.misconceptions[0].compute, 7), seed=7)
    assert (wrong.status, wrong.points) == (Status.NOT_YET, 0)
    assert wrong.misconceptions == ("counts",)
    assert "A total is not a number of things." in str(wrong)


@pytest.mark.parametrize("untouched", [None, ..., written('"""Their sum."""'), written("pass")])
def test_not_attempted_yet(untouched):
    assert TOTAL.check(untouched).status is Status.NOT_ATTEMPTED
    assert TOTAL.grade(untouched, 1).status is Status.NOT_ATTEMPTED


@pytest.mark.parametrize(
    ("strange", "words"),
    [
        (42, "`total` should be a function; it is 42."),
        (sum, "Write `total` with `def`, in a cell"),
        (defined_in_a_cell("total = lambda numbers: sum(numbers)")["total"], "with `def`"),
        (written("from course_lib.model import replay"), "calls `course_lib.model`"),
        (written("import course_lib.checks as c", "return 6"), "calls `course_lib.checks`"),
        (
            written("import sys", "return sys.modules['course_lib.model']"),
            "calls `course_lib.model`",
        ),
    ],
)
def test_what_is_not_run_at_all(strange, words):
    assert words in str(TOTAL.check(strange))
    assert TOTAL.grade(strange, 1).points == 0


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            ["numbers = 0", "return 1 / numbers"],
            "`ZeroDivisionError: division by zero`, line 3",
        ),
        (["return summe(numbers)"], "has to be imported or defined inside it"),
        (["import os", "os._exit(0)"], "It ended with exit code 0."),
        (["import os, signal", "os.kill(os.getpid(), 9)"], "It ended with exit code 137."),
        (["return 'six'"], "The total is 'six'; it should be a number."),
        (["return None"], "The total is None"),
        (
            ["open('left.txt', 'w').write('here')", "return sum(numbers)"],
            "leaves files behind: left.txt",
        ),
        (["print('{\"total\": 6}')", "raise SystemExit"], "It ended with exit code 0."),
        (["print('x' * 10**6)", "return 5"], "The total was tried."),
        (["import time", "hoard = bytearray(900 << 20)", "time.sleep(20)"], "exceeding its memory"),
    ],
)
def test_whatever_it_does_is_told(body, words):
    feedback = TOTAL.check(written(*body))
    assert feedback.status is Status.NOT_YET
    assert words in str(feedback)


def test_a_jvm_out_of_memory_that_stands_still_is_judged_as_one_that_died():
    impatient = replace(TOTAL, timeout_s=3)
    feedback = impatient.check(
        written(
            "import sys, time",
            "print('java.lang.OutOfMemoryError: Java heap space', file=sys.stderr, flush=True)",
            "time.sleep(60)",
        )
    )
    assert "It raises `java.lang.OutOfMemoryError: Java heap space`" in str(feedback)


def test_what_never_ends_is_ended():
    impatient = replace(TOTAL, timeout_s=3)
    feedback = impatient.grade(written("while True: pass"), 1)
    assert "`total` had not ended after 3 seconds, and was ended." in str(feedback)


def test_what_the_check_has_seen_fail_is_not_tried_again():
    judged = []

    def judge(remains, report, seed):
        judged.append(seed)
        return judge_total(remains, report, seed)

    task = replace(TOTAL, judge=judge)
    for right, seeds in ((written("return 1"), [0]), (written("return sum(numbers)"), [0, 5])):
        judged.clear()
        assert task.check(right).status == task.grade(right, 5).status
        assert judged == seeds
        task.grade(right, 5)
        assert judged == [*seeds, 5]

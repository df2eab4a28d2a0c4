"""Tasks with numbers of the learner's own."""

import os
from pathlib import Path

import pytest

from course_lib.checks import Misconception, PersonalTask, PredictionTask, Status

TASK = PersonalTask(
    name="half",
    title="Half of it",
    points=2,
    draw=lambda random: random.randrange(2, 10**6),
    build=lambda number: PredictionTask(
        name="half",
        title="Half of it",
        points=2,
        reference=lambda: {"half": number / 2},
        misconceptions=(Misconception("doubles", "Twice.", lambda: {"half": number * 2}),),
    ),
)


def half(learner):
    return {"half": TASK.numbers(learner) / 2}


def test_each_learner_has_other_numbers_and_keeps_them():
    assert TASK.numbers("ada") == TASK.numbers(" ada\n") != TASK.numbers("grace")
    assert TASK.check(half("ada"), learner_id="ada").status is Status.RIGHT
    assert TASK.check(half("grace"), learner_id="ada").status is Status.NOT_YET
    assert TASK.grade(half("ada"), 7, learner_id="ada").points == 2


@pytest.mark.parametrize("nobody", [None, ..., "", "  ", 7])
def test_without_an_id_there_are_no_numbers(nobody):
    with pytest.raises(ValueError, match='as learner_id = "ada", and run that cell; it is'):
        TASK.numbers(nobody)
    feedback = TASK.check({"half": 3}, learner_id=nobody)
    assert feedback.status is Status.NOT_ATTEMPTED
    assert "write the id under which you hand in" in str(feedback)


def test_whoever_hands_in_is_graded_on_their_own_numbers(monkeypatch):
    monkeypatch.setenv("GRADING_STUDENT", "grace")
    copied = TASK.grade(half("ada"), 7, learner_id="ada")
    assert copied.points == 0
    assert "handed in by 'grace' and has the numbers of 'ada'" in str(copied)
    assert TASK.grade(half("grace"), 7, learner_id="grace").points == 2
    assert TASK.grade(None, 7, learner_id="ada").status is Status.NOT_ATTEMPTED


def test_nbgrader_by_itself_tells_by_the_folder(monkeypatch, tmp_path):
    folder = tmp_path / "autograded" / "grace" / "ps15"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    assert TASK.grade(half("ada"), 7, learner_id="ada").points == 2  # not being graded
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert TASK.grade(half("ada"), 7, learner_id="ada").points == 0
    assert TASK.grade(half("grace"), 7, learner_id="grace").points == 2
    monkeypatch.chdir(Path(os.sep))
    assert TASK.grade(half("ada"), 7, learner_id="ada").points == 2

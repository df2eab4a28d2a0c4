"""Problem set 05 against the model, and answers that are right or wrong in ways of their own."""

import pytest

from course_lib.checks import Status, grade
from course_lib.checks.ps05 import (
    SETTINGS_OF_TODAY,
    SHUFFLE_KEY,
    STATIC_REGIONS,
    STORAGE_KEY,
    STORED,
    WALL,
    _store_by,
)
from course_lib.spark import NoJavaError

# static_regions


def test_the_regions_to_go_by_are_right():
    regions = STATIC_REGIONS.reference(4 * 2**30, 0.6, 0.2)
    assert (regions["storage"], regions["execution"]) == (2_319_282_339, 687_194_767)


def test_regions_in_floating_point_are_right():
    def exact(heap_bytes, storage_fraction, shuffle_fraction):
        storage, execution = (
            heap_bytes * storage_fraction * 0.9,
            heap_bytes * shuffle_fraction * 0.8,
        )
        rest = heap_bytes - storage - execution
        return {"storage": storage, "execution": execution, "unroll": storage / 5, "rest": rest}

    assert grade("ps05/static_regions", exact, seed=5).status is Status.RIGHT


# stored


@pytest.mark.parametrize("seed", [0, 1, 5102])
def test_the_rules_by_hand_are_those_of_the_replay(seed):
    for arguments in STORED.inputs(seed):
        assert _store_by(*arguments) == STORED.reference(*arguments)


def test_the_blocks_to_go_by_are_right():
    assert STORED.reference(*STORED.examples[0]) == [True, True, False, True]


# wall


@pytest.mark.parametrize("seed", [0, 1, 2, 5103])
def test_wherever_the_wall_can_stand_the_replay_finds_nothing_amiss(seed):
    refused = 0
    for arguments in WALL.inputs(seed):
        try:
            fractions = WALL.reference(*arguments)
        except ValueError:
            refused += 1
            continue
        effect = WALL.effect(arguments, fractions)
        assert effect.passed, effect
        for key in fractions:
            for factor in (0.97, 1.03):
                moved = fractions | {key: fractions[key] * factor}
                assert not WALL.effect(arguments, moved).passed, (arguments, moved)
    assert refused == 8


@pytest.mark.parametrize(
    ("fractions", "says"),
    [
        ({STORAGE_KEY: 0.2, SHUFFLE_KEY: 0.2}, "`cache rdd_1_0 600m` goes wrong: evicted"),
        ({STORAGE_KEY: 0.6, SHUFFLE_KEY: 0.05}, "`ask t2 100m` goes wrong: granted"),
        ({STORAGE_KEY: 0.7, SHUFFLE_KEY: 0.13}, "memoryFraction that is 2% smaller would do, too."),
        ({STORAGE_KEY: 0.6, SHUFFLE_KEY: -1}, "A fraction is more than 0 and at most 1."),
        ({STORAGE_KEY: 60, SHUFFLE_KEY: 20}, "A fraction is more than 0 and at most 1."),
    ],
)
def test_walls_in_the_wrong_place(fractions, says):
    feedback = WALL.check(lambda heap_mib, blocks, asks: fractions)
    assert feedback.status is Status.NOT_YET
    assert says in str(feedback)


# settings_of_today


def test_what_spark_did_is_told():
    feedback = SETTINGS_OF_TODAY.grade({"spark.memory.fraction": 0.6})
    assert feedback.points == 0
    assert "its memory store holds 18 of 21 blocks, and 9 once a task has asked" in str(feedback)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            {"spark.memory.fraction": "much"},
            'Illegal value for config key spark.memory.fraction: For input string: "much"',
        ),
        ({"spark.memory.fraction": 0}, "onHeapExecutionMemory must be > 0"),
        ({"spark.memory.storageFraction": 1.0}, "Storage fraction must be in [0,1)"),
        ({"spark.memory.fracton": 0.8}, "There is no setting 'spark.memory.fracton' here"),
    ],
)
def test_settings_that_are_not_tried(settings, says):
    feedback = SETTINGS_OF_TODAY.check(settings)
    assert feedback.status is Status.NOT_YET
    assert says in str(feedback)


def test_without_java_it_cannot_be_checked(monkeypatch):
    def no_java():
        raise NoJavaError("no Java was found")

    monkeypatch.setattr("course_lib.spark.jvm.find_java", no_java)
    feedback = SETTINGS_OF_TODAY.check({"spark.memory.fraction": 0.77})
    assert "This cannot be checked here: no Java was found" in str(feedback)

import json
from itertools import pairwise

import pytest

from course_lib.units import MIB
from course_lib.widgets import TasksAtOnePool
from course_lib.widgets.tasks_at_one_pool import fences, tasks_at_one_pool, workload

START = dict(TasksAtOnePool.start)


def shots(**changed):
    (lane,) = tasks_at_one_pool(START | changed).picture.lanes
    return lane.shots


def test_every_task_asks_twice_and_finishes():
    assert [str(event) for event in workload(2, 64 * MIB)] == [
        "ask t1 64m", "ask t2 64m", "release t1 32m", "ask t1 32m", "ask t2 32m", "finish t1",
        "finish t2",
    ]  # fmt: skip


def test_the_third_of_three_waits_and_is_shown_to_wait():
    waits = shots()[3]
    assert waits.outcome == "waits: 1/2N is 85.3 MiB, and it can have only 0.0 B"
    assert waits.picture.holders == (
        ("t1", 256 * MIB, 0), ("t2", 256 * MIB, 0), ("t3", 0, 256 * MIB),
    )  # fmt: skip
    assert shots()[5].picture.holders[2] == ("t3", 128 * MIB, 0)


def test_the_fences_move_with_the_number_of_active_tasks():
    marks = [shot.picture.marks for shot in shots()]
    assert marks[0] == ()
    assert marks[1] == ((256 * MIB, "1/2N 256.0 MiB"), (512 * MIB, "1/N 512.0 MiB"))
    assert marks[3] == fences(512 * MIB, 3)


@pytest.mark.parametrize("tasks", TasksAtOnePool.controls[0].values)
@pytest.mark.parametrize("size", TasksAtOnePool.controls[2].values)
def test_holders_are_the_parts_of_the_pool_and_nobody_is_granted_more_than_one_nth(tasks, size):
    played = shots(tasks=tasks, size=size)
    for before, after in pairwise(played):
        pool = after.picture.regions[0]
        parts = {part.name: part.size for part in pool.children if part.kind == "execution"}
        assert parts == {name: held for name, held, _ in after.picture.holders}
        earlier = {name: held for name, held, _ in before.picture.holders}
        for name, held, waits in after.picture.holders:
            assert held <= max(earlier.get(name, 0), pool.size // len(parts))
            assert not waits or held < pool.size // (2 * len(parts))
    assert all(part.name == "free" for part in played[-1].picture.regions[0].children)


def test_a_pool_without_tasks_has_no_fences():
    assert fences(512 * MIB, 0) == ()


def test_who_held_what_is_one_picture_with_a_column_for_each_step():
    view = tasks_at_one_pool(START)
    assert view.history.rows()[1:] == [
        ("t1", "0", "256", "256", "256", "128", "128", "128", "128", "128", "0", "0", "0"),
        ("t2", "0", "0", "256", "256", "256", "256", "256", "128", "128", "128", "0", "0"),
        ("t3", "0", "0", "0", "0", "0", "128", "128", "128", "128", "128", "128", "0"),
    ]
    assert len(view.history.x.values) == view.picture.steps
    assert "across: step" in view.table()


def test_the_message_is_small_even_with_eight_tasks():
    assert len(json.dumps(TasksAtOnePool(tasks=8)._tables)) < 250_000

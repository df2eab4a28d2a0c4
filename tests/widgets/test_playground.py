import json

import pytest

from course_lib.model import TraceError, UnifiedMemoryManager, replay
from course_lib.units import GIB
from course_lib.widgets import Playground

PLAYED = "cache rdd_0_0 256m\nask t1 384m\n"


@pytest.fixture
def played():
    return Playground(PLAYED)


def press(playground, button, **values):
    """Press a button as the browser does; what is said in return."""
    said = []
    playground.send = said.append
    panel = next(panel for panel in playground.panels if button in panel.buttons)
    positions = [field.index(values[field.name]) for field in panel.fields]
    playground._handle_custom_msg({"press": button, "with": positions}, [])
    return said


def events(playground):
    view = playground.view(playground.state)
    return [shot.event for shot in view.picture.lanes[0].shots]


def test_it_begins_empty_or_with_a_trace(played):
    assert Playground().trace == ""
    assert events(Playground()) == [""]
    assert played.trace == PLAYED
    assert events(played) == ["", "cache rdd_0_0 256m", "ask t1 384m"]


def test_every_button_is_an_event():
    playground = Playground()
    block = {"block": "rdd_1_2", "size": "128m", "level": "MEMORY_AND_DISK"}
    task = {"task": "t2", "size": "64m"}
    for button, values in [
        ("cache", block), ("read", block), ("ask", task), ("release", task), ("ask", task),
        ("finish", task), ("unpersist", block),
    ]:  # fmt: skip
        assert press(playground, button, **values) == []
    assert playground.trace.splitlines() == [
        "cache rdd_1_2 128m MEMORY_AND_DISK", "read rdd_1_2", "ask t2 64m", "release t2 64m",
        "ask t2 64m", "finish t2", "unpersist rdd_1_2",
    ]  # fmt: skip
    assert playground._tables["text"] == playground.trace


def test_the_trace_can_be_played_elsewhere(played):
    frames = replay(UnifiedMemoryManager.from_conf(system_memory=GIB), played.trace)
    assert [frame.outcome for frame in frames] == [
        shot.outcome for shot in played.view(played.state).picture.lanes[0].shots
    ]


def test_what_cannot_happen_is_refused_in_words_and_nothing_is_lost(played):
    before = played._tables
    assert press(played, "finish", task="t3", size="64m") == [
        {"refused": "event 3, `finish t3`: task t3 has not asked for memory, or has finished"}
    ]
    (refusal,) = press(played, "cache", block="rdd_0_0", size="64m", level="MEMORY_ONLY")
    assert "cached already" in refusal["refused"]
    assert (played.trace, played._tables) == (PLAYED, before)
    with pytest.raises(TraceError, match="nothing was cached under that name"):
        played.do("read rdd_3_3")
    assert played.trace == PLAYED


def test_events_are_taken_back_one_by_one_or_all(played):
    assert press(played, "undo") == []
    assert events(played) == ["", "cache rdd_0_0 256m"]
    played.undo()
    assert press(played, "undo") == [{"refused": "Nothing has happened that could be undone."}]
    played.do("cache rdd_2_0 64m")
    assert press(played, "start over") == []
    assert played.trace == PLAYED
    played.do("ask t1 64m")
    played.reset()
    assert played.trace == PLAYED


def test_settings_show_the_same_events_as_they_would_have_gone(played):
    outcomes = {
        manager: played.view(played.state | {"manager": manager}).picture.lanes[0].shots[-1].outcome
        for manager in ("unified", "static")
    }
    assert outcomes["unified"].startswith("evicted rdd_0_0, 256.0 MiB, and lost; granted 384.0")
    assert outcomes["static"] == "granted 163.8 MiB of 384.0 MiB"
    kept = played.view(played.state | {"storage_fraction": 0.75})
    assert "evicted" not in kept.picture.lanes[0].shots[-1].outcome


def test_who_waits_now_does_not_wait_for_ever():
    playground = Playground("ask t1 512m\nask t2 512m")
    last = playground.view(playground.state).picture.lanes[0].shots[-1]
    assert last.outcome.startswith("waits: 1/2N is")
    assert last.picture.waiting == ("t2",)
    playground.do("finish t1")
    assert events(playground)[-1] == "ask t2 512m"


def test_a_trace_that_only_some_settings_can_play_is_told_for_the_others():
    playground = Playground("cache rdd_0_0 384m\npin rdd_0_0", heap="1g")
    told = playground.view(playground.state | {"heap": "512m"})
    assert told.sentence == "This cannot be played with these settings."
    assert "no block rdd_0_0 is here to be pinned" in told.problem


def test_fifty_events_are_a_small_message(played):
    played.do("".join(f"cache rdd_1_{n} 8m\nread rdd_1_{n}\n" for n in range(25)))
    assert len(json.dumps(played._tables)) < 150_000


def test_the_browser_learns_the_panels_and_where_their_choices_begin():
    blocks, tasks, both = Playground()._about["panels"]
    assert blocks["buttons"] == ["cache", "read", "unpersist"]
    assert blocks["fields"][1]["texts"][blocks["start"][1]] == "128m"
    assert tasks["label"] == "tasks"
    assert (both["buttons"], both["fields"]) == (["undo", "start over"], [])

"""The model beside what earlier Sparks did: golden traces of 2.4.8, 2.2.3 and 2.1.3."""

import contextlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from beside_spark import Disagreement, Model, agree

import course_lib
from course_lib.model import MemoryMode, StaticMemoryManager, UnifiedMemoryManager
from course_lib.spark.memory_oracle import Game, Played, Pools, Returned, State, Thrown

RECORDED = Path(__file__).parent.parent / "recorded"
RECORDED_FOR_READERS = Path(course_lib.__file__).parent / "recorded"
TRACES = [("static", "2.4.8"), ("unified", "2.4.8"), ("unified", "2.2.3"), ("unified", "2.1.3")]


class StaticModel(Model):
    """The same calls, on the memory manager of the past."""

    def make_manager(self, max_execution_memory, max_storage_memory, conf, **common):
        fraction = float(conf.get("spark.storage.unrollFraction", "0.2"))
        unroll = int(max_storage_memory * fraction)
        return StaticMemoryManager(
            max_execution_memory, max_storage_memory, max_unroll_memory=unroll, **common
        )


def load(name: str) -> dict:
    return json.loads((RECORDED / f"{name}.json").read_text())


def state(seen: dict) -> State:
    return State(
        Pools(*(tuple(seen[pool]) for pool in Pools._fields)),
        tuple(seen["limits"]),
        tuple({int(task): held for task, held in tasks.items()} for tasks in seen["tasks"]),
        tuple(seen["blocks"]),
        frozenset(seen["disk"]),
        seen["unroll"],
        {},
    )


def outcome(value: object) -> Returned | Thrown:
    if isinstance(value, dict):
        return Thrown(value["java_class"], value["message"])
    return Returned(value)


def game(recorded: dict) -> tuple[list[tuple], Game]:
    """The calls that were recorded, and the game as Spark played it."""
    seen, calls, played = recorded["start"], [], []
    start = state(seen)
    for call, ended, events, changed in recorded["rows"]:
        seen = seen | changed
        calls.append(tuple(call))
        outcomes = {int(number): outcome(value) for number, value in ended.items()}
        played.append(Played(outcomes, tuple(map(tuple, events)), state(seen)))
    return calls, Game(start, recorded["page_size_bytes"], tuple(played))


def model(recorded: dict, spark_version: str) -> Model:
    kind = StaticModel if recorded["manager"] == "static" else Model
    setup = {"num_cores": recorded["num_cores"], "conf": recorded["conf"]}
    return kind(*recorded["sizes"], spark_version=spark_version, **setup)


def agreeing(recorded: list[dict], spark_version: str, mistaken: type | None = None) -> int:
    """In how many games the model, perhaps with another manager, does what was recorded."""
    number = 0
    for one in recorded:
        calls, played = game(one)
        player = model(one, spark_version)
        if mistaken:
            player.manager.__class__ = mistaken
        with contextlib.suppress(Disagreement):
            agree(calls, player, played)
            number += 1
    return number


@pytest.mark.parametrize(("manager", "version"), TRACES)
def test_agrees_with_the_recorded_spark(manager, version):
    recorded = load(f"{manager}_{version}")
    assert recorded["spark"] == version
    for one in recorded["games"]:
        calls, played = game(one)
        agree(calls, model(one, version), played)


def test_agrees_with_what_is_recorded_for_readers():
    recorded = json.loads((RECORDED_FOR_READERS / "static_memory_manager.json").read_text())
    assert [one["manager"] for one in recorded["games"]] == ["static", "unified"]
    for one in recorded["games"]:
        calls, played = game(one)
        agree(calls, model(one, recorded["spark"]), played)


def test_storage_borrowed_more_than_it_needed_before_2_2():
    old, new = load("unified_2.1.3")["games"], load("unified_2.2.3")["games"]
    assert agreeing(old, "2.2") < len(old)
    assert agreeing(new, "2.1") < len(new)


def test_recorded_games_show_every_mechanism():
    games = [game(one) for name, of in TRACES for one in load(f"{name}_{of}")["games"]]
    assert {call[0] for calls, _ in games for call in calls} == {
        "put", "put_iterator", "get", "remove", "pin", "unpin", "acquire_unroll_memory",
        "release_unroll_memory", "acquire_execution_memory", "release_execution_memory",
        "release_all_execution_memory_for_task",
    }  # fmt: skip
    rows = [(n, played) for _, spark in games for n, played in enumerate(spark.played)]
    assert any(n not in played.ended for n, played in rows)  # a call waits
    assert any(played.ended.keys() - {n} for n, played in rows)  # and comes back later
    assert any(isinstance(played.ended.get(n), Thrown) for n, played in rows)
    evicted = {to_disk for _, played in rows for _, _, to_disk in played.events}
    assert evicted == {False, True}


class LendingManager(StaticMemoryManager):
    """A mistake: execution may have what storage leaves free."""

    def acquire_execution_memory(self, num_bytes, task_attempt_id, mode=MemoryMode.ON_HEAP):
        lent = self.storage_pool(mode).memory_free
        self.storage_pool(mode).decrement_pool_size(lent)
        self.execution_pool(mode).increment_pool_size(lent)
        return super().acquire_execution_memory(num_bytes, task_attempt_id, mode)


class CaplessManager(StaticMemoryManager):
    """A mistake: unrolling may evict as much as it likes."""

    def acquire_unroll_memory(self, block_id, num_bytes, mode=MemoryMode.ON_HEAP):
        return self.storage_pool(mode).acquire_memory(block_id, num_bytes)


class ImmuneManager(UnifiedMemoryManager):
    """A mistake: execution takes what is free and never evicts a block."""

    def acquire_execution_memory(self, num_bytes, task_attempt_id, mode=MemoryMode.ON_HEAP):
        store = self.storage_pool(mode).memory_store
        self.storage_pool(mode).memory_store = SimpleNamespace(
            evict_blocks_to_free_space=lambda block_id, space, mode: 0
        )
        try:
            return super().acquire_execution_memory(num_bytes, task_attempt_id, mode)
        finally:
            self.storage_pool(mode).memory_store = store


@pytest.mark.parametrize(
    ("name", "mistaken"),
    [
        ("static_2.4.8", LendingManager),
        ("static_2.4.8", CaplessManager),
        ("unified_2.4.8", ImmuneManager),
        ("unified_2.2.3", ImmuneManager),
    ],
)
def test_a_mistaken_manager_is_found_out(name, mistaken):
    recorded = load(name)
    assert agreeing(recorded["games"], recorded["spark"], mistaken) < len(recorded["games"])


def sizes_in_the_model(manager: str, memory: int, cores: int, conf: dict) -> dict:
    """What the model makes of settings, as the recording has it."""
    kind = StaticMemoryManager if manager == "static" else UnifiedMemoryManager
    try:
        made = kind.from_conf(conf, system_memory=memory, num_cores=cores, spark_version="2.4.8")
    except ValueError as error:
        return {"refused": str(error)}
    unroll = {"unroll": made.max_unroll_memory} if manager == "static" else {}
    return unroll | {
        "storage": made.on_heap_storage_memory_pool.pool_size,
        "execution": made.on_heap_execution_memory_pool.pool_size,
        "off_heap_storage": made.off_heap_storage_memory_pool.pool_size,
        "off_heap_execution": made.off_heap_execution_memory_pool.pool_size,
        "page": made.page_size_bytes,
    }


@pytest.mark.parametrize(
    ("manager", "memory", "cores", "conf", "checked", "found"), load("sizes_2.4.8")["sizes"]
)
def test_sizes_agree_with_the_recorded_spark(manager, memory, cores, conf, checked, found):
    ours = sizes_in_the_model(manager, memory, cores, conf)
    assert ours == (checked or found)

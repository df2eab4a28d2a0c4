"""Problem set 07 against the rules themselves, and answers to it that are right in ways of their
own."""

import re
from pathlib import Path

import nbformat
import pytest

from course_lib.checks import CannotCheckError, Status, grade
from course_lib.checks.ps07 import (
    _LEVELS,
    LEVELS,
    ON_THE_SHELF,
    READS,
    TABLES,
    UNROLL_REQUESTS,
    WHY_NOT_STORED,
    _replayed,
    _requests,
    _shelf_of,
    _why,
)
from course_lib.model import MemoryStore, StorageLevel, UnifiedMemoryManager
from course_lib.spark import NoJavaError
from course_lib.units import MIB

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def text():
    notebook = ROOT / "solutions/ps07-blocks-and-eviction/ps07-blocks-and-eviction.ipynb"
    cells = nbformat.read(notebook, as_version=4).cells
    return " ".join(" ".join(c.source for c in cells if c.cell_type == "markdown").split())


# The rules, written down twice: once as the model has them, once as simply as can be.


@pytest.mark.parametrize("seed", [0, 1, 7101])
def test_the_shelf_by_simple_rules_is_the_same(seed):
    for arguments in ON_THE_SHELF.inputs(seed):
        assert _shelf_of(*arguments) == ON_THE_SHELF.reference(*arguments), arguments


@pytest.mark.parametrize("seed", [0, 1, 7102])
def test_the_reason_by_simple_rules_is_the_same(seed):
    cases = WHY_NOT_STORED.inputs(seed)
    for case in cases:
        assert _why(*case) == WHY_NOT_STORED.reference(*case), case
    assert len({WHY_NOT_STORED.reference(*case) for case in cases}) == 5


@pytest.mark.parametrize("seed", [0, 1, 7103])
def test_the_requests_by_simple_rules_are_the_same(seed):
    for case in UNROLL_REQUESTS.inputs(seed):
        assert _requests(*case) == pytest.approx(UNROLL_REQUESTS.reference(*case), abs=0.01), case


# on_the_shelf


@pytest.mark.parametrize("seed", [0, 7101])
def test_the_trace_does_what_a_store_does_when_called_directly(seed):
    for memory, events in ON_THE_SHELF.inputs(seed):
        store = MemoryStore(UnifiedMemoryManager(memory * MIB, memory * MIB // 2))
        sizes = {block: size[0] for what, block, *size in events if what == "cache"}
        for what, block, *_ in events:
            if what in ("pin", "unpin"):
                getattr(store, what)(block)
            elif what == "cache" or store.get(block) is None:
                store.put(block, sizes[block] * MIB, StorageLevel.MEMORY_ONLY)
        names = [block.block_id for block in store.blocks_in_memory()]
        assert names == ON_THE_SHELF.reference(memory, events)


def test_the_shelf_to_go_by_is_right(text):
    memory, events = ON_THE_SHELF.examples[0]
    told = [f"`{' '.join(map(str, event))}`" for event in events]
    assert f"with {memory} MiB and the events {', '.join(told)}" in text
    assert str(ON_THE_SHELF.reference(memory, events)).replace("'", '"') in text


def test_a_shelf_as_a_tuple_is_right():
    def answer(memory, events):
        sizes, used = {}, {}
        pinned = set()
        for now, (what, block, *size) in enumerate(events):
            if size:
                sizes[block] = size[0]
            if what == "pin":
                pinned.add(block)
            elif what == "unpin":
                pinned.remove(block)
            elif block in used:
                used[block] = now
            else:
                room, out = memory - sum(sizes[one] for one in used), []
                for one in sorted(used, key=used.get):
                    if room < sizes[block] and one not in pinned and one[:5] != block[:5]:
                        out.append(one)
                        room += sizes[one]
                if room >= sizes[block]:
                    used = {one: when for one, when in used.items() if one not in out}
                    used[block] = now
        return tuple(sorted(used, key=used.get))

    assert grade("ps07/on_the_shelf", answer, seed=7101).status is Status.RIGHT


# unroll_requests


def test_the_requests_to_go_by_are_right(text):
    found = re.findall(r"for (\d+) values of (\d+) KiB, `\[([\d, ]+)\]`", text)
    assert len(found) == 2
    for values, value_kib, told in found:
        expected = UNROLL_REQUESTS.reference(int(value_kib), int(values))
        assert [int(one) for one in told.split(",")] == expected


# levels

_AS_OBJECTS = LEVELS.reference() | {"scores": "MEMORY_AND_DISK_DESER"}


def test_the_notebook_says_what_the_program_does(text):
    for name, (_, blocks) in TABLES.items():
        times = {2: "twice", 4: "four times"}[READS.count(name)]
        assert f"| `{name}` | {blocks} | {times} |" in text
    assert f"The order is {', '.join(READS)}." in text


def test_only_one_choice_passes_on_the_model():
    choices = [
        {"scores": scores, "lookup": lookup, "archive": archive}
        for scores in _LEVELS
        for lookup in _LEVELS
        for archive in _LEVELS
    ]
    scores = [(_replayed(choice)[-1].score, choice) for choice in choices]
    passing = [
        choice
        for score, choice in scores
        if not score.recomputed and score.read_from_disk <= 120 * MIB
    ]
    bytes_or_objects = [LEVELS.reference(), LEVELS.reference() | {"scores": _DESER}]
    assert passing == bytes_or_objects


_DESER = "MEMORY_AND_DISK_DESER"


def test_what_spark_kept_is_told():
    feedback = LEVELS.grade(_AS_OBJECTS)
    assert feedback.status is Status.RIGHT
    assert "scores: 13, 2; lookup: 4, 0; archive: 0, 6" in str(feedback)


@pytest.mark.parametrize(
    ("level", "says"),
    [
        ("MEMORY_AND_DISK_SER", "PySpark's StorageLevel has no 'MEMORY_AND_DISK_SER'"),
        ("MEMORY_AND_DISK_2", "there is one executor, and none to hold a copy"),
        ("disk", "PySpark's StorageLevel has no 'disk' for this"),
        (["DISK_ONLY"], "PySpark's StorageLevel has no ['DISK_ONLY']"),
    ],
)
def test_levels_that_are_not_tried(level, says):
    feedback = LEVELS.check(LEVELS.reference() | {"archive": level})
    assert feedback.status is Status.NOT_YET
    assert f"archive: {says}" in str(feedback)


def test_a_program_that_does_not_finish_is_not_the_learners_fault(monkeypatch):
    monkeypatch.setattr("course_lib.checks.ps07._PROGRAM", "raise SystemExit(5)")
    with pytest.raises(CannotCheckError, match="exit code 5"):
        LEVELS.grade(LEVELS.reference())


def test_what_spark_does_otherwise_is_not_the_learners_fault(monkeypatch):
    monkeypatch.setattr(
        "course_lib.checks.ps07._PROGRAM",
        "import json; print(json.dumps(dict.fromkeys(TABLES, (0, 0))))",
    )
    with pytest.raises(CannotCheckError, match="did not do what the model does"):
        LEVELS.grade(LEVELS.reference())


def test_without_java_it_cannot_be_checked(monkeypatch):
    def no_java():
        raise NoJavaError("no Java was found")

    monkeypatch.setattr("course_lib.spark.java.find_java", no_java)
    feedback = LEVELS.check(LEVELS.reference())
    assert "This cannot be checked here: no Java was found" in str(feedback)

"""Problem set 06 against Spark's own classes, and answers to it that are right, or wrong, in ways
of their own."""

import json
import re
from pathlib import Path

import nbformat
import pytest

from course_lib.checks import CannotCheckError, Status, grade
from course_lib.checks.ps06 import (
    KEEPS_THE_TABLE,
    MAX_EXECUTION_POOL_SIZE,
    MEMORY_MIB,
    OUTCOMES,
    READS,
    REGION_MIB,
    SMALLEST_STORAGE_FRACTION,
    TABLES,
    TRACE,
    TWO_EVICTIONS,
)
from course_lib.model import parse_trace
from course_lib.model.replay import Ask, Cache, Finish, Read
from course_lib.spark import MemoryOracle, NoJavaError
from course_lib.spark.autopsy import Remains
from course_lib.units import MIB

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def text():
    notebook = ROOT / "solutions/ps06-unified-manager/ps06-unified-manager.ipynb"
    cells = nbformat.read(notebook, as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


@pytest.fixture(scope="module")
def spark_classes():
    with MemoryOracle() as oracle:
        yield oracle


def calls(trace):
    """The calls that Spark gets for a trace in which no task waits."""
    for event in parse_trace(trace):
        match event:
            case Cache(block, size, level):
                yield "put", block, size, level.name
            case Read(block):
                yield "get", block
            case Ask(task, size, mode):
                yield "acquire_execution_memory", size, int(task[1:]), mode.name
            case Finish(task):
                yield "release_all_execution_memory_for_task", int(task[1:])


def on_spark(oracle, memory, region, trace):
    return oracle.play(memory * MIB, region * MIB, list(calls(trace))).played


# outcomes


def test_the_notebook_shows_the_trace_that_is_played(text):
    assert f"{MEMORY_MIB} MiB of Spark memory, of which {REGION_MIB} are the storage region" in text
    for number, line in enumerate(TRACE.splitlines(), 1):
        assert f"| {number} | `{line}` |" in text


def test_spark_has_the_same_ten_outcomes(spark_classes):
    played = on_spark(spark_classes, MEMORY_MIB, REGION_MIB, TRACE)
    for asked, expected in OUTCOMES.reference().items():
        number = int(asked.split()[0]) - 1
        if asked.endswith("granted"):
            found = played[number].ended[number].value
        else:
            _, found = played[number].state.pools.on_heap_storage
        assert found == expected * MIB, asked


# max_execution_pool_size


@pytest.mark.parametrize("arguments", MAX_EXECUTION_POOL_SIZE.inputs(0)[:12])
def test_spark_lets_a_task_have_as_much(spark_classes, arguments):
    memory, region, used = arguments
    blocks = "".join(f"cache rdd_0_{split} 1m\n" for split in range(used))
    *_, last = on_spark(spark_classes, memory, region, f"{blocks}ask t1 {memory}m")
    [granted] = last.ended.values()
    assert granted.value == MAX_EXECUTION_POOL_SIZE.reference(*arguments) * MIB


def test_what_is_free_and_what_can_be_taken_back_may_be_added_up():
    def added_up(max_memory, storage_region, storage_used):
        execution = max_memory - storage_region
        return execution + max(0, storage_region - storage_used)

    assert grade("ps06/max_execution_pool_size", added_up, seed=6102).status is Status.RIGHT


# two_evictions


@pytest.mark.parametrize("arguments", TWO_EVICTIONS.inputs(6103))
def test_spark_evicts_two_blocks_too(spark_classes, arguments):
    played = on_spark(spark_classes, *arguments, TWO_EVICTIONS.reference(*arguments))
    assert [len(one.events) for one in played] == [0] * (len(played) - 1) + [2]


def one_by_one(max_memory, storage_region):
    size = (max_memory - storage_region) // 3
    cached = "".join(f"cache rdd_0_{n} {size}m  # a block\n" for n in range(max_memory // size))
    return f"{cached}ask a {max_memory % size + 1}m\nask b {size}m\n"


def the_same_for_every_setting(max_memory, storage_region):
    return "cache rdd_0_0 100m\ncache rdd_0_1 100m\ncache rdd_0_2 200m\nask t1 150m"


def test_two_tasks_may_evict_one_block_each():
    assert grade("ps06/two_evictions", one_by_one, seed=6103).status is Status.RIGHT


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda memory, region: "cache rdd_0_0", "line 1, `cache rdd_0_0`: expected `cache BLOCK"),
        (lambda memory, region: "read rdd_0_0", "cannot be played: event 1, `read rdd_0_0`"),
        (lambda memory, region: ["ask t1 1m"], "it should be a string"),
        (lambda memory, region: "cache rdd_0_0 1m", "0 evicted by `ask`, 0 by other lines"),
        (the_same_for_every_setting, "`two_evictions(1000, 100)` returns"),
    ],
)
def test_traces_that_do_not_evict_two_blocks(answer, says):
    feedback = TWO_EVICTIONS.check(answer)
    assert feedback.status is Status.NOT_YET
    assert says in str(feedback)


@pytest.mark.parametrize(
    ("trace", "misconception"),
    [
        ("cache rdd_0_0 90m\ncache rdd_1_0 90m\nask t1 400m", "fills the region only"),
        ("cache rdd_0_0 190m\nask t1 10m", "asks for what is free"),
        ("cache rdd_0_0 300m\nask t1 300m", "asks for one block"),
        ("cache rdd_0_0 390m\ncache rdd_1_0 390m", "lets storage evict"),
        ("cache rdd_0_0 9m\ncache rdd_1_0 9m\nunpersist rdd_0", "takes unpersisting for eviction"),
    ],
)
def test_a_misconception_is_known_by_what_its_trace_does(trace, misconception):
    assert TWO_EVICTIONS.check(lambda memory, region: trace).misconceptions == (misconception,)


# smallest_storage_fraction


def lines(events):
    return "\n".join(" ".join([*map(str, e[:2]), *(f"{size}m" for size in e[2:])]) for e in events)


@pytest.mark.parametrize("arguments", SMALLEST_STORAGE_FRACTION.inputs(6104)[:12])
def test_spark_keeps_the_block_with_the_fraction_and_not_with_less(spark_classes, arguments):
    memory, events, kept = arguments
    smallest = SMALLEST_STORAGE_FRACTION.reference(*arguments)
    for fraction, stays in ((smallest, True), (smallest - 0.01, False)):
        if fraction >= 0:
            region = int(memory * MIB * fraction)
            played = spark_classes.play(memory * MIB, region, list(calls(lines(events)))).played
            assert (kept in played[-1].state.blocks) is stays


def test_a_fraction_that_is_not_rounded_is_right():
    def exact(max_memory, events, kept):
        used = {}
        for what, name, *size in events[:-1]:
            used[name] = size[0] if what == "cache" else used.pop(name)
        older = list(used)[: list(used).index(kept)]
        first = sum(used[name] for name in older)
        lacking = events[-1][2] + sum(used.values()) - max_memory
        return 0 if lacking <= first else (sum(used.values()) - first) / max_memory + 1e-6

    assert grade("ps06/smallest_storage_fraction", exact, seed=6104).status is Status.RIGHT


@pytest.mark.parametrize(
    ("fraction", "says"),
    [
        (1, "Storage fraction must be in [0,1), not 1."),
        (-0.1, "Storage fraction must be in [0,1), not -0.1."),
        (0.9, "rdd_1_0 stays with 0.9, and with 0.89 too."),
        (0.1, "with 0.1, rdd_1_0 has to leave."),
        ("0.5", "it should be a number"),
    ],
)
def test_fractions_that_are_not_the_smallest(fraction, says):
    feedback = SMALLEST_STORAGE_FRACTION.check(lambda *_: fraction)
    assert feedback.status is Status.NOT_YET
    assert says in str(feedback)


def test_the_results_to_go_by_are_right(text):
    assert re.search(r"434 MiB, after blocks of 120, 130 and 110 MiB.+stays with 0.56", text, re.S)
    example = SMALLEST_STORAGE_FRACTION.examples[0]
    assert SMALLEST_STORAGE_FRACTION.reference(*example) == 0.56
    assert MAX_EXECUTION_POOL_SIZE.reference(400, 200, 150) == 250
    assert MAX_EXECUTION_POOL_SIZE.reference(400, 200, 390) == 200


# keeps_the_table


def test_the_notebook_shows_the_tables_in_their_order(text):
    sizes = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) MiB \|$", text, re.M))
    assert list(sizes) == list(TABLES)
    assert f"reads `{READS[0]}`, then `{READS[1]}`" in text
    for name, size in sizes.items():
        assert float(size) == pytest.approx(TABLES[name] * 1028.65 / MIB, abs=0.06)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"spark.memory.storageFraction": "1"}, "Storage fraction must be in [0,1)"),
        ({"spark.memory.storageFraction": "half"}, "spark.memory.storageFraction"),
        ({"spark.memory.storagefraction": 0.5}, "did you mean spark.memory.storageFraction?"),
    ],
)
def test_settings_that_are_not_tried(settings, says):
    feedback = KEEPS_THE_TABLE.check(settings)
    assert feedback.status is Status.NOT_YET
    assert says in str(feedback)


def remains(stdout, exit_code=0):
    return Remains(exit_code, None, None, None, None, None, 0, None, False, 0.0, stdout, "")


def tables(*kept):
    return "".join(json.dumps(one) + "\n" for one in kept)


@pytest.mark.parametrize(
    ("fraction", "kept", "misconception"),
    [
        (0.511, (["clicks"],), "counts the block alone"),
        (0.512, (["prices", "clicks", "stock"], ["prices"]), "goes by the order of caching"),
        (0.513, (list(TABLES), list(TABLES)), "protects the whole cache"),
        (0.514, (["prices", "clicks"], ["prices", "clicks"]), None),
    ],
)
def test_what_stays_tells_the_misconception(monkeypatch, fraction, kept, misconception):
    monkeypatch.setattr("course_lib.spark.autopsy.autopsy", lambda *_, **__: remains(tables(*kept)))
    feedback = KEEPS_THE_TABLE.check({"spark.memory.storageFraction": fraction})
    assert feedback.status is Status.NOT_YET
    assert feedback.misconceptions == ((misconception,) if misconception else ())


def test_a_program_that_does_not_finish_is_not_the_learners_fault(monkeypatch):
    monkeypatch.setattr("course_lib.spark.autopsy.autopsy", lambda *_, **__: remains("", 5))
    with pytest.raises(CannotCheckError, match="exit code 5"):
        KEEPS_THE_TABLE.grade({"spark.memory.storageFraction": 0.521})


def test_without_java_it_cannot_be_checked(monkeypatch):
    def no_java():
        raise NoJavaError("no Java was found")

    monkeypatch.setattr("course_lib.spark.autopsy.find_java", no_java)
    feedback = KEEPS_THE_TABLE.check({"spark.memory.storageFraction": 0.522})
    assert "This cannot be checked here: no Java was found" in str(feedback)

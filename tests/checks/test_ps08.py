"""Problem set 08 against Spark's own classes, and answers to it that are right in ways of their
own."""

from pathlib import Path

import nbformat
import pytest

from course_lib.checks import CannotCheckError, Status, grade
from course_lib.checks.ps08 import (
    _NEED,
    CORES,
    GRANTS,
    ROW,
    SORTER,
    SPILL_ORDER,
    RowBuffer,
    _grants_by,
    _order_by,
    _Sorter,
)
from course_lib.model import heap
from course_lib.spark import NoJavaError
from course_lib.spark.memory_oracle import MemoryOracle
from course_lib.units import MIB

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def text():
    notebook = ROOT / "solutions/ps08-tasks-share/ps08-tasks-share.ipynb"
    cells = nbformat.read(notebook, as_version=4).cells
    return " ".join("\n".join(c.source for c in cells if c.cell_type == "markdown").split())


@pytest.fixture(scope="module")
def spark_classes():
    with MemoryOracle() as spark_classes:
        yield spark_classes


# grants


def as_call(verb, task, *sizes):
    number = int(task.removeprefix("t"))
    if verb == "ask":
        return ("acquire_execution_memory", sizes[0] * MIB, number, "ON_HEAP")
    if verb == "release":
        return ("release_execution_memory", sizes[0] * MIB, number, "ON_HEAP")
    return ("release_all_execution_memory_for_task", number)


def test_sparks_pool_grants_the_same_and_lets_the_same_tasks_wait(spark_classes):
    for pool, trace in GRANTS.inputs(8101):
        game = spark_classes.play(pool * MIB, 0, [as_call(*event) for event in trace])
        ended = {number: outcome for one in game.played for number, outcome in one.ended.items()}
        found = [
            ended[number].value // MIB if number in ended else "waits"
            for number, (verb, *_) in enumerate(trace)
            if verb == "ask"
        ]
        assert found == GRANTS.reference(pool, trace)


@pytest.mark.parametrize("seed", range(5))
def test_the_rules_that_misconceptions_bend_are_the_models(seed):
    inputs = GRANTS.inputs(seed)
    assert [_grants_by()(*one) for one in inputs] == [GRANTS.reference(*one) for one in inputs]
    inputs = SPILL_ORDER.inputs(seed)
    assert [_order_by()(*one) for one in inputs] == [SPILL_ORDER.reference(*one) for one in inputs]


@pytest.mark.parametrize("seed", range(3))
def test_the_traces_hold_all_that_can_happen(seed):
    traces = [trace for _, trace in GRANTS.inputs(seed)]
    assert {verb for trace in traces for verb, *_ in trace} == {"ask", "release", "finish"}
    granted = [entry for one in GRANTS.inputs(seed) for entry in GRANTS.reference(*one)]
    assert granted.count("waits") > 10
    assert len(granted) - granted.count("waits") > 40


def test_the_grants_to_go_by_are_right(text):
    trace = [("ask", "t1", 300), ("ask", "t2", 200), ("ask", "t3", 60), ("release", "t1", 20)]
    assert str(trace) in text.replace('"', "'")
    assert 'in a pool of 480 MiB, the three that ask in this trace get 300, 180 and "waits"' in text
    assert GRANTS.reference(480, trace) == [300, 180, "waits"]


# spill_order


def test_sparks_task_memory_manager_asks_in_the_same_order(spark_classes):
    for free, held, asking, size in SPILL_ORDER.inputs(8102):
        names = [*held, asking] if asking not in held else [*held]
        calls = [("consumer", number, 1, "ON_HEAP", "everything") for number in range(len(names))]
        for name in held:
            calls.append(("acquire_memory", names.index(name), held[name] * MIB))
        calls.append(("acquire_memory", names.index(asking), size * MIB))
        game = spark_classes.play((free + sum(held.values())) * MIB, 0, calls)
        spills = [event for event in game.played[-1].events if event[-1]]
        found = [names[consumer] for _, consumer, *_ in spills]
        assert found == SPILL_ORDER.reference(free, held, asking, size)


def test_the_order_to_go_by_is_right(text):
    assert '5 MiB free, `{"sort": 65, "buffer": 50}`, and `buffer` asking for 80, it is' in text
    assert '`["sort", "buffer"]`' in text
    assert SPILL_ORDER.reference(5, {"sort": 65, "buffer": 50}, "buffer", 80) == ["sort", "buffer"]


# cores


@pytest.mark.parametrize("value", [0, 9, 2.5, "3", True])
def test_cores_that_are_not_tried(value):
    feedback = CORES.check({"cores": value})
    assert feedback.status is Status.NOT_YET
    assert "cores: an executor here has from 1 to 8 cores, not " in str(feedback)


def test_the_need_that_the_text_states_makes_three_cores_right(text):
    assert f"about **{_NEED // MIB} MiB** at its peak" in text
    assert heap({"spark.executor.memory": "512m"}).max_heap_memory // _NEED == 3


def test_too_few_cores_are_told_with_what_was_measured(monkeypatch):
    monkeypatch.setattr("course_lib.checks.ps08._sort_with", lambda cores: (0, 34 * MIB))
    feedback = CORES.check({"cores": 2})
    assert feedback.misconceptions == ()
    assert "One more task would have fitted." in str(feedback)
    assert (
        "measured: with cores=2, 0.0 B spilled, and a task held 34.0 MiB at its peak; "
        "Spark memory is 127.2 MiB" in str(feedback)
    )


def test_without_java_it_cannot_be_checked(monkeypatch):
    def no_java():
        raise NoJavaError("no Java was found")

    monkeypatch.setattr("course_lib.spark.autopsy.find_java", no_java)
    assert "This cannot be checked here: no Java was found" in str(CORES.check({"cores": 3}))


def test_a_sort_that_does_not_finish_is_not_the_learners_fault(monkeypatch):
    monkeypatch.setattr("course_lib.checks.ps08._JOB", "raise SystemExit(5)")
    with pytest.raises(CannotCheckError, match="exit code 5"):
        CORES.grade({"cores": 3})


# Sorter


class Frugal(RowBuffer):
    """Spills no more than it has to, and keeps its largest rows in memory."""

    def spill(self, size, trigger):
        self.rows.sort()
        count = min(len(self.rows), -(-size // ROW))
        if count:
            self.files.append(self.rows[:count])
            del self.rows[:count]
            self.free_memory(count * ROW)
        return count * ROW


class OneFile(RowBuffer):
    """Merges what it spills into a single file. Its rows are then gone from where they were."""

    def in_order(self):
        return sorted(self.rows + [row for file in self.files for row in file])

    def spill(self, size, trigger):
        released = self.used
        if released:
            self.files += [sorted(self.rows)]
            self.rows.clear()
            self.free_memory(released)
        return released


@pytest.mark.parametrize("sorter", [Frugal, OneFile])
def test_sorters_that_are_right_in_ways_of_their_own(sorter):
    feedback = grade("ps08/Sorter", sorter, seed=8104)
    assert feedback.status is Status.RIGHT, str(feedback)
    assert "All rows came back in order." in str(feedback)


def spilling(spill):
    return type("Sorter", (RowBuffer,), {"spill": spill})


def loses_a_file(self):
    return sorted(self.rows)


def writes_an_empty_file(self, size, trigger):
    released = self.used
    self.files.append(sorted(self.rows))
    self.rows = []
    self.free_memory(released)
    return released


def asks_for_memory(self, size, trigger):
    self.acquire_memory(ROW)
    return 0


def counts_rows(self, size, trigger):
    released = self.used
    self.rows, count = [], len(self.rows)
    self.free_memory(released)
    return count


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (spilling(lambda self, size, trigger: 0), "nothing when the sorter itself is the one"),
        (dict, "`Sorter` should be a class that extends `RowBuffer`; it is the class dict."),
        (7, "`Sorter` should be a class that extends `RowBuffer`; it is 7."),
        (spilling(lambda self, size, trigger: 1 / 0), "raises `ZeroDivisionError: division by"),
        (spilling(lambda self, size, trigger: "all"), "it returned 'all'; it should be a number"),
        (spilling(counts_rows), "Asked by itself for 1 MiB, it held 5 MiB: it returned 5 bytes"),
        (spilling(writes_an_empty_file), "it wrote a file that is not a list of rows, or has none"),
        (spilling(asks_for_memory), "While it spills, it asks for memory"),
        (
            type("Sorter", (_Sorter,), {"spill": Frugal.spill, "in_order": loses_a_file}),
            "the course's own code",
        ),
        (type("Sorter", (Frugal,), {"in_order": loses_a_file}), "rows went in; out came"),
    ],
)
def test_a_wrong_sorter_is_told_what_was_seen(answer, says):
    feedback = SORTER.grade(answer, 8104)
    assert feedback.status is Status.NOT_YET
    assert feedback.points == 0
    assert says in str(feedback)


def test_what_was_seen_cannot_be_caught():
    class Catches(RowBuffer):
        """Spills to the heap, and lets nothing through that is said of it."""

        hoard = ()

        def spill(self, size, trigger):
            released = self.used
            self.hoard, self.rows = [*self.hoard, *self.rows], []
            self.free_memory(released)
            return released

        def insert(self, row):
            try:
                super().insert(row)
            except Exception:
                self.hoard = [*self.hoard, row]

        def in_order(self):
            return sorted([*self.hoard, *self.rows])

    steps = [("insert", number) for number in range(8)]
    effect = SORTER.play(Catches, 5, steps)
    assert not effect.passed
    assert effect.misconception == "throws the rows away"
    assert SORTER.grade(Catches, 8104).points == 0


def test_the_line_of_the_sorter_that_raises_is_named():
    def spill(self, size, trigger):
        return self.rows["all"]

    feedback = SORTER.check(spilling(spill))
    assert 'return self.rows["all"])' in str(feedback)


def test_an_endless_spill_is_given_up():
    def spill(self, size, trigger):
        while True:
            pass

    quick = SORTER.__class__(**{**vars(SORTER), "timeout_s": 0.2})
    assert "It had not ended after 0.2 seconds" in str(quick.check(spilling(spill)))


def test_borrowed_sorters_earn_nothing():
    def spill(self, size, trigger):
        return _Sorter.spill(self, size, trigger)

    def asks_the_manager(self, size, trigger):
        return self.task_memory_manager.acquire_execution_memory(size, trigger)

    for answer in (_Sorter, spilling(_Sorter.spill), spilling(spill), spilling(asks_the_manager)):
        feedback = SORTER.grade(answer, 8104)
        assert feedback.points == 0
        assert "the course's own code" in str(feedback)


@pytest.mark.parametrize("seed", range(5))
def test_in_every_play_the_sorter_is_asked_by_itself_and_by_the_map(seed):
    class Asked(_Sorter):
        by = ()

        def spill(self, size, trigger):
            Asked.by = (*Asked.by, (trigger is self, size > ROW))
            return super().spill(size, trigger)

    for arguments in SORTER.inputs(seed):
        Asked.by = ()
        assert SORTER.play(Asked, *arguments).passed
        assert {(True, False), (False, True)} <= set(Asked.by)

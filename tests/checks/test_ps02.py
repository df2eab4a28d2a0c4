"""Problem set 02 against real JVMs and Spark's own SizeEstimator, and answers to it that are right
in ways of their own."""

import re
import runpy
from pathlib import Path

import nbformat
import pytest

from course_lib.checks import CannotCheckError, Status, grade
from course_lib.checks.ps02 import (
    _DEATHS,
    _LOG,
    _VALUE,
    COLLECTION_SIZE,
    EXAMPLE_LOG,
    GC_SHARE,
    KIND_OF_DEATH,
    KINDS,
    ORDERS,
    REMAINS,
    SMALLEST_HEAP,
)
from course_lib.spark import Jvm, NoJavaError
from course_lib.spark.gc_log import parse_gc_log

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def text():
    notebook = ROOT / "solutions/ps02-heap-at-work/ps02-heap-at-work.ipynb"
    cells = nbformat.read(notebook, as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


# gc_share


def test_the_share_of_a_log_worked_out_by_hand():
    lines = [
        "[0.002s][info][gc] Using Parallel",
        "[0.950s][info][gc] GC(18) Pause Young (Allocation Failure) 45M->30M(61M) 9.000ms",
        "[1.084s][info][gc] GC(19) Pause Young (Allocation Failure) 45M->31M(61M) 2.613ms",
        "[1.121s][info][gc] GC(20) Pause Young (Allocation Failure) 45M->32M(60M) 1.890ms",
        "[1.154s][info][gc] GC(21) Pause Full (Ergonomics) 43M->30M(45M) 23.503ms",
    ]
    assert GC_SHARE.reference(lines, 1.0, 1.2) == pytest.approx(28.006 / 200)


def test_the_recorded_log_holds_all_that_g1_does():
    assert parse_gc_log("\n".join(_LOG)).counts().keys() == {"young", "mixed", "full", "concurrent"}
    assert any(re.search(r"Concurrent Mark Cycle [\d.]+ms", line) for line in EXAMPLE_LOG)
    assert set(EXAMPLE_LOG) < set(_LOG)


@pytest.mark.parametrize("seed", [0, 1, 2101])
def test_no_window_begins_or_ends_within_a_pause(seed):
    for lines, *edges in GC_SHARE.inputs(seed):
        collections = parse_gc_log("\n".join(lines)).collections
        assert any(one.time > edges[1] for one in collections)
        for one in collections:
            assert not any(one.time - one.pause < edge < one.time for edge in edges)


def test_a_rounded_share_is_right():
    def rounded(log_lines, start, end):
        found = [re.match(r"\[(.+?)s\].*Pause.* (.+)ms$", line) for line in log_lines]
        pauses = [float(one[2]) for one in found if one and start < float(one[1]) < end]
        return round(sum(pauses) / 1000 / (end - start), 4)

    assert grade("ps02/gc_share", rounded, seed=2101).status is Status.RIGHT


def test_the_result_to_go_by_is_right(text):
    start, end, share = re.search(r"from (\S+) s to (\S+) s it is (\S+)\.\n", text + "\n").groups()
    expected = GC_SHARE.reference(EXAMPLE_LOG, float(start), float(end))
    assert float(share) == pytest.approx(expected, abs=GC_SHARE.within)


# smallest_heap


@pytest.mark.parametrize(
    ("heap", "says"),
    [
        ("ten", "heap: Size must be specified as"),
        ("1.5g", "heap: Size must be specified as"),
        ("112", "heap: 112 is not a heap from 8m to 2g"),
        ("4g", "heap: 4g is not a heap from 8m to 2g"),
        (112, "heap: a size is a string such as '512m'"),
    ],
)
def test_heaps_that_are_not_tried(heap, says):
    feedback = SMALLEST_HEAP.check({"heap": heap})
    assert feedback.status is Status.NOT_YET
    assert says in str(feedback)


def test_what_was_measured_is_told():
    feedback = SMALLEST_HEAP.grade({"heap": "120m"})
    assert feedback.status is Status.RIGHT
    share = r"\d+% of the processor time spent collecting"
    assert re.search(rf"measured: -Xmx120m, {share}; half of that, {share}", str(feedback))


def test_a_program_that_does_not_finish_is_not_the_learners_fault(monkeypatch):
    broken = ORDERS.replace("int[] order", "if (i == 9) System.exit(5); int[] order")
    monkeypatch.setattr("course_lib.checks.ps02.ORDERS", broken)
    with pytest.raises(CannotCheckError, match="exit code 5"):
        SMALLEST_HEAP.grade({"heap": "112m"})


def test_without_java_it_cannot_be_checked(monkeypatch):
    def no_java():
        raise NoJavaError("no Java was found")

    monkeypatch.setattr("course_lib.spark.autopsy.find_java", no_java)
    feedback = SMALLEST_HEAP.check({"heap": "112m"})
    assert "This cannot be checked here: no Java was found" in str(feedback)


# kind_of_death


def test_every_kind_occurs_once_and_the_remains_do_not_name_it(text):
    assert sorted(KIND_OF_DEATH.reference().values()) == sorted(KINDS)
    for kind in KINDS:
        assert f'`"{kind}"`' in text
        assert not re.search(rf"\b{kind}\b", REMAINS, re.IGNORECASE)


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(ROOT / "scripts/record_heap_at_work.py"))


@pytest.mark.parametrize("letter", _DEATHS)
def test_the_recorded_deaths_can_be_died_again(script, letter):
    if letter == "B":
        # On a busy machine the program waits too, and the collector's share by the clock is less.
        script["DEATHS"]["B"][2].extend(["-XX:GCTimeLimit=20", "-XX:GCHeapFreeLimit=10"])
    found, recorded = script["death"](letter), _DEATHS[letter]
    assert KIND_OF_DEATH.reference()[letter].lower() in found["message"].lower()
    assert found["thrown in"].split(",")[0] == recorded["thrown in"].split(",")[0]
    assert found["started with"].startswith(recorded["started with"])


# collection_size

MAKER = """public class Maker {
    public Object make(String element, int n) {
        if (element.equals("int")) return new int[n];
        if (element.equals("long")) return new long[n];
        java.util.ArrayList list = new java.util.ArrayList(n);
        for (int i = 0; i < n; i++) {
            if (element.equals("Integer")) list.add(Integer.valueOf(1000 + i));
            else if (element.equals("Long")) list.add(Long.valueOf(1000 + i));
            else list.add(Long.toString(1000000000000000000L + i) + "+");
        }
        return list;
    }
}"""


@pytest.fixture(scope="module")
def estimate():
    with Jvm("256m", spark_jars=True) as jvm:
        maker = jvm.compile(MAKER, "Maker")
        assert len(maker.make("String", 1)[0]) == _VALUE["String"]
        estimator = jvm.jvm.org.apache.spark.util.SizeEstimator
        yield lambda element, n: estimator.estimate(maker.make(element, n))


@pytest.mark.parametrize("arguments", COLLECTION_SIZE.inputs(2104))
def test_spark_estimates_the_same_size(estimate, arguments):
    assert estimate(*arguments) == COLLECTION_SIZE.reference(*arguments)


def test_the_size_to_go_by_is_right(text):
    assert "a list of 1,000 strings takes 68,040 bytes" in text
    assert COLLECTION_SIZE.reference("String", 1000) == 68_040


@pytest.mark.parametrize(
    ("off", "right"), [(0.91, True), (1.09, True), (0.89, False), (1.11, False)]
)
def test_ten_percent_decide(off, right):
    table = {
        arguments: COLLECTION_SIZE.reference(*arguments) for arguments in COLLECTION_SIZE.inputs(7)
    }
    feedback = grade("ps02/collection_size", lambda element, n: table[element, n] * off, seed=7)
    assert (feedback.status is Status.RIGHT) is right
    if not right:
        assert "SizeEstimator says 24 bytes: that is more than 10 % away." in str(feedback)

"""Problem set 01 against real JVMs, and answers to it that are right in ways of their own."""

import re

import psutil
import pytest

from course_lib.checks import Status, grade
from course_lib.checks.ps01 import AREAS, CONTAINER, GUILTY, PROCESS_SIZE
from course_lib.spark import Jvm, JvmOutOfMemoryError, NoJavaError
from course_lib.spark.autopsy import autopsy
from course_lib.units import MIB

HOARD = """
public class Hoard {
    public static void main(String[] arguments) {
        Object[] last = null;
        for (int made = 0; ; made++) {
            Object[] next = new Object[20];
            if (made % 20 == 0) {
                next[0] = last;
                last = next;
            }
        }
    }
}
"""


def java_children():
    return [child for child in psutil.Process().children() if child.name() == "java"]


def test_the_parts_add_up_to_what_a_real_process_has_committed():
    with Jvm("64m", initial_heap="8m") as jvm:
        few = jvm.native_memory()["Thread"].committed
        held = [jvm.start_threads(40)]
        stack = (jvm.native_memory()["Thread"].committed - few) / 40
        held += [jvm.start_threads(160), jvm.allocate("16m"), jvm.allocate_direct("16m")]
        heap, reading = jvm.heap(), jvm.native_memory()
        threads = jvm.jvm.java.lang.Thread.getAllStackTraces().size()
        del held
    counted_apart = ("Java Heap", "Thread", "Other", "Total")
    areas = {name: pair for name, pair in reading.items() if name not in counted_apart}
    buffers = {"on the heap": 16 * MIB, "direct": 16 * MIB}
    size = PROCESS_SIZE.reference(heap._asdict(), areas, threads, (MIB, stack), buffers)
    assert size == pytest.approx(reading["Total"].committed, rel=0.03)


@pytest.mark.parametrize(
    ("initial_heap", "load", "category"),
    [
        ("64m", lambda jvm: jvm.allocate_direct("8m"), "Other"),
        ("64m", lambda jvm: jvm.start_threads(200), "Thread"),
        ("64m", lambda jvm: jvm.load_classes(3000), "Metaspace"),
        ("8m", lambda jvm: jvm.allocate("40m"), "Java Heap"),
    ],
)
def test_the_guilty_category_of_a_real_process(initial_heap, load, category):
    with Jvm("64m", initial_heap=initial_heap) as jvm:
        jvm.load_classes(1)
        jvm.collect()
        before = jvm.native_memory()
        held = load(jvm)
        jvm.collect()
        after = jvm.native_memory()
        del held
    assert GUILTY.reference(before, after) == category


@pytest.mark.parametrize(
    ("limits", "fill", "area"),
    [
        ({}, lambda jvm: jvm.allocate("65m"), "heap"),
        ({"direct": "8m"}, lambda jvm: jvm.allocate_direct("9m"), "direct buffers"),
        ({"metaspace": "20m"}, lambda jvm: jvm.load_classes(100_000), "metaspace"),
        (
            {},
            lambda jvm: jvm.jvm.java.lang.Thread(None, None, "big", 2**50).start(),
            "threads",
        ),
        ({"heap": "8g"}, lambda jvm: jvm.gateway.new_array(jvm.jvm.byte, 2**31 - 1), "none"),
    ],
)
def test_real_jvms_say_these_texts(limits, fill, area):
    with Jvm(**limits) as jvm, pytest.raises(JvmOutOfMemoryError) as error, jvm.failures():
        fill(jvm)
    areas = {without_numbers(text): area for text, area in AREAS.reference().items()}
    assert areas[without_numbers(error.value.message)] == area


def without_numbers(text):
    return re.sub(r"\d+", "…", text)


def test_a_real_collector_gives_up():
    remains = autopsy(HOARD, heap="24m", java_options=["-XX:+UseParallelGC"])
    assert remains.exception_class == "java.lang.OutOfMemoryError"
    assert AREAS.reference()[remains.message] == "heap"


def test_a_process_size_in_other_words_is_right():
    def process_size(heap, areas, threads, stack, buffers):
        areas = [*areas.values(), *[stack] * threads]
        return float(heap["committed"] + sum(pair[-1] for pair in areas) + buffers["direct"])

    assert grade("ps01/process_size", process_size, seed=5).status is Status.RIGHT


def test_two_mistakes_at_once_are_told_by_the_difference_alone():
    def process_size(heap, areas, threads, stack, buffers):
        return heap["max"] + sum(buffers.values())

    feedback = grade("ps01/process_size", process_size, seed=5)
    assert (feedback.points, feedback.misconceptions) == (0, ())
    assert "right is 90390528" in str(feedback)


def test_other_limits_are_right_too():
    feedback = CONTAINER.check({"heap": "96m", "direct": "64m"})
    assert feedback.status is Status.RIGHT, str(feedback)
    assert "with as many direct buffers as you allow, the process occupies" in str(feedback)


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"heap": "104m", "direct": "1g"}, "direct: 1g is not between 16m and 512m"),
        ({"heap": "0.1g", "direct": "56m"}, "Fractional values are not supported"),
        ({"heap": 104, "direct": "56m"}, "heap: a size is a string such as '512m' or"),
        ({"heap": "104m"}, "direct: no value yet"),
        ({"heap": "104m", "metaspace": "56m"}, "There is no setting 'metaspace' here"),
    ],
)
def test_limits_that_are_refused(limits, says):
    feedback = CONTAINER.check(limits)
    assert feedback.status is Status.NOT_YET
    assert says in str(feedback)


def test_a_container_that_was_killed_leaves_nothing_behind():
    before = java_children()
    feedback = CONTAINER.check({"heap": "300m", "direct": "16m"})
    assert "right after its start, killed with SIGKILL" in str(feedback)
    assert java_children() == before


def test_without_java_it_cannot_be_checked(monkeypatch):
    def no_java():
        raise NoJavaError("no Java was found")

    monkeypatch.setattr("course_lib.spark.jvm.find_java", no_java)
    feedback = CONTAINER.check(CONTAINER.reference())
    assert "This cannot be checked here: no Java was found" in str(feedback)

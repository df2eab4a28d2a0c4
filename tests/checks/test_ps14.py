"""Problem set 14 against Spark's own estimator and caches, and settings tried out that are right or
wrong in ways of their own."""

from collections import Counter

import pytest

from course_lib.checks import CannotCheckError, Status, grade, ps14
from course_lib.checks.ps14 import GC_BILL, KRYO_SETTINGS, LESS_GC, OBJECT_SIZE
from course_lib.spark import Jvm, NoJavaError


@pytest.mark.parametrize("heap_gib", [31, 32])
def test_sparks_estimator_reckons_these_sizes(heap_gib):
    """In a JVM that may have so much heap, and takes next to nothing of it."""
    seen = 0
    options = {"initial_heap": "64m", "native_memory_tracking": False, "spark_jars": True}
    with Jvm(f"{heap_gib}g", **options) as jvm:
        estimate = jvm.jvm.org.apache.spark.util.SizeEstimator.estimate
        for arguments in [one for seed in (0, 9143) for one in OBJECT_SIZE.inputs(seed)]:
            primitives, strings, heap = arguments
            if (heap < 32) != (heap_gib < 32):
                continue
            seen += 1
            fields = [f"{kind} p{n};" for n, kind in enumerate(primitives)]
            # Equal texts would be one object.
            texts = [chr(ord("a") + n) * length for n, length in enumerate(strings)]
            fields += [f'String s{n} = "{text}";' for n, text in enumerate(texts)]
            thing = jvm.compile(
                f"public class Thing{seen} {{ {' '.join(fields)} }}", f"Thing{seen}"
            )
            assert estimate(thing) == OBJECT_SIZE.reference(*arguments), arguments
    assert seen > 20


def test_in_the_logs_that_are_drawn_the_costliest_cause_has_to_be_added_up():
    for seed in (0, 9141):
        for _, log_lines in GC_BILL.inputs(seed)[len(GC_BILL.examples) :]:
            collections = ps14._collections(log_lines)
            right = ps14._by_pause(collections)
            guesses = (
                ps14._largest(Counter(one.cause for one in collections)),
                max(collections, key=lambda one: one.pause).cause,
                ps14._by_freed(collections),
                collections[-1].cause,
            )
            assert guesses.count(right) <= 1


def test_a_share_in_percent_is_not_taken_for_a_share():
    def bill(tasks, log_lines):
        right = ps14._gc_bill(tasks, log_lines)
        return {"share": 100 * right["share"], "cause": right["cause"]}

    assert GC_BILL.grade(bill, 5).points == 0


def test_the_recorded_sizes_are_those_of_this_spark():
    measured = ps14.forms()
    recorded = ps14.recorded_forms()
    for letter, sizes in measured.items():
        assert sizes == pytest.approx(recorded[letter], rel=0.01), letter


def test_the_smallest_form_is_the_smallest_by_a_margin():
    for letter, sizes in ps14.recorded_forms().items():
        first, second = sorted(sizes.values())[:2]
        assert first < 0.98 * second, letter
    assert len(set(ps14._smallest().values())) > 1


def test_serialized_objects_are_a_remedy_too():
    feedback = LESS_GC.grade(ps14._caching("serialized", "KryoSerializer", "160m"))
    assert feedback.status is Status.RIGHT, str(feedback)
    assert "measured: GC time " in str(feedback)


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        (ps14._caching("Dataframe", "JavaSerializer", "160m"), "'Dataframe' is not one of"),
        (ps14._caching("DataFrame", "Kryo", "160m"), "'Kryo' is not one of 'JavaSerializer'"),
        (ps14._caching("DataFrame", "JavaSerializer", "640m"), "from 16m to 480m"),
        (ps14._caching("DataFrame", "JavaSerializer", ...), "young: no value yet"),
        ({"cache as": "DataFrame"}, "did you mean cached as"),
    ],
)
def test_settings_that_are_refused_before_anything_runs(monkeypatch, chosen, says):
    monkeypatch.setattr("course_lib.spark.autopsy.autopsy", None)
    feedback = LESS_GC.grade(chosen)
    assert feedback.status is Status.NOT_YET
    assert says in str(feedback)


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        (ps14._kryo("Kryo", "shop.Order", "64m"), "spark.serializer: "),
        (ps14._kryo("KryoSerializer", "shop.Order", "much"), "spark.kryoserializer.buffer.max"),
        (ps14._kryo("KryoSerializer", ["shop.Order"], "64m"), "separated by commas"),
    ],
)
def test_kryo_settings_that_are_refused_before_anything_runs(monkeypatch, chosen, says):
    monkeypatch.setattr("course_lib.spark.autopsy.autopsy", None)
    feedback = KRYO_SETTINGS.grade(chosen)
    assert feedback.status is Status.NOT_YET
    assert says in str(feedback)


def test_a_buffer_that_spark_refuses_is_refused_in_its_words():
    feedback = KRYO_SETTINGS.grade(ps14._kryo("KryoSerializer", "shop.Order", "2g"))
    assert feedback.status is Status.NOT_YET
    assert "must be less than 2048 MiB, but got 2048 MiB" in str(feedback)


@pytest.mark.parametrize("task", [LESS_GC, KRYO_SETTINGS])
def test_without_java_it_cannot_be_checked(monkeypatch, task):
    def no_java(*_arguments, **_options):
        raise NoJavaError("no Java was found")

    monkeypatch.setattr("course_lib.spark.autopsy.autopsy", no_java)
    ps14._before.cache_clear()
    feedback = task.check(task.reference())
    assert "This cannot be checked here: no Java was found" in str(feedback)


def test_a_program_that_something_else_ends_costs_no_points(monkeypatch):
    monkeypatch.setattr(ps14, "_KRYO", "raise RuntimeError('no room')")
    with pytest.raises(CannotCheckError, match="the program did not finish"):
        grade("ps14/kryo_settings", KRYO_SETTINGS.reference())


def test_half_is_reckoned_from_what_this_machine_needed_before(monkeypatch):
    shares = {"JVM objects": 0.4, "DataFrame": 0.21, "serialized": 0.2}

    def child(_program, *, form, **_given):
        return {"share": shares[form], "cached": 1.0}

    monkeypatch.setattr(ps14, "_child", child)
    ps14._before.cache_clear()
    too_much = LESS_GC.grade(ps14._caching("DataFrame", "JavaSerializer", "160m"))
    enough = LESS_GC.grade(ps14._caching("serialized", "JavaSerializer", "160m"))
    ps14._before.cache_clear()
    assert (too_much.status, enough.status) == (Status.NOT_YET, Status.RIGHT)

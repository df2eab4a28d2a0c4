"""Whatever an answer does, the caller learns what happened and goes on."""

import gc
import sys
import threading
import time
from contextlib import suppress
from functools import cache, partial

import pytest

from course_lib.checks.calls import Raised, Returned, TimedOut, call_all
from course_lib.model import heap
from course_lib.units import byte_string_as_bytes


def one_call(function, *arguments, timeout_s=5.0):
    return call_all(function, [arguments], timeout_s)


def test_each_input_has_its_outcome():
    calls = call_all(lambda x: 10 // x, [(5,), (0,), (2,)], 5)
    returned, raised, returned_again = calls.outcomes
    assert (returned, returned_again) == (Returned(2), Returned(5))
    assert raised.message.startswith("ZeroDivisionError: ")
    assert isinstance(raised.error, ZeroDivisionError)


def test_an_error_is_placed_in_the_answers_own_code():
    def helper(text):
        return int(text)

    def answer(text):
        return helper(text) + 1

    [raised] = one_call(answer, "ten").outcomes
    line = helper.__code__.co_firstlineno + 1
    assert raised.where == f"line {line} (return int(text))"
    assert raised.message == "ValueError: invalid literal for int() with base 10: 'ten'"


def test_wrong_arguments_have_no_line_of_their_own():
    [raised] = one_call(lambda x: x).outcomes
    assert raised.where == ""
    assert "missing 1 required positional argument: 'x'" in raised.message


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, RecursionError])
def test_even_errors_that_end_programs_are_outcomes(error):
    def answer():
        raise error

    [raised] = one_call(answer).outcomes
    assert isinstance(raised, Raised)
    assert isinstance(raised.error, error)


def test_an_error_that_cannot_be_written_is_an_outcome():
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("no words")

    def answer():
        raise Mute

    [raised] = one_call(answer).outcomes
    assert "Mute" in raised.message


def test_an_endless_loop_is_given_up_and_ends():
    def answer(x):
        while x:
            pass
        return x

    calls = call_all(answer, [(0,), (1,), (0,)], 0.2)
    assert calls.outcomes == (Returned(0), TimedOut(0.2))
    assert not [thread for thread in threading.enumerate() if thread.name == "answer"]


def test_an_endless_loop_that_catches_everything_is_given_up():
    stop = threading.Event()

    def answer():
        while not stop.is_set():
            with suppress(BaseException):
                time.sleep(0.001)  # what is to stop the loop is raised here, most of the time

    try:
        assert one_call(answer, timeout_s=0.2).outcomes == (TimedOut(0.2),)
    finally:
        stop.set()


def test_an_endless_loop_is_given_up_off_the_main_thread_too():
    def answer():
        while True:
            pass

    found = []
    thread = threading.Thread(target=lambda: found.append(one_call(answer, timeout_s=0.2)))
    thread.start()
    thread.join()
    assert found[0].outcomes == (TimedOut(0.2),)


def test_what_is_printed_is_kept_and_does_not_reach_the_outside(capsys):
    def answer():
        print("out")
        print("err", file=sys.stderr)

    calls = one_call(answer)
    assert calls.printed == "out\nerr\n"
    assert capsys.readouterr() == ("", "")


def test_a_coroutine_nobody_awaits_makes_no_noise(capsys, recwarn):
    async def answer():
        return 1

    [returned] = one_call(answer).outcomes
    assert returned.value.cr_frame is None, "the coroutine is closed"
    assert capsys.readouterr().err == ""
    assert not recwarn.list


def test_an_answer_cannot_change_the_inputs():
    inputs = [([1, 2],)]
    call_all(lambda numbers: numbers.clear(), inputs, 5)
    assert inputs == [([1, 2],)]


def nested(size):
    def inner():
        return heap(system_memory=size)

    return inner()


def in_a_thread(size):
    found = []
    thread = threading.Thread(target=lambda: found.append(heap(system_memory=size)))
    thread.start()
    thread.join()
    return found


def caught(size):
    try:
        return heap(system_memory=size // 8)
    except ValueError:
        return 0


renamed = heap


@pytest.mark.parametrize(
    "answer",
    [
        lambda size: heap(system_memory=size).max_heap_memory,
        lambda size: renamed(system_memory=size).max_heap_memory,
        lambda size: partial(heap, {})(system_memory=size),
        lambda size: __import__("course_lib.model").model.heap(system_memory=size),
        lambda size: list(map(lambda s: heap(system_memory=s), [size])),
        lambda size: cache(lambda: heap(system_memory=size))(),
        nested,
        in_a_thread,
        caught,
    ],
)
def test_a_call_of_the_courses_own_code_is_seen(answer):
    assert one_call(answer, 2**30).course_function == "course_lib.model.heap.heap"


def test_watching_that_is_switched_off_is_seen():
    def answer(size):
        sys.setprofile(None)
        return heap(system_memory=size)

    assert one_call(answer, 2**30).course_function == "sys.setprofile"


def test_reading_a_size_with_the_courses_help_is_allowed():
    calls = one_call(byte_string_as_bytes, "1g")
    assert calls.outcomes == (Returned(2**30),)
    assert calls.course_function is None


def test_a_profiler_of_ones_own_is_as_it_was_before():
    def profiler(*_):
        pass

    threading.setprofile(profiler)
    try:
        one_call(lambda: 1)
        assert threading.getprofile() is profiler
    finally:
        threading.setprofile(None)
    assert sys.getprofile() is None


def test_a_finalizer_of_the_course_is_not_held_against_the_answer_in_which_it_runs():
    class Held:
        def __init__(self):
            self.myself = self  # only the garbage collector ends it

        def __del__(self):
            heap({"spark.executor.memory": "1g"})

    def makes_garbage(count):
        for _ in range(count):
            cycle = []
            cycle.append(cycle)
        return count

    Held()
    calls = call_all(makes_garbage, [(100_000,)], timeout_s=5)
    assert calls.outcomes == (Returned(100_000),)
    assert calls.course_function is None
    assert gc.isenabled()

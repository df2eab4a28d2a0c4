"""Calling a learner's function so that, whatever it does, the caller learns what happened.

The calls run in a thread of their own, one after the other. What they print is captured, what they
raise is kept, and when the time is up they are stopped and the caller goes on. (Code that never
leaves one instruction of C, such as ``sum(itertools.count())``, cannot be stopped from inside.)
"""

import copy
import ctypes
import gc
import inspect
import io
import linecache
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from course_lib.grading.proxies import watch_calls

_COURSE = str(Path(__file__).parents[1])
# An answer may read sizes and settings with the course's help; the rest would answer for it.
_OPEN_TO_ANSWERS = tuple(f"{_COURSE}/{name}.py" for name in ("__init__", "units", "settings"))
# While a class is graded, an answer is a stand-in, which calls the learner's code in its jail.
_GRADING = f"{_COURSE}/grading/"

_STOP_SECONDS = 1.0


@dataclass(frozen=True)
class Returned:
    """The call returned `value`."""

    value: Any


@dataclass(frozen=True)
class Raised:
    """The call raised `error`; `where` is the line of the called function's file, as a reader
    would name it, or empty where the error came before its first line."""

    error: BaseException
    message: str
    where: str = ""


@dataclass(frozen=True)
class TimedOut:
    """The call had not ended after `seconds`."""

    seconds: float


Outcome = Returned | Raised | TimedOut


@dataclass(frozen=True)
class Calls:
    """What happened: one outcome per input, fewer if time ran out; what was printed; and the name
    of the course's own function that was called on the way, if there was one."""

    outcomes: tuple[Outcome, ...]
    printed: str
    course_function: str | None


def call_all(
    function: Callable,
    inputs: Iterable[Sequence],
    timeout_s: float,
    *,
    play: Callable | None = None,
    base: type = object,
) -> Calls:
    """Call `function` with each of the `inputs`, giving up `timeout_s` seconds after the start.

    Each call gets its own copies of the arguments. After a call that is given up on, there are no
    further ones. A class is not called but played with: ``play(function, *arguments)``. It may call
    the methods of its `base`, though that is one of the course's own.
    """
    inputs = [copy.deepcopy(tuple(arguments)) for arguments in inputs]
    outcomes: list[Outcome] = []
    watch_calls(function, closed=[f"{_COURSE}/"], opened=[*_OPEN_TO_ANSWERS, _GRADING])
    watch = _Watch(play, base)
    printed = io.StringIO()
    worker = threading.Thread(
        target=_work, args=(function, inputs, outcomes, watch, play), name="answer", daemon=True
    )
    profile_before = threading.getprofile()
    threading.setprofile(watch)  # for the worker and for threads that the answer starts
    # A collection inside the answer could run a finalizer of the course's own there, and that
    # would look as if the answer had called it.
    collecting = gc.isenabled()
    gc.disable()
    try:
        with redirect_stdout(printed), redirect_stderr(printed):
            worker.start()
            try:
                worker.join(timeout_s)
            finally:
                _stop(worker)
    finally:
        threading.setprofile(profile_before)
        if collecting:
            gc.enable()
    reached = tuple(outcomes)
    if len(reached) < len(inputs):
        reached += (TimedOut(timeout_s),)
    elsewhere = getattr(function, "called_elsewhere", None)
    borrowed = watch.course_function or (elsewhere[0] if elsewhere else None)
    return Calls(reached, printed.getvalue(), borrowed)


class _GiveUp(SystemExit):
    """Raised inside the learner's code when its time is up. A SystemExit, because a thread ends
    silently on one."""


def is_the_courses(function: Any) -> bool:
    """Whether this was written in the course's own code, in a part that answers may not call."""
    code = getattr(function, "__code__", None)
    return code is not None and _closed(code)


def _closed(code: CodeType) -> bool:
    file = code.co_filename
    return (
        file.startswith(_COURSE) and file not in _OPEN_TO_ANSWERS and not file.startswith(_GRADING)
    )


def _work(function, inputs, outcomes, watch, play) -> None:
    for arguments in inputs:
        try:
            result = play(function, *arguments) if play else function(*arguments)
            outcome = Returned(result)
        except _GiveUp:
            return
        except BaseException as error:
            outcome = Raised(error, _message(error), _place(error, function))
        if inspect.iscoroutine(getattr(outcome, "value", None)):
            outcome.value.close()  # or Python complains later that nobody awaited it
        outcomes.append(outcome)
    watch.last_look(sys.getprofile())


def _stop(worker: threading.Thread) -> None:
    """Raise _GiveUp in the worker until it ends: code may catch it once, or many times."""
    deadline = time.monotonic() + _STOP_SECONDS
    while worker.is_alive() and time.monotonic() < deadline:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(worker.ident), ctypes.py_object(_GiveUp)
        )
        worker.join(0.02)


class _Watch:
    """A profile function that notes the first call of an answer into the course's own code.

    It goes by the file that a function was written in, so other names for it do not hide it.
    """

    def __init__(self, play: Callable | None, base: type):
        self.course_function: str | None = None
        self._play = play and play.__code__
        owners = [owner for owner in base.__mro__ if owner is not object]
        methods = [method for owner in owners for method in vars(owner).values()]
        self._open = {method.__code__ for method in methods if inspect.isfunction(method)}

    def __call__(self, frame: FrameType, event: str, _argument) -> None:
        if event == "call" and self.course_function is None and _closed(frame.f_code):
            module = frame.f_globals.get("__name__", "course_lib")
            if module != __name__ and not self._permitted(frame):
                self.course_function = f"{module}.{frame.f_code.co_qualname}"

    def _permitted(self, frame: FrameType) -> bool:
        """Whether this is what plays with the answer, or is called by that, or by the base."""
        if frame.f_code is self._play or frame.f_code in self._open:
            return True
        caller = frame.f_back and frame.f_back.f_code
        return bool(self._play and caller and _closed(caller) and caller.co_filename != __file__)

    def last_look(self, profile_function) -> None:
        """Note an answer that has switched the watching off."""
        if profile_function is not self and self.course_function is None:
            self.course_function = "sys.setprofile"


def _message(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]


def _place(error: BaseException, function: Callable) -> str:
    """The last line of the function's (or class's) own file that the error passed through."""
    if where := getattr(error, "where", None):
        return where  # the error was raised in a jail; only this much of it came here
    parts = vars(function).values() if inspect.isclass(function) else [inspect.unwrap(function)]
    written_in = {part.__code__.co_filename for part in parts if hasattr(part, "__code__")}
    lines = [
        (frame.f_code.co_filename, number)
        for frame, number in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_filename in written_in
    ]
    if not lines:
        return ""
    file, number = lines[-1]
    source = linecache.getline(file, number).strip()
    return f"line {number}" + (f" ({source})" if source else "")

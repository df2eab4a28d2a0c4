"""The learner's kernel, in the jail: runs the learner's cells, and answers calls from the tests.

Everything here can be changed by the code that runs beside it. So nothing depends on it but the
values that come out, and the trusted side checks the form of those.
"""

import base64
import inspect
import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from course_lib.grading import codec
from course_lib.grading.shell import Shell, no_input, reseed
from course_lib.grading.wire import LARGE, Channel, ClosedError

_PRINTED_MOST = 20_000

# What an answer to a call tells beside its value or error.
_NOTHING: dict[str, Any] = {"changed": {}, "printed": "", "called": None}


def run(shell: Shell, descriptor: int) -> int:
    """Serve until the other side has gone."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.environ["NBGRADER_EXECUTION"] = "autograde"
    no_input()
    reseed()
    kernel = Kernel(shell, Channel(descriptor, takes=LARGE))
    try:
        kernel.serve()
    except ClosedError:
        return 0


class Kernel:
    """What the trusted side can ask of the learner's code."""

    def __init__(self, shell: Shell, channel: Channel):
        self.shell = shell
        self.channel = channel
        self.objects: list[Any] = []
        self.stand_ins: dict[str, Any] = {}

    def serve(self) -> None:
        """Answer requests, one after the other. Raises ClosedError when there are no more."""
        while True:
            request = self.channel.receive()
            answer = getattr(self, "do_" + request.pop("do"))(**request)
            try:
                self.channel.send(answer)
            except codec.CodecError as error:  # as text it has become larger than a message may be
                self.channel.send(_NOTHING | {"error": codec.encode_exception(error)})

    # Requests

    def do_enter(self, folder: str, files: Mapping[str, str]) -> dict:
        """Work in this folder, with these files (their content in base 64)."""
        os.chdir(folder)
        os.environ["HOME"] = folder
        sys.path.insert(0, "")
        for name, content in files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(base64.b64decode(content))
        return {}

    def do_execute(self, source: str, limit: int) -> dict:
        """Run a cell."""
        with interruptible():
            return self.shell.run(source, limit)

    def do_names(self, wanted: list[str]) -> dict:
        """What the notebook has under those names, of those that it has."""
        names = self.shell.user_ns
        return {"names": {name: self.describe(names[name]) for name in wanted if name in names}}

    def do_call(self, target: str, arguments: Any, keywords: Any, watch: Any, limit: int) -> dict:
        """Call a function; what it printed and how it changed its arguments is told too."""
        return self._use(self.find(target), arguments, keywords, watch, limit)

    def do_method(
        self, target: str, name: str, arguments: Any, keywords: Any, watch: Any, limit: int
    ) -> dict:
        """Call a method of an object, or of an operator's (``__len__``)."""

        def method(*args, **kwargs):
            owner = self.find(target)
            if name.startswith("__"):
                return getattr(type(owner), name)(owner, *args, **kwargs)
            return getattr(owner, name)(*args, **kwargs)

        return self._use(method, arguments, keywords, watch, limit)

    def do_attribute(self, target: str, name: str) -> dict:
        """An attribute of an object."""
        return self._use(lambda: getattr(self.find(target), name), [], {}, None, 1 << 20)

    def do_assign(self, target: str, name: str, value: Any) -> dict:
        """Set an attribute of an object."""

        def assign(new):
            setattr(self.find(target), name, new)

        return self._use(assign, [value], {}, None, 1 << 20)

    def do_on_state(
        self,
        target: str,
        name: str,
        owner: str,
        state: Any,
        arguments: Any,
        keywords: Any,
        watch: Any,
        limit: int,
    ) -> dict:
        """Call a method of a learner's class on an object that the trusted side keeps: `state` are
        its plain attributes, which come back as the method leaves them."""
        stand_in = self._stand_in(self.find(target), owner)
        vars(stand_in).update(self.decode(state))
        method = getattr(type(stand_in), name)
        answer = self._use(
            lambda *args, **kwargs: method(stand_in, *args, **kwargs),
            arguments,
            keywords,
            watch,
            limit,
            open_classes=type(stand_in).__mro__,
        )
        return answer | {"state": self.plain_state(stand_in)}

    # Calling

    def _use(
        self, function: Callable, arguments, keywords, watch, limit: int, open_classes=()
    ) -> dict:
        printed = io.StringIO()
        answer: dict[str, Any] = dict(_NOTHING)
        given = self.decode(arguments)
        before = [codec.encode(one, self.refer) for one in given]
        watcher = _Watch(watch, open_classes) if watch else None
        try:
            keywords = self.decode(keywords)
            with (
                redirect_stdout(printed),
                redirect_stderr(printed),
                interruptible(),
                watching(watcher),
            ):
                value = function(*given, **keywords)
                if inspect.iscoroutine(value):
                    value.close()  # or Python complains that nobody awaited it
            answer["value"] = codec.encode(value, self.refer)
        except BaseException as error:
            answer["error"] = codec.encode_exception(error, _place(error))
        answer["changed"] = self._changed(given, before)
        answer["printed"] = printed.getvalue()[: min(limit, _PRINTED_MOST)]
        answer["called"] = watcher.called if watcher else None
        return answer

    def _changed(self, given: list[Any], before: list[Any]) -> dict[str, Any]:
        """The arguments that a call has changed in place, by position."""
        changed = {}
        for i, (one, old) in enumerate(zip(given, before, strict=True)):
            with suppress(codec.CodecError):  # it holds now what cannot be passed
                now = codec.encode(one, self.refer)
                if now != old:
                    changed[str(i)] = now
        return changed

    def call_back(self, **request) -> Any:
        """Ask the trusted side for something while it waits for an answer."""
        with uninterruptible():
            self.channel.send({"do": "back", **request})
            answer = self.channel.receive()
        if "state" in answer:
            vars(self.stand_ins[request["owner"]]).update(self.decode(answer["state"]))
        if "error" in answer:
            raise codec.decode_exception(answer["error"])
        return self.decode(answer["value"])

    # Values

    def decode(self, data: Any) -> Any:
        """A value from the trusted side."""
        return codec.decode(data, self.find)

    def refer(self, value: Any) -> str | None:
        """A token for a value that is not plain: what stands for it over there."""
        for token, stand_in in self.stand_ins.items():
            if stand_in is value:
                return token
        if isinstance(value, _Theirs):
            return value.token
        kind = "object"
        if inspect.isclass(value):
            kind = "class"
        elif callable(value):
            kind = "function"
        elif isinstance(value, ModuleType):
            return None
        number = next((n for n, known in enumerate(self.objects) if known is value), None)
        if number is None:
            number = len(self.objects)
            self.objects.append(value)
        name = getattr(value, "__name__", None) if kind != "object" else type(value).__name__
        return f"{kind}:{number}:{str(name)[:100]}"

    def find(self, token: str) -> Any:
        """What a token stands for."""
        kind, number, *_ = token.split(":", 2)
        if kind != "theirs":
            return self.objects[int(number)]
        return self.stand_ins.get(token) or _Theirs(self, token)

    def describe(self, value: Any) -> dict:
        """A value of the notebook's, for the trusted side: plain, or a token."""
        try:
            return {"value": codec.encode(value, self.refer)} | self._about(value)
        except codec.CodecError as error:
            return {"refused": str(error)}

    def _about(self, value: Any) -> dict:
        if not callable(value):
            return {}
        about = {"doc": value.__doc__ if isinstance(value.__doc__, str) else None}
        try:
            parameters = inspect.signature(value).parameters.values()
            about["parameters"] = [
                [one.name, int(one.kind), one.default is not one.empty] for one in parameters
            ]
        except (TypeError, ValueError):
            about["parameters"] = None
        if inspect.isfunction(value):
            with suppress(OSError, TypeError):  # it was not written in a cell
                about["source"] = inspect.getsource(value)
        if inspect.isclass(value):
            about["bases"] = [[base.__module__, base.__qualname__] for base in value.__mro__]
            own = [one for one in value.__mro__ if one.__module__ == "__main__"]
            about["methods"] = sorted(
                {name for one in own for name, part in vars(one).items() if inspect.isroutine(part)}
            )
        return about

    # Objects of a learner's class that the trusted side keeps

    def _stand_in(self, cls: type, owner: str) -> Any:
        """An object that has the state of one over there. What its class inherits from a class of
        the trusted side's happens over there, too."""
        if owner not in self.stand_ins:
            own = {
                name for one in cls.__mro__ if one.__module__ == "__main__" for name in vars(one)
            }
            inherited = {
                name: part
                for one in reversed(cls.__mro__)
                if one is not object and one.__module__ != "__main__"
                for name, part in vars(one).items()
                if name not in own and not name.startswith("__")
            }
            there = {
                name: forwarded
                for name, part in inherited.items()
                if (forwarded := self._forwarded(name, part, owner)) is not None
            }
            self.stand_ins[owner] = object.__new__(type(cls.__name__, (cls,), there))
        return self.stand_ins[owner]

    def _forwarded(self, name: str, part: Any, owner: str):
        def ask(stand_in, *arguments, **keywords):
            return self.call_back(
                owner=owner,
                name=name,
                state=self.plain_state(stand_in),
                arguments=codec.encode(list(arguments), self.refer),
                keywords=codec.encode(keywords, self.refer),
            )

        if inspect.isfunction(part):
            return ask
        return property(ask) if isinstance(part, property) else None

    def plain_state(self, stand_in: Any) -> Any:
        """Those attributes that can be passed."""
        state = {}
        for name, value in vars(stand_in).items():
            try:
                codec.encode(value, self.refer)
            except codec.CodecError:
                continue  # it stays here: the other side does not know it
            state[name] = value
        return codec.encode(state, self.refer)


class _Theirs:
    """Something that the trusted side keeps and does not show: it can be passed back, compared,
    and called if it is a function."""

    def __init__(self, kernel: Kernel, token: str):
        self._kernel = kernel
        self.token = token

    def __call__(self, *arguments, **keywords):
        return self._kernel.call_back(
            owner=self.token,
            name=None,
            state=None,
            arguments=codec.encode(list(arguments), self._kernel.refer),
            keywords=codec.encode(keywords, self._kernel.refer),
        )

    def __eq__(self, other) -> bool:
        return isinstance(other, _Theirs) and other.token == self.token

    def __hash__(self) -> int:
        return hash(self.token)


class _Watch:
    """A profile function that notes the first call into code that answers may not call.

    `watch` names files and folders: "closed", and "open" where such a folder has exceptions.
    Methods of `open_classes` are open.
    """

    def __init__(self, watch: Mapping[str, list[str]], open_classes):
        self.called: str | None = None
        self._closed = tuple(watch["closed"])
        self._open = tuple(watch["open"])
        self._open_code = {
            part.__code__
            for one in open_classes
            for part in vars(one).values()
            if inspect.isfunction(part)
        }

    def __call__(self, frame: FrameType, event: str, _argument) -> None:
        code = frame.f_code
        if event != "call" or self.called is not None or code in self._open_code:
            return
        if code.co_filename.startswith(self._closed) and not code.co_filename.startswith(
            self._open
        ):
            module = frame.f_globals.get("__name__", "")
            self.called = f"{module}.{code.co_qualname}"


@contextmanager
def watching(watch: _Watch | None) -> Iterator[None]:
    """Let `watch` see every call, in this thread and in new ones."""
    if watch is None:
        yield
        return
    threading.setprofile(watch)
    sys.setprofile(watch)
    try:
        yield
    finally:
        if sys.getprofile() is not watch and watch.called is None:
            watch.called = "sys.setprofile"
        sys.setprofile(None)
        threading.setprofile(None)


@contextmanager
def interruptible() -> Iterator[None]:
    """Only while the learner's code runs does an interrupt do anything."""
    if signal.SIGINT in signal.sigpending():
        signal.sigwait({signal.SIGINT})  # it came too late for what it was meant for
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


@contextmanager
def uninterruptible() -> Iterator[None]:
    """While a message is on its way, an interrupt waits."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _place(error: BaseException) -> str:
    """The last line of the notebook that the error passed through."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename.startswith(("<ipython-input-", "/tmp/ipykernel_")) or "ipykernel" in (
            frame.filename
        ):
            return f"line {frame.lineno}" + (f" ({frame.line})" if frame.line else "")
    return ""

"""The learner's names, as a test sees them: plain values, and stand-ins for the rest.

A stand-in for a function calls the learner's in the jail and returns the plain value that came
back; nothing else that the learner's code does can reach the test. Objects of a learner's class
stay in the jail and are asked for what they have. Only where a class extends one that the tests
brought along, its objects live here, and its methods are sent the object's plain attributes.
"""

import inspect
import socket
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from course_lib.grading import codec
from course_lib.grading.findings import Finding
from course_lib.grading.jail import View
from course_lib.grading.wire import Channel, ClosedError, ForgedError

# Whose submission is graded, for tests that give each learner other numbers.
STUDENT_VARIABLE = "GRADING_STUDENT"

# How long a kernel may take to write the files it starts with.
_ENTER_S = 15.0

# How long a kernel may take to come back after an interrupt.
_GRACE_S = 2.0

# How many times the limit of a cell's outputs all cells of a notebook may have together.
_CELLS_WORTH_OF_OUTPUT = 5
_EACH_OUTPUT = 500  # bytes that an output takes in a notebook or page, whatever is in it
_HIGHEST_COUNT = 1_000_000

_END_OF_LOOP = (StopIteration, StopAsyncIteration)

# What tests use objects with: operators look for these on the class, not on the object. There is
# no "contains": whether something is in an object is decided here, among the values it yields.
_OPERATORS = (
    *("bool", "delitem", "enter", "float", "format", "getitem", "hash", "index", "int"),
    *("invert", "iter", "len", "neg", "next", "repr", "reversed", "setitem", "str"),
)
_OPERATORS_OF_TWO = (
    *("add", "and", "eq", "floordiv", "ge", "gt", "le", "lt", "mod", "mul", "ne", "or", "pow"),
    *("radd", "rmul", "rsub", "sub", "truediv", "xor"),
)


class GivenUpError(BaseException):
    """Ends a test. No Exception: a test that expects one of the learner's code must not take this
    for it."""


class LearnerKernelError(GivenUpError):
    """The learner's kernel cannot be asked any more; the message says why."""


class LearnerTimeoutError(GivenUpError):
    """A call of the learner's code was given up on."""


class LearnerKernel:
    """The trusted side's end of a learner's kernel.

    `view` is what its jail shows of the machine, None without a jail. `life` is the socket that
    its warden watches. `call_s` is how many seconds a call may take,
    `output_bytes` how much a cell may write. What happens is kept in `findings`.
    """

    def __init__(self, channel: Channel, life: socket.socket, call_s: float, output_bytes: int):
        self.findings: list[Finding] = []
        self.dead: str | None = None
        self.call_s = call_s
        self.watch: Mapping[str, list[str]] | None = None
        self.view: View | None = None
        self._channel = channel
        self._life = life
        self._output_bytes = output_bytes
        self._notebook_left = _CELLS_WORTH_OF_OUTPUT * output_bytes
        self._one_at_a_time = threading.RLock()
        self._ours: list[Any] = []

    # Cells and names

    def enter(self, folder: str, files: Mapping[str, str]) -> None:
        """Have it work in that folder of the jail, with these files (base 64)."""
        self._request({"do": "enter", "folder": folder, "files": dict(files)}, _ENTER_S)

    def execute(self, source: str, seconds: float) -> dict[str, Any]:
        """Run one of the learner's cells: ``{"outputs", "ok", "count"}``, checked in form."""
        request = {"do": "execute", "source": source, "limit": self._output_bytes}
        answer = self._request(request, seconds)
        with self._forgery():
            outputs = self._bounded(_output(one) for one in answer["outputs"])
            if answer["cut"] is True:
                self._outputs_cut()
            return {
                "outputs": outputs,
                "ok": answer["ok"] is True,
                "count": min(abs(int(answer["count"])), _HIGHEST_COUNT),
            }

    def _bounded(self, outputs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Those for which there is room: a kernel need not keep to the limit for a cell, and a
        notebook can have thousands of these."""
        left = min(2 * self._output_bytes, self._notebook_left)
        kept = []
        for output in outputs:
            size = _EACH_OUTPUT + _size(output)
            if size > left:
                self._outputs_cut()
                break
            left -= size
            self._notebook_left -= size
            kept.append(output)
        return kept

    def _outputs_cut(self) -> None:
        self.find("output-truncated", "A cell wrote more than is kept of it.")

    def names(self, wanted: list[str], ours: Mapping[str, Any]) -> dict[str, Any]:
        """Plain values, and stand-ins, for those of these names that the notebook has. `ours` are
        the names that tests can use, where a class of the learner's may have its base from."""
        answer = self._request({"do": "names", "wanted": wanted}, self.call_s)
        with self._forgery():
            described = {
                name: about for name, about in answer["names"].items() if name in set(wanted)
            }
            return {name: self._stand_in(about, ours) for name, about in described.items()}

    # Calls

    def call(self, target: str, arguments: tuple, keywords: Mapping, *, remember=None) -> Any:
        """Call a function of the learner's; raises what it raised."""
        return self._call({"do": "call", "target": target}, arguments, keywords, remember)

    def method(self, target: str, name: str, arguments: tuple, keywords: Mapping) -> Any:
        """Call a method of an object that lives in the jail."""
        request = {"do": "method", "target": target, "name": name}
        return self._call(request, arguments, keywords)

    def attribute(self, target: str, name: str) -> Any:
        """An attribute of an object that lives in the jail."""
        return self._result(
            self._request({"do": "attribute", "target": target, "name": name}, self.call_s)
        )

    def assign(self, target: str, name: str, value: Any) -> None:
        """Set an attribute of an object that lives in the jail."""
        request = {"do": "assign", "target": target, "name": name, "value": self.encode(value)}
        self._result(self._request(request, self.call_s))

    def on_state(self, target: str, name: str, owner: Any, arguments, keywords, remember) -> Any:
        """Call a method of a learner's class for `owner`, an object that lives here."""
        request = {
            "do": "on_state",
            "target": target,
            "name": name,
            "owner": self.refer(owner),
            "state": self._state(owner),
        }
        return self._call(request, arguments, keywords, remember, owner)

    def _call(self, request, arguments, keywords, remember=None, owner=None) -> Any:
        request |= {
            "arguments": self.encode(list(arguments)),
            "keywords": self.encode(dict(keywords)),
            "watch": self.watch,
            "limit": self._output_bytes,
        }
        answer = self._request(request, self.call_s)
        with self._forgery():
            printed = answer["printed"]
            if not isinstance(printed, str):
                raise ForgedError("what was printed is no text")
            sys.stdout.write(printed)
            if remember is not None and isinstance(answer["called"], str):
                remember(answer["called"][:200])
            for number, changed in answer["changed"].items():
                codec.apply_change(arguments[int(number)], self.decode(changed))
            if owner is not None:
                self._update(owner, answer["state"])
        return self._result(answer, may_end_loop=request.get("name") == "__next__")

    def _result(self, answer: Mapping[str, Any], may_end_loop: bool = False) -> Any:
        with self._forgery():
            if "error" not in answer:
                return self.decode(answer["value"])
            error = codec.decode_exception(answer["error"])
        if isinstance(error, _END_OF_LOOP) and not may_end_loop:
            # It would end a loop of the test's, such as that in ``all(map(is_right, cases))``.
            raise RuntimeError(f"the learner's code raised {type(error).__name__}") from error
        raise error

    # Requests

    def _request(self, request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        with self._one_at_a_time:
            if self.dead:
                raise LearnerKernelError(self.dead)
            try:
                self._channel.send(request, seconds)
                return self._answer(seconds)
            except TimeoutError:
                self._give_up(f"It had not ended after {seconds:g} seconds.")
                raise LearnerTimeoutError(f"had not ended after {seconds:g} seconds") from None
            except ClosedError:
                self._died("The kernel of this notebook ended while its code was running.")
                raise LearnerKernelError(self.dead) from None
            except ForgedError as error:
                self.forged(error)
                raise LearnerKernelError(self.dead) from None
            except LearnerKernelError:
                raise
            except BaseException:  # the test itself has given up waiting, from another thread
                self._give_up("A test gave up waiting for it.")
                raise

    def _answer(self, seconds: float) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while True:
            answer = self._channel.receive(max(0.0, deadline - time.monotonic()))
            if answer.get("do") != "back":
                return answer
            self._channel.send(self._serve(answer), self.call_s)
            if time.monotonic() > deadline:  # however fast the requests come
                raise TimeoutError

    def _serve(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Do what the learner's code asks of something that lives here."""
        with self._forgery():
            owner, name = self._find_ours(request["owner"]), request["name"]
            arguments = self.decode(request["arguments"])
            keywords = self.decode(request["keywords"])
            function = self._function(owner, name)
        if name is not None:
            with self._forgery():
                self._update(owner, request["state"])
        try:
            value = {"value": self.encode(function(*arguments, **keywords))}
        except Exception as error:
            value = {"error": codec.encode_exception(error)}
        if name is not None:
            value |= {"state": self._state(owner)}
        return value

    def _function(self, owner: Any, name: Any) -> Callable:
        """What may be asked of it: a function that was passed to the learner's code can be called,
        an object of a learner's class has what it inherits."""
        if name is None and inspect.isroutine(owner):
            return owner
        base = getattr(type(owner), "_learner_base", None)
        part = inspect.getattr_static(base, name, None) if base and isinstance(name, str) else None
        if inspect.isfunction(part) and not name.startswith("__"):
            return lambda *arguments, **keywords: part(owner, *arguments, **keywords)
        if isinstance(part, property):
            return lambda: part.fget(owner)
        raise ForgedError("asked for something that was never offered")

    def _give_up(self, why: str) -> None:
        """Interrupt what runs; where that does not help, the kernel is ended."""
        self.find("call-timeout", why)
        try:
            self._life.send(b"i")
            self._answer(_GRACE_S)
        except (OSError, ForgedError, LearnerKernelError):
            self._died("The kernel of this notebook did not stop when it was interrupted.")

    def _died(self, why: str) -> None:
        self.dead = why
        self.find("kernel-died", why)
        self.end()

    def forged(self, error: Exception) -> None:
        """End a kernel that sent what no kernel sends."""
        self.dead = "The kernel of this notebook broke off the conversation."
        self.find("forged-reply", f"The kernel sent something malformed: {str(error)[:300]}.")
        self.end()

    def too_late(self, why: str) -> None:
        """End the kernel of a notebook that has used up its time."""
        self.dead = why
        self.find("not-finished", why)
        self.end()

    def end(self) -> None:
        """End the kernel, and everything in its jail."""
        with suppress(OSError):  # its warden may be gone, too
            self._life.shutdown(socket.SHUT_WR)

    def find(self, name: str, says: str) -> None:
        """Note a finding, once."""
        if all(finding.name != name for finding in self.findings):
            self.findings.append(Finding(name, says))

    def _forgery(self) -> "_Forgery":
        return _Forgery(self)

    # Values

    def encode(self, value: Any) -> Any:
        """A value for the learner's kernel."""
        return codec.encode(value, self.refer)

    def decode(self, data: Any) -> Any:
        """A value from there, as plain as it has to be."""
        return codec.decode(data, self.find_theirs)

    def refer(self, value: Any) -> str:
        """A token for something that stays here, or for what lives over there."""
        if isinstance(value, LearnerFunction | LearnerObject):
            return object.__getattribute__(value, "_token")
        if isinstance(value, type) and (token := vars(value).get("_learner_token")):
            return token
        number = next((n for n, known in enumerate(self._ours) if known is value), None)
        if number is None:
            number = len(self._ours)
            self._ours.append(value)
        return f"theirs:{number}:{type(value).__name__}"

    def find_theirs(self, token: str) -> Any:
        """What stands for a token of theirs, or is meant by one of ours."""
        kind, _, rest = token.partition(":")
        if kind == "theirs":
            return self._find_ours(token)
        name = rest.partition(":")[2]
        if kind == "function":
            return LearnerFunction(self, token, name, {})
        if kind == "class":
            return LearnerClass(self, token, name, {})
        return LearnerObject(self, token, name)

    def _find_ours(self, token: Any) -> Any:
        kind, number, *_ = str(token).split(":", 2)
        if kind != "theirs" or not number.isdigit() or int(number) >= len(self._ours):
            raise ForgedError("a name for nothing")
        return self._ours[int(number)]

    def _stand_in(self, about: Mapping[str, Any], ours: Mapping[str, Any]) -> Any:
        if "refused" in about:
            return Unusable(str(about["refused"])[:1000])
        value = self.decode(about["value"])
        if isinstance(value, LearnerClass):
            value._about.update(about)
            for base in ours.values():
                if inspect.isclass(base) and [base.__module__, base.__qualname__] in about["bases"]:
                    return self._subclass(value, base, about)
        elif isinstance(value, LearnerFunction):
            value._about.update(about)
        return value

    def _subclass(self, learner_class: "LearnerClass", base: type, about) -> type:
        """A class here whose methods are the learner's."""
        token, called = learner_class._token, []

        def remote(name: str) -> Callable:
            def method(self_, *arguments, **keywords):
                return self.on_state(token, name, self_, arguments, keywords, called.append)

            method.__name__ = name
            return method

        methods = {name: remote(name) for name in about["methods"] if _may_be_asked(name)}
        more = {"_learner_token": token, "_learner_base": base, "called_elsewhere": called}
        return type(learner_class.__name__, (base,), methods | more)

    def _state(self, owner: Any) -> Any:
        state = {}
        for name, value in vars(owner).items():
            try:
                codec.encode(value)
            except codec.CodecError:
                continue  # it stays here
            state[name] = value
        return codec.encode(state)

    def _update(self, owner: Any, state: Any) -> None:
        """Take over the attributes as the learner's method left them; what cannot be passed is out
        of its reach."""
        for name, value in self.decode(state).items():
            current = vars(owner).get(name)
            try:
                codec.encode(current)
            except codec.CodecError:
                continue
            if not isinstance(name, str) or isinstance(value, LearnerFunction | LearnerObject):
                raise ForgedError("an attribute that is not plain")
            vars(owner)[name] = value


def _may_be_asked(name: Any) -> bool:
    """Whether a method of a learner's class takes the place of its base's: how objects compare, and
    how attributes are found, is not for the learner to say."""
    special = {"__init__", "__call__", *(f"__{operator}__" for operator in _OPERATORS)}
    return isinstance(name, str) and (not name.startswith("__") or name in special)


class _Forgery:
    """Ends the kernel if what it sent turns out to be malformed."""

    def __init__(self, kernel: LearnerKernel):
        self._kernel = kernel

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind, error, _traceback) -> bool:
        if not isinstance(error, Exception):
            return False
        self._kernel.forged(error)
        raise LearnerKernelError(self._kernel.dead) from None


class LearnerFunction:
    """Stands for a function of the learner's.

    ``watch`` has the calls tell which code was called on the way (see `watch_calls`); it is then in
    ``called_elsewhere``.
    """

    def __init__(self, kernel: LearnerKernel, token: str, name: str, about: Mapping[str, Any]):
        self._kernel = kernel
        self._token = token
        self._about = dict(about)
        self.__name__ = self.__qualname__ = name
        self.called_elsewhere: list[str] = []

    def __call__(self, *arguments, **keywords):
        return self._kernel.call(
            self._token, arguments, keywords, remember=self.called_elsewhere.append
        )

    def __repr__(self) -> str:
        return f"<the learner's {self.__name__}>"

    def __eq__(self, other) -> bool:
        return isinstance(other, LearnerFunction) and other._token == self._token

    def __hash__(self) -> int:
        return hash(self._token)

    @property
    def __doc__(self) -> str | None:
        doc = self._about.get("doc")
        return doc if isinstance(doc, str) else None

    @property
    def __signature__(self) -> inspect.Signature:
        parameters = [
            inspect.Parameter(
                str(name),
                inspect._ParameterKind(kind),
                default=... if has_default is True else inspect.Parameter.empty,
            )
            for name, kind, has_default in self._about.get("parameters") or ()
        ]
        return inspect.Signature(parameters)


class LearnerClass(LearnerFunction):
    """Stands for a class of the learner's; its objects stay in the jail."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._kernel.attribute(self._token, name)


class LearnerObject:
    """Stands for an object that lives in the jail."""

    def __init__(self, kernel: LearnerKernel, token: str, type_name: str):
        object.__setattr__(self, "_kernel", kernel)
        object.__setattr__(self, "_token", token)
        object.__setattr__(self, "_type_name", type_name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._kernel.attribute(self._token, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._kernel.assign(self._token, name, value)

    def __exit__(self, *error) -> None:
        # Whatever it answers: it would swallow the failed assertions of the block.
        self._kernel.method(self._token, "__exit__", (None, None, None), {})


def _operator(name: str) -> Callable:
    def operator(self, *arguments):
        return self._kernel.method(self._token, name, arguments, {})

    operator.__name__ = name
    return operator


def _operator_of_two(name: str) -> Callable:
    asked = _operator(name)

    def operator(self, other):
        # Told what it is compared with, an object could claim to be equal to anything.
        if not isinstance(other, LearnerObject):
            raise TypeError(
                f"an object of the learner's class {self._type_name} stands where a test needs a "
                f"plain value: it cannot be compared or combined with one ({name})"
            )
        return asked(self, other)

    operator.__name__ = name
    return operator


for _name in _OPERATORS:
    setattr(LearnerObject, f"__{_name}__", _operator(f"__{_name}__"))
for _name in _OPERATORS_OF_TWO:
    setattr(LearnerObject, f"__{_name}__", _operator_of_two(f"__{_name}__"))


class Unusable:
    """Stands for a value that cannot be passed: whoever uses it is told so."""

    def __init__(self, why: str):
        object.__setattr__(self, "_why", why)

    def __getattribute__(self, name: str) -> Any:
        if name in ("__class__", "__dict__", "__doc__", "__module__"):
            return object.__getattribute__(self, name)
        raise TypeError(object.__getattribute__(self, "_why"))

    def __repr__(self) -> str:
        return f"<{object.__getattribute__(self, '_why')}>"


def watch_calls(answer: Any, closed: list[str], opened: list[str]) -> bool:
    """Have calls of a stand-in tell when they come into code in the `closed` folders, apart from
    what is in the `opened` ones. False for anything that is no stand-in."""
    kernel = getattr(answer, "_kernel", None)
    if not isinstance(kernel, LearnerKernel):
        return False
    kernel.watch = {"closed": closed, "open": opened}
    return True


def source_of(function: Callable) -> str | None:
    """The text of a function as a notebook or module has it, of the learner's too; None where it
    has been lost."""
    if isinstance(function, LearnerFunction):
        source = function._about.get("source")
        return textwrap.dedent(source) if isinstance(source, str) else None
    try:
        return textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        return None


def view_of(answer: Any) -> View | None:
    """What the jail shows in which this is the learner's; None for what is in no jail."""
    kernel = getattr(answer, "_kernel", None)
    return kernel.view if isinstance(kernel, LearnerKernel) else None


def _size(part: Any) -> int:
    """Characters in all of a (checked) output's texts."""
    if isinstance(part, str):
        return len(part)
    parts = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return sum(map(_size, parts))


_PLAIN_TYPES = ("text/plain", "image/png", "image/jpeg")


def _output(data: Any) -> dict[str, Any]:
    """An output as a notebook may have it. Markup and scripts are left out: whoever opens the page,
    the teacher too, would run them."""
    kind = data["output_type"]
    if kind == "stream":
        name, text = data["name"], data["text"]
        if name not in ("stdout", "stderr") or not isinstance(text, str):
            raise ForgedError("a stream that there is not")
        return {"output_type": "stream", "name": name, "text": text}
    if kind == "error":
        traceback = [str(line) for line in data["traceback"]]
        return {
            "output_type": "error",
            "ename": str(data["ename"]),
            "evalue": str(data["evalue"]),
            "traceback": traceback,
        }
    if kind not in ("display_data", "execute_result"):
        raise ForgedError("an output of no known type")
    shown = {
        media: text
        for media, text in data["data"].items()
        if media in _PLAIN_TYPES and isinstance(text, str)
    }
    output = {"output_type": kind, "data": shown, "metadata": {}}
    if kind == "execute_result":
        output["execution_count"] = int(data["execution_count"])
    return output

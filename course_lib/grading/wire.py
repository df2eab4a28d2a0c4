"""Messages between two processes that need not trust each other, over a socket.

A message is a dict, packed by ``codec``, with its length in front. What arrives is bounded and
checked before it is used; nobody waits longer than it wants to.
"""

import select
import socket
import struct
import time
from collections.abc import Mapping
from typing import Any

from course_lib.grading.codec import CodecError, Limits, pack, unpack
from course_lib.units import MIB

_LENGTH = struct.Struct("!I")

ORDINARY = Limits()
LARGE = Limits(max_bytes=256 * MIB)
"""Of messages from the grader's side, which carry whole notebooks, and files in base 64."""

# A thread that waits in one call of the operating system cannot be given up on: so it looks up.
_SLICE_S = 0.05


class ClosedError(ConnectionError):
    """The other side has gone."""


class ForgedError(ValueError):
    """What arrived is not a message that the other side would send."""


class Channel:
    """One end of a connection. `sends` and `takes` bound the messages in both directions."""

    def __init__(self, descriptor: int, sends: Limits = ORDINARY, takes: Limits = ORDINARY):
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(False)
        self._sends, self._takes = sends, takes
        self._arrived = bytearray()

    def fileno(self) -> int:
        """Its descriptor."""
        return self._socket.fileno()

    def send(self, message: Mapping[str, Any], seconds: float | None = None) -> None:
        """Send, within so many seconds. Raises TimeoutError, ClosedError, CodecError."""
        data = pack(message, self._sends)
        left = memoryview(_LENGTH.pack(len(data)) + data)
        deadline = _deadline(seconds)
        while left:
            try:
                left = left[self._socket.send(left) :]
            except BlockingIOError:
                self._wait(select.POLLOUT, deadline)
            except OSError as error:
                raise ClosedError("the other side has gone") from error

    def receive(self, seconds: float | None = None) -> dict[str, Any]:
        """The next message, awaited for so many seconds.

        Raises TimeoutError, ClosedError, ForgedError. What has arrived in part is kept."""
        deadline = _deadline(seconds)
        while (message := self._next()) is None:
            try:
                arrived = self._socket.recv(1 << 20)
            except BlockingIOError:
                self._wait(select.POLLIN, deadline)
                continue
            except OSError as error:
                raise ClosedError("the other side has gone") from error
            if not arrived:
                raise ClosedError("the other side has gone")
            self._arrived += arrived
        return message

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def _next(self) -> dict[str, Any] | None:
        if len(self._arrived) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._arrived)
        most = self._takes.max_bytes
        if length > most:
            raise ForgedError(f"a message of {length} bytes, where {most} are the most")
        end = _LENGTH.size + length
        if len(self._arrived) < end:
            return None
        data = bytes(self._arrived[_LENGTH.size : end])
        del self._arrived[:end]
        try:
            return unpack(data, self._takes)
        except CodecError as error:
            raise ForgedError(str(error)) from error

    def _wait(self, event: int, deadline: float | None) -> None:
        poll = select.poll()
        poll.register(self._socket, event)
        slice_s = _SLICE_S
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the other side has not answered in time")
            slice_s = min(slice_s, left)
        poll.poll(slice_s * 1000)


def _deadline(seconds: float | None) -> float | None:
    return None if seconds is None else time.monotonic() + seconds

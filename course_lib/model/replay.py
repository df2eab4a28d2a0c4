"""A trace of events, played on a memory manager: what happens at each, in words and as a tree.

A trace is text, one event on a line, or the same events as Python objects::

    cache rdd_0_0 64m MEMORY_AND_DISK   # a block of that size; MEMORY_ONLY unless a level is named
    cache rdd_0_1 64m in 16             # value by value, in 16 values of equal size: unrolled
    read rdd_0_0                        # from memory, from disk, or recomputed and cached again
    pin rdd_0_0                         # a reader begins: the block is not evicted until unpin
    unpersist rdd_0                     # a block, or all blocks of an RDD
    ask t1 500m                         # task t1 wants execution memory, on-heap
    ask t1 1g OFF_HEAP by sort          # or off-heap; and for one of its operators
    release t1 200m                     # with the same additions as ask
    finish t1                           # everything it holds is given back

An operator that is asked to spill gives back all it holds. A task that waits does nothing more: its
later events are held back until it is woken. When memory comes back, or one more task shares the
pool, waiting tasks try again in the order in which they began to wait.
"""

import copy
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral
from operator import add
from typing import NamedTuple

from course_lib.model.managers import MemoryManager
from course_lib.model.pools import MemoryMode, checked
from course_lib.model.region import Region
from course_lib.model.store import BlockId, MemoryStore, StorageLevel
from course_lib.model.tasks import MemoryConsumer, TaskMemoryManager
from course_lib.units import GIB, KIB, MIB, byte_string_as_bytes, bytes_to_string

MOST_VALUES = 1_000_000  # that a block may be unrolled from: a trace is to be played at once


class TraceError(ValueError):
    """A trace with a line that cannot be read, or with an event that cannot happen."""


# The events


@dataclass(frozen=True)
class Cache:
    """A block is to be kept at a storage level; with `values`, unrolled from that many."""

    block_id: str
    size: int
    level: StorageLevel = StorageLevel.MEMORY_ONLY
    values: int | None = None

    def __post_init__(self):
        _require_bytes(self.size)
        if not isinstance(self.level, StorageLevel):
            raise TypeError(f"a level is one such as StorageLevel.MEMORY_ONLY, not {self.level!r}")
        if self.values is not None and self.values < 1:
            raise ValueError(f"a block comes in at least 1 value, not {self.values}")
        if self.values is not None and self.values > MOST_VALUES:
            raise ValueError(f"a block comes in at most {MOST_VALUES} values, not {self.values}")

    def __str__(self):
        level = f" {self.level.name}" if self.level != StorageLevel.MEMORY_ONLY else ""
        values = f" in {self.values}" if self.values else ""
        return f"cache {self.block_id} {size_text(self.size)}{level}{values}"


@dataclass(frozen=True)
class Read:
    """A block is read, and made again if it is lost."""

    block_id: str

    def __str__(self):
        return f"read {self.block_id}"


@dataclass(frozen=True)
class Pin:
    """A long read of a block begins."""

    block_id: str

    def __str__(self):
        return f"pin {self.block_id}"


@dataclass(frozen=True)
class Unpin:
    """A long read of a block ends."""

    block_id: str

    def __str__(self):
        return f"unpin {self.block_id}"


@dataclass(frozen=True)
class Unpersist:
    """A block is given up, or every block of an RDD (``"rdd_0"``)."""

    name: str

    def __str__(self):
        return f"unpersist {self.name}"


@dataclass(frozen=True)
class Ask:
    """A task asks for execution memory, for its operator `consumer` if it has several."""

    task: str
    size: int
    mode: MemoryMode = MemoryMode.ON_HEAP
    consumer: str = ""

    def __post_init__(self):
        _require_bytes(self.size)
        _require_mode(self.mode)
        if self.size == 0:
            raise ValueError("a task asks for at least 1 byte, not 0")

    def __str__(self):
        return _task_line("ask", self)


@dataclass(frozen=True)
class Release:
    """A task gives execution memory back: at most what its operator holds."""

    task: str
    size: int
    mode: MemoryMode = MemoryMode.ON_HEAP
    consumer: str = ""

    def __post_init__(self):
        _require_bytes(self.size)
        _require_mode(self.mode)

    def __str__(self):
        return _task_line("release", self)


@dataclass(frozen=True)
class Finish:
    """A task ends."""

    task: str

    def __str__(self):
        return f"finish {self.task}"


Event = Cache | Read | Pin | Unpin | Unpersist | Ask | Release | Finish


def _require_bytes(size: object) -> None:
    if not isinstance(size, Integral):
        raise TypeError(f"a size is a whole number of bytes, not {size!r}")
    checked(size)


def _require_mode(mode: object) -> None:
    if not isinstance(mode, MemoryMode):
        raise TypeError(f"a mode is MemoryMode.ON_HEAP or MemoryMode.OFF_HEAP, not {mode!r}")


def size_text(num_bytes: int) -> str:
    """A size as a trace writes it: exact, in the largest unit that has no remainder."""
    for unit, suffix in ((GIB, "g"), (MIB, "m"), (KIB, "k")):
        if num_bytes and num_bytes % unit == 0:
            return f"{num_bytes // unit}{suffix}"
    return str(num_bytes)


def _task_line(verb: str, event: Ask | Release) -> str:
    mode = f" {event.mode.name}" if event.mode is not MemoryMode.ON_HEAP else ""
    consumer = f" by {event.consumer}" if event.consumer else ""
    return f"{verb} {event.task} {size_text(event.size)}{mode}{consumer}"


# Text to events, and back


def parse_trace(text: str) -> tuple[Event, ...]:
    """The events of a trace. Raises TraceError, naming the line and what was expected there."""
    events = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if words:
            try:
                events.append(_parse(words))
            except ValueError as error:
                raise TraceError(f"line {number}, `{' '.join(words)}`: {error}") from None
    return tuple(events)


def format_trace(events: Iterable[Event]) -> str:
    """The events as text, one a line: `parse_trace` gives them back."""
    return "".join(f"{event}\n" for event in events)


_USAGE = {
    "cache": "cache BLOCK SIZE [LEVEL] [in VALUES]",
    "read": "read BLOCK",
    "pin": "pin BLOCK",
    "unpin": "unpin BLOCK",
    "unpersist": "unpersist BLOCK, or unpersist RDD",
    "ask": "ask TASK SIZE [ON_HEAP | OFF_HEAP] [by CONSUMER]",
    "release": "release TASK SIZE [ON_HEAP | OFF_HEAP] [by CONSUMER]",
    "finish": "finish TASK",
}
_NAMED = {"read": Read, "pin": Pin, "unpin": Unpin, "unpersist": Unpersist, "finish": Finish}


def _parse(words: list[str]) -> Event:
    verb, *rest = words
    if verb not in _USAGE:
        raise ValueError(f"expected one of {', '.join(_USAGE)}, not {verb!r}")
    if verb in _NAMED and len(rest) == 1:
        return _NAMED[verb](rest[0])
    if verb not in _NAMED and len(rest) >= 2:
        name, size, *options = rest
        size = byte_string_as_bytes(size)
        marked = _take_pair(options, "in" if verb == "cache" else "by")
        if len(options) <= 1:
            if verb == "cache":
                level = StorageLevel.from_string(options[0] if options else "MEMORY_ONLY")
                return Cache(BlockId(name), size, level, marked and _whole_number(marked))
            event = Ask if verb == "ask" else Release
            return event(name, size, _mode(options[0] if options else "ON_HEAP"), marked or "")
    raise ValueError(f"expected `{_USAGE[verb]}`")


def _take_pair(options: list[str], mark: str) -> str | None:
    """Remove a final `mark VALUE` from the options, and return the value."""
    if options[-2:-1] != [mark]:
        return None
    _, value = options[-2:]
    del options[-2:]
    return value


def _whole_number(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"expected a whole number after `in`, not {text!r}")
    return int(text)


def _mode(name: str) -> MemoryMode:
    if name not in MemoryMode.__members__:
        raise ValueError(f"expected ON_HEAP or OFF_HEAP, not {name!r}")
    return MemoryMode[name]


# What comes out


class Score(NamedTuple):
    """What a trace has cost so far. All bytes, but for `waited`.

    `evicted` left memory; `spilled` went from execution memory to disk; `refused` were asked for
    and not had, by blocks that were not kept in memory and by tasks; `recomputed` were made again,
    `read_from_disk` came from there. `waited` adds up, over all frames, the tasks that wait.
    """

    evicted: int = 0
    spilled: int = 0
    refused: int = 0
    waited: int = 0
    recomputed: int = 0
    read_from_disk: int = 0


class Eviction(NamedTuple):
    """A block that left memory, its bytes, and whether it is on disk now."""

    block_id: str
    size: int
    to_disk: bool


class Spill(NamedTuple):
    """What gave memory back because it was asked to: a task, or one of its operators."""

    task: str
    consumer: str
    size: int


@dataclass(slots=True)
class Frame:
    """What one event did, and what things looked like after it.

    `event` is None at the start. `what` names what happened (``"granted"``, ``"waits"``,
    ``"stored"`` …) and `size` the bytes that it concerns; `outcome` says it in words. `limit` is,
    for a task that waits, its 1/2N of the pool, and for a block that was not stored, what storage
    could have had. `waiting` counts the tasks that wait now.
    """

    number: int
    event: Event | None
    what: str
    size: int
    limit: int
    evicted: tuple[Eviction, ...]
    spilled: tuple[Spill, ...]
    waiting: int
    score: Score
    film: "Film | None" = field(default=None, repr=False, compare=False)

    @property
    def outcome(self) -> str:
        """What happened, in words."""
        said = [*_told_evictions(self.evicted), *map(_told_spill, self.spilled), _told(self)]
        return "; ".join(said)

    @property
    def region(self) -> Region:
        """The pools after this event: blocks in storage, tasks in execution."""
        return self.film._state(self.number).region()

    @property
    def waiting_tasks(self) -> tuple[str, ...]:
        """The tasks that wait after this event, in the order in which they began to."""
        return self.film._state(self.number).waiting_tasks()


def _told_evictions(evicted: Sequence[Eviction]) -> list[str]:
    said = []
    for to_disk, where in ((True, "to disk"), (False, "and lost")):
        blocks = [one for one in evicted if one.to_disk is to_disk]
        if blocks:
            names = ", ".join(one.block_id for one in blocks[:3])
            if len(blocks) > 3:
                names += f" and {len(blocks) - 3} more"
            size = bytes_to_string(sum(one.size for one in blocks))
            said.append(f"evicted {names}, {size}, {where}")
    return said


def _told_spill(spill: Spill) -> str:
    who = f"{spill.task}'s {spill.consumer}" if spill.consumer else spill.task
    return f"{who} spilled {bytes_to_string(spill.size)}"


_TOLD = {
    "start": "nothing is cached, and no task has asked",
    "stored": "cached, {size}",
    "on disk": "stored on disk, {size}",
    "too large": "not in memory: {asked} is more than storage could have, {limit}",
    "no room": "not in memory: too little may be evicted for {asked}",
    "read from memory": "read from memory",
    "read from disk": "read from disk, {size}",
    "cached again": "read from disk, {size}, and back in memory",
    "recomputed": "lost, so recomputed, {size}, and not kept in memory",
    "recomputed and stored": "lost, so recomputed, {size}, and cached again",
    "pinned": "pinned: it is not evicted while it is read",
    "unpinned": "no longer pinned",
    "unpersisted": "unpersisted: {size} of memory free again",
    "waits": "waits: 1/2N is {limit}, and it can have only {size}",
    "held back": "held back, as {task} waits",
    "waits for ever": "waits for ever: nothing more in this trace gives memory back",
    "finished": "finished: {size} given back",
}


def _told(frame: Frame) -> str:
    size, limit = bytes_to_string(frame.size), bytes_to_string(frame.limit)
    asked = bytes_to_string(getattr(frame.event, "size", 0))
    task = getattr(frame.event, "task", "")
    told = _TOLD.get(frame.what)
    if told is not None:
        on_disk = frame.what in ("too large", "no room") and frame.event.level.use_disk
        return told.format(size=size, limit=limit, asked=asked, task=task) + (
            "; stored on disk" if on_disk else ""
        )
    # "granted", "woken" and "released", in part or in full
    size = "nothing" if frame.size == 0 else size
    part = "" if frame.size == frame.event.size else f" of {asked}"
    woken, verb = ("woken: ", "granted") if frame.what == "woken" else ("", frame.what)
    return f"{woken}{verb} {size}{part}"


# Playing


def replay(manager: MemoryManager, events: str | Iterable[Event]) -> "Film":
    """Play a trace, text or events, on a memory manager that nobody has used yet.

    Returns a Film: a sequence of frames, the start first. `manager` is left as the trace leaves it.
    Raises TraceError for a trace that cannot be read and for an event that cannot happen, such as
    reading a block that was never cached; ValueError for a manager that is in use.
    """
    return Film(manager, _events(events))


def score(manager: MemoryManager, events: str | Iterable[Event]) -> Score:
    """What the trace costs in the end: as ``replay(manager, events)[-1].score``, and faster."""
    player = _Player(manager)
    deque(player.play(_events(events)), maxlen=0)
    return player.score


def _events(trace: str | Iterable[Event]) -> tuple[Event, ...]:
    if isinstance(trace, str):
        return parse_trace(trace)
    events = tuple(trace)
    for number, event in enumerate(events, 1):
        if not isinstance(event, Event):
            raise TraceError(f"event {number}: expected one such as Ask('t1', 100), not {event!r}")
    return events


class Film(Sequence):
    """The frames of a trace that was played. Printed, it tells what happened line by line."""

    def __init__(self, manager: MemoryManager, events: tuple[Event, ...]):
        self.events = events
        self._start = copy.deepcopy(manager)
        self._frames = list(_Player(manager).play(events))
        for frame in self._frames:
            frame.film = self
        self._rewind()

    def __getitem__(self, index):
        return self._frames[index]

    def __len__(self):
        return len(self._frames)

    def __repr__(self):
        width = max(len(str(frame.event or "start")) for frame in self)
        return "\n".join(f"{frame.event or 'start'!s:{width}}  {frame.outcome}" for frame in self)

    def _rewind(self) -> None:
        self._player = _Player(copy.deepcopy(self._start))
        self._playing = self._player.play(self.events)
        self._shown = -1

    def _state(self, number: int) -> "_Player":
        """A player that stands at a frame. Playing again is cheaper than keeping every state."""
        if number < self._shown:
            self._rewind()
        while self._shown < number:
            self._shown = next(self._playing).number
        return self._player


class _Store(MemoryStore):
    """A store that tells whom it evicts."""

    def __init__(self, manager: MemoryManager):
        super().__init__(manager)
        self.evicted: list[Eviction] = []

    def drop_from_memory(self, block_id: str) -> bool:
        size = self._in_memory[block_id].size
        to_disk = super().drop_from_memory(block_id)
        self.evicted.append(Eviction(block_id, size, to_disk))
        return to_disk


class _Operator(MemoryConsumer):
    """An operator that spills all it holds, and tells so."""

    def __init__(self, task: "_Task", name: str, mode: MemoryMode):
        super().__init__(task.memory, mode)
        self.task, self.name = task, name

    def spill(self, size: int, trigger: MemoryConsumer) -> int:
        released = self.used
        if released:  # one that has spilled already may be asked again
            self.free_memory(released)
            self.task.spilled.append(Spill(self.task.name, self.name, released))
        return released


class _Task:
    """A task: its operators, and the events that wait until it is woken."""

    def __init__(self, manager: MemoryManager, name: str, spilled: list[Spill]):
        self.name, self.spilled = name, spilled
        self.memory = TaskMemoryManager(manager, name)
        self.operators: dict[tuple[str, MemoryMode], _Operator] = {}
        self.held_back: deque[Event] = deque()
        self.waits_for: Ask | None = None
        self.waits_among: tuple = ()  # what all in its queue have in common

    def operator(self, event: Ask | Release) -> _Operator:
        key = event.consumer, event.mode
        if key not in self.operators:
            self.operators[key] = _Operator(self, *key)
        return self.operators[key]


class _Player:
    """Plays events on a manager and a store, and keeps the score."""

    def __init__(self, manager: MemoryManager):
        if manager.storage_memory_used or manager.execution_memory_used:
            raise ValueError("a trace is played on a manager that nobody has used yet")
        self.manager = manager
        self.store = _Store(manager)
        self.score = Score()
        self._number = -1
        self._cached: dict[str, Cache] = {}
        self._tasks: dict[str, _Task] = {}
        self._spilled: list[Spill] = []
        # Queues of tasks that wait for as much and hold as much, so that only the first of each
        # has to look again: mode, size and held bytes -> task -> when it began to wait.
        self._waiting: dict[tuple, dict[str, int]] = {}
        self._waits_begun = 0
        self._notifications = 0

    def play(self, events: Iterable[Event]) -> Iterator[Frame]:
        """One frame for the start and for each event; more for tasks that wake up after it."""
        yield self._frame(None, "start")
        for number, event in enumerate(events, 1):
            try:
                yield self._step(event)
                yield from self._wake()
            except (ValueError, KeyError) as error:
                raise TraceError(f"event {number}, `{event}`: {error.args[0]}") from None
        for name in self.waiting_tasks():
            yield self._frame(self._tasks[name].waits_for, "waits for ever")

    def _step(self, event: Event) -> Frame:
        task = self._tasks.get(getattr(event, "task", None))
        if task is not None and task.waits_for is not None:
            task.held_back.append(event)
            return self._frame(event, "held back")
        return getattr(self, f"_{type(event).__name__.lower()}")(event)

    def _frame(
        self, event: Event | None, what: str, size: int = 0, limit: int = 0, **costs: int
    ) -> Frame:
        """The frame of what has just happened. `costs` are added to the score."""
        evicted, spilled = tuple(self.store.evicted), tuple(self._spilled)
        self.store.evicted.clear()
        self._spilled.clear()
        waiting = sum(map(len, self._waiting.values()))
        if evicted or spilled or waiting or costs:
            now = Score(
                evicted=sum(one.size for one in evicted),
                spilled=sum(one.size for one in spilled),
                waited=waiting,
                **costs,
            )
            self.score = Score(*map(add, self.score, now))
        self._number += 1
        return Frame(self._number, event, what, size, limit, evicted, spilled, waiting, self.score)

    # Blocks

    def _cache(self, event: Cache) -> Frame:
        if event.block_id in self._cached:
            raise ValueError("it is cached already: read it, or unpersist it first")
        self._cached[event.block_id] = event
        limit = self._max_storage_memory(event.level)
        if self._put(event):
            return self._frame(event, "stored", event.size)
        if not event.level.use_memory:
            return self._frame(event, "on disk", event.size)
        what = "too large" if event.size > limit else "no room"
        return self._frame(event, what, limit=limit, refused=event.size)

    def _put(self, event: Cache) -> bool:
        if event.values is None:
            return self.store.put(event.block_id, event.size, event.level)
        each, rest = divmod(event.size, event.values)
        sizes = [each + (number < rest) for number in range(event.values)]
        return self.store.put_iterator(event.block_id, sizes, event.level)

    def _max_storage_memory(self, level: StorageLevel) -> int:
        if level.use_off_heap:
            return self.manager.max_off_heap_storage_memory
        return self.manager.max_on_heap_storage_memory

    def _read(self, event: Read) -> Frame:
        cached = self._known(event.block_id)
        found = self.store.get(event.block_id)
        if found == "memory":
            return self._frame(event, "read from memory")
        if found == "disk":
            back = self.store.contains(event.block_id)
            what = "cached again" if back else "read from disk"
            return self._frame(event, what, cached.size, read_from_disk=cached.size)
        what = "recomputed and stored" if self._put(cached) else "recomputed"
        return self._frame(event, what, cached.size, recomputed=cached.size)

    def _pin(self, event: Pin) -> Frame:
        self._known(event.block_id)
        self.store.pin(event.block_id)
        return self._frame(event, "pinned")

    def _unpin(self, event: Unpin) -> Frame:
        self._known(event.block_id)
        self.store.unpin(event.block_id)
        return self._frame(event, "unpinned")

    def _unpersist(self, event: Unpersist) -> Frame:
        prefix = f"{event.name}_"
        names = [name for name in self._cached if name == event.name or name.startswith(prefix)]
        if not names:
            raise ValueError("nothing was cached under that name")
        used = self.manager.storage_memory_used
        for name in names:
            self.store.remove(name)
            del self._cached[name]
        return self._frame(event, "unpersisted", used - self.manager.storage_memory_used)

    def _known(self, block_id: str) -> Cache:
        if block_id not in self._cached:
            raise ValueError("nothing was cached under that name")
        return self._cached[block_id]

    # Tasks

    def _ask(self, event: Ask) -> Frame:
        if event.task not in self._tasks:
            self._tasks[event.task] = _Task(self.manager, event.task, self._spilled)
        task = self._tasks[event.task]
        granted = task.operator(event).acquire_memory(event.size)
        if granted is None:
            return self._wait(task, event)
        return self._frame(event, "granted", granted, refused=event.size - granted)

    def _wait(self, task: _Task, event: Ask) -> Frame:
        pool = self.manager.execution_pool(event.mode)
        held = pool.memory_for_task[task.name]
        self._waits_begun += 1
        task.waits_for, task.waits_among = event, (event.mode, event.size, held)
        self._waiting.setdefault(task.waits_among, {})[task.name] = self._waits_begun
        half_share = pool.pool_size // (2 * len(pool.memory_for_task))
        return self._frame(event, "waits", held + pool.memory_free, half_share)

    def _wake(self) -> Iterator[Frame]:
        """Waiting tasks look again when they are notified, for as long as one of them gets on."""
        while self._waiting and self._notifications != self._notified():
            self._notifications = self._notified()
            for task in self._first_of_each_queue():
                granted = task.operator(task.waits_for).acquire_memory(task.waits_for.size)
                if granted is not None:
                    yield from self._go_on(task, granted)
                    self._notifications = -1  # it may have made way for those before it
                    break

    def _notified(self) -> int:
        return sum(self.manager.execution_pool(mode).notifications for mode in MemoryMode)

    def _first_of_each_queue(self) -> list[_Task]:
        heads = [next(iter(queue.items())) for queue in self._waiting.values()]
        return [self._tasks[name] for name, _ in sorted(heads, key=lambda head: head[1])]

    def _go_on(self, task: _Task, granted: int) -> Iterator[Frame]:
        event, task.waits_for = task.waits_for, None
        queue = self._waiting[task.waits_among]
        del queue[task.name]
        if not queue:
            del self._waiting[task.waits_among]
        yield self._frame(event, "woken", granted, refused=event.size - granted)
        while task.held_back and task.waits_for is None:
            yield self._step(task.held_back.popleft())

    def _release(self, event: Release) -> Frame:
        operator = self._active(event.task).operator(event)
        released = min(event.size, operator.used)
        operator.free_memory(released)
        return self._frame(event, "released", released)

    def _finish(self, event: Finish) -> Frame:
        released = self._active(event.task).memory.clean_up_all_allocated_memory()
        del self._tasks[event.task]
        return self._frame(event, "finished", released)

    def _active(self, name: str) -> _Task:
        if name not in self._tasks:
            raise ValueError(f"task {name} has not asked for memory, or has finished")
        return self._tasks[name]

    # What there is to see

    def waiting_tasks(self) -> tuple[str, ...]:
        """The tasks that wait, in the order in which they began to."""
        waiting = [item for queue in self._waiting.values() for item in queue.items()]
        return tuple(name for name, _ in sorted(waiting, key=lambda item: item[1]))

    def region(self) -> Region:
        """The manager's pools, with the blocks in storage and the tasks in execution."""
        root = self.manager.region()
        if root.children[0].kind == "storage":  # there is no off-heap memory
            return replace(root, children=self._filled(root, MemoryMode.ON_HEAP))
        on_heap, off_heap = root.children
        on_heap = replace(on_heap, children=self._filled(on_heap, MemoryMode.ON_HEAP))
        off_heap = replace(off_heap, children=self._filled(off_heap, MemoryMode.OFF_HEAP))
        return replace(root, children=(on_heap, off_heap))

    def _filled(self, pools: Region, mode: MemoryMode) -> tuple[Region, ...]:
        storage, execution = pools.children
        blocks = tuple(
            Region(block.block_id, "storage", block.size)
            for block in self.store.blocks_in_memory()
            if block.level.memory_mode is mode
        )
        tasks = tuple(
            Region(task, "execution", held)
            for task, held in self.manager.execution_pool(mode).memory_for_task.items()
        )
        return replace(storage, children=blocks), replace(execution, children=tasks)

"""The playground: cache, read, ask and release by button, and see who gets what."""

from collections.abc import Mapping

from course_lib.draw.film import Film
from course_lib.model.managers import MemoryManager, StaticMemoryManager, UnifiedMemoryManager
from course_lib.model.replay import Event, TraceError, format_trace, parse_trace, replay
from course_lib.units import byte_string_as_bytes, bytes_to_string
from course_lib.widgets.explorable import Control, Explorable, Panel, View
from course_lib.widgets.stage import Marks, lanes_of, storage_region, told

SIZES = ("16m", "32m", "64m", "96m", "128m", "192m", "256m", "384m", "512m")
LEVELS = ("MEMORY_ONLY", "MEMORY_AND_DISK")
BLOCKS = tuple(f"rdd_{rdd}_{split}" for rdd in range(4) for split in range(4))


def playground(events: tuple[Event, ...], state: Mapping) -> View:
    """What has been played so far, as it would have gone under the settings in `state`."""
    try:
        manager, marks = manager_of(state)
    except ValueError as refusal:
        return View.refused(refusal)
    try:
        # Who waits at the end does not wait for ever: there may be more to come.
        frames = [one for one in replay(manager, events) if one.what != "waits for ever"]
    except TraceError as error:
        return View(None, "This cannot be played with these settings.", problem=str(error))
    lanes = lanes_of([(type(manager).__name__, frames, marks)], events)
    last = frames[-1]
    free = [
        f"{bytes_to_string(pool.size - sum(part.size for part in pool.children))} of {pool.name}"
        for pool in last.region.children
    ]
    sentence = f"Now {' and '.join(free)} are free. So far: {told(last.score)}."
    return View(Film("Your own trace", "modelled", lanes), sentence)


def manager_of(state: Mapping) -> tuple[MemoryManager, Marks]:
    """The memory manager of the settings, and what to mark on its pictures."""
    heap = byte_string_as_bytes(state["heap"])
    if state["manager"] == "static":
        return StaticMemoryManager.from_conf(system_memory=heap), ()
    conf = {"spark.memory.storageFraction": str(state["storage_fraction"])}
    manager = UnifiedMemoryManager.from_conf(conf, system_memory=heap)
    return manager, [storage_region(manager.on_heap_storage_region_size)]


class Playground(Explorable):
    """Play on a memory manager: every button is an event, and all events so far can be replayed.

    ``Playground()`` starts empty, ``Playground("cache rdd_0_0 64m")`` with a trace; settings are
    keyword arguments, as in ``Playground(heap="2g", manager="static")``. `trace` is what has been
    played so far, as text that ``replay`` takes. In code, `do` plays events, `undo` takes the last
    one back and `reset` returns to the start. An event that cannot happen is refused with
    TraceError, and nothing is lost.
    """

    title = "The playground"
    controls = (
        Control("manager", "manager", ("unified", "static"), kind="choice"),
        Control("heap", "heap", ("512m", "768m", "1g", "2g", "4g")),
        Control("storage_fraction", "spark.memory.storageFraction", (0.0, 0.25, 0.5, 0.75, 0.9)),
    )
    start = {  # noqa: RUF012 (a constant of the class, as `controls` is)
        "manager": "unified",
        "heap": "1g",
        "storage_fraction": 0.5,
    }
    panels = (
        Panel(
            "blocks",
            ("cache", "read", "unpersist"),
            (
                Control("block", "block", BLOCKS),
                Control("size", "size", SIZES),
                Control("level", "level", LEVELS),
            ),
            {"block": "rdd_0_0", "size": "128m", "level": "MEMORY_ONLY"},
        ),
        Panel(
            "tasks",
            ("ask", "release", "finish"),
            (
                Control("task", "task", ("t1", "t2", "t3", "t4")),
                Control("size", "size", SIZES),
            ),
            {"task": "t1", "size": "128m"},
        ),
        Panel("events", ("undo", "start over")),
    )

    def __init__(self, trace: str = "", **start):
        self._events = self._first = parse_trace(trace)
        super().__init__(**start)

    @property
    def trace(self) -> str:
        """The events so far, one a line."""
        return format_trace(self._events)

    text = trace

    def view(self, state: Mapping) -> View:
        """See `playground`."""
        return playground(self._events, state)

    def act(self, button: str, values: Mapping) -> None:
        """Play the event of a button, or take events back."""
        if button == "undo":
            self._take_back()
        elif button == "start over":
            self._events = self._first
        else:
            self._play(event_text(button, values))

    def do(self, trace: str) -> None:
        """Play events, written as in a trace."""
        self._play(trace)
        self._follow()

    def undo(self) -> None:
        """Take the last event back. Raises ValueError if there is none."""
        self._take_back()
        self._follow()

    def reset(self) -> None:
        """Return to the trace that it started with."""
        self._events = self._first
        self._follow()

    def _play(self, trace: str) -> None:
        events = self._events + parse_trace(trace)
        replay(manager_of(self.state)[0], events)
        self._events = events

    def _take_back(self) -> None:
        if not self._events:
            raise ValueError("Nothing has happened that could be undone.")
        self._events = self._events[:-1]


def event_text(button: str, values: Mapping) -> str:
    """The line of a trace that a button stands for."""
    if button == "cache":
        return "cache {block} {size} {level}".format(**values)
    if button in ("read", "unpersist"):
        return f"{button} {values['block']}"
    if button == "finish":
        return f"finish {values['task']}"
    return f"{button} {values['task']} {values['size']}"

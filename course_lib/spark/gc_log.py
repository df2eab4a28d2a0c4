"""Read a garbage collection log: what ``-Xlog:gc`` writes, one line for each collection.

Times are seconds since the JVM started, sizes bytes. The log itself counts in whole MiB.
"""

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from course_lib.units import MIB

_UPTIME = r"\[(?P<uptime>\d+[.,]\d+)s\].*?"
_USING = re.compile(r"\bUsing (?:The )?(\w+)")
_PAUSE = re.compile(
    _UPTIME + r"GC\((?P<number>\d+)\) Pause (?P<kind>Young|Full|Remark|Cleanup)"
    r"(?: \((?P<phase>Normal|Concurrent Start|Prepare Mixed|Mixed)\))?(?: \((?P<cause>.+)\))?"
    r" (?P<before>\d+)M->(?P<after>\d+)M\((?P<capacity>\d+)M\) (?P<ms>\d+[.,]\d+)ms"
)
_CYCLE = re.compile(
    _UPTIME + r"GC\((?P<number>\d+)\) (?:Garbage|Minor|Major) Collection \((?P<cause>.+)\)"
    r" (?P<before>\d+)M\(\d+%\)->(?P<after>\d+)M\(\d+%\)"
)
_CYCLES_PAUSE = re.compile(
    r"GC\((?P<number>\d+)\) (?:[YO]: )?Pause (?:Mark|Relocate) \w+(?: \(\w+\))? "
    r"(?P<ms>\d+[.,]\d+)ms"
)


class Collection(NamedTuple):
    """One collection: `time` is when it ended, `pause` how long the program stood still for it.

    `kind` is ``"young"``, ``"mixed"`` (young and some of the old), ``"full"``, or ``"concurrent"``
    for what goes on beside the program: the two short pauses of a G1 cycle, and ZGC's cycles.
    `capacity` is the heap at that moment, None where the log does not tell (ZGC). `pause` is None
    for a ZGC cycle in a log without the pauses (write it with ``-Xlog:gc,gc+phases``).
    """

    time: float
    kind: str
    cause: str
    before: int
    after: int
    capacity: int | None
    pause: float | None


@dataclass(frozen=True)
class GcLog:
    """The collections of a log in the order they ended, and the collector: ``"G1"``, ``"Z"``, …"""

    collector: str
    collections: tuple[Collection, ...]

    def paused(self) -> float:
        """Seconds in which the program stood still."""
        return sum(self._pauses())

    def gc_share(self, start: float = 0.0, end: float | None = None) -> float:
        """Share of the time from `start` to `end` (the last collection) spent in pauses.

        Collections that ended within that time count. What a collector does beside the running
        program is in no log's pauses: it costs processor time, but stops nobody.
        """
        end = self.collections[-1].time if end is None and self.collections else end
        if end is None or end <= start:
            raise ValueError(f"a share needs a time span, not one from {start} s to {end} s")
        return self.between(start, end).paused() / (end - start)

    def between(self, start: float, end: float) -> "GcLog":
        """The part of the log that was written from `start` to `end`."""
        part = tuple(c for c in self.collections if start <= c.time <= end)
        return GcLog(self.collector, part)

    def counts(self) -> dict[str, int]:
        """How many collections of each kind there were."""
        return dict(Counter(collection.kind for collection in self.collections))

    def longest_pause(self) -> float:
        """Seconds of the longest pause; 0 where there was none."""
        return max(self._pauses(), default=0.0)

    def _pauses(self) -> list[float]:
        pauses = [collection.pause for collection in self.collections]
        if None in pauses:
            raise ValueError(
                f"this log of {self.collector} holds no pauses: write it with -Xlog:gc,gc+phases"
            )
        return pauses


def read_gc_log(path: str | os.PathLike) -> GcLog:
    """The collections in a log file. Raises ValueError as `parse_gc_log` does."""
    return parse_gc_log(Path(path).read_text())


def parse_gc_log(text: str) -> GcLog:
    """The collections in the text of a log that ``-Xlog:gc`` wrote, with its usual decorations.

    Knows G1, Parallel, Serial and ZGC. Raises ValueError for text that is no such log.
    """
    using = _USING.search(text)
    if using is None or "[gc" not in text:
        raise ValueError(
            "this is no garbage collection log: there is no line '[…s][info][gc] Using …'; "
            "start the JVM with -Xlog:gc:file=gc.log"
        )
    pauses_of_cycle: Counter[str] = Counter()
    collections = []
    for line in text.splitlines():
        if found := _PAUSE.search(line):
            collections.append(_collection(found, _kind(found), _number(found["ms"]) / 1000))
        elif found := _CYCLES_PAUSE.search(line):
            pauses_of_cycle[found["number"]] += _number(found["ms"]) / 1000
        elif found := _CYCLE.search(line):
            pause = pauses_of_cycle.get(found["number"])
            collections.append(_collection(found, "concurrent", pause))
    return GcLog(using[1], tuple(collections))


def _collection(found: re.Match, kind: str, pause: float | None) -> Collection:
    parts = found.groupdict()
    capacity = int(parts["capacity"]) * MIB if "capacity" in parts else None
    return Collection(
        _number(parts["uptime"]),
        kind,
        parts["cause"] or parts["kind"],
        int(parts["before"]) * MIB,
        int(parts["after"]) * MIB,
        capacity,
        pause,
    )


def _kind(found: re.Match) -> str:
    if found["kind"] in ("Remark", "Cleanup"):
        return "concurrent"
    return "mixed" if found["phase"] == "Mixed" else found["kind"].lower()


def _number(text: str) -> float:
    return float(text.replace(",", "."))  # some locales write a comma

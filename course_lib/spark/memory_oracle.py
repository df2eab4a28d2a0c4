"""Play calls on Spark's own memory manager, memory store and task memory managers.

A whole sequence of calls costs one round trip to the JVM, where ``MemoryPlayer.java`` plays it.
Calls that Spark lets wait do wait there, on threads of their own.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from course_lib.spark.jvm import Jvm
from course_lib.spark.refusal import in_sparks_words

_PLAYER = Path(__file__).with_name("MemoryPlayer.java")


class Returned(NamedTuple):
    """A call came back with `value`: None for those that return nothing."""

    value: object


class Thrown(NamedTuple):
    """A call ended with a Java exception; `message` may be None."""

    java_class: str
    message: str | None


class Pools(NamedTuple):
    """Each pool's size and what is used of it, in bytes."""

    on_heap_storage: tuple[int, int]
    on_heap_execution: tuple[int, int]
    off_heap_storage: tuple[int, int]
    off_heap_execution: tuple[int, int]


class State(NamedTuple):
    """What can be seen of a memory manager, its store and its consumers; sizes in bytes.

    `limits` are the two ``max…StorageMemory``, on-heap and off-heap. `tasks` are those registered
    in the two execution pools, each with what it holds. `blocks` are those in memory, the least
    recently used first; `unroll` is what blocks take while they are unrolled; `consumers` what each
    consumer holds.
    """

    pools: Pools
    limits: tuple[int, int]
    tasks: tuple[dict[int, int], dict[int, int]]
    blocks: tuple[str, ...]
    disk: frozenset[str]
    unroll: int
    consumers: dict[int, int]


class Played(NamedTuple):
    """What one call did.

    `ended` has the outcome of each call that came back meanwhile, by its number in the sequence: a
    call whose own number is missing waits, and may come back during a later one. `events` are
    ``("evicted", block, whether to disk)`` and
    ``("spilled", consumer, size asked for, consumer that asked, bytes released)``, in order.
    """

    ended: dict[int, Returned | Thrown]
    events: tuple[tuple, ...]
    state: State


class Game(NamedTuple):
    """A sequence as Spark played it: the `start`, then what each call did."""

    start: State
    page_size_bytes: int
    played: tuple[Played, ...]


class MemoryOracle:
    """Spark's memory classes, to be played on inside a ``with`` block.

    A call is a tuple of its name and arguments, modes and storage levels by their names::

        ("acquire_execution_memory", num_bytes, task, mode)      waits where Spark waits
        ("release_execution_memory", num_bytes, task, mode)
        ("release_all_execution_memory_for_task", task)
        ("acquire_storage_memory", block, num_bytes, mode)       and acquire_unroll_memory
        ("release_storage_memory", num_bytes, mode)              and release_unroll_memory
        ("release_all_storage_memory",)
        ("set_unmanaged_memory_used", num_bytes, mode)           Spark 4.1 and later
        ("put", block, size, level)                              True if it is in memory
        ("put_iterator", block, [size of each value], level)     the same
        ("get", block)                                           "memory", "disk" or None
        ("contains", block), ("remove", block), ("pin", block), ("unpin", block)
        ("evict_blocks_to_free_space", block or None, space, mode)
        ("consumer", name, task, mode, habit)
        ("acquire_memory", consumer, size), ("free_memory", consumer, size)
        ("allocate_page", consumer, page, required), ("free_page", page)
        ("clean_up_all_allocated_memory", task)

    Tasks, consumers and pages are named by numbers. A consumer's habit says what it releases when
    it is asked to spill: "everything", "half" of what it holds, what is "asked" (but at least an
    eighth of it), or "nothing".

    The Spark that plays is the installed one, or the one whose jars lie in the folder `spark_jars`:
    2.1.3 or later; unrolling value by value (``put_iterator``) can be played since 2.4.
    Raises ValueError for a folder without Spark.
    """

    def __init__(self, spark_jars: Path | None = None):
        jars = True if spark_jars is None else Path(spark_jars)
        if jars is not True and not any(jars.glob("spark-core_*.jar")):
            raise ValueError(f"there is no Spark in {jars}: the folder has no spark-core_*.jar")
        self._process = Jvm("256m", native_memory_tracking=False, spark_jars=jars)

    def __enter__(self) -> "MemoryOracle":
        self._process.start()
        try:
            self._player = self._process.compile(_PLAYER.read_text(), _PLAYER.stem)
        except BaseException:
            self._process.stop()
            raise
        return self

    def __exit__(self, *_exception) -> None:
        self._process.stop()

    @property
    def spark_version(self) -> str:
        """The version of Spark that plays. Source: ``SPARK_VERSION``."""
        package = self._process.jvm.java.lang.Class.forName("org.apache.spark.package$")
        return package.getField("MODULE$").get(None).SPARK_VERSION()

    @in_sparks_words()
    def play(
        self,
        max_heap_memory: int,
        on_heap_storage_region_size: int,
        calls: Sequence[tuple],
        *,
        num_cores: int = 1,
        conf: Mapping[str, str] | None = None,
    ) -> Game:
        """Make a memory manager and play `calls` on it. Raises SparkRefusal where Spark makes none.

        Calls that still wait at the end are interrupted. Off-heap memory is set in `conf`.
        Source: ``UnifiedMemoryManager`` and what it is used with.
        """
        sizes = (max_heap_memory, on_heap_storage_region_size)
        return self._play("UnifiedMemoryManager", sizes, calls, num_cores, conf)

    @in_sparks_words()
    def play_static(
        self,
        max_execution_memory: int,
        max_storage_memory: int,
        calls: Sequence[tuple],
        *,
        num_cores: int = 1,
        conf: Mapping[str, str] | None = None,
    ) -> Game:
        """The same on the memory manager of the past, for jars of Spark 2.4 or earlier.

        Source: ``StaticMemoryManager`` and what it is used with.
        """
        sizes = (max_execution_memory, max_storage_memory)
        return self._play("StaticMemoryManager", sizes, calls, num_cores, conf)

    def _play(self, manager: str, sizes: tuple, calls: Sequence, num_cores: int, conf) -> Game:
        sequence = {
            "manager": manager,
            "sizes": sizes,
            "num_cores": num_cores,
            "conf": dict(conf or {}),
            "calls": calls,
        }
        start, *played = json.loads(self._player.play(json.dumps(sequence)))
        return Game(_state(start), start["page_size"], tuple(_played(*one) for one in played))

    def threads(self) -> int:
        """How many threads the JVM runs, its own for housekeeping left out."""
        return self._process.jvm.java.lang.Thread.activeCount()

    def time_execution(self, pairs: int) -> int:
        """Nanoseconds for `pairs` times acquireExecutionMemory and releaseExecutionMemory."""
        return self._player.timeExecution(pairs)

    def time_storage(self, pairs: int) -> int:
        """Nanoseconds for `pairs` times acquireStorageMemory and releaseStorageMemory."""
        return self._player.timeStorage(pairs)


def _played(ended: list, events: list, state: dict) -> Played:
    outcomes = {
        number: Returned(outcome) if returned else Thrown(*outcome)
        for number, returned, outcome in ended
    }
    return Played(outcomes, tuple(map(tuple, events)), _state(state))


def _state(state: dict) -> State:
    return State(
        Pools(*map(tuple, state["pools"])),
        tuple(state["limits"]),
        tuple(_numbered(tasks) for tasks in state["tasks"]),
        tuple(state["blocks"]),
        frozenset(state["disk"]),
        state["unroll"],
        _numbered(state["consumers"]),
    )


def _numbered(by_name: dict) -> dict[int, int]:
    return {int(name): value for name, value in by_name.items()}

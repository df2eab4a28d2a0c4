"""How fast the model is beside Spark's own class, and how its time grows with what it manages."""

import random
import time
from collections.abc import Callable, Iterator

from course_lib.model import MemoryStore, StorageLevel, UnifiedMemoryManager, parse_trace, replay
from course_lib.model.landscape import landscape
from course_lib.model.replay import Ask, Event, Finish
from course_lib.units import MIB

Row = tuple[str, str, str, str]
PAIRS = 200_000


def calls() -> Iterator[Row]:
    """Calls a second: a task asks and gives back, a block comes and goes, here and in the JVM."""
    from course_lib.spark.memory_oracle import MemoryOracle

    with MemoryOracle() as oracle:
        for what, ours, sparks in (
            ("execution", _execution, oracle.time_execution),
            ("storage", _storage, oracle.time_storage),
        ):
            sparks(PAIRS)  # until the JVM has compiled it
            here = 2 * PAIRS / _best(ours)
            instead = 2 * PAIRS / (min(sparks(PAIRS) for _ in range(3)) / 1e9)
            yield (
                f"model: acquire, release {what} memory", f"{here:,.0f} /s", f"{instead:,.0f} /s",
                f"Spark's own class, in a loop inside the JVM; 1 : {instead / here:.0f}",
            )  # fmt: skip


def _execution() -> None:
    manager = _manager()
    for _ in range(PAIRS):
        manager.acquire_execution_memory(1000, 1)
        manager.release_execution_memory(1000, 1)


def _storage() -> None:
    manager = _manager()
    for _ in range(PAIRS):
        manager.acquire_storage_memory("rdd_0_0", 1000)
        manager.release_storage_memory(1000)


def _manager() -> UnifiedMemoryManager:
    manager = UnifiedMemoryManager(1024 * MIB, 512 * MIB)
    MemoryStore(manager)
    return manager


def traces() -> Iterator[Row]:
    """A long trace, replayed with a frame for each event."""
    trace = mixed_trace(100_000)
    took = _best(lambda: replay(_manager(), trace), runs=1)
    yield f"replay of {len(trace):,} events", f"{took:.1f} s", f"{len(trace) / took:,.0f} /s", ""


def landscapes() -> Iterator[Row]:
    """The landscape of a trace of 40 events: 20 by 20 settings, and 100 by 100."""
    trace = mixed_trace(40)
    for side in (20, 100):
        shares = [number / (side + 1) for number in range(1, side + 1)]
        took = _best(
            lambda shares=shares: landscape(trace, memory_fraction=shares, storage_fraction=shares),
            runs=1,
        )
        yield f"landscape of {side**2:,} settings", f"{took:.2f} s", f"{side**2 / took:,.0f} /s", ""


def growth() -> Iterator[Row]:
    """Ten times as much of one thing: how many times as long it takes."""
    trace = mixed_trace(50_000)
    for what, action, size in (
        ("events of a trace", lambda n: replay(_manager(), trace[:n]), 5_000),
        ("tasks, none waiting", _ask_and_finish, 1_000),
        ("tasks, most of them waiting", _wait_and_finish, 1_000),
        ("blocks, all evicted one by one", _evict_one_by_one, 2_000),
        ("blocks, all evicted at once", _evict_at_once, 2_000),
        ("blocks, refused to one of the same RDD", _refuse, 20_000),
    ):
        times = [_best(lambda n=n, action=action: action(n)) for n in (size, 10 * size)]
        yield (
            f"{what}: {size:,} to {10 * size:,}", f"x {times[1] / times[0]:.1f}", "x 10",
            "what linear growth would be",
        )  # fmt: skip


def _ask_and_finish(tasks: int) -> None:
    replay(UnifiedMemoryManager(tasks * MIB, 0), _asks(tasks))


def _wait_and_finish(tasks: int) -> None:
    replay(UnifiedMemoryManager(tasks * MIB // 10, 0), _asks(tasks))


def _asks(tasks: int) -> list[Event]:
    return [Ask(f"t{n}", MIB) for n in range(tasks)] + [Finish(f"t{n}") for n in range(tasks)]


def _filled(blocks: int) -> MemoryStore:
    store = MemoryStore(UnifiedMemoryManager(blocks * MIB, 0))
    for rdd in range(blocks):
        store.put(f"rdd_{rdd}_0", MIB, StorageLevel.MEMORY_ONLY)
    return store


def _evict_one_by_one(blocks: int) -> None:
    manager = _filled(blocks).memory_manager
    for _ in range(blocks):
        manager.acquire_execution_memory(MIB, 1)


def _evict_at_once(blocks: int) -> None:
    _filled(blocks).memory_manager.acquire_execution_memory(blocks * MIB, 1)


def _refuse(blocks: int) -> None:
    """One block too many, all of them of one RDD: each is looked at, and none may leave."""
    store = MemoryStore(UnifiedMemoryManager(blocks * MIB, 0))
    for split in range(blocks):
        store.put(f"rdd_0_{split}", MIB, StorageLevel.MEMORY_ONLY)
    store.put(f"rdd_0_{blocks}", MIB, StorageLevel.MEMORY_ONLY)


def mixed_trace(events: int) -> tuple[Event, ...]:
    """A trace of blocks and tasks in which blocks are evicted and tasks spill and wait."""
    draw = random.Random(1)
    lines, cached = [], []
    for number in range(events):
        lot = draw.random()
        if lot < 0.3 or not cached:
            cached.append(f"rdd_{draw.randrange(50)}_{number}")
            lines.append(f"cache {cached[-1]} {draw.randrange(1, 40)}m MEMORY_AND_DISK")
        elif lot < 0.6:
            lines.append(f"read {draw.choice(cached)}")
        else:
            lines.append(f"ask t{number % 7} {draw.randrange(1, 200)}m")
    return parse_trace("\n".join(lines))


def _best(action: Callable[[], object], runs: int = 3) -> float:
    """Seconds of the fastest run: the one that the machine disturbed least."""
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return min(times)

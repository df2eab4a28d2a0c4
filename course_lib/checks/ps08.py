"""Problem set 08: what a pool grants, who is asked to spill, cores without a spill, and a sorter.

`RowBuffer` is what the notebook shows and the learner's `Sorter` extends. Sizes in the tasks'
arguments are whole MiB, in `RowBuffer` bytes.
"""

import heapq
import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from random import Random

from course_lib.checks.reading import read_with
from course_lib.checks.registry import ProblemSet
from course_lib.checks.tasks import (
    CannotCheckError,
    ClassTask,
    Effect,
    EffectTask,
    Misconception,
    Task,
)
from course_lib.checks.values import show
from course_lib.model import (
    Film,
    MemoryConsumer,
    SparkOutOfMemoryError,
    StaticMemoryManager,
    TaskMemoryManager,
    heap,
    replay,
)
from course_lib.units import MIB, bytes_to_string

# grants

_WAITS = "waits"


def _film(pool: int, trace: Sequence[tuple]) -> Film:
    """The events, played on a pool of so many MiB that is for execution alone."""
    lines = [
        " ".join([verb, task, *(f"{size}m" for size in sizes)]) for verb, task, *sizes in trace
    ]
    return replay(StaticMemoryManager(pool * MIB, 0), "\n".join(lines))


def _grants(pool: int, trace: list[tuple]) -> list:
    frames = _film(pool, trace)[1 : len(trace) + 1]
    asks = [frame for frame in frames if frame.what in ("granted", _WAITS)]
    return [frame.size // MIB if frame.what == "granted" else _WAITS for frame in asks]


def _grants_by(
    *,
    most: Callable[[int, int], float] = lambda pool, tasks: pool // tasks,
    least: Callable[[int, int], float] = lambda pool, tasks: pool // (2 * tasks),
    counts: Callable[[dict, str, list], int] = lambda held, task, trace: len(held),
    takes_away: bool = False,
) -> Callable[[int, list], list]:
    """The pool's rules, each of which a misconception may replace with its own."""

    def grants(pool, trace):
        held, granted = {}, []
        for verb, task, *sizes in trace:
            if verb == "ask":
                held.setdefault(task, 0)
                tasks = counts(held, task, trace)
                free = math.inf if takes_away else pool - sum(held.values())
                got = min(*sizes, max(0, most(pool, tasks) - held[task]), free)
                waits = got < sizes[0] and held[task] + got < least(pool, tasks)
                granted.append(_WAITS if waits else got)
                held[task] += 0 if waits else got
            else:
                left = held.pop(task, 0) - (sizes[0] if sizes else math.inf)
                if left > 0:
                    held[task] = left
        return granted

    return grants


def _in_the_whole_trace(held, task, trace):
    return len({name for _, name, *_ in trace})


def _that_hold_something(held, task, trace):
    return len({task} | {name for name, size in held.items() if size})


def _draw_traces(random: Random) -> list[tuple]:
    return [_draw_trace(random) for _ in range(16)]


def _draw_trace(random: Random) -> tuple[int, list[tuple]]:
    """A trace in which nobody spills and no task that waits is woken or does anything more."""
    pool = 120 * random.randrange(2, 9)  # every 1/N and 1/2N of it is whole, for up to six tasks
    trace, last = [], _film(pool, [])[-1]
    for _ in range(20):  # sooner or later, everyone waits
        task = f"t{random.randrange(1, 7)}"
        tasks = last.region.find("execution").children
        held = sum(one.size for one in tasks if one.name == task) // MIB
        event = ("ask", task, 4 * random.randrange(1, pool // 6))
        if held and random.random() < 0.5:
            gives_back = random.randrange(1, held + 1)
            event = ("finish", task) if gives_back == held else ("release", task, gives_back)
        film = _film(pool, [*trace, event])
        if not any(one.what in ("woken", "held back") or one.spilled for one in film):
            trace, last = [*trace, event], film[-1]
    return pool, trace


GRANTS = Task(
    name="grants",
    title="What the pool grants",
    points=4,
    reference=_grants,
    examples=(
        (480, [("ask", "t1", 300), ("ask", "t2", 200), ("ask", "t3", 60)]),
        (480, [("ask", "t1", 100), ("ask", "t2", 400), ("release", "t1", 40), ("ask", "t3", 200)]),
        (240, [("ask", "t1", 200), ("ask", "t2", 100), ("ask", "t3", 100), ("finish", "t3")]),
    ),
    draw_inputs=_draw_traces,
    misconceptions=(
        Misconception(
            "gives whatever is free",
            "Your pool gives whatever is free. A task may hold at most 1/N of it, and waits where "
            "it cannot have 1/2N.",
            _grants_by(most=lambda pool, tasks: pool, least=lambda pool, tasks: 0),
        ),
        Misconception(
            "knows no 1/N",
            "Your pool lets a task hold all of it while others are there. With N active tasks it "
            "grants nothing beyond 1/N.",
            _grants_by(most=lambda pool, tasks: pool),
        ),
        Misconception(
            "never lets a task wait",
            "In your pool nobody waits. A task that asks for more than there is waits, as long as "
            "it would hold less than 1/2N.",
            _grants_by(least=lambda pool, tasks: 0),
        ),
        Misconception(
            "waits for 1/N",
            "Your tasks wait for 1/N. They go on with half of that: 1/2N.",
            _grants_by(least=lambda pool, tasks: pool // tasks),
        ),
        Misconception(
            "waits for all it asked for",
            "Your tasks wait until they can have all they asked for. They take less, if they then "
            "hold at least 1/2N.",
            _grants_by(least=lambda pool, tasks: math.inf),
        ),
        Misconception(
            "takes memory away",
            "Your pool gives newcomers what others hold. Nothing is ever taken away: what is not "
            "free cannot be granted.",
            _grants_by(takes_away=True),
        ),
        Misconception(
            "counts tasks that are not there",
            "Your N counts every task of the trace. A task counts from its first request until it "
            "has given everything back.",
            _grants_by(counts=_in_the_whole_trace),
        ),
        Misconception(
            "overlooks those who wait",
            "Your N counts only tasks that hold something. A task that waits counts too.",
            _grants_by(counts=_that_hold_something),
        ),
    ),
)


# spill_order


def _spill_order(free: int, held: dict[str, int], asking: str, size: int) -> list[str]:
    asks = {**held, asking: held.get(asking, 0)}
    lines = [f"ask t1 {size}m by {name}" for name, size in asks.items() if size]
    pool = free + sum(held.values())
    film = replay(
        StaticMemoryManager(pool * MIB, 0), "\n".join([*lines, f"ask t1 {size}m by {asking}"])
    )
    return [one.consumer for one in film[-1].spilled]


def _best_fit(held: dict[str, int], missing: int) -> str:
    enough = [name for name in held if held[name] >= missing]
    return min(enough, key=held.get) if enough else max(held, key=held.get)


def _order_by(
    *,
    choose: Callable[[dict, int], str] = _best_fit,
    itself: str = "last",
    free_counts: bool = True,
    stops: bool = True,
) -> Callable[[int, dict, str, int], list[str]]:
    """Who is asked, where a misconception does not say otherwise."""

    def spill_order(free, held, asking, size):
        missing = size - (free if free_counts else 0)
        others = {name: held[name] for name in held if name != asking}
        own = [asking] * (asking in held and itself != "never")
        asked = []
        while missing > 0 and (others or own):
            if own and (itself == "first" or not others):
                asked.append(own.pop())
            else:
                asked.append(choose(others, missing))
                del others[asked[-1]]
            missing -= held[asked[-1]] if stops else 0
        return asked

    return spill_order


def _draw_operators(random: Random) -> list[tuple]:
    names = ("sort", "map", "join", "window", "aggregate")
    drawn = []
    for _ in range(24):
        sizes = random.sample(range(10, 200), random.randrange(3, 6))
        held = dict(zip(random.sample(names, len(sizes)), sizes, strict=True))
        asking = random.choice([*held, "buffer"])
        free, others = random.randrange(1, 60), sum(held.values()) - held.get(asking, 0)
        size = free + random.choice(
            (
                -random.randrange(free),
                random.randrange(1, max(sizes)),
                random.randrange(1, max(sizes)),
                random.randrange(max(sizes), others + 1) if others > max(sizes) else others,
                others + random.randrange(1, 50),
            )
        )
        drawn.append((free, held, asking, size))
    return drawn


SPILL_ORDER = Task(
    name="spill_order",
    title="Who is asked to spill",
    points=3,
    reference=_spill_order,
    examples=(
        (20, {"sort": 20, "map": 30, "buffer": 50}, "sort", 45),
        (5, {"sort": 65, "buffer": 50}, "buffer", 80),
        (60, {"sort": 80, "map": 40}, "sort", 50),
    ),
    draw_inputs=_draw_operators,
    misconceptions=(
        Misconception(
            "asks the largest first",
            "You ask the largest first. If one that is smaller holds enough, Spark takes that: "
            "it writes less.",
            _order_by(choose=lambda held, missing: max(held, key=held.get)),
        ),
        Misconception(
            "asks the smallest first",
            "You ask the smallest first, whether it holds enough or not. Spark takes the smallest "
            "that holds enough, and if there is none, the largest.",
            _order_by(choose=lambda held, missing: min(held, key=held.get)),
        ),
        Misconception(
            "asks in the order in which they came",
            "You ask one operator after another as they stand there. Spark goes by what they hold.",
            _order_by(choose=lambda held, missing: next(iter(held))),
        ),
        Misconception(
            "asks itself first",
            "You let the operator that needs memory spill first. Spark asks it last.",
            _order_by(itself="first"),
        ),
        Misconception(
            "never asks itself",
            "You never ask the operator that needs memory. If the others do not hold enough, it "
            "has to spill as well.",
            _order_by(itself="never"),
        ),
        Misconception(
            "asks everyone",
            "You ask everyone as soon as something is missing. Spark stops when there is enough.",
            _order_by(stops=False),
        ),
        Misconception(
            "forgets what is free",
            "You look for all that is asked for. What is free need not be spilled for.",
            _order_by(free_counts=False),
        ),
    ),
)


# cores

_HEAP = "512m"
_TASKS, _ROWS = 12, 180_000
_NEED = 36 * MIB  # what a task takes to sort its rows, pointers included
_MOST_CORES = 8

_JOB = """
import json
from course_lib.spark import lab_session, rest
with lab_session(executors=1, executor_cores={cores}, executor_memory="{heap}") as spark:
    rows = spark.range(0, {tasks} * {rows}, 1, {tasks})
    table = rows.selectExpr("xxhash64(id) AS key", "id", "repeat('x', 100) AS text")
    table.sortWithinPartitions("key").write.format("noop").mode("overwrite").save()
    spark.sparkContext._jsc.sc().listenerBus().waitUntilEmpty()
    [stage] = rest(spark, "stages")
    print(json.dumps([stage["memoryBytesSpilled"], stage["peakExecutionMemory"]]))
"""


def _read_cores(value) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST_CORES:
        raise ValueError(f"an executor here has from 1 to {_MOST_CORES} cores, not {show(value)}")
    return value


def _sort_with(cores: int) -> tuple[int, float]:
    """The bytes that Spark spills in the sort, and a task's peak."""
    from course_lib.spark import NoJavaError
    from course_lib.spark.autopsy import autopsy

    job = _JOB.format(cores=cores, heap=_HEAP, tasks=_TASKS, rows=_ROWS)
    try:
        remains = autopsy(job, timeout=180)
    except NoJavaError as reason:
        raise CannotCheckError(str(reason)) from None
    if not remains.survived:
        raise CannotCheckError(f"the sort did not finish.\n{remains}\n{remains.log[-500:]}")
    spilled, peaks = json.loads(remains.stdout.strip().splitlines()[-1])
    return spilled, peaks / _TASKS


def _try_cores(chosen: Mapping[str, int]) -> Effect:
    cores = chosen["cores"]
    spilled, peak = _sort_with(cores)
    pool = heap({"spark.executor.memory": _HEAP}).max_heap_memory
    evidence = (
        f"measured: with cores={cores}, {bytes_to_string(spilled)} spilled, and a task held "
        f"{bytes_to_string(int(peak))} at its peak; Spark memory is {bytes_to_string(pool)}"
    )
    if spilled:
        why = "rounds up" if cores * _NEED < pool + _NEED else "shares out more than there is"
        return Effect(False, "Tasks spilled.", evidence, why)
    if (cores + 1) * peak <= pool:
        why = "keeps half of it for storage" if cores * _NEED <= pool // 2 else None
        return Effect(False, "One more task would have fitted.", evidence, why)
    return Effect(True, "Nothing spilled, and one more task would not have fitted.", evidence)


CORES = EffectTask(
    name="cores",
    title="Cores without a spill",
    points=4,
    read=read_with({"cores": _read_cores}),
    run=_try_cores,
    reference=lambda: {"cores": 3},
    misconceptions=(
        Misconception(
            "rounds up",
            "That is one too many: all tasks together may hold what Spark memory has, and not a "
            "bit more. Round down.",
            lambda: {"cores": 4},
        ),
        Misconception(
            "shares out more than there is",
            "Tasks do not share the whole heap, nor all that the reserve leaves of it: only "
            "`spark.memory.fraction` of that.",
            lambda: {"cores": 5},
        ),
        Misconception(
            "keeps half of it for storage",
            "Nothing is cached here, so execution may have all of Spark memory. The storage region "
            "keeps nothing free for blocks that are not there.",
            lambda: {"cores": 1},
        ),
    ),
)


# Sorter

ROW = MIB


class RowBuffer(MemoryConsumer):
    """Keeps rows in memory, each of which takes ROW bytes, and files on disk.

    `rows` are those in memory. `files` stands for the disk: each is a list of rows in order.
    """

    def __init__(self, task_memory_manager: TaskMemoryManager):
        super().__init__(task_memory_manager)
        self.rows = []
        self.files = []

    def insert(self, row: int) -> None:
        """Keep one more row. Raises SparkOutOfMemoryError if there is no memory for it."""
        granted = self.acquire_memory(ROW)
        if granted < ROW:
            self.free_memory(granted)
            raise SparkOutOfMemoryError(f"Unable to acquire {ROW} bytes of memory, got {granted}.")
        self.rows.append(row)

    def in_order(self) -> list[int]:
        """All rows in order: every file is read from its start, along with what is in memory."""
        return list(heapq.merge(*self.files, sorted(self.rows)))


class _Misbehaves(Exception):
    """A spill that is not as it should be: `says` how, and which `misconception` it shows."""

    def __init__(self, says: str, misconception: str | None = None):
        self.says, self.misconception = says, misconception
        super().__init__(says)


def _watched(sorter: type[RowBuffer], found: list[_Misbehaves]) -> type[RowBuffer]:
    """The same class, with a look at everything that a spill leaves behind.

    What is `found` is noted as well as raised: an answer could catch it.
    """

    class Watched(sorter):
        spilling = False

        def spill(self, size, trigger):
            try:
                return self._judged_spill(size, trigger)
            except _Misbehaves as one:
                found.append(one)
                raise

        def _judged_spill(self, size, trigger):
            if self.spilling:
                raise _Misbehaves("While it spills, it asks for memory: there is none to be had.")
            held, rows, files = self.used, list(self.rows), len(self.files)
            self.spilling = True
            released = super().spill(size, trigger)
            self.spilling = False
            if released is None or released is ...:
                raise NotImplementedError
            asker = "itself" if trigger is self else "another operator"
            asked = f"Asked by {asker} for {_rows(size)}, it held {_rows(held)}:"
            _judge_memory(asked, size, trigger is self, held, held - self.used, released)
            _judge_rows(asked, rows, self.rows, self.used, self.files[files:])
            return released

    return Watched


def _rows(size: int) -> str:
    return f"{size / ROW:g} MiB"


def _judge_memory(asked, size, by_itself, held, freed, released) -> None:
    if isinstance(released, bool) or not isinstance(released, int):
        raise _Misbehaves(f"{asked} it returned {show(released)}; it should be a number of bytes.")
    told = f"{asked} it returned {released} bytes ({_rows(released)}) and freed {_rows(freed)}."
    if released and not freed:
        raise _Misbehaves(told, "does not give the memory back")
    if released != freed:
        raise _Misbehaves(told, "returns what was asked for" if released == size else None)
    if freed < min(size, held):
        not_for_itself = by_itself and not freed
        raise _Misbehaves(told, "not for itself" if not_for_itself else "frees a row at a time")


def _judge_rows(asked, before, after, used, written) -> None:
    if used != len(after) * ROW:
        told = f"{asked} afterwards it held {_rows(used)}, and {len(after)} rows."
        raise _Misbehaves(told, "keeps the rows" if used < len(after) * ROW else None)
    if not all(isinstance(file, list) and file for file in written):
        raise _Misbehaves(f"{asked} it wrote a file that is not a list of rows, or has none.")
    on_disk = [row for file in written for row in file]
    if sorted(on_disk + after) != sorted(before):
        told = f"{asked} of {len(before)} rows, {len(after)} were then in memory and "
        raise _Misbehaves(f"{told}{len(on_disk)} on disk.", "throws the rows away")
    if any(file != sorted(file) for file in written):
        raise _Misbehaves(f"{asked} it wrote {show(on_disk)}.", "writes the rows as they came")


def _play(sorter: type[RowBuffer], memory: int, steps: Sequence[tuple[str, int]]) -> Effect:
    """Let a sorter share a task's memory, which is enough for so many rows, with a hash map."""
    task = TaskMemoryManager(StaticMemoryManager(memory * ROW, 0), task_attempt_id=1)
    misbehaved: list[_Misbehaves] = []
    buffer, hash_map = _watched(sorter, misbehaved)(task), MemoryConsumer(task)
    inserted = []
    with suppress(_Misbehaves):
        for step, number in steps:
            if step == "insert":
                buffer.insert(number)
                inserted.append(number)
            elif step == "map asks":
                hash_map.acquire_memory(number * ROW)
            else:
                hash_map.free_memory(number * ROW)
    if misbehaved:
        first = misbehaved[0]
        return Effect(False, first.says, misconception=first.misconception)
    found = list(buffer.in_order())
    if found != sorted(inserted):
        return Effect(False, f"{len(inserted)} rows went in; out came {show(found)}.")
    evidence = f"last, {len(inserted)} rows in memory for {memory}, with {len(buffer.files)} files"
    return Effect(True, "All rows came back in order.", evidence)


def _steps(random: Random, memory: int) -> tuple[int, list[tuple[str, int]]]:
    """More rows than there is memory for, and a map that asks for more than is free, some times;
    in the end for more than there is, so that the sorter is asked once more when it has nothing."""

    def inserts(count: int) -> list[tuple[str, int]]:
        return [("insert", random.randrange(1000)) for _ in range(count)]

    steps = []
    for _ in range(random.randrange(1, 4)):
        wanted = random.randrange(3, memory - 1)
        steps += [*inserts(2 * memory - 1), ("map asks", wanted), ("map asks", 1)]
        steps += [*inserts(random.randrange(1, memory)), ("map frees", wanted + 1)]
    steps += [*inserts(2), ("map asks", memory + 1), ("map frees", memory)]
    return memory, [*steps, *inserts(random.randrange(memory))]


class _Sorter(RowBuffer):
    def spill(self, size, trigger):
        if not self.rows:
            return 0
        self.files.append(sorted(self.rows))
        self.rows = []
        released = self.used
        self.free_memory(released)
        return released


class _KeepsTheMemory(RowBuffer):
    def spill(self, size, trigger):
        if self.rows:
            self.files.append(sorted(self.rows))
            self.rows = []
        return self.used


class _ReturnsWhatWasAsked(RowBuffer):
    def spill(self, size, trigger):
        if self.rows:
            self.files.append(sorted(self.rows))
            self.rows = []
        self.free_memory(self.used)
        return size


class _NotForItself(RowBuffer):
    def spill(self, size, trigger):
        if trigger is self or not self.rows:
            return 0
        self.files.append(sorted(self.rows))
        self.rows = []
        released = self.used
        self.free_memory(released)
        return released


class _ARowAtATime(RowBuffer):
    def spill(self, size, trigger):
        if not self.rows:
            return 0
        one = self.used // len(self.rows)
        self.files.append([self.rows.pop()])
        self.free_memory(one)
        return one


class _KeepsTheRows(RowBuffer):
    def spill(self, size, trigger):
        if self.rows:
            self.files.append(sorted(self.rows))
        released = self.used
        self.free_memory(released)
        return released


class _ThrowsTheRowsAway(RowBuffer):
    def spill(self, size, trigger):
        self.rows = []
        released = self.used
        self.free_memory(released)
        return released


class _AsTheyCame(RowBuffer):
    def spill(self, size, trigger):
        if self.rows:
            self.files.append(self.rows)
            self.rows = []
        released = self.used
        self.free_memory(released)
        return released


SORTER = ClassTask(
    name="Sorter",
    title="A consumer that spills",
    points=4,
    base=RowBuffer,
    play=_play,
    reference=_Sorter,
    examples=(_steps(Random("alone"), 5), _steps(Random("with a map"), 8)),
    draw_inputs=lambda random: [_steps(random, random.randrange(5, 14)) for _ in range(12)],
    misconceptions=(
        Misconception(
            "does not give the memory back",
            "Your `spill` says that it has freed memory, and has not. Writing rows to disk frees "
            "nothing by itself: call `free_memory`. Spark would ask again and again.",
            _KeepsTheMemory,
        ),
        Misconception(
            "returns what was asked for",
            "Your `spill` returns what it was asked for. It should return what it has freed, which "
            "may be more or less.",
            _ReturnsWhatWasAsked,
        ),
        Misconception(
            "not for itself",
            "Your `spill` does nothing when the sorter itself is the one that needs memory. It is "
            "then asked last: if it does not free anything, the task fails.",
            _NotForItself,
        ),
        Misconception(
            "frees a row at a time",
            "Your `spill` frees less than it was asked for, though it holds more. It would be "
            "asked again, and write a file each time.",
            _ARowAtATime,
        ),
        Misconception(
            "keeps the rows",
            "Your `spill` frees the memory of rows that it still keeps. They are on the heap, and "
            "nobody counts them any more.",
            _KeepsTheRows,
        ),
        Misconception(
            "throws the rows away",
            "Your `spill` frees memory, and the rows are gone. They have to be in a file.",
            _ThrowsTheRowsAway,
        ),
        Misconception(
            "writes the rows as they came",
            "Your `spill` writes rows as they came. `in_order` merges files, and that takes files "
            "that are in order.",
            _AsTheyCame,
        ),
    ),
)


PROBLEM_SET = ProblemSet(
    "ps08-tasks-share", "Tasks share execution memory", (GRANTS, SPILL_ORDER, CORES, SORTER)
)

"""The model, played with the very calls that `MemoryOracle` plays on Spark, and both compared.

Every return value, every pool, every victim and the order of the blocks have to agree.
"""

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy

from hypothesis import Phase, given, settings
from hypothesis.strategies import (
    SearchStrategy,
    binary,
    booleans,
    composite,
    integers,
    just,
    one_of,
    sampled_from,
)

from course_lib.model import (
    MemoryConsumer,
    MemoryMode,
    MemoryStore,
    SparkOutOfMemoryError,
    StorageLevel,
    TaskMemoryManager,
    UnifiedMemoryManager,
)
from course_lib.model.managers import MemoryManager
from course_lib.settings import version
from course_lib.spark import SparkRefusal
from course_lib.spark.memory_oracle import (
    Game,
    MemoryOracle,
    Played,
    Pools,
    Returned,
    State,
    Thrown,
)

WAITS = Returned("waits")

# How many sequences and calls were compared and agreed.
compared = Counter(sequences=0, calls=0)

# What the model raises, and what Spark and the JVM throw instead.
KINDS = {
    "SparkOutOfMemoryError": ("SparkOutOfMemoryError",),
    "KeyError": ("NoSuchElementException",),
    "ValueError": (
        "AssertionError",
        "IllegalArgumentException",
        "SparkIllegalArgumentException",
        "TooLargePageException",
    ),
    "AssertionError": ("AssertionError",),
    "RuntimeError": ("IllegalStateException",),
}


class Disagreement(AssertionError):
    """Model and Spark differ."""


class Store(MemoryStore):
    """The model's store, telling which blocks it evicts."""

    def __init__(self, events: list, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.events = events

    def drop_from_memory(self, block_id):
        to_disk = super().drop_from_memory(block_id)
        self.events.append(("evicted", str(block_id), to_disk))
        return to_disk


class Consumer(MemoryConsumer):
    """A consumer with one of the habits that the oracle's consumers have."""

    def __init__(self, events: list, name: int, task: TaskMemoryManager, mode, habit: str):
        super().__init__(task, mode)
        self.events, self.name, self.habit = events, name, habit

    def spill(self, size: int, trigger: "Consumer") -> int:
        released = {
            "everything": self.used,
            "half": self.used // 2,
            "asked": min(self.used, max(size, self.used // 8)),
            "nothing": 0,
        }[self.habit]
        self.events.append(("spilled", self.name, size, trigger.name, released))
        if released:
            self.free_memory(released)
        return released


class Model:
    """The model of everything that the oracle plays on, with calls that still wait."""

    def __init__(
        self,
        max_heap_memory: int,
        on_heap_storage_region_size: int,
        *,
        spark_version: str,
        num_cores: int = 1,
        conf: Mapping[str, str] | None = None,
    ):
        conf = conf or {}
        off_heap = int(conf.get("spark.memory.offHeap.size", "0").removesuffix("b"))
        in_use = conf.get("spark.memory.offHeap.enabled") == "true"
        page_size = conf.get("spark.buffer.pageSize")
        self.events: list[tuple] = []
        self.manager = self.make_manager(
            max_heap_memory,
            on_heap_storage_region_size,
            conf,
            max_off_heap_memory=off_heap,
            num_cores=num_cores,
            spark_version=".".join(map(str, version(spark_version)[:2])),
            tungsten_memory_mode=MemoryMode.OFF_HEAP if in_use else MemoryMode.ON_HEAP,
            page_size=page_size and int(page_size),
        )
        threshold = conf.get("spark.storage.unrollMemoryThreshold", 2**20)
        self.store = Store(self.events, self.manager, unroll_memory_threshold=int(threshold))
        self.tasks: dict[int, TaskMemoryManager] = {}
        self.consumers: dict[int, Consumer] = {}
        self.pages: dict[int, tuple] = {}
        self.waiting: dict[int, tuple] = {}
        self.ended: dict[int, Returned | Thrown] = {}

    def make_manager(
        self, max_heap_memory: int, storage_region: int, conf: Mapping[str, str], **common
    ) -> MemoryManager:
        """The manager that `conf` makes; `common` is what every manager is made of."""
        fraction = float(conf.get("spark.memory.storageFraction", "0.5"))
        off_heap_region = int(common["max_off_heap_memory"] * fraction)
        return UnifiedMemoryManager(
            max_heap_memory, storage_region, off_heap_storage_region_size=off_heap_region, **common
        )

    @property
    def notifications(self) -> int:
        """How often waiting threads were told to look again; both pools share one lock."""
        return sum(self.manager.execution_pool(mode).notifications for mode in MemoryMode)

    def make(self, call: tuple) -> Returned | Thrown:
        """What a call returns or raises; `WAITS` for one that would wait in Spark."""
        name, *arguments = call
        if not name.startswith("put"):  # there, OFF_HEAP is a storage level
            arguments = [MemoryMode.__members__.get(one, one) for one in arguments]
        try:
            value = getattr(self, f"_{name}", getattr(self.manager, name, None))(*arguments)
        except (SparkOutOfMemoryError, KeyError, ValueError, AssertionError, RuntimeError) as error:
            return Thrown(type(error).__name__, str(error))
        may_wait = name in ("acquire_execution_memory", "acquire_memory", "allocate_page")
        return WAITS if value is None and may_wait else Returned(value)

    def play(self, number: int, call: tuple) -> Iterator[tuple["Model", Played]]:
        """Every way in which this call can go: one for each order in which waiting threads wake."""
        self.events.clear()
        self.ended.clear()
        notified = self._turn(number, call, self.make)
        for model in self._wake(notified):
            yield model, Played(dict(model.ended), tuple(model.events), model.state())

    def _turn(self, number: int, call: tuple, make: Callable) -> frozenset[int]:
        """A thread works until it has an outcome or waits; whom it has notified meanwhile."""
        self.waiting.pop(number, None)
        others, before = frozenset(self.waiting), self.notifications
        outcome = make(call)
        if outcome == WAITS:
            self.waiting[number] = call
        else:
            self.ended[number] = outcome
        return others if self.notifications > before else frozenset()

    def _wake(self, notified: frozenset[int]) -> Iterator["Model"]:
        if not notified:
            yield self
        for number in notified:
            model = self if len(notified) == 1 else deepcopy(self)
            again = model._turn(number, model.waiting[number], model.try_again)
            yield from model._wake(notified - {number} | again)

    def try_again(self, call: tuple) -> Returned | Thrown:
        """A thread that was notified tries again.

        If its task has meanwhile given everything back, Spark no longer knows it (SPARK-59827).
        The model would register it again.
        """
        if call[0] == "acquire_execution_memory":
            _, _, task, mode = call
            pool = self.manager.execution_pool(MemoryMode[mode])
        else:
            consumer = self.consumers[call[1]]
            task = consumer.task_memory_manager.task_attempt_id
            pool = self.manager.execution_pool(consumer.mode)
        if task not in pool.memory_for_task:
            return Thrown("KeyError", f"key not found: {task}")
        return self.make(call)

    def state(self) -> State:
        manager, store = self.manager, self.store
        on_heap, off_heap = (manager.execution_pool(mode).memory_for_task for mode in MemoryMode)
        return State(
            Pools(
                *(
                    (pool.pool_size, pool.memory_used)
                    for pool in (
                        manager.on_heap_storage_memory_pool,
                        manager.on_heap_execution_memory_pool,
                        manager.off_heap_storage_memory_pool,
                        manager.off_heap_execution_memory_pool,
                    )
                )
            ),
            (manager.max_on_heap_storage_memory, manager.max_off_heap_storage_memory),
            (dict(on_heap), dict(off_heap)),
            tuple(str(block.block_id) for block in store.blocks_in_memory()),
            frozenset(str(block.block_id) for block in store.blocks_on_disk()),
            store.current_unroll_memory,
            {name: consumer.used for name, consumer in self.consumers.items()},
        )

    # Calls that are not the manager's own

    def _put(self, block: str, size: int, level: str) -> bool:
        return self.store.put(block, size, StorageLevel.from_string(level))

    def _put_iterator(self, block: str, sizes: Sequence[int], level: str) -> bool:
        return self.store.put_iterator(block, sizes, StorageLevel.from_string(level))

    def _get(self, block: str) -> str | None:
        return self.store.get(block)

    def _contains(self, block: str) -> bool:
        return self.store.contains(block)

    def _remove(self, block: str) -> bool:
        return self.store.remove(block)

    def _pin(self, block: str) -> None:
        self.store.pin(block)

    def _unpin(self, block: str) -> None:
        self.store.unpin(block)

    def _evict_blocks_to_free_space(self, block: str | None, space: int, mode) -> int:
        return self.store.evict_blocks_to_free_space(block, space, mode)

    def _consumer(self, name: int, task: int, mode, habit: str) -> None:
        owner = self.tasks.setdefault(task, TaskMemoryManager(self.manager, task))
        self.consumers[name] = Consumer(self.events, name, owner, mode, habit)

    def _acquire_memory(self, consumer: int, size: int) -> int | None:
        return self.consumers[consumer].acquire_memory(size)

    def _free_memory(self, consumer: int, size: int) -> None:
        self.consumers[consumer].free_memory(size)

    def _allocate_page(self, consumer: int, page: int, required: int) -> int | None:
        block = self.consumers[consumer].allocate_page(required)
        if block is None:
            return None
        self.pages[page] = (self.consumers[consumer], block)
        return block.size

    def _free_page(self, page: int) -> None:
        consumer, block = self.pages.pop(page)
        consumer.free_page(block)

    def _clean_up_all_allocated_memory(self, task: int) -> int:
        owner = self.tasks[task]
        self.pages = {
            page: (consumer, block)
            for page, (consumer, block) in self.pages.items()
            if consumer.task_memory_manager is not owner
        }
        return owner.clean_up_all_allocated_memory()


def agree(calls: Sequence[tuple], model: Model, game: Game) -> None:
    """Play `calls` on the model and compare with the `game` that Spark played.

    Where several threads wake at once, Spark leaves open which comes first: then one of the orders
    has to agree. Raises Disagreement.
    """
    _same("the start", model.state(), game.start)
    _same("the page size", model.manager.page_size_bytes, game.page_size_bytes)
    for number, (call, spark) in enumerate(zip(calls, game.played, strict=True)):
        ways = []
        for after, played in model.play(number, call):
            ways.append(played)
            if _equal(played, spark):
                model = after
                break
        else:
            before = "\n".join(map(str, calls[:number]))
            expected = "\nor     ".join(map(str, ways))
            raise Disagreement(f"after\n{before}\n{call}\nmodel: {expected}\nSpark: {spark}")


def _same(what: str, ours: object, sparks: object) -> None:
    if ours != sparks:
        raise Disagreement(f"{what}: model {ours}, Spark {sparks}")


def _equal(ours: Played, sparks: Played) -> bool:
    return (
        (ours.events, ours.state) == (sparks.events, sparks.state)
        and ours.ended.keys() == sparks.ended.keys()
        and all(_equal_outcome(ours.ended[n], sparks.ended[n]) for n in ours.ended)
    )


def _equal_outcome(ours: Returned | Thrown, sparks: Returned | Thrown) -> bool:
    """Whether both return the same, or refuse for the same kind of reason.

    Where Spark's refusal has words of its own, the model's has the same.
    """
    if isinstance(ours, Returned) or isinstance(sparks, Returned):
        return ours == sparks
    words = (sparks.message or "").partition(" SQLSTATE: ")[0]
    words = re.sub("^(assertion|requirement) failed(: )?", "", words)
    return sparks.java_class.rpartition(".")[2] in KINDS[ours.java_class] and words in ours.message


class Comparison:
    """Random sequences, played on Spark and on the model side by side.

    `next_call` makes the next call from the model as it is by then and from a few drawn numbers,
    so that it can ask for just what is free, or for one byte more. `seen` counts what happened.
    """

    def __init__(self, oracle: MemoryOracle, next_call: Callable[..., tuple | None]):
        self.oracle, self.next_call = oracle, next_call
        self.spark_version = oracle.spark_version
        self.seen = Counter()

    def run(self, setups: SearchStrategy, examples: int, *, shrink: bool = True) -> None:
        """Compare so many sequences, with as few waiting threads as to try all orders."""
        phases = set(Phase) - ({Phase.shrink, Phase.explain} if not shrink else set())

        @settings(max_examples=examples, phases=phases)
        @given(setups, binary(min_size=60, max_size=200))
        def compare(setup, drawn):
            self._compare(setup, [drawn[i : i + 5] for i in range(0, len(drawn) - 4, 5)])

        log = logging.getLogger("course_lib.model")
        level = log.level
        log.setLevel(logging.ERROR)  # it warns of each release of more than there is
        try:
            compare()
        finally:
            log.setLevel(level)
        compared.update(sequences=self.seen["sequences"], calls=self.seen["calls"])

    def seldom(self, *what: str) -> dict[str, int]:
        """What of this happened too seldom for the comparison to mean something, and how often."""
        enough = self.seen["sequences"] // 50
        return {one: self.seen[one] for one in what if self.seen[one] < max(1, enough)}

    def _compare(self, setup: dict, moves: Sequence[bytes]) -> None:
        calls = []
        model = Model(**setup, spark_version=self.spark_version)
        for move in moves:
            call = self.next_call(model, *move)
            if call is not None:
                model, _ = next(model.play(len(calls), call))
                calls.append(call)
        try:
            game = self.oracle.play(calls=calls, **setup)
        except SparkRefusal as refusal:  # calls on a task that waits, which in the model does not
            raise Disagreement(f"Spark cannot be brought to play this: {refusal}") from None
        self._count(calls, game)
        agree(calls, Model(**setup, spark_version=self.spark_version), game)

    def _count(self, calls: Sequence[tuple], game: Game) -> None:
        self.seen["sequences"] += 1
        self.seen["calls"] += len(calls)
        before = game.start
        for number, (call, played) in enumerate(zip(calls, game.played, strict=True)):
            self.seen.update(_what_happened(number, call, before, played))
            self.seen["woken"] += len(played.ended.keys() - {number})
            before = played.state


def _what_happened(number: int, call: tuple, before: State, played: Played) -> Iterator[str]:
    name, *arguments = call
    yield name
    outcome = played.ended.get(number)
    if outcome is None:
        yield "waits"
    elif isinstance(outcome, Thrown):
        yield "refused"
    elif name == "acquire_execution_memory":
        yield "granted all" if outcome.value == arguments[0] else "granted less"
        if outcome.value == 0:
            yield "granted nothing"
    elif name in ("acquire_storage_memory", "put", "put_iterator") and outcome.value is False:
        yield f"{name}: no room"
    elif name == "get" and outcome.value == "disk":
        yield "read from disk"
        if len(played.state.blocks) > len(before.blocks):
            yield "cached again"
    for what, *details in played.events:
        yield what
        if what == "evicted" and details[1]:
            yield "evicted to disk"
        if what == "spilled":
            yield "spilled itself" if details[0] == details[2] else "spilled another"
            if details[3] == 0:
                yield "spilled nothing"
    grown = played.state.pools.on_heap_storage[0] - before.pools.on_heap_storage[0]
    grown_off = played.state.pools.off_heap_storage[0] - before.pools.off_heap_storage[0]
    if grown > 0 or grown_off > 0:
        yield "storage borrowed"
    if grown < 0 or grown_off < 0:
        yield "execution took back"
    if name in ("acquire_execution_memory", "acquire_memory") and played.events and outcome:
        pools = played.state.pools
        free = [size - used for size, used in (pools.on_heap_execution, pools.off_heap_execution)]
        if any(what == "evicted" for what, *_ in played.events) and max(free) > 0:
            yield "overshot"


# Drawing

MOST = 2**63 - 1


@composite
def setups(draw, *, unrolling: bool = False, pages: bool = False) -> dict:
    """Managers of all sizes, odd ones too, with and without off-heap memory."""
    unit = draw(sampled_from([1, 7, 1000, 2**20, 2**40 + 3]))
    max_heap = unit * draw(integers(1, 200))
    region = draw(one_of(just(0), just(max_heap // 2), integers(0, max_heap - 1)))
    conf = {"spark.memory.unmanagedMemoryPollingInterval": "1d"}
    if draw(booleans()):
        conf["spark.memory.offHeap.size"] = f"{unit * draw(integers(1, 100))}b"
        conf["spark.memory.storageFraction"] = str(draw(sampled_from([0, 0.25, 0.5, 0.9, 0.99])))
        if draw(booleans()):
            conf["spark.memory.offHeap.enabled"] = "true"
    if unrolling:
        conf["spark.storage.unrollMemoryThreshold"] = str(max_heap // draw(integers(4, 200)) + 1)
    if pages:
        conf["spark.buffer.pageSize"] = str(draw(integers(1, min(2**16, max_heap // 4 + 1))))
    return {
        "max_heap_memory": max_heap,
        "on_heap_storage_region_size": region,
        "num_cores": draw(integers(1, 8)),
        "conf": conf,
    }


def a_size(model: Model, mode: str, lot: int, task: int = 0) -> int:
    """A number of bytes that is worth asking for: a share of the memory, or a limit, or nearly."""
    execution, storage, region, total = model.manager._in_mode(MemoryMode[mode])
    if lot < 128:
        return total * lot // 160
    tasks = max(1, len(execution.memory_for_task))
    limits = (
        0,
        execution.memory_free,
        storage.memory_free,
        execution.memory_free + storage.memory_free,
        execution.pool_size,
        storage.pool_size,
        storage.memory_used,
        region,
        total,
        execution.memory_for_task.get(task, 0),
        total // tasks,
        execution.pool_size // (2 * tasks),
        total - storage.memory_used,
        MOST - 1,
    )
    limit, offset = divmod(lot - 128, 3)
    return limits[limit % len(limits)] + offset - 1

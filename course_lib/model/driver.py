"""What a result costs the driver: the heap it needs on its way, and which limit it meets first.

The objects of a JVM and of Python are counted by their layout; what the driver needs for itself
was measured. Results are taken not to compress, so real ones may need less.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from course_lib.model.region import Region
from course_lib.units import GIB, MIB, bytes_to_string

DRIVER_ITSELF = 60 * MIB  # measured: what a driver holds before its first result
PYTHON_ITSELF = 130 * MIB  # measured: the driver's Python process, pandas and PyArrow imported

# How far real drivers may be from what the model says they need: what the tests allow.
TOLERANCE = 0.25

RESULT_GETTERS = 4  # spark.resultGetter.threads
MAX_BROADCAST_TABLE_BYTES = 8 * GIB  # spark.sql.maxBroadcastTableSize
MAX_BROADCAST_TABLE_ROWS = 512_000_000  # BroadcastExchangeExec, for one key of type long

PATHS = (
    "collect",
    "toPandas",
    "toPandas without Arrow",
    "take",
    "toLocalIterator",
    "rdd.toLocalIterator",
    "broadcast",
)

_CHUNK = MIB  # results are written into arrays of so many bytes: SparkPlan.getByteArrayRdd
_HEADER, _REFERENCE = 16, 4  # bytes of an array's header, and of a reference in a heap below 32 GiB
_LARGEST_ARRAY = 8 * GIB  # of a hash table: 2**30 longs
_UNSAFE_ROW = 40  # the object that points to a row's bytes


@dataclass(frozen=True)
class Result:
    """The rows of a DataFrame: each has `columns` of a number, or of a text of so many characters.

    Raises ValueError for less than one row, column or partition, and for a negative text.
    """

    rows: int
    columns: int = 1
    text: int = 0
    partitions: int = 200

    def __post_init__(self):
        for name, least in (("rows", 1), ("columns", 1), ("text", 0), ("partitions", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is at least {least}, not {getattr(self, name)}")

    @property
    def row_bytes(self) -> int:
        """A row as Spark holds it. Source: ``UnsafeRow``."""
        nulls = 8 * -(-self.columns // 64)
        return nulls + self.columns * (8 + _padded(self.text, 8))

    @property
    def serialized(self) -> int:
        """All rows on their way, each after its length: what ``maxResultSize`` counts.

        Source: ``SparkPlan.getByteArrayRdd``.
        """
        return self.rows * (4 + self.row_bytes)

    def received(self, heap: int) -> int:
        """All rows as they have come in, serialized, on a heap of so many bytes.

        They are in arrays of 1 MiB and the rest. With its header such an array is a little too
        large for one of G1's regions, and takes two of them, or one of twice its size, unless the
        heap is larger than 4 GiB. Source: ``ChunkedByteBufferOutputStream``, HotSpot's
        ``G1CollectedHeap::humongous_obj_allocate``.
        """
        return self.partitions * _chunks(self.serialized // self.partitions, heap)

    def arriving(self, heap: int, at_a_time: int) -> int:
        """What results of so many tasks take beside that until they have arrived.

        Each is there as it was fetched, and once more in chunks, before its own are made of it.
        Source: ``TaskResultGetter``, ``DirectTaskResult``.
        """
        one = self.serialized // self.partitions
        return min(self.partitions, at_a_time) * (one + _chunks(one, heap))

    @property
    def row_objects(self) -> int:
        """All rows one by one on the driver's heap. Source: ``SparkPlan.decodeUnsafeRows``."""
        return self.rows * (_UNSAFE_ROW + _HEADER + self.row_bytes + 2 * _REFERENCE)

    @property
    def arrow(self) -> int:
        """All rows in Arrow: a text has a place of 4 bytes beside its own."""
        return self.rows * self.columns * (self.text + 4 if self.text else 8)

    @property
    def pickled(self) -> int:
        """All rows as Python will read them, which for an iterator executors do. Measured."""
        return self.rows * (14 + self.columns * (10 + self.text if self.text else 9))

    @property
    def python_rows(self) -> int:
        """All rows as ``Row`` objects of Python: a tuple with a dictionary, and its values."""
        value = _padded(49 + self.text, 16) if self.text else 32
        return self.rows * (256 + self.columns * (8 + value))

    @property
    def pandas(self) -> int:
        """All rows in a pandas DataFrame: texts are Python objects there."""
        return self.rows * self.columns * (8 + (_padded(49 + self.text, 16) if self.text else 0))

    @property
    def pandas_of_rows(self) -> int:
        """What pandas adds to ``Row`` objects: references to their values, and numbers' columns."""
        return self.rows * self.columns * (8 if self.text else 16)


class Part(NamedTuple):
    """Something on the way, by name, the palette's kind, and bytes."""

    name: str
    kind: str
    size: int


_DRIVER = Part("driver itself", "other", DRIVER_ITSELF)
_PYTHON = Part("Python itself", "other", PYTHON_ITSELF)


@dataclass(frozen=True)
class DriverBudget:
    """What a result costs its driver in the moment that costs most.

    `heap` and `python` are what lies in the JVM and in the Python process beside it; `counted` is
    what ``spark.driver.maxResultSize`` is compared with, the results of so many `tasks`, and takes
    `received` bytes where all of it waits on the heap. `refusal` says in Spark's words which of its
    limits a broadcast exceeds; Spark notices when the driver already holds `before_refusal` bytes.
    """

    heap: tuple[Part, ...]
    python: tuple[Part, ...]
    counted: int
    received: int
    tasks: int
    refusal: str = ""
    before_refusal: int = 0

    @property
    def heap_needed(self) -> int:
        """Bytes of heap without which the driver dies."""
        return sum(part.size for part in self.heap)

    @property
    def python_needed(self) -> int:
        """Bytes that the driver's Python process occupies."""
        return sum(part.size for part in self.python)

    def first_trip(self, heap: int, max_result_size: int) -> str:
        """What happens first on a driver with this much heap, in words of Spark or the JVM.

        Nothing if it survives.
        """
        needed, told = self.decisive_moment(max_result_size)
        return told if needed <= heap else "java.lang.OutOfMemoryError: Java heap space"

    def decisive_moment(self, max_result_size: int) -> tuple[int, str]:
        """The heap needed until Spark itself ends it or all is done, and what Spark then says.

        ``maxResultSize`` (0 is no limit) is compared while results come in, and what has come in
        until then needs heap too.
        """
        if 0 < max_result_size < self.counted:
            return self.heap_at(max_result_size), self._too_many_results(max_result_size)
        if self.refusal:
            return self.before_refusal, self.refusal
        return self.heap_needed, ""

    def heap_at(self, max_result_size: int) -> int:
        """The heap in use when results of so many bytes, as they are counted, have come in."""
        return DRIVER_ITSELF + max_result_size * self.received // self.counted

    def _too_many_results(self, limit: int) -> str:
        """Source: ``TaskSetManager.canFetchMoreResults``, with tasks that return equally much."""
        tasks = limit * self.tasks // self.counted + 1
        size = bytes_to_string(tasks * self.counted // self.tasks)
        return (
            f"Total size of serialized results of {tasks} tasks ({size}) is bigger than "
            f"spark.driver.maxResultSize ({bytes_to_string(limit)})"
        )

    def region(self, heap: int) -> Region:
        """A heap of this size with the result in it."""
        parts = tuple(Region(*part) for part in self.heap if part.size)
        return Region("driver's heap", "heap", heap, children=parts)

    def python_region(self) -> Region:
        """The Python process beside it."""
        parts = tuple(Region(*part) for part in self.python if part.size)
        return Region("driver's Python", "process", self.python_needed, children=parts)


def driver_budget(
    result: Result,
    path: str,
    *,
    heap: int = GIB,
    take: int = 1000,
    at_a_time: int = RESULT_GETTERS,
) -> DriverBudget:
    """What `path`, one of `PATHS`, costs the driver of a PySpark session with such a `heap`.

    ``"toPandas"`` is with Arrow, as by default; ``"take"`` asks for `take` rows;
    ``"toLocalIterator"`` is a DataFrame's, and ``"rdd.toLocalIterator"`` that of its RDD;
    ``"broadcast"`` is the smaller side of a join on one key of type long. Results of `at_a_time`
    tasks arrive together: of as many as run, and at most of ``spark.resultGetter.threads``.
    Raises ValueError for another path, and for a `take` of less than one row.
    """
    if path not in PATHS:
        raise ValueError(f"path is one of {', '.join(PATHS)}, not {path!r}")
    if path == "take":
        *_, last = take_jobs(result, take, heap, at_a_time)
        return last
    if path == "toPandas":
        return _in_batches(result, heap, at_a_time)
    if path.endswith("toLocalIterator"):
        return _by_partitions(result, heap, keeps=path == "toLocalIterator")
    received, arriving = result.received(heap), result.arriving(heap, at_a_time)
    if path == "broadcast":
        return _broadcast(result, received, arriving)
    return _collected(result, received, arriving, result, in_pandas=path != "collect")


def take_jobs(
    result: Result, take: int, heap: int = GIB, at_a_time: int = RESULT_GETTERS
) -> Iterator[DriverBudget]:
    """What each job costs that ``take`` runs, one after the other, until there are enough rows.

    The first scans one partition; the next as many as seem to be missing and half as many more,
    but at most four times those scanned. What jobs have brought is kept until the query ends.
    Source: ``SparkPlan.executeTake``, ``DAGScheduler.activeQueryToJobs``.
    Raises ValueError for less than one row.
    """
    if take < 1:
        raise ValueError(f"take is at least 1, not {take}")
    wanted = min(take, result.rows)
    there = -(-result.rows // result.partitions)
    scanned = taken = received = 0
    while taken < wanted:
        tries = 1
        if scanned:
            seem_missing = -(-3 * (wanted - taken) * scanned // (2 * taken))
            tries = min(seem_missing, 4 * scanned, result.partitions - scanned)
        brought = replace(result, rows=tries * min(wanted, there), partitions=tries)
        rows_before = result.row_objects * taken // result.rows
        scanned, taken = scanned + tries, min(wanted, taken + brought.rows)
        received += brought.received(heap)
        arriving = brought.arriving(heap, at_a_time)
        yield _collected(brought, received, arriving, replace(result, rows=taken), rows_before)


def _collected(
    brought: Result,
    received: int,
    arriving: int,
    kept: Result,
    rows_before: int = 0,
    *,
    in_pandas: bool = False,
) -> DriverBudget:
    """What a job brought, with what was `received` so far, and the rows that are kept of it.

    Source: ``SparkPlan.executeCollect``.
    """
    results = (_DRIVER, Part("serialized results", "user", received))
    before = Part("rows before", "user", rows_before)
    return DriverBudget(
        _costlier(
            (*results, before, Part("as they arrive", "user", arriving)),
            (*results, Part("rows", "user", kept.row_objects)),
        ),
        (
            _PYTHON,
            Part("Row objects", "user", kept.python_rows),
            Part("pandas", "user", kept.pandas_of_rows if in_pandas else 0),
        ),
        brought.serialized,
        received,
        brought.partitions,
    )


def _in_batches(result: Result, heap: int, at_a_time: int) -> DriverBudget:
    """Batches in Arrow, which pass through the heap to Python as they come."""
    size = result.arrow
    one = size // result.partitions
    waiting = min(result.partitions, at_a_time) * (2 * one + _chunks(one, heap))
    told = (
        Part("Arrow", "user", size),
        Part("columns, one by one", "user", 8 * result.rows * result.columns),
        Part("pandas", "user", result.pandas),
    )
    held = (_DRIVER, Part("batches as they arrive", "user", waiting))
    return DriverBudget(held, (_PYTHON, *told), size, size, result.partitions)


def _by_partitions(result: Result, heap: int, *, keeps: bool) -> DriverBudget:
    """One partition after the other, served to Python in batches; a DataFrame `keeps` them all.

    Source: ``PythonRDD.toLocalIteratorAndServe``, and for what is kept
    ``DAGScheduler.activeQueryToJobs``.
    """
    one = replace(result, rows=-(-result.rows // result.partitions), partitions=1)
    size = one.pickled
    batches = [replace(one, rows=rows) for rows in _batches(one)]
    served = sum(_array(batch.pickled, heap) for batch in batches)
    held = (
        _DRIVER,
        Part("partitions before", "user", (result.partitions - 1) * served if keeps else 0),
        Part("one partition", "user", served),
        Part("as it arrives", "user", size + _chunks(size, heap)),
    )
    largest = max(batch.python_rows for batch in batches)
    told = (_PYTHON, Part("Row objects of a batch", "user", largest))
    return DriverBudget(held, told, size, size, 1)


def _batches(result: Result) -> Iterator[int]:
    """The rows that are pickled together: twice as many as before, until they take 1 MiB.

    Source: ``SerDeUtil.AutoBatchedPickler``.
    """
    left, rows = result.rows, 1
    while left:
        yield min(rows, left)
        left -= min(rows, left)
        if rows * result.pickled < MIB * result.rows:
            rows *= 2


def _broadcast(result: Result, received: int, arriving: int) -> DriverBudget:
    """Results become a hash table, and that becomes pieces to send, all there at the end.

    Source: ``BroadcastExchangeExec``, ``TorrentBroadcast``.
    """
    table, content = hash_table(result), _content(result)
    refusal, before_refusal = "", max(arriving, table)
    if result.rows >= MAX_BROADCAST_TABLE_ROWS:
        most = MAX_BROADCAST_TABLE_ROWS
        refusal = f"Cannot broadcast the table over {most} rows: {result.rows} rows."
        before_refusal = arriving
    elif content > _LARGEST_ARRAY:
        refusal = "Cannot build a HashedRelation that is larger than 8G."
    elif table >= MAX_BROADCAST_TABLE_BYTES:
        most, size = bytes_to_string(MAX_BROADCAST_TABLE_BYTES), bytes_to_string(table)
        refusal = f"Cannot broadcast the table that is larger than {most}: {size}."
    results = (_DRIVER, Part("serialized results", "user", received))
    pieces = Part("its pieces", "storage", _keys(result) + content)
    return DriverBudget(
        _costlier(
            (*results, Part("as they arrive", "user", arriving)),
            (*results, Part("hash table", "execution", table), pieces),
        ),
        (_PYTHON,),
        result.serialized,
        received,
        result.partitions,
        refusal,
        DRIVER_ITSELF + received + before_refusal,
    )


def _costlier(*moments: tuple[Part, ...]) -> tuple[Part, ...]:
    return max(moments, key=lambda parts: sum(part.size for part in parts))


def hash_table(result: Result) -> int:
    """The hash table of a join on a long, in bytes: what Spark calls its data size.

    Two words for each key, and a page of rows, which doubles when it is full. Words double when
    half of them are taken; keys that lie close together need fewer. A page is at least a 32nd of
    the heap up to 64 MiB, which is left out here. Source: ``LongToUnsafeRowMap``.
    """
    page = max(MIB, _power_of_two(_content(result)))
    return _keys(result) + min(page, _LARGEST_ARRAY)


def _keys(result: Result) -> int:
    return min(2 * 2 * 8 * _power_of_two(result.rows), _LARGEST_ARRAY)


def _content(result: Result) -> int:
    """The rows in a hash table, each with a pointer to the next of the same key."""
    return result.rows * (result.row_bytes + 8)


def _chunks(size: int, heap: int) -> int:
    """So many bytes in arrays of 1 MiB and the rest."""
    chunks, rest = divmod(size, _CHUNK)
    return chunks * _array(_CHUNK, heap) + _array(rest, heap)


def _array(size: int, heap: int) -> int:
    """An array of so many bytes on G1's heap: from half a region on, it takes whole regions.

    Regions are a 2048th of the heap, as a power of 2 from 1 to 32 MiB.
    """
    region = min(32 * MIB, max(MIB, _power_of_two(-(-heap // 2048))))
    size += _HEADER
    return size if size <= region // 2 else _padded(size, region)


def _power_of_two(size: int) -> int:
    return 1 << (size - 1).bit_length()


def _padded(size: int, step: int) -> int:
    return -(-size // step) * step

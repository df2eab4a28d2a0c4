"""What a result costs the driver: the heap it needs on its way, and which limit it meets first.

The objects of a JVM and of Python are counted by their layout; what the driver needs for itself
was measured. Results are taken not to compress, so real ones may need less.
"""

from dataclasses import dataclass
from typing import NamedTuple

from course_lib.model.region import Region
from course_lib.units import GIB, MIB, bytes_to_string

DRIVER_ITSELF = 60 * MIB  # measured: what a driver holds before its first result
PYTHON_ITSELF = 130 * MIB  # measured: the driver's Python process, pandas and PyArrow imported

# How far real drivers may be from what the model says they need: what the tests allow, on those
# paths that they try.
TOLERANCE = 0.25
TRIED_PATHS = ("collect", "toPandas", "broadcast")

MAX_BROADCAST_TABLE_BYTES = 8 * GIB  # spark.sql.maxBroadcastTableSize
MAX_BROADCAST_TABLE_ROWS = 512_000_000  # BroadcastExchangeExec, for one key of type long

PATHS = (
    "collect",
    "toPandas",
    "toPandas without Arrow",
    "take",
    "toLocalIterator",
    "broadcast",
)

_RESULT_GETTERS = 4  # spark.resultGetter.threads
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
        chunks, rest = divmod(self.serialized // self.partitions, _CHUNK)
        return self.partitions * (chunks * _array(_CHUNK, heap) + _array(rest, heap))

    @property
    def row_objects(self) -> int:
        """All rows one by one on the driver's heap. Source: ``SparkPlan.decodeUnsafeRows``."""
        return self.rows * (_UNSAFE_ROW + _HEADER + self.row_bytes + 2 * _REFERENCE)

    @property
    def arrow(self) -> int:
        """All rows in Arrow: a text has a place of 4 bytes beside its own."""
        return self.rows * self.columns * (self.text + 4 if self.text else 8)

    @property
    def python_rows(self) -> int:
        """All rows as ``Row`` objects of Python: a tuple with a dictionary, and its values."""
        value = _padded(49 + self.text, 16) if self.text else 32
        return self.rows * (256 + self.columns * (8 + value))

    @property
    def pandas(self) -> int:
        """All rows in a pandas DataFrame: texts are Python objects there."""
        return self.rows * self.columns * (8 + (_padded(49 + self.text, 16) if self.text else 0))


class Part(NamedTuple):
    """Something on the way, by name, the palette's kind, and bytes."""

    name: str
    kind: str
    size: int


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


def driver_budget(result: Result, path: str, *, heap: int = GIB, take: int = 1000) -> DriverBudget:
    """What `path`, one of `PATHS`, costs the driver of a PySpark session with such a `heap`.

    ``"toPandas"`` is with Arrow, as by default; ``"take"`` asks for `take` rows; ``"broadcast"``
    is the smaller side of a join on one key of type long. Raises ValueError for another path.
    """
    if path not in PATHS:
        raise ValueError(f"path is one of {', '.join(PATHS)}, not {path!r}")
    if path == "take":
        first = min(take, result.rows)
        result, path = Result(first, result.columns, result.text, 1), "collect"
    itself = Part("driver itself", "other", DRIVER_ITSELF)
    python = Part("Python itself", "other", PYTHON_ITSELF)
    counted, received = result.serialized, result.received(heap)
    results = Part("serialized results", "user", received)
    if path in ("collect", "toPandas without Arrow"):
        rows = Part("Row objects", "user", result.python_rows)
        frame = Part("pandas", "user", result.pandas if path != "collect" else 0)
        held = (itself, results, Part("rows", "user", result.row_objects))
        return DriverBudget(held, (python, rows, frame), counted, received, result.partitions)
    if path == "toPandas":
        waiting = Part("batches in Arrow", "user", _in_flight(result.arrow, result.partitions))
        told = (
            Part("Arrow", "user", result.arrow),
            Part("columns, one by one", "user", 8 * result.rows * result.columns),
            Part("pandas", "user", result.pandas),
        )
        size = result.arrow
        return DriverBudget((itself, waiting), (python, *told), size, size, result.partitions)
    if path == "toLocalIterator":
        one = Result(max(1, result.rows // result.partitions), result.columns, result.text, 1)
        held = (itself, Part("one partition", "user", 2 * one.serialized))
        told = (python, Part("Row objects", "user", one.python_rows))
        return DriverBudget(held, told, one.serialized, one.serialized, 1)
    return _broadcast(result, (itself, results), (python,))


def _broadcast(result: Result, held: tuple[Part, ...], python: tuple[Part, ...]) -> DriverBudget:
    """Results become a hash table, and that becomes pieces to send, all there at the end.

    Source: ``BroadcastExchangeExec``, ``TorrentBroadcast``.
    """
    received = sum(part.size for part in held)
    table, content = hash_table(result), _content(result)
    refusal, before_refusal = "", received + table
    if result.rows >= MAX_BROADCAST_TABLE_ROWS:
        most = MAX_BROADCAST_TABLE_ROWS
        refusal = f"Cannot broadcast the table over {most} rows: {result.rows} rows."
        before_refusal = received
    elif content > _LARGEST_ARRAY:
        refusal = "Cannot build a HashedRelation that is larger than 8G."
    elif table >= MAX_BROADCAST_TABLE_BYTES:
        most, size = bytes_to_string(MAX_BROADCAST_TABLE_BYTES), bytes_to_string(table)
        refusal = f"Cannot broadcast the table that is larger than {most}: {size}."
    pieces = Part("its pieces", "storage", _keys(result) + content)
    return DriverBudget(
        (*held, Part("hash table", "execution", table), pieces),
        python,
        result.serialized,
        held[-1].size,
        result.partitions,
        refusal,
        before_refusal,
    )


def _in_flight(size: int, partitions: int) -> int:
    """Results that are read at the same time, each as it came and unpacked."""
    return 2 * min(partitions, _RESULT_GETTERS) * size // partitions


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

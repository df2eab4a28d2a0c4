"""The explorable of partitions: how large each becomes, and whether its task has to spill."""

from collections.abc import Mapping
from functools import cache
from statistics import median

from course_lib.draw.picture import Picture
from course_lib.model.managers import UnifiedMemoryManager
from course_lib.model.partitions import (
    fewest_partitions,
    partition_rows,
    sort_memory,
    sort_spill,
    task_share,
)
from course_lib.model.region import Region
from course_lib.units import byte_string_as_bytes, bytes_to_string
from course_lib.widgets.explorable import Control, Explorable, View

KEYS = 300
MOST = 12  # partitions that have a bar of their own
# As the tests of the model find it.
ERROR = "none for a task alone; beside others it may get from 1/2N to all of the memory"

rows_of = cache(partition_rows)


def partition_sizes(state: Mapping) -> View:
    """A shuffle by key under the settings in `state`, and a sort of each partition."""
    partitions, row_bytes = state["partitions"], state["row_bytes"]
    pool = byte_string_as_bytes(state["pool"])
    at_once = min(state["cores"], partitions)
    share = task_share(pool, at_once)
    page = UnifiedMemoryManager(pool, pool // 2, num_cores=state["cores"]).page_size_bytes
    sizes = rows_of(state["rows"], partitions, keys=KEYS, skew=state["skew"], salt=state["salt"])
    needs = {rows: sort_memory(rows, row_bytes, page) for rows in set(sizes)}
    spills = [sort_spill(rows, row_bytes, share, page) for rows in sizes]
    tasks = sum(map(bool, spills))
    largest, middle = max(sizes), median(sizes)
    fewest = fewest_partitions(state["rows"], row_bytes, share, page)
    return View(
        Picture(
            f"{partitions} partitions of {state['rows']:,} rows",
            "modelled",
            (_pool(pool, at_once),),
            marks=((share, f"1/{at_once} of it: {bytes_to_string(share)}"),),
            holders=tuple(
                (name, min(needs[rows], share), max(0, needs[rows] - share))
                for name, rows in _shown(sizes)
            ),
            wanting="lacks",
        ),
        _sentence(tasks, partitions, sum(spills), fewest),
        (
            ("rows of the largest partition", f"{largest:,}"),
            ("rows of the median partition", f"{middle:,.0f}"),
            ("memory that the largest needs", bytes_to_string(needs[largest])),
            ("memory that a task may have", bytes_to_string(share)),
            ("tasks that spill", f"{tasks} of {partitions}"),
            ("spill (memory)", bytes_to_string(sum(spills))),
            ("fewest partitions without a spill, if all were equal", f"{fewest:,}"),
            ("error, beside Spark 4.3", ERROR),
        ),
    )


def _pool(pool: int, at_once: int) -> Region:
    shares = (Region(f"task {n}", "execution", pool // at_once) for n in range(1, at_once + 1))
    return Region("Spark memory", "spark", pool, children=tuple(shares))


def _shown(sizes: list[int]) -> list[tuple[str, int]]:
    """The partitions to draw, the largest first: all of them, or else the ends and the middle."""
    ranked = sorted(((rows, f"partition {n}") for n, rows in enumerate(sizes)), reverse=True)
    if len(ranked) > MOST:
        ends = {len(ranked) // 2: "the median", len(ranked) - 1: "the smallest"}
        kept = [*range(MOST - len(ends)), *ends]
        ranked = [(ranked[n][0], ends.get(n, ranked[n][1])) for n in kept]
    return [(name, rows) for rows, name in ranked]


def _sentence(tasks: int, partitions: int, spilled: int, fewest: int) -> str:
    if not tasks:
        return f"No task spills; {fewest:,} partitions of equal size would be enough."
    return (
        f"Tasks that need more than their share: {tasks} of {partitions}; they spill "
        f"{bytes_to_string(spilled)}. With {fewest:,} partitions of equal size none would."
    )


class PartitionSizes(Explorable):
    """Shuffle a table by a skewed key and see which partitions fit a task's share of memory.

    ``PartitionSizes(rows=10_000_000, skew=1.0, partitions=16, salt=1, cores=4, pool="512m")``, and
    `row_bytes`. There are 300 keys, hashed as Spark hashes numbers; each task sorts its partition
    by a number, while as many others as there are cores do the same.
    """

    title = "Partitions against a task's share"
    controls = (
        Control(
            "rows",
            "rows",
            (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000, 30_000_000, 100_000_000),
            "{:,}".format,
        ),
        Control("skew", "skew", (0.0, 0.5, 0.8, 1.0, 1.2, 1.5)),
        Control("partitions", "partitions", (1, 4, 8, 16, 32, 64, 128, 200, 400, 800)),
        Control("salt", "salts for each key", (1, 2, 4, 8, 16, 32)),
        Control("cores", "tasks at once", (1, 2, 4, 8, 16), more=True),
        Control(
            "pool", "Spark memory", ("128m", "256m", "512m", "1g", "2g", "4g", "8g"), more=True
        ),
        Control("row_bytes", "bytes of a row", (24, 56, 104, 304, 1000), more=True),
    )
    start = {  # noqa: RUF012 (a constant of the class, as `controls` is)
        "rows": 10_000_000,
        "skew": 1.0,
        "partitions": 64,
        "salt": 1,
        "cores": 4,
        "pool": "512m",
        "row_bytes": 104,
    }

    def view(self, state: Mapping) -> View:
        """See `partition_sizes`."""
        return partition_sizes(state)

"""The Storage tab of Spark's UI, as its REST API tells it."""

from typing import NamedTuple

from pyspark.sql import SparkSession

from course_lib.spark.session import rest
from course_lib.units import bytes_to_string


class CachedTable(NamedTuple):
    """A line of the tab: `cached` of `partitions` blocks are there, in memory or on disk.

    `name` is the last word of what Spark calls the table, `level` its storage level in words. Sizes
    are bytes. Source: ``RDDStorageInfo``.
    """

    id: int
    name: str
    level: str
    cached: int
    partitions: int
    memory_used: int
    disk_used: int


class StorageTab(tuple[CachedTable, ...]):
    """All that is cached, a `CachedTable` each, the oldest first; printed, a line each."""

    @property
    def memory_used(self) -> int:
        """Bytes in memory, of all tables together."""
        return sum(table.memory_used for table in self)

    @property
    def disk_used(self) -> int:
        """Bytes on disk, of all tables together."""
        return sum(table.disk_used for table in self)

    def __repr__(self) -> str:
        return "\n".join(map(_line, self)) or "nothing is cached"


def storage_tab(spark: SparkSession) -> StorageTab:
    """What is cached in the running session, once the driver has heard of all blocks so far."""
    spark.sparkContext._jsc.sc().listenerBus().waitUntilEmpty()
    tables = sorted(rest(spark, "storage/rdd"), key=lambda table: table["id"])
    return StorageTab(
        CachedTable(
            id=table["id"],
            name=table["name"].split()[-1],
            level=table["storageLevel"],
            cached=table["numCachedPartitions"],
            partitions=table["numPartitions"],
            memory_used=table["memoryUsed"],
            disk_used=table["diskUsed"],
        )
        for table in tables
    )


def _line(table: CachedTable) -> str:
    memory, disk = map(bytes_to_string, (table.memory_used, table.disk_used))
    share = f"{table.cached} of {table.partitions} partitions cached"
    return f"{share}: {memory} in memory, {disk} on disk"

"""Record what caching costs and saves: seconds of one core for each GiB stored, read and spilled.

Writes `course_lib/recorded/cache_rates.json`. Takes a minute. Counts processor time, which hardly
depends on what else the machine does; waiting for a disk is not in it.
"""

import json
import platform
from datetime import date
from pathlib import Path

import pyspark
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession

from course_lib.spark import find_java, lab_session, rest
from course_lib.units import GIB

OUTPUT = Path(__file__).parent.parent / "course_lib" / "recorded" / "cache_rates.json"

ROWS, PARTITIONS, COLUMNS, REPEATS = 1_000_000, 4, 16, 3
CONF = {
    "spark.sql.adaptive.enabled": False,
    "spark.sql.inMemoryColumnarStorage.compressed": False,
    # Speed is what counts here: both of the JVM's compilers.
    "spark.driver.defaultJavaOptions": "-XX:+UseG1GC",
}
EIGHT_SPILLS = {"spark.shuffle.spill.numElementsForceSpillThreshold": ROWS // PARTITIONS // 8}


def some_table(spark: SparkSession) -> DataFrame:
    columns = ["hash(id) as k", *(f"id + {n} as c{n}" for n in range(1, COLUMNS))]
    return spark.range(0, ROWS, 1, PARTITIONS).selectExpr(*columns)


def consume(table: DataFrame) -> dict:
    """Make the whole table; the stage that did."""
    table.write.format("noop").mode("overwrite").save()
    return rest(table.sparkSession, "stages")[0]


def seconds(table: DataFrame) -> float:
    """Processor time of making the table, when it was disturbed least."""
    return min(consume(table)["executorCpuTime"] for _ in range(REPEATS)) / 1e9


def cached(table: DataFrame, level: StorageLevel) -> tuple[float, float, float]:
    """Seconds to fill a cache and to read it, and its GiB."""
    filled = []
    for _ in range(REPEATS):
        table.persist(level)
        filled.append(consume(table)["executorCpuTime"] / 1e9)
        read = seconds(table)
        (entry,) = rest(table.sparkSession, "storage/rdd")
        table.unpersist(blocking=True)
    return min(filled), read, (entry["memoryUsed"] + entry["diskUsed"]) / GIB


def sort(conf: dict) -> tuple[float, float]:
    """Seconds of a sort, and the GiB that it spills."""
    with lab_session(cores=1, driver_memory="2g", conf=CONF | conf) as spark:
        table = some_table(spark).sortWithinPartitions("k")
        return seconds(table), consume(table)["memoryBytesSpilled"] / GIB


def rates() -> dict[str, float]:
    with lab_session(cores=1, driver_memory="2g", conf=CONF) as spark:
        table = some_table(spark)
        plain = seconds(table)
        fill, read, size = cached(table, StorageLevel(False, True, False, True))
        _, read_disk, size_on_disk = cached(table, StorageLevel(True, False, False, False))
    (calm, _), (spilling, spilled) = sort({}), sort(EIGHT_SPILLS)
    return {
        "store": (fill - plain) / size,
        "memory": read / size,
        "disk": read_disk / size_on_disk,
        "spill": (spilling - calm) / spilled,
    }


def main() -> None:
    recorded = {
        "made_by": "python scripts/record_cache_rates.py",
        "date": date.today().isoformat(),
        "java": find_java().full_version,
        "spark": pyspark.__version__,
        "machine": platform.machine(),
        "seconds_per_gib": {name: round(rate, 2) for name, rate in rates().items()},
    }
    text = json.dumps(recorded, indent=2)
    OUTPUT.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()

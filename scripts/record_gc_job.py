"""Record the garbage collection logs of one Spark job under twelve settings.

Writes `course_lib/recorded/gc_job.json`. Takes four minutes. Pauses are longer on a busy machine:
leave it in peace.
"""

import itertools
import json
import tempfile
from datetime import date
from pathlib import Path

import pyspark
from record_gc_logs import compact

from course_lib.spark import find_java, lab_session, rest
from course_lib.spark.gc_log import read_gc_log
from course_lib.units import MIB

COLLECTORS = ("G1", "Parallel", "Z")
HEAPS = ("640m", "1280m")
CACHES = ("JVM objects", "DataFrame")
ROWS = 1_900_000
FRACTION = 0.9  # so that cached objects fill the smaller heap as far as Spark lets them
COLUMNS = ("id", "id / 100 AS price", "concat('customer ', id % 1000) AS name")
PASSES = 3

OUTPUT = Path(__file__).parent.parent / "course_lib" / "recorded" / "gc_job.json"


def record(collector: str, heap: str, cache: str) -> dict:
    """One run, as it is stored: a table is cached, then read and made anew in turn."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "gc.log")
        conf = {
            "spark.memory.fraction": FRACTION,
            "spark.driver.extraJavaOptions": f"-Xlog:gc,gc+phases:file={log}",
        }
        with lab_session(driver_memory=heap, collector=collector, conf=conf) as spark:
            beans = spark._jvm.java.lang.management.ManagementFactory
            clock = beans.getRuntimeMXBean()
            begin = clock.getUptime()
            job(spark, cache)
            end = clock.getUptime()
            stored = rest(spark, "storage/rdd")
        return compact(read_gc_log(log), begin / 1000, end / 1000) | {
            "collector": collector,
            "heap": heap,
            "cache": cache,
            "cached_share": stored[0]["numCachedPartitions"] / stored[0]["numPartitions"],
            "cached_mib": stored[0]["memoryUsed"] // MIB,
        }


def job(spark, cache: str) -> None:
    """The same work on either cache: read it, and make half as many objects anew, in turn."""
    table = spark.range(0, ROWS, 1, 16).selectExpr(*COLUMNS)
    other = spark.range(0, ROWS // 2, 1, 16).selectExpr(*COLUMNS)._jdf.javaRDD()
    if cache == "DataFrame":
        read = table.cache().count
    else:
        levels = spark._jvm.org.apache.spark.api.java.StorageLevels
        read = table._jdf.javaRDD().persist(levels.MEMORY_ONLY).count
    for _ in range(PASSES):
        read()
        other.count()


def main() -> None:
    runs = []
    for combination in itertools.product(COLLECTORS, HEAPS, CACHES):
        run = record(*combination)
        runs.append(run)
        told = f"{run['gc_share']:.1%} of {run['seconds']:.1f} s, {run['cached_share']:.0%} cached"
        print(*combination, told, run["counts"], f"{run['cached_mib']} MiB", flush=True)
    write(runs)


def write(runs: list[dict]) -> None:
    recorded = {
        "made_by": "python scripts/record_gc_job.py",
        "date": date.today().isoformat(),
        "java": find_java().full_version,
        "spark": pyspark.__version__,
        "rows": ROWS,
        "passes": PASSES,
        "memory_fraction": FRACTION,
        "runs": runs,
    }
    text = json.dumps(recorded, separators=(",", ":")).replace('{"seconds"', '\n{"seconds"')
    OUTPUT.write_text(text + "\n")
    print(f"{OUTPUT}: {len(text) / 1024:.0f} KiB")


if __name__ == "__main__":
    main()

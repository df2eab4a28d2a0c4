"""Record how garbage collectors behave: one short run of a real JVM for each combination below.

Writes `course_lib/recorded/gc_logs.json`. Takes four minutes. Pauses are longer on a busy
machine: leave it in peace.
"""

import itertools
import json
import tempfile
from datetime import date
from pathlib import Path

from course_lib.spark import Jvm, find_java
from course_lib.spark.gc_log import GcLog, read_gc_log
from course_lib.units import MIB, byte_string_as_bytes

HEAPS = ("48m", "96m", "192m")
COLLECTORS = ("G1", "Parallel", "Serial")
RATES = ("100m", "400m")
SURVIVORS = (0.02, 0.1, 0.2)
SECONDS = 3.0

OUTPUT = Path(__file__).parent.parent / "course_lib" / "recorded" / "gc_logs.json"

# A survivor is dropped once another second's worth has been allocated, so that the live data is
# rate x share however slow the program gets. An array of 1024 bytes has a header of 16.
PROGRAM = """
public class AllocationLoop {
    private static final int SIZE = 1024, ON_HEAP = SIZE + 16;
    private String diedOf;

    public String getDiedOf() {
        return diedOf;
    }

    /** Returns the uptime (ms) at start and end, and the bytes allocated. */
    public long[] run(double bytesPerSecond, double share, double seconds) {
        java.lang.management.RuntimeMXBean clock =
            java.lang.management.ManagementFactory.getRuntimeMXBean();
        byte[][] alive = new byte[(int) (bytesPerSecond * share / ON_HEAP)][];
        long pieces = 0, kept = 0, begin = clock.getUptime();
        long start = System.nanoTime(), end = start + (long) (seconds * 1e9);
        try {
            for (long now = start; now < end; now = System.nanoTime()) {
                long due = (long) ((now - start) / 1e9 * bytesPerSecond / ON_HEAP);
                for (int burst = 0; burst < 1000 && pieces < due; burst++) {
                    byte[] piece = new byte[SIZE];
                    pieces++;
                    if (kept < pieces * share) {
                        alive[(int) (kept++ % alive.length)] = piece;
                    }
                }
                if (pieces >= due) {
                    java.util.concurrent.locks.LockSupport.parkNanos(500000L);
                }
            }
        } catch (OutOfMemoryError e) {
            long died = clock.getUptime();
            alive = null;  // room for what follows
            diedOf = e.getMessage();
            return new long[] {begin, died, pieces * ON_HEAP};
        }
        return new long[] {begin, clock.getUptime(), pieces * ON_HEAP};
    }
}
"""


def record(heap: str, collector: str, rate: str, survivors: float) -> dict:
    """One run, as it is stored."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "gc.log")
        with Jvm(heap, collector=collector, gc_log=log, native_memory_tracking=False) as jvm:
            loop = jvm.compile(PROGRAM, "AllocationLoop")
            begin, end, allocated = loop.run(
                float(byte_string_as_bytes(rate)), float(survivors), SECONDS
            )
            died_of = loop.getDiedOf()
        return compact(read_gc_log(log), begin / 1000, end / 1000) | {
            "heap": heap,
            "collector": collector,
            "rate": rate,
            "survivors": survivors,
            "allocated_mib": allocated // MIB,
            "died_of": died_of,
        }


def compact(log: GcLog, begin: float, end: float) -> dict:
    """The part of a log from `begin` to `end`, with times counted from `begin`.

    Each row of "collections" is: ms since the row before, first letter of the kind, MiB before,
    MiB after, MiB of capacity, microseconds of pause.
    """
    log = log.between(begin, end)
    rows, before = [], round(begin * 1000)
    for c in log.collections:
        time = round(c.time * 1000)
        sizes = (c.before // MIB, c.after // MIB, (c.capacity or 0) // MIB)  # ZGC tells none
        rows.append([time - before, c.kind[0], *sizes, round(c.pause * 1e6)])
        before = time
    return {
        "seconds": round(end - begin, 3),
        "gc_share": round(log.gc_share(begin, end), 4),
        "counts": log.counts(),
        "longest_pause_ms": round(log.longest_pause() * 1000, 1),
        "collections": rows,
    }


def main() -> None:
    runs = []
    for combination in itertools.product(HEAPS, COLLECTORS, RATES, SURVIVORS):
        runs.append(record(*combination))
        run = runs[-1]
        print(
            *combination, f"{run['gc_share']:.1%}", run["counts"], run["died_of"] or "", flush=True
        )
    recorded = {
        "made_by": "python scripts/record_gc_logs.py",
        "date": date.today().isoformat(),
        "java": find_java().full_version,
        "runs": runs,
    }
    text = json.dumps(recorded, separators=(",", ":")).replace('{"seconds"', '\n{"seconds"')
    OUTPUT.write_text(text + "\n")
    print(f"{OUTPUT}: {len(text) / 1024:.0f} KiB")


if __name__ == "__main__":
    main()

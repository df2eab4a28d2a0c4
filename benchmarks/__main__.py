"""Measure what should be fast, each beside what one would use instead, and print a table.

    python -m benchmarks [import | session | lab | widget | paint | play | model | replay |
                          landscape | growth | grading | classes | lessons | tests ...]

Without names everything is measured, which takes as long as the lessons and the tests together.
Read the ratios: the times are those of one machine at one moment.
"""

import argparse
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress

from benchmarks import grading, memory_managers
from benchmarks.lessons import lessons
from benchmarks.running import ROOT, Row, milliseconds, run, seconds, timed

LAB_SESSION = """
from course_lib.spark import start_lab_session, stop_lab_session
start_lab_session(cores=2)
print("ready", flush=True)
stop_lab_session()
"""
PLAIN_SESSION = """
from pyspark.sql import SparkSession
spark = SparkSession.builder.master("local[2]").getOrCreate()
print("ready", flush=True)
spark.stop()
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(BENCHMARKS))
    names = parser.parse_args().names or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark is called {unknown[0]!r}; there are {', '.join(BENCHMARKS)}")
    line = "{:<57} {:>14} {:>16}  {}"
    print(line.format("what", "here", "instead", "instead is"))
    for name in names:
        for row in BENCHMARKS[name]():
            print(line.format(*row), flush=True)


def imports() -> Iterator[Row]:
    """Import of the package in a fresh process, beside a plotting library's."""
    ours = median_seconds(lambda: import_seconds("course_lib"), runs=7)
    plotting = median_seconds(lambda: import_seconds("matplotlib.pyplot"), runs=7)
    yield (
        "import course_lib", milliseconds(ours), milliseconds(plotting), "import matplotlib.pyplot"
    )  # fmt: skip


def sessions() -> Iterator[Row]:
    """From the start of Python to a Spark session that answers, in processes of their own."""
    ours = median_seconds(lambda: until_ready(LAB_SESSION), runs=3)
    plain = median_seconds(lambda: until_ready(PLAIN_SESSION), runs=3)
    yield "lab session on local[2] ready", seconds(ours), seconds(plain), "SparkSession.builder"


def lab() -> Iterator[Row]:
    """From `make lab`, with everything installed, to a server that answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["make", "lab", "BROWSER=no", f"PORT={port}"]
    quiet = subprocess.DEVNULL
    started = time.perf_counter()
    server = subprocess.Popen(command, cwd=ROOT, stdout=quiet, stderr=quiet, start_new_session=True)
    while time.perf_counter() - started < 60:
        with suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api", timeout=1).close()
            break
        time.sleep(0.05)
    took = time.perf_counter() - started
    os.killpg(server.pid, signal.SIGTERM)
    server.wait()
    yield "make lab: server answers", seconds(took), "", ""


def widgets() -> Iterator[Row]:
    """Everything an explorable sends ahead, beside drawing one state with matplotlib."""
    from course_lib.widgets import ContainerBuilder, HeapRegions, HeapSawtooth

    for widget in (HeapRegions, ContainerBuilder, HeapSawtooth):
        explorable = widget()
        ahead = median_seconds(widget, runs=5)
        drawn = median_seconds(explorable._repr_mimebundle_, runs=5)
        yield (
            f"{widget.__name__}: all neighbouring states", milliseconds(ahead), milliseconds(drawn),
            "one static picture of one state",
        )  # fmt: skip


def paint() -> Iterator[Row]:
    """From key press to paint in a real browser, beside ipywidgets with inline matplotlib."""
    from benchmarks.control_to_paint import measure

    yield from measure()


def play() -> Iterator[Row]:
    """Frames a second while an explorable plays, in a real browser."""
    from benchmarks.frames_while_playing import measure

    yield from measure()


def tests() -> Iterator[Row]:
    """What `make test` runs, once everything is installed."""
    took = timed(lambda: run("-m", "pytest", "--nbval", "tests", "notebooks"))
    yield "make test", seconds(took), "", ""


BENCHMARKS: dict[str, Callable[[], Iterator[Row]]] = {
    "import": imports,
    "session": sessions,
    "lab": lab,
    "widget": widgets,
    "paint": paint,
    "play": play,
    "model": memory_managers.calls,
    "replay": memory_managers.traces,
    "landscape": memory_managers.landscapes,
    "growth": memory_managers.growth,
    "grading": grading.sixty,
    "classes": grading.classes,
    "lessons": lessons,
    "tests": tests,
}


def import_seconds(module: str) -> float:
    """Seconds that an import takes in a process that has imported nothing else."""
    program = (
        f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    )
    return float(run("-c", program))


def until_ready(program: str) -> float:
    """Seconds until a program prints its first line; waits for its end before returning."""
    from course_lib.spark import java_env

    started = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **java_env(), "SPARK_LOCAL_IP": "127.0.0.1"},
    ) as process:
        if process.stdout.readline() != "ready\n":
            sys.exit(f"this did not get ready:\n{program}")
        took = time.perf_counter() - started
        process.stdout.read()
    return took


def median_seconds(action: Callable[[], object], *, runs: int) -> float:
    return statistics.median(timed(action) for _ in range(runs))


if __name__ == "__main__":
    main()

"""What running each lesson takes: time, JVM starts, and the memory of the machine."""

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.running import ROOT, Row, run, seconds, timed

GIB = 2**30

# Between two looks at the machine's memory.
_LOOK_S = 0.1


def lessons() -> Iterator[Row]:
    """Every lesson, top to bottom in a fresh kernel, on a copy."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "notebooks"
        shutil.copytree(ROOT / "notebooks", copy)
        total = 0.0
        for path in sorted(copy.glob("*.ipynb")):
            with jvm_starts(Path(folder)) as logs, peak_memory() as peak:
                took = timed(lambda path=path: run("scripts/run_lessons.py", str(path)))
            total += took
            starts = len(list(logs.glob("*.log")))
            costs = f"{starts} JVM starts, {peak[0] / GIB:.1f} GiB of the machine in use at most"
            yield f"lesson {path.stem}", seconds(took), "", costs
        yield "the whole course, executed", seconds(total), "", ""


@contextmanager
def jvm_starts(folder: Path) -> Iterator[Path]:
    """A folder in which every JVM that starts meanwhile leaves a log; Spark's launchers too."""
    logs = Path(tempfile.mkdtemp(dir=folder))
    before = os.environ.get("JAVA_TOOL_OPTIONS")
    # Errors are few: the log is there for being there.
    os.environ["JAVA_TOOL_OPTIONS"] = f"{before or ''} -Xlog:all=error:file={logs}/%p.log".strip()
    try:
        yield logs
    finally:
        if before is None:
            del os.environ["JAVA_TOOL_OPTIONS"]
        else:
            os.environ["JAVA_TOOL_OPTIONS"] = before


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    """The most bytes of the machine that were not available meanwhile, as the list's one entry."""
    peak, over = [0], threading.Event()

    def look() -> None:
        while not over.wait(_LOOK_S):
            memory = psutil.virtual_memory()
            peak[0] = max(peak[0], memory.total - memory.available)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()

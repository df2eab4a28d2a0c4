"""What benchmarks share: running programs, timing, and how a row is written."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

Row = tuple[str, str, str, str]


def run(*arguments: str) -> str:
    """Run this Python with these arguments and return what it prints; leave with it on failure."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def timed(action: Callable[[], object]) -> float:
    """Seconds that an action takes, or says that it took."""
    started = time.perf_counter()
    said = action()
    return said if isinstance(said, float) else time.perf_counter() - started


def milliseconds(value: float) -> str:
    return f"{value * 1000:.1f} ms"


def seconds(value: float) -> str:
    return f"{value:.1f} s"

"""Process trees: find the processes that belong together, measure them, end them."""

import os
import re
import resource
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from course_lib.units import KIB

# A JVM's main class, and what Spark calls the process.
_ROLES = {
    "org.apache.spark.deploy.SparkSubmit": "driver",
    "org.apache.spark.deploy.master.Master": "master",
    "org.apache.spark.deploy.worker.Worker": "worker",
    "org.apache.spark.executor.CoarseGrainedExecutorBackend": "executor",
}


class SparkProcess(NamedTuple):
    """A JVM of Spark's: its `role` ("driver", "executor", "master" or "worker"), its ``-Xmx``
    option as it was given, and the bytes of physical memory it occupies now."""

    pid: int
    role: str
    heap_option: str
    resident: int


def spark_processes(variable: str, mark: str) -> list[SparkProcess]:
    """Those of the marked processes that are Spark's JVMs, ordered by role and age."""
    processes = []
    for process in marked(variable, mark):
        with suppress(psutil.NoSuchProcess):
            command = process.cmdline()
            java = Path(command[0]).name == "java" if command else False  # not a shell with it
            role = next((role for name, role in _ROLES.items() if java and name in command), None)
            if role is None:
                continue
            heap = next((word for word in command if word.startswith("-Xmx")), "")
            resident = process.memory_info().rss
            processes.append(SparkProcess(process.pid, role, heap, resident))
    return sorted(processes, key=lambda process: (process.role, process.pid))


def marked(variable: str, mark: str) -> Iterator[psutil.Process]:
    """All processes but this one that were started with an environment variable set to `mark`.

    A child hands its environment on to its own children, so that orphans are found too.
    """
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):  # another user's, or gone
            if process.pid != os.getpid() and process.environ().get(variable) == mark:
                yield process


def end_marked(variable: str, mark: str, patience: float = 0) -> None:
    """Give the marked processes `patience` seconds to end by themselves, then kill them."""
    processes = list(marked(variable, mark))
    if processes and patience:
        psutil.wait_procs(processes, timeout=patience)
    while processes := list(marked(variable, mark)):
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=1)


def tree(pid: int) -> list[psutil.Process]:
    """A process and all that descend from it; none where it is gone."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def resident_sizes(processes: list[psutil.Process]) -> dict[psutil.Process, int]:
    """Bytes of physical memory that each of the processes occupies; those gone are left out."""
    sizes = {}
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            sizes[process] = process.memory_info().rss
    return sizes


def peak_resident_size() -> int:
    """The most physical memory, in bytes, that this process has occupied.

    On Linux ``getrusage`` tells something else: a process begins with the peak of the one that
    started it. Source: proc_pid_status(5), getrusage(2).
    """
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text()
        return int(re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)[1]) * KIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

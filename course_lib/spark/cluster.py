"""A real standalone cluster on this machine: a master and workers, each a JVM, on loopback only.

Sessions use it through its master URL. Workers start executors for them, as on many machines.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.request
import uuid
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pyspark

from course_lib.spark.java import java_env
from course_lib.spark.jvm import SPARK_JARS, JvmDiedError
from course_lib.spark.processes import SparkProcess, end_marked, spark_processes, tree
from course_lib.units import byte_string_as_mib

# Every process of a cluster carries this variable, the executors that its workers start included.
_MARK = "SPARK_COURSE_CLUSTER"

_UP_SECONDS = 60
_STOP_SECONDS = 5

# What a master and a worker keep of an application is little.
_DAEMON_OPTIONS = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")

_MASTER_UP = re.compile(r"Starting Spark master at (spark://\S+)")
_MASTER_UI_UP = re.compile(r"Bound MasterWebUI to [^,]+, and started at http://\S+:(\d+)")
_WORKER_UP = re.compile(r"Successfully registered with master")

# Java ends when the pipe from this process closes, however this process ends.
_BESIDE_A_PIPE = """
exec 3<&0
{ read -r _ <&3; kill $$; } >/dev/null 2>&1 &
exec "$@" 3<&- </dev/null
"""

_running: "StandaloneCluster | None" = None


class StandaloneCluster:
    """A running cluster: `master` is the URL for sessions, `ui` the address of its web page."""

    def __init__(self, workers: int, cores: int, memory_mib: int, conf: Mapping[str, object]):
        self.mark = uuid.uuid4().hex
        self._folder = tempfile.TemporaryDirectory(prefix="spark-course-cluster-")
        self._path = Path(self._folder.name)
        self._daemons: dict[str, subprocess.Popen] = {}
        self._end = weakref.finalize(self, _end, os.getpid(), self.mark, self._folder)
        # The REST server would take applications from anybody on this machine, on a fixed port.
        settings = {"spark.master.rest.enabled": "false", **conf}
        lines = (f"{key} {_text(value)}\n" for key, value in settings.items())
        self._properties = self._path / "properties"
        self._properties.write_text("".join(lines))
        try:
            self._start("master", "org.apache.spark.deploy.master.Master")
            self.master = self._wait_for("master", _MASTER_UP)[1]
            self.ui = f"http://127.0.0.1:{self._wait_for('master', _MASTER_UI_UP)[1]}"
            size = ("--cores", str(cores), "--memory", f"{memory_mib}m")
            names = [f"worker-{number}" for number in range(workers)]
            for name in names:
                work = ("--work-dir", str(self._path / name), self.master)
                self._start(name, "org.apache.spark.deploy.worker.Worker", *size, *work)
            for name in names:
                self._wait_for(name, _WORKER_UP)
        except BaseException:
            self.stop()
            raise

    def processes(self) -> list[SparkProcess]:
        """The JVMs that run now: the executors of all sessions, the master, then the workers."""
        return spark_processes(_MARK, self.mark)

    def state(self) -> dict:
        """What the master knows: workers with their cores and MiB, in use and in all, and
        applications. Source: ``MasterPage``, the JSON that it serves."""
        loopback = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with loopback.open(f"{self.ui}/json/", timeout=30) as answer:
            return json.load(answer)

    def log(self, name: str) -> str:
        """What "master", "worker-0", "worker-1" … has written so far."""
        if name not in self._daemons:
            raise ValueError(f"there is no {name!r}; there are {', '.join(self._daemons)}")
        return (self._path / f"{name}.log").read_text(errors="replace")

    def kill_worker(self, number: int) -> None:
        """End a worker at once with its executors, as when its machine is lost.

        The master notices, sessions go on with the other workers. Raises ValueError where there is
        no such worker (any more).
        """
        name = f"worker-{number}"
        if name not in self._daemons:
            raise ValueError(f"there is no {name!r}; there are {', '.join(self._daemons)}")
        daemon = self._daemons[name]
        if daemon.poll() is not None:
            raise ValueError(f"{name} has ended already")
        for process in tree(daemon.pid):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        daemon.wait()

    def stop(self) -> None:
        """End all processes and remove all files. A cluster that has ended is left as it is."""
        for daemon in reversed(self._daemons.values()):
            daemon.stdin.close()  # it then ends its JVM
        self._end()
        for daemon in self._daemons.values():
            daemon.wait()

    def _start(self, name: str, java_class: str, *arguments: str) -> None:
        java = Path(java_env()["JAVA_HOME"], "bin", "java")
        temporary = f"-Djava.io.tmpdir={self._path}"
        program = [str(java), *_DAEMON_OPTIONS, temporary, "-cp", f"{SPARK_JARS}/*", java_class]
        # With --port 0 each takes a port that is free.
        where = ("--host", "127.0.0.1", "--port", "0", "--webui-port", "0")
        program += [*where, "--properties-file", str(self._properties), *arguments]
        environment = os.environ | {
            _MARK: self.mark,
            "JAVA_HOME": str(java.parents[1]),
            "SPARK_HOME": str(Path(pyspark.__file__).parent),
            "SPARK_CONF_DIR": str(self._path),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LOCAL_DIRS": str(self._path),
            "SPARK_SCALA_VERSION": _scala_version(),  # what spark-class would find out
        }
        with (self._path / f"{name}.log").open("wb") as log:
            self._daemons[name] = subprocess.Popen(
                [shutil.which("sh"), "-c", _BESIDE_A_PIPE, "sh", *program],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
            )

    def _wait_for(self, name: str, words: re.Pattern) -> re.Match:
        deadline = time.monotonic() + _UP_SECONDS
        while not (found := words.search(self.log(name))):
            ended = self._daemons[name].poll() is not None
            if ended or time.monotonic() > deadline:
                how = "ended" if ended else f"was not up within {_UP_SECONDS} s"
                lines = [line for line in self.log(name).splitlines() if line[:4] != "\tat "]
                last = "\n".join(lines[-5:])
                raise JvmDiedError(f"The cluster's {name} {how}.\n{last}")
            time.sleep(0.05)
        return found


def start_cluster(
    *,
    workers: int = 2,
    cores: int = 2,
    memory: str = "2g",
    conf: Mapping[str, object] | None = None,
) -> StandaloneCluster:
    """Start a standalone cluster; one that is still running is stopped first.

    Each of the `workers` offers `cores` and `memory` (a size string) to executors, whether the
    machine has them or not: a worker only counts. `conf` holds settings of master and workers.
    Raises ValueError for what cannot be, JvmDiedError where a process does not come up.
    """
    global _running
    for name, value in (("workers", workers), ("cores", cores)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} is a whole number of at least 1, not {value!r}")
    memory_mib = byte_string_as_mib(memory)
    if memory_mib < 1:
        raise ValueError(f"a worker offers at least 1 MiB of memory, not {memory!r}")
    if _running is not None:
        print("The cluster that was still running has been stopped.")
        stop_cluster()
    _running = StandaloneCluster(workers, cores, memory_mib, conf or {})
    return _running


def stop_cluster() -> None:
    """Stop the running cluster, if there is one, with all its processes and files."""
    global _running
    if _running is not None:
        cluster, _running = _running, None
        cluster.stop()


@contextmanager
def standalone_cluster(**settings) -> Iterator[StandaloneCluster]:
    """A cluster for the length of a ``with`` block; `settings` as for `start_cluster`."""
    cluster = start_cluster(**settings)
    try:
        yield cluster
    finally:
        if _running is cluster:
            stop_cluster()


def _scala_version() -> str:
    (jar,) = SPARK_JARS.glob("spark-core_*.jar")
    return re.search(r"_([0-9.]+)-", jar.name)[1]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _end(owner: int, mark: str, folder: tempfile.TemporaryDirectory) -> None:
    """End what is left of a cluster, with a moment for workers to end their executors."""
    if os.getpid() == owner:  # a fork inherits this duty but not the cluster
        end_marked(_MARK, mark, patience=_STOP_SECONDS)
        folder.cleanup()

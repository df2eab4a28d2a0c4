"""Lab sessions: real Spark, small, on loopback only, and gone without a trace afterwards.

Every session has a driver JVM of its own, so that ``driver_memory`` is what it says. Nothing that
Spark writes reaches the notebook; it goes to the file that `session_log` reads.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from socketserver import BaseServer
from typing import NamedTuple

import py4j.java_gateway
import py4j.protocol
import pyspark
from py4j.java_gateway import JavaObject
from py4j.protocol import Py4JError, Py4JNetworkError
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkRuntimeError
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

from course_lib.spark.java import java_env
from course_lib.spark.jvm import COLLECTORS, JvmDiedError, silence_py4j
from course_lib.spark.logs import LOGS_VARIABLE
from course_lib.spark.processes import SparkProcess, end_marked, spark_processes
from course_lib.spark.refusal import SparkRefusal, in_sparks_words
from course_lib.units import byte_string_as_mib

# The master URL of a cluster that the reader has, and a file of further settings for it, written
# as spark-defaults.conf is: credentials, container images, queues.
MASTER_VARIABLE = "SPARK_COURSE_MASTER"
CONF_VARIABLE = "SPARK_COURSE_CONF"

# Every process of a session carries this variable, so that none is overlooked when it ends.
_MARK = "SPARK_COURSE_SESSION"

_SPARK_HOME = Path(pyspark.__file__).parent
# Spark's words where a cluster's master has given an application up.
_STOPPED = "Cannot call methods on a stopped SparkContext"

# What Spark takes for a secret by default (spark.redaction.regex), in the names of settings.
_SECRET = re.compile(r"secret|password|token|access[.]?key", re.IGNORECASE)

_ON_LOOPBACK = re.compile(r"spark://(127\.0\.0\.1|localhost):", re.IGNORECASE)

_EXECUTORS_SECONDS = 60
_EXECUTOR_RETRIES = 10  # as many as a standalone master has (spark.deploy.maxExecutorRetries)
_STOP_SECONDS = 5
_COUNTED_MILLISECONDS = 60_000

_running: "_LabSession | None" = None


def start_lab_session(
    *,
    executors: int = 0,
    executor_cores: int = 1,
    executor_memory: str = "512m",
    driver_memory: str = "1g",
    cores: int = 2,
    conf: Mapping[str, object] | None = None,
    collector: str | None = "G1",
    app_name: str = "lab",
    master: str | None = None,
) -> SparkSession:
    """Start Spark and return its session; one that is still running is stopped first.

    With ``executors=0`` Spark runs in local mode: one JVM, driver and executor in one, with `cores`
    task slots. Otherwise each executor is a JVM of its own with `executor_cores` slots. Memory is
    given as Spark's size strings and is each JVM's heap. `conf` holds further settings and has the
    last word; `collector` is one of ``G1 Parallel Serial Z``, or None for the JVM's own choice.

    With `master`, a cluster's URL, the executors are that cluster's; ``executors=0`` then leaves
    their number to Spark's settings. Where the environment variable ``SPARK_COURSE_MASTER`` has
    such a URL, every session with executors runs there, with the settings of the properties file
    that ``SPARK_COURSE_CONF`` names, if it is set; local mode stays on this machine.

    Raises ValueError for settings that cannot be, SparkRefusal (in Spark's words) where Spark
    refuses them, JvmDiedError where a JVM does not come up.
    """
    global _running
    if master is None and executors:
        master = os.environ.get(MASTER_VARIABLE)
    settings = _settings(
        executors=executors,
        executor_cores=executor_cores,
        executor_memory=executor_memory,
        driver_memory=driver_memory,
        cores=cores,
        collector=collector,
        app_name=app_name,
        master=master,
    )
    settings |= {key: _text(value) for key, value in (conf or {}).items()}
    if _running is not None:
        print("The lab session that was still running has been stopped.")
        stop_lab_session()
    if SparkContext._active_spark_context is not None:
        raise RuntimeError(
            "Spark is running here already, and not as a lab session: stop it with spark.stop()."
        )
    session = _LabSession(settings, collector, master)
    try:
        session.start(executors)
    except BaseException:
        session.stop()
        raise
    _running = session
    return session.spark


def stop_lab_session() -> None:
    """Stop the running lab session, if there is one, with all its processes and files."""
    global _running
    if _running is not None:
        session, _running = _running, None
        session.stop()


@contextmanager
def lab_session(**settings) -> Iterator[SparkSession]:
    """A lab session for the length of a ``with`` block; `settings` as for `start_lab_session`.

    What Spark throws inside leaves the block as a SparkRefusal, which can still be read when Spark
    is gone; Java's own exceptions cannot.
    """
    spark = start_lab_session(**settings)
    session = _running
    try:
        with in_sparks_words():
            yield spark
    finally:
        if _running is session:
            stop_lab_session()


def session_log() -> str:
    """What the running session's driver JVM has written so far."""
    return _current().log()


def executor_processes(spark: SparkSession) -> list[SparkProcess]:
    """The JVMs of the running session: the driver, then the executors, if they are JVMs apart.

    Raises RuntimeError where the executors are on other machines than this one.
    """
    session = _of(spark)
    processes = spark_processes(_MARK, session.mark)
    if session.elsewhere:
        raise RuntimeError(
            f"This session's executors run on the cluster at {spark.sparkContext.master}, where "
            'their processes cannot be seen from here: rest(spark, "executors") tells of them.'
        )
    return processes


def rest(spark: SparkSession, path: str = "") -> object:
    """What the session's REST API answers, read from JSON: ``rest(spark, "executors")``.

    `path` is what follows ``/api/v1/applications/<id>/`` in Spark's monitoring guide. Spark counts
    a moment later what has happened, and is awaited. What is still running, and executors, may be
    told as of ``spark.ui.liveUpdate.period`` ago.
    """
    context = _of(spark).spark.sparkContext
    context._jsc.sc().listenerBus().waitUntilEmpty(_COUNTED_MILLISECONDS)
    url = f"{context.uiWebUrl}/api/v1/applications/{context.applicationId}/{path}".rstrip("/")
    loopback = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with loopback.open(url, timeout=30) as answer:
        return json.load(answer)


class MemoryPoolReading(NamedTuple):
    """A pool of Spark's memory manager, in bytes. Source: ``MemoryPool``."""

    pool_size: int
    memory_used: int
    memory_free: int


class LiveMemoryManager:
    """The memory manager at work in the driver JVM; every property is read anew, in bytes.

    Source: ``UnifiedMemoryManager``; `java` is the object itself.
    """

    def __init__(self, java: JavaObject):
        self.java = java

    @property
    def max_heap_memory(self) -> int:
        """What storage and execution share."""
        return self.java.maxHeapMemory()

    @property
    def on_heap_storage_region_size(self) -> int:
        """The part of it in which storage cannot be evicted by execution."""
        return self._field("onHeapStorageRegionSize")

    @property
    def max_on_heap_storage_memory(self) -> int:
        """What storage could have now: all that execution does not use."""
        return self.java.maxOnHeapStorageMemory()

    @property
    def max_off_heap_storage_memory(self) -> int:
        """The same off the heap."""
        return self.java.maxOffHeapStorageMemory()

    @property
    def execution_memory_used(self) -> int:
        """What tasks hold, on and off the heap."""
        return self.java.executionMemoryUsed()

    @property
    def storage_memory_used(self) -> int:
        """What cached blocks and broadcasts hold, on and off the heap."""
        return self.java.storageMemoryUsed()

    @property
    def page_size_bytes(self) -> int:
        """The size of a page of execution memory."""
        return self.java.pageSizeBytes()

    @property
    def on_heap_execution_memory_pool(self) -> MemoryPoolReading:
        """The pool of execution memory on the heap."""
        return self._pool("onHeapExecutionMemoryPool")

    @property
    def on_heap_storage_memory_pool(self) -> MemoryPoolReading:
        """The pool of storage memory on the heap."""
        return self._pool("onHeapStorageMemoryPool")

    @property
    def off_heap_execution_memory_pool(self) -> MemoryPoolReading:
        """The pool of execution memory off the heap."""
        return self._pool("offHeapExecutionMemoryPool")

    @property
    def off_heap_storage_memory_pool(self) -> MemoryPoolReading:
        """The pool of storage memory off the heap."""
        return self._pool("offHeapStorageMemoryPool")

    def _pool(self, name: str) -> MemoryPoolReading:
        pool = self._field(name)
        return MemoryPoolReading(pool.poolSize(), pool.memoryUsed(), pool.memoryFree())

    def _field(self, name: str):
        java_class = self.java.getClass()
        while name not in (
            names := {field.getName(): field for field in java_class.getDeclaredFields()}
        ):
            java_class = java_class.getSuperclass()
        names[name].setAccessible(True)
        return names[name].get(self.java)


def memory_manager(spark: SparkSession) -> LiveMemoryManager:
    """The memory manager of the driver JVM, which in local mode is the executor's too."""
    jvm = spark.sparkContext._jvm
    # Py4J cannot list SparkEnv's methods, as it would have to: one of them needs a class that is in
    # none of Spark's jars. Method handles find single methods by name.
    handles = jvm.java.lang.invoke.MethodHandles.publicLookup()
    returning = jvm.java.lang.invoke.MethodType.methodType
    env_class = jvm.java.lang.Class.forName("org.apache.spark.SparkEnv")
    manager_class = jvm.java.lang.Class.forName("org.apache.spark.memory.MemoryManager")
    env = handles.findStatic(env_class, "get", returning(env_class)).invokeWithArguments([])
    manager = handles.findVirtual(env_class, "memoryManager", returning(manager_class))
    return LiveMemoryManager(manager.invokeWithArguments([env]))


class _LabSession:
    """A driver JVM, the Spark in it, and all that has to be put back when it ends."""

    def __init__(self, settings: dict[str, str], collector: str | None, master: str | None):
        self.mark = uuid.uuid4().hex
        self.elsewhere = master is not None and not _ON_LOOPBACK.match(master)
        self._folder = tempfile.TemporaryDirectory(prefix="spark-course-")
        folder = Path(self._folder.name)
        logs = Path(os.environ.get(LOGS_VARIABLE, folder))
        self._log_file = logs / f"driver-{self.mark}.log"
        self._work = logs / "work"
        self.spark = self._gateway = None
        self._interrupt_handler = signal.getsignal(signal.SIGINT)
        self._end = weakref.finalize(self, _end, os.getpid(), self.mark, self._folder)
        self._environment = {
            _MARK: self.mark,
            "JAVA_HOME": java_env()["JAVA_HOME"],
            "PYSPARK_DRIVER_PYTHON": sys.executable,
            "SPARK_HOME": str(_home_in(folder, logs)),
        }
        defaults = {
            "spark.log.level": "WARN",
            "spark.ui.showConsoleProgress": "false",
            "spark.eventLog.enabled": "false",
            "spark.sql.warehouse.dir": str(folder / "warehouse"),
        }
        if master is not None:
            defaults |= _settings_of_the_cluster()
            # A standalone worker starts executors in its own environment.
            defaults[f"spark.executorEnv.{_MARK}"] = self.mark
        if not self.elsewhere:
            self._environment |= {
                "PYSPARK_PYTHON": sys.executable,
                "SPARK_LOCAL_IP": "127.0.0.1",
                "SPARK_CONF_DIR": str(folder),
            }
            defaults |= {
                "spark.driver.host": "127.0.0.1",
                "spark.driver.bindAddress": "127.0.0.1",
                "spark.ui.port": "0",
                "spark.local.dir": str(folder),
            }
        for role in ("driver", "executor"):
            # The second compiler never pays off in a lab's minute: without it a session starts with
            # half the processor time.
            options = "-XX:TieredStopAtLevel=1 -XX:-UsePerfData"
            if role == "driver" or not self.elsewhere:
                options += f" -Djava.io.tmpdir={folder}"
            chosen = settings.get(f"spark.{role}.extraJavaOptions", "")
            if collector is not None and not re.search(r"-XX:\+Use\w+GC\b", chosen):
                options += f" -XX:+Use{collector}GC"
            defaults[f"spark.{role}.defaultJavaOptions"] = options
        self._settings = defaults | settings

    def start(self, executors: int) -> None:
        silence_py4j()
        conf = SparkConf(loadDefaults=False).setAll(list(self._settings.items()))
        with self._log_file.open("wb") as log, _environment(self._environment):
            try:
                # Settings of the driver's JVM are arguments of a command, which everybody can read.
                open_to_all = SparkConf(loadDefaults=False).setAll(
                    [item for item in self._settings.items() if not _SECRET.search(item[0])]
                )
                self._gateway = launch_gateway(
                    open_to_all, popen_kwargs={"stdout": log, "stderr": subprocess.STDOUT}
                )
            except PySparkRuntimeError:
                raise JvmDiedError(f"The driver's JVM did not start.\n{self.log()}") from None
            try:
                with in_sparks_words():
                    context = SparkContext(conf=conf, gateway=self._gateway)
                    self.spark = SparkSession(context)
            except SparkRefusal as refusal:
                if _STOPPED not in refusal.message:
                    raise
                raise self._no_executor() from None
            except (Py4JNetworkError, ConnectionError):
                # Spark ends its own JVM where it cannot go on, as when its UI finds no free port.
                raise JvmDiedError(
                    f"The driver's JVM ended while Spark was starting.\n{self._last_error()}"
                ) from None
            _keep_other_jvms_out()
            _keep_lost_connections_quiet(context._accumulatorServer)
        if executors:
            self._wait_for(executors)

    def _wait_for(self, executors: int) -> None:
        deadline = time.monotonic() + _EXECUTORS_SECONDS
        context = self.spark.sparkContext._jsc.sc()
        while (up := len(context.statusTracker().getExecutorInfos()) - 1) < executors:
            # The master of local-cluster never gives up by itself.
            if context.isStopped() or len(self._executor_logs()) >= executors + _EXECUTOR_RETRIES:
                raise self._no_executor()
            if time.monotonic() > deadline:
                raise JvmDiedError(
                    f"Of {executors} executors, {up} came up within {_EXECUTORS_SECONDS} s. Has "
                    f"{self.spark.sparkContext.master} that much memory and that many cores?\n"
                    f"{self.log()}"
                )
            time.sleep(0.05)

    def _executor_logs(self) -> list[Path]:
        """What executors write, each into a file of its own; those of local-cluster only."""
        return list(self._work.glob("*/*/stderr"))

    def _no_executor(self) -> JvmDiedError:
        """Why starting executors was given up: what one of them wrote before it ended."""
        last_words = self._last_error()
        for file in self._executor_logs():
            # Spark puts the command and a line of "=" first; Java says some things on stdout.
            said = file.read_text(errors="replace").rpartition("====")[2]
            said += file.with_name("stdout").read_text(errors="replace")
            last_words = said.strip() or last_words
        return JvmDiedError(f"No executor could be started.\n{last_words}")

    def _last_error(self) -> str:
        """The last line of the log that says ERROR, and the exception that follows it."""
        lines = self.log().splitlines()
        errors = [number for number, line in enumerate(lines) if " ERROR " in line]
        return "\n".join(lines[errors[-1] : errors[-1] + 2] if errors else lines[-5:])

    def log(self) -> str:
        return self._log_file.read_text(errors="replace")

    def stop(self) -> None:
        try:
            self._stop_spark()
        finally:
            _forget_spark()
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGINT, self._interrupt_handler)
            sys.path[:] = [path for path in sys.path if not path.startswith(self._folder.name)]
            if self._gateway is not None:
                self._gateway._gateway_client.is_connected = False
                self._gateway.close()
                self._gateway.proc.stdin.close()
                self._gateway.proc.terminate()
            self._end()
            if self._gateway is not None:
                self._gateway.proc.wait()

    def _stop_spark(self) -> None:
        context = SparkContext._active_spark_context
        if context is None:
            return
        if context._jsc is not None:
            # A JVM that was killed cannot be told; what is left of it is ended all the same.
            with suppress(Py4JError, OSError):
                context._jsc.stop()
            context._jsc = None
        context.stop()


def _forget_spark() -> None:
    """Put PySpark's class-level state back to what it was before its first session."""
    from pyspark.sql.context import SQLContext

    SparkContext._gateway = SparkContext._jvm = SparkContext._active_spark_context = None
    SparkSession._instantiatedSession = SparkSession._activeSession = None
    SQLContext._instantiatedContext = None
    py4j.java_gateway.get_return_value = py4j.protocol.get_return_value


def _keep_other_jvms_out() -> None:
    """Let PySpark translate the exceptions of its own JVM only.

    A SparkSession makes PySpark look into every exception that Py4J brings, whichever JVM threw it.
    """
    own = SparkContext._gateway._gateway_client
    by_pyspark = py4j.java_gateway.get_return_value

    def get_return_value(answer, gateway_client, *target):
        read = by_pyspark if gateway_client is own else py4j.protocol.get_return_value
        return read(answer, gateway_client, *target)

    py4j.java_gateway.get_return_value = get_return_value


def _keep_lost_connections_quiet(server: BaseServer) -> None:
    """Let PySpark's server for accumulators say nothing on stderr of a driver that was killed.

    The cell that needs the driver is told by an error of its own.
    """
    report = server.handle_error

    def handle_error(request, client_address):
        if not isinstance(sys.exc_info()[1], (OSError, EOFError)):
            report(request, client_address)

    server.handle_error = handle_error


def _end(owner: int, mark: str, folder: tempfile.TemporaryDirectory) -> None:
    """End what is left of a session, with a moment for its processes to put things in order."""
    if os.getpid() == owner:  # a fork inherits this duty but not the session
        end_marked(_MARK, mark, patience=_STOP_SECONDS)
        folder.cleanup()


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set these variables, and unset those that would divert PySpark, for a ``with`` block."""
    before = dict(os.environ)
    for name in ("PYSPARK_SUBMIT_ARGS", "PYSPARK_GATEWAY_PORT", "PYSPARK_GATEWAY_SECRET"):
        os.environ.pop(name, None)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _home_in(folder: Path, logs: Path) -> Path:
    """A Spark home of links to the installed one: workers write executors' logs into its work/."""
    home, work = folder / "home", logs / "work"
    home.mkdir()
    work.mkdir(exist_ok=True)
    (home / "work").symlink_to(work)
    for entry in _SPARK_HOME.iterdir():
        if entry.name != "work":  # another program's workers may have left it there
            (home / entry.name).symlink_to(entry)
    return home


def _settings(
    *,
    executors: int,
    executor_cores: int,
    executor_memory: str,
    driver_memory: str,
    cores: int,
    collector: str | None,
    app_name: str,
    master: str | None,
) -> dict[str, str]:
    for name, value, least in (
        ("executors", executors, 0),
        ("executor_cores", executor_cores, 1),
        ("cores", cores, 1),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{name} is a whole number of at least {least}, not {value!r}")
    if collector is not None and collector not in COLLECTORS:
        raise ValueError(f"a collector is one of {', '.join(COLLECTORS)}, not {collector!r}")
    executor_mib = byte_string_as_mib(executor_memory)
    settings = {
        "spark.app.name": app_name,
        "spark.driver.memory": f"{byte_string_as_mib(driver_memory)}m",
    }
    if master is not None:
        settings["spark.master"] = master
        if executors:
            settings["spark.executor.instances"] = str(executors)
            settings["spark.cores.max"] = str(executors * executor_cores)  # what standalone goes by
    elif executors:
        settings["spark.master"] = f"local-cluster[{executors},{executor_cores},{executor_mib}]"
    else:
        return settings | {"spark.master": f"local[{cores}]"}
    return settings | {
        "spark.executor.memory": f"{executor_mib}m",
        "spark.executor.cores": str(executor_cores),
    }


def _settings_of_the_cluster() -> dict[str, str]:
    """The settings in the file that the environment names, read as spark-submit reads it."""
    file = os.environ.get(CONF_VARIABLE)
    if file is None:
        return {}
    if not os.path.isfile(file):
        raise ValueError(f"{CONF_VARIABLE} names a properties file; there is no {file}")
    settings = {}
    for line in Path(file).read_text(encoding="utf-8").splitlines():
        key, _, value = re.sub(r"^\s*([^\s=:]+)(\s*[=:]\s*|\s+)", r"\1\0", line).partition("\0")
        if line.strip() and not line.lstrip().startswith(("#", "!")):
            settings[key.strip()] = value.strip()
    return settings


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _current() -> _LabSession:
    if _running is None:
        raise RuntimeError("no lab session is running: start one with start_lab_session()")
    return _running


def _of(spark: SparkSession) -> _LabSession:
    session = _current()
    if spark.sparkContext is not session.spark.sparkContext:
        raise ValueError("this session has ended; the running one is another")
    return session

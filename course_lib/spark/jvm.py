"""A small JVM in your hand: start it, fill it, measure it, watch it die.

It takes about a third of a second to start: Py4J, a compiler, no Spark.
All sizes are bytes; size strings such as ``"64m"`` are read as Spark reads them.
"""

import logging
import os
import re
import select
import socket
import subprocess
import tempfile
import time
import weakref
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

import psutil
import pyspark
from py4j.java_gateway import (
    GatewayClient,
    GatewayConnection,
    GatewayParameters,
    JavaGateway,
    JavaObject,
)
from py4j.protocol import Py4JError, Py4JJavaError

from course_lib.spark.java import find_java, java_env
from course_lib.units import byte_string_as_bytes

SPARK_JARS = Path(pyspark.__file__).parent / "jars"

COLLECTORS = ("G1", "Parallel", "Serial", "Z")

# java.util's own limit, ArraysSupport.SOFT_MAX_ARRAY_LENGTH: a little under 2 GiB.
LARGEST_ARRAY = 2**31 - 1 - 8

# What Spark opens to itself too (JavaModuleOptions): SizeEstimator looks into these packages.
_OPEN_PACKAGES = (
    "java.lang",
    "java.lang.invoke",
    "java.lang.reflect",
    "java.io",
    "java.net",
    "java.nio",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "sun.nio.ch",
)

# glibc's own first threshold, fixed: else it would rise, and direct buffers that were freed would
# stay in the resident size.
_RETURN_WHAT_IS_FREED = {"MALLOC_MMAP_THRESHOLD_": str(128 * 1024)}

_START_SECONDS = 30
_LOOK_SECONDS = 0.5
_LAST_BREATH_SECONDS = 1
_STOP_SECONDS = 5

_KINDS = {
    "Java heap space": "Java heap space",
    "GC overhead limit exceeded": "GC overhead limit exceeded",
    # All the JVM can say when the heap has no room for a thread's last words.
    "thrown from the UncaughtExceptionHandler": "Java heap space",
    "Metaspace": "Metaspace",
    "Compressed class space": "Compressed class space",
    "direct buffer memory": "Direct buffer memory",
    "unable to create native thread": "unable to create native thread",
    "Requested array size exceeds VM limit": "Requested array size exceeds VM limit",
}

_WORKBENCH = """
public class Workbench {
    private final java.util.ArrayList kept = new java.util.ArrayList();

    public void internStrings(int count) {
        for (int i = 0; i < count; i++) {
            kept.add(("interned string number " + kept.size()).intern());
        }
    }

    public static class Definer extends ClassLoader {
        public Class define(String name, byte[] code) {
            return defineClass(name, code, 0, code.length);
        }
    }

    public void loadClasses(int count, String name, byte[] code) {
        for (int i = 0; i < count; i++) {
            kept.add(new Definer().define(name, code));
        }
    }

    /** Allocates at a steady rate and keeps a share of it alive until it returns. */
    public long[] makeGarbage(double bytesPerSecond, double seconds, double share) {
        java.util.ArrayList survivors = new java.util.ArrayList();
        long start = System.nanoTime(), end = start + (long) (seconds * 1e9);
        long allocated = 0, surviving = 0;
        for (long now = start; now < end; now = System.nanoTime()) {
            long due = (long) ((now - start) / 1e9 * bytesPerSecond);
            while (allocated < due && System.nanoTime() < end) {
                byte[] piece = new byte[CHUNK];
                allocated += CHUNK;
                if (surviving < allocated * share) {
                    survivors.add(piece);
                    surviving += CHUNK;
                }
            }
            java.util.concurrent.locks.LockSupport.parkNanos(1000000L);
        }
        return new long[] {allocated, surviving};
    }
}
""".replace("CHUNK", "8192")


class JvmDiedError(RuntimeError):
    """The JVM is gone, or never came up; the message ends with what it last wrote."""


class JvmOutOfMemoryError(MemoryError):
    """The JVM threw an OutOfMemoryError.

    `kind` names the area that was exhausted (``"Java heap space"``, ``"Metaspace"``, …), `message`
    is the JVM's own text, `alive` says whether the JVM outlived it.
    """

    def __init__(self, kind: str, message: str, alive: bool):
        self.kind, self.message, self.alive = kind, message, alive
        fate = "The JVM lives on." if alive else "The JVM ended itself."
        super().__init__(f"java.lang.OutOfMemoryError: {message}. {fate}")


class HeapReading(NamedTuple):
    """One reading of a memory area, in bytes: `max` is -1 where there is no limit.

    Source: ``java.lang.management.MemoryUsage``.
    """

    used: int
    committed: int
    max: int


class NativeMemory(NamedTuple):
    """What the JVM has reserved of its address space and committed of it, in bytes."""

    reserved: int
    committed: int


class CollectorTime(NamedTuple):
    """How often a collector ran and for how long altogether, in seconds."""

    collections: int
    seconds: float


class GarbageRun(NamedTuple):
    """What `Jvm.make_garbage` allocated, what of it stayed alive until the end, in bytes."""

    allocated: int
    survived: int


@dataclass(eq=False)
class Allocation:
    """Memory held in a JVM on Python's behalf: `size` bytes in `objects`, until freed."""

    size: int
    objects: list[JavaObject] = field(repr=False)


class Jvm:
    """A JVM, running between `start` and `stop` or inside a ``with`` block.

    `heap` is ``-Xmx``, `initial_heap` ``-Xms``, `collector` one of ``G1 Parallel Serial Z``,
    `direct` ``-XX:MaxDirectMemorySize``, `metaspace` ``-XX:MaxMetaspaceSize``; `options` are passed
    on as they are. With `gc_log` the JVM writes one line for each collection to that file. With
    `exit_on_oom` the JVM ends itself at the first OutOfMemoryError, as Spark's executors do. With
    `spark_jars` Spark's own classes are at hand, at the cost of some 27 MB of heap; a folder there
    is that of another Spark's jars, which are then used instead of the installed ones.

    The JVM dies with this Python, however that ends: its standard input is a pipe from here.
    Raises ValueError for sizes and collectors that cannot be, JvmDiedError where the JVM refuses.
    """

    def __init__(
        self,
        heap: str | int = "64m",
        *,
        initial_heap: str | int | None = None,
        collector: str = "G1",
        direct: str | int | None = None,
        metaspace: str | int | None = None,
        native_memory_tracking: bool = True,
        options: Sequence[str] = (),
        gc_log: str | os.PathLike | None = None,
        exit_on_oom: bool = False,
        spark_jars: bool | Path = False,
    ):
        if collector not in COLLECTORS:
            raise ValueError(f"a collector is one of {', '.join(COLLECTORS)}, not {collector!r}")
        self._flags = [f"-Xmx{_size(heap)}", f"-XX:+Use{collector}GC", "-XX:-UsePerfData"]
        if initial_heap is not None:
            self._flags.append(f"-Xms{_size(initial_heap)}")
        if direct is not None:
            self._flags.append(f"-XX:MaxDirectMemorySize={_size(direct)}")
        if metaspace is not None:
            self._flags.append(f"-XX:MaxMetaspaceSize={_size(metaspace)}")
        if native_memory_tracking:
            self._flags.append("-XX:NativeMemoryTracking=summary")
        if gc_log is not None:
            self._flags.append(f"-Xlog:gc:file={Path(gc_log).resolve()}")
        if exit_on_oom:
            self._flags.append("-XX:+ExitOnOutOfMemoryError")
        self._flags += [f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in _OPEN_PACKAGES]
        self._flags += options
        self._spark_jars = spark_jars
        self._process = self._gateway = self._workbench = None

    def __enter__(self) -> "Jvm":
        return self.start()

    def __exit__(self, *_exception) -> None:
        self.stop()

    def start(self) -> "Jvm":
        """Start the JVM and connect to it."""
        if self._process is not None:
            raise RuntimeError("this JVM was already started; make another one")
        self._folder = tempfile.TemporaryDirectory(prefix="jvm-")
        self._log_file = Path(self._folder.name, "log")
        silence_py4j()
        command = [
            str(find_java().executable),
            *self._flags,
            *("-cp", _class_path(self._spark_jars), "py4j.GatewayServer"),
            *("--die-on-broken-pipe", "--enable-auth", "0"),
        ]
        with self._log_file.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=java_env() | _RETURN_WHAT_IS_FREED,
                cwd=self._folder.name,
                start_new_session=True,  # an interrupt is for this Python, not for the JVM
            )
        self._end = weakref.finalize(self, _end, os.getpid(), self._process, self._folder)
        try:
            port, token = self._greeting()
            self._gateway = _Gateway(
                self._log_file,
                GatewayParameters(
                    address="127.0.0.1", port=int(port), auth_token=token, auto_convert=True
                ),
            )
        except BaseException:
            self.stop()
            raise
        return self

    def _greeting(self) -> list[str]:
        """The port and the token that the gateway writes as its first two lines."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            running = self._process.poll() is None
            greeting = re.search(r"^(\d+)\n(\S{20,})\n", self._log_file.read_text(), re.MULTILINE)
            if greeting:
                return [greeting[1], greeting[2]]
            if not running:
                raise JvmDiedError(f"The JVM did not start.\n{self.log()}")
            time.sleep(0.005)
        raise JvmDiedError(f"The JVM did not answer within {_START_SECONDS} s.\n{self.log()}")

    def stop(self) -> None:
        """End the JVM. Doing it twice is harmless."""
        if self._process is not None and self._end.alive:
            self._last_log = self.log()
            if self._gateway is not None:
                # Otherwise each Java object that Python forgets later would try to say so.
                self._gateway._gateway_client.is_connected = False
                self._gateway.close()
            self._end()

    @property
    def jvm(self):
        """Py4J's view of the JVM: ``jvm.java.util.ArrayList()`` and the like."""
        self._require_running()
        return self._gateway.jvm

    @property
    def gateway(self) -> JavaGateway:
        """Py4J's gateway, for what its view cannot do (``new_array``)."""
        self._require_running()
        return self._gateway

    @property
    def pid(self) -> int:
        """The process id."""
        self._require_running()
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the JVM is running."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How the process ended: 3 after ``exit_on_oom``, -9 after a SIGKILL; None while alive."""
        return None if self._process is None else self._process.poll()

    def log(self) -> str:
        """All that the JVM itself has written to its standard output and error."""
        if self._process is None:
            return ""
        if not self._end.alive:
            return self._last_log
        text = self._log_file.read_text(errors="replace")
        return re.sub(r"^\d+\n\S{20,}\n", "", text, count=1, flags=re.MULTILINE)

    # Filling it

    def allocate(self, size: str | int) -> Allocation:
        """Allocate `size` bytes on the heap as byte arrays, several where one cannot hold them."""
        # A buffer holds one byte[] and stays in the JVM; Py4J would copy a bare byte[] to Python.
        return self._hold(size, lambda length: self.jvm.java.nio.ByteBuffer.allocate(length))

    def allocate_direct(self, size: str | int) -> Allocation:
        """Allocate `size` bytes of direct buffers, which lie outside the heap."""
        return self._hold(size, lambda length: self.jvm.java.nio.ByteBuffer.allocateDirect(length))

    def _hold(self, size: str | int, allocate: Callable[[int], JavaObject]) -> Allocation:
        size = rest = _size(size)
        objects = []
        with self.failures():
            while rest > 0:
                objects.append(allocate(min(rest, LARGEST_ARRAY)))
                rest -= min(rest, LARGEST_ARRAY)
        return Allocation(size, objects)

    def free(self, allocation: Allocation) -> None:
        """Let go of what was allocated: from now on it is garbage, still there until collected."""
        while allocation.objects:
            self.gateway.detach(allocation.objects.pop())

    def collect(self) -> None:
        """Ask for a full collection (``System.gc``)."""
        with self.failures():
            self.jvm.java.lang.System.gc()

    def start_threads(self, count: int) -> Allocation:
        """Start `count` threads that wait and do nothing but hold their stacks."""
        with self.failures():
            pool = self.jvm.java.util.concurrent.Executors.newFixedThreadPool(count)
            pool.prestartAllCoreThreads()
        return Allocation(0, [pool])

    def intern_strings(self, count: int) -> None:
        """Intern `count` new strings and keep them."""
        with self.failures():
            self._bench().internStrings(count)

    def load_classes(self, count: int) -> None:
        """Load a small class `count` times, each time by its own class loader: fills metaspace."""
        with self.failures():
            compiler = self._cook("public class Small { public int number; }")
            self._bench().loadClasses(count, "Small", compiler.getBytecodes()["Small"])

    def make_garbage(
        self, rate: str | int, seconds: float, survivors_share: float = 0.0
    ) -> GarbageRun:
        """Allocate `rate` bytes per second inside the JVM for some seconds.

        `survivors_share` (0 to 1) of it stays reachable until the end; the rest is garbage at once.
        """
        if not 0 <= survivors_share <= 1:
            raise ValueError(f"a share lies between 0 and 1, not {survivors_share!r}")
        with self.failures():
            run = self._bench().makeGarbage(
                float(_size(rate)), float(seconds), float(survivors_share)
            )
            return GarbageRun(*run)

    def compile(self, source: str, class_name: str) -> JavaObject:
        """Compile a public Java class at run time and return a new instance of it.

        Source: Janino's ``SimpleCompiler``, which Spark itself uses for its generated code; it
        reads Java without lambdas and without generics that have to be inferred.
        """
        with self.failures():
            loaded = self._cook(source).getClassLoader().loadClass(class_name)
            return loaded.getConstructors()[0].newInstance(self.array("Object"))

    def write_jar(self, source: str, jar: str | os.PathLike) -> None:
        """Compile Java classes at run time into a jar: a session takes it as ``spark.jars``.

        Source: Janino's ``SimpleCompiler``, as for `compile`.
        """
        with self.failures():
            classes = self._cook(source).getBytecodes()
            with zipfile.ZipFile(jar, "w") as archive:
                for name, code in classes.items():
                    archive.writestr(f"{name.replace('.', '/')}.class", bytes(code))

    def _cook(self, source: str) -> JavaObject:
        compiler = self.jvm.org.codehaus.janino.SimpleCompiler()
        compiler.cook(source)
        return compiler

    def _bench(self) -> JavaObject:
        if self._workbench is None:
            self._workbench = self.compile(_WORKBENCH, "Workbench")
        return self._workbench

    # Measuring it

    def heap(self) -> HeapReading:
        """The heap now. Source: ``MemoryMXBean.getHeapMemoryUsage``."""
        with self.failures():
            return _reading(self._beans().getMemoryMXBean().getHeapMemoryUsage())

    def non_heap(self) -> HeapReading:
        """Metaspace, code cache and their like. Source: ``MemoryMXBean.getNonHeapMemoryUsage``."""
        with self.failures():
            return _reading(self._beans().getMemoryMXBean().getNonHeapMemoryUsage())

    def pools(self) -> dict[str, HeapReading]:
        """Each pool by the JVM's name for it. Source: ``MemoryPoolMXBean``."""
        with self.failures():
            pools = self._beans().getMemoryPoolMXBeans()
            return {pool.getName(): _reading(pool.getUsage()) for pool in pools}

    def runtime_max_memory(self) -> int:
        """``Runtime.maxMemory``: what the JVM says its heap may become, and what Spark divides."""
        with self.failures():
            return self.jvm.java.lang.Runtime.getRuntime().maxMemory()

    def native_memory(self) -> dict[str, NativeMemory]:
        """What the JVM takes from the operating system, by the JVM's own categories and ``Total``.

        Source: the DiagnosticCommand MBean's ``vmNativeMemory``, jcmd's VM.native_memory. Raises
        ValueError where native memory tracking is off.
        """
        with self.failures():
            name = self.jvm.javax.management.ObjectName("com.sun.management:type=DiagnosticCommand")
            signature = self.array("String", "[Ljava.lang.String;")
            arguments = self.array("Object", self.array("String", "summary", "scale=b"))
            # The platform's server is of a class that Py4J may not look into: go by the interface.
            interface = self.jvm.java.lang.Class.forName("javax.management.MBeanServer")
            invoke = next(m for m in interface.getMethods() if m.getName() == "invoke")
            report = invoke.invoke(
                self._beans().getPlatformMBeanServer(),
                self.array("Object", name, "vmNativeMemory", arguments, signature),
            )
        found = re.findall(
            r"^(?:-\s+)?(Total|\S[^(\n]*?):?\s\(?reserved=(\d+)\D*?, committed=(\d+)",
            report,
            re.MULTILINE,
        )
        if not found:
            raise ValueError(f"native memory cannot be read: {report.strip()}")
        return {category: NativeMemory(int(r), int(c)) for category, r, c in found}

    def resident_size(self) -> int:
        """Bytes of physical memory the process occupies, as the operating system counts them."""
        return psutil.Process(self.pid).memory_info().rss

    def gc_times(self) -> dict[str, CollectorTime]:
        """Each collector's runs so far. Source: ``GarbageCollectorMXBean``."""
        with self.failures():
            return {
                bean.getName(): CollectorTime(
                    bean.getCollectionCount(), bean.getCollectionTime() / 1000
                )
                for bean in self._beans().getGarbageCollectorMXBeans()
            }

    def size_of(self, thing: JavaObject | Allocation) -> int:
        """Bytes of an object and all it refers to. Source: Spark's ``SizeEstimator.estimate``."""
        things = thing.objects if isinstance(thing, Allocation) else [thing]
        with self.failures(), self._spark_loader() as loader:
            estimator = loader.loadClass("org.apache.spark.util.SizeEstimator")
            estimate = next(m for m in estimator.getMethods() if m.getName() == "estimate")
            return sum(estimate.invoke(None, self.array("Object", one)) for one in things)

    @contextmanager
    def _spark_loader(self) -> Iterator[JavaObject]:
        """A loader of Spark's classes that is closed after use, to leave nothing on the heap."""
        jars = sorted(SPARK_JARS.glob("*.jar"))
        urls = self.gateway.new_array(self.jvm.java.net.URL, len(jars))
        for index, jar in enumerate(jars):
            urls[index] = self.jvm.java.net.URL(jar.as_uri())
        loader = self.jvm.java.net.URLClassLoader(urls)
        try:
            yield loader
        finally:
            loader.close()

    def array(self, java_lang_class: str, *elements) -> JavaObject:
        """A Java array of a class of ``java.lang`` ("Object", "String") with these elements."""
        array = self.gateway.new_array(getattr(self.jvm.java.lang, java_lang_class), len(elements))
        for index, element in enumerate(elements):
            array[index] = element
        return array

    def _beans(self):
        return self.jvm.java.lang.management.ManagementFactory

    # When it goes wrong

    def _require_running(self) -> None:
        if self._process is None:
            raise JvmDiedError("This JVM is not started: call start() or use it in a with block.")
        if self._process.poll() is not None:
            raise self._death()

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Turn what Py4J raises when a JVM is out of memory or gone into errors that say so."""
        try:
            yield
        except Py4JJavaError as error:
            thrown = error.java_exception
            if thrown.getClass().getName() != "java.lang.OutOfMemoryError":
                raise
            raise _out_of_memory(thrown.getMessage(), alive=True) from None
        except (Py4JError, OSError) as error:
            if "Trace:" in str(error):  # Java answered: Py4J was asked for what does not exist
                raise
            # The connection broke. A JVM that ends itself needs a moment to be gone.
            try:
                self._process.wait(_LAST_BREATH_SECONDS)
            except subprocess.TimeoutExpired:
                last_words = _last_out_of_memory(self.log())
                if last_words is None:
                    raise
                raise _out_of_memory(last_words, alive=True) from None
            raise self._death() from None

    def _death(self) -> Exception:
        last_words = _last_out_of_memory(self.log())
        if last_words is not None:
            return _out_of_memory(last_words, alive=False)
        tail = "\n".join(self.log().splitlines()[-20:])
        return JvmDiedError(f"The JVM is gone (exit code {self.exit_code}).\n{tail}".rstrip())


class _Gateway(JavaGateway):
    """A gateway that does not wait for an answer from a thread that has died.

    An OutOfMemoryError may end the very thread that serves a connection, and its socket stays open.
    The JVM reports each such death in its log.
    """

    def __init__(self, log_file: Path, parameters: GatewayParameters):
        self._log_file = log_file
        super().__init__(gateway_parameters=parameters)

    def _create_gateway_client(self) -> GatewayClient:
        return _Client(self._log_file, self.gateway_parameters)


class _Client(GatewayClient):
    def __init__(self, log_file: Path, parameters: GatewayParameters):
        self._log_file = log_file
        super().__init__(gateway_parameters=parameters)

    def _create_connection(self) -> GatewayConnection:
        connection = _Connection(self.gateway_parameters, self.gateway_property)
        connection.log_file = self._log_file
        connection.start()
        return connection


class _Connection(GatewayConnection):
    log_file: Path

    def _authenticate_connection(self) -> None:
        self.stream = _Answers(self.socket, self.stream, self.log_file)
        super()._authenticate_connection()

    def send_command(self, command: str) -> str:
        self.stream.asked()
        return super().send_command(command)


class _Answers:
    """What a connection reads from; it stops waiting when the JVM logs an OutOfMemoryError."""

    def __init__(self, connected: socket.socket, stream: BinaryIO, log_file: Path):
        self._connected, self._stream, self._log_file = connected, stream, log_file
        self._logged, self._greeted = 0, False

    def asked(self) -> None:
        # The first answer comes from a thread that may have died before this connection was made.
        self._logged = self._log_file.stat().st_size if self._greeted else 0
        self._greeted = True

    def readline(self) -> bytes:
        while not select.select([self._connected], [], [], _LOOK_SECONDS)[0]:
            if b"java.lang.OutOfMemoryError" in self._log_file.read_bytes()[self._logged :]:
                raise OSError("the thread that was to answer has died")
        return self._stream.readline()

    def close(self) -> None:
        self._stream.close()


def silence_py4j() -> None:
    """Keep Py4J from logging a lost connection on stderr: whoever called is told by an error."""
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    logging.getLogger().addFilter(_not_py4j)  # Py4J logs some of it on the root logger


def _not_py4j(record: logging.LogRecord) -> bool:
    return Path(record.pathname).parent.name != "py4j"


def _class_path(spark_jars: bool | Path) -> str:
    if isinstance(spark_jars, Path):
        return f"{spark_jars}/*"  # with the Py4J and the Janino that it came with
    # Each jar that Java opens costs heap for its index: all of Spark's jars together 27 MB.
    names = ("py4j", "janino", "commons-compiler")
    first = [str(jar) for name in names for jar in SPARK_JARS.glob(f"{name}-*.jar")]
    return os.pathsep.join([*first, f"{SPARK_JARS}/*"] if spark_jars else first)


def _size(size: str | int) -> int:
    if isinstance(size, bool) or not isinstance(size, (str, int)):
        raise TypeError(f"a size is bytes or a string such as '64m', not {size!r}")
    number = byte_string_as_bytes(size) if isinstance(size, str) else size
    if number < 0:
        raise ValueError(f"a size is not negative: {size!r}")
    return number


def _reading(usage: JavaObject) -> HeapReading:
    return HeapReading(usage.getUsed(), usage.getCommitted(), usage.getMax())


def _out_of_memory(message: str | None, alive: bool) -> JvmOutOfMemoryError:
    message = message or ""
    for text, kind in _KINDS.items():
        if text in message:
            return JvmOutOfMemoryError(kind, message, alive)
    return JvmOutOfMemoryError(message, message, alive)


def _last_out_of_memory(log: str) -> str | None:
    found = re.findall(r"java\.lang\.OutOfMemoryError:? (.+)", log)
    return found[-1].strip() if found else None


def _end(owner: int, process: subprocess.Popen, folder: tempfile.TemporaryDirectory) -> None:
    if os.getpid() != owner:
        return  # a fork inherits this duty but not the JVM
    process.stdin.close()
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    folder.cleanup()

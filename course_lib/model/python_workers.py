"""An executor's Python workers: processes beside its JVM, and who pays for their memory.

What the processes themselves take is measured, not derived: see the constants below. With other
versions of Python, pandas and PyArrow they are others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from course_lib.model.container import Container, container
from course_lib.model.region import Region
from course_lib.settings import LATEST, read
from course_lib.units import MIB

# Measured with Python 3.11, pandas 2.3 and PyArrow 26.
WORKER = 135 * MIB  # resident: the interpreter with both libraries, before the first batch
WORKER_ADDRESS_SPACE = 356 * MIB  # what the same worker has reserved, which is what a limit counts
ARROW_ARENA = 128 * MIB  # what Arrow reserves on top, under a limit, when it makes its first result
DAEMON = 47 * MIB  # the process that workers are forked from
JVM_BESIDE_ITS_HEAP = 160 * MIB  # an executor's metaspace, code, threads and collector
BATCHES_IN_JVM = 4.4  # Arrow buffers of the JVM for each worker: on its way there, and back

# How far the model may be from real workers, as a share of what they take: what the tests allow.
TOLERANCE = 0.25

MAX_BYTES_PER_BATCH = 64 * MIB  # spark.sql.execution.arrow.maxBytesPerBatch


class ArrowBatch(NamedTuple):
    """Rows that a worker is handed at once, in bytes: as they come in Arrow, and as pandas."""

    arrow: int
    pandas: int


def arrow_batch(
    rows: int, *, columns: int = 1, text: int = 0, max_bytes: int = MAX_BYTES_PER_BATCH
) -> ArrowBatch:
    """A batch of so many rows, or fewer if that is more than `max_bytes` in Arrow.

    Each column holds a number of 8 bytes, or a text of so many characters. Arrow keeps a text's
    bytes and a place of 4 bytes; pandas a reference and a Python object.
    Raises ValueError for numbers that are not positive.
    Source: ``spark.sql.execution.arrow.maxRecordsPerBatch``, ``ArrowWriter``.
    """
    for name, value in (("rows", rows), ("columns", columns), ("max_bytes", max_bytes)):
        if value < 1:
            raise ValueError(f"a batch has at least one of its {name}, not {value}")
    if text < 0:
        raise ValueError(f"a text has no fewer than 0 characters, not {text}")
    arrow, pandas = (text + 4, text + 49 + 8) if text else (8, 8)
    rows = min(rows, max(1, max_bytes // (columns * arrow)))
    return ArrowBatch(rows * columns * arrow, rows * columns * pandas)


@dataclass(frozen=True)
class PythonSide:
    """The Python side of one executor: a worker for each running task and each Python operator.

    `operators` are those of one stage (two functions of ``mapInPandas`` in a row are two). The
    `broadcast`, in bytes, is what a value that was broadcast takes in Python: each worker that
    looks at it has a copy of its own.
    Source: ``PythonWorkerFactory``, ``pyspark.daemon``, ``BasePythonRunner``.
    """

    container: Container
    cores: int
    batch: ArrowBatch
    broadcast: int = 0
    operators: int = 1

    @property
    def workers(self) -> int:
        """How many there are while every core has a task."""
        return self.cores * self.operators

    @property
    def batches(self) -> int:
        """What a worker holds of the rows that pass through it.

        While the next batch is read the last one is still there, each in Arrow and in pandas; and
        the result, as large as a batch, is there in Arrow and once more on its way out.
        """
        return 2 * (self.batch.arrow + self.batch.pandas) + 2 * self.batch.arrow

    @property
    def resident(self) -> int:
        """What one worker occupies; pages that it shares with others count, as for YARN."""
        return WORKER + self.broadcast + self.batches

    @property
    def address_space(self) -> int:
        """What one worker has reserved at least: much more than it occupies."""
        return WORKER_ADDRESS_SPACE + ARROW_ARENA + self.broadcast + self.batches

    @property
    def limit(self) -> int | None:
        """The most that one worker may reserve (``RLIMIT_AS``); None where there is no limit.

        Source: ``BasePythonRunner.getWorkerMemoryMb``, ``setup_memory_limits`` in PySpark.
        """
        pyspark = self.container.pyspark_mib
        return pyspark // self.cores * MIB if pyspark else None

    @property
    def paid_by(self) -> str:
        """The part of the container that Python lives in: ``"overhead"`` or ``"PySpark"``."""
        return "PySpark" if self.container.pyspark_mib else "overhead"

    @property
    def executor_resident(self) -> int:
        """What the executor's whole process tree occupies, its heap in full.

        Memory that a heap has once used stays with the process, so a heap is planned for in full.
        """
        off_heap = self.container.off_heap_mib * MIB
        heap = self.container.memory_mib * MIB
        python = DAEMON + self.workers * self.resident
        return heap + off_heap + JVM_BESIDE_ITS_HEAP + self.arrow_in_jvm + python

    @property
    def arrow_in_jvm(self) -> int:
        """What the JVM holds of the batches of all its workers, outside the heap."""
        return int(BATCHES_IN_JVM * self.batch.arrow) * self.workers

    @property
    def outcome(self) -> str:
        """What comes of it: ``"ImportError"``, ``"MemoryError"``, ``"killed"`` or ``"fits"``.

        Where a worker's limit is too low for its libraries, they cannot be imported; a worker that
        reaches its limit later gets a MemoryError. Either way its task fails and the executor
        lives. A container that is outgrown is killed with all that is in it.
        """
        if self.limit is not None and self.limit < WORKER_ADDRESS_SPACE:
            return "ImportError"
        if self.limit is not None and self.limit < self.address_space:
            return "MemoryError"
        if self.executor_resident > self.container.granted_mib * MIB:
            return "killed"
        return "fits"

    @property
    def idle(self) -> int:
        """What all workers still occupy between jobs, if they are reused: all but the batches."""
        return self.workers * (self.resident - self.batches)

    def region(self) -> Region:
        """The container with the processes in it, while every core has a task."""
        inside = {
            "heap": (),
            "overhead": (
                Region("JVM", "other", JVM_BESIDE_ITS_HEAP, note="beside its heap"),
                Region("Arrow in the JVM", "direct", self.arrow_in_jvm),
                Region("daemon", "other", DAEMON, note="workers are forked from it"),
            ),
        }
        worker = Region("worker", "pyspark", self.resident)
        inside[self.paid_by] = (*inside.get(self.paid_by, ()), *[worker] * self.workers)
        whole = self.container.region()
        parts = (replace(part, children=inside.get(part.name, ())) for part in whole.children)
        return replace(whole, children=tuple(parts))

    def worker_region(self) -> Region:
        """One worker, and what it holds."""
        parts = (
            Region("libraries", "other", WORKER, note="the interpreter and what it has imported"),
            Region("broadcast", "storage", self.broadcast, note="this worker's own copy"),
            Region("batches", "user", self.batches),
        )
        held = tuple(part for part in parts if part.size)
        return Region("one worker", "process", self.resident, children=held)


def python_workers(
    conf: Mapping,
    batch: ArrowBatch,
    *,
    broadcast: int = 0,
    operators: int = 1,
    cluster_manager: str = "yarn",
    deploy_mode: str = "cluster",
    spark_version: str = LATEST,
) -> PythonSide:
    """The Python workers of an executor under the settings in `conf`.

    Raises ValueError as `container` does, and for less than one operator.
    """
    if operators < 1:
        raise ValueError(f"a stage with Python workers has a Python operator, not {operators}")
    if broadcast < 0:
        raise ValueError(f"a broadcast has no fewer than 0 bytes, not {broadcast}")
    built = container(
        conf,
        cluster_manager=cluster_manager,
        spark_version=spark_version,
        deploy_mode=deploy_mode,
        language="python",
    )
    cores = read(conf, "spark.executor.cores", spark_version)
    return PythonSide(built, cores, batch, broadcast, operators)

"""Python workers in an executor's container: what fills them, and which part of it pays."""

from collections.abc import Mapping

from course_lib.draw.picture import Picture
from course_lib.model.python_workers import TOLERANCE, PythonSide, arrow_batch, python_workers
from course_lib.units import MIB, byte_string_as_bytes, bytes_to_string
from course_lib.widgets.container_builder import UNSET
from course_lib.widgets.explorable import Control, Explorable, View

ROWS = {
    "8 numbers": {"columns": 8},
    "32 numbers": {"columns": 32},
    "128 numbers": {"columns": 128},
    "a text of 100": {"text": 100},
    "a text of 1000": {"text": 1000},
}


def python_workers_view(state: Mapping) -> View:
    """The container of an executor under the settings in `state`."""
    try:
        found = python_workers(
            _settings(state),
            arrow_batch(
                state["rows_at_once"],
                max_bytes=byte_string_as_bytes(state["max_bytes"]),
                **ROWS[state["row"]],
            ),
            broadcast=byte_string_as_bytes(state["broadcast"]),
            operators=state["operators"],
        )
    except ValueError as refusal:
        return View.refused(refusal)
    picture = Picture(
        "Container of an executor with Python workers",
        "modelled",
        (found.region(), found.worker_region()),
    )
    return View(picture, _sentence(found), _facts(found, reused=state["reuse"] == "on"))


def _settings(state: Mapping) -> dict[str, str]:
    chosen = {
        "spark.executor.memory": state["memory"],
        "spark.executor.cores": str(state["cores"]),
        "spark.executor.memoryOverhead": state["overhead"],
        "spark.executor.pyspark.memory": state["pyspark"],
    }
    return {key: value for key, value in chosen.items() if value != UNSET}


def _sentence(found: PythonSide) -> str:
    python, granted = found.workers * found.resident, found.container.granted_mib * MIB
    workers = "1 Python worker" if found.workers == 1 else f"{found.workers} Python workers"
    home = "overhead" if found.paid_by == "overhead" else "memory set aside for PySpark"
    told = f"{workers} of {bytes_to_string(found.resident)}, {bytes_to_string(python)} in all, "
    told += f"in the {home}. "
    if found.outcome in ("ImportError", "MemoryError"):
        limit, needed = bytes_to_string(found.limit), bytes_to_string(found.address_space)
        loads = "MemoryError" if found.outcome == "MemoryError" else "its libraries do not load"
        return told + (
            f"Each may reserve {limit} and needs {needed}: {loads}, the task fails, and the "
            "executor lives."
        )
    ending = "the container is killed" if found.outcome == "killed" else "they fit"
    whole = f"{bytes_to_string(found.executor_resident)} of {bytes_to_string(granted)}"
    told += f"The executor's processes occupy {whole}: {ending}."
    if abs(granted - found.executor_resident) < TOLERANCE * python:
        told += f" It is a close call: real workers differ from this by up to {TOLERANCE:.0%}."
    return told


def _facts(found: PythonSide, *, reused: bool) -> tuple[tuple[str, str], ...]:
    limit = "none" if found.limit is None else bytes_to_string(found.limit)
    return (
        ("who pays for Python", found.paid_by),
        ("a batch in Arrow", bytes_to_string(found.batch.arrow)),
        ("a worker occupies", bytes_to_string(found.resident)),
        ("a worker has reserved", bytes_to_string(found.address_space)),
        ("a worker may reserve", limit),
        ("all workers, when idle", bytes_to_string(found.idle if reused else 0)),
        ("all processes occupy", bytes_to_string(found.executor_resident)),
        ("granted", bytes_to_string(found.container.granted_mib * MIB)),
        ("what comes of it", found.outcome),
        ("real workers differ from this by", f"at most {TOLERANCE:.0%}"),
    )


class PythonWorkers(Explorable):
    """See what Python workers take in an executor's container, and who pays for them.

    ``PythonWorkers(cores=4, rows_at_once=250_000, pyspark="2g")``. A worker is there for each
    running task and each Python operator of a stage, and stays when the task is done. `row` says
    what a row of a batch holds. The numbers are those of ``course_lib.model.python_workers``.
    """

    title = "Python workers in a container"
    controls = (
        Control("cores", "spark.executor.cores", (1, 2, 4, 8)),
        Control(
            "rows_at_once",
            "arrow.maxRecordsPerBatch",
            (10_000, 50_000, 100_000, 250_000, 500_000, 1_000_000),
            "{:,}".format,
        ),
        Control("broadcast", "a broadcast value", ("0", "32m", "128m", "256m", "512m")),
        Control(
            "pyspark",
            "spark.executor.pyspark.memory",
            (UNSET, "512m", "1g", "2g", "3g", "4g", "6g"),
        ),
        Control("row", "a row holds", tuple(ROWS), kind="choice", more=True),
        Control("max_bytes", "arrow.maxBytesPerBatch", ("16m", "64m", "256m", "1g"), more=True),
        Control("operators", "Python operators in a stage", (1, 2, 3), more=True),
        Control("reuse", "worker reuse", ("on", "off"), kind="choice", more=True),
        Control(
            "overhead",
            "memoryOverhead",
            (UNSET, "384m", "512m", "1g", "1536m", "2g", "3g", "4g"),
            more=True,
        ),
        Control("memory", "spark.executor.memory", ("1g", "2g", "4g", "8g", "16g"), more=True),
    )
    start = {  # noqa: RUF012 (a constant of the class, as `controls` is)
        "cores": 4,
        "rows_at_once": 10_000,
        "broadcast": "0",
        "pyspark": UNSET,
        "row": "8 numbers",
        "max_bytes": "64m",
        "operators": 1,
        "reuse": "on",
        "overhead": "1g",
        "memory": "4g",
    }

    def view(self, state: Mapping) -> View:
        """See `python_workers_view`."""
        return python_workers_view(state)

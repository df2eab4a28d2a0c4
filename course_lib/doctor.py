"""Look at this machine: is all here that the course needs, and if not, what to do about it."""

import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from course_lib.units import GIB, bytes_to_string

OLDEST_PYTHON = (3, 11)

_INSTALL = "run `make lab`, or `pip install -e .` in the course's folder"


class Finding(NamedTuple):
    """One thing looked at: `value` says what was found, `advice` what to do where it is not `ok`.

    What is not `needed` may be missing: the course then runs, with the limits that `advice` names.
    """

    name: str
    value: str
    ok: bool = True
    needed: bool = True
    advice: str = ""


def diagnose() -> list[Finding]:
    """Look at everything, one after the other; takes a second or two, most of it to start a JVM."""
    return [finding for look in _LOOKS for finding in look()]


def table(findings: Iterable[Finding]) -> str:
    """One line for each finding, then what to do where something is missing."""
    findings = list(findings)
    width = max(len(finding.name) for finding in findings)
    lines = [f"{finding.name:{width}}  {_sign(finding):7}  {finding.value}" for finding in findings]
    wanting = [finding for finding in findings if not finding.ok]
    advice = [f"- {finding.name}: {finding.advice}" for finding in wanting]
    return "\n".join(lines + (["", "What to do:", *advice] if advice else []))


def main() -> int:
    """Print a table of what was found; 1 where something needed is missing, 0 otherwise."""
    findings = diagnose()
    print(table(findings))
    return int(any(finding.needed and not finding.ok for finding in findings))


def _sign(finding: Finding) -> str:
    if finding.ok:
        return "ok"
    return "MISSING" if finding.needed else "note"


def _python() -> list[Finding]:
    oldest = ".".join(map(str, OLDEST_PYTHON))
    return [
        Finding(
            "Python",
            f"{sys.version.split()[0]} in {Path(sys.prefix).name}",
            sys.version_info >= OLDEST_PYTHON,
            advice=f"use Python {oldest} or later",
        )
    ]


def _java() -> list[Finding]:
    from course_lib.spark.java import NoJavaError, find_java, survey_java

    passed_over = [
        Finding(
            "Java passed over",
            reason,
            # A JAVA_HOME that leads nowhere was somebody's intention; nothing else here was.
            ok=not reason.startswith("JAVA_HOME: ") or reason == "JAVA_HOME: not set",
            needed=False,
            advice="correct JAVA_HOME or unset it; until then the course uses another Java",
        )
        for reason in survey_java().passed_over
    ]
    try:
        java = find_java()
    except NoJavaError as error:
        return [*passed_over, Finding("Java", "none", False, advice=str(error))]
    through = ", through a launcher" if java.launcher else ""
    return [*passed_over, Finding("Java", f"{java.full_version} from {java.origin}{through}")]


def _packages() -> list[Finding]:
    names = {
        "Spark": "pyspark",
        "JupyterLab": "jupyterlab",
        "nbgrader": "nbgrader",
        "ipywidgets": "ipywidgets",
        "anywidget": "anywidget",
        "matplotlib": "matplotlib",
        "psutil": "psutil",
    }
    findings = []
    for name, package in names.items():
        try:
            findings.append(Finding(name, version(package)))
        except PackageNotFoundError:
            findings.append(Finding(name, "not installed", False, advice=_INSTALL))
    return findings


def _machine() -> list[Finding]:
    try:
        import psutil
    except ImportError:
        return []  # said where the packages are
    memory, cores = psutil.virtual_memory(), os.cpu_count() or 1
    disk = shutil.disk_usage(tempfile.gettempdir()).free
    return [
        Finding(
            "memory",
            f"{bytes_to_string(memory.available)} free of {bytes_to_string(memory.total)}",
            memory.available >= 3 * GIB,
            needed=False,
            advice="labs with several executors want 3 GiB free: close other programs",
        ),
        Finding("cores", str(cores), cores >= 2, False, "labs run on one core, only slower"),
        Finding(
            "disk",
            f"{bytes_to_string(disk)} free in {tempfile.gettempdir()}",
            disk >= GIB,
            advice="free 1 GiB there, or set TMPDIR to a folder that has it",
        ),
    ]


def _loopback() -> list[Finding]:
    try:
        _talk_to_myself()
    except OSError as error:
        advice = (
            "Spark and Python talk over 127.0.0.1: bring the loopback interface up, let a firewall "
            "allow it, and see that not all ports are taken"
        )
        return [Finding("loopback", f"127.0.0.1 does not work: {error}", False, advice=advice)]
    return [Finding("loopback", "a socket on 127.0.0.1 works")]


def _talk_to_myself() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        with socket.create_connection(server.getsockname(), timeout=5) as caller:
            called, _ = server.accept()
            with called:
                caller.sendall(b"hello")
                if called.recv(5) != b"hello":
                    raise OSError("what was sent did not arrive")


def _jvm() -> list[Finding]:
    try:
        from course_lib.spark.java import NoJavaError
        from course_lib.spark.jvm import Jvm, JvmDiedError
    except ImportError as error:
        return [Finding("JVM", f"not tried: {error}", False, advice=_INSTALL)]
    start = time.perf_counter()
    try:
        with Jvm() as jvm:
            jvm.heap()
    except NoJavaError:
        return [Finding("JVM", "not tried, there is no Java", False, advice="see Java")]
    except (JvmDiedError, OSError) as error:
        advice = "look at what Java says; set JAVA_HOME to another Java, or unset it"
        return [Finding("JVM", f"does not start: {error}", False, advice=advice)]
    return [Finding("JVM", f"starts and ends in {time.perf_counter() - start:.1f} s")]


def _jail() -> list[Finding]:
    try:
        from course_lib.grading.jail import JailUnavailableError
        from course_lib.grading.unit import try_jail
    except ImportError:
        return []  # said where the packages are
    try:
        try_jail()
    except JailUnavailableError as error:
        advice = "only who grades a class needs one: install bubblewrap, see docs/teaching.md"
        return [Finding("jail", str(error).splitlines()[-1], False, False, advice)]
    return [Finding("jail", "learners' code can be graded in one")]


_LOOKS: tuple[Callable[[], list[Finding]], ...] = (
    _python,
    _java,
    _packages,
    _machine,
    _loopback,
    _jvm,
    _jail,
)

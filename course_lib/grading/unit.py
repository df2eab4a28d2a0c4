"""One submission's grading: bytes in, a row out.

A `Grader` knows one release and nothing of gradebooks or folders, so it can be anywhere: in this
process, in one of several workers, in a task of Spark's. It keeps two template processes, a jailed
one for learners' kernels and a trusted one for the tests', and forks both for each submission.
"""

import ast
import base64
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from itertools import chain, count
from pathlib import Path, PurePosixPath
from typing import Any

import nbformat
from nbgrader.utils import determine_grade, is_grade

from course_lib.grading import findings, jail
from course_lib.grading.findings import Finding
from course_lib.grading.preflight import preflight
from course_lib.grading.release import Release, import_statements
from course_lib.grading.wire import LARGE, Channel, ClosedError

# How long a process may take to come up, or to answer beyond the limits it was given.
_START_S = 60
_PATIENCE_S = 15

# Tells this process's templates apart.
_NUMBERS = count()


class GradingError(RuntimeError):
    """Grading itself failed, through no fault of a submission."""


@dataclass(frozen=True)
class Options:
    """How submissions are run.

    `sandboxed`: learners' code runs in the jail. `cell_s`, `call_s` and `notebook_s` are the
    seconds that a cell, a call of the learner's code by a test, and a whole notebook may take;
    `output_bytes` is how much is kept of what a cell writes. `view` is what the jail shows.
    """

    sandboxed: bool = True
    cell_s: float = 30
    call_s: float = 30
    notebook_s: float = 900
    output_bytes: int = 1 << 20
    limits: jail.Limits = field(default_factory=jail.Limits)
    view: jail.View = field(default_factory=jail.View)


@dataclass(frozen=True)
class Submission:
    """What a student handed in for one notebook.

    `data` is the notebook's file as it came, None if there is none; `files` are the others, by
    path; `findings` are those made while looking for them.
    """

    student: str
    data: bytes | None
    files: Mapping[str, bytes] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 over all of it, in hexadecimal."""
        whole = hashlib.sha256(b"none" if self.data is None else b"data" + self.data)
        for path, content in sorted(self.files.items()):
            whole.update(f"\n{path}\n{len(content)}\n".encode("utf-8", "surrogateescape"))
            whole.update(content)
        for finding in self.findings:
            whole.update(f"\n{finding}".encode("utf-8", "surrogateescape"))
        return whole.hexdigest()

    def files_with(self, release: Release) -> dict[str, bytes]:
        """The files beside the notebook, with the release's own. Those that would be in the place
        of one of these, or of its folder, are left out."""
        own = release.files
        folders = {str(folder) for path in own for folder in PurePosixPath(path).parents}
        kept = {
            path: content
            for path, content in self.files.items()
            if path not in folders and own.keys().isdisjoint(map(str, PurePosixPath(path).parents))
        }
        return {**kept, **own}


@dataclass(frozen=True)
class Row:
    """What grading one notebook of one student came to.

    `text` is the autograded notebook; `scores` the points of each graded cell by grade_id, None
    where a person has to give them; `seconds` is how long it took.
    """

    student: str
    notebook: str
    text: str
    scores: Mapping[str, float | None]
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def status(self) -> findings.Status:
        """What became of it."""
        return findings.status(self.findings)


class Grader:
    """Grades submissions of one release, one after the other. Close it, or use it with ``with``.

    Raises JailUnavailableError, at the first submission, where the options want a jail and this
    machine has none.
    """

    def __init__(self, release: Release, options: Options):
        self.release = release
        self.options = options
        self._folder = Path(tempfile.mkdtemp(prefix="grading-"))
        self._templates: dict[str, _Template] = {}
        self._closed = False

    def __enter__(self) -> "Grader":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """End every process that was started for this, and remove its folder.

        Another thread may be grading a submission: what becomes of that is of no use then.
        """
        self._closed = True
        while self._templates:
            self._templates.popitem()[1].close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def grade(self, submission: Submission) -> Row:
        """Grade one submission. Raises GradingError and JailUnavailableError."""
        began = time.monotonic()
        checked = preflight(submission.data, self.release, found=submission.findings)
        found = list(checked.findings)
        if not self.options.sandboxed:
            found.append(Finding("unsandboxed", "The code ran without a jail."))
        notebook = checked.notebook
        if checked.refused:
            for cell in notebook.cells:
                if cell.cell_type == "code":
                    cell.outputs = [_not_run("This submission could not be run.")]
        else:
            files = submission.files_with(self.release)
            found += self._run(notebook, submission.student, files)
        scores = {
            cell.metadata.nbgrader.grade_id: 0.0 if checked.refused else _points(cell)
            for cell in notebook.cells
            if is_grade(cell)
        }
        seconds = time.monotonic() - began
        return self._row(submission, notebook, scores, tuple(found), seconds)

    def _row(self, submission, notebook, scores, found: tuple[Finding, ...], seconds) -> Row:
        notebook.metadata["grading"] = {
            "status": str(findings.status(found)),
            "findings": findings.to_metadata(found),
            "sandboxed": self.options.sandboxed,
            "submission": submission.digest,
            "release": self.release.digest,
            "seconds": round(seconds, 3),
        }
        if found:
            notebook.cells.insert(0, _report(found))
        text = nbformat.writes(notebook, version=4)
        # Learners' code can print halves of characters, which no file can hold.
        text = text.encode("utf-8", "replace").decode()
        name = self.release.notebook
        return Row(submission.student, name, text, scores, found, seconds)

    # Running

    def _run(self, notebook, student: str, files: Mapping[str, bytes]) -> list[Finding]:
        """Run a notebook's cells beside these files, and put their outputs into it."""
        work = Path(tempfile.mkdtemp(dir=self._folder))
        run = _Run(self._template("trusted"), self._template(self._learners_role))
        try:
            job = self._job(notebook, student, files, work)
            found = run.go(job, notebook.cells)
        finally:
            run.end()
            shutil.rmtree(work, ignore_errors=True)
        return found

    def _job(
        self, notebook, student: str, files: Mapping[str, bytes], work: Path
    ) -> dict[str, Any]:
        options = self.options
        view = (options.view.readable, options.view.hidden) if options.sandboxed else None
        (work / "tests").mkdir()
        jail_folder = f"{jail.SCRATCH}/work"
        if not options.sandboxed:
            jail_folder = str(work / "learner")
            Path(jail_folder).mkdir()
        return {
            "student": student,
            "view": view and [[str(Path(path).absolute()) for path in paths] for paths in view],
            "cells": [self._cell(cell) for cell in notebook.cells],
            "imports": self.release.imports,
            "learner_names": sorted(self.release.learner_names),
            "files": _in_base_64(self.release.files),
            "learner_files": _in_base_64(files),
            "folder": str(work / "tests"),
            "jail_folder": jail_folder,
            "cell_s": options.cell_s,
            "call_s": options.call_s,
            "notebook_s": options.notebook_s,
            "output_bytes": options.output_bytes,
        }

    def _cell(self, cell) -> dict[str, str]:
        if cell.cell_type != "code" or not cell.source.strip():
            return {"kind": "text"}
        released = self.release.managed.get(cell.metadata.get("nbgrader", {}).get("grade_id"))
        if released is None or not released.runs_trusted:
            return {"kind": "learner", "source": cell.source}
        kind = "test" if released.grade else "given"
        return {"kind": kind, "source": cell.source, "released": released.released}

    @property
    def _learners_role(self) -> str:
        return "jailed" if self.options.sandboxed else "unjailed"

    def _template(self, role: str) -> "_Template":
        """The template for a role; a new one where it has ended."""
        if self._closed:
            raise GradingError("this grader has been closed")
        template = self._templates.get(role)
        if template is None or not template.alive:
            if template is not None:
                template.close()
            modules = modules_of(self.release, tests=role == "trusted")
            template = _Template(role, self.options, modules, self._folder)
            self._templates[role] = template
        return template


def try_jail() -> None:
    """Build a jail and take it down. Raises JailUnavailableError where there cannot be one."""
    with tempfile.TemporaryDirectory(prefix="grading-") as folder:
        _Template("jailed", Options(), [], Path(folder)).close()


class _Run:
    """The two kernels of one submission."""

    def __init__(self, trusted: "_Template", learners: "_Template"):
        ours, report = socket.socketpair()
        tests_end, learners_end = socket.socketpair()
        self._life, wardens_end = socket.socketpair()
        self._learners = learners
        self._report = Channel(ours.detach(), sends=LARGE, takes=LARGE)
        self._pid: int | None = None
        self._exceeded_before = learners.times_exceeded()
        learners.fork([learners_end.fileno(), wardens_end.fileno()])
        trusted.fork([report.fileno(), tests_end.fileno(), self._life.fileno()])
        for one in (report, tests_end, learners_end, wardens_end):
            one.close()

    def go(self, job: Mapping[str, Any], cells: Sequence) -> list[Finding]:
        """Have the job done. What each cell gives is kept as it comes, so that a kernel which ends
        early costs only what comes after."""
        # Before a test, names are asked for; a given cell runs on both sides.
        patience = job["call_s"] + 2 * job["cell_s"] + _PATIENCE_S
        waiting = {number for number, cell in enumerate(job["cells"]) if cell["kind"] != "text"}
        found: list[Finding] = []
        died = False
        try:
            self._pid = self._report.receive(_START_S)["pid"]
            self._report.send(job)
            while True:
                message = self._report.receive(patience)
                if "findings" in message:
                    found = [Finding(*one) for one in message["findings"]]
                    died = message["died"]
                    break
                cell = cells[message["cell"]]
                cell.outputs = [nbformat.from_dict(one) for one in message["outputs"]]
                cell.execution_count = message["count"]
                waiting.discard(message["cell"])
        except (TimeoutError, ClosedError):
            found.append(Finding("not-finished", "The tests of this notebook did not end."))
            died = True
        for number in waiting:
            cells[number].outputs = [_not_run("This cell was not reached.")]
        return found + self._postscript(died)

    def end(self) -> None:
        """End both kernels."""
        if self._pid is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._pid, signal.SIGKILL)
        self._report.close()
        self._life.close()

    def _postscript(self, died: bool) -> list[Finding]:
        """What the warden says about the jail when it is gone."""
        with suppress(OSError):  # it has been ended already
            self._life.shutdown(socket.SHUT_WR)
        self._life.settimeout(_PATIENCE_S)
        data = b""
        with suppress(OSError):  # the warden has been ended, for want of memory: it says nothing
            while arrived := self._life.recv(1 << 16):
                data += arrived
        how = json.loads(data) if data else {}
        found = []
        if how.get("excess") or self._learners.times_exceeded() > self._exceeded_before:
            says = "The notebook's processes took more memory than one submission may have."
            found.append(Finding("memory-limit", says))
        if how.get("left") and not died:
            says = f"Processes were still running after the last cell: {how['left']}."
            found.append(Finding("left-processes", says))
        return found


class _Template:
    """A template process, and the socket over which it takes orders."""

    def __init__(self, role: str, options: Options, modules, folder: Path):
        self._options = options
        self._role = role
        # Of all processes of this machine, and of all templates of this process.
        self._number = os.getpid() * 64 + next(_NUMBERS) % 64
        self._folder = folder
        self._group = None
        modules = list(modules)
        while (refused := self._start(modules)) is not None:
            modules.remove(refused)

    def _start(self, modules: Iterable[str]) -> str | None:
        """Start the process; a module that it cannot import ahead of time is returned instead."""
        self._control, control = socket.socketpair()
        limits = json.dumps(asdict(self._options.limits))
        program = [sys.executable, "-m", "course_lib.grading.template", self._role]
        program += [str(control.fileno()), str(self._number), limits, *modules]
        if self._role == "jailed":
            program = jail.command(self._options.view, program, self._folder)
            # Beside the submission there is the template itself.
            self._group = jail.MemoryGroup.create(self._options.limits.memory_mib + 512)
            if self._group is not None:
                program = self._group.start(program)
        self._complaints = open(self._folder / f"{self._role}.log", "w+b")  # noqa: SIM115
        self._process = subprocess.Popen(
            program,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._complaints,
            pass_fds=[control.fileno()],
            env=_environment(self._role),
            cwd=self._folder,
        )
        control.close()
        self._control.settimeout(_START_S)
        answer = json.loads(self._control.recv(1 << 16) or b"{}")
        self._control.settimeout(None)
        if answer.get("ready"):
            return None
        refused = answer.get("refused")
        self.close()
        if refused is None:
            self._fail()
        return refused

    def _fail(self) -> None:
        says = (self._folder / f"{self._role}.log").read_text(errors="replace").strip()
        if self._role == "jailed":
            raise jail.JailUnavailableError(f"no jail can be had here: {says or 'no reason given'}")
        raise GradingError(f"the kernels' template does not start: {says}")

    @property
    def alive(self) -> bool:
        """Whether it can still be asked for kernels."""
        return self._process.poll() is None

    def times_exceeded(self) -> int:
        """How often a process of it was ended for want of memory."""
        return self._group.times_exceeded() if self._group is not None else 0

    def fork(self, descriptors: Sequence[int]) -> None:
        """Have it start a kernel that uses these descriptors."""
        socket.send_fds(self._control, [b"fork"], descriptors)

    def close(self) -> None:
        """End it, and whatever it has started."""
        self._control.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._complaints.close()
        if self._group is not None:
            self._group.remove()
            self._group = None


def _environment(role: str) -> dict[str, str]:
    """What a kernel finds in its environment. A learner's has nothing of the grader's own."""
    package = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    # Libraries that start threads when they are imported could not be forked.
    one_thread = dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
    )
    if role != "jailed":
        return {**os.environ, **one_thread, "PYTHONPATH": path}
    kept = {name: os.environ[name] for name in ("JAVA_HOME", "PATH", "TZ") if name in os.environ}
    return {
        "LANG": "C.UTF-8",
        "HOME": "/tmp",
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **kept,
        **one_thread,
        "PYTHONPATH": path,
    }


def modules_of(release: Release, *, tests: bool) -> list[str]:
    """The modules that a release's cells import at top level, those of its tests too or not; and
    NumPy if there is one, whose arrays pass between kernels only where it is loaded."""
    modules: dict[str, None] = {"numpy": None} if find_spec("numpy") else {}
    texts = [
        cell.source if tests else cell.released
        for cell in release.cells
        if cell.cell_type == "code" and (tests or not cell.grade)
    ]
    for statement in chain.from_iterable(map(import_statements, [release.imports, *texts])):
        if isinstance(statement, ast.Import):
            modules.update(dict.fromkeys(alias.name for alias in statement.names))
        elif statement.module and not statement.level:
            modules[statement.module] = None
    return list(modules)


def _points(cell) -> float | None:
    """What nbgrader makes of a graded cell's outputs."""
    try:
        return determine_grade(cell)[0]
    except (KeyError, ValueError) as error:  # a result that is empty, or more than there is to earn
        cell.outputs = [_error_output("InvalidPoints", f"The test's result is no points: {error}.")]
        return 0.0


def _report(found: Iterable[Finding]):
    lines = [f"- **{finding.name}**: {_as_text(finding.says)}" for finding in found]
    text = "\n".join(["**What grading found**", "", *lines])
    cell = nbformat.v4.new_markdown_cell(text)
    cell.metadata["grading"] = "report"
    cell.id = "grading-report"
    return cell


def _as_text(says: str) -> str:
    """Markdown for a sentence that quotes what a learner wrote: no markup, no script."""
    return re.sub(r"[^\w\s.,;:()/-]", lambda found: f"&#{ord(found[0])};", says)


def _not_run(says: str):
    return _error_output("NotRun", says)


def _error_output(name: str, says: str):
    return nbformat.v4.new_output("error", ename=name, evalue=says, traceback=[f"{name}: {says}"])


def _in_base_64(files: Mapping[str, bytes]) -> dict[str, str]:
    return {path: base64.b64encode(content).decode() for path, content in files.items()}

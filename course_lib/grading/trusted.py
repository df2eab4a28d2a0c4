"""The trusted kernel: runs the tests of one submission, and has the jailed one run the rest.

It is outside of the jail and belongs to one submission only. Its cells are the release's; what it
sees of the learner's kernel are the values that come back from it.
"""

import base64
import builtins
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from course_lib.grading import jail
from course_lib.grading.proxies import (
    STUDENT_VARIABLE,
    GivenUpError,
    LearnerKernel,
    LearnerKernelError,
    LearnerTimeoutError,
)
from course_lib.grading.release import names_bound, names_used
from course_lib.grading.shell import Shell, no_input, reseed
from course_lib.grading.wire import LARGE, Channel

# For a test that begins when there is hardly any time left.
_LEAST_S = 1.0

_WORD = re.compile(r"[^\W\d]\w*")


def run(shell: Shell, report: int, channel: int, life: int) -> None:
    """Run the notebook that comes over `report`, telling each cell's outputs as they come.

    `channel` leads to the learner's kernel, `life` to its warden.
    """
    jail.die_with_parent()
    os.setsid()
    grader = Channel(report, sends=LARGE, takes=LARGE)
    grader.send({"pid": os.getpid()})
    job = grader.receive()
    os.chdir(job["folder"])  # which has the course's files, and nothing of the learner's
    sys.path.insert(0, "")
    os.environ["NBGRADER_EXECUTION"] = "autograde"
    os.environ[STUDENT_VARIABLE] = job["student"]
    for name, content in job["files"].items():
        path = Path(job["folder"], name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(content))
    no_input()
    reseed()
    learner = LearnerKernel(
        Channel(channel, sends=LARGE),
        socket.socket(fileno=life),
        job["call_s"],
        job["output_bytes"],
    )
    if job["view"] is not None:
        learner.view = jail.View(*(list(map(Path, paths)) for paths in job["view"]))
    notebook = _Notebook(shell, learner, job)
    for number, outcome in notebook.run():
        grader.send({"cell": number, **outcome})
    findings = [[finding.name, finding.says, finding.cell] for finding in learner.findings]
    grader.send({"findings": findings, "died": learner.dead is not None})


class TestTimeoutError(GivenUpError):
    """A cell of tests took too long."""


class _Notebook:
    """One submission's cells, and the names that its tests know.

    The tests' own names come from the release's locked cells, and from the imports of its other
    ones. A learner's name never takes the place of one of those, or of a builtin, unless the
    release has it as a name for the answer.
    """

    def __init__(self, shell: Shell, learner: LearnerKernel, job: Mapping[str, Any]):
        self._shell = shell
        self._learner = learner
        self._job = job
        self._deadline = time.monotonic() + job["notebook_s"]
        self._ours = set(vars(builtins)) | set(shell.user_ns) - {"__name__"}
        self._ours -= set(job["learner_names"])
        self._mentioned: set[str] = set()
        self._theirs: set[str] = set()

    def run(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Each code cell's number, and its outcome: ``{"outputs", "count"}``."""
        self._trusted(self._job["imports"])
        # A failure is among the findings, and every cell will say so.
        with suppress(LearnerKernelError, LearnerTimeoutError):
            self._learner.enter(self._job["jail_folder"], self._job["learner_files"])
        for number, cell in enumerate(self._job["cells"]):
            if cell["kind"] == "test":
                yield number, self._test(cell)
            elif cell["kind"] == "given":
                self._bring_names(cell)
                self._trusted(cell["source"])
                yield number, self._execute(cell["released"])
            elif cell["kind"] == "learner":
                yield number, self._execute(cell["source"])

    def _test(self, cell: Mapping[str, str]) -> dict[str, Any]:
        self._bring_names(cell)
        answer = self._trusted(cell["source"])
        for output in answer["outputs"]:
            if output.get("name") == "stderr":
                # nbgrader would take anything there for a failed test; a failed one has an error.
                output["name"] = "stdout"
        if not answer["ok"] and all(one["output_type"] != "error" for one in answer["outputs"]):
            answer["outputs"].append(_error("FailedTest", "This test did not end as it should."))
        return {"outputs": answer["outputs"], "count": answer["count"]}

    def _trusted(self, source: str) -> dict[str, Any]:
        names = self._shell.user_ns
        before = dict(names)
        with _time_limit(min(self._job["cell_s"], max(self._seconds_left(), _LEAST_S))):
            answer = self._shell.run(source, self._job["output_bytes"])
        # What the text does not show, such as ``from math import *``, the names themselves do.
        bound = {name for name in names if name not in before or names[name] is not before[name]}
        bound |= names_bound(source)
        self._ours |= bound - set(self._job["learner_names"])
        return answer

    def _bring_names(self, cell: Mapping[str, str]) -> None:
        """Let the tests have what the learner's notebook has under the names that they mention, in
        what learners can read of them within strings too: ``check("ps01/share")``.

        The learner's kernel is told these names. It must not learn the words of hidden tests:
        ``assert capital("France") == "Paris"``.
        """
        self._seconds_left()
        self._mentioned |= names_used(cell["source"]) | set(_WORD.findall(cell["released"]))
        wanted = sorted(self._mentioned - self._ours)
        names = self._shell.user_ns
        ours = {name: names[name] for name in self._ours if name in names}
        try:
            found = self._learner.names(wanted, ours)
        except (LearnerKernelError, LearnerTimeoutError):
            return  # what was there before stays: whoever calls it is told why it cannot be
        for name in self._theirs - found.keys():
            names.pop(name, None)
        names.update(found)
        self._theirs = set(found)

    def _seconds_left(self) -> float:
        """Until the notebook as a whole has taken too long; its kernel ends then."""
        left = self._deadline - time.monotonic()
        if left <= 0 and not self._learner.dead:
            seconds = self._job["notebook_s"]
            self._learner.too_late(f"The notebook had not ended after {seconds:g} seconds.")
        return left

    def _execute(self, source: str) -> dict[str, Any]:
        left = self._seconds_left()
        try:
            return self._learner.execute(source, min(left, self._job["cell_s"]))
        except LearnerTimeoutError as error:
            return {"outputs": [_error("CellTimeoutError", f"This cell {error}.")], "count": None}
        except LearnerKernelError as error:
            return {"outputs": [_error("DeadKernelError", str(error))], "count": None}


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise TestTimeoutError in the main thread when the time is up."""

    def give_up(*_):
        raise TestTimeoutError(f"This test had not ended after {seconds:g} seconds.")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _error(name: str, says: str) -> dict[str, Any]:
    return {"output_type": "error", "ename": name, "evalue": says, "traceback": [f"{name}: {says}"]}

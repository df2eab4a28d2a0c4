"""A program with a learner's code in it, in a jail of its own.

Tests of a learner's function call it where the learner's kernel is. Where a test runs the source
of the function in a process apart, as a Spark job, it does so through here, behind the same walls.

``python -m course_lib.grading.program NUMBER FOLDER LIMITS PROGRAM …`` is what runs behind the
outer one: it builds the inner one and starts the program in it.
"""

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from course_lib.grading import jail
from course_lib.spark.logs import LOGS_FOLLOW, LOGS_VARIABLE, end_of, log_files

# A Spark session with an executor apart, and what it spills.
_LIMITS = jail.Limits(scratch_mib=512, processes=1024, cpu_s=300)

FAILED = 125  # the exit code where the jail itself is at fault

# What a program has of its starter's environment: in the grader's there may be secrets.
ENVIRONMENT = frozenset(
    ("JAVA_HOME", "JAVA_TOOL_OPTIONS", "LANG", "PATH", "PYTHONPATH", "TMPDIR", "TZ", LOGS_VARIABLE)
)


def jailed(program: Sequence[str], folder: Path, view: jail.View) -> list[str]:
    """The command line that runs `program` in a jail that has what `view` shows and, to be read,
    `folder`. What the program's environment names in that folder it finds in its scratch folder;
    of the grader's own environment it has `ENVIRONMENT` only.

    The logs that are in there at the end (see `log_files`) go to stderr, after `LOGS_FOLLOW`. The
    exit code is `FAILED` where the jail itself did not stand. Raises JailUnavailableError.
    """
    folder.chmod(0o755)
    for file in folder.iterdir():
        file.chmod(0o755 if file.is_dir() else 0o644)
    limits = json.dumps(asdict(_LIMITS))
    # No template process has this number: those belong to the grader's process, not to this one.
    number = str(os.getpid() * 64)
    private = [word for name in os.environ if name not in ENVIRONMENT for word in ("-u", name)]
    runner = [sys.executable, "-m", __name__, number, str(folder), limits, *program]
    inside = ["/usr/bin/env", *private, *runner]
    shown = jail.View([*view.readable, folder], view.hidden)
    return jail.command(shown, inside, folder)


def main(number: int, folder: str, limits: jail.Limits, program: Sequence[str]) -> int:
    """Behind the outer wall: run the program behind the inner one, and return its exit code."""
    jail.leave_root(number)
    jail.enter()
    first = os.fork()
    if first == 0:
        code = 1
        try:
            code = _first_process(folder, limits, program)
        except Exception as error:
            # What fails later may be the program's doing: stderr that it has filled to the limit.
            code = FAILED if isinstance(error, jail.JailUnavailableError) else 1
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])


def _first_process(folder: str, limits: jail.Limits, program: Sequence[str]) -> int:
    """The jail's first process: when it ends, so does everything else in the jail."""
    jail.furnish(limits)
    jail.die_with_parent()
    work = Path(jail.SCRATCH, "work")
    for inner in Path(folder).iterdir():
        if inner.is_dir():
            (work / inner.name).mkdir()
    environment = {name: value.replace(folder, str(work)) for name, value in os.environ.items()}
    environment["HOME"] = str(work)
    code = subprocess.run(program, env=environment, cwd=work).returncode
    sys.stderr.write(LOGS_FOLLOW)
    for log in log_files(work):
        sys.stderr.write(end_of(log))
    if code == FAILED:
        return 1
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    _number, _folder, _limits, *_program = sys.argv[1:]
    try:
        sys.exit(main(int(_number), _folder, jail.Limits(**json.loads(_limits)), _program))
    except jail.JailUnavailableError as error:
        print(error, file=sys.stderr)
        sys.exit(FAILED)

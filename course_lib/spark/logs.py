"""Where the processes of a session or of a child leave their logs, and how they are read."""

from pathlib import Path

from course_lib.units import MIB

# Where a session's logs are to stay when it has ended.
LOGS_VARIABLE = "SPARK_COURSE_LOGS"

# A child behind walls has its logs there too: they come on its stderr, after this line.
LOGS_FOLLOW = "\n-- logs --\n"

_MOST = 4 * MIB  # of each file: a child that prints for ever is not to fill its parent


def log_files(folder: Path) -> list[Path]:
    """The logs in a folder, but for those of collectors: first those of Spark's drivers, then what
    the child itself wrote, then what executors did."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [
        path
        for path in files
        if path.name in ("stderr", "stdout")
        or (path.suffix == ".log" and not path.name.startswith("gc-"))
    ]


def end_of(file: Path) -> str:
    """The text of a file, or the end of it where it has more than 4 MiB."""
    with file.open("rb") as content:
        content.seek(max(0, file.stat().st_size - _MOST))
        return content.read().decode(errors="replace")

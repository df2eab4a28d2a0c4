"""Run lessons top to bottom in fresh kernels and store their outputs in place.

    python scripts/run_lessons.py [notebooks/04_inside_the_executors_heap.ipynb ...]

A cell that fails stops the run, unless it is tagged ``raises-exception``. Text that a cell writes
to stderr is an error too: a lesson's reader should never see a warning nobody comments on.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent


def run(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    for number, cell in enumerate(notebook.cells, start=1):
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                sys.exit(f"{path.name}, cell {number} writes to stderr:\n{output['text']}")
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    } | {
        # The explorables' tables: with them, an exported page works without a kernel.
        name: state
        for name, state in notebook.metadata.items()
        if name == "widgets"
    }
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


def main() -> None:
    lessons = [Path(name) for name in sys.argv[1:]] or sorted((ROOT / "notebooks").glob("*.ipynb"))
    for path in lessons:
        # Each lesson meets the progress of a learner who has just begun, not that of its author.
        with tempfile.TemporaryDirectory() as progress:
            os.environ["SPARK_COURSE_PROGRESS"] = progress
            started = time.monotonic()
            run(path)
        print(f"{path.name}: {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()

"""Make the README's pictures: a lesson and the race in JupyterLab, and the picture of memory.

    python scripts/make_pictures.py

Runs lesson 04 in a real JupyterLab and needs Chromium.
"""

import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from course_lib.draw import picture
from course_lib.model import container, heap

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "browser"))

from lab import open_and_run, press, running_browser, running_lab, write_notebook  # noqa: E402

LESSON = "04_inside_the_executors_heap.ipynb"


def lesson_in_jupyterlab(target: Path) -> None:
    """Lesson 04, run to its explorable, with one control moved."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(ROOT / "notebooks" / LESSON, folder)
        with running_lab(Path(folder)) as address, running_browser() as browser:
            page = browser.new_page(viewport={"width": 1280, "height": 860})
            open_and_run(page, address, LESSON, seconds=300)
            press(page, "storage_fraction", "ArrowLeft", "ArrowLeft")
            page.locator(".explorable").first.evaluate("e => e.scrollIntoView({block: 'end'})")
            page.wait_for_timeout(500)
            page.screenshot(path=target)


def race_in_jupyterlab(target: Path) -> None:
    """The race of the two memory managers, at its end."""
    with tempfile.TemporaryDirectory() as folder:
        cell = "from course_lib.widgets import Race\nRace(trace='cache and shuffle')"
        write_notebook(Path(folder) / "race.ipynb", cell)
        with running_lab(Path(folder)) as address, running_browser() as browser:
            page = browser.new_page(viewport={"width": 1280, "height": 1100})
            open_and_run(page, address, "race.ipynb", ".film svg")
            page.locator('.film input[type="range"]').first.focus()
            page.keyboard.press("End")
            page.wait_for_timeout(1000)  # until the regions have glided into place
            page.locator(".explorable").first.screenshot(path=target)


def container_picture(target: Path) -> None:
    """An executor's container on YARN, its heap divided into Spark's regions."""
    conf = {"spark.executor.memory": "4g"}
    whole = container(conf, cluster_manager="yarn").region()
    inside, *beside = whole.children
    divided = replace(inside, children=heap(conf).region().children)
    shown = picture(replace(whole, children=(divided, *beside)), title="An executor with 4 GB")
    shown.figure().savefig(target, dpi=120)


if __name__ == "__main__":
    container_picture(ROOT / "docs" / "container.png")
    race_in_jupyterlab(ROOT / "docs" / "race.png")
    lesson_in_jupyterlab(ROOT / "docs" / "lesson.png")

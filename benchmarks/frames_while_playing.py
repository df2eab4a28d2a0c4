"""The time between frames while an explorable plays a film, in a real browser in JupyterLab."""

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

# The same server and browser as in the browser tests.
from tests.browser.lab import open_and_run, running_browser, running_lab, write_notebook

FILMS = ("Race", "CacheShelf", "TasksAtOnePool", "OnHeapOffHeap")
FILM = "from course_lib.widgets import {0}\n{0}()"

# Counts from the first frame after the click to the end of the film, which Play's release tells.
_FRAMES = """async () => {
  const play = document.querySelector('.transport button[aria-label="Play"]');
  const frames = [];
  play.click();
  await new Promise((done) => {
    const count = (now) => {
      frames.push(now);
      if (play.getAttribute("aria-pressed") === "true") requestAnimationFrame(count);
      else done();
    };
    requestAnimationFrame(count);
  });
  return frames.slice(1).map((now, i) => now - frames[i]);
}"""


def measure() -> Iterator[tuple[str, str, str, str]]:
    """Rows: film, frames a second, median and worst interval, and what stands still instead."""
    with tempfile.TemporaryDirectory() as folder:
        for name in FILMS:
            write_notebook(Path(folder) / f"{name}.ipynb", FILM.format(name))
        with running_browser() as browser, running_lab(Path(folder)) as address:
            for name in FILMS:
                page = browser.new_page()
                open_and_run(page, address, f"{name}.ipynb", ".film svg")
                page.wait_for_timeout(1000)  # until the page has settled
                intervals = page.evaluate(_FRAMES)
                rate = 1000 * len(intervals) / sum(intervals)
                told = f"{statistics.median(intervals):.1f}, {max(intervals):.1f} ms"
                yield f"{name} plays", f"{rate:.0f} frames/s", told, "median, worst interval"
                page.close()


if __name__ == "__main__":
    for row in measure():
        print("{:<24} {:>14} {:>18}  {}".format(*row))

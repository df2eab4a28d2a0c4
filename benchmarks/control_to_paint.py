"""From a key press on a control to the painted picture, in a real browser in JupyterLab."""

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

# The same server and browser as in the browser tests.
from tests.browser.lab import open_and_run, press, running_browser, running_lab, write_notebook

EXPLORABLES = ("HeapRegions", "ContainerBuilder")
EXPLORABLE = "from course_lib.widgets import {0}\n{0}()"
INSTEAD = """
import ipywidgets
import matplotlib.pyplot as plt
from course_lib.model import heap

@ipywidgets.interact(gib=(1, 20))
def show(gib=1):
    regions = heap({"spark.executor.memory": f"{gib}g"}).region().children
    plt.bar([region.name for region in regions], [region.size for region in regions])
    plt.show()
"""

# `painted` runs once the frame is rendered that follows: a task posted from an animation frame.
_PAINTED = """
  const painted = (start) => requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => window.paints.push(performance.now() - start);
    port2.postMessage(null);
  });
"""
_AFTER_THE_KEY = f"""() => {{
  {_PAINTED}
  window.paints = [];
  window.addEventListener("keydown", (event) => painted(event.timeStamp), true);
}}"""
_AFTER_THE_IMAGE = f"""() => {{
  {_PAINTED}
  window.paints = [];
  const handle = document.querySelector(".noUi-handle");
  handle.setAttribute("data-lm-suppress-shortcuts", "true");
  let pressed;
  window.addEventListener("keydown", (event) => {{ pressed = event.timeStamp; }}, true);
  new MutationObserver((changes) => {{
    for (const node of changes.flatMap((change) => [...change.addedNodes])) {{
      const image = node.querySelector?.("img");
      if (image) image.decode().then(() => painted(pressed));
    }}
  }}).observe(document.querySelector(".jp-OutputArea"), {{ childList: true, subtree: true }});
}}"""


def measure(presses: int = 200) -> Iterator[tuple[str, str, str, str]]:
    """Rows of what is measured, here, instead, and what instead is; median and 95th percentile."""
    with tempfile.TemporaryDirectory() as folder:
        for name in EXPLORABLES:
            write_notebook(Path(folder) / f"{name}.ipynb", EXPLORABLE.format(name))
        write_notebook(Path(folder) / "instead.ipynb", INSTEAD)
        with running_browser() as browser, running_lab(Path(folder)) as address:
            page = browser.new_page()
            open_and_run(page, address, "instead.ipynb", ".noUi-handle")
            page.evaluate(_AFTER_THE_IMAGE)
            page.locator(".noUi-handle").focus()
            instead = _press_all(page, _to_and_fro(presses // 5, 19))
            for name in EXPLORABLES:
                page = browser.new_page()
                open_and_run(page, address, f"{name}.ipynb")
                press(page, "memory", "Home")
                last = page.locator('[data-control="memory"]').evaluate("e => Number(e.max)")
                page.evaluate(_AFTER_THE_KEY)
                here = _press_all(page, _to_and_fro(presses, last))
                nothing = _press_all(page, ["F9"] * presses)
                yield f"{name}, key to paint", here, instead, "ipywidgets, inline matplotlib"
                yield "", "", nothing, "a key that changes nothing"


def _to_and_fro(presses: int, last: int) -> list[str]:
    """Keys that go up the whole range and down again, so that every one moves the control."""
    return ["ArrowRight" if i // last % 2 == 0 else "ArrowLeft" for i in range(presses)]


def _press_all(page, keys: Sequence[str]) -> str:
    """Press keys as a finger does that rests on them, each after the last has had its effect."""
    page.evaluate("window.paints.length = 0")
    for count, key in enumerate(keys, 1):
        page.keyboard.press(key)
        page.wait_for_function("count => window.paints.length >= count", arg=count)
        page.wait_for_timeout(30)
    times = page.evaluate("window.paints")
    p95 = statistics.quantiles(times, n=20)[-1]
    return f"{statistics.median(times):.0f}, {p95:.0f} ms"


if __name__ == "__main__":
    for row in measure():
        print("{:<34} {:>12} {:>12}  {}".format(*row))

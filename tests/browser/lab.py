"""A real JupyterLab server and a real browser, for tests and benchmarks."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import nbformat
from playwright.sync_api import Browser, Locator, Page, sync_playwright

ROOT = Path(__file__).parents[2]
TOKEN = "loopback-only"
NO_CHROMIUM = "Chromium is not installed: on Debian, `apt-get install chromium` brings it"
_QUIET = (
    "--no-sandbox",  # Chromium refuses to be sandboxed for root, which is who runs containers
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def find_chromium() -> str | None:
    """The browser's path, or None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Chromium without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=_QUIET)
        yield browser
        browser.close()


@contextmanager
def running_lab(folder: Path) -> Iterator[str]:
    """The address of a JupyterLab server on the loopback, started in `folder`, its root."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = folder / ".jupyter"  # no setting of the machine's owner is read or changed
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(own / "config"),
        "JUPYTER_DATA_DIR": str(own / "data"),
        "JUPYTER_RUNTIME_DIR": str(own / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(own / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(own / "workspaces"),
        "PYTHONPATH": str(ROOT),
    }
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1",
        f"--port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}",
        f"--IdentityProvider.token={TOKEN}",
        # Nothing is looked up on the network.
        "--LabApp.extension_manager=readonly", "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
    log = folder / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, cwd=folder, stdout=output, stderr=output, env=environment
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/api?token={TOKEN}", server, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()  # it ends its kernels, then itself
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
            raise


def _wait_for(address: str, server: subprocess.Popen, log: Path, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab does not answer:\n{log.read_text()}")


def write_notebook(path: Path, *cells: str) -> None:
    """A notebook of code cells, not executed."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(notebook, path)


def open_and_run(
    page: Page, address: str, notebook: str, awaited: str = ".explorable svg", seconds: float = 60
) -> None:
    """Open a notebook in JupyterLab, run all its cells and wait for what they should show."""
    page.goto(f"{address}/lab/tree/{notebook}?token={TOKEN}&reset", timeout=60_000)
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=60_000)
    page.locator(".lm-MenuBar-item", has_text="Run").first.click()
    page.locator('.lm-Menu-item[data-command="runmenu:run-all"]').click()
    page.locator(awaited).first.wait_for(timeout=seconds * 1000)


def explorable(page: Page, title: str) -> Locator:
    """The explorable that has this title."""
    return page.locator(".explorable", has=page.locator("header", has_text=title)).first


@contextmanager
def open_explorables(
    browser: Browser, folder: Path, cells: Sequence[str], titles: Sequence[str]
) -> Iterator[Page]:
    """A notebook of such cells, run, with these explorables drawn; its console must stay free of
    errors until the end of the block."""
    write_notebook(folder / "explorables.ipynb", *cells)
    with running_lab(folder) as address:
        context = browser.new_context(viewport={"width": 1200, "height": 1000})
        page = context.new_page()
        complaints = collect_complaints(page)
        open_and_run(page, address, "explorables.ipynb")
        for title in titles:  # JupyterLab lays out what is looked at
            explorable(page, title).scroll_into_view_if_needed(timeout=60_000)
            explorable(page, title).locator("svg").first.wait_for()
        yield page
        context.close()  # before the server goes, whose absence JupyterLab would rightly report
    assert complaints == []


def press(page: Page | Locator, control: str, *keys: str) -> None:
    """Give a control of the page, or of one explorable, the focus and press keys."""
    control_itself = page.locator(f'[data-control="{control}"]').first
    control_itself.focus()
    for key in keys:
        control_itself.page.keyboard.press(key)


def collect_complaints(page: Page) -> list[str]:
    """What the page's console says in error or as a warning from now on; the list grows.

    That JupyterLab's own parts start slowly says something of the machine, and is left out.
    """
    complaints: list[str] = []

    def listen(message) -> None:
        slow = message.text.startswith("Plugin ") and message.text.endswith(" to activate.")
        if message.type in ("error", "warning") and not slow:
            complaints.append(message.text)

    page.on("console", listen)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return complaints

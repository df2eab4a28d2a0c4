import os

import pytest
from lab import NO_CHROMIUM, find_chromium, running_browser, running_lab, write_notebook
from playwright.sync_api import expect

expect.set_options(timeout=30_000)  # a busy machine needs longer than the usual 5 seconds


@pytest.fixture(scope="session")
def browser():
    if find_chromium() is None:
        if os.environ.get("CI"):
            pytest.fail(NO_CHROMIUM)
        pytest.skip(NO_CHROMIUM)
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def lab(browser, tmp_path_factory):
    """The address of a JupyterLab server, and its notebook of two explorables."""
    notebook = "explorable.ipynb"
    folder = tmp_path_factory.mktemp("lab")
    write_notebook(
        folder / notebook,
        "from course_lib.widgets import ContainerBuilder, HeapRegions",
        "regions = HeapRegions()\nregions",
        "ContainerBuilder()",
        "",
    )
    with running_lab(folder) as address:
        yield address, notebook

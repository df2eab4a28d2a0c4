"""The explorables of the process and of the heap at work, in a real JupyterLab."""

import psutil
import pytest
from contrast import choose_theme, unreadable
from lab import explorable, open_explorables, press

LIVE = """\
from course_lib.spark import Jvm
from course_lib.widgets import HeapSawtooth, ProcessMap
jvm = Jvm("64m", initial_heap="8m").start()
ProcessMap(jvm)"""


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    folder = tmp_path_factory.mktemp("jvm")
    cells = [LIVE, 'HeapSawtooth(heap="96m", collector="Parallel")', ""]
    with open_explorables(browser, folder, cells, ("Map of a process", "The heap at work")) as page:
        yield page


def regions(page):
    """Name and size of each region that the map draws, as it tells them."""
    return explorable(page, "Map of a process").locator("svg").text_content()


def run(page, code):
    """Run code in the notebook's last cell; what it printed."""
    cell = page.locator(".jp-Notebook .jp-CodeCell").last
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(code)
    page.keyboard.press("Control+Enter")
    output = cell.locator(".jp-OutputArea-output").filter(has_text="is ")
    output.wait_for()
    return output.inner_text().strip()


def test_the_map_of_a_live_jvm_is_drawn_as_measured(page):
    drawn = regions(page)
    assert "process" in drawn
    assert "collector" in drawn
    assert "measured" in explorable(page, "Map of a process").inner_text()


def test_direct_buffers_chosen_by_keyboard_are_drawn_and_then_really_allocated(page):
    press(page, "direct", "End")
    assert "direct buffers32.0 MiB" in regions(page).replace("  ", "")
    page.wait_for_timeout(1500)  # the control rests, and the kernel brings the JVM there
    committed = run(page, 'print("is", jvm.native_memory()["Other"].committed >> 20)')
    assert committed == "is 32"


def test_the_sawtooth_follows_its_controls(page):
    sawtooth = explorable(page, "The heap at work")
    sentence = sawtooth.locator(".sentence")
    before = sentence.inner_text()
    assert before.startswith("The program stood still for ")
    press(page, "heap", "ArrowLeft")
    assert sentence.inner_text() != before
    press(page, "survivors", "End")
    sentence.filter(has_text="OutOfMemoryError: GC overhead limit exceeded").wait_for()
    assert "recorded" in sawtooth.inner_text()


def test_maps_and_sawteeth_are_readable_in_the_light_and_in_the_dark_theme(page):
    assert unreadable(page) == {}
    choose_theme(page, "JupyterLab Dark", "false")
    assert unreadable(page) == {}
    choose_theme(page, "JupyterLab Light", "true")


def test_the_jvm_ends_with_its_kernel(page):
    pid = int(run(page, 'print("is", jvm.pid)').removeprefix("is "))
    jvm = psutil.Process(pid)
    page.locator(".lm-MenuBar-item", has_text="Kernel").first.click()
    page.locator('.lm-Menu-item[data-command="kernelmenu:shutdown"]').click()
    jvm.wait(30)
    assert not jvm.is_running()

"""The explorables of partitions, caches and plans, in JupyterLab and on a page without a kernel."""

import re
import subprocess
import sys

import nbformat
import pytest
from contrast import choose_theme, unreadable
from lab import ROOT, explorable, open_explorables, press
from nbclient import NotebookClient
from playwright.sync_api import expect

PATIENCE = 60_000  # milliseconds: when a control leaves what was sent ahead, the kernel is asked
CELLS = ("from course_lib.widgets import *", "PartitionSizes()", "CachePays()", "Planner()")
PARTITIONS, CACHE, PLANNER = (
    "Partitions against a task's share",
    "Does the cache pay?",
    "From nodes to executors",
)


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sizing")
    with open_explorables(browser, folder, CELLS, (PARTITIONS, CACHE, PLANNER)) as page:
        yield page


def sentence(page, title):
    return explorable(page, title).locator(".sentence")


def test_partitions_stand_as_bars_against_the_line(page):
    drawn = explorable(page, PARTITIONS).locator("svg").text_content()
    assert "1/4 of it: 128.0 MiB" in drawn
    assert "128.0 MiB, lacks" in drawn
    assert "the smallest" in drawn


def test_salt_from_the_keyboard_takes_the_spill_away(page):
    expect(sentence(page, PARTITIONS)).to_contain_text("Tasks that need more than their")
    press(page, "salt", *["ArrowRight"] * 4)
    expect(sentence(page, PARTITIONS)).to_contain_text("No task spills", timeout=PATIENCE)
    expect(explorable(page, PARTITIONS).locator("svg")).not_to_contain_text("lacks")
    press(page, "salt", "Home")


def test_the_table_of_partitions_holds_what_the_bars_say(page):
    shown = explorable(page, PARTITIONS)
    shown.get_by_text("Numbers as a table").click()
    shown.locator("table tr").nth(1).wait_for()
    rows = shown.locator("table tr").all_inner_texts()
    assert any(row.startswith("partition") and "lacks" in row for row in rows)
    assert any(row.startswith("1/4 of it") for row in rows)
    assert any(row.startswith("tasks that spill\t2 of 64") for row in rows)


def test_more_uses_of_a_table_make_its_cache_pay(page):
    press(page, "uses", "Home")
    expect(sentence(page, CACHE)).to_contain_text("it pays from use", timeout=PATIENCE)
    lines = explorable(page, CACHE).locator("svg")
    assert "used so far, with the cache" in lines.text_content()
    press(page, "uses", "End")
    seconds = re.findall(r"([\d.]+) s", sentence(page, CACHE).text_content())
    without, with_it = map(float, seconds)
    assert with_it < without


def test_a_node_is_cut_three_ways_and_again_when_it_has_fewer_cores(page):
    drawn = explorable(page, PLANNER).locator("svg")
    names = drawn.locator("g").evaluate_all("all => all.map(g => g.dataset.region)")
    assert [names.count(name) for name in ("executor", "task")] == [15 + 3 + 1, 3 * 15]
    press(page, "node_cores", "ArrowLeft")
    expect(sentence(page, PLANNER)).to_contain_text("Thin: 69 tasks at once", timeout=PATIENCE)
    names = drawn.locator("g").evaluate_all("all => all.map(g => g.dataset.region)")
    assert names.count("task") == 7 + 6 + 7
    press(page, "node_cores", "ArrowRight")


@pytest.mark.parametrize("title", [PARTITIONS, CACHE, PLANNER])
def test_each_picture_tells_a_screen_reader_what_it_shows(page, title):
    picture = explorable(page, title).get_by_role("img").first
    assert picture.locator("desc").text_content() == sentence(page, title).text_content()


def test_all_are_readable_in_the_light_and_in_the_dark_theme(page):
    assert unreadable(page) == {}
    choose_theme(page, "JupyterLab Dark", "false")
    assert unreadable(page) == {}
    choose_theme(page, "JupyterLab Light", "true")


def test_on_a_page_without_a_kernel_they_still_follow_their_controls(browser, tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in CELLS])
    NotebookClient(notebook, resources={"metadata": {"path": ROOT}}).execute()
    file = tmp_path / "sizing.ipynb"
    nbformat.write(notebook, file)
    subprocess.run(
        [sys.executable, "-m", "nbconvert", "--to", "lesson", "--log-level=ERROR", file],
        check=True,
        cwd=ROOT,
    )
    page = browser.new_page()
    errors = []  # of scripts; what nbconvert's page would fetch from the network is not there
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(file.with_suffix(".html").as_uri())
    explorable(page, PARTITIONS).locator("svg").wait_for()
    press(page, "partitions", "ArrowRight")
    assert "of 128;" in sentence(page, PARTITIONS).inner_text()
    press(page, "heap", "End")
    press(page, "node_memory", "ArrowLeft")
    assert "Thin: 149 tasks" in sentence(page, PLANNER).inner_text()
    page.close()
    assert errors == []

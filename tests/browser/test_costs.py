"""What Python workers, a result and a collector cost: three explorables in a real JupyterLab."""

import pytest
from contrast import choose_theme, unreadable
from lab import explorable, open_explorables, press

from course_lib.widgets import DriverBudget, PythonWorkers
from course_lib.widgets.driver_budget import driver_budget_view
from course_lib.widgets.gc_logs import gc_logs
from course_lib.widgets.python_workers import python_workers_view

WORKERS = "Python workers in a container"
BUDGET = "The driver's budget"
LOGS = "Garbage collection of one job"


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    folder = tmp_path_factory.mktemp("costs")
    cells = ["from course_lib.widgets import *", "PythonWorkers()", "DriverBudget()", "GcLogs()"]
    with open_explorables(browser, folder, cells, (WORKERS, BUDGET, LOGS)) as page:
        yield page


def sentence(page, title):
    return explorable(page, title).locator(".sentence").text_content()


def test_a_worker_for_each_core_is_drawn_and_one_of_them_from_inside(page):
    drawn = explorable(page, WORKERS).locator("svg")
    assert drawn.locator('g[data-region="worker"]').count() == 4
    assert drawn.locator('g[data-region="libraries"]').count() == 1
    press(explorable(page, WORKERS), "cores", "ArrowRight")
    assert drawn.locator('g[data-region="worker"]').count() == 8
    told = python_workers_view(dict(PythonWorkers.start) | {"cores": 8}).sentence
    assert sentence(page, WORKERS) == told
    assert "the container is killed." in told


def test_what_is_beyond_its_part_is_named_once_and_with_its_size(page):
    drawn = explorable(page, WORKERS).locator("svg").first
    said = drawn.text_content()
    assert "beyond overhead: " in said
    assert "beyond executor" not in said  # all that is beyond is in the overhead
    press(explorable(page, WORKERS), "cores", "ArrowLeft")
    assert "beyond" not in drawn.text_content()


def test_memory_set_aside_for_pyspark_gets_the_workers(page):
    press(explorable(page, WORKERS), "pyspark", *["ArrowRight"] * 3)
    told = python_workers_view(dict(PythonWorkers.start) | {"pyspark": "2g"}).sentence
    assert sentence(page, WORKERS) == told
    press(explorable(page, WORKERS), "pyspark", "Home")


def test_each_path_to_the_driver_tells_what_trips_first(page):
    path = explorable(page, BUDGET).locator('[data-control="path"]')
    for name in ("collect", "toPandas", "take", "broadcast"):
        path.select_option(name)
        told = driver_budget_view(dict(DriverBudget.start) | {"path": name}).sentence
        assert sentence(page, BUDGET) == told
    path.select_option("collect")
    drawn = explorable(page, BUDGET).locator("svg")
    assert "maxResultSize 1024.0 MiB" in drawn.first.text_content()
    assert drawn.locator('g[data-region="Row objects"]').count() == 1


def test_a_log_follows_its_controls(page):
    explorable(page, LOGS).locator('[data-control="collector"]').select_option("Parallel")
    press(explorable(page, LOGS), "heap", "End")
    state = {"cache": "JVM objects", "collector": "Parallel", "heap": "1280m"}
    page.locator(".sentence", has_text=gc_logs(state).sentence).wait_for()
    assert "recorded" in explorable(page, LOGS).text_content()
    assert "full collection" in explorable(page, LOGS).locator("svg").first.text_content()


def test_each_picture_has_a_name_and_says_what_it_shows(page):
    for title in (WORKERS, BUDGET, LOGS):
        picture = explorable(page, title).get_by_role("img").first
        assert picture.locator("desc").text_content() == sentence(page, title)


def test_all_three_are_readable_in_the_light_and_in_the_dark_theme(page):
    assert unreadable(page) == {}
    choose_theme(page, "JupyterLab Dark", "false")
    assert unreadable(page) == {}
    choose_theme(page, "JupyterLab Light", "true")

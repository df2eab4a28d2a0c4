"""The map of the course: what exists is found, what was done is marked."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import course_lib
from course_lib import course_map, lesson, progress
from course_lib.course import CHEATSHEET, COURSE, LESSONS
from course_lib.places import CONFIG

ROOT = Path(__file__).parents[1]


def write_notebook(path, *cells):
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = [{"cell_type": kind, "source": [text], "metadata": {}} for kind, text in cells]
    path.write_text(json.dumps({"cells": cells, "nbformat": 4, "nbformat_minor": 5}))


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course with one written lesson, its problem set and a stray copy of each."""
    root = tmp_path / "course"
    root.mkdir()
    (root / CONFIG).touch()
    heading = ("markdown", "Before it\n# 04 · A heap & more\n## Not this")
    write_notebook(root / "notebooks/04_a_heap.ipynb", ("code", "# no title"), heading)
    write_notebook(root / "notebooks/04_a_heap-Copy1.ipynb", ("markdown", "# A copy"))
    for name in ("ps04-heap-regions", "ps04-heap-regions-Copy1"):
        write_notebook(root / "exercises" / name / f"{name}.ipynb")
    monkeypatch.chdir(root / "notebooks")
    monkeypatch.setenv("SPARK_COURSE_PROGRESS", str(root / "my"))
    return root


def row(text, number):
    return next(line for line in text.splitlines() if line.startswith(number))


def test_numbers_run_without_a_gap():
    numbers = [lesson.number for part in COURSE for lesson in part.lessons]
    assert numbers == [f"{n:02}" for n in range(19)]


def test_a_written_lesson_has_its_heading_as_title_and_links(course):
    page = course_map()._repr_html_()
    assert '<a href="04_a_heap.ipynb">A heap &amp; more</a>' in page
    assert 'href="../exercises/ps04-heap-regions/ps04-heap-regions.ipynb">to do</a>' in page
    assert page.count("<a ") == 3  # with the cheatsheet
    assert row(repr(course_map()), "04").split()[-3:] == ["no", "to", "do"]


def test_a_planned_lesson_says_so(course):
    assert LESSONS["05"].file is None
    assert re.fullmatch(
        r"05  The static manager, and why it went +planned +planned", row(repr(course_map()), "05")
    )


def test_marks_follow_progress(course):
    lesson("04")
    progress.record("self_test", "04", score=4, out_of=5)
    progress.record("problem_set", "ps04", points=7.5, out_of=12)
    assert re.search(r"yes +4 of 5 +7\.5 of 12 points$", row(repr(course_map()), "04"))
    assert ">7.5 of 12 points</a>" in course_map()._repr_html_()


def test_a_started_copy_is_linked_unless_progress_is_off(course, monkeypatch):
    write_notebook(course / "my/ps04-heap-regions/ps04-heap-regions.ipynb")
    assert "../my/ps04-heap-regions/ps04-heap-regions.ipynb" in course_map()._repr_html_()
    monkeypatch.setenv("SPARK_COURSE_PROGRESS", "off")
    assert "../my/" not in course_map()._repr_html_()


def test_without_progress_the_map_is_the_same_each_time(course, monkeypatch):
    monkeypatch.setenv("SPARK_COURSE_PROGRESS", "off")
    before = repr(course_map()), course_map()._repr_html_()
    lesson("04")
    assert (repr(course_map()), course_map()._repr_html_()) == before


def test_a_notebook_without_a_heading_keeps_the_planned_title(course):
    write_notebook(course / "notebooks/04_a_heap.ipynb", ("markdown", "No heading"))
    assert LESSONS["04"].title == "Inside the executor's heap"


@pytest.mark.parametrize("number", ["4", 4, "99", None])
def test_an_unknown_lesson_is_refused(course, number):
    with pytest.raises(ValueError, match=f"no lesson {number!r}; lessons are named '00' to '18'"):
        lesson(number)


def test_the_lessons_of_this_course_are_all_on_the_map(monkeypatch):
    monkeypatch.chdir(ROOT)
    written = sorted((ROOT / "notebooks").glob("*.ipynb"))
    on_map = [lesson.file for lesson in LESSONS.values() if lesson.file]
    assert [*on_map, ROOT / "notebooks" / CHEATSHEET] == written
    links = re.findall(r'href="([^"]+)"', course_map()._repr_html_())
    assert len(links) >= len(written)
    for link in links:
        assert (ROOT / "notebooks" / link).is_file(), link


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, course_lib; course_lib.course_map; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "course_lib.course" in loaded
    heavy = "anywidget ipywidgets IPython matplotlib nbgrader numpy py4j pyspark"
    assert not set(heavy.split()) & set(loaded)
    with pytest.raises(AttributeError, match="no attribute 'lessons'"):
        _ = course_lib.lessons

"""The explorables in a real JupyterLab and in a page without a kernel."""

import os
import subprocess
import sys

import nbformat
import pytest
from contrast import choose_theme, unreadable
from lab import ROOT, collect_complaints, open_and_run, press, write_notebook
from nbclient import NotebookClient

from course_lib.draw.layout import layout
from course_lib.draw.message import Sheet
from course_lib.draw.picture import bars
from course_lib.model import Region, heap
from course_lib.units import GIB, MIB
from course_lib.widgets import Explorable


@pytest.fixture(scope="module")
def page(browser, lab):
    """The notebook, open and run. Its console must stay free of errors until the very end."""
    context = browser.new_context(viewport={"width": 1200, "height": 1000})
    page = context.new_page()
    complaints = collect_complaints(page)
    open_and_run(page, *lab)
    yield page
    context.close()  # before the server goes, whose absence JupyterLab would rightly report
    assert complaints == []


def regions(page):
    return page.locator(".explorable", has_text="Regions of the heap").first


def sentence(page):
    return regions(page).locator(".sentence")


def shown(page, control):
    return page.locator(f'.control:has([data-control="{control}"]) output').first.inner_text()


def wait_for_sentence(page, start):
    sentence(page).filter(has_text=start).wait_for()


def test_the_explorable_draws_its_regions_with_names_and_sizes(page):
    drawn = regions(page).locator("svg")
    assert "Spark memory  2.2 GiB" in drawn.text_content()
    names = drawn.locator("g").evaluate_all("all => all.map(g => g.dataset.region)")
    assert names == ["heap", "reserved", "user", "Spark memory", "storage", "execution"]


def test_the_picture_has_a_name_and_a_description_for_screen_readers(page):
    picture = page.get_by_role("img", name="Heap of an executor")
    assert picture.locator("desc").text_content() == sentence(page).inner_text()
    slider = page.get_by_role("slider", name="memory (-Xmx)")
    assert slider.get_attribute("aria-valuetext") == "4g"


def test_the_keyboard_moves_a_slider_and_the_numbers_follow(page):
    press(page, "memory", "ArrowRight")
    assert shown(page, "memory") == "6g"
    assert sentence(page).inner_text().startswith("Of 6.0 GiB, Spark manages 3.4 GiB")
    press(page, "memory", "ArrowLeft")
    assert sentence(page).inner_text().startswith("Of 4.0 GiB, Spark manages 2.2 GiB")


def test_a_moved_control_is_drawn_before_the_kernel_could_answer(page):
    drawn_at_once = """input => {
      input.value = Number(input.value) + 1;
      input.dispatchEvent(new Event("input", { bubbles: true }));
      const widget = input.closest(".explorable");
      return [widget.querySelector(".sentence").textContent, widget.querySelector("svg").outerHTML];
    }"""
    slider = regions(page).locator('[data-control="memory"]')
    said, drawn = slider.evaluate(drawn_at_once)
    assert said.startswith("Of 6.0 GiB, Spark manages 3.4 GiB")
    assert "Spark memory  3.4 GiB" in drawn
    press(page, "memory", "ArrowLeft")


def test_two_controls_moved_in_a_row_need_new_tables_and_get_them(page):
    press(page, "memory", "ArrowRight")
    press(page, "fraction", "End")
    assert shown(page, "fraction") == "1.0"
    wait_for_sentence(page, "Of 6.0 GiB, Spark manages 5.7 GiB")
    assert regions(page).locator(".status").inner_text() == ""


def test_the_kernel_knows_where_the_controls_rest(page):
    cell = page.locator(".jp-Notebook .jp-CodeCell").last
    cell.locator(".cm-content").click()
    page.keyboard.insert_text("print(sorted(regions.state.items())[:3])")
    page.keyboard.press("Control+Enter")
    output = cell.locator(".jp-OutputArea-output")
    output.wait_for()
    assert "('fraction', 1.0), ('memory', '6g')" in output.inner_text()


def test_where_spark_refuses_its_complaint_takes_the_pictures_place(page):
    press(page, "memory", "Home")
    assert shown(page, "memory") == "256m"
    complaint = regions(page).locator(".problem")
    assert "Executor memory 268435456 must be at least 471859200" in complaint.inner_text()
    assert not regions(page).locator("svg").is_visible()
    press(page, "memory", *["ArrowRight"] * 7)
    press(page, "fraction", *["ArrowLeft"] * 5)
    wait_for_sentence(page, "Of 3.0 GiB, Spark manages 1663.2 MiB")
    assert not complaint.is_visible()


def test_every_control_can_be_reached_and_left_with_the_tab_key(page):
    page.locator('[data-control="memory"]').first.focus()
    reached = []
    for _ in range(6):
        focus = "document.activeElement.dataset.control ?? document.activeElement.textContent"
        reached.append(page.evaluate(focus))
        page.keyboard.press("Tab")
    assert reached == [
        "memory", "fraction", "storage_fraction", "collector", "More settings",
        "Numbers as a table",
    ]  # fmt: skip


def test_the_focus_is_visible(page):
    press(page, "memory", "Tab")
    outline = "e => [getComputedStyle(e).outlineStyle, getComputedStyle(e).outlineWidth]"
    assert page.locator('[data-control="fraction"]').first.evaluate(outline) == ["solid", "2px"]


def test_the_table_shows_the_numbers_of_the_picture(page):
    page.get_by_text("Numbers as a table").first.click()
    regions(page).locator("table tr").nth(1).wait_for()  # browsers tell of an opened fold later
    rows = regions(page).locator("table tr").all_inner_texts()
    assert [cell.strip() for cell in rows[1].split("\t")][:3] == ["heap", "3.0 GiB", "100.0 %"]
    press(page, "memory", "ArrowRight")
    wait_for_sentence(page, "Of 4.0 GiB")
    assert "4.0 GiB" in regions(page).locator("table tr").nth(1).inner_text()


def test_the_container_builder_draws_container_and_node(page):
    builder = page.locator(".explorable", has_text="From settings to a container").first
    builder.scroll_into_view_if_needed()
    assert "For an executor, Spark asks YARN for 8.8 GiB" in builder.inner_text()
    assert builder.locator('g[data-region="executor"]').count() == 8  # itself, and 7 on the node


# Real colours of everything that carries text, and of what lies behind it.
def test_text_is_readable_in_the_light_and_in_the_dark_theme(page):
    assert unreadable(page) == {}
    choose_theme(page, "JupyterLab Dark", "false")
    assert unreadable(page) == {}
    choose_theme(page, "JupyterLab Light", "true")


def test_what_a_page_complains_of_is_collected_unless_jupyterlab_is_only_slow(browser):
    page = browser.new_page()
    page.goto("about:blank")
    complaints = collect_complaints(page)
    with page.expect_event("pageerror"):
        page.evaluate("""() => {
          console.log("all is well");
          console.warn("Plugin some:part took 5496.40ms to activate.");
          console.warn("mind the gap");
          setTimeout(() => { throw new Error("it broke"); });
        }""")
    assert complaints == ["mind the gap", "it broke"]
    page.close()


def test_text_that_is_too_pale_is_found(page):
    sentence(page).evaluate("e => e.style.color = 'rgba(0, 0, 0, 0.4)'")
    assert list(unreadable(page)) == [sentence(page).text_content()]
    sentence(page).evaluate("e => e.style.color = ''")


TREES = [
    heap({"spark.executor.memory": "4g"}).region(),
    heap({"spark.executor.memory": "64g"}).region(),
    Region("container", "container", GIB, children=[heap().region()] * 2),
    heap({"spark.memory.storageFraction": "0"}).region(),
    Region("node", "node", 40 * GIB, children=[Region("executor", "container", GIB)] * 30),
    Region("node", "node", 400, children=[Region("executor", "container", 4)] * 99),
    Region(
        "container",
        "container",
        4 * GIB,
        children=[
            Region("heap", "heap", GIB, children=[Region("user", "user", 5 * GIB // 4)]),
            Region("overhead", "overhead", MIB),
            Region("off-heap", "off_heap", 3 * GIB, used=GIB),
        ],
    ),
    Region("heap", "heap", 0),
    Region("heap", "heap", GIB, children=[Region("user", "user", 0)]),
]


def test_both_twins_put_every_region_at_the_same_place(browser):
    sheet = Sheet()
    packed = sheet.pack(bars(TREES))
    module = str(Explorable._esm)
    page = browser.new_page()
    page.goto("about:blank")
    placed = page.evaluate(
        """async ([source, packed, parts]) => {
          const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
          const { layout, unpack } = await import(url);
          return unpack(packed, parts).trees.map((tree) => layout(tree).map(
            ({ region, depth, x, y, w, h, frame, overflow }) =>
              [region.name, region.size, depth, frame, [x, y, w, h, overflow]]));
        }""",
        [module, packed, sheet.parts],
    )
    page.close()
    for tree, theirs in zip(TREES, placed, strict=True):
        ours = layout(tree)
        assert len(ours) == len(theirs)
        for one, (name, size, depth, frame, numbers) in zip(ours, theirs, strict=True):
            assert (one.region.name, one.region.size) == (name, size)
            assert (one.depth, one.frame) == (depth, frame)
            assert [one.x, one.y, one.w, one.h, one.overflow] == pytest.approx(numbers, abs=1e-9)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A notebook run and exported with nbconvert's own command line."""
    folder = tmp_path_factory.mktemp("exported")
    write_notebook(
        folder / "lesson.ipynb", "from course_lib.widgets import HeapRegions\nHeapRegions()"
    )
    notebook = nbformat.read(folder / "lesson.ipynb", 4)
    NotebookClient(
        notebook, store_widget_state=True, resources={"metadata": {"path": ROOT}}
    ).execute()
    nbformat.write(notebook, folder / "lesson.ipynb")
    exporter = "course_lib.widgets.page.LessonPage"
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", exporter, "lesson.ipynb"]
    subprocess.run(
        command, cwd=folder, check=True, capture_output=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return folder / "lesson.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_exported_page_works_without_a_kernel_and_without_a_network(browser, exported, scheme):
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    asked, errors = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.route("http*://**", lambda route: (asked.append(route.request.url), route.abort()))
    page.goto(exported.as_uri())
    wait_for_sentence(page, "Of 4.0 GiB, Spark manages 2.2 GiB")
    press(page, "memory", "ArrowRight")
    assert sentence(page).inner_text().startswith("Of 6.0 GiB, Spark manages 3.4 GiB")
    press(page, "fraction", "ArrowRight")
    assert shown(page, "memory") == "4g"
    assert sentence(page).inner_text().startswith("Of 4.0 GiB, Spark manages 2.6 GiB")
    assert "No kernel answers" in regions(page).locator(".status").inner_text()
    assert unreadable(page) == {}
    context.close()
    assert errors == []
    # What nbconvert asks for beside the widgets: the typesetting of formulas.
    assert [url for url in asked if "mathjax" not in url] == []

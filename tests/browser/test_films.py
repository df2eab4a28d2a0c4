"""Explorables that play, in a real JupyterLab and in a page without a kernel."""

import os
import subprocess
import sys
from itertools import pairwise

import nbformat
import pytest
from contrast import choose_theme, unreadable
from lab import ROOT, collect_complaints, open_and_run, running_lab, write_notebook
from nbclient import NotebookClient
from playwright.sync_api import expect

from course_lib.draw.layout import layout
from course_lib.draw.message import Sheet
from course_lib.widgets import Explorable, Landscape, Race
from course_lib.widgets.landscape import TRACES as LANDSCAPES
from course_lib.widgets.landscape import landscape_view
from course_lib.widgets.the_race import TRACES, race

NOTEBOOK = "films.ipynb"
EXPLORABLES = {
    "Race": "The race",
    "Playground": "The playground",
    "CacheShelf": "The cache shelf",
    "TasksAtOnePool": "Tasks at one pool",
    "OnHeapOffHeap": "On-heap and off-heap",
    "Landscape": "The landscape of settings",
}
FILMS = [name for name in EXPLORABLES if name not in ("Playground", "Landscape")]
LAST_OF_RACE = 21


@pytest.fixture(scope="module")
def sent():
    """Messages of widgets that the browser has sent to the kernel."""
    return []


@pytest.fixture(scope="module")
def page(browser, sent, tmp_path_factory):
    """A notebook with all of them, open and run; its console must stay free of errors."""
    folder = tmp_path_factory.mktemp("films")
    cells = [f"{name.lower()} = {name}()\n{name.lower()}" for name in EXPLORABLES]
    write_notebook(folder / NOTEBOOK, "from course_lib.widgets import *", *cells, "")
    with running_lab(folder) as address:
        context = browser.new_context(
            viewport={"width": 1200, "height": 1000},
            permissions=["clipboard-read", "clipboard-write"],
        )
        page = context.new_page()
        complaints = collect_complaints(page)
        page.on("websocket", lambda socket: socket.on("framesent", lambda f: note(sent, f)))
        open_and_run(page, address, NOTEBOOK)
        for name in EXPLORABLES:  # JupyterLab lays out what is looked at
            explorable(page, name).scroll_into_view_if_needed(timeout=60_000)
            expect(explorable(page, name).locator("svg").first).to_be_visible()
        yield page
        context.close()  # before the server goes, whose absence JupyterLab would rightly report
    assert complaints == []


def note(sent, frame):
    content = frame if isinstance(frame, bytes) else frame.encode()
    if b"comm_msg" in content:
        sent.append(content)


def explorable(page, name):
    shown = page.locator(".explorable", has=page.locator("header", has_text=EXPLORABLES[name]))
    return shown.first


def scrubber(page, name):
    return explorable(page, name).get_by_role("slider", name="Event")


def button(page, name, label):
    return explorable(page, name).get_by_role("button", name=label, exact=True)


def words(page, name):
    return explorable(page, name).locator(".words").all_inner_texts()


def at_step(page, name, step):
    expect(explorable(page, name).locator(".transport output")).to_contain_text(f"{step} /")


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


@pytest.mark.parametrize("name", FILMS)
def test_a_film_plays_to_its_end_without_asking_the_kernel(page, sent, name):
    shown = explorable(page, name)
    shown.scroll_into_view_if_needed()
    shown.get_by_role("combobox", name="Speed").select_option("4")
    page.wait_for_timeout(500)  # what the page had to say at first is said
    before = len(sent)
    play = button(page, name, "Play")
    play.click()
    expect(play).to_have_attribute("aria-pressed", "true")
    expect(play).to_have_attribute("aria-pressed", "false", timeout=30_000)
    expect(shown.locator(".score caption")).to_have_text("Score at the end")
    last = int(scrubber(page, name).get_attribute("max"))
    at_step(page, name, last)
    assert last > 5
    assert len(sent) == before


@pytest.mark.parametrize("name", [*FILMS, "Playground"])
def test_an_accessibility_tree_holds_the_transport_and_the_words(page, name):
    shown = explorable(page, name)
    shown.scroll_into_view_if_needed()
    assert shown.get_by_role("group", name="Film").count() == 1
    for label in ("Step back", "Play", "Step forward"):
        assert button(page, name, label).count() == 1
    scrub = scrubber(page, name)
    assert scrub.get_attribute("aria-valuetext").startswith(f"{scrub.input_value()} of")
    for lane in shown.locator(".lane").all():
        lane.scroll_into_view_if_needed()
        title = lane.locator("h4").inner_text()
        assert lane.get_attribute("aria-label") == title
        picture = lane.get_by_role("img", name=title)
        said = lane.locator(".words")
        assert picture.locator("desc").text_content() == " ".join(said.inner_text().split())
        assert said.get_attribute("aria-live") == "polite"


def test_no_two_parts_of_the_page_have_the_same_id_and_every_control_has_its_own_label(page):
    ids = page.locator(".explorable [id]").evaluate_all("all => all.map((one) => one.id)")
    assert len(ids) == len(set(ids)) > 30
    for name, label in [("Race", "heap"), ("OnHeapOffHeap", "heap"), ("TasksAtOnePool", "tasks")]:
        slider = explorable(page, name).get_by_role("slider", name=label, exact=True)
        assert slider.get_attribute("data-control") == label


def test_the_keyboard_alone_scrubs_plays_and_pauses(page):
    scrubber(page, "Race").focus()
    page.keyboard.press("Home")
    assert words(page, "Race") == ["nothing is cached, and no task has asked"] * 2
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert words(page, "Race") == ["cache rdd_0_1 256m MEMORY_AND_DISK cached, 256.0 MiB"] * 2
    page.keyboard.press("End")
    at_step(page, "Race", LAST_OF_RACE)
    page.keyboard.press("Space")  # plays again from the start
    expect(button(page, "Race", "Play")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Space")
    expect(button(page, "Race", "Play")).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("Home")
    at_step(page, "Race", 0)


def test_the_buttons_step_and_keep_the_focus_at_both_ends(page):
    scrubber(page, "Race").focus()
    page.keyboard.press("Home")
    button(page, "Race", "Step back").focus()
    page.keyboard.press("Enter")
    at_step(page, "Race", 0)
    expect(button(page, "Race", "Step back")).to_be_focused()
    button(page, "Race", "Step forward").focus()
    for _ in range(3):
        page.keyboard.press("Space")
    at_step(page, "Race", 3)
    button(page, "Race", "Step back").focus()
    page.keyboard.press("Enter")
    at_step(page, "Race", 2)


def test_every_part_of_a_film_can_be_reached_with_the_tab_key(page):
    explorable(page, "CacheShelf").locator('[data-control="memory"]').focus()
    reached = []
    for _ in range(6):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.ariaLabel"))
    assert reached == ["Step back", "Play", "Step forward", "Event", "Speed", None]
    assert page.evaluate("document.activeElement.textContent") == "Numbers as a table"


# Widths of the execution pool in every frame from a step on until it rests.
GLIDE = """async ([root, label]) => {
  const pool = () => Number(
    root.querySelector('.lane:last-child [data-region="execution"] rect').getAttribute("width"));
  const seen = [pool()];
  root.querySelector(`button[aria-label="${label}"]`).click();
  for (let still = 0; still < 10;) {
    await new Promise(requestAnimationFrame);
    seen.push(pool());
    still = seen.at(-1) === seen.at(-2) && seen.at(-1) !== seen[0] ? still + 1 : 0;
  }
  return seen;
}"""


def test_the_boundary_of_the_pools_glides_to_its_place(page):
    to_step(page, "Race", 4)  # the next block makes storage borrow
    root = explorable(page, "Race")
    seen = page.evaluate(GLIDE, [root.element_handle(), "Step forward"])
    between = [width for width in seen if seen[-1] < width < seen[0]]
    assert between  # how many depends on the machine; a jump has none
    assert seen == sorted(seen, reverse=True)


def test_who_wants_less_motion_sees_jumps(page):
    page.emulate_media(reduced_motion="reduce")
    to_step(page, "Race", 4)
    root = explorable(page, "Race")
    seen = page.evaluate(GLIDE, [root.element_handle(), "Step forward"])
    page.emulate_media(reduced_motion="no-preference")
    assert len(set(seen)) == 2


def to_step(page, name, step):
    scrubber(page, name).focus()
    page.keyboard.press("Home")
    for _ in range(step):
        page.keyboard.press("ArrowRight")
    at_step(page, name, step)
    page.wait_for_timeout(700)  # until it has come to rest


def test_a_control_changes_the_film_and_keeps_the_step(page):
    to_step(page, "Race", 8)
    before = words(page, "Race")
    control = explorable(page, "Race").locator('[data-control="storage_fraction"]')
    control.focus()
    page.keyboard.press("End")
    assert words(page, "Race")[0] == before[0]
    assert words(page, "Race")[1] != before[1]
    at_step(page, "Race", 8)
    drawn = explorable(page, "Race").locator(".lane svg").last
    expect(drawn).to_contain_text("storage region 2.0 GiB")
    control.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(explorable(page, "Race").locator(".words").last).to_have_text(before[1])


def test_the_storage_region_is_marked_where_it_ends(page):
    to_step(page, "Race", 0)
    drawn = explorable(page, "Race").locator(".lane svg").last
    film = race(TRACES["cache and shuffle"], dict(Race.start)).picture
    ((size, name),) = film.lanes[1].shots[0].picture.marks
    width = float(drawn.get_attribute("width"))
    at = float(drawn.locator("line.mark").last.get_attribute("x1"))
    assert at == pytest.approx(1 + (width - 2) * size / film.scale, abs=0.01)
    expect(drawn).to_contain_text(name)


def test_the_table_lists_all_events_with_their_outcomes(page):
    shown = explorable(page, "Race")
    shown.get_by_text("Numbers as a table").click()
    rows = shown.locator("details table tr")
    expect(rows).to_have_count(LAST_OF_RACE + 2)
    told = race(TRACES["cache and shuffle"], dict(Race.start)).picture.rows()
    assert tuple(rows.nth(9).locator("td").all_inner_texts()) == told[9]
    shown.get_by_text("Numbers as a table").click()


def test_who_waits_is_hollow_and_named(page):
    to_step(page, "TasksAtOnePool", 3)
    drawn = explorable(page, "TasksAtOnePool").locator("svg").first
    expect(drawn).to_contain_text("t3  0.0 B, waits for 256.0 MiB")
    to_step(page, "Race", 8)
    chip = explorable(page, "Race").locator(".lane").first.locator(".chip")
    assert chip.evaluate("e => getComputedStyle(e).fill") == "none"
    expect(explorable(page, "Race").locator(".lane svg").first).to_contain_text("waiting")


def press(page, name):
    explorable(page, "Playground").get_by_role("button", name=name, exact=True).focus()
    page.keyboard.press("Enter")


def test_the_playground_is_played_by_keyboard(page, sent):
    before = len(sent)
    press(page, "cache")
    at_step(page, "Playground", 1)
    press(page, "ask")
    at_step(page, "Playground", 2)
    assert len(sent) == before + 2  # one message each
    assert words(page, "Playground") == ["ask t1 128m granted 128.0 MiB"]
    # Regions are named once they have glided to where there is room for their names.
    expect(explorable(page, "Playground").locator(".lane svg")).to_contain_text("rdd_0_0128.0 MiB")
    size = explorable(page, "Playground").locator('.ex-panel [data-control="size"]').first
    size.select_option("512m")
    explorable(page, "Playground").locator('[data-control="block"]').select_option("rdd_2_0")
    press(page, "cache")
    at_step(page, "Playground", 3)
    assert words(page, "Playground")[0].startswith("cache rdd_2_0 512m not in memory:")


def test_a_bad_event_is_refused_in_words_and_nothing_is_lost(page):
    press(page, "cache")
    status = explorable(page, "Playground").locator(".status")
    expect(status).to_contain_text("it is cached already: read it, or unpersist it first")
    at_step(page, "Playground", 3)
    press(page, "undo")
    expect(status).to_have_text("")
    at_step(page, "Playground", 2)
    scrubber(page, "Playground").focus()
    page.keyboard.press("Home")
    assert words(page, "Playground") == ["nothing is cached, and no task has asked"]


def test_the_trace_can_be_taken_away(page):
    shown = explorable(page, "Playground")
    shown.get_by_text("The trace as text").first.click()
    assert shown.get_by_role("textbox").input_value() == "cache rdd_0_0 128m\nask t1 128m\n"
    shown.get_by_role("button", name="Copy as trace").click()
    expect(shown.get_by_text("Copied.")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == "cache rdd_0_0 128m\nask t1 128m\n"
    assert run(page, 'print("is", repr(playground.trace))') == f"is {copied!r}"


def test_the_lane_is_called_as_its_manager_is(page):
    shown = explorable(page, "Playground")
    shown.locator('[data-control="manager"]').select_option("static")
    assert shown.locator("h4").text_content() == "StaticMemoryManager"
    assert shown.get_by_role("group", name="StaticMemoryManager").count() == 1
    shown.locator('[data-control="manager"]').select_option("unified")


def test_what_code_does_is_seen_in_the_browser(page):
    run(page, 'playground.do("finish t1"); print("is done")')
    expect(explorable(page, "Playground").locator(".transport output")).to_contain_text("/ 3")


def test_the_landscape_shows_a_cell_for_each_setting_and_follows_its_controls(page):
    shown = explorable(page, "Landscape")
    assert shown.locator("svg .cell").count() == 400
    said = shown.locator(".sentence").inner_text()
    shown.locator('[data-control="cost"]').select_option("refused")
    assert shown.locator(".sentence").inner_text() != said
    title = shown.locator("svg .cell + title").first.text_content()
    assert title.startswith("spark.memory.fraction 0.05, spark.memory.storageFraction 0.0: ")


def test_both_twins_of_a_heat_map_have_the_same_shades_and_texts(page):
    shown = explorable(page, "Landscape")
    shown.scroll_into_view_if_needed()
    shown.locator('[data-control="cost"]').select_option("evicted")
    cells = shown.locator("svg .cell").evaluate_all(
        "all => all.map((e) => [getComputedStyle(e).fill, e.nextElementSibling.textContent])"
    )
    ours = landscape_view(LANDSCAPES["cache and shuffle"], dict(Landscape.start)).picture
    values = [value for row in ours.values for value in row]
    for (fill, told), value in zip(cells, values, strict=True):
        colour = ours.shade(value).light
        assert fill == f"rgb({', '.join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))})"
        assert told.endswith(f": {ours.text(value)}")


def test_a_playhead_goes_along_the_history_of_a_pool(page):
    places = []
    for step in (0, 4):
        to_step(page, "TasksAtOnePool", step)
        playhead = explorable(page, "TasksAtOnePool").locator(".playhead")
        expect(playhead).to_be_visible()
        places.append(playhead.bounding_box()["x"])
    cells = explorable(page, "TasksAtOnePool").locator("svg .cell")
    wide = cells.first.bounding_box()["width"]
    assert places[1] - places[0] == pytest.approx(4 * wide, abs=2)
    assert explorable(page, "Landscape").locator(".playhead").is_hidden()


def test_all_text_is_readable_in_the_light_and_in_the_dark_theme(page):
    to_step(page, "Race", 8)
    to_step(page, "TasksAtOnePool", 3)
    assert unreadable(page) == {}
    choose_theme(page, "JupyterLab Dark", "false")
    assert unreadable(page) == {}
    choose_theme(page, "JupyterLab Light", "true")


# ---- The module itself ----

BETWEEN = """async ([source, packed, parts, from, to]) => {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const { between, layout, unpack } = await import(url);
  const { film } = unpack(packed, parts);
  const scene = (step) => layout(film.lanes[1].shots[step].trees[0], film.scale);
  const told = ({ key, region, depth, x, y, w, h }) => [key, region.name, depth, [x, y, w, h]];
  return [0, 0.3, 0.8, 1].map((t) => between(scene(from), scene(to), t).map(told));
}"""


@pytest.mark.parametrize(("start", "end"), [(4, 5), (7, 8), (8, 9), (21, 0), (0, 21)])
def test_regions_on_their_way_touch_and_begin_and_end_where_both_twins_draw_them(
    browser, start, end
):
    film = race(TRACES["cache and shuffle"], dict(Race.start)).picture
    sheet = Sheet()
    page = browser.new_page()
    page.goto("about:blank")
    message = [str(Explorable._esm), sheet.pack(film), sheet.parts, start, end]
    ways = page.evaluate(BETWEEN, message)
    page.close()
    for step, way in ((start, ways[0]), (end, ways[-1])):
        placed = layout(film.lanes[1].shots[step].picture.regions[0], film.scale)
        ours = sorted((p.region.name, p.depth, p.x, p.y, p.w, p.h) for p in placed)
        theirs = sorted((name, depth, *place) for _, name, depth, place in way if place[2])
        assert [one[:2] for one in ours] == [one[:2] for one in theirs]
        for one, other in zip(ours, theirs, strict=True):
            assert one[2:] == pytest.approx(other[2:], abs=1e-9)
    for way in ways:
        pools = sorted(place for _, _, depth, place in way if depth == 1)
        for (x, _, width, _), (neighbour, *_) in pairwise(pools):
            assert neighbour == pytest.approx(x + width, abs=1e-9)


# ---- Without a kernel ----


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The race and the playground, run and exported with nbconvert's own command line."""
    folder = tmp_path_factory.mktemp("exported")
    imports = "from course_lib.widgets import Playground, Race"
    write_notebook(folder / "lesson.ipynb", imports, "Race()", 'Playground("cache rdd_0_0 64m")')
    notebook = nbformat.read(folder / "lesson.ipynb", 4)
    place = {"metadata": {"path": ROOT}}
    NotebookClient(notebook, store_widget_state=True, resources=place).execute()
    nbformat.write(notebook, folder / "lesson.ipynb")
    exporter = "course_lib.widgets.page.LessonPage"
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", exporter, "lesson.ipynb"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env=environment)
    return folder / "lesson.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_exported_page_plays_without_a_kernel(browser, exported, scheme):
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(exported.as_uri())
    expect(explorable(page, "Race").locator(".lane svg")).to_have_count(2)
    explorable(page, "Race").get_by_role("combobox", name="Speed").select_option("4")
    play = button(page, "Race", "Play")
    play.click()
    expect(play).to_have_attribute("aria-pressed", "false", timeout=30_000)
    at_step(page, "Race", LAST_OF_RACE)
    assert unreadable(page) == {}
    press(page, "ask")
    status = explorable(page, "Playground").locator(".status")
    expect(status).to_have_text("No kernel answers: the buttons need one.")
    assert scrubber(page, "Playground").get_attribute("max") == "1"
    context.close()
    assert errors == []

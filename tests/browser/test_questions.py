"""Predictions and self-tests in a real JupyterLab: by keyboard, kernel busy, in both themes."""

import json
from pathlib import Path

import nbformat
import pytest
from lab import TOKEN, running_lab, write_notebook
from nbclient import NotebookClient
from playwright.sync_api import expect

from course_lib.widgets.page import LessonPage

STYLE = Path(__file__).parents[2] / "course_lib" / "widgets" / "questions.css"
SETUP = """\
import os, time
from course_lib.widgets import predict, self_test
os.environ["SPARK_COURSE_PROGRESS"] = "kept"
predict("How much **storage memory** has `4g`?", {
    "4 GiB": "Not quite: that is the `whole` heap.",
    "2.2 GiB": "Right: 0.6 of what the reserve leaves.",
}, answer="2.2 GiB")"""
SELF_TEST = '''\
self_test("04", """
1. Where is the rest?
- [ ] nowhere :: It is resident.
- [x] outside the heap :: Metaspace, stacks and more.

2. How many heaps has a JVM?
- [x] one :: Always.
- [ ] two :: Young and old are parts of one.
""")'''
BUSY = """\
print("busy")
while not os.path.exists("go on"):
    time.sleep(0.05)"""
CONTRAST = """
(node) => {
  const rgb = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = (colour) => {
    const [r, g, b] = rgb(colour).slice(0, 3).map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  let behind = node;
  while (rgb(getComputedStyle(behind).backgroundColor)[3] === 0) behind = behind.parentElement;
  const pair = [getComputedStyle(node).color, getComputedStyle(behind).backgroundColor];
  const [dark, light] = pair.map(luminance).sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A JupyterLab server's address, and its folder."""
    folder = tmp_path_factory.mktemp("questions")
    with running_lab(folder) as address:
        yield address, folder


@pytest.fixture
def notebook(browser, server, request):
    """A page with a notebook of predictions and self-tests that was run, and its folder."""
    address, root = server
    folder = root / request.node.name
    folder.mkdir()
    write_notebook(folder / "questions.ipynb", SETUP, SELF_TEST, BUSY)
    page = browser.new_page(viewport={"width": 1200, "height": 1100})
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    try:
        # Without `reset` JupyterLab would also open the notebook of the test before.
        page.goto(f"{address}/lab/tree/{folder.name}/questions.ipynb?reset&token={TOKEN}")
        expect(page.locator(".jp-NotebookPanel-toolbar")).to_be_visible(timeout=60_000)
        expect(page.get_by_text("| Idle")).to_be_visible(timeout=60_000)
        menu(page, "Run", "Run All Cells")
        expect(page.locator(".course-questions")).to_have_count(2, timeout=60_000)
        expect(page.get_by_text("busy", exact=True)).to_be_visible()
        yield page, folder
    finally:
        (folder / "go on").touch()  # a kernel left busy would outlive its server
        page.close()
    assert errors == []


def menu(page, *path):
    for name in path:
        page.locator(".lm-MenuBar-itemLabel, .lm-Menu-itemLabel").get_by_text(
            name, exact=True
        ).click()


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def recorded(page, folder, count):
    """The learner's events, once there are as many as expected."""
    file = folder / "kept" / "progress.jsonl"
    for _ in range(200):
        lines = file.read_text().split("\n") if file.exists() else []
        events = [json.loads(line) for line in lines if line]
        if len(events) >= count:
            return events
        page.wait_for_timeout(50)
    raise AssertionError(f"only {events} were recorded")


def test_answers_by_keyboard_while_the_kernel_is_busy(notebook):
    page, folder = notebook
    prediction, test = page.locator(".course-questions").all()
    expect(prediction.get_by_role("group", name="How much storage memory has 4g?")).to_be_visible()
    expect(prediction.get_by_role("button")).to_be_disabled()
    expect(prediction).not_to_contain_text("whole heap")

    prediction.get_by_role("radio", name="2.2 GiB").focus()
    press(page, "ArrowUp", "Tab", "Enter")
    feedback = prediction.locator("[aria-live=polite]")
    expect(feedback).to_contain_text("Not quite: that is the whole heap.")
    expect(feedback.get_by_role("img")).to_have_attribute("aria-label", "Not right")
    expect(prediction.get_by_role("radio", name="4 GiB")).to_be_checked()
    expect(prediction.get_by_role("radio", name="4 GiB")).to_be_disabled()
    expect(prediction.get_by_text("Right: 0.6")).to_be_hidden()
    press(page, "Enter")
    expect(prediction.get_by_text("Right: 0.6")).to_be_visible()

    test.get_by_role("radio", name="nowhere").focus()
    press(page, "ArrowDown", "Enter", "Tab", "Space", "ArrowDown")
    expect(test.get_by_role("radio", name="two")).to_be_checked()
    expect(test.get_by_role("status")).to_be_empty()
    press(page, "Tab", "Space")
    expect(test.get_by_role("status")).to_have_text("You got 1 of 2 right.")
    assert not (folder / "kept").exists()

    (folder / "go on").touch()
    events = recorded(page, folder, 2)
    assert [(event["kind"], event["name"]) for event in events] == [
        ("prediction", "How much **storage memory** has `4g`?"),
        ("self_test", "04"),
    ]
    assert (events[1]["score"], events[1]["out_of"]) == (1, 2)

    press(page, "Tab", "Enter")
    expect(test.get_by_role("status")).to_be_empty()
    expect(test.get_by_role("radio", name="nowhere")).to_be_focused()
    expect(test.get_by_role("radio", checked=True)).to_have_count(0)


def test_text_can_be_read_in_both_themes(notebook):
    page, _ = notebook
    prediction = page.locator(".course-questions").first
    prediction.get_by_role("radio").first.check()
    prediction.get_by_role("button").click()
    prediction.locator("summary").click()
    papers = set()
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        menu(page, "Settings", "Theme", theme)
        expect(page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
        for part in ("legend", "legend code", "label", "summary", ".feedback p", "details code"):
            contrast = prediction.locator(part).first.evaluate(CONTRAST)
            assert contrast >= 4.5, f"{part} has a contrast of {contrast:.1f} in {theme}"
        papers.add(prediction.evaluate("(node) => getComputedStyle(node).backgroundColor"))
    assert len(papers) == 2


def test_an_exported_page_answers_without_kernel_or_network(browser, tmp_path):
    executed = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in (SETUP, SELF_TEST)]
    )
    NotebookClient(executed, resources={"metadata": {"path": tmp_path}}).execute()
    html, _ = LessonPage().from_notebook_node(executed)
    (tmp_path / "questions.html").write_text(html, encoding="utf-8")
    page = browser.new_page(offline=True)
    page.goto((tmp_path / "questions.html").as_uri())
    expect(page.locator(".course-questions")).to_have_count(2)
    prediction, test = page.locator(".course-questions").all()
    prediction.get_by_role("radio", name="2.2 GiB").focus()
    press(page, "Space", "Enter")
    expect(prediction.locator("[aria-live=polite]")).to_contain_text("Right: 0.6")
    for name in ("outside the heap", "one"):
        test.get_by_role("radio", name=name).focus()
        press(page, "Space", "Enter")
    expect(test.get_by_role("status")).to_have_text("You got 2 of 2 right.")
    page.close()


@pytest.mark.parametrize(("scheme", "paper"), [("light", "255, 255, 255"), ("dark", "22, 22, 22")])
def test_a_page_without_a_theme_follows_the_reader(browser, scheme, paper):
    page = browser.new_page(color_scheme=scheme)
    page.set_content('<section class="course-questions"><p>text</p></section>')
    page.add_style_tag(path=STYLE)
    section = page.locator("section")
    expect(section).to_have_css("background-color", f"rgb({paper})")
    assert section.locator("p").evaluate(CONTRAST) >= 7
    page.close()

"""formgrader in a real browser: its buttons, and pages on which nothing of a learner's runs."""

import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
from grading.handing_in import TINY, WRONG, configured, hand_in, write_course
from lab import TOKEN, running_lab
from nbconvert.exporters import HTMLExporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_raw_cell
from nbgrader.api import Gradebook
from nbgrader.server_extensions.formgrader import handlers
from playwright.sync_api import Browser, Locator, Page, expect

pytestmark = [
    pytest.mark.jail,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning"),
]


LOCAL = ("http://127.0.0.1:", "file://")


def own(where: str) -> str:
    """A script that tells the page that it ran."""
    return f"(top.ran = top.ran || []).push('{where}')"


def payloads(where: str) -> str:
    """Markup that runs a script, in several ways."""
    script = own(where)
    svg = b64encode(f"<svg xmlns='http://www.w3.org/2000/svg' onload=\"{script}\"/>".encode())
    return f"""\
<script>{script}</script>
<img src="missing.png" onerror="{script}">
<svg onload="{script}"><script>{script}</script></svg>
<iframe srcdoc="<script>{script}</script>"></iframe>
<iframe src="page.html"></iframe>
<object data="page.html"></object>
<embed src="data:image/svg+xml;base64,{svg.decode()}">
<details open ontoggle="{script}">more</details>
<video><source onerror="{script}"></video>
<p style="position:fixed;inset:0" onmouseover="{script}">over</p>
<a href="javascript:{script}" class="trap">click</a>
[click](javascript:{script.replace("(", "%28").replace(")", "%29")})
<math><mtext></form><form><mglyph><style></math><img src onerror="{script}">
<img src="/formgrader?path=submitted/mallory/{TINY}">
<img src="/formgrader?path=autograded/mallory/{TINY}">
"""


SHOW = """\
import sys
from IPython.display import display
text = {text!r}
kinds = ("text/html", "text/markdown", "text/latex", "text/plain", "image/svg+xml")
for kind in (*kinds, "application/javascript"):
    display({{kind: text}}, raw=True)
display({{"text/html": text}}, raw=True, metadata={{"text/html": {{"isolated": True}}}})
display({{"image/png": "AAAA"}}, raw=True, metadata={{"image/png": {{"width": {width!r}}}}})
print(text)
print(text, file=sys.stderr)
Loud = type("<script>" + {script!r} + "</script>", (Exception,), {{}})
raise Loud(text)"""


def hostile(hand) -> None:
    """A wrong answer in a notebook that tries whatever a notebook can hold."""
    width = f"1 onerror={own('width').replace(' ', '')}"
    show = SHOW.format(text=payloads("output"), script=own("name"), width=width)
    notebook = hand.answered(WRONG | {"why": payloads("answer"), "half": f"half = 1\n{show}"})
    svg = f"<svg xmlns='http://www.w3.org/2000/svg'><script>{own('attached')}</script></svg>"
    attachments = {
        "picture": {"image/svg+xml": b64encode(svg.encode()).decode()},
        "quoted": {"image/png": f'AAAA" onerror="{own("quoted")}'},
        "typed": {'image/png" onerror="x': "AAAA"},
    }
    text = "![a](attachment:picture) ![b](attachment:quoted) ![c](attachment:typed)"
    notebook.cells += [
        new_markdown_cell(payloads("markdown")),
        new_markdown_cell(text, attachments=attachments),
        new_markdown_cell(f"$x$ <script>{own('math')}</script> $</script>{payloads('math')}$"),
        new_raw_cell(payloads("raw"), metadata={"raw_mimetype": "text/html"}),
        new_code_cell(show, metadata={"tags": ['"><script>' + own("tag") + "</script>"]}),
    ]
    hand.notebook(notebook)
    hand.bytes(f"<script>{own('file')}</script>".encode(), "page.html")
    hand.bytes(b"", "<img src=x onerror=top.ran=1>.txt")
    hand.bytes(b"open('configured', 'w').close()", "nbgrader_config.py")


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course with an honest and a hostile submission."""
    root = write_course(tmp_path_factory.mktemp("formgrader"))
    hand_in(root, "ada").notebook()
    hostile(hand_in(root, "mallory"))
    with Gradebook(configured(root).db_url) as gradebook:
        name = f"</a><script>{own('student')}</script><img src=x onerror={own('student')!r}>"
        gradebook.add_student("mallory", first_name=name, last_name=name)
        gradebook.add_student("ada", first_name="Ada", last_name="Lovelace")
    return root


@pytest.fixture(scope="module")
def server(browser, course):
    with running_lab(course) as address:
        yield address


@contextmanager
def signed_in(browser: Browser, address: str) -> Iterator[Page]:
    """A page that the server knows, and that reaches nothing but this machine."""
    page = browser.new_page()
    page.route(lambda url: "://" in url and not url.startswith(LOCAL), lambda route: route.abort())
    page.goto(f"{address}/api/status?token={TOKEN}")  # this cookie is for all of the server
    yield page
    page.close()


@pytest.fixture
def page(browser, server):
    with signed_in(browser, server) as page:
        yield page


def ran(page: Page) -> list[str]:
    """What has run, after everything was pointed at and clicked."""
    page.mouse.move(5, 5)
    for link in page.locator("a.trap, a:text-is('click')").all():
        link.click(force=True, no_wait_after=True)
    page.wait_for_load_state()
    return page.evaluate("top.ran || []")


def press(page: Page, address: str, student: str, button: str) -> Locator:
    """Press a button in a student's row and wait for it; return the row."""
    page.goto(f"{address}/formgrader/manage_submissions/{TINY}")
    row = page.locator("#main-table tr", has=page.locator(f"td.student-id:text-is('{student}')"))
    row.locator(f".{button} a").click()
    page.locator(".modal-title").wait_for(timeout=120_000)
    said = page.locator(".modal").inner_text()
    assert page.locator(".modal-title").inner_text() == "Success", said
    page.locator(".modal-footer button").click()
    return row


@pytest.fixture(scope="module")
def scores(browser, server):
    """What stands in the rows once the button Autograde was pressed in each."""
    scores = {}
    with signed_in(browser, server) as page:
        for student in ("ada", "mallory"):
            score = press(page, server, student, "autograde").locator(".score")
            expect(score).not_to_be_empty()
            scores[student] = score.inner_text()
    return scores


def test_the_button_grades(scores, course):
    assert scores == {"ada": "4 / 7", "mallory": "0 / 7"}
    for student in scores:
        graded_notebook = course / "autograded" / student / TINY / f"{TINY}.ipynb"
        verdict = json.loads(graded_notebook.read_text())["metadata"]["grading"]
        assert verdict["sandboxed"] is True
        assert verdict["status"] == {"ada": "graded", "mallory": "suspicious"}[student]


def submission(course: Path, student: str) -> str:
    with Gradebook(configured(course).db_url) as gradebook:
        return gradebook.find_submission_notebook(TINY, TINY, student).id


def test_nothing_of_a_learners_runs_where_the_teacher_looks(scores, server, course, page):
    page.goto(f"{server}/formgrader/submissions/{submission(course, 'mallory')}/")
    expect(page.locator(".nbgrader_cell").first).to_be_visible()
    assert "onerror" in page.locator("body").inner_text()  # it is all there, as text
    assert ran(page) == []
    for place in (
        f"manage_submissions/{TINY}",
        f"gradebook/{TINY}/{TINY}",
        "manage_students",
        "manage_students/mallory",
        f"manage_students/mallory/{TINY}",
    ):
        page.goto(f"{server}/formgrader/{place}")
        page.locator("#main-table a").first.wait_for()
        assert ran(page) == [], place
    assert not list(course.rglob("configured"))


def test_nothing_of_a_learners_runs_on_the_feedback_page(scores, server, course, page):
    press(page, server, "mallory", "generate-feedback")
    feedback = course / "feedback" / "mallory" / TINY / f"{TINY}.html"
    assert "double(21)" not in feedback.read_text()
    page.goto(feedback.as_uri())
    expect(page.locator("body")).to_contain_text("onerror")
    assert ran(page) == []


def test_without_these_filters_it_would_run(course, page, tmp_path):
    """What the tests above look for happens where nothing is done against it."""
    templates = [handlers.template_path]
    plain = HTMLExporter(template_name="formgrade", extra_template_basedirs=templates)
    submitted = course / "submitted" / "mallory" / TINY / f"{TINY}.ipynb"
    notebook = nbformat.read(submitted, as_version=4)
    name = f"<script>{own('student')}</script>"
    names = ("submission_id", "notebook_id", "assignment_id", "base_url", "notebook_path")
    about = dict.fromkeys(names, "") | {"index": 0, "total": 1, "student": name}
    notebook.cells = [cell for cell in notebook.cells if "attachment:" not in cell.source]
    made, _ = plain.from_notebook_node(notebook, about)
    (tmp_path / "page.html").write_text(made)
    page.goto((tmp_path / "page.html").as_uri())
    assert {"student", "answer"} <= set(ran(page))


def test_a_picture_with_formgraders_own_address_would_run_a_file_that_was_handed_in(
    server, course, page
):
    """That of `payloads`, by which formgrader reads a configuration file: Python code."""
    page.goto(f"{server}/formgrader/manage_students")
    with page.expect_response(lambda response: "?path=" in response.url):
        page.evaluate(f"new Image().src = '/formgrader?path=submitted/mallory/{TINY}'")
    ran = list(course.rglob("configured"))
    page.goto(f"{server}/formgrader")  # back to the course's own configuration
    for file in ran:
        file.unlink()
    assert ran

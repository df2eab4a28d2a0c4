"""What of a learner's markup comes through to a page, and what does not."""

import base64

import nbformat
import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st
from nbconvert.exporters import HTMLExporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output, new_raw_cell

from course_lib.grading.pages import PlainNames, clean_html, markdown2html

HARMLESS = [
    "<p>of <b>some</b> <code>text</code></p>",
    '<div class="highlight hl-python"><pre><span class="k">def</span></pre></div>',
    '<img src="figures/lineage.svg" alt="a plan" width="100">',
    '<img src="data:image/png;base64,AAAA">',
    '<table><tbody><tr><td colspan="2">1</td></tr></tbody></table>',
    "<details open=><summary>more</summary></details>",
    '<div style="padding: .2em;">right</div>',
]


@pytest.mark.parametrize("markup", HARMLESS)
def test_text_and_pictures_stay(markup):
    assert BeautifulSoup(clean_html(markup), "html.parser") == BeautifulSoup(markup, "html.parser")


@pytest.mark.parametrize(
    ("markup", "cleaned"),
    [
        ("<script>own()</script>", "&lt;script&gt;own()&lt;/script&gt;"),
        ("<img src=x.png onerror=own()>", '<img src="x.png">'),
        ("<img src='/formgrader?path=/tmp'>", "<img>"),
        ("<img src='//elsewhere/x.png'>", "<img>"),
        ("<img src='http://localhost:8888/formgrader/x.png'>", "<img>"),
        ("<img src='../../x.png'>", "<img>"),
        ("<img src='%2e%2e/x.png'>", "<img>"),
        ("<img src='data:text/html;base64,AAAA'>", "<img>"),
        ("<a href='javascript:own()'>here</a>", "<a>here</a>"),
        ("<a href='page.html'>here</a>", "<a>here</a>"),
        ("<p style='position:fixed;background:url(x)'>over</p>", '<p style="">over</p>'),
        ("<p id='submission_id' class='score'>p</p>", "<p>p</p>"),
        ("<style>* {display: none}</style>seen", "seen"),
        ("<!-- unseen -->seen", "seen"),
    ],
)
def test_nothing_that_acts_stays(markup, cleaned):
    assert clean_html(markup) == cleaned
    assert clean_html(cleaned) == cleaned
    assert clean_html(markup.encode()) == cleaned


@pytest.mark.parametrize(
    "tag", ["iframe", "object", "embed", "form", "svg", "math", "base", "meta"]
)
def test_what_loads_or_submits_is_shown_as_text(tag):
    assert clean_html(f"<{tag} x>").startswith(f"&lt;{tag}")


def exporter(**traits) -> HTMLExporter:
    """nbconvert's exporter, as the course configures it."""
    filters = {"clean_html": clean_html, "markdown2html": markdown2html}
    traits = {"sanitize_html": True, "filters": filters, "preprocessors": [PlainNames]} | traits
    return HTMLExporter(template_name="classic", **traits)


ENVIRONMENT = exporter().environment


def at(cell):
    """The context of a template that is at a cell."""
    return ENVIRONMENT.from_string("").new_context({"cell": cell})


MARKUP = (
    "< > / = \" ' ` & ; : # ! - [ ] ( ) \\ \n \0 img svg script math style a p noscript "
    "template textarea title xmp src href onerror onload javascript: own() x.png data: "
    "<!-- --> <![CDATA[ ]]> &lt; &#x3c; <p <img <svg <a $ $$ ~~~ attachment:x"
)


@given(st.lists(st.sampled_from(MARKUP.split(" ")), max_size=25))
def test_whatever_is_put_together_only_harmless_parts_come_out(pieces):
    text = " ".join(pieces)
    marked_down = markdown2html(at(new_markdown_cell(text)), text)
    for page in (clean_html(text), clean_html("".join(pieces)), marked_down):
        for part in BeautifulSoup(page, "html.parser").find_all(True):
            assert part.name not in {"script", "svg", "math", "style", "noscript", "template"}
            assert not any(name.startswith("on") for name in part.attrs)
            assert part.get("href") is None
            assert part.get("src", "x.png").endswith((".png", "="))


def body(*cells, **resources) -> BeautifulSoup:
    page, _ = exporter().from_notebook_node(new_notebook(cells=list(cells)), resources)
    return BeautifulSoup(page, "html.parser").body


def test_markdown_has_its_attachments_and_says_so_where_they_are_missing():
    picture = base64.b64encode(b"GIF89a").decode()
    cell = new_markdown_cell("![x](attachment:x)", attachments={"x": {"image/gif": picture}})
    assert body(cell).img["src"] == f"data:image/gif;base64,{picture}"
    cell = new_markdown_cell("![x](attachment:y)", attachments={})
    assert "![x](attachment:y)" in body(cell).text


def test_links_are_those_of_the_assignments_own_text():
    text = "[here](https://spark.apache.org/) and [there](javascript:own())"

    def links(**metadata):
        cell = new_markdown_cell(text, metadata={"nbgrader": metadata})
        page = BeautifulSoup(markdown2html(at(cell), text), "html.parser")
        return [link.get("href") for link in page.select("a")]

    assert links(locked=True, solution=False) == ["https://spark.apache.org/", None]
    assert links(locked=False, solution=True) == [None, None]


def test_outputs_run_nothing():
    markup = "<img src=x onerror=own()><script>own()</script>"
    kinds = ("text/html", "text/markdown", "text/plain", "text/latex", "image/svg+xml")
    outputs = [new_output("display_data", {kind: markup}) for kind in kinds]
    outputs += [
        new_output("display_data", {"application/javascript": "own()"}),
        new_output("error", ename=markup, evalue=markup, traceback=[markup]),
        new_output("stream", text=markup),
        new_output(
            "display_data",
            {"image/png": "AAAA"},
            metadata={"image/png": {"width": "1 onload=own()", "height": 20}},
        ),
    ]
    page = body(new_code_cell(markup, outputs=outputs), new_raw_cell(markup))
    assert not page.select("[onerror], [onload]")
    assert not any("own()" in script.text for script in page.select("script"))
    assert [picture.get("height") for picture in page.select("img[src^='data:image/png']")] == [
        "20"
    ]


def test_names_are_names():
    notebook = nbformat.v4.new_notebook()
    names = {"student": "<b>", "last_name": '"O\'Neil"', "first_name": None, "index": 3}
    _, plain = PlainNames().preprocess(notebook, names.copy())
    assert plain["student"] == "&lt;b&gt;"
    assert plain["last_name"] == "&quot;O&#x27;Neil&quot;"
    assert plain["first_name"] is None
    assert plain["index"] == 3

"""Pages made from learners' notebooks, on which nothing of a learner's runs or leads anywhere.

Who opens a submission in formgrader has the rights to change grades, and the page has them too.
nbgrader's templates show a markdown cell as the HTML that it is, and names as they are. To have
this on formgrader's pages, a course's ``nbgrader_config.py`` says::

    c.HTMLExporter.sanitize_html = True
    c.HTMLExporter.filters = {
        "clean_html": "course_lib.grading.pages.clean_html",
        "markdown2html": "course_lib.grading.pages.markdown2html",
    }
    c.HTMLExporter.preprocessors = ["course_lib.grading.pages.PlainNames"]

`FeedbackPage` has the filters of its own accord.
"""

import html
import re
from functools import lru_cache

import bleach
from bleach.css_sanitizer import CSSSanitizer
from jinja2 import pass_context
from jinja2.runtime import Context
from nbconvert.filters.markdown_mistune import InvalidNotebook, IPythonRenderer, MarkdownWithMath
from nbconvert.preprocessors import Preprocessor
from nbformat import NotebookNode
from nbgrader.utils import is_locked

# fmt: off
_TAGS = frozenset([
    "a", "abbr", "acronym", "b", "blockquote", "br", "caption", "code", "col", "colgroup", "dd",
    "del", "details", "div", "dl", "dt", "em", "figcaption", "figure", "h1", "h2", "h3", "h4", "h5",
    "h6", "hr", "i", "img", "ins", "kbd", "li", "mark", "ol", "p", "pre", "q", "s", "samp", "small",
    "span", "strike", "strong", "sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th",
    "thead", "tr", "tt", "u", "ul", "var", "wbr",
])
# fmt: on
_HARMLESS = frozenset(
    ["abbr", "align", "alt", "colspan", "open", "rowspan", "scope", "start", "style", "title"]
)
# Nothing that moves a text over another, or loads a picture.
_STYLE = CSSSanitizer(allowed_css_properties=["border-left", "padding", "text-align"])
_LENGTH = re.compile(r"\d{1,4}(px|%)?")
_HIGHLIGHTING = re.compile(r"highlight|hl-\w+|[a-z]{1,3}\d?")  # Pygments' classes are short
_DATA = re.compile(r"data:image/[a-z0-9.+-]+;base64,[A-Za-z0-9+/=\s]*")
# Not from the root, and without a question mark: nothing that a server acts on.
_BESIDE = re.compile(r"(?!.*\.\.)[\w.][\w./ -]*\.(png|jpe?g|gif|webp|svg)", re.IGNORECASE)
_SHORT = 20_000  # characters of what is worth remembering
_STYLE_SHEET = re.compile(r"<style\b.*?</style\s*>", re.IGNORECASE | re.DOTALL)


def clean_html(markup: str | bytes) -> str:
    """HTML without anything that runs, loads, submits, covers other things or leads elsewhere.

    What is not allowed is shown as the text that it is. Pictures are those in the page itself and
    files beside the notebook: with any other address, formgrader's own for instance, the browser
    would do what it says in the name of whoever looks. Links are for a click of the same kind.
    """
    return _clean(markup.decode() if isinstance(markup, bytes) else str(markup), links=False)


@pass_context
def markdown2html(context: Context, source: str) -> str:
    """Markdown as clean HTML, with the attachments of the cell that the template is at.

    In locked cells, whose text is the assignment's, links lead to where they say.
    """
    cell = context.get("cell") or {}
    renderer = IPythonRenderer(
        escape=False, attachments=cell.get("attachments", {}), exclude_anchor_links=True
    )
    try:
        markup = MarkdownWithMath(renderer=renderer).render(source)
    except InvalidNotebook:  # a picture was attached, and is not there
        markup = f"<pre>{html.escape(source)}</pre>"
    return _clean(markup, links="metadata" in cell and is_locked(cell))


def _clean(markup: str, links: bool) -> str:
    return (_clean_once if len(markup) <= _SHORT else _clean_now)(markup, links)


def _clean_now(markup: str, links: bool) -> str:
    def allowed(tag: str, name: str, value: str) -> bool:
        if name == "class":
            return all(map(_HIGHLIGHTING.fullmatch, value.split()))
        if name in ("width", "height"):
            return bool(_LENGTH.fullmatch(value))
        if (tag, name) == ("img", "src"):
            return bool(_DATA.fullmatch(value) or _BESIDE.fullmatch(value))
        if (tag, name) == ("a", "href"):
            return links and value.startswith(("http://", "https://"))
        return name in _HARMLESS

    return bleach.clean(
        _STYLE_SHEET.sub("", markup),
        tags=_TAGS,
        attributes=allowed,
        protocols={"http", "https", "data"},
        css_sanitizer=_STYLE,
    )


# The assignment's own texts are on every page of a class.
_clean_once = lru_cache(maxsize=500)(_clean_now)


class PlainNames(Preprocessor):
    """Has students' names, and the sizes of pictures, mean what they are and not be HTML."""

    def preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        """Change both in place."""
        for cell in nb.cells:
            for output in cell.get("outputs", ()):
                for about in output.get("metadata", {}).values():
                    for size in ("width", "height"):
                        if isinstance(about, dict) and not isinstance(about.get(size), int | float):
                            about.pop(size, None)
        for name in ("student", "first_name", "last_name", "notebook_path"):
            if resources.get(name):
                resources[name] = html.escape(resources[name])
        return nb, resources

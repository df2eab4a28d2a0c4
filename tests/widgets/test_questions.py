"""Predictions and self-tests: what is read, what is shown without a view, what is recorded."""

import nbformat
import pytest
import traitlets
from nbconvert import HTMLExporter

from course_lib import progress
from course_lib.widgets import predict, self_test
from course_lib.widgets.questions import Option, Question, inline_html, parse_questions

TWO = """
    1. Where is the **rest** of `-Xmx64m`,
       and who <pays>?
    - [ ] nowhere :: It is resident:
      look at `ps`.
    - [x] outside the heap :: Metaspace, stacks and more.

    2. How many heaps has a JVM?
    - [x] one :: Always.
    - [ ] two :: Young and old are parts of one.
"""
OPTIONS = {"2.2 GiB": "Right: 0.6 of it.", "4 GiB": "Not quite: that is the whole heap."}


@pytest.fixture(autouse=True)
def _kept_apart(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARK_COURSE_PROGRESS", str(tmp_path))


def test_numbered_questions_are_read():
    assert parse_questions(TWO) == [
        Question(
            "Where is the **rest** of `-Xmx64m`, and who <pays>?",
            (
                Option("nowhere", "It is resident: look at `ps`.", right=False),
                Option("outside the heap", "Metaspace, stacks and more.", right=True),
            ),
        ),
        Question(
            "How many heaps has a JVM?",
            (
                Option("one", "Always.", right=True),
                Option("two", "Young and old are parts of one.", right=False),
            ),
        ),
    ]


def test_both_forms_of_a_prediction_are_the_same():
    as_dict = predict("How much\n  storage?", OPTIONS, answer="2.2 GiB")
    as_text = predict(
        "How much storage?\n"
        "- [x] 2.2 GiB :: Right: 0.6 of it.\n"
        "- [ ] 4 GiB :: Not quite: that is the whole heap."
    )
    assert as_dict.questions == as_text.questions
    assert as_dict.items == as_text.items


GOOD = "1. q\n- [x] a :: why\n- [ ] b :: why not\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "there are no questions; write the first as `1. question`"),
        ("q\n- [x] a :: why", "line 1, 'q': the first question is expected here: `1. question`"),
        (GOOD + "3. q", "line 4, '3. q': question 2 is expected here"),
        (GOOD + "2. q\n- [ ] a :: b\n- [ ] c :: d", "line 4, '2. q': exactly one .* found none"),
        ("1. q\n- [x] a :: b\n- [x] c :: d", "line 1, '1. q': exactly one .* found 'a' and 'c'"),
        ("\n1. q\n- [x] a :: b", "line 2, '1. q': two or more options are expected, not 1"),
        ("1. q", "line 1, '1. q': two or more options are expected, not 0"),
        ("1. \n- [x] a :: b\n- [ ] c :: d", "line 1, '1.': there is no question"),
        (GOOD + "- [ ] a :: again", "line 1, '1. q': the option 'a' is given twice"),
        ("1. q\n- [x] a", r"line 2, '- \[x\] a': expected `- \[ \] option :: explanation`"),
        ("1. q\n- [x] a ::", "line 2, .* expected"),
        ("1. q\n- [x] :: why", "line 2, .* expected"),
        ("1. q\n- [y] a :: why", "line 2, .* expected"),
        ("1. q\n- [] a :: why", "line 2, .* expected"),
        ("1. q\n- a :: why", "line 2, .* expected"),
        ("1. q\n-[x] a :: why", "line 2, .* expected"),
        (GOOD + "[ ] c :: why", r"line 4, '\[ \] c :: why': an option is expected here"),
        ("1. q\n  - [x] a :: why\n  [ ] b :: why not", "line 3, .*: an option is expected here"),
        (
            "1. q\n  - [x] a :: b\n  - [ ] c :: d\n\n  3. q",
            "line 5, '3. q': question 2 is expected",
        ),
    ],
)
def test_malformed_text_says_where_and_what_is_expected(text, complaint):
    with pytest.raises(ValueError, match=complaint):
        self_test("04", text)


@pytest.mark.parametrize(
    ("arguments", "answer", "complaint"),
    [
        (("q", OPTIONS), "3 GiB", "answer is one of '2.2 GiB', '4 GiB', not '3 GiB'"),
        (("q", OPTIONS), None, "answer is one of '2.2 GiB', '4 GiB', not None"),
        (("q", {"a": "why"}), "a", "two or more options are expected, not 1"),
        (("q", {"a": "why", "b": " "}), "a", "option 'b' has no explanation"),
        (("q", {"a": "why", "b": None}), "a", "option 'b' has no explanation"),
        ((" ", OPTIONS), "4 GiB", "there is no question"),
        ((GOOD,), "a", "in Markdown mark it with"),
        (("q",), None, "line 1, 'q': two or more options are expected, not 0"),
        (("",), None, "there is no question"),
    ],
)
def test_a_malformed_prediction_says_what_is_expected(arguments, answer, complaint):
    with pytest.raises(ValueError, match=complaint):
        predict(*arguments, answer=answer)


def test_wrong_types_are_refused():
    with pytest.raises(TypeError, match="questions are text, not 4"):
        predict(4, OPTIONS, answer="4 GiB")
    with pytest.raises(TypeError, match="questions are text, not None"):
        self_test("04", None)
    with pytest.raises(TypeError, match="options is a dict of option and explanation"):
        predict("q", ["a", "b"], answer="a")
    with pytest.raises(TypeError, match="an option is text, not 4"):
        predict("q", {4: "why", 5: "why"}, answer=4)
    with pytest.raises(ValueError, match="there is no lesson '4'"):
        self_test("4", GOOD)


def test_markdown_is_only_code_and_bold():
    assert (
        inline_html("a **b** `**c** <d>` <script> & 'e' 2 ** 3")
        == "a <strong>b</strong> <code>**c** &lt;d&gt;</code> &lt;script&gt; &amp; 'e' 2 ** 3"
    )


def test_the_view_comes_with_forms_that_need_none():
    widget = self_test("04", TWO)
    data, _ = widget._repr_mimebundle_()
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == widget.model_id
    assert (
        data["text/plain"]
        == repr(widget)
        == (
            "Self-test of lesson 04\n\n"
            "1. Where is the **rest** of `-Xmx64m`, and who <pays>?\n"
            "  ( ) nowhere\n"
            "  ( ) outside the heap\n\n"
            "2. How many heaps has a JVM?\n"
            "  ( ) one\n"
            "  ( ) two\n\n"
            "Answers\n"
            "1. outside the heap: Metaspace, stacks and more.\n"
            "2. one: Always."
        )
    )
    page = data["text/html"]
    assert "<p>1. Where is the <strong>rest</strong> of <code>-Xmx64m</code>" in page
    before_folds = page.split("<details>")[0]
    assert "nowhere" in before_folds
    assert "It is resident" not in before_folds
    assert page.count("<details>") == page.count("</details>") == 2
    assert "✗ <strong>nowhere</strong>: It is resident: look at <code>ps</code>." in page


def test_the_static_forms_are_the_same_each_time_and_whatever_is_answered():
    first, second = self_test("04", TWO), self_test("04", TWO)
    second.answers = [0, 1]
    forms = [widget._repr_mimebundle_()[0] for widget in (first, second)]
    assert [form["text/plain"] for form in forms] == [repr(first)] * 2
    assert forms[0]["text/html"] == forms[1]["text/html"]


def test_a_committed_prediction_is_recorded():
    widget = predict("How much?", OPTIONS, answer="2.2 GiB")
    assert widget.chosen() == [None]
    assert progress.events() == []
    widget.answers = [1]
    (event,) = progress.events()
    assert event | {"time": ""} == {
        "time": "",
        "kind": "prediction",
        "name": "How much?",
        "chosen": "4 GiB",
        "right": False,
    }


def test_a_self_test_is_recorded_when_it_is_finished_and_can_be_taken_again():
    widget = self_test("04", TWO)
    widget.answers = [0, -1]
    assert (widget.score(), progress.summary()) == (0, {})
    widget.answers = [0, 0]
    assert progress.summary()["04"].self_test == (1, 2)
    widget.answers = [-1, -1]
    widget.answers = [1, 0]
    assert progress.summary()["04"].self_test == (2, 2)
    assert len(progress.events()) == 2


@pytest.mark.parametrize("answers", [[0], [0, 2], [-2, 0], [0, 0, 0]])
def test_answers_that_do_not_exist_are_refused(answers):
    widget = self_test("04", TWO)
    with pytest.raises(traitlets.TraitError, match="no such answers"):
        widget.answers = answers


def test_an_exported_page_is_not_blank():
    widget = self_test("04", TWO)
    data, metadata = widget._repr_mimebundle_()
    output = nbformat.v4.new_output("display_data", data=data, metadata=metadata)
    cell = nbformat.v4.new_code_cell("self_test(...)", outputs=[output])
    page, _ = HTMLExporter().from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
    assert "<details><summary>Answer</summary>" in page

"""Feedback pages made by nbgrader from really autograded notebooks: what they tell, and what they
must never tell."""

import html
import json
import re
import shutil

import nbformat
import pytest
import tiny_course
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_output
from nbgrader.api import Gradebook
from nbgrader.apps import GenerateFeedbackApp
from nbgrader.converters import GenerateFeedback
from nbgrader.converters.base import NbGraderException
from tiny_course import DOUBLE, HALF, SET

from course_lib.grading.feedback import HideTests, write_feedback

SECRET = "assert half(8151) == 4075.5"
ESCAPED = r'assert str(half(8151)) != "4075\n"'
PIXEL = "iVBORw0KGgo="  # as good as any: nobody looks at it
CONFIGURED = """
c.GenerateFeedback.preprocessors = [
    "course_lib.grading.feedback.HideTests",
    "course_lib.grading.feedback.GetGradesAtOnce",
    "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
]
c.GenerateFeedback.exporter_class = "course_lib.grading.feedback.FeedbackPage"
"""


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """ada is right; bob fails a hidden test with a message, and another one without."""
    answers = {
        "ada": {"double": DOUBLE, "half": HALF},
        "bob": {
            "double": "def double(number):\n    return 2 if number == 1 else number + 1",
            "half": "def half(number):\n    return min(number // 2, 4000)",
        },
    }
    root = tiny_course.make(tmp_path_factory.mktemp("course"), answers)
    tiny_course.mark(root, "bob", {}, "The notebook was **renamed**: it was called x.ipynb.")
    return root


@pytest.fixture
def course(graded, tmp_path):
    """A copy of that course, to be changed."""
    return shutil.copytree(graded, tmp_path / "course")


def page(course, student="bob"):
    return (course / "feedback" / student / SET / f"{SET}.html").read_text(encoding="utf-8")


def words(page):
    return re.sub(r"\s+", " ", BeautifulSoup(page, features="html.parser").body.get_text())


def write(course, students=None, **settings):
    config, folders = tiny_course.configured(course)
    config.HideTests.update(settings)
    write_feedback(folders, config, students)


def write_as_nbgrader_does(course, *first):
    config, folders = tiny_course.configured(course)
    converter = GenerateFeedback(coursedir=folders, config=config)
    converter.preprocessors = [*first, *converter.preprocessors]
    converter.force = True
    converter.start()


def change(course, student, alter):
    """Let `alter` change the cells of an autograded notebook, which it gets by grade_id."""
    path = tiny_course.autograded(course, student)
    notebook = nbformat.read(path, as_version=4)
    alter(
        {
            cell.metadata.nbgrader.grade_id: cell
            for cell in notebook.cells
            if "nbgrader" in cell.metadata
        }
    )
    tiny_course.write(notebook, path)


def add_output(course, output, student="ada", grade_id="half-check"):
    change(course, student, lambda cells: cells[grade_id].outputs.append(output))


def quotes_the_tests(page):
    """Whether words that stand in hidden lines only are on a page, shown or in its markup."""
    texts = (words(page), html.unescape(page))
    only_hidden = ("HIDDEN TESTS", "secret_input", "9422", "8151", "4075")
    return any(word in text for word in only_hidden for text in texts)


def test_a_page_tells_points_reasons_and_what_was_found_in_the_file(course):
    write(course)
    told = words(page(course))
    assert "(Score: 0.0 / 5.0)" in told
    assert "Test cell (Score: 0.0 / 2.0)" in told
    assert "AssertionError: adds instead of doubling" in told
    assert "The notebook was renamed: it was called x.ipynb." in told
    assert "Test cell (Score: 3.0 / 3.0)" in words(page(course, "ada"))


def test_a_page_shows_the_tests_that_learners_have_and_not_the_hidden_ones(course):
    write_as_nbgrader_does(course)
    assert quotes_the_tests(page(course))
    write(course)
    for student in ("ada", "bob"):
        assert "assert double(1) == 2" in words(page(course, student))
        assert not quotes_the_tests(page(course, student))
        assert "Traceback" not in words(page(course, student))


@pytest.mark.parametrize(
    "output",
    [
        new_output("stream", name="stderr", text=f'File "<x>", line 4\n    {SECRET}\nNo\n'),
        new_output("stream", text="\x1b[32massert\x1b[39m half(\x1b[31m8151\x1b[39m) == 4075.5\n"),
        new_output("execute_result", data={"text/plain": repr(f"{SECRET}\nx")}),
        new_output("display_data", data={"text/plain": "x", "text/html": f"<b>{SECRET}</b>"}),
        new_output(
            "display_data",
            data={"text/html": "<i>assert</i>&nbsp;half(<b>8151</b>) =&#61; <u>4075.5</u>"},
        ),
        new_output("display_data", data={"text/html": f'<a title="{SECRET}">x</a>'}),
        new_output("display_data", data={"text/markdown": f"# {SECRET}"}),
        new_output("error", ename="TestError", evalue=f"in {SECRET}", traceback=[f"> {SECRET}"]),
        new_output("stream", text=json.dumps({"source": [ESCAPED, "secret_input = 4711"]})),
        new_output("stream", text=repr([ESCAPED])),
    ],
    ids=lambda output: output.output_type,
)
@pytest.mark.parametrize("grade_id", ["half-check", "half"])
def test_no_output_quotes_a_hidden_line(course, output, grade_id):
    add_output(course, output, grade_id=grade_id)
    write(course, ["ada"])
    assert not quotes_the_tests(page(course, "ada"))
    assert "[hidden test]" in words(page(course, "ada"))


def test_what_quotes_nothing_stays_as_it_is(course):
    row = "<tr><td>assert double(1) == 2</td><td>&lt;b&gt;</td></tr>"
    kept = f"<table><tbody>{row}</tbody></table>"
    add_output(course, new_output("display_data", data={"text/html": kept}))
    add_output(course, new_output("stream", text="\x1b[31mred\x1b[0m"), grade_id="half")
    write(course)
    assert kept in page(course, "ada")
    assert re.search(r'<span class="ansi-red-fg">red</span>', page(course, "ada"))


def test_an_answer_with_marks_of_hidden_tests_is_shown_as_it_is(course):
    def alter(cells):
        cells["half"].source = "### BEGIN HIDDEN TESTS\nmine = 1"

    change(course, "bob", alter)
    write(course)
    assert "### BEGIN HIDDEN TESTS" in words(page(course))
    assert "mine = 1" in words(page(course))


def test_the_marks_are_those_of_the_course(course):
    def alter(cells):
        cells["half-check"].source = "visible = 1\n# SECRET\nhidden_line = 2\n# /SECRET"

    change(course, "ada", alter)
    config = "c.ClearHiddenTests.begin_test_delimeter = '# SECRET'\n"
    with (course / "nbgrader_config.py").open("a") as file:
        file.write(config + "c.ClearHiddenTests.end_test_delimeter = '# /SECRET'\n")
    write(course, ["ada"])
    assert "visible = 1" in words(page(course, "ada"))
    assert "hidden_line" not in page(course, "ada")


def test_a_page_is_of_limited_size_and_tests_come_first(course):
    flood = [new_output("stream", text="all work and no play\n" * 100_000)]
    flood += [new_output("stream", text="x") for _ in range(1000)]
    flood += [new_output("display_data", data={"image/png": "A" * 1_000_000})]
    path = tiny_course.autograded(course, "bob")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[:0] = [new_code_cell("print('x')", outputs=flood) for _ in range(12)]
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"x": "y" * 9**7}}
    tiny_course.write(notebook, path)
    write(course, ["bob"], max_output=500_000)
    made = page(course)
    assert len(made) < 2_000_000
    assert "all work and no play" in words(made)
    assert "more characters of output are left out of this page" in words(made)
    assert "AssertionError: adds instead of doubling" in words(made)


def test_a_line_that_is_cut_is_not_half_a_hidden_one(course):
    for width in range(0, len(SECRET), 3):
        add_output(course, new_output("stream", text=f"{'x' * width}\n{SECRET}\n"), grade_id="half")
        write(course, ["ada"], max_output=2500)
        assert "8151" not in words(page(course, "ada"))
        change(course, "ada", lambda cells: cells["half"].update(outputs=[]))


@pytest.mark.parametrize(
    "source",
    ["." * 1_000_000, " \n" * 500_000, "x = 1\n" * 150_000],
    ids=["dots", "blanks", "ones"],
)
def test_answers_of_any_length_have_a_page(course, source):
    def alter(cells):
        cells["half"].source = source + "the_end = 1"

    change(course, "bob", alter)
    write(course, ["bob"])
    assert "more characters are left out of this page" in words(page(course))
    assert "the_end" not in page(course)


def test_what_the_teacher_wrote_is_shown_in_full(course):
    def alter(cells):
        cells["half-check"].source = "# Explanation.\n" * 2000 + "the_end = 1"

    change(course, "bob", alter)
    write(course, ["bob"])
    assert "the_end = 1" in words(page(course))


def test_pages_are_those_of_nbgrader_without_the_tests(course):
    with Gradebook(f"sqlite:///{course}/gradebook.db") as gradebook:
        gradebook.find_submission_notebook(SET, SET, "bob").late_submission_penalty = 0.5
        gradebook.find_comment("double", SET, SET, "bob").manual_comment = "Look at *addition*."
        gradebook.find_grade("half-check", SET, SET, "bob").manual_score = 1.5
        gradebook.db.commit()
    image = new_output("display_data", data={"image/png": PIXEL, "text/plain": "<Figure>"})
    add_output(course, image, "ada", "half")
    write_as_nbgrader_does(course, HideTests)
    stock = {student: page(course, student) for student in ("ada", "bob")}
    write(course)
    assert page(course, "ada") == stock["ada"]  # with an image: parsed once more, as by nbconvert
    assert "Look at <em>addition</em>" in page(course, "bob")
    assert "(Score: 1.0 / 5.0)" in words(page(course, "bob"))
    assert str(BeautifulSoup(page(course, "bob"), features="html.parser")) == stock["bob"]


def test_only_pages_of_those_named_are_written(course):
    write(course, ["bob"])
    assert [folder.name for folder in (course / "feedback").iterdir()] == ["bob"]
    write(course, [])
    with pytest.raises(NbGraderException, match="not autograded, so without feedback: cyd, dan"):
        write(course, ["ada", "cyd", "dan"])
    assert not (course / "feedback" / "ada").exists()


def test_a_page_that_cannot_be_made_costs_nobody_else_theirs(course, caplog):
    shutil.copytree(course / "autograded" / "ada", course / "autograded" / "aaron")
    change(course, "ada", lambda cells: cells["half"].metadata.nbgrader.update(grade_id="quarter"))
    with pytest.raises(NbGraderException):
        write(course)
    assert "(Score: 0.0 / 5.0)" in words(page(course, "bob"))
    assert [folder.name for folder in (course / "feedback").iterdir()] == ["bob"]
    assert f"the gradebook has no {SET}/{SET} of aaron" in caplog.text
    assert "the gradebook has nothing on the cell 'quarter'" in caplog.text


def test_the_command_of_nbgrader_hides_them_where_the_course_says_so(course, monkeypatch):
    with (course / "nbgrader_config.py").open("a") as file:
        file.write(CONFIGURED)
    monkeypatch.chdir(course)
    app = GenerateFeedbackApp()
    app.initialize([SET])
    app.start()
    by_command = page(course)
    assert not quotes_the_tests(by_command)
    write(course)
    assert page(course) == by_command


def test_hiding_cannot_be_configured_away_for_a_class(course):
    with (course / "nbgrader_config.py").open("a") as file:
        file.write("from nbgrader.preprocessors import GetGrades\n")
        file.write("c.GenerateFeedback.preprocessors = [GetGrades, 'nbconvert.preprocessors.")
        file.write("CSSHTMLHeaderPreprocessor']\n")
    write(course)
    assert not quotes_the_tests(page(course))

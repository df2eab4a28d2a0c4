"""Tables of grades, as nbgrader's own command writes them from a real gradebook: nobody gets a 0
that they have not earned, and nobody is left out."""

import csv
import io
import shutil

import nbformat
import pytest
import tiny_course
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.apps import ExportApp
from nbgrader.plugins import CsvExportPlugin
from tiny_course import DOUBLE, HALF, SET

from course_lib.grading import export
from course_lib.grading.export import (
    CanvasExportPlugin,
    GradesCsvExportPlugin,
    MoodleExportPlugin,
    standings,
)
from course_lib.grading.findings import Finding, to_metadata

RIGHT = {"double": DOUBLE, "half": HALF}
WRONG = {"double": "def double(number):\n    return number", "half": HALF}
RENAMED = Finding("renamed", "The notebook was called “Set 1.ipynb”, and is taken for set1.ipynb.")
NOT_JSON = Finding("not-json", "The file is no notebook: it ends in line 3, column 7.")

ROSTER = {
    "ada": {"last_name": "Lovelace", "first_name": "Ada", "lms_user_id": "4077"},
    "bob": {"last_name": '=HYPERLINK("http://x")', "first_name": "Bob, the “one”\nwith lines"},
    "cyd": {"last_name": "Łużna", "first_name": "Çydalise"},
    "dan": {"last_name": "Ndiaye", "first_name": "Dan"},
    "fay": {"last_name": "Points Possible", "first_name": "Fay", "email": "@fay"},
}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """One student of each kind: ada's file was mended, bob's refused, cyd's graded by stock
    nbgrader, dan handed nothing in, eve was never graded, fay's is fine."""
    answers = {"ada": RIGHT, "bob": {}, "cyd": WRONG, "fay": WRONG}
    root = tiny_course.make(tmp_path_factory.mktemp("course"), answers)
    for student, status, findings in (
        ("ada", "mended", [RENAMED]),
        ("bob", "refused", [NOT_JSON]),
        ("fay", "graded", []),
    ):
        tiny_course.mark(root, student, {"status": status, "findings": to_metadata(findings)})
    shutil.copytree(root / "submitted" / "ada", root / "submitted" / "eve")
    with open_gradebook(root) as gradebook:
        for student, details in ROSTER.items():
            gradebook.update_or_create_student(student, **details)
    return root


@pytest.fixture
def course(graded, tmp_path):
    """A copy of that course, to be changed."""
    return shutil.copytree(graded, tmp_path / "course")


def open_gradebook(root):
    return Gradebook(f"sqlite:///{root}/gradebook.db")


@pytest.fixture
def exported(monkeypatch):
    """``exported(course, plugin, *options)``: runs ``nbgrader export``; the table's rows."""

    def run(course, plugin, *options, config=""):
        monkeypatch.chdir(course)
        with (course / "nbgrader_config.py").open("a") as file:
            file.write(config)
        app = ExportApp()
        path = f"{plugin.__module__}.{plugin.__qualname__}"
        app.initialize([f"--exporter={path}", "--to=table.csv", *options])
        app.start()
        with (course / "table.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.reader(file, strict=True))

    return run


def by_student(rows, column="student_id"):
    header, *rows = rows
    return {row[header.index(column)]: dict(zip(header, row, strict=True)) for row in rows}


def test_every_student_has_a_status_and_only_what_was_graded_has_points(course, exported):
    rows = by_student(exported(course, GradesCsvExportPlugin))
    assert {student: (row["status"], row["score"]) for student, row in rows.items()} == {
        "ada": ("mended", "5.0"),
        "bob": ("refused", "0.0"),
        "cyd": ("not graded here", "3.0"),
        "dan": ("missing", ""),
        "eve": ("ungraded", ""),
        "fay": ("graded", "3.0"),
    }


def test_findings_and_points_per_task_stand_beside_the_points(course, exported):
    rows = by_student(exported(course, GradesCsvExportPlugin))
    assert (rows["ada"]["findings"], rows["ada"]["reasons"]) == ("renamed", RENAMED.says)
    assert rows["ada"]["tasks"] == "double-check=2/2;half-check=3/3"
    assert (rows["bob"]["findings"], rows["bob"]["reasons"]) == ("not-json", NOT_JSON.says)
    assert rows["fay"]["tasks"] == "double-check=0/2;half-check=3/3"
    assert (rows["fay"]["findings"], rows["fay"]["reasons"]) == ("", "")


def test_columns_of_nbgrader_are_as_nbgrader_writes_them(course, exported):
    with open_gradebook(
        course
    ) as gradebook:  # names that nbgrader, which does not quote, can write
        for student in ROSTER:
            gradebook.update_or_create_student(student, last_name="L", first_name="F", email=None)
    stock = by_student(exported(course, CsvExportPlugin))
    ours = by_student(exported(course, GradesCsvExportPlugin))
    for student in ("ada", "bob", "cyd", "fay"):
        assert {name: ours[student][name] for name in stock[student]} == stock[student]


def test_points_that_wait_for_a_person_are_no_zero(course, exported):
    with open_gradebook(course) as gradebook:
        gradebook.find_grade("half-check", SET, SET, "ada").auto_score = None
        gradebook.find_grade("half-check", SET, SET, "ada").needs_manual_grade = True
        gradebook.db.commit()
    row = by_student(exported(course, GradesCsvExportPlugin))["ada"]
    assert (row["tasks"], row["needs_manual_grade"]) == ("double-check=2/2;half-check=?/3", "True")


def test_points_lost_by_lateness_are_taken_off(course, exported):
    with open_gradebook(course) as gradebook:
        gradebook.find_submission_notebook(SET, SET, "ada").late_submission_penalty = 1.5
        gradebook.find_submission_notebook(SET, SET, "fay").late_submission_penalty = 7
        gradebook.db.commit()
    rows = by_student(exported(course, GradesCsvExportPlugin))
    assert [rows["ada"][name] for name in ("raw_score", "score")] == ["5.0", "3.5"]
    assert [rows["fay"][name] for name in ("raw_score", "score")] == ["3.0", "0.0"]


def test_of_several_notebooks_the_worst_counts(course, exported):
    other = nbformat.read(tiny_course.autograded(course, "ada"), as_version=4)
    other.metadata["grading"] = {"findings": to_metadata([NOT_JSON])}
    tiny_course.write(other, course / "autograded" / "ada" / SET / "part2.ipynb")
    row = by_student(exported(course, GradesCsvExportPlugin))["ada"]
    assert (row["status"], row["findings"]) == ("refused", "not-json;renamed")


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'{"metadata": []}', b'{"metadata": {"grading": {"findings": [{"name": "x"}]}}}'],
    ids=["empty", "list", "no metadata", "unknown finding"],
)
def test_a_notebook_that_says_nothing_readable_of_itself_is_not_graded_here(
    course, exported, content
):
    path = tiny_course.autograded(course, "ada")
    path.unlink()
    path.write_bytes(content)
    assert by_student(exported(course, GradesCsvExportPlugin))["ada"]["status"] == "not graded here"


def test_what_nbgrader_failed_to_grade_is_no_zero(course, exported):
    with open_gradebook(course) as gradebook:
        gradebook.add_submission(SET, "dan")
    row = by_student(exported(course, GradesCsvExportPlugin))["dan"]
    assert (row["status"], row["score"]) == ("ungraded", "")


def test_only_what_is_asked_for_is_exported(course, exported):
    with open_gradebook(course) as gradebook:
        gradebook.add_assignment("set2")
    everything = exported(course, GradesCsvExportPlugin)
    assert {row[0] for row in everything[1:]} == {"set1", "set2"}
    rows = exported(course, GradesCsvExportPlugin, "--assignment=set2", "--student=dan")
    assert [(row[0], row[3]) for row in rows[1:]] == [("set2", "dan")]


def test_an_assignment_that_does_not_exist_is_named(course):
    _, folders = tiny_course.configured(course)
    with (
        open_gradebook(course) as gradebook,
        pytest.raises(MissingEntry, match=r"no assignment is called 'set7'; there are set1"),
    ):
        list(standings(gradebook, folders, assignments=["set7"]))


def test_canvas_finds_its_columns(course, exported):
    rows = exported(course, CanvasExportPlugin)
    assert rows[0] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "set1"]
    assert rows[1] == ["    Points Possible", "", "", "", "", "5"]
    students = by_student([rows[0], *rows[2:]], "SIS Login ID")
    assert list(students["ada"].values()) == ["Lovelace, Ada", "4077", "", "ada", "", "5"]
    assert {student: row["set1"] for student, row in students.items()} == {
        **{"ada": "5", "cyd": "3", "fay": "3"},
        **{"bob": "", "dan": "", "eve": ""},  # a refusal is no 0
    }


def test_canvas_titles_and_ids_are_as_the_course_there_has_them(course, exported):
    config = (
        "c.CanvasExportPlugin.columns = {'set1': 'Set 1 (88)'}\n"
        "c.CanvasExportPlugin.student_id_is = 'SIS User ID'\n"
    )
    rows = exported(course, CanvasExportPlugin, config=config)
    assert rows[0][5] == "Set 1 (88)"
    assert ["Lovelace, Ada", "4077", "ada", "", "", "5"] in rows


def test_no_student_is_taken_for_the_points_possible(course, exported):
    rows = exported(course, CanvasExportPlugin)
    assert [row[0] for row in rows if "Points Possible" in row[0]] == ["    Points Possible"]
    assert by_student(rows, "SIS Login ID")["fay"]["Student"] == "fay"


def test_a_title_that_canvas_would_ignore_is_refused(course, exported):
    with pytest.raises(ValueError, match="Canvas ignores columns called like its own totals"):
        exported(
            course,
            CanvasExportPlugin,
            config="c.CanvasExportPlugin.columns = {'set1': 'Final Score'}",
        )


def test_assignments_do_not_share_a_column(course, exported):
    with open_gradebook(course) as gradebook:
        gradebook.add_assignment("set2")
    config = "c.MoodleExportPlugin.columns = {'set1': 'Set', 'set2': 'Set'}"
    with pytest.raises(ValueError, match="two assignments would share a column: Set, Set"):
        exported(course, MoodleExportPlugin, config=config)


def test_moodle_gets_a_hyphen_for_no_grade_and_the_reasons_as_feedback(course, exported):
    rows = exported(course, MoodleExportPlugin)
    assert rows[0] == ["First name", "Last name", "Username", "set1", "set1 (feedback)"]
    students = by_student(rows, "Username")
    assert {student: row["set1"] for student, row in students.items()} == {
        **{"ada": "5", "cyd": "3", "fay": "3"},
        **{"bob": "-", "dan": "-", "eve": "-"},
    }
    assert students["bob"]["set1 (feedback)"] == NOT_JSON.says


def test_moodle_never_gets_a_row_that_identifies_nobody(course, exported):
    config = "c.MoodleExportPlugin.student_is = 'Email address'"
    with pytest.raises(ValueError, match=r"without email address: .*ada.*; add it to"):
        exported(course, MoodleExportPlugin, config=config)
    with open_gradebook(course) as gradebook:
        for student in ROSTER:
            gradebook.update_or_create_student(student, email=f"{student}@example.org")
    shutil.move(course / "submitted" / "eve", course / "submitted" / "eve@example.org")
    rows = by_student(exported(course, MoodleExportPlugin), "Email address")
    assert rows["ada@example.org"]["set1"] == "5"
    assert "eve@example.org" in rows


@pytest.mark.parametrize("plugin", [CanvasExportPlugin, MoodleExportPlugin])
def test_points_given_by_a_person_count_and_points_that_wait_for_one_do_not(
    course, exported, plugin, capfd
):
    with open_gradebook(course) as gradebook:
        gradebook.find_grade("double-check", SET, SET, "bob").manual_score = 1.25
        gradebook.find_grade("double-check", SET, SET, "fay").needs_manual_grade = True
        gradebook.db.commit()
    column = "SIS Login ID" if plugin is CanvasExportPlugin else "Username"
    rows = by_student(exported(course, plugin), column)
    assert rows["bob"]["set1"] == "1.25"
    assert rows["fay"]["set1"] == ("" if plugin is CanvasExportPlugin else "-")
    assert "fay, set1: no points to import" in capfd.readouterr().err


@pytest.mark.parametrize("plugin", [GradesCsvExportPlugin, CanvasExportPlugin, MoodleExportPlugin])
def test_no_name_is_calculated_or_breaks_a_row(course, exported, plugin):
    rows = exported(course, plugin)
    assert len({len(row) for row in rows}) == 1
    fields = [field for row in rows for field in row]
    assert not [
        field for field in fields if field.startswith(("=", "+", "@", "-")) and field != "-"
    ]
    assert any(field.startswith("'=HYPERLINK") for field in fields)
    assert any("Łużna" in field for field in fields)
    text = (course / "table.csv").read_bytes().decode("utf-8")
    assert text.count("\r\n") == text.count("\n") == len(rows)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Ann", "Ann"),
        (None, ""),
        ("-1+1", "'-1+1"),
        (" =1", "' =1"),
        ("\t@SUM(A1)", "' @SUM(A1)"),
        ("\uff1d1", "'\uff1d1"),
        ("a\r\nb", "a  b"),
    ],
)
def test_text_of_others_stays_text(text, written):
    out = io.StringIO()
    csv.writer(out).writerow([export._text(text)])
    assert next(csv.reader(io.StringIO(out.getvalue(), newline=""))) == [written]

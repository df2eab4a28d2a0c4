"""Starting, checking and grading problem sets: what is done, what is never done, and what is said
when something is missing."""

import csv
import shutil
from pathlib import Path

import nbformat
import pytest

from course_lib import assignments, places, progress
from course_lib.__main__ import main
from course_lib.assignments import AssignmentError

ROOT = Path(__file__).parents[1]
PS04 = "ps04-heap-regions"


@pytest.fixture
def course(tmp_path):
    """A course of its own with problem set 04 and another one."""
    shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
    for folder in ("solutions", "exercises"):
        shutil.copytree(ROOT / folder / PS04, tmp_path / folder / PS04)
        (tmp_path / folder / "ps05-static").mkdir()
    return tmp_path


def run(course, monkeypatch, *arguments):
    """The commands as ``python -m course_lib`` runs them, started in the course's folder."""
    monkeypatch.chdir(course)
    return main(list(arguments))


def answer_regions(notebook, text):
    content = nbformat.read(notebook, as_version=4)
    [cell] = [c for c in content.cells if c.source.startswith("def regions(")]
    cell.source = text
    nbformat.write(content, notebook)


@pytest.mark.parametrize("name", ["ps04", "ps04-heap-regions", "ps04-h"])
def test_a_set_is_found_by_its_name_or_the_beginning_of_it(course, name):
    assert assignments.find_set(course, name) == PS04


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("ps09", "no problem set is called 'ps09'; there are ps04-heap-regions, ps05-static"),
        ("heap", "no problem set is called 'heap'; there are ps04-heap-regions, ps05-static"),
        ("ps0", "several problem sets begin with 'ps0'; there are ps04-heap-regions, ps05-static"),
        ("", "no problem set is called ''; there are ps04-heap-regions, ps05-static"),
    ],
)
def test_a_name_that_fits_no_set_or_several_is_answered_with_those_there_are(
    course, name, complaint
):
    with pytest.raises(AssignmentError) as error:
        assignments.find_set(course, name)
    assert str(error.value) == complaint


def test_start_copies_the_student_version(course, monkeypatch, capsys):
    assert run(course, monkeypatch, "start", "ps04") == 0
    copy = course / "my" / PS04 / f"{PS04}.ipynb"
    assert copy.read_bytes() == (course / "exercises" / PS04 / f"{PS04}.ipynb").read_bytes()
    assert f"Copied to my/{PS04}/{PS04}.ipynb" in capsys.readouterr().out


def test_start_never_overwrites(course, monkeypatch, capsys):
    copy = assignments.start(course, "ps04")
    copy.write_text("hours of work")
    assert run(course, monkeypatch, "start", "ps04") == 1
    assert "is there already and stays as it is" in capsys.readouterr().out
    assert copy.read_text() == "hours of work"


def test_outside_the_course_the_one_the_package_lies_in_is_meant(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert places.course_root() == ROOT
    monkeypatch.chdir(ROOT / "solutions" / PS04)
    assert places.course_root() == ROOT


def test_without_a_course_anywhere_it_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(places, "__file__", str(tmp_path / "course_lib" / "places.py"))
    assert run(tmp_path, monkeypatch, "start", "ps04") == 1
    assert "is not in the course's folder: change into it" in capsys.readouterr().out


def test_check_grades_the_copy_and_leaves_everything_as_it_was(course, monkeypatch, capsys):
    monkeypatch.setenv("SPARK_COURSE_PROGRESS", str(course / "progress"))
    copy = assignments.start(course, "ps04")
    answer_regions(
        copy,
        "def regions(heap_bytes, fraction, storage_fraction):\n"
        "    unified = heap_bytes * fraction\n"
        "    storage = unified * storage_fraction\n"
        "    return {'unified': unified, 'storage': storage,\n"
        "            'execution': unified - storage, 'user': heap_bytes - unified}",
    )
    before = {file: file.read_bytes() for file in course.rglob("*") if file.is_file()}
    assert run(course, monkeypatch, "check", "ps04") == 0
    out = capsys.readouterr().out
    assert "✗ Regions from settings: not yet right (0 of 4 points)" in out
    assert "This is what you get when the 300 MiB reserve is left out" in out
    assert "○ What Spark refuses: not attempted yet (0 of 4 points)" in out
    assert f"{PS04}: 0 of 15 points" in out
    assert progress.summary()["04"].problem_set == (0, 15)
    after = {file: file.read_bytes() for file in course.rglob("*") if file.is_file()}
    assert {file for file in after if after[file] != before.get(file)} == {
        course / "progress" / progress.FILE_NAME
    }


def test_a_cell_that_does_not_run_costs_its_task_only(course):
    copy = assignments.start(course, "ps04")
    answer_regions(copy, "def regions(heap_bytes, fraction storage_fraction):\n    return {}")
    results = {result.cell: result for result in assignments.check(course, "ps04").results}
    assert len(results) == 4
    says = results["ps04-regions-check"].says
    assert "There is no `regions` in this notebook: run the cell that defines it." in says
    assert all(result.points == 0 for result in results.values())


def test_checking_what_was_not_started_says_how_to(course, monkeypatch, capsys):
    assert run(course, monkeypatch, "check", "ps04") == 1
    assert f"python -m course_lib start {PS04}" in capsys.readouterr().out


def test_grading_nothing_says_where_answers_belong(course, monkeypatch, capsys):
    assert run(course, monkeypatch, "grade", "ps04") == 1
    assert f"submitted/<student>/{PS04}/{PS04}.ipynb" in capsys.readouterr().out


@pytest.mark.jail
def test_a_submission_that_is_no_notebook_does_not_stop_the_others(course, monkeypatch, capsys):
    for student in ("anna", "zoe"):
        shutil.copytree(course / "exercises" / PS04, course / "submitted" / student / PS04)
    (course / "submitted" / "anna" / PS04 / f"{PS04}.ipynb").write_text("half a file")
    assert run(course, monkeypatch, "grade", "ps04") == 0
    out = capsys.readouterr().out
    assert "1 graded, 0 mended, 0 suspicious, 1 refused" in out
    assert "anna: The file is not JSON" in out
    for student, verdict in (("anna", "refused"), ("zoe", "graded")):
        [row] = [row for row in grades(course) if row["student_id"] == student]
        assert row["status"] == verdict
    assert "not-json" in feedback(course, "anna")
    assert "not attempted yet" in feedback(course, "zoe")


def grades(course):
    with (course / "grades.csv").open() as file:
        return list(csv.DictReader(file))


def feedback(course, student):
    return (course / "feedback" / student / PS04 / f"{PS04}.html").read_text()


def test_checking_says_what_handing_in_would_mend(course, monkeypatch, capsys):
    copy = assignments.start(course, "ps04")
    content = nbformat.read(copy, as_version=4)
    [test] = [c for c in content.cells if c.source.endswith('check("ps04/regions")')]
    content.cells.remove(test)
    nbformat.write(content, copy)
    copy.rename(copy.with_name(f"{PS04} (1).ipynb"))
    assert run(course, monkeypatch, "check", "ps04") == 0
    out = capsys.readouterr().out
    assert f"! There is no {PS04}.ipynb; '{PS04} (1).ipynb' was taken for it." in out
    assert "ps04-regions-check" in out
    assert f"{PS04}: 0 of 15 points" in out


def test_checking_what_could_not_be_graded_says_why(course, monkeypatch, capsys):
    assignments.start(course, "ps04").write_text("")
    assert run(course, monkeypatch, "check", "ps04") == 1
    assert "empty" in capsys.readouterr().out


def test_without_a_jail_grading_refuses_unless_told_not_to(course, monkeypatch, capsys):
    shutil.copytree(course / "exercises" / PS04, course / "submitted" / "zoe" / PS04)
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert run(course, monkeypatch, "grade", "ps04") == 1
    out = capsys.readouterr().out
    assert "bubblewrap is not installed" in out
    assert "--unsandboxed" in out
    assert not (course / "autograded").exists()

    assert run(course, monkeypatch, "grade", "ps04", "--unsandboxed") == 0
    assert "NOT SANDBOXED" in capsys.readouterr().out
    assert "unsandboxed" in feedback(course, "zoe")
    assert [row["findings"] for row in grades(course)] == ["unsandboxed"]


@pytest.mark.jail
def test_another_course_is_graded_where_it_lies(course, monkeypatch, capsys, tmp_path_factory):
    shutil.copytree(course / "exercises" / PS04, course / "submitted" / "zoe" / PS04)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert run(elsewhere, monkeypatch, "grade", "ps04", "--course", str(course)) == 0
    assert "zoe" in capsys.readouterr().out
    assert [row["student_id"] for row in grades(course)] == ["zoe"]
    assert run(elsewhere, monkeypatch, "grade", "ps04", "--course", str(elsewhere)) == 1
    assert "there is no nbgrader_config.py in it" in capsys.readouterr().out


def test_an_interrupted_class_can_go_on(course, monkeypatch, capsys):
    def interrupt(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(assignments, "grade", interrupt)
    assert run(course, monkeypatch, "grade", "ps04") == 130
    assert "run it again to go on" in capsys.readouterr().out


def test_a_class_needs_a_worker(course, monkeypatch, capsys):
    shutil.copytree(course / "exercises" / PS04, course / "submitted" / "zoe" / PS04)
    assert run(course, monkeypatch, "grade", "ps04", "--workers", "0") == 1
    assert "a number from 1 on, not 0" in capsys.readouterr().out


def test_release_writes_the_student_version(course, monkeypatch, capsys):
    notebook = course / "exercises" / PS04 / f"{PS04}.ipynb"
    committed = notebook.read_bytes()
    notebook.unlink()
    assert run(course, monkeypatch, "release", "ps04") == 0
    assert notebook.read_bytes() == committed
    assert not (course / "gradebook.db").exists()
    assert f"Wrote exercises/{PS04}/{PS04}.ipynb" in capsys.readouterr().out

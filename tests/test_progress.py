"""Progress: what is written can be read back, whatever else happens to the file."""

import json
import subprocess
import sys

import pytest

from course_lib import progress
from course_lib.places import CONFIG
from course_lib.progress import LessonProgress, events, record, summary


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARK_COURSE_PROGRESS", str(tmp_path / "kept"))
    return tmp_path / "kept" / "progress.jsonl"


@pytest.fixture
def course(tmp_path, monkeypatch):
    """An empty course as a learner has it, who works in its notebooks folder."""
    for name in ("SPARK_COURSE_PROGRESS", "PYTEST_VERSION", "NBGRADER_EXECUTION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    root = tmp_path / "course"
    (root / "notebooks").mkdir(parents=True)
    (root / CONFIG).touch()
    monkeypatch.chdir(root / "notebooks")
    return root


def test_summary_has_the_latest_results(file):
    progress.opened("04")
    record("prediction", "How much?", chosen="4 GiB", right=False)
    record("self_test", "04", score=2, out_of=5)
    record("self_test", "04", score=4, out_of=5)
    record("problem_set", "ps03-containers", points=7.5, out_of=12)
    assert summary() == {
        "03": LessonProgress(problem_set=(7.5, 12)),
        "04": LessonProgress(opened=True, self_test=(4, 5)),
    }
    assert [event["kind"] for event in events()] == [
        "opened",
        "prediction",
        "self_test",
        "self_test",
        "problem_set",
    ]


def test_deleting_the_file_is_harmless(file):
    progress.opened("01")
    file.unlink()
    assert summary() == {}
    progress.opened("02")
    assert list(summary()) == ["02"]


def test_processes_that_write_at_once_lose_nothing(file):
    writer = (
        "import sys; from course_lib.progress import record\n"
        "for i in range(200):\n"
        "    record('prediction', f'{sys.argv[1]} {i}', chosen='x' * (i * 37 % 5000), right=True)"
    )
    environment = {"SPARK_COURSE_PROGRESS": str(file.parent)}
    writers = [
        subprocess.Popen([sys.executable, "-c", writer, str(n)], env=environment) for n in range(4)
    ]
    assert [writer.wait() for writer in writers] == [0, 0, 0, 0]
    assert {event["name"] for event in events()} == {
        f"{n} {i}" for n in range(4) for i in range(200)
    }
    assert len(events()) == 800


def test_what_cannot_be_read_is_said_and_costs_nothing_else(file):
    progress.opened("01")
    with file.open("ab") as stream:
        stream.write(b"\xff\n[1]\n" + b'{"time": "2026-01-01", "kind": "opened", "na')
    progress.opened("02")
    with pytest.warns(UserWarning, match=r"progress\.jsonl: lines 3, 4, 5 cannot be read"):
        assert list(summary()) == ["01", "02"]


@pytest.mark.parametrize(
    ("kind", "name", "data", "complaint"),
    [
        ("finished", "04", {}, "unknown kind of event 'finished'; the kinds are opened, "),
        ("opened", "four", {}, "not 'four'"),
        ("opened", 4, {}, "not 4"),
        ("self_test", "04", {"score": 3}, "self_test needs out_of"),
        ("prediction", "How much?", {}, "prediction needs chosen and right"),
        ("problem_set", "ps04", {"points": None, "out_of": 5}, "points is a number, not None"),
        ("self_test", "04", {"score": True, "out_of": 5}, "score is a number, not True"),
        ("self_test", "04", {"score": float("nan"), "out_of": 5}, "not JSON compliant"),
    ],
)
def test_a_wrong_event_is_refused(file, kind, name, data, complaint):
    with pytest.raises(ValueError, match=complaint):
        record(kind, name, **data)
    assert not file.exists()


def test_it_is_kept_in_my_under_the_course(course):
    progress.opened("01")
    assert list(summary()) == ["01"]
    kept = course / "my" / "progress.jsonl"
    assert json.loads(kept.read_text())["name"] == "01"


def test_a_course_that_cannot_be_written_keeps_it_with_the_user(course, tmp_path):
    progress.opened("01")
    (course / "my" / "progress.jsonl").rename(course / "saved")
    (course / "my").rmdir()
    (course / "my").write_text("a file where the folder should be")
    progress.opened("02")
    assert (tmp_path / "data" / "spark-memory-course" / "progress.jsonl").is_file()
    (course / "my").unlink()
    (course / "my").mkdir()
    (course / "saved").rename(course / "my" / "progress.jsonl")
    assert list(summary()) == ["01", "02"]


def test_progress_that_no_folder_takes_is_said(course, tmp_path):
    (course / "my").write_text("")
    (tmp_path / "data").write_text("")
    with pytest.warns(UserWarning, match=r"progress was not saved: .*course/my.*; .*data/"):
        progress.opened("01")
    assert summary() == {}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SPARK_COURSE_PROGRESS", "off"),
        ("NBGRADER_EXECUTION", "autograde"),
        ("PYTEST_VERSION", "8"),
    ],
)
def test_it_is_off_where_a_machine_runs_the_notebook(
    course, tmp_path, monkeypatch, variable, value
):
    progress.opened("01")
    monkeypatch.setenv(variable, value)
    assert not progress.is_on()
    progress.opened("02")
    assert summary() == {}
    monkeypatch.delenv(variable)
    assert list(summary()) == ["01"]
    assert not (tmp_path / "data").exists()


def test_the_full_disk_is_not_taken_for_success(course, monkeypatch):
    monkeypatch.setattr(progress, "FILE_NAME", "full")
    (course / "my").mkdir()
    (course / "my" / "full").symlink_to("/dev/full")
    progress.opened("01")
    assert list(summary()) == ["01"]

"""What a jail shows of the machine."""

from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
import pytest
from grading.fort import FULL, handed_in, write_fort

from course_lib.grading import jail
from course_lib.grading.unit import Grader, Options, Submission


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return write_fort(tmp_path_factory.mktemp("course"))


def points(release, view: jail.View, claim: str) -> float:
    """What an answer earns that is right if `claim` holds where it runs."""
    answer = f"import os\nheld = {claim}\ndef square(n):\n    return n * n if held else 0"
    data = nbformat.writes(handed_in(release, {"square": answer}), version=4).encode()
    with Grader(release, Options(view=view)) as grader:
        return grader.grade(Submission("ada", data)).scores["square-test"]


@pytest.fixture
def data():
    """A folder in /tmp, which is another one in the jail."""
    with TemporaryDirectory(dir="/tmp") as folder:
        yield furnished(Path(folder, "shared", "data"))


def furnished(folder):
    folder.mkdir(parents=True)
    (folder / "open.txt").write_text("open")
    (folder / "secret.txt").write_text("secret")
    (folder / "secrets").mkdir()
    (folder / "secrets" / "more.txt").write_text("more")
    return folder


@pytest.mark.jail
def test_what_is_readable_can_be_read_in_its_place(release, data):
    claim = f"open({str(data / 'open.txt')!r}).read() == 'open'"
    assert points(release, jail.View(readable=[data]), claim) == FULL["square-test"]
    assert points(release, jail.View(readable=[data / "open.txt"]), claim) == FULL["square-test"]
    assert points(release, jail.View(), f"os.path.exists({str(data)!r})") == 0


@pytest.mark.jail
def test_folders_that_share_a_part_of_their_path_are_both_in_place(release, data):
    later = furnished(data.parents[1] / "zebra" / "data")
    for folder in (data, later):
        claim = f"open({str(folder / 'open.txt')!r}).read() == 'open'"
        shown = jail.View(readable=[data, later])
        assert points(release, shown, claim) == FULL["square-test"], folder


@pytest.mark.jail
def test_what_is_hidden_in_it_cannot(release, data):
    view = jail.View(readable=[data], hidden=[data / "secret.txt", data / "secrets"])
    secret, secrets = str(data / "secret.txt"), str(data / "secrets")
    assert points(release, view, f"open({secret!r}).read() == 'secret'") == 0
    assert points(release, view, f"os.listdir({secrets!r}) == []") == FULL["square-test"]


@pytest.mark.jail
def test_what_is_readable_cannot_be_written(release, data):
    claim = f"open({str(data / 'new.txt')!r}, 'w').write('new') == 3"
    assert points(release, jail.View(readable=[data]), claim) == 0
    assert not (data / "new.txt").exists()

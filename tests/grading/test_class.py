"""Three hundred submissions, thirty of them hostile: everybody gets what they are due."""

import nbformat
import psutil
import pytest
from grading.courses import course_directory, scores
from grading.fort import ASSIGNMENT, FULL, HONEST, handed_in, write_fort
from grading.hostile import ATTACKS

from course_lib.grading import jail
from course_lib.grading.run import grade_class
from course_lib.grading.unit import Options

STUDENTS, HOSTILE, WORKERS = 300, 30, 2

LIMITS = jail.Limits(memory_mib=600, scratch_mib=64, processes=80, open_files=256, cpu_s=60)
OPTIONS = Options(cell_s=3, call_s=1.5, notebook_s=20, output_bytes=200_000, limits=LIMITS)

MISTAKES = {
    "square": "def square(n):\n    return n + n",
    "evens": "def evens(numbers):\n    return numbers",
    "greeting": "def greeting(name):\n    return f'hello, {nam}!'",
    "root": "def root(n) return n ** 0.5",
}


def members(release, course):
    """Everyone's notebook, files and due points. Each tenth is hostile; of the others, every third
    has made an honest mistake."""
    attacks = iter(ATTACKS[:: len(ATTACKS) // HOSTILE])
    for number in range(STUDENTS):
        if number % (STUDENTS // HOSTILE) == 5:
            attack = next(attacks)
            data, files, due = attack.data(release, str(course)), attack.files, attack.scores
        else:
            wrong = [[], [], list(MISTAKES)[number % len(MISTAKES) :][:1]][number % 3]
            answers = {**HONEST, **{name: MISTAKES[name] for name in wrong}}
            data = nbformat.writes(handed_in(release, answers), version=4).encode()
            files, due = {}, {**FULL, **dict.fromkeys((f"{name}-test" for name in wrong), 0)}
            if "evens" in wrong:
                due["evens-test"] = 1  # an empty list has no odd numbers that could be left in
        yield f"student-{number:03}", data, files, due


def hand_in(course, student, data, files):
    folder = course / "submitted" / student / ASSIGNMENT
    for path, content in {f"{ASSIGNMENT}.ipynb": data, **files}.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


@pytest.mark.jail
@pytest.mark.timeout(1200)
def test_a_class_with_hostile_members(tmp_path):
    release = write_fort(tmp_path)
    due = {}
    for student, data, files, due_to_one in members(release, tmp_path):
        hand_in(tmp_path, student, data, files)
        due[student] = due_to_one
    assert len(due) == STUDENTS
    handed_in_before = {f: f.read_bytes() for f in tmp_path.rglob("*.ipynb")}
    before = set(psutil.Process().children(recursive=True))
    free = psutil.virtual_memory().available
    least_free = []

    def look(_progress):
        least_free.append(psutil.virtual_memory().available)

    course = course_directory(tmp_path, ASSIGNMENT)
    summary = grade_class(course, OPTIONS, workers=WORKERS, progress=look)

    assert scores(tmp_path, ASSIGNMENT) == due
    assert sum(map(len, summary.by_status.values())) == STUDENTS
    assert {f: f.read_bytes() for f in handed_in_before} == handed_in_before
    assert set(psutil.Process().children(recursive=True)) <= before
    # Two submissions at a time can take what they may, and their templates what they need.
    assert free - min(least_free) < WORKERS * (LIMITS.memory_mib + 1024) * 2**20

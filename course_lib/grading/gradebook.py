"""What a row becomes in nbgrader's gradebook and folders: as if nbgrader had graded it itself."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbgrader.api import Gradebook, SubmittedAssignment
from nbgrader.preprocessors import AssignLatePenalties
from nbgrader.utils import compute_checksum, is_solution, is_task

from course_lib.grading.unit import Row


@contextmanager
def one_transaction(gradebook: Gradebook) -> Iterator[None]:
    """Whatever nbgrader commits meanwhile goes to the disk at the end, all of it or nothing.

    Nobody else can write to the database until then: it should not take long.
    """
    with gradebook.engine.begin() as connection:
        gradebook.db.remove()
        gradebook.db.configure(
            bind=connection, join_transaction_mode="rollback_only", expire_on_commit=False
        )
        try:
            yield
        finally:
            gradebook.db.remove()
            gradebook.db.configure(bind=gradebook.engine)


def record(
    gradebook: Gradebook, assignment: str, student: str, rows: Iterable[Row], timestamp
) -> bool:
    """Enter the points of a student's notebooks. Return whether to `penalize` for lateness, too.

    As nbgrader does: points that a person gave stay, and are marked to be looked at again; an
    answer that was not touched is commented so. `timestamp` is when it was handed in, None if that
    is not known.
    """
    gradebook.update_or_create_student(student)
    when = {"timestamp": timestamp} if timestamp else {}
    submission = gradebook.update_or_create_submission(assignment, student, **when)
    entries = {entry.name: entry for entry in submission.notebooks}
    for row in rows:
        entry = entries[row.notebook]
        grades = {grade.name: grade for grade in entry.grades}
        for grade_id, score in row.scores.items():
            grade = grades[grade_id]
            grade.auto_score = score
            grade.needs_manual_grade = grade.manual_score is not None or score is None
        comments = {comment.name: comment for comment in entry.comments}
        for cell in nbformat.v4.reads(row.text).cells:
            if is_solution(cell) or is_task(cell):
                untouched = not is_task(cell) and (
                    cell.metadata.nbgrader.get("checksum") == compute_checksum(cell)
                )
                comment = comments[cell.metadata.nbgrader["grade_id"]]
                comment.auto_comment = "No response." if untouched else None
    gradebook.db.commit()
    return submission.total_seconds_late > 0 or submission.late_submission_penalty > 0


def penalize(
    gradebook: Gradebook, assignment: str, student: str, rows: Iterable[Row], config
) -> None:
    """Let lateness cost what the course's plug-in says. It uses a connection of its own."""
    for row in rows:
        names = {"assignment": assignment, "student": student, "notebook": row.notebook}
        resources = {"nbgrader": {**names, "db_url": str(gradebook.engine.url)}}
        notebook = nbformat.v4.new_notebook()  # the penalty depends on the points alone
        AssignLatePenalties(config=config).preprocess(notebook, resources)


def recorded(gradebook: Gradebook, assignment: str) -> set[str]:
    """The students who have an entry for the assignment."""
    query = gradebook.db.query(SubmittedAssignment.student_id)
    wanted = gradebook.find_assignment(assignment).id
    return {student for (student,) in query.filter_by(assignment_id=wanted)}


def write_autograded(
    folder: Path, rows: Iterable[Row], files: Mapping[str, bytes], permissions: int = 0o444
) -> None:
    """Put the graded notebooks and the files beside them into a student's autograded folder.

    What was there before is replaced in one step, so that an interrupted run leaves no half of it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    new.chmod(0o755)
    notebooks = {f"{row.notebook}.ipynb": row.text.encode() for row in rows}
    write_files(new, {**files, **notebooks}, permissions)
    if folder.exists():
        shutil.rmtree(folder)
    os.replace(new, folder)


def write_files(folder: Path, files: Mapping[str, bytes], permissions: int = 0o444) -> None:
    """Write files, named by their paths in the folder, over what is there under these names."""
    for path, content in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        file.write_bytes(content)
        file.chmod(permissions)


def remove_unfinished(parent: Path, assignment: str) -> None:
    """Remove what an interrupted run has left beside a student's autograded folders."""
    for left in parent.glob(f".{assignment}.*"):
        shutil.rmtree(left)


def verdict(notebook: Path) -> dict:
    """What an autograded notebook tells about its grading; empty for one of somebody else's."""
    try:
        metadata = json.loads(notebook.read_bytes())["metadata"]
    except FileNotFoundError:
        return {}
    return metadata.get("grading", {})

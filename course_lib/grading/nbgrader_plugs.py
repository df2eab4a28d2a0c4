"""The same grading for nbgrader's own ways to it: formgrader's Autograde button, the command
``nbgrader autograde`` and `NbGraderAPI.autograde`.

A course puts `MendedNotebookExporter` and `ExecuteInJail` into nbgrader's `Autograde` with the
lines on ``c.Autograde`` in this course's ``nbgrader_config.py``.

`Autograde` converts each submitted notebook twice. In its first pass, where it would read the file
and stop at one that is broken, the exporter does the preflight; in its second, where it would
execute the notebook, a `Grader` does. Everything else is nbgrader's. Scores, findings and notebooks
become those of ``python -m course_lib grade``, which is faster for a whole class: it keeps its
templates from one submission to the next. A single student whose folder has no file that ends in
``.ipynb`` is beyond this: nbgrader gives up, and says so, before it asks any part of it.

A kernel provisioner, another of nbgrader's extension points, has nothing to do here: a learner's
kernel is a fork of a template that talks over a socketpair, and never one that jupyter_client
starts or connects to.
"""

import fnmatch
import os
from datetime import datetime
from pathlib import Path

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbgrader.converters import Autograde
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import NbGraderPreprocessor

from course_lib.grading import run
from course_lib.grading.configuration import Grading
from course_lib.grading.gradebook import write_files
from course_lib.grading.jail import JailUnavailableError
from course_lib.grading.preflight import preflight
from course_lib.grading.release import ReleaseError, load_releases
from course_lib.grading.unit import Grader, try_jail


class MendedNotebookExporter(NotebookExporter):
    """Exports what was handed in as a notebook that can be graded, whatever it is.

    It is made by an `Autograde`, its `parent`, which knows by then which files there are and has
    not opened any. From then on that one asks for each notebook of the assignment, under its right
    name, and leaves files beside notebooks to this: a link among them could lead anywhere, and a
    pipe has no end. Raises NbGraderException where the assignment cannot be made from its source,
    and where a jail is wanted and cannot be had.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(self.parent, Autograde):
            raise TypeError("MendedNotebookExporter is for c.Autograde.exporter_class alone")
        coursedir = self.parent.coursedir
        self.options = Grading.options(self.config, coursedir)
        try:
            self.releases = load_releases(coursedir)
            if self.options.sandboxed:
                try_jail()
        except (ReleaseError, JailUnavailableError) as error:
            self.log.error("%s", error)
            raise NbGraderException(str(error)) from error
        self.submissions = run.Submissions(coursedir, self.releases)
        self.parent.coursedir = _NotebooksOnly.of(coursedir)
        self.parent.assignments = self._assignments(coursedir)

    def _assignments(self, coursedir: CourseDirectory) -> dict[str, list[str]]:
        """The notebooks to be graded, by submission's folder."""
        names = fnmatch.filter(self.releases, coursedir.notebook_id)
        students = fnmatch.filter(run.students_of(coursedir), coursedir.student_id)
        folders = [
            coursedir.format_path(coursedir.submitted_directory, student, coursedir.assignment_id)
            for student in students
        ]
        return {
            folder: [os.path.join(folder, f"{name}.ipynb") for name in names] for folder in folders
        }

    def from_filename(self, filename: str, resources: dict | None = None, **kw):
        """Return the notebook as a text, and the resources."""
        student, name = resources["nbgrader"]["student"], resources["nbgrader"]["notebook"]
        if Path(filename).parent != self.submissions.folder(student):
            return super().from_filename(filename, resources, **kw)  # it has been mended before
        release = self.releases[name]
        submission = self.submissions.read(student)[name]
        write_files(self.submissions.autograded(student), submission.files_with(release))
        checked = preflight(submission.data, release, found=submission.findings)
        return self.from_notebook_node(checked.notebook, resources, **kw)


class _NotebooksOnly(CourseDirectory):
    """A course directory for a converter that is to see the notebooks and nothing beside them."""

    @classmethod
    def of(cls, coursedir: CourseDirectory) -> "_NotebooksOnly":
        traits = {name: getattr(coursedir, name) for name in coursedir.trait_names(config=True)}
        return cls(parent=coursedir.parent, **{**traits, "ignore": ["*", ".*"]})

    def get_existing_timestamp(self, dest_path: str) -> datetime | None:
        return run.handed_in_at(Path(dest_path))


class ExecuteInJail(NbGraderPreprocessor):
    """In place of nbgrader's `Execute`: the learner's cells run in a jail, the tests out of it."""

    def preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        """Return the notebook with outputs and findings.

        What is graded is what was handed in, so `nb`, the first pass's, is not looked at. Raises
        GradingError, and JailUnavailableError.
        """
        exporter = self.parent
        if not isinstance(exporter, MendedNotebookExporter):
            raise TypeError(
                "ExecuteInJail needs c.Autograde.exporter_class to be MendedNotebookExporter, not "
                f"{type(exporter).__name__}"
            )
        student, name = resources["nbgrader"]["student"], resources["nbgrader"]["notebook"]
        with Grader(exporter.releases[name], exporter.options) as grader:
            row = grader.grade(exporter.submissions.read(student)[name])
        return nbformat.reads(row.text, as_version=4), resources

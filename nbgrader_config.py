"""nbgrader's settings for this course: read from the folder in which nbgrader is started."""

from pathlib import Path

c = get_config()  # noqa: F821, nbgrader provides it

c.CourseDirectory.course_id = "spark-memory"
c.CourseDirectory.root = str(Path(__file__).resolve().parent)
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "exercises"
c.CourseDirectory.submitted_directory = "submitted"
c.CourseDirectory.autograded_directory = "autograded"
c.CourseDirectory.feedback_directory = "feedback"

# A comment is enough: an untouched notebook runs from top to bottom without an error, and the
# checks say "not attempted yet".
c.ClearSolutions.code_stub = {"python": "# YOUR ANSWER HERE"}

# A graded cell may start real JVMs and real Spark.
c.Execute.timeout = 300
# Kernels otherwise greet the terminal with a warning each, about connections that stay on loopback.
c.Execute.extra_arguments = ["--log-level=ERROR"]

c.CsvExportPlugin.to = "grades.csv"

# nbgrader's command and formgrader's Autograde button grade in the jail too,
c.Autograde.exporter_class = "course_lib.grading.nbgrader_plugs.MendedNotebookExporter"
c.Autograde.autograde_preprocessors = [
    "course_lib.grading.nbgrader_plugs.ExecuteInJail",
    "nbgrader.preprocessors.LimitOutput",
    "nbgrader.preprocessors.SaveAutoGrades",
    "nbgrader.preprocessors.AssignLatePenalties",
    "nbgrader.preprocessors.CheckCellMetadata",
]
# and their feedback pages hide the tests.
c.GenerateFeedback.preprocessors = [
    "course_lib.grading.feedback.HideTests",
    "course_lib.grading.feedback.GetGradesAtOnce",
    "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
]
c.GenerateFeedback.exporter_class = "course_lib.grading.feedback.FeedbackPage"
# Nothing of a learner's runs on the pages that formgrader shows.
c.HTMLExporter.sanitize_html = True
c.HTMLExporter.filters = {
    "clean_html": "course_lib.grading.pages.clean_html",
    "markdown2html": "course_lib.grading.pages.markdown2html",
}
c.HTMLExporter.preprocessors = ["course_lib.grading.pages.PlainNames"]

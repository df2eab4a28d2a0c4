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

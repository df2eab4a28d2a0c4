"""The helper package of the course on Spark memory.

Importing it loads nothing heavy: matplotlib, ipywidgets and pyspark come in when a part that needs
them is first used. The parts, in the order in which they may import each other: ``units``,
``settings``, ``model``, ``draw``, ``widgets``; beside them ``checks`` (on ``model``) and ``spark``
(on ``units`` and ``settings``).
"""


def __getattr__(name: str):
    if name in ("course_map", "lesson"):
        from course_lib import course

        return getattr(course, name)
    raise AttributeError(f"module 'course_lib' has no attribute {name!r}")

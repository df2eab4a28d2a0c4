"""What tests of grading share."""

import pytest
from grading.courses import (
    GENERAL,
    SETS,
    copy_problem_sets,
    course_directory,
    write_general_course,
)

from course_lib.grading.release import load_releases


@pytest.fixture(scope="session")
def problem_sets(tmp_path_factory):
    """A folder with this course's problem sets; not to be written to."""
    return copy_problem_sets(tmp_path_factory.mktemp("problem-sets"))


@pytest.fixture(scope="session")
def releases(problem_sets):
    """The Release of each problem set, by its name. They are in the folder's gradebook then."""
    return {name: load_releases(course_directory(problem_sets, name))[name] for name in SETS}


@pytest.fixture(scope="session")
def general_course(tmp_path_factory):
    """A folder with a course unlike this one; not to be written to."""
    return write_general_course(tmp_path_factory.mktemp("general-course"))


@pytest.fixture(scope="session")
def general_releases(general_course):
    """The Release of each of its notebooks, by name. They are in the gradebook then."""
    return load_releases(course_directory(general_course, GENERAL))

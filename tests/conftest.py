"""What several tests share: Spark's own classes to compare with, the comparison itself, and whether
this machine can jail learners' code."""

import os
from functools import cache
from importlib import import_module
from pkgutil import walk_packages

import pytest
from beside_spark import compared
from hypothesis import settings

import course_lib
from course_lib.grading.jail import JailUnavailableError
from course_lib.grading.unit import try_jail
from course_lib.spark import MemoryOracle, Oracle, SparkRefusal

# The same examples each time, so that CI says the same twice; --hypothesis-profile=thorough looks
# for new ones.
settings.register_profile(
    "quick",
    max_examples=60,
    deadline=None,
    derandomize=True,
    report_multiple_bugs=False,
)
settings.register_profile(
    "thorough", settings.get_profile("quick"), max_examples=1000, derandomize=False
)
settings.load_profile("quick")


def pytest_collection_finish():
    """Load all modules: Hypothesis draws from the constants of those that are loaded.

    Which ones tests have loaded before, in this process, is left to chance.
    """
    for module in walk_packages(course_lib.__path__, f"{course_lib.__name__}."):
        import_module(module.name)


def pytest_runtest_setup(item):
    """Where no jail can be had, tests that need one say so and are skipped; in CI they fail."""
    if item.get_closest_marker("jail") and (missing := _missing_jail()):
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)


@cache
def _missing_jail() -> str | None:
    try:
        try_jail()
    except JailUnavailableError as error:
        return str(error)


@pytest.fixture(scope="session")
def oracle():
    """Spark's own classes in a JVM that all tests of this run share."""
    with Oracle() as oracle:
        yield oracle


@pytest.fixture(scope="session")
def memory_oracle(record_testsuite_property):
    """Spark's memory manager and memory store, to be played on, in a JVM that tests share."""
    with MemoryOracle() as oracle:
        yield oracle
        record_testsuite_property("spark", oracle.spark_version)
    for what, number in compared.items():
        record_testsuite_property(what, number)


@pytest.fixture(scope="session")
def outcome():
    """``outcome(function, *args, **kwargs)``: what it returns, or with which words it refuses."""
    return _outcome


def _outcome(function, *args, **kwargs):
    try:
        return function(*args, **kwargs)
    except SparkRefusal as refusal:
        return "refused", refusal.message.partition(" SQLSTATE: ")[0]
    except ValueError as error:
        return "refused", str(error)

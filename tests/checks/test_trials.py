"""Trials of answers are remembered for a class if they passed, and only then."""

import os
import subprocess
import sys

import pytest

from course_lib.checks.trials import Effect, remembering, try_out

PASSED = Effect(True, "It survived.", "peak: 640 MiB")
FAILED = Effect(False, "It died.", "exit code 137", "forgets the overhead")


class Trials:
    """Trials that come to these effects, one after the other."""

    def __init__(self, *effects):
        self.left = list(effects)

    def __call__(self):
        return self.left.pop(0)


def test_what_passed_is_not_tried_again():
    trials = Trials(PASSED)
    with remembering():
        assert try_out("Cores", {"cores": 3}, trials) == PASSED
        assert try_out("Cores", {"cores": 3}, trials) == PASSED
    assert not trials.left


def test_what_did_not_pass_has_another_chance():
    trials = Trials(FAILED, PASSED)
    with remembering():
        assert try_out("Cores", {"cores": 3}, trials) == FAILED
        assert try_out("Cores", {"cores": 3}, trials) == PASSED
    assert not trials.left


@pytest.mark.parametrize(
    ("task", "answer"), [("Cores", {"cores": "3"}), ("Cores", {"cores": 4}), ("Heap", {"cores": 3})]
)
def test_another_answer_or_task_is_tried(task, answer):
    trials = Trials(PASSED, FAILED)
    with remembering():
        try_out("Cores", {"cores": 3}, trials)
        assert try_out(task, answer, trials) == FAILED


def test_after_the_class_and_without_one_every_answer_is_tried():
    trials = Trials(PASSED, FAILED, FAILED)
    with remembering():
        try_out("Cores", {"cores": 3}, trials)
    assert try_out("Cores", {"cores": 3}, trials) == FAILED
    with remembering():
        assert try_out("Cores", {"cores": 3}, trials) == FAILED


def test_other_processes_remember_too():
    program = (
        "from course_lib.checks.trials import Effect, try_out\n"
        "print(try_out('Cores', {'cores': 3}, lambda: Effect(False, 'tried')).says)"
    )
    with remembering():
        try_out("Cores", {"cores": 3}, Trials(PASSED))
        said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert said.stdout == "It survived.\n"


def test_the_outer_one_of_two_remembers():
    trials = Trials(PASSED)
    with remembering():
        with remembering():
            try_out("Cores", {"cores": 3}, trials)
        assert try_out("Cores", {"cores": 3}, Trials(FAILED)) == PASSED


def test_the_environment_is_as_before():
    before = dict(os.environ)
    with remembering(), remembering():
        assert dict(os.environ) != before
    assert dict(os.environ) == before

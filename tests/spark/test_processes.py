"""What a process says of its own memory."""

import subprocess
import sys

from course_lib.spark.processes import peak_resident_size
from course_lib.units import MIB

ASK = "from course_lib.spark.processes import peak_resident_size; print(peak_resident_size())"


def test_the_peak_stays_when_the_memory_has_gone():
    before = peak_resident_size()
    held = b"x" * before
    del held
    assert peak_resident_size() > before + 8 * MIB


def test_the_peak_is_not_that_of_the_parent():
    parent = f"""
import subprocess, sys
held = b"x" * {300 * MIB}
sys.exit(subprocess.run([sys.executable, "-c", {ASK!r}]).returncode)
"""
    child = subprocess.run([sys.executable, "-c", parent], stdout=subprocess.PIPE, check=True)
    assert 5 * MIB < int(child.stdout) < 200 * MIB

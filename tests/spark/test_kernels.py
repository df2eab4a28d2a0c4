"""Real Jupyter kernels: whatever happens to one, no JVM outlives it, and its cells stay clean."""

import os
import signal
import time
import uuid
from contextlib import suppress
from functools import partial
from queue import Empty

import psutil
import pytest
from jupyter_client import KernelManager

from course_lib.spark.processes import marked

TEST = "COURSE_TEST"

START = """
import os
from course_lib.spark import *
spark = start_lab_session(cores=1)
jvm = Jvm("16m").start()
"""
SLOW_JOB = """
def wait(_):
    import time
    open({running!r}, "w").close()
    time.sleep(25)
print("now", flush=True)
spark.sparkContext.parallelize([1], 1).map(wait).count()
"""


class Kernel:
    """A kernel, and all the JVMs that were started in it, however deep down."""

    def __init__(self):
        self.mark = uuid.uuid4().hex
        self.manager = KernelManager()
        self.manager.start_kernel(env={**os.environ, TEST: self.mark})
        self.connect()

    def connect(self):
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, code, then=lambda: None, timeout=120):
        """Run a cell, do `then` while it runs; its error's name or None, stdout, stderr."""
        request = self.client.execute(code)
        written = {"stdout": "", "stderr": ""}
        error, deadline = None, time.monotonic() + timeout
        while True:
            try:
                message = self.client.get_iopub_msg(timeout=1)
            except Empty:
                assert time.monotonic() < deadline, "the cell does not end"
                continue
            if message["parent_header"].get("msg_id") != request:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                written[content["name"]] += content["text"]
                if "now" in written["stdout"]:
                    written["stdout"] = ""
                    then()
            elif kind == "error":
                error = content["ename"]
            elif kind == "status" and content["execution_state"] == "idle":
                return error, written["stdout"].strip(), written["stderr"]

    def jvms(self):
        found = []
        for process in marked(TEST, self.mark):
            with suppress(psutil.NoSuchProcess):  # it ends while it is looked at
                if process.name() == "java":
                    found.append(process)
        return found

    def pid(self):
        return int(self.run("print(os.getpid())")[1])

    def jvms_after(self, patience=30):
        deadline = time.monotonic() + patience
        while self.jvms() and time.monotonic() < deadline:
            time.sleep(0.1)
        return self.jvms()


@pytest.fixture
def kernel():
    kernel = Kernel()
    yield kernel
    kernel.client.stop_channels()
    if kernel.manager.has_kernel:
        kernel.manager.shutdown_kernel(now=True)
    assert kernel.jvms_after() == []


def start(kernel, executors=0):
    assert kernel.jvms() == []
    assert kernel.run(START.replace("cores=1", f"cores=1, executors={executors}")) == (None, "", "")
    assert len(kernel.jvms()) == 2 + executors


def test_exception_interrupt_and_loss_of_spark_leave_a_usable_notebook(kernel, tmp_path):
    start(kernel)
    error, _, stderr = kernel.run("1 / 0")
    assert (error, stderr) == ("ZeroDivisionError", "")
    running = tmp_path / "running"
    interrupt = partial(_interrupt_when, kernel, running.exists)
    error, _, stderr = kernel.run(SLOW_JOB.format(running=str(running)), interrupt)
    assert (error, stderr) == ("KeyboardInterrupt", "")
    assert kernel.run("print(spark.range(3).count())") == (None, "3", "")
    assert len(kernel.jvms()) == 2
    driver = int(kernel.run("print(executor_processes(spark)[0].pid)")[1])
    psutil.Process(driver).kill()
    error, _, stderr = kernel.run("spark.range(3).count()")
    assert error is not None
    assert stderr == ""
    again = "spark = start_lab_session(cores=1); print(spark.range(3).count())"
    message = "The lab session that was still running has been stopped."
    assert kernel.run(again) == (None, f"{message}\n3", "")
    assert len(kernel.jvms()) == 2
    assert kernel.run("stop_lab_session(); jvm.stop()") == (None, "", "")
    assert kernel.jvms() == []


def test_interrupted_while_spark_starts(kernel):
    code = """
from course_lib.spark import start_lab_session
print("now", flush=True)
start_lab_session(cores=1)
"""
    error, stdout, stderr = kernel.run(code, partial(_interrupt_when, kernel, kernel.jvms))
    assert (error, stdout, stderr) == ("KeyboardInterrupt", "", "")
    assert kernel.jvms_after() == []
    assert kernel.run("start_lab_session(cores=1)")[0] is None


def _interrupt_when(kernel, it_is_time):
    while not it_is_time():
        time.sleep(0.05)
    kernel.manager.interrupt_kernel()


def test_kernel_restart(kernel):
    start(kernel)
    kernel.manager.restart_kernel(now=False)
    kernel.connect()
    assert kernel.jvms_after() == []
    start(kernel)


def test_kernel_shutdown(kernel):
    start(kernel)
    kernel.manager.shutdown_kernel(now=False)
    assert kernel.jvms_after() == []


def test_kernel_killed(kernel):
    start(kernel, executors=2)
    os.kill(kernel.pid(), signal.SIGKILL)
    assert kernel.jvms_after() == []

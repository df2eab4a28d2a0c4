"""A template process: everything is imported once, and each kernel is a fork of it.

``python -m course_lib.grading.template ROLE CONTROL NUMBER LIMITS [MODULE …]`` runs one. `ROLE` is
"trusted", "jailed" or, for a learner's kernel without a jail, "unjailed"; `CONTROL` the descriptor
of a socket from which orders come; `NUMBER` tells workers apart; `LIMITS` are those of
``jail.Limits``, as JSON. An order carries the descriptors that the new kernel is to use. The kernel
closes the control socket, so nothing that a learner's code does can reach the template.
"""

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import threading
from contextlib import suppress

from course_lib.grading import jail
from course_lib.units import MIB

# How often the warden looks at the memory of its jail.
_LOOK_MS = 50


def main(role: str, control: socket.socket, number: int, limits: jail.Limits, modules) -> None:
    """Import, say that kernels can be had, and fork one for each order."""
    jailed = role == "jailed"
    if jailed:
        jail.leave_root(number)
    from course_lib.grading import learner, trusted
    from course_lib.grading.shell import Shell

    shell = Shell.make()
    for module in modules:
        _preload(module, control)
    shell.warm_up()
    if jailed:
        _rehearse(limits)
    # A kernel that looks for garbage would otherwise write to, and so copy, everything in here.
    gc.collect()
    gc.freeze()
    control.sendall(b'{"ready": true}')
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for kernels here
    while True:
        order, descriptors, _, _ = socket.recv_fds(control, 1 << 16, 3)
        if not order:
            return  # the grader has gone
        if os.fork() == 0:
            control.close()
            if role == "trusted":
                # What a test makes of a learner's values, and how many it keeps, may be too much.
                jail.limit_data(limits.memory_mib)
                _become(trusted.run, shell, *descriptors)
            else:
                _become(_warden, learner.run, shell, limits, jailed, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _preload(module: str, control: socket.socket) -> None:
    try:
        importlib.import_module(module)
    except Exception as error:  # any module of any course, for whatever reason
        note = f"{type(error).__name__}: {error}"
    else:
        if _threads() == 1:
            return
        note = "importing it starts threads"
    control.sendall(json.dumps({"refused": module, "because": note}).encode())
    sys.exit(0)


def _threads() -> int:
    tasks = "/proc/self/task"  # of libraries too, which Python's own count leaves out
    return len(os.listdir(tasks)) if os.path.isdir(tasks) else threading.active_count()


def _become(function, *arguments) -> None:
    """Run as this process's last deed."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    code = 1
    try:
        code = function(*arguments) or 0
    finally:
        with suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(code)


def _rehearse(limits: jail.Limits) -> None:
    """Build a jail once, so that a machine that cannot do it is known before the first submission.

    Raises JailUnavailableError."""
    child = os.fork()
    if child == 0:
        _become(_rehearsal, limits)
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise jail.JailUnavailableError("this machine cannot build a jail")


def _rehearsal(limits: jail.Limits) -> int:
    jail.enter()
    first = os.fork()
    if first == 0:
        _become(jail.furnish, limits)
    return os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])


def _warden(run, shell, limits: jail.Limits, jailed: bool, channel: int, life: int) -> int:
    """Start a learner's kernel in a jail of its own, and end all of it when told to.

    `life` is a socket: a byte from it interrupts the kernel; its end, or the grader's, ends the
    jail. When the kernel has ended, the warden writes as JSON how many bytes of memory were too
    many ("excess"), and how many processes were still there ("left").
    """
    os.setsid()
    if jailed:
        jail.enter()
    proc_before = os.stat("/proc").st_dev if jailed else None
    first = os.fork()
    if first == 0:
        os.close(life)
        _become(_first_process if jailed else _only_process, run, shell, limits, channel)
    os.close(channel)
    lines = socket.socket(fileno=life)
    excess = _watch(first, lines, limits.memory_mib if jailed else None, proc_before)
    left = jail.processes_left() if jailed else 0
    with suppress(ProcessLookupError):
        if jailed:
            os.kill(first, signal.SIGKILL)
        else:
            os.killpg(first, signal.SIGKILL)
    os.waitpid(first, 0)
    with suppress(OSError):  # the grader need not be listening any more
        lines.sendall(json.dumps({"excess": excess, "left": left}).encode())
    return 0


def _watch(first: int, lines: socket.socket, memory_mib: int | None, proc_before) -> int:
    """Wait until the kernel ends or is to be ended. Return the bytes of memory that were too many,
    or 0."""
    ended, tell = socket.socketpair()
    tell.setblocking(False)
    signal.set_wakeup_fd(tell.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)  # so that the end of the kernel wakes the poll
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(lines, select.POLLIN)
    try:
        while os.waitid(os.P_PID, first, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            ready = {number for number, _ in poll.poll(None if memory_mib is None else _LOOK_MS)}
            if lines.fileno() in ready:
                if not lines.recv(1):
                    return 0
                os.kill(first, signal.SIGINT)
            # This process shares the jail's mounts: its /proc shows the jail once it is furnished.
            if memory_mib is not None and os.stat("/proc").st_dev != proc_before:
                most = memory_mib * MIB
                if (used := jail.memory_used(most)) > most:
                    return used
        return 0
    finally:
        signal.set_wakeup_fd(-1)  # what it wrote to is closed now


def _first_process(run, shell, limits: jail.Limits, channel: int) -> int:
    """The jail's first process: it starts the kernel, passes interrupts on, and ends with it."""
    os.setsid()  # or the kernel could send signals to the warden, as one of its own group
    jail.furnish(limits)
    jail.die_with_parent()  # the warden may be ended, for want of memory
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):  # through /proc, its files would be open to the kernel
        os.dup2(nowhere, standard)
    os.close(nowhere)
    kernel = os.fork()
    if kernel == 0:
        _become(run, shell, channel)
    os.close(channel)
    signal.signal(signal.SIGINT, lambda *_: os.kill(kernel, signal.SIGINT))
    while True:
        ended, status = os.wait()  # orphans too
        if ended == kernel:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _only_process(run, shell, limits: jail.Limits, channel: int) -> int:
    """A learner's kernel without a jail, in a process group of its own."""
    os.setpgid(0, 0)
    jail.die_with_parent()
    return run(shell, channel)


if __name__ == "__main__":
    _role, _control, _number, _limits, *_modules = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        main(
            _role,
            socket.socket(fileno=int(_control)),
            int(_number),
            jail.Limits(**json.loads(_limits)),
            _modules,
        )
    except jail.JailUnavailableError as error:
        sys.exit(f"JailUnavailableError: {error}")

"""A function to write that runs in a child process, without Spark: what tests of that need."""

from course_lib.checks import Effect, Misconception, ProgramTask
from course_lib.checks.programs import did_not_finish
from course_lib.checks.values import malformed, same


def try_total(answer, seed: int) -> dict:
    """In the child process: the total of some numbers."""
    return {"total": answer(list(range(seed + 4)))}


def judge_total(remains, report, seed: int) -> Effect:
    """Whether it is their sum."""
    if report is None:
        return did_not_finish(remains)
    right = sum(range(seed + 4))
    if complaint := malformed(right, report["total"]):
        return Effect(False, f"The total {complaint}.")
    mistake = "counts" if report["total"] == seed + 4 else None
    return Effect(same(right, report["total"]), "The total was tried.", misconception=mistake)


def _total(numbers):
    return sum(numbers)


def _counts(numbers):
    return len(numbers)


TOTAL = ProgramTask(
    name="total",
    title="A total",
    points=2,
    harness=try_total,
    judge=judge_total,
    reference=_total,
    misconceptions=(Misconception("counts", "A total is not a number of things.", _counts),),
    timeout_s=30,
    container="600m",
)

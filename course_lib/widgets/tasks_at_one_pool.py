"""Tasks at one pool: who gets how much execution memory, who waits, and who spills."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from course_lib.draw.film import Film, Lane, Shot
from course_lib.draw.heatmap import Axis, Heatmap
from course_lib.draw.picture import Picture
from course_lib.model.managers import StaticMemoryManager
from course_lib.model.replay import Ask, Event, Finish, Frame, Release, replay
from course_lib.units import MIB, byte_string_as_bytes, bytes_to_string
from course_lib.widgets.explorable import Control, Explorable, View
from course_lib.widgets.stage import counted, furnished, shot, told

SIZES = ("64m", "128m", "192m", "256m", "384m", "512m", "768m", "1g")


def workload(tasks: int, size: int) -> tuple[Event, ...]:
    """Each task asks; the first gives half back; each asks again for half as much; all finish."""
    names = [f"t{number}" for number in range(1, tasks + 1)]
    half = size // 2
    return (
        *(Ask(name, size) for name in names),
        Release(names[0], half),
        *(Ask(name, half) for name in names),
        *(Finish(name) for name in names),
    )


def tasks_at_one_pool(state: Mapping) -> View:
    """The workload of `state` on an execution pool that nobody else shares."""
    pool, size = byte_string_as_bytes(state["pool"]), byte_string_as_bytes(state["size"])
    frames = replay(StaticMemoryManager(pool, 0), workload(state["tasks"], size))
    asked: dict[str, int] = {}  # by those who wait, or have waited
    shots = []
    for frame in frames:
        if frame.what == "waits":
            asked[frame.event.task] = frame.event.size
        shots.append(pool_shot(frame, asked))
    title = f"{state['tasks']} tasks that ask for {bytes_to_string(size)} each"
    lanes = counted([Lane("execution pool", tuple(shots))])
    return View(
        Film(title, "modelled", lanes),
        f"At the end: {told(frames[-1].score)}.",
        history=who_held_what(shots),
    )


def who_held_what(shots: Sequence[Shot]) -> Heatmap:
    """A row for each task, a column for each step, and in it the MiB that the task held."""
    holdings = [{name: held for name, held, _ in shot.picture.holders} for shot in shots]
    tasks = sorted(set().union(*holdings))
    return Heatmap(
        "Who held how much, and when",
        "modelled",
        Axis("step", tuple(map(str, range(len(shots))))),
        Axis("task, MiB held", tuple(tasks)),
        tuple(tuple(held.get(task, 0) / MIB for held in holdings) for task in tasks),
        lambda mib: f"{mib:.0f}",
        "execution",
    )


def pool_shot(frame: Frame, asked: Mapping[str, int]) -> Shot:
    """The execution pool alone; below it each task, what it holds and what it waits for."""
    pool, waiting = frame.region.find("execution"), frame.waiting_tasks
    shown = Picture(
        "",
        "modelled",
        (furnished(pool),),
        marks=fences(pool.size, len(pool.children)),
        holders=tuple(
            (task.name, task.size, asked[task.name] if task.name in waiting else 0)
            for task in sorted(pool.children, key=lambda task: task.name)
        ),
    )
    return replace(shot(frame), picture=shown)


def fences(pool: int, active: int) -> tuple[tuple[int, str], ...]:
    """The marks of 1/2N and 1/N of a pool, with N active tasks."""
    if not active:
        return ()
    floor, cap = pool // (2 * active), pool // active
    return (
        (floor, f"1/2N {bytes_to_string(floor)}"),
        (cap, f"1/N {bytes_to_string(cap)}"),
    )


class TasksAtOnePool(Explorable):
    """Let N tasks ask for memory of one execution pool, and see the shares move with N.

    ``TasksAtOnePool(tasks=4, pool="512m", size="256m")``. N counts the tasks that hold memory or
    wait for it. Below the pool each task has a bar: what it holds, and hollow what it waits for.
    """

    title = "Tasks at one pool"
    controls = (
        Control("tasks", "tasks", (1, 2, 3, 4, 6, 8)),
        Control("pool", "execution pool", ("256m", "512m", "768m", "1g", "2g")),
        Control("size", "each asks for", SIZES),
    )
    start = {"tasks": 3, "pool": "512m", "size": "256m"}  # noqa: RUF012 (as `controls` is)

    def view(self, state: Mapping) -> View:
        """See `tasks_at_one_pool`."""
        return tasks_at_one_pool(state)

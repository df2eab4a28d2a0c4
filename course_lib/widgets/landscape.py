"""The landscape: what one trace costs under many settings at once."""

from collections.abc import Mapping
from functools import cache

from course_lib.draw.heatmap import Axis, Heatmap
from course_lib.model.landscape import landscape
from course_lib.model.replay import Score, TraceError
from course_lib.units import bytes_to_string
from course_lib.widgets.explorable import Control, Explorable, View
from course_lib.widgets.the_race import TRACES as RACES
from course_lib.widgets.the_race import offered

_STAGE = [
    *(f"cache rdd_0_{n} 256m MEMORY_AND_DISK" for n in range(4)),
    *(f"ask t{n} 384m" for n in range(16)),
    *(f"read rdd_0_{n}" for n in range(4)),
    *(f"finish t{n}" for n in range(16)),
]
TRACES = {"a stage of 16 tasks": "\n".join(_STAGE), **RACES}

# What lies across, what down, and their values.
FRACTIONS = "fraction and storageFraction"
CORES = "cores and heap"
AXES = {
    FRACTIONS: {
        "storage_fraction": ("spark.memory.storageFraction", [n / 20 for n in range(20)]),
        "memory_fraction": ("spark.memory.fraction", [n / 20 for n in range(1, 21)]),
    },
    CORES: {
        "cores": ("cores", list(range(1, 21))),
        "heap": ("heap", [f"{512 * n}m" for n in range(1, 21)]),
    },
}
COSTS = tuple(name.replace("_", " ") for name in Score._fields)


@cache
def swept(trace: str, axes: str) -> list[dict]:
    """The landscape of a trace over two of the `AXES`."""
    (across, (_, xs)), (down, (_, ys)) = AXES[axes].items()
    return landscape(trace, **{down: ys, across: xs})


def landscape_view(trace: str, state: Mapping) -> View:
    """One cost of a trace over two settings."""
    try:
        rows = swept(trace, state["axes"])
    except TraceError as error:
        return View(None, "This trace cannot be played.", problem=str(error))
    (_, (across, xs)), (_, (down, ys)) = AXES[state["axes"]].items()
    values = [row[state["cost"].replace(" ", "_")] for row in rows]
    width = len(xs)
    shown = Heatmap(
        f"{state['cost']}, {len(rows)} settings",
        "modelled",
        Axis(across, tuple(map(str, xs))),
        Axis(down, tuple(map(str, ys))),
        tuple(tuple(values[i : i + width]) for i in range(0, len(values), width)),
        _turns if state["cost"] == "waited" else lambda size: bytes_to_string(int(size)),
    )
    return View(shown, shown.tell())


def _turns(count: float) -> str:
    return f"{count:g}"


class Landscape(Explorable):
    """See what one trace costs over two settings at once, 400 combinations.

    ``Landscape()``, ``Landscape("shuffle-heavy", cost="spilled")``, or with the text of a trace of
    yours. The numbers are those of ``course_lib.model.landscape``, which a loop or a cluster can
    sweep. Raises TraceError, with the line, for a trace that cannot be read.
    """

    title = "The landscape of settings"
    controls = (
        Control("trace", "trace", tuple(TRACES), kind="choice"),
        Control("cost", "cost", COSTS, kind="choice"),
        Control("axes", "settings", tuple(AXES), kind="choice"),
    )
    start = {  # noqa: RUF012 (a constant of the class, as `controls` is)
        "trace": "cache and shuffle",
        "cost": "evicted",
        "axes": FRACTIONS,
    }

    def __init__(self, trace: str = start["trace"], **start):
        self._traces, self.controls, trace = offered(TRACES, self.controls, trace)
        super().__init__(trace=trace, **start)

    def view(self, state: Mapping) -> View:
        """See `landscape_view`."""
        return landscape_view(self._traces[state["trace"]], state)

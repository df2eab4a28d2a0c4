"""The driver's budget: what a result costs on its way, and which limit it meets first."""

from collections.abc import Mapping

from course_lib.draw.layout import extent
from course_lib.draw.picture import Picture
from course_lib.model.driver import PATHS, TOLERANCE, Result, driver_budget
from course_lib.units import byte_string_as_bytes, bytes_to_string
from course_lib.widgets.explorable import Control, Explorable, View


def driver_budget_view(state: Mapping) -> View:
    """What the result in `state` costs its driver."""
    result = Result(state["rows"], state["columns"], state["text"], state["partitions"])
    heap, limit = (byte_string_as_bytes(state[name]) for name in ("heap", "max_result_size"))
    budget = driver_budget(result, state["path"], heap=heap)
    shown = budget.region(heap)
    marks = [(budget.heap_at(limit), f"maxResultSize {bytes_to_string(limit)}")] if limit else []
    regions = (shown, budget.python_region())
    picture = Picture(
        f"{state['path']} of {state['rows']:,} rows",
        "modelled",
        regions,
        one_scale=True,
        marks=tuple(mark for mark in marks if mark[0] <= max(map(extent, regions))),
    )
    trip = budget.first_trip(heap, limit)
    facts = (
        ("a row on its way", bytes_to_string(4 + result.row_bytes)),
        ("counted by maxResultSize", bytes_to_string(budget.counted)),
        ("heap needed", bytes_to_string(budget.heap_needed)),
        ("Python needs", bytes_to_string(budget.python_needed)),
        ("first trips", trip or "nothing"),
        ("real drivers differ from this by", f"at most {TOLERANCE:.0%}"),
    )
    needed, python = (bytes_to_string(n) for n in (budget.heap_needed, budget.python_needed))
    sentence = (
        f"Spark counts {bytes_to_string(budget.counted)} of results; the driver needs {needed} of "
        f"heap, and its Python {python}. "
    )
    sentence += f"{trip.rstrip('.')}." if trip else "It survives."
    decisive, _ = budget.decisive_moment(limit)
    if abs(heap - decisive) < TOLERANCE * decisive:
        sentence += (
            f" It is a close call: real drivers differ from this by at most {TOLERANCE:.0%}."
        )
    return View(picture, sentence, facts)


def _value(characters: int) -> str:
    return f"a text of {characters}" if characters else "a number"


class DriverBudget(Explorable):
    """See what a result costs the driver on each path there, and what trips first.

    ``DriverBudget(path="collect", rows=10_000_000, columns=8, heap="4g")``. Results are taken not
    to compress. The numbers are those of ``course_lib.model.driver``.
    """

    title = "The driver's budget"
    controls = (
        Control("path", "path", PATHS, kind="choice"),
        Control(
            "rows",
            "rows",
            (
                1_000, 10_000, 100_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000,
                20_000_000, 50_000_000, 100_000_000, 200_000_000, 600_000_000,
            ),
            "{:,}".format,
        ),
        Control("columns", "columns", (1, 2, 4, 8, 16, 32, 64, 128)),
        Control("heap", "spark.driver.memory", ("512m", "1g", "2g", "4g", "8g", "16g", "32g")),
        Control("text", "a value", (0, 16, 64, 256, 1024), _value, more=True),
        Control(
            "max_result_size",
            "spark.driver.maxResultSize",
            ("0", "128m", "256m", "512m", "1g", "2g", "4g", "8g", "16g"),
            more=True,
        ),
        Control("partitions", "partitions", (1, 8, 64, 200, 1000), more=True),
    )  # fmt: skip
    start = {  # noqa: RUF012 (a constant of the class, as `controls` is)
        "path": "collect",
        "rows": 5_000_000,
        "columns": 8,
        "heap": "1g",
        "text": 0,
        "max_result_size": "1g",
        "partitions": 200,
    }

    def view(self, state: Mapping) -> View:
        """See `driver_budget_view`."""
        return driver_budget_view(state)

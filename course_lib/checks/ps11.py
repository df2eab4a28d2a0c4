"""Problem set 11: what a driver's heap must hold, and what it need not."""

import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from random import Random
from typing import TYPE_CHECKING

from course_lib.checks.programs import ProgramTask, did_not_finish
from course_lib.checks.reading import read_with
from course_lib.checks.registry import ProblemSet
from course_lib.checks.tasks import CannotCheckError, EffectTask, Misconception, Task
from course_lib.checks.trials import Effect
from course_lib.checks.values import malformed, show
from course_lib.units import MIB, bytes_to_string

if TYPE_CHECKING:
    from course_lib.spark import Remains

# heap_for_result

_LENGTH, _AROUND_A_ROW = 4, 64


def _row(numbers: int, texts: Sequence[int]) -> int:
    """The bytes of an ``UnsafeRow``."""
    columns = numbers + len(texts)
    return 8 * math.ceil(columns / 64) + 8 * columns + sum(8 * math.ceil(n / 8) for n in texts)


def _result(
    rows: int,
    numbers: int,
    texts: Sequence[int],
    ratio: int,
    *,
    row=_row,
    around: int = _AROUND_A_ROW,
    counted_ratio: int | None = None,
    both: bool = True,
) -> dict[str, float]:
    each = row(numbers, texts)
    serialized = rows * (_LENGTH + each)
    return {
        "counted": serialized / (counted_ratio or ratio),
        "heap": both * serialized / ratio + rows * (each + around),
    }


def _heap_for_result(rows: int, numbers: int, texts: Sequence[int], ratio: int):
    return _result(rows, numbers, texts, ratio)


def _counted_is_all(rows: int, numbers: int, texts: Sequence[int], ratio: int):
    counted = _result(rows, numbers, texts, ratio)["counted"]
    return {"counted": counted, "heap": counted}


def _draw_results(random: Random) -> list[tuple]:
    return [
        (
            random.randrange(1, 5000) * 1000,
            random.choice((1, 2, 3, 5, 8, 20, 62, 63, 64, 70)),
            [random.randrange(1, 300) for _ in range(random.randrange(4))],
            random.choice((1, 2, 5, 10, 20)),
        )
        for _ in range(20)
    ]


HEAP_FOR_RESULT = Task(
    name="heap_for_result",
    title="The heap that a result needs",
    points=3,
    reference=_heap_for_result,
    examples=(
        (1_000_000, 2, [], 1),
        (1_000_000, 2, [], 4),
        (300_000, 3, [1920], 30),
        (10_000, 70, [13, 8], 2),
    ),
    draw_inputs=_draw_results,
    within=1,
    misconceptions=(
        Misconception(
            "takes what is counted for what is needed",
            "This is what you get when the heap holds what `maxResultSize` counts. The driver "
            "unpacks it into rows.",
            _counted_is_all,
        ),
        Misconception(
            "forgets what is around a row",
            "Your rows are bare bytes. On the heap, each has an array's header, an object that "
            "points to it, and references: 64 bytes.",
            lambda *arguments: _result(*arguments, around=0),
        ),
        Misconception(
            "forgets the results that came in",
            "You counted the rows alone. While they are unpacked, the serialized results are still "
            "there.",
            lambda *arguments: _result(*arguments, both=False),
        ),
        Misconception(
            "counts rows as they will be",
            "`maxResultSize` counts results as they travel, compressed. Your function counts them "
            "uncompressed.",
            lambda *arguments: _result(*arguments, counted_ratio=1),
        ),
        Misconception(
            "counts bare values",
            "This is what you get from 8 bytes a number and the texts' own bytes. A row has bits "
            "for nulls, a word for each text too, and texts end on whole words.",
            lambda *arguments: _result(
                *arguments, row=lambda numbers, texts: 8 * numbers + sum(texts)
            ),
        ),
        Misconception(
            "has one word of null bits always",
            "Your rows have one word for nulls however wide they are. There is one for every 64 "
            "columns.",
            lambda *arguments: _result(
                *arguments,
                row=lambda numbers, texts: (
                    _row(numbers, texts) - 8 * (math.ceil((numbers + len(texts)) / 64) - 1)
                ),
            ),
        ),
    ),
)


# survivors

ACTIONS = {
    "take": "table.where('amount = 996').take(20)",
    "iterator": "sum(1 for row in table.rdd.toLocalIterator())",
    "write": "table.write.parquet('written')",
    "collect": "table.collect()",
    "broadcast": "spark.range(10).join(broadcast(spark.range(12_000_000)), 'id').count()",
}
TABLE = """SELECT id, id % 997 AS amount, repeat(md5(string(id)), 1000) AS scan
FROM range(0, 20000, 1, 64)"""

# Without it, an OutOfMemoryError on a thread of Spark's own can leave the driver waiting for ever.
_DIES_AT_ONCE = {"spark.driver.extraJavaOptions": "-XX:+ExitOnOutOfMemoryError"}

# The actions one after the other, until one takes the driver with it.
_PROGRAM = f"""
import os
import tempfile

from pyspark.sql.functions import broadcast

from course_lib.spark import lab_session

with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    with lab_session(driver_memory="512m", conf={_DIES_AT_ONCE}) as spark:
        table = spark.sql({TABLE!r})
        for name, action in ACTIONS:
            eval(action)
            print(name, flush=True)
    os.chdir("/")
"""


@cache
def _survivors() -> tuple[str, ...]:
    """The actions that survive, found by running them: as many children as there are deaths."""
    from course_lib.spark import NoJavaError
    from course_lib.spark.autopsy import autopsy

    survived, waiting = [], list(ACTIONS.items())
    while waiting:
        try:
            remains = autopsy(f"ACTIONS = {waiting!r}\n{_PROGRAM}", timeout=120)
        except NoJavaError as reason:
            raise CannotCheckError(str(reason)) from None
        done = remains.stdout.split()
        if not remains.survived and remains.exception_class != "java.lang.OutOfMemoryError":
            raise CannotCheckError(f"an action failed otherwise.\n{remains}\n{remains.log[-500:]}")
        survived += done
        waiting = waiting[len(done) + (not remains.survived) :]
    return tuple(survived)


def _survives(value: object) -> bool:
    if value not in (True, False):
        raise ValueError(f"say True if the driver survives it, otherwise False; not {show(value)}")
    return bool(value)


def _run_actions(choices: Mapping[str, bool]) -> Effect:
    survived = _survivors()
    dead = [name for name in ACTIONS if name not in survived]
    evidence = (
        f"measured, with a heap of 512 MB: {', '.join(survived)} survived; {', '.join(dead)} died "
        "of java.lang.OutOfMemoryError"
    )
    for name, expected in choices.items():
        if expected != (name in survived):
            says = f"`{name}` does not survive." if expected else f"`{name}` survives."
            return Effect(False, says, evidence, _WRONG_ABOUT[name])
    return Effect(True, "Each did what you said.", evidence)


_WRONG_ABOUT = {
    "take": "takes take for a collect",
    "iterator": "takes the iterator for a collect",
    "write": "sends what is written through the driver",
    "collect": "believes that results stay packed",
    "broadcast": "builds broadcasts on executors",
}


def _all_but(wrong: str | None = None) -> dict[str, bool]:
    """What survives, save for one that is taken for the opposite."""
    right = {name: name not in ("collect", "broadcast") for name in ACTIONS}
    return {name: survives != (name == wrong) for name, survives in right.items()}


SURVIVORS = EffectTask(
    name="survivors",
    title="Which of five actions survive 512 MB",
    points=3,
    read=read_with(dict.fromkeys(ACTIONS, _survives)),
    run=_run_actions,
    reference=_all_but,
    misconceptions=(
        Misconception(
            _WRONG_ABOUT["take"],
            "`take` may have to read every partition, but no task brings more rows than you ask "
            "for.",
            lambda: _all_but("take"),
        ),
        Misconception(
            _WRONG_ABOUT["iterator"],
            "The iterator of an RDD brings one partition at a time, and lets go of it.",
            lambda: _all_but("iterator"),
        ),
        Misconception(
            _WRONG_ABOUT["write"],
            "What is written goes from the tasks to the files. The driver hears that it is done.",
            lambda: _all_but("write"),
        ),
        Misconception(
            _WRONG_ABOUT["collect"],
            "Serialized and compressed, the result is small. On the heap each row is as long as it "
            "is: work out 20,000 of them.",
            lambda: _all_but("collect"),
        ),
        Misconception(
            _WRONG_ABOUT["broadcast"],
            "The table that is broadcast comes to the driver first, and becomes a hash table "
            "there.",
            lambda: _all_but("broadcast"),
        ),
    ),
)


# top_customers

_CUSTOMERS, _ORDERS_EACH, _WANTED = 100, 2000, 9
_MOST_BROUGHT = MIB // 2


def _factor(seed: int) -> int:
    return Random(f"top_customers {seed}").randrange(2, 52)


def _amount(customer: int, seed: int) -> int:
    """Customers come in pairs that spend equally much; no two pairs do."""
    return (customer // 2 + 1) * _factor(seed) % 53


def try_top_customers(answer, seed: int) -> dict:
    """Call the answer on a driver of 512 MB, and report what it returns and what came there."""
    from course_lib.spark import lab_session, rest

    rows = _CUSTOMERS * _ORDERS_EACH
    with lab_session(driver_memory="512m", conf=_DIES_AT_ONCE) as spark:
        orders = spark.sql(
            f"""SELECT id, id % {_CUSTOMERS} AS customer,
            (id % {_CUSTOMERS} div 2 + 1) * {_factor(seed)} % 53 AS amount,
            repeat(md5(string(id)), 100) AS note FROM range(0, {rows}, 1, 32)"""
        )
        value = answer(orders, _WANTED)
        spark.sparkContext._jsc.sc().listenerBus().waitUntilEmpty()
        stages = rest(spark, "stages?status=complete")
        report = {"brought": sum(stage["resultSize"] for stage in stages)}
    try:
        json.dumps(value)
    except TypeError:
        return report | {"strange": show(value)}
    return report | {"value": value}


def _totals(seed: int) -> dict[int, int]:
    return {one: _ORDERS_EACH * _amount(one, seed) for one in range(_CUSTOMERS)}


def _right_customers(seed: int) -> list[list[int]]:
    best = sorted(_totals(seed).items(), key=lambda one: (-one[1], one[0]))
    return [list(pair) for pair in best[:_WANTED]]


def judge_top_customers(remains: "Remains", report: dict | None, seed: int) -> Effect:
    """The answer has to survive, to be right, and to bring little more than its result."""
    if report is None:
        if remains.exception_class == "java.lang.OutOfMemoryError":
            says = "The driver died of java.lang.OutOfMemoryError: its heap has 512 MB."
            return Effect(False, says, misconception="collects all the same")
        return did_not_finish(remains)
    right = _right_customers(seed)
    if "strange" in report:
        return Effect(False, f"It returns {report['strange']}; it should be a list of pairs.")
    value = report["value"]
    if complaint := malformed(right, value) or _misshapen(value):
        return Effect(False, f"What it returns {complaint}.")
    brought = f"measured: {bytes_to_string(report['brought'])} of results came to the driver"
    if value != right:
        says = f"It survives and returns {show(value[:3])}…; right is {show(right[:3])}…"
        return Effect(False, says, brought, _why_wrong(value, seed))
    if report["brought"] > _MOST_BROUGHT:
        says = "It survives, and its answer is right, but far more than the answer was brought."
        return Effect(False, says, brought, "brings every order to the driver")
    return Effect(True, "It survives, with the same answer.", brought)


def _misshapen(value: list) -> str | None:
    """What is wrong with the pairs, as the end of a sentence."""
    if len(value) != _WANTED:
        return f"has {len(value)} entries; it was asked for {_WANTED}"
    pairs = [isinstance(one, list) and len(one) == 2 for one in value]
    if not all(pairs):
        return f"has {show(value[pairs.index(False)])}; each entry is a customer and a total"
    return None


def _why_wrong(value: list, seed: int) -> str | None:
    right, totals = _right_customers(seed), _totals(seed)
    if [total for _, total in value] == [total for _, total in right]:
        return "leaves ties to chance"
    if all(type(one) is type(total) is int and total < totals.get(one, 0) for one, total in value):
        return "adds up a part of the orders"
    return None


def _top_customers(orders, n):
    from pyspark.sql import functions

    totals = orders.groupBy("customer").agg(functions.sum("amount").alias("total"))
    best = totals.orderBy(functions.desc("total"), "customer").limit(n)
    return [[row.customer, row.total] for row in best.collect()]


def _collects_all(orders, n):
    totals = {}
    for order in orders.collect():
        totals[order.customer] = totals.get(order.customer, 0) + order.amount
    best = sorted(totals.items(), key=lambda one: (-one[1], one[0]))
    return [list(pair) for pair in best[:n]]


def _brings_every_order(orders, n):
    totals = {}
    for order in orders.select("customer", "amount").toLocalIterator():
        totals[order.customer] = totals.get(order.customer, 0) + order.amount
    best = sorted(totals.items(), key=lambda one: (-one[1], one[0]))
    return [list(pair) for pair in best[:n]]


def _adds_up_a_part(orders, n):
    totals = {}
    for order in orders.take(1000):
        totals[order.customer] = totals.get(order.customer, 0) + order.amount
    best = sorted(totals.items(), key=lambda one: (-one[1], one[0]))
    return [list(pair) for pair in best[:n]]


def _leaves_ties_to_chance(orders, n):
    from pyspark.sql import functions

    totals = orders.groupBy("customer").agg(functions.sum("amount").alias("total"))
    best = totals.orderBy(functions.desc("total")).limit(n)
    return [[row.customer, row.total] for row in best.collect()]


TOP_CUSTOMERS = ProgramTask(
    name="top_customers",
    title="The same answer, without the collect",
    points=5,
    harness=try_top_customers,
    judge=judge_top_customers,
    reference=_top_customers,
    misconceptions=(
        Misconception(
            "collects all the same",
            "Your function brings every order to the driver as a whole. Let the executors add up, "
            "and collect what is left.",
            _collects_all,
        ),
        Misconception(
            "brings every order to the driver",
            "Your function still adds up on the driver: with fewer columns or piece by piece it "
            "fits, but a larger table will not. Let the executors add up.",
            _brings_every_order,
        ),
        Misconception(
            "adds up a part of the orders",
            "Your totals are too small: `take` and `limit` in front of a sum leave orders out. "
            "First add up, then take the best.",
            _adds_up_a_part,
        ),
        Misconception(
            "leaves ties to chance",
            "The totals are right. Where two customers have spent the same, the one with the "
            "smaller number comes first, also where the list ends.",
            _leaves_ties_to_chance,
        ),
    ),
)


# broadcast_side

JOINS = ("inner", "left_outer", "right_outer", "full_outer", "left_semi", "left_anti")
_LEFT_JOINS = ("inner", "right_outer")
_RIGHT_JOINS = ("inner", "left_outer", "left_semi", "left_anti")


def _broadcast_side(
    left_mib: int, right_mib: int, join: str, hint: str | None, threshold_mib: int
) -> str:
    return _side(left_mib, right_mib, join, hint, threshold_mib)


def _side(
    left: int,
    right: int,
    join: str,
    hint: str | None,
    threshold: int,
    *,
    fits=lambda size, threshold: size <= threshold,
    hint_obeys: bool = False,
    kept_too: bool = False,
    smaller: bool = True,
    hints: bool = True,
) -> str:
    """Source: ``SparkStrategies.JoinSelection``, ``JoinSelectionHelper``."""
    joins = {"left": _LEFT_JOINS, "right": _RIGHT_JOINS}
    size = {"left": left, "right": right}
    possible = [side for side in ("right", "left") if kept_too or join in joins[side]]
    if hints and hint in possible and (not hint_obeys or fits(size[hint], threshold)):
        return hint
    small = [side for side in possible if fits(size[side], threshold)]
    return (min(small, key=size.get) if smaller else small[0]) if small else "none"


def _draw_joins(random: Random) -> list[tuple]:
    drawn = []
    for threshold in (10, 10, 50, 200, -1) * 16:
        near = max(threshold, 10)
        sizes = [random.choice((near // 2, near - 1, near, near + 1, near * 8)) for _ in range(2)]
        hint = random.choice((None, None, "left", "right"))
        drawn.append((*sizes, random.choice(JOINS), hint, threshold))
    # Hints that neither the threshold nor the sizes would have brought about.
    for larger in ("left", "right") * 4:
        small, large = random.randrange(1, 5), random.randrange(5, 11)
        sizes = (small, large) if larger == "right" else (large, small)
        drawn.append((*sizes, "inner", larger, 10))
    return drawn


BROADCAST_SIDE = Task(
    name="broadcast_side",
    title="Broadcast or not, and which side",
    points=4,
    reference=_broadcast_side,
    examples=(
        (500, 8, "inner", None, 10),
        (10, 500, "inner", None, 10),
        (8, 500, "left_outer", None, 10),
        (500, 300, "inner", "right", 10),
        (4, 6, "inner", "right", 10),
        (5, 4, "inner", None, -1),
        (4, 6, "inner", None, 10),
    ),
    draw_inputs=_draw_joins,
    misconceptions=(
        Misconception(
            "holds hints to the threshold",
            "Your function lets the threshold overrule a hint. It is for joins without one; only "
            "the driver's heap and the limit of 8 GiB stop a hint.",
            lambda *arguments: _side(*arguments, hint_obeys=True),
        ),
        Misconception(
            "takes -1 for no limit",
            "Your function broadcasts whatever there is when the threshold is -1. It means: never "
            "without a hint.",
            lambda *arguments: _side(*arguments, fits=lambda size, most: most < 0 or size <= most),
        ),
        Misconception(
            "broadcasts a side that is kept",
            "An outer join keeps every row of one side, and a semi or anti join every row it "
            "returns is of the left one. Each executor has all of what is broadcast, so none could "
            "tell which of its rows found no partner anywhere: that side cannot be broadcast.",
            lambda *arguments: _side(*arguments, kept_too=True),
        ),
        Misconception(
            "takes the right side if it fits",
            "Where both sides could be broadcast, Spark takes the smaller one.",
            lambda *arguments: _side(*arguments, smaller=False),
        ),
        Misconception(
            "is strict at the threshold",
            "A table that is just as large as the threshold is still broadcast.",
            lambda *arguments: _side(*arguments, fits=lambda size, most: size < most),
        ),
        Misconception(
            "overlooks hints",
            "Your function decides by size alone. A hint comes first.",
            lambda *arguments: _side(*arguments, hints=False),
        ),
    ),
)


PROBLEM_SET = ProblemSet(
    "ps11-driver",
    "The driver",
    (HEAP_FOR_RESULT, SURVIVORS, TOP_CUSTOMERS, BROADCAST_SIDE),
)

"""Problem set 12: numbers of equal difficulty for everybody, joins that are right in other ways,
and remedies that do what they are said to."""

import math
from itertools import pairwise
from pathlib import Path
from random import Random
from statistics import median

import nbformat
import pytest

from course_lib.checks import CannotCheckError, Status, ps12
from course_lib.checks.ps12 import (
    _WRONG_WAYS,
    CORES,
    CUSTOMERS,
    EXTRA,
    FEWER,
    LEAST_USED,
    MORE,
    NOTHING,
    ORDERS,
    PARTITIONS,
    REMEDY,
    SALT,
    SALTED_JOIN,
    Lab,
    Nightly,
    Numbers,
    _by_hand,
    _enough,
    _judge_join,
    _lab_need,
    _lab_share,
    _manager,
    _right_total,
    _shop,
    _stages,
    _try_lab,
    _try_partitions,
    _wrong,
    judge_salted_join,
)
from course_lib.checks.trials import remembering
from course_lib.model import UnifiedMemoryManager, replay
from course_lib.spark import NoJavaError
from course_lib.spark.autopsy import autopsy
from course_lib.units import GIB, MIB

ROOT = Path(__file__).parents[2]
LEARNERS = sorted(f"learner{number:03}" for number in range(200))


@pytest.fixture(scope="module")
def text():
    notebook = ROOT / "solutions/ps12-partitions-skew/ps12-partitions-skew.ipynb"
    cells = nbformat.read(notebook, as_version=4).cells
    return " ".join("\n".join(c.source for c in cells if c.cell_type == "markdown").split())


@pytest.fixture(scope="module")
def drawn():
    return [PARTITIONS.numbers(learner) for learner in LEARNERS]


# partitions: equal difficulty


def test_the_sums_of_the_notebook_are_right_for_everybody(drawn):
    for numbers in drawn:
        taken, fewest = _by_hand(numbers), _enough(numbers)
        assert (taken["nightly"], taken["with_cache"]) == (fewest["nightly"], fewest["with_cache"])
        share = _lab_share(numbers.lab)
        assert 0.82 * share <= _lab_need(numbers.lab, taken["lab"]) <= 0.97 * share


def test_rounding_costs_everybody_a_quarter_to_three_quarters_of_a_partition(drawn):
    for _, nightly in drawn:
        memory = (nightly.heap_gib - 300 / 1024) * 0.6
        for kept in (1, 1 - nightly.storage_fraction):
            exact = nightly.data_gib * nightly.cores / (memory * kept)
            assert 0.24 < exact % 1 < 0.76


def test_everybody_has_more_cached_than_storage_can_keep_and_less_than_there_is(drawn):
    for _, nightly in drawn:
        memory = (nightly.heap_gib - 300 / 1024) * 0.6
        assert memory * nightly.storage_fraction < nightly.cached_gib < memory


def test_everybodys_lab_is_of_one_size_and_one_length(drawn):
    for lab, _ in drawn:
        assert 12 <= _by_hand(Numbers(lab, drawn[0].nightly))["lab"] <= 24
        assert 0.3 * GIB < lab.rows * lab.row_bytes < 1.2 * GIB  # a few seconds of sorting


@pytest.mark.parametrize("name", [*_WRONG_WAYS, "takes the default"])
def test_each_wrong_way_shows_in_everybodys_numbers(drawn, name):
    for numbers in drawn:
        wrong, right = _wrong(numbers, name), _by_hand(numbers)
        if name in ("counts only the rows", "takes the default"):
            assert {**wrong, "lab": right["lab"]} == right
            need, share = _lab_need(numbers.lab, wrong["lab"]), _lab_share(numbers.lab)
            spills = name == "counts only the rows"
            assert need > share if spills else need < 0.3 * share
            continue
        effect = _try_partitions(numbers, wrong)
        assert (effect.passed, effect.misconception) == (False, name)


def test_no_two_neighbours_share_answers(drawn):
    for one, other in pairwise(drawn):
        effect = _try_partitions(other, _by_hand(one))
        assert not effect.passed
        assert effect.evidence == "modelled"  # what needs no luck on Spark


def test_what_passed_for_one_does_not_pass_for_another(monkeypatch):
    """Though trials that passed are remembered, and the lab alone would be content."""
    monkeypatch.setattr(ps12, "_sort_in_the_lab", lambda lab, _: (0, int(0.9 * _lab_share(lab))))
    ada, grace = (PARTITIONS.of(name) for name in ("ada", "grace"))
    adas = ada.reference()
    with remembering():
        assert ada.grade(adas).points == PARTITIONS.points
        assert grace.grade(adas).points == 0


# partitions: the model and Spark


def test_the_cluster_is_the_models_of_lessons_6_and_8(drawn):
    """Tasks that ask for what the right number leaves each are all granted it; with one partition
    less, the last is not."""
    for _, nightly in drawn[:20]:
        right = _enough(Numbers(drawn[0].lab, nightly))
        for key, cached in (("nightly", 0), ("with_cache", nightly.cached_gib)):
            for fewer in (0, 1):
                manager = UnifiedMemoryManager.from_conf(
                    {"spark.memory.storageFraction": repr(nightly.storage_fraction)},
                    system_memory=nightly.heap_gib * GIB,
                    num_cores=nightly.cores,
                )
                manager = as_if_cached(manager, cached)
                need = math.ceil(nightly.data_gib * GIB / (right[key] - fewer))
                asks = "\n".join(f"ask t{task} {need}b" for task in range(nightly.cores))
                frames = replay(manager, asks)[1:]
                in_full = all(one.what == "granted" and one.size == need for one in frames)
                assert in_full == (not fewer)


def as_if_cached(manager, cached_gib):
    """A manager of its own for tasks, once blocks have been evicted down to what storage keeps."""
    kept = min(cached_gib * GIB, manager.on_heap_storage_region_size)
    return UnifiedMemoryManager(manager.max_heap_memory - kept, 0)


def test_the_result_to_go_by_is_right(text):
    given = "`data_gib=1000`, `heap_gib=32`, `cores=4`, `storage_fraction=0.4` and `cached_gib=12`"
    assert f"{given} take 211 partitions, and 351 with what is cached" in text
    right = _enough(Numbers(Lab(500_000, 800, 512, 3), Nightly(1000, 32, 4, 0.4, 12)))
    assert (right["nightly"], right["with_cache"]) == (211, 351)
    assert "at most **a tenth**" in text
    assert EXTRA == 0.1
    assert "at least three quarters of what it may have" in text
    assert LEAST_USED == 0.75


@pytest.mark.parametrize("value", [0, -3, 2.5, "12", True])
def test_numbers_of_partitions_that_are_not_tried(value):
    task = PARTITIONS.of("ada")
    feedback = task.check(task.reference() | {"nightly": value})
    assert feedback.status is Status.NOT_YET
    assert "nightly: a number of partitions is a whole number from 1 on, not " in str(feedback)


def test_the_lab_does_not_start_a_hundred_thousand_tasks():
    task = PARTITIONS.of("ada")
    feedback = task.check(task.reference() | {"lab": 100_000})
    assert "lab: the lab has at most 1000 partitions, not 100000" in str(feedback)


@pytest.mark.parametrize(
    ("spilled", "used", "passed", "says"),
    [
        (0, 0.9, True, "Nothing spills, and no fewer would do."),
        (MIB, 1.0, False, "lab: tasks spilled."),
        (0, 0.7, False, "lab: nothing spilled, and fewer would do."),
    ],
)
def test_the_lab_is_judged_by_what_is_measured(monkeypatch, drawn, spilled, used, passed, says):
    peak = int(used * _lab_share(drawn[0].lab))
    monkeypatch.setattr("course_lib.checks.ps12._sort_in_the_lab", lambda *_: (spilled, peak))
    effect = _try_lab(drawn[0], 33)
    assert (effect.passed, effect.says, effect.misconception) == (passed, says, None)
    assert effect.evidence.startswith("measured: with 33 partitions ")


def test_without_java_the_lab_cannot_be_checked(monkeypatch):
    def no_java():
        raise NoJavaError("no Java was found")

    monkeypatch.setattr("course_lib.spark.autopsy.find_java", no_java)
    task = PARTITIONS.of("ada")
    assert "This cannot be checked here: no Java was found" in str(task.check(task.reference()))


def test_a_sort_that_does_not_finish_is_not_the_learners_fault(monkeypatch):
    monkeypatch.setattr("course_lib.checks.ps12._LAB_JOB", "raise SystemExit(5)")
    task = PARTITIONS.of("ada")
    with pytest.raises(CannotCheckError, match="exit code 5"):
        task.grade(task.reference())


# salted_join


@pytest.mark.parametrize("seed", [0, 9202])
def test_a_shop_has_orders_for_many_customers_and_one_large_one(text, seed):
    shop = _shop(seed)
    others = {order * shop.factor % CUSTOMERS for order in range(ORDERS) if order % 10 > 7}
    assert len(others) > CUSTOMERS // 10
    assert shop.hot < CUSTOMERS
    assert "300,000 orders" in text
    assert "20,000 customers" in text


def test_visible_and_hidden_shops_differ():
    assert _shop(0).hot != _shop(9202).hot
    assert _shop(0).salts != _shop(9202).salts
    assert _right_total(0) != _right_total(9202)


REPORT = {"rows": ORDERS, "total": 7, "spilled": 0, "shuffled": ORDERS, "largest": 20_000}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rows": ORDERS + 5}, "not that of the plain join"),
        ({"total": 8}, "not that of the plain join"),
        ({"spilled": 1}, "as skewed as before"),
        ({"largest": ORDERS // 2}, "as skewed as before"),
        ({"shuffled": ORDERS * 12}, "more was copied than need be"),
    ],
)
def test_joins_are_judged_by_what_is_measured(change, says):
    assert _judge_join(REPORT, 12, 7).passed
    effect = _judge_join(REPORT | change, 12, 7)
    assert not effect.passed
    assert says in effect.says


@pytest.mark.parametrize(
    ("report", "says"),
    [
        ({"returned": "None"}, "It returns None; it should return a DataFrame."),
        ({"changed": ["spark.sql.shuffle.partitions"]}, "It sets spark.sql.shuffle.partitions."),
        ({"changed": [], "columns": ["order", "customer"]}, "It returns the columns ['order', 'cu"),
    ],
)
def test_what_is_no_answer_is_told(report, says):
    effect = judge_salted_join(None, report, 0)
    assert not effect.passed
    assert effect.says.startswith(says)


def test_an_exception_is_told_with_its_line():
    remains = autopsy("raise NameError('F is not defined')")
    assert "NameError: F is not defined" in judge_salted_join(remains, None, 0).says


def salts_only_the_large_one(orders, customers, salts):
    from pyspark.sql import functions as F

    hot = orders.groupBy("customer").count().orderBy(F.desc("count")).first().customer
    drawn = F.when(F.col("customer") == hot, F.floor(F.rand() * salts)).otherwise(0)
    every = F.sequence(F.lit(0), F.lit(salts - 1))
    of = F.when(F.col("customer") == hot, every).otherwise(F.array(F.lit(0)))
    copied = customers.withColumn("salt", F.explode(of))
    salted = orders.withColumn("salt", drawn)
    return salted.join(copied, ["customer", "salt"]).select("customer", "order", "text", "name")


def broadcasts(orders, customers, salts):
    from pyspark.sql import functions as F

    return orders.join(F.broadcast(customers), "customer")


def test_salting_only_what_is_large_is_right_too():
    feedback = SALTED_JOIN.grade(salts_only_the_large_one, 3)
    assert feedback.status is Status.RIGHT, str(feedback)


def test_a_broadcast_is_refused_in_sparks_words():
    feedback = SALTED_JOIN.grade(broadcasts, 3)
    assert feedback.points == 0
    assert "Cannot broadcast the table" in str(feedback)


# remedy: on the model, each does what it is said to


def spill_after(remedy, tasks, cores, share):
    """What tasks still need beyond their share once a remedy is applied, in MiB."""
    sizes = [task["read_mib"] for task in tasks]
    if remedy == MORE:
        # The rows of one key stay together: what is skewed keeps its size.
        sizes = [size if size > 5 * median(sizes) else size / 100 for size in sizes]
    elif remedy == SALT:
        sizes = [size / 100 if size > 5 * median(sizes) else size for size in sizes]
    elif remedy == FEWER:
        sizes = [2 * size for size in sizes]
    elif remedy == CORES:
        share *= cores  # all of it, for one task at a time
    return sum(size for size in sizes if size > share)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("cores", range(2, 6))
def test_where_something_spills_the_right_remedy_ends_it_and_no_other_does(seed, cores):
    spilling = [
        tasks
        for tasks in _stages(Random(seed), 100, cores)
        if any(task["spilled_mib"] for task in tasks)
    ]
    assert len(spilling) == 3
    for tasks in spilling:
        right = REMEDY.reference(tasks, cores)
        assert right in (MORE, SALT)
        for remedy in (MORE, FEWER, SALT, CORES, NOTHING):
            assert (spill_after(remedy, tasks, cores, 100) == 0) == (remedy == right)


@pytest.mark.parametrize("seed", range(5))
def test_stages_hold_each_remedy_several_times(seed):
    right = [REMEDY.reference(*one) for one in REMEDY.inputs(seed)]
    assert {remedy: right.count(remedy) >= 4 for remedy in (MORE, FEWER, SALT, CORES, NOTHING)} == (
        dict.fromkeys((MORE, FEWER, SALT, CORES, NOTHING), True)
    )


def test_a_row_that_is_refused_fits_when_half_as_many_tasks_share():
    [failing] = [one for one in _stages(Random(1), 100, 4) if REMEDY.reference(one, 4) == CORES]
    [error] = [task["error"] for task in failing if task["error"]]
    asked, got = (int(word) for word in error.replace(",", "").split() if word.isdigit())
    assert got < 100 * MIB < asked < 200 * MIB


def test_the_thresholds_are_those_that_the_text_states(text):
    assert "**more than five times** the median" in text.replace("reads ", "")
    assert "**less than 0.1 seconds**" in text
    assert "**at least ten tasks for each core**" in text


def test_numbers_belong_to_their_learner():
    assert PARTITIONS.numbers("ada") == PARTITIONS.numbers(" ada ")
    assert PARTITIONS.numbers("ada") != PARTITIONS.numbers("bob")
    assert PARTITIONS.of("ada") is PARTITIONS.of("ada")  # so that a trial is found again
    assert PARTITIONS.draw(Random(1)) == PARTITIONS.draw(Random(1))
    assert _manager(GIB, 2).max_heap_memory == 455501414

import json
from statistics import median

import pytest

from course_lib.model import partition_rows, sort_memory
from course_lib.units import GIB, MIB, bytes_to_string
from course_lib.widgets import PartitionSizes
from course_lib.widgets.partition_sizes import KEYS, MOST, partition_sizes

START = dict(PartitionSizes.start)


def view(**changed):
    return partition_sizes(START | changed)


def facts(**changed):
    return dict(view(**changed).facts)


def test_the_line_is_one_nth_of_the_pool_with_as_many_tasks_as_cores_or_partitions():
    assert view().picture.marks == ((128 * MIB, "1/4 of it: 128.0 MiB"),)
    assert view(cores=8).picture.marks == ((64 * MIB, "1/8 of it: 64.0 MiB"),)
    assert view(cores=8, partitions=4).picture.marks == ((128 * MIB, "1/4 of it: 128.0 MiB"),)


def test_bars_are_filled_up_to_the_line_and_hollow_beyond_it():
    sizes = partition_rows(START["rows"], 64, keys=KEYS, skew=1.0)
    (name, held, lacks), *others = view().picture.holders
    assert name == f"partition {sizes.index(max(sizes))}"
    assert held == 128 * MIB
    assert f"{name} holds 128.0 MiB, lacks {bytes_to_string(lacks)}" in view().picture.tell()
    assert all(held <= 128 * MIB for _, held, _ in others)
    assert all(not lacks or held == 128 * MIB for _, held, lacks in others)


def test_of_many_partitions_the_largest_the_median_and_the_smallest_are_shown():
    names = [name for name, _, _ in view().picture.holders]
    assert len(names) == MOST
    assert names[-2:] == ["the median", "the smallest"]
    assert len(view(partitions=8).picture.holders) == 8
    sizes = sorted(partition_rows(START["rows"], 64, keys=KEYS, skew=1.0))
    assert facts()["rows of the largest partition"] == f"{sizes[-1]:,}"
    assert facts()["rows of the median partition"] == f"{median(sizes):,.0f}"


def test_salt_takes_the_spill_away_and_the_sentence_says_so():
    assert view().sentence.startswith("Tasks that need more than their share: 2 of 64; they spill")
    assert view(salt=16).sentence.startswith("No task spills;")
    assert facts(salt=16)["spill (memory)"] == "0.0 B"


def test_without_skew_keys_do_not_fall_evenly_either():
    largest = facts(skew=0.0)["rows of the largest partition"]
    assert int(largest.replace(",", "")) > 1.5 * START["rows"] / START["partitions"]


def test_the_error_of_the_prediction_is_among_the_facts():
    assert facts()["error, beside Spark 4.3"].startswith("none for a task alone; beside others")


@pytest.mark.parametrize("rows", [100_000, 100_000_000])
@pytest.mark.parametrize("partitions", [1, 800])
@pytest.mark.parametrize("pool", ["128m", "8g"])
@pytest.mark.parametrize("cores", [1, 16])
def test_every_corner_has_a_picture(rows, partitions, pool, cores):
    shown = view(rows=rows, partitions=partitions, pool=pool, cores=cores, row_bytes=1000)
    assert shown.picture.figure()
    assert "{" not in shown.table()


def test_what_a_partition_needs_is_what_the_model_says():
    (_, held, lacks), *_ = view(partitions=1, cores=1, pool="8g").picture.holders
    page = 64 * MIB - 16
    assert held + lacks == sort_memory(10_000_000, 104, page) < 8 * GIB


def test_the_message_is_small():
    assert len(json.dumps(PartitionSizes(partitions=800, cores=16)._tables)) < 100_000

"""Partitions and the memory to sort them: the model alone, and beside Spark's own hash."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.model import (
    fewest_partitions,
    partition_of,
    partition_rows,
    rows_of_keys,
    rows_without_spill,
    sort_memory,
    sort_spill,
    task_share,
    unsafe_row_bytes,
)
from course_lib.units import MIB

PAGE = 8 * MIB - 16


def test_rows_are_dealt_to_keys_by_skew_and_none_is_lost():
    assert rows_of_keys(100, 4) == [25, 25, 25, 25]
    assert rows_of_keys(1100, 3, skew=1.0) == [600, 300, 200]
    assert sum(rows_of_keys(999_983, 1000, skew=1.3)) == 999_983


def test_salt_spreads_the_largest_key_and_loses_no_row():
    sizes = {
        salt: partition_rows(1_000_000, 64, keys=200, skew=1.5, salt=salt) for salt in (1, 4, 32)
    }
    assert {sum(one) for one in sizes.values()} == {1_000_000}
    assert max(sizes[1]) > 2 * max(sizes[4]) > 4 * max(sizes[32])


@pytest.mark.parametrize("salt", [1, 2, 5])
def test_partitions_are_those_of_keys_and_salts_dealt_out_one_by_one(salt):
    expected = [0] * 7
    for key, count in enumerate(rows_of_keys(1000, 20, 1.0), 1):
        for row in range(count):
            expected[partition_of((key, row % salt) if salt > 1 else (key,), 7)] += 1
    assert partition_rows(1000, 7, keys=20, skew=1.0, salt=salt) == expected


def test_a_row_is_its_null_bits_its_columns_and_what_lies_behind():
    assert unsafe_row_bytes(3) == 32
    assert unsafe_row_bytes(1, 10) == 8 + 16 + 16
    assert unsafe_row_bytes(65) == 16 + 65 * 8


def test_what_a_sort_needs_is_pages_and_the_array_and_for_a_moment_the_next_array_too():
    first = 64 * 1024
    assert sort_memory(1, 32, PAGE) == PAGE + first
    assert sort_memory(2048, 32, PAGE) == PAGE + first
    assert sort_memory(2049, 32, PAGE) == PAGE + 3 * first
    assert sort_memory(2049, 32, PAGE, radix=False) == PAGE + first
    assert sort_memory(2731, 32, PAGE, radix=False) == PAGE + 3 * first
    assert sort_memory(2, 2 * PAGE, PAGE) == 2 * (2 * PAGE + 4) + first


rows, row_bytes = st.integers(1, 3_000_000), st.integers(8, 2000)
shares = st.integers(9 * MIB, 300 * MIB)


@given(rows, row_bytes, shares, st.booleans())
def test_as_many_rows_as_fit_do_and_one_more_does_not(rows, row_bytes, share, radix):
    most = rows_without_spill(share, row_bytes, PAGE, radix=radix)
    assert sort_memory(most, row_bytes, PAGE, radix=radix) <= share
    assert sort_memory(most + 1, row_bytes, PAGE, radix=radix) > share
    fewest = fewest_partitions(rows, row_bytes, share, PAGE, radix=radix)
    largest = -(-rows // fewest)
    assert sort_spill(largest, row_bytes, share, PAGE, radix=radix) == 0
    assert fewest == 1 or -(-rows // (fewest - 1)) > most


def test_what_does_not_fit_is_spilled_run_by_run():
    share = 100 * MIB
    most = rows_without_spill(share, 32, PAGE)
    pages = sort_memory(most, 32, PAGE) // PAGE
    assert sort_spill(most, 32, share, PAGE) == 0
    once = sort_spill(most + 1, 32, share, PAGE)
    assert once % PAGE == 0
    assert 0 < once // PAGE <= pages
    assert sort_spill(2 * most, 32, share, PAGE) == once
    assert sort_spill(2 * most + 1, 32, share, PAGE) == 2 * once


def test_a_share_is_one_nth_of_what_storage_cannot_hold_on_to():
    assert task_share(400, 4) == 100
    assert task_share(400, 4, storage_memory_used=100, storage_region_size=200) == 75
    assert task_share(400, 4, storage_memory_used=300, storage_region_size=200) == 50


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: partition_of((1,), 0), "partitions is at least 1, not 0"),
        (lambda: rows_of_keys(10, 0), "keys is at least 1, not 0"),
        (lambda: rows_of_keys(10, 3, -1.0), "skew is at least 0, not -1.0"),
        (lambda: partition_rows(10, 3, keys=2, salt=0), "salt is at least 1, not 0"),
        (lambda: unsafe_row_bytes(-1), "fixed is at least 0, not -1"),
        (lambda: sort_memory(-1, 32, PAGE), "rows is at least 0, not -1"),
        (lambda: sort_memory(1, 0, PAGE), "row_bytes is at least 1, not 0"),
        (lambda: rows_without_spill(MIB, 32, PAGE), "a task needs 8454128 bytes for its first row"),
        (lambda: fewest_partitions(-1, 32, 20 * MIB, PAGE), "rows is at least 0, not -1"),
        (lambda: task_share(100, 0), "tasks is at least 1, not 0"),
    ],
)
def test_bad_input_is_named(call, complaint):
    with pytest.raises(ValueError, match=complaint):
        call()


@pytest.mark.conformance
def test_rows_go_where_sparks_hash_sends_them(oracle):
    murmur3 = oracle.jvm.org.apache.spark.unsafe.hash.Murmur3_x86_32
    draw = random.Random(12)
    keys = [0, 1, -1, 2**63 - 1, -(2**63), *(draw.randrange(-(2**63), 2**63) for _ in range(200))]
    for key in keys:
        hashed = murmur3(42).hashLong(key)
        assert partition_of((key,), 997) == hashed % 997
        assert partition_of((key, 3), 200) == murmur3(hashed).hashLong(3) % 200

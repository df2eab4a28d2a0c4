"""From rows to partitions, and from a partition to the memory that its task needs to sort it."""

from bisect import bisect_right
from collections.abc import Sequence
from functools import cache
from itertools import accumulate, pairwise

RECORD_LENGTH = 4  # bytes in front of each row on a page: how long it is
POINTER_ARRAY = 64 * 1024  # bytes of the first one: 4,096 pairs of pointer and prefix
PAIR = 16  # bytes of one such pair
HASH_SEED = 42

_INT = 0xFFFFFFFF


# Which partition a row goes to


def partition_of(keys: Sequence[int], partitions: int) -> int:
    """The partition of the rows whose key columns, all of type ``bigint``, hold `keys`.

    Source: ``HashPartitioning.partitionIdExpression``, ``Murmur3_x86_32.hashLong``.
    """
    _at_least(1, partitions=partitions)
    return _hashed(*keys) % partitions  # pmod: as in Python, no remainder is negative


@cache
def _hashed(*keys: int) -> int:
    """The hash of all columns: that of the ones before is the seed for the next."""
    hashed = HASH_SEED
    for key in keys:
        hashed = _hash_long(key, hashed)
    return hashed - 2**32 if hashed >= 2**31 else hashed


def _hash_long(key: int, seed: int) -> int:
    """Murmur3 of 64 bits, half by half."""
    hashed = seed
    for half in (key & _INT, key >> 32 & _INT):
        half = half * 0xCC9E2D51 & _INT
        half = _rotated(half, 15) * 0x1B873593 & _INT
        hashed = _rotated(hashed ^ half, 13) * 5 + 0xE6546B64 & _INT
    hashed ^= 8  # bytes hashed
    hashed = (hashed ^ hashed >> 16) * 0x85EBCA6B & _INT
    hashed = (hashed ^ hashed >> 13) * 0xC2B2AE35 & _INT
    return hashed ^ hashed >> 16


def _rotated(word: int, bits: int) -> int:
    return (word << bits | word >> 32 - bits) & _INT


def rows_of_keys(rows: int, keys: int, skew: float = 0.0) -> list[int]:
    """How many of the `rows` each of the `keys` has: the k-th in proportion to ``k ** -skew``.

    0 is no skew at all; with 1 the first key has twice as many rows as the second. Raises
    ValueError for less than one key and for a skew below zero.
    """
    _at_least(1, keys=keys)
    _at_least(0, rows=rows, skew=skew)
    upto = list(accumulate((k**-skew for k in range(1, keys + 1)), initial=0.0))
    cuts = [round(rows * one / upto[-1]) for one in upto]
    return [after - before for before, after in pairwise(cuts)]


def partition_rows(
    rows: int, partitions: int, *, keys: int, skew: float = 0.0, salt: int = 1
) -> list[int]:
    """How many rows each partition has after a shuffle by key: see `rows_of_keys`.

    The keys are the numbers from 1 on. With a `salt` of 2 or more, each key's rows are dealt out
    in turn to the salts 0, 1, …, and the shuffle is by key and salt. Raises ValueError for numbers
    below one.
    """
    _at_least(1, salt=salt)
    sizes = [0] * partitions
    for key, count in enumerate(rows_of_keys(rows, keys, skew), 1):
        for turn in range(salt):
            columns = (key, turn) if salt > 1 else (key,)
            sizes[partition_of(columns, partitions)] += (count + salt - 1 - turn) // salt
    return sizes


# How much memory its task needs


def unsafe_row_bytes(fixed: int, *lengths: int) -> int:
    """Bytes of a row of `fixed` numbers and of one text or binary value of each of the `lengths`.

    A bit for each column says whether it is null, in whole words of 8 bytes. Each column has a
    word; values of no fixed length lie behind, filled up to whole words. Source: ``UnsafeRow``.
    """
    _at_least(0, fixed=fixed)
    columns = fixed + len(lengths)
    null_bits = -(-columns // 64) * 8
    return null_bits + 8 * columns + sum(-(-length // 8) * 8 for length in lengths)


def sort_memory(rows: int, row_bytes: int, page_size: int, *, radix: bool = True) -> int:
    """The execution memory that one task must get, in bytes, to sort so many rows without a spill.

    Rows lie on pages, and for each there is a pair of pointer and prefix in an array. An array that
    is full is copied into one of twice its size: for that moment both are there. `radix` is for one
    column of numbers to sort by; it keeps half of the array free to sort in, others a third.

    Exact for rows of one size. Raises ValueError for sizes that are not positive.
    Source: ``UnsafeExternalSorter.allocateMemoryForRecordIfNecessary``, ``UnsafeInMemorySorter``.
    """
    _at_least(0, rows=rows)
    _at_least(1, row_bytes=row_bytes, page_size=page_size)
    array = most = POINTER_ARRAY
    while _room(array, radix) < rows:
        most = max(most, _pages(_room(array, radix), row_bytes, page_size) + 3 * array)
        array *= 2
    return max(most, _pages(rows, row_bytes, page_size) + array)


@cache
def rows_without_spill(share: int, row_bytes: int, page_size: int, *, radix: bool = True) -> int:
    """The most rows that a task can sort within its `share` of execution memory, in bytes.

    Raises ValueError for a share that holds no page, and as `sort_memory` does.
    """
    most = bisect_right(
        range(share // row_bytes + 1),
        share,
        key=lambda rows: sort_memory(rows, row_bytes, page_size, radix=radix),
    )
    if most < 2:  # not even one row: 0 rows came first
        least = sort_memory(1, row_bytes, page_size)
        raise ValueError(f"a task needs {least} bytes for its first row, and its share is {share}")
    return most - 1


def fewest_partitions(
    rows: int, row_bytes: int, share: int, page_size: int, *, radix: bool = True
) -> int:
    """The fewest partitions of equal size that tasks with this `share` each sort without a spill.

    Raises ValueError as `rows_without_spill` does.
    """
    _at_least(0, rows=rows)
    return max(1, -(-rows // rows_without_spill(share, row_bytes, page_size, radix=radix)))


def sort_spill(rows: int, row_bytes: int, share: int, page_size: int, *, radix: bool = True) -> int:
    """What a task that sorts so many rows within its `share` shows as "spill (memory)", in bytes.

    Each time no more fits, all pages go to disk and the task begins anew; what it has at the end
    stays. The array is given back as well, but not counted.
    Source: ``UnsafeExternalSorter.spill``.
    """
    at_once = rows_without_spill(share, row_bytes, page_size, radix=radix)
    spills = max(0, -(-rows // at_once) - 1)
    return spills * _pages(at_once, row_bytes, page_size)


def task_share(
    max_heap_memory: int, tasks: int, *, storage_memory_used: int = 0, storage_region_size: int = 0
) -> int:
    """The most that each of so many tasks at once may hold of an executor's memory, in bytes: 1/N.

    Cached blocks take from it, but no more than the storage region: beyond it they are evicted.
    Alone, a task may hold N times as much; when others came first and hold more, it may get
    as little as half. Source: ``UnifiedMemoryManager.acquireExecutionMemory``.
    """
    _at_least(1, tasks=tasks)
    return (max_heap_memory - min(storage_memory_used, storage_region_size)) // tasks


def _room(array: int, radix: bool) -> int:
    """For how many rows an array of so many bytes has pairs. Source: ``getUsableCapacity``."""
    longs = array // 8
    return (longs // 2 if radix else int(longs / 1.5)) // 2


def _pages(rows: int, row_bytes: int, page_size: int) -> int:
    """Bytes of the pages on which rows lie; a row that is too long for one has a page of its own.

    No row lies on two pages.
    """
    record = row_bytes + RECORD_LENGTH
    page = max(page_size, record)
    return -(-rows // (page // record)) * page


def _at_least(least: int, **numbers: float) -> None:
    for name, number in numbers.items():
        if number < least:
            raise ValueError(f"{name} is at least {least}, not {number}")

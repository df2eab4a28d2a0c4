import pytest

from course_lib.model import Result, driver_budget
from course_lib.model.driver import DRIVER_ITSELF, PATHS, hash_table, take_jobs
from course_lib.units import GIB, MIB

HEAP_SPACE = "java.lang.OutOfMemoryError: Java heap space"


def test_a_row_has_bits_for_nulls_and_eight_bytes_a_column():
    assert Result(1).row_bytes == 16
    assert Result(1, columns=64).row_bytes == 8 + 512
    assert Result(1, columns=65).row_bytes == 16 + 520


def test_a_text_is_padded_to_words_and_has_a_word_that_tells_its_place():
    assert Result(1, text=16).row_bytes == 8 + 8 + 16
    assert Result(1, text=17).row_bytes == 8 + 8 + 24


def test_rows_are_larger_on_the_heap_than_on_their_way_and_largest_in_python():
    result = Result(1000, columns=8)
    assert result.serialized == 76_000
    assert result.row_objects == 136_000
    assert result.python_rows == 576_000


def test_an_array_of_a_mebibyte_takes_two_until_its_header_fits_into_a_region_too():
    result = Result(838_860, partitions=1)
    assert result.serialized == 16 * MIB - 16  # so the last array is 1 MiB with its header
    assert result.received(GIB) == result.received(4 * GIB) == 31 * MIB
    assert result.received(8 * GIB) == 16 * MIB + 15 * 16
    assert Result(10, partitions=2).received(GIB) == 2 * (100 + 16)


def test_words_for_keys_double_when_half_of_them_are_taken():
    assert hash_table(Result(65_536)) == 2 * MIB + 2 * MIB
    assert hash_table(Result(65_537)) == 4 * MIB + 2 * MIB


@pytest.mark.parametrize("path", PATHS)
def test_every_path_has_a_budget_that_adds_up(path):
    budget = driver_budget(Result(100_000, columns=4), path)
    region = budget.region(GIB)
    assert region.size == GIB
    assert sum(part.size for part in region.children) == budget.heap_needed
    assert budget.python_region().size == sum(p.size for p in budget.python_region().children)
    assert budget.heap_needed > DRIVER_ITSELF
    assert budget.first_trip(16 * GIB, 0) == ""


def test_a_path_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(ValueError, match="path is one of collect, toPandas,"):
        driver_budget(Result(1), "show")


@pytest.mark.parametrize("wrong", [{"rows": 0}, {"columns": 0}, {"text": -1}, {"partitions": 0}])
def test_a_result_that_cannot_be_is_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"{name} is at least .*, not {value}"):
        Result(**({"rows": 1} | wrong))


def test_take_costs_the_same_however_many_rows_there_are():
    few, many = (driver_budget(Result(rows), "take") for rows in (200_000, 10**9))
    assert few == many
    assert few.counted == Result(1000).serialized
    alone = driver_budget(Result(10, partitions=1), "take")
    assert alone.counted == Result(10).serialized


@pytest.mark.parametrize(
    ("partitions", "take", "tasks"),
    [
        (10, 160_000, [1]),
        (10, 160_001, [1, 1]),
        (10, 400_000, [1, 3]),
        (10, 1_600_000, [1, 4, 5]),
        (200, 1_600_000, [1, 4, 20, 100, 75]),
    ],
)
def test_take_scans_more_until_there_are_enough(partitions, take, tasks):
    jobs = take_jobs(Result(1_600_000, partitions=partitions), take)
    assert [job.tasks for job in jobs] == tasks


def test_a_take_of_nothing_is_refused():
    with pytest.raises(ValueError, match="take is at least 1, not 0"):
        driver_budget(Result(1), "take", take=0)


def test_what_the_jobs_of_a_take_have_brought_is_kept_until_its_end():
    result = Result(1_600_000, partitions=10)
    first, last = take_jobs(result, 400_000)
    assert last.received - first.received == Result(480_000, partitions=3).received(GIB)
    assert last.counted == Result(480_000).serialized
    assert driver_budget(result, "take", take=400_000) == last


def test_an_rdds_iterator_costs_a_partition_and_a_dataframes_all_that_it_has_read():
    result = Result(32_767_000, text=89, partitions=1000)
    dataframe, rdd = (
        driver_budget(result, path) for path in ("toLocalIterator", "rdd.toLocalIterator")
    )
    one = 32_767 * 113
    # 1, 2, 4 … 16,384 rows: the last two arrays take a region of G1's and two.
    in_batches = 8191 * 113 + 13 * 16 + MIB + 2 * MIB
    in_chunks = 3 * 2 * MIB + MIB
    assert rdd.heap_needed == DRIVER_ITSELF + in_batches + one + in_chunks
    assert dataframe.heap_needed == rdd.heap_needed + 999 * in_batches
    assert rdd.python == dataframe.python


def test_results_cost_more_as_they_arrive_the_more_arrive_together():
    result = Result(10**6, text=500, partitions=4)
    one_by_one, together = (driver_budget(result, "collect", at_a_time=n) for n in (1, 4))
    assert one_by_one.heap[-1].name == "rows"
    assert together.heap[-1].size == result.serialized + result.received(GIB)


def test_arrow_spares_the_heap_and_not_python():
    result = Result(10**7, columns=8)
    arrow, plain = (driver_budget(result, p) for p in ("toPandas", "toPandas without Arrow"))
    assert arrow.heap_needed < plain.heap_needed / 10
    assert arrow.python_needed > 2 * result.arrow
    assert plain.python_needed > 3 * arrow.python_needed


def test_max_result_size_stops_a_collect_only_while_there_is_room_to_count():
    budget = driver_budget(Result(10**7, columns=8, partitions=100), "collect")
    assert budget.first_trip(GIB, 0) == HEAP_SPACE
    told = budget.first_trip(2 * GIB, 512 * MIB)
    assert told == (
        "Total size of serialized results of 71 tasks (514.6 MiB) is bigger than "
        "spark.driver.maxResultSize (512.0 MiB)"
    )
    assert budget.first_trip(GIB, 512 * MIB) == HEAP_SPACE


def test_max_result_size_does_not_save_what_it_lets_through():
    budget = driver_budget(Result(5 * 10**6, columns=8), "collect")
    assert budget.counted < 512 * MIB
    assert budget.first_trip(768 * MIB, 512 * MIB) == HEAP_SPACE
    assert budget.first_trip(2 * GIB, 512 * MIB) == ""


def test_a_broadcast_of_too_many_rows_is_refused_once_they_are_there():
    budget = driver_budget(Result(512_000_000), "broadcast")
    assert budget.first_trip(64 * GIB, 0) == (
        "Cannot broadcast the table over 512000000 rows: 512000000 rows."
    )
    assert budget.first_trip(8 * GIB, 0) == HEAP_SPACE
    assert "maxResultSize" in budget.first_trip(64 * GIB, GIB)


def test_a_hash_table_doubles_so_eight_gibibytes_are_full_at_little_over_four():
    fits = driver_budget(Result(48_000_000, columns=9), "broadcast")
    assert fits.first_trip(64 * GIB, 0) == ""
    too_large = driver_budget(Result(50_000_000, columns=9), "broadcast")
    assert too_large.first_trip(64 * GIB, 0) == (
        "Cannot broadcast the table that is larger than 8.0 GiB: 10.0 GiB."
    )


def test_a_hash_table_of_more_than_eight_gibibytes_of_rows_cannot_be_built():
    budget = driver_budget(Result(110_000_000, columns=9), "broadcast")
    assert budget.first_trip(64 * GIB, 0) == "Cannot build a HashedRelation that is larger than 8G."
    assert budget.first_trip(16 * GIB, 0) == HEAP_SPACE

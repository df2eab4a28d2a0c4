"""Plans for a cluster, worked out by hand, then beside executors that run."""

import pytest

from course_lib.model import (
    Cluster,
    Job,
    YarnScheduler,
    forecast,
    heap,
    plan,
    plans,
    sort_memory,
    task_share,
    unsafe_row_bytes,
)
from course_lib.spark import lab_session, rest
from course_lib.units import MIB

TEN = Cluster(10, 16, 64 * 1024, scheduler=YarnScheduler(1024, 64 * 1024))


def test_ten_nodes_of_16_cores_and_64_gib_on_yarn():
    """A core and a GiB of each node are the system's; one node has the driver as well."""
    thin, balanced, fat = plans(TEN)
    assert [one.name for one in (thin, balanced, fat)] == ["thin", "balanced", "fat"]
    # 15 executors of 4 GiB; 5 % overhead is less than the 384 MiB that there are at least.
    assert (thin.executor_cores, thin.memory_mib, thin.fit.executors) == (1, 4096 - 384, 15)
    # 3 executors of 21 GiB, 10 % of the heap being overhead.
    assert (balanced.executor_cores, balanced.fit.executors) == (5, 3)
    assert balanced.memory_mib + balanced.memory_mib // 10 <= 21 * 1024
    assert balanced.memory_mib + 1 + (balanced.memory_mib + 1) // 10 > 21 * 1024
    assert (fat.executor_cores, fat.fit.executors) == (15, 1)
    # The driver and its overhead, 1024 + 384 MiB, take 2 GiB and a core of one node.
    assert [one.executors for one in (thin, balanced, fat)] == [149, 29, 9]
    assert [one.tasks_at_once for one in (thin, balanced, fat)] == [149, 145, 135]
    assert [one.unused_cores for one in (thin, balanced, fat)] == [0, 4, 14]
    assert thin.unused_memory_mib == 10 * 63 * 1024 - 149 * 4096 - 2048
    assert [one.compressed_references for one in (thin, balanced, fat)] == [True, True, False]


def test_a_bound_on_the_heap_leaves_memory_but_keeps_references_short():
    fat = plans(TEN, most_memory_mib=31 * 1024)[-1]
    assert (fat.memory_mib, fat.compressed_references) == (31 * 1024, True)
    assert fat.unused_memory_mib > 10 * 20 * 1024
    assert plans(TEN, most_memory_mib=32736)[-1].compressed_references
    assert not plans(TEN, most_memory_mib=32737)[-1].compressed_references


def test_the_driver_costs_no_executor_where_it_runs_elsewhere_or_beside_what_is_left():
    elsewhere = Cluster(10, 16, 64 * 1024, "kubernetes", deploy_mode="client")
    assert plan(elsewhere, 15).executors == 10
    assert plan(elsewhere, 5).executors == 30
    # Two executors of 7 cores leave one core, but no memory unless their heaps are bounded.
    assert plan(TEN, 7).executors == 19
    assert plan(TEN, 7, most_memory_mib=20 * 1024).executors == 20


def test_memory_too_short_for_a_heap_gives_fewer_executors():
    small = Cluster(2, 16, 4 * 1024, "standalone", deploy_mode="client")
    thin = plan(small, 1)
    assert thin.fit.executors == 6  # 3 GiB in 450 MiB and more each
    assert thin.memory_mib == 512
    assert thin.unused_cores == 18


def test_a_node_whose_only_core_has_the_driver_has_no_executor():
    assert plan(Cluster(3, 2, 8 * 1024, "kubernetes"), 1).executors == 2


def test_memory_per_task_is_one_nth_of_an_executors_spark_memory():
    balanced = plans(TEN)[1]
    assert balanced.memory_per_task == balanced.heap.max_heap_memory // 5
    assert balanced.heap == heap({"spark.executor.memory": f"{balanced.memory_mib}m"})


JOB = Job(rows=300_000_000, row_bytes=104, partitions=300)


def test_a_forecast_counts_waves_and_says_whether_the_largest_partition_fits():
    thin = plans(TEN)[0]
    met = forecast(thin, JOB)
    assert met.waves == 3
    assert met.share == thin.memory_per_task
    assert met.need == sort_memory(1_000_000, 104, thin.page_size)
    assert (met.spilled, met.cached) == (0, 1.0)


def test_a_skewed_job_spills_where_the_average_one_does_not():
    skewed = Job(300_000_000, 104, 300, largest=20)
    assert skewed.rows_of_largest == 20_000_000
    met = forecast(plans(TEN)[0], skewed)
    assert met.need > met.share
    assert met.spilled > 0


def test_fewest_partitions_do_not_spill_and_one_less_does():
    thin = plans(TEN)[0]
    fewest = forecast(thin, JOB).fewest_partitions
    assert forecast(thin, Job(300_000_000, 104, fewest)).spilled == 0
    assert forecast(thin, Job(300_000_000, 104, fewest - 1)).spilled > 0


def test_a_cache_takes_from_tasks_no_more_than_the_storage_region():
    thin = plans(TEN)[0]
    some, much = (
        forecast(thin, Job(1, 104, 1, cached_mib=mib)) for mib in (149 * 100, 149 * 100_000)
    )
    assert some.share == thin.memory_per_task - 100 * MIB
    assert some.cached == 1.0
    regions = thin.heap
    assert much.share == regions.max_heap_memory - regions.on_heap_storage_region_size
    assert much.cached == pytest.approx(regions.max_heap_memory / (100_000 * MIB))


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: Cluster(0, 16, 1024), "at least 1 node, not 0"),
        (lambda: Cluster(1, 16, 4096, "local"), "no executors to plan"),
        (lambda: Cluster(1, 1, 4096), "a node of 1 cores keeps from 0 to 0 of them, not 1"),
        (lambda: Cluster(1, 4, 1024), "a node of 1024 MiB keeps from 0 to 1023 of them, not 1024"),
        (lambda: plan(TEN, 16), "from 1 to 15 cores of such a node, not 16"),
        (lambda: plan(Cluster(1, 4, 1400, "kubernetes", deploy_mode="client"), 1), "no executor"),
        (lambda: plan(Cluster(1, 4, 2048, "kubernetes"), 1), "the driver needs 1408 MiB, and a"),
        (
            lambda: forecast(plan(Cluster(1, 2, 8192, "kubernetes"), 1), JOB),
            "the plan '1 cores' has no executors",
        ),
    ],
)
def test_what_cannot_be_is_said(call, complaint):
    with pytest.raises(ValueError, match=complaint):
        call()


def test_executors_that_run_have_the_cores_and_memory_planned_and_spill_as_forecast():
    """Two thin executors; a job in the fewest partitions that fit, and in half as many."""
    cluster = Cluster(1, 3, 2 * 512 + 1024, "standalone", deploy_mode="client")
    thin = plan(cluster, 1)
    row_bytes = unsafe_row_bytes(1, 4000)
    rows = 3 * forecast(thin, Job(1, row_bytes, 1)).share // row_bytes // 2
    fewest = forecast(thin, Job(rows, row_bytes, 1)).fewest_partitions
    with lab_session(
        executors=thin.executors,
        executor_cores=thin.executor_cores,
        executor_memory=f"{thin.memory_mib}m",
        conf={"spark.sql.adaptive.enabled": False},
    ) as spark:
        running = [one for one in rest(spark, "executors") if one["id"] != "driver"]
        assert sum(one["totalCores"] for one in running) == thin.tasks_at_once
        assert {one["maxMemory"] for one in running} == {thin.heap.max_heap_memory}
        assert task_share(thin.heap.max_heap_memory, 1) == thin.memory_per_task
        for partitions in (fewest, fewest // 2):
            table = spark.range(0, rows, 1, partitions).selectExpr(
                "hash(id) as k", "lpad(cast(id as string), 4000, 'x') as text"
            )
            table.sortWithinPartitions("k").write.format("noop").mode("overwrite").save()
            found = rest(spark, "stages")[0]["memoryBytesSpilled"]
            assert found == forecast(thin, Job(rows, row_bytes, partitions)).spilled
            assert bool(found) == (partitions < fewest)

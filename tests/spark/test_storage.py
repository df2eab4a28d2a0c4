"""The Storage tab, read from a session at work."""

from pyspark import StorageLevel

from course_lib.spark import lab_session, storage_tab


def test_the_tab_tells_of_each_table_what_is_cached_and_where():
    with lab_session(cores=1) as spark:
        assert storage_tab(spark) == ()
        assert str(storage_tab(spark)) == "nothing is cached"
        partly = spark.range(0, 40_000, 1, 4).persist(StorageLevel.MEMORY_ONLY)
        assert storage_tab(spark) == ()
        partly.first()
        spark.range(0, 9000, 1, 3).createOrReplaceTempView("on_disk")
        spark.catalog.cacheTable("on_disk", StorageLevel.DISK_ONLY)
        spark.table("on_disk").count()

        tab = storage_tab(spark)
        first, second = tab
        assert (first.cached, first.partitions, first.disk_used) == (1, 4, 0)
        assert (second.name, second.cached, second.partitions) == ("on_disk", 3, 3)
        assert second.level == "Disk Serialized 1x Replicated"
        assert (tab.memory_used, tab.disk_used) == (first.memory_used, second.disk_used)
        assert min(tab.memory_used, tab.disk_used) > 0
        lines = str(tab).splitlines()
        assert lines[0].startswith("1 of 4 partitions cached: ")
        assert lines[1].startswith("3 of 3 partitions cached: 0.0 B in memory, ")
        spark.catalog.clearCache()
        assert storage_tab(spark) == ()

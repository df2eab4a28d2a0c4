import pytest

from course_lib.spark import Jvm
from course_lib.spark.gc_log import Collection, parse_gc_log, read_gc_log
from course_lib.units import MIB

# Lines of real logs: Java 17.0.15 and, for the second of ZGC, 25.0.2.
G1 = """\
[0.002s][info][gc] Using G1
[0.886s][info][gc] GC(11) Pause Young (Normal) (G1 Evacuation Pause) 37M->23M(48M) 1.942ms
[0.918s][info][gc] GC(12) Pause Young (Concurrent Start) (G1 Evacuation Pause) 37M->24M(48M) 1.658ms
[0.918s][info][gc] GC(13) Concurrent Mark Cycle
[0.928s][info][gc] GC(13) Pause Remark 29M->29M(48M) 1.680ms
[0.932s][info][gc] GC(13) Pause Cleanup 31M->31M(48M) 0.042ms
[0.933s][info][gc] GC(13) Concurrent Mark Cycle 14.367ms
[2.044s][info][gc] GC(86) To-space exhausted
[2.067s][info][gc] GC(87) Pause Full (G1 Compaction Pause) 48M->46M(48M) 22.741ms
[3.060s][info][gc] GC(818) Pause Young (Prepare Mixed) (G1 Preventive Collection) 44M->43M(48M) 0.388ms
[3.062s][info][gc] GC(819) Pause Young (Mixed) (G1 Preventive Collection) 44M->43M(48M) 0.477ms
"""  # noqa: E501 (as the JVM wrote it)
PARALLEL = """\
[0.002s][info][gc] Using Parallel
[0.672s][info][gc] GC(10) Pause Young (Allocation Failure) 19M->13M(43M) 1.168ms
[1.154s][info][gc] GC(33) Pause Full (Ergonomics) 43M->30M(45M) 23.503ms
"""
SERIAL = """\
[0.002s][info][gc] Using Serial
[1.119s][info][gc] GC(10) Pause Young (Allocation Failure) 26M->15M(46M) 1.632ms
[1.674s][info][gc] GC(28) Pause Full (Allocation Failure) 46M->36M(46M) 18.785ms
"""
Z17 = """\
[0.024s][info][gc] Using The Z Garbage Collector
[0.532s][info][gc] GC(0) Garbage Collection (Warmup) 10M(10%)->8M(8%)
"""
Z25 = """\
[0.019s][info][gc] Using The Z Garbage Collector
[0.289s][info][gc] GC(0) Major Collection (Warmup)
[0.289s][info][gc,phases] GC(0) Y: Young Generation
[0.290s][info][gc,phases] GC(0) Y: Pause Mark Start (Major) 0.012ms
[0.305s][info][gc,phases] GC(0) Y: Concurrent Mark 15.923ms
[0.306s][info][gc,phases] GC(0) Y: Pause Mark End 0.012ms
[0.306s][info][gc,phases] GC(0) Y: Pause Relocate Start 0.006ms
[0.313s][info][gc,phases] GC(0) O: Pause Mark End 0.014ms
[0.315s][info][gc,phases] GC(0) O: Pause Relocate Start 0.015ms
[0.318s][info][gc       ] GC(0) Major Collection (Warmup) 10M(10%)->8M(8%) 0.029s
"""


def test_a_line_becomes_a_collection():
    first = parse_gc_log(G1).collections[0]
    assert first == Collection(
        0.886, "young", "G1 Evacuation Pause", 37 * MIB, 23 * MIB, 48 * MIB, 0.001942
    )


@pytest.mark.parametrize(
    ("text", "collector", "kinds"),
    [
        (G1, "G1", ["young", "young", "concurrent", "concurrent", "full", "young", "mixed"]),
        (PARALLEL, "Parallel", ["young", "full"]),
        (SERIAL, "Serial", ["young", "full"]),
        (Z17, "Z", ["concurrent"]),
        (Z25, "Z", ["concurrent"]),
    ],
)
def test_each_collector_has_its_kinds(text, collector, kinds):
    log = parse_gc_log(text)
    assert log.collector == collector
    assert [collection.kind for collection in log.collections] == kinds


def test_the_share_is_the_pauses_in_the_time_span():
    log = parse_gc_log(PARALLEL)
    assert log.gc_share() == pytest.approx((0.001168 + 0.023503) / 1.154)
    assert log.gc_share(1.0, 2.0) == pytest.approx(0.023503)
    assert log.longest_pause() == pytest.approx(0.023503)
    assert log.counts() == {"young": 1, "full": 1}


def test_a_log_without_collections_has_paused_for_no_time():
    log = parse_gc_log("[0.002s][info][gc] Using G1\n")
    assert (log.paused(), log.longest_pause(), log.gc_share(0.0, 1.0)) == (0, 0, 0)
    with pytest.raises(ValueError, match="needs a time span"):
        log.gc_share()


def test_zgc_stops_the_program_for_its_short_phases_alone():
    log = parse_gc_log(Z25)
    assert log.paused() == pytest.approx(0.000059)
    assert log.collections[0].capacity is None
    with pytest.raises(ValueError, match=r"holds no pauses: write it with -Xlog:gc,gc\+phases"):
        parse_gc_log(Z17).gc_share()


def test_other_text_is_refused():
    with pytest.raises(ValueError, match="this is no garbage collection log"):
        parse_gc_log("Using G1, I was told\n")


@pytest.mark.parametrize("collector", ["G1", "Parallel", "Serial", "Z"])
def test_a_log_just_written_is_read_whole(collector, tmp_path):
    path = tmp_path / "gc.log"
    phases = tmp_path / "phases.log"
    options = [f"-Xlog:gc,gc+phases:file={phases}"]
    with Jvm("64m", collector=collector, gc_log=path, options=options) as jvm:
        for _ in range(3):
            jvm.collect()
        counted = sum(time.collections for name, time in jvm.gc_times().items() if _counts(name))
    log, with_phases = read_gc_log(path), read_gc_log(phases)
    assert log.collector == collector
    assert len(log.collections) == len(with_phases.collections) >= 3
    if collector != "Z":
        assert log.counts()["full"] == 3
        assert len(log.collections) == counted
    assert with_phases.paused() > 0


def _counts(bean: str) -> bool:
    return bean != "G1 Concurrent GC"

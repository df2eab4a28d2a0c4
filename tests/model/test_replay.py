"""Traces: reading them, playing them, and what is said when one is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.model import (
    MemoryMode,
    StaticMemoryManager,
    StorageLevel,
    TraceError,
    UnifiedMemoryManager,
    parse_trace,
    replay,
    score,
)
from course_lib.model.replay import (
    Ask,
    Cache,
    Finish,
    Pin,
    Read,
    Release,
    Unpersist,
    Unpin,
    format_trace,
)
from course_lib.model.store import STORAGE_LEVELS
from course_lib.units import MIB

EVERYTHING = """\
cache rdd_0_0 64m
cache rdd_1_0 64m MEMORY_AND_DISK   # a comment
cache rdd_1_1 1g MEMORY_AND_DISK in 16

read rdd_0_0
pin rdd_0_0
unpin rdd_0_0
unpersist rdd_1
ask t1 500k
ask t1 123 OFF_HEAP by sort
release t1 100 by map
finish t1
"""


def unified(total=1000, region=500, **options):
    return UnifiedMemoryManager(total * MIB, region * MIB, **options)


def told(trace, manager=None):
    return [frame.outcome for frame in replay(manager or unified(), trace)][1:]


# Text and events


def test_every_event_can_be_written():
    assert parse_trace(EVERYTHING) == (
        Cache("rdd_0_0", 64 * MIB),
        Cache("rdd_1_0", 64 * MIB, StorageLevel.MEMORY_AND_DISK),
        Cache("rdd_1_1", 1024 * MIB, StorageLevel.MEMORY_AND_DISK, 16),
        Read("rdd_0_0"),
        Pin("rdd_0_0"),
        Unpin("rdd_0_0"),
        Unpersist("rdd_1"),
        Ask("t1", 500 * 1024),
        Ask("t1", 123, MemoryMode.OFF_HEAP, "sort"),
        Release("t1", 100, consumer="map"),
        Finish("t1"),
    )


names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
numbers = st.integers(0, 2**63 - 1) | st.integers(0, 2**20).map(lambda n: n * MIB)
task_events = st.sampled_from([Ask, Release]).flatmap(
    lambda kind: st.builds(
        kind,
        names,
        numbers.filter(lambda n: n > 0),
        st.sampled_from(MemoryMode),
        st.just("") | names,
    )
)
events = st.one_of(
    st.builds(
        Cache,
        names,
        numbers,
        st.sampled_from(list(STORAGE_LEVELS.values())),
        st.none() | st.integers(1, 99),
    ),
    st.sampled_from([Read, Pin, Unpin, Unpersist, Finish]).flatmap(lambda kind: names.map(kind)),
    task_events,
)


@given(st.lists(events, max_size=20))
def test_what_is_written_is_read_back(trace):
    assert parse_trace(format_trace(trace)) == tuple(trace)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("cashe rdd_0_0 64m", r"expected one of cache, read, .*, not 'cashe'"),
        ("cache rdd_0_0", r"expected `cache BLOCK SIZE \[LEVEL\] \[in VALUES\]`"),
        ("cache rdd_0_0 64m DISK", "a storage level is one of NONE, .* not 'DISK'"),
        ("cache rdd_0_0 64m MEMORY_ONLY MEMORY_ONLY", "expected `cache BLOCK"),
        ("cache rdd_0_0 64m in 0", "at least 1 value, not 0"),
        ("cache rdd_0_0 64m in many", "expected a whole number after `in`, not 'many'"),
        ("cache rdd_0_0 1.5g", "Fractional values are not supported"),
        ("cache rdd_0_0 -1m", "Size must be specified"),
        ("cache rdd_0_0 9999999999999g", "exceeds Long.MAX_VALUE"),
        ("cache rdd_0_0 1g in 1000001", "at most 1000000 values, not 1000001"),
        ("read", "expected `read BLOCK`"),
        ("read rdd_0_0 rdd_0_1", "expected `read BLOCK`"),
        ("ask t1", r"expected `ask TASK SIZE \[ON_HEAP"),
        ("ask t1 0", "at least 1 byte"),
        ("ask t1 64m ON_HEEP", "expected ON_HEAP or OFF_HEAP, not 'ON_HEEP'"),
        ("ask t1 64m by", "expected ON_HEAP or OFF_HEAP, not 'by'"),
        ("finish", "expected `finish TASK`"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(line, says):
    with pytest.raises(TraceError, match=rf"(?s)line 3, `{line.split()[0]}[^`]*`: .*{says}"):
        parse_trace(f"# a trace\n\n{line}\nread rdd_0_0")


@pytest.mark.parametrize(
    ("trace", "says"),
    [
        ("read rdd_0_0", "event 1, `read rdd_0_0`: nothing was cached under that name"),
        ("pin rdd_0_0", "nothing was cached"),
        ("unpin rdd_0_0", "nothing was cached"),
        ("unpersist rdd_0", "nothing was cached"),
        ("cache rdd_0_0 1m\ncache rdd_0_0 1m", "event 2, .*: it is cached already"),
        ("cache rdd_0_0 1m NONE", "event 1, .*: .* NONE keeps a block nowhere"),
        ("cache rdd_0_0 1m\nunpin rdd_0_0", "is not pinned"),
        ("cache rdd_0_0 1m\npin rdd_0_0\nunpersist rdd_0", "event 3, .* while it is read"),
        ("cache rdd_0_0 1001m\npin rdd_0_0", "no block rdd_0_0 is here to be pinned"),
        ("release t1 1m", "task t1 has not asked for memory, or has finished"),
        ("finish t1", "task t1 has not asked"),
        ("ask t1 1m\nfinish t1\nfinish t1", "event 3, .*: task t1 has not asked"),
    ],
)
def test_an_event_that_cannot_happen_is_named(trace, says):
    with pytest.raises(TraceError, match=says):
        replay(unified(), trace)


def test_a_manager_in_use_is_refused():
    manager = unified()
    manager.acquire_execution_memory(1, 1)
    with pytest.raises(ValueError, match="a manager that nobody has used yet"):
        replay(manager, "ask t1 1m")


def test_python_events_must_make_sense_too():
    for event in (lambda: Ask("t1", 0), lambda: Ask("t1", -1), lambda: Cache("rdd_0_0", 2**63)):
        with pytest.raises(ValueError, match="at least"):
            event()
    with pytest.raises(ValueError, match="at least 0"):
        Release("t1", -1)
    for event, says in (
        (lambda: Ask("t1", "500m"), "a whole number of bytes, not '500m'"),
        (lambda: Release("t1", 0.5), "a whole number of bytes, not 0.5"),
        (lambda: Ask("t1", 1, "OFF_HEAP"), "MemoryMode.OFF_HEAP, not 'OFF_HEAP'"),
        (lambda: Cache("rdd_0_0", 1, "MEMORY_ONLY"), "StorageLevel.MEMORY_ONLY, not 'MEMORY_ONLY'"),
    ):
        with pytest.raises(TypeError, match=says):
            event()
    with pytest.raises(TraceError, match=r"event 2: expected one such as .*, not 'finish t1'"):
        replay(unified(), [Ask("t1", 1), "finish t1"])


# What is told


def test_blocks_are_told():
    assert told("""
        cache rdd_0_0 600m MEMORY_AND_DISK
        cache rdd_1_0 600m
        read rdd_0_0
        read rdd_1_0
        cache rdd_2_0 1001m MEMORY_AND_DISK
        read rdd_2_0
        cache rdd_3_0 5m DISK_ONLY
        read rdd_3_0
        read rdd_1_0
        pin rdd_1_0
        cache rdd_4_0 500m
        read rdd_4_0
        unpin rdd_1_0
        unpersist rdd_1
    """) == [
        "cached, 600.0 MiB",
        "evicted rdd_0_0, 600.0 MiB, to disk; cached, 600.0 MiB",
        "evicted rdd_1_0, 600.0 MiB, and lost; read from disk, 600.0 MiB, and back in memory",
        "evicted rdd_0_0, 600.0 MiB, to disk; lost, so recomputed, 600.0 MiB, and cached again",
        "not in memory: 1001.0 MiB is more than storage could have, 1000.0 MiB; stored on disk",
        "read from disk, 1001.0 MiB",
        "stored on disk, 5.0 MiB",
        "read from disk, 5.0 MiB",
        "read from memory",
        "pinned: it is not evicted while it is read",
        "not in memory: too little may be evicted for 500.0 MiB",
        "lost, so recomputed, 500.0 MiB, and not kept in memory",
        "no longer pinned",
        "unpersisted: 600.0 MiB of memory free again",
    ]


def test_many_evictions_are_told_in_short():
    cached = "".join(f"cache rdd_{rdd}_0 100m\n" for rdd in range(10))
    assert told(f"{cached}ask t1 450m")[-1] == (
        "evicted rdd_0_0, rdd_1_0, rdd_2_0 and 2 more, 500.0 MiB, and lost; granted 450.0 MiB"
    )


def test_tasks_are_told():
    film = replay(
        unified(region=0),
        """
        ask t1 800m
        ask t2 500m
        ask t2 100m by sort
        ask t3 100m
        release t3 50m
        ask t1 10m
        release t2 700m
        finish t1
        finish t2
        """,
    )
    assert [f"{frame.event}: {frame.outcome}" for frame in film][1:] == [
        "ask t1 800m: granted 800.0 MiB",
        "ask t2 500m: waits: 1/2N is 250.0 MiB, and it can have only 200.0 MiB",
        "ask t2 100m by sort: held back, as t2 waits",
        "ask t3 100m: granted 100.0 MiB",
        "release t3 50m: released 50.0 MiB",
        "ask t1 10m: t1 spilled 800.0 MiB; granted 10.0 MiB",
        "ask t2 500m: woken: granted 333.3 MiB of 500.0 MiB",
        "ask t2 100m by sort: t2 spilled 333.3 MiB; granted 100.0 MiB",
        "release t2 700m: released nothing of 700.0 MiB",
        "finish t1: finished: 10.0 MiB given back",
        "finish t2: finished: 100.0 MiB given back",
    ]


def test_who_is_asked_to_spill_and_holds_nothing_is_not_told():
    trace = "ask t1 60m by map\nask t1 150m by sort"
    last = replay(StaticMemoryManager(100 * MIB, 0), trace)[-1]
    assert last.spilled == (("t1", "map", 60 * MIB),)
    assert last.outcome == "t1's map spilled 60.0 MiB; granted 100.0 MiB of 150.0 MiB"


def test_waiting_for_ever_is_said():
    film = replay(unified(region=0), "ask t1 1000m\nask t2 1m\nask t3 1m")
    assert [frame.outcome for frame in film][-2:] == [
        "waits for ever: nothing more in this trace gives memory back"
    ] * 2
    assert film[-1].waiting_tasks == ("t2", "t3")
    assert film[2].waiting_tasks == ("t2",)


def test_waiting_tasks_are_woken_in_the_order_in_which_they_began():
    film = replay(
        unified(region=0),
        "ask t1 1000m\nask t4 400m\nask t2 100m\nask t3 400m\nrelease t1 800m",
    )
    woken = [frame for frame in film if frame.what == "woken"]
    assert [(frame.event.task, frame.size // MIB) for frame in woken] == [
        ("t4", 250),
        ("t2", 100),
        ("t3", 250),
    ]


def test_the_score_adds_up():
    film = replay(
        unified(),
        """
        cache rdd_0_0 600m MEMORY_AND_DISK
        cache rdd_1_0 600m
        read rdd_0_0
        read rdd_1_0
        cache rdd_9_0 2000m
        ask t1 1000m
        ask t2 800m
        ask t1 300m
        finish t1
        finish t2
        """,
    )
    total = film[-1].score
    assert total.evicted == (600 + 600 + 600 + 600) * MIB
    assert total.read_from_disk == total.recomputed == 600 * MIB
    assert total.waited == sum(frame.waiting for frame in film)
    assert total.spilled == sum(one.size for frame in film for one in frame.spilled)
    assert total.refused == 2000 * MIB + sum(
        frame.event.size - frame.size for frame in film if frame.what in ("granted", "woken")
    )


# What is seen


def test_each_frame_has_the_tree_of_its_moment():
    film = replay(unified(), "cache rdd_0_0 600m\nask t1 500m\nask t1 100m OFF_HEAP\nfinish t1")
    before, cached, asked = film[0].region, film[1].region, film[2].region
    assert [one.size // MIB for one in before.children] == [500, 500]
    assert cached.find("rdd_0_0").size == 600 * MIB
    assert [one.size // MIB for one in cached.children] == [600, 400]
    assert asked.find("storage").children == ()
    assert asked.find("t1").size == 500 * MIB
    assert film[1].region == cached  # going back shows the same


def test_both_modes_are_seen():
    manager = unified(max_off_heap_memory=100 * MIB)
    film = replay(manager, "cache rdd_0_0 60m OFF_HEAP\nask t1 30m OFF_HEAP\nask t1 10m")
    on_heap, off_heap = film[-1].region.children
    assert (on_heap.name, off_heap.name) == ("on-heap", "off-heap")
    assert off_heap.find("rdd_0_0").size == 60 * MIB
    assert off_heap.find("t1").size == 30 * MIB
    assert on_heap.find("t1").size == 10 * MIB


def test_a_frame_shows_itself_and_not_the_whole_film():
    one, other = replay(unified(), "ask t1 1m"), replay(unified(), "ask t1 1m\nask t1 2m")
    assert "ask t1 2m" not in repr(other[1])
    assert one[1] == other[1] != other[2]


def test_a_film_is_printed_line_by_line():
    assert repr(replay(unified(), "cache rdd_0_0 2m\nread rdd_0_0")).splitlines() == [
        "start             nothing is cached, and no task has asked",
        "cache rdd_0_0 2m  cached, 2.0 MiB",
        "read rdd_0_0      read from memory",
    ]


def test_the_static_manager_plays_the_same_traces():
    manager = StaticMemoryManager(200 * MIB, 500 * MIB)
    assert told("cache rdd_0_0 600m\ncache rdd_0_1 400m\nask t1 300m", manager) == [
        "not in memory: 600.0 MiB is more than storage could have, 500.0 MiB",
        "cached, 400.0 MiB",
        "granted 200.0 MiB of 300.0 MiB",
    ]
    with pytest.raises(TraceError, match="does not support off-heap storage memory"):
        replay(StaticMemoryManager(200, 500), "cache rdd_0_0 1 OFF_HEAP")


# On random traces

blocks = [f"rdd_{rdd}_{split}" for rdd in range(3) for split in range(3)]
tasks = ["t1", "t2", "t3", "t4"]
modes = st.sampled_from(MemoryMode)
sizes = st.integers(1, 700).map(lambda n: n * MIB)
levels = st.sampled_from(
    [STORAGE_LEVELS[n] for n in ("MEMORY_ONLY", "MEMORY_AND_DISK", "OFF_HEAP")]
)


@st.composite
def playable(draw):
    """A trace in which every event can happen."""
    cached, active, trace = set(), set(), []
    for _ in range(draw(st.integers(1, 40))):
        kinds = (
            ["ask"] + ["cache"] * (len(cached) < len(blocks)) + ["read", "unpersist"] * bool(cached)
        )
        kind = draw(st.sampled_from(kinds + ["release", "finish"] * bool(active)))
        if kind == "ask":
            trace.append(Ask(draw(st.sampled_from(tasks)), draw(sizes), draw(modes)))
            active.add(trace[-1].task)
        elif kind == "cache":
            block = draw(st.sampled_from([one for one in blocks if one not in cached]))
            values = draw(st.none() | st.integers(1, 40))
            trace.append(Cache(block, draw(sizes), draw(levels), values))
            cached.add(block)
        elif kind == "read":
            trace.append(Read(draw(st.sampled_from(sorted(cached)))))
        elif kind == "unpersist":
            trace.append(Unpersist(draw(st.sampled_from(sorted(cached)))))
            cached.remove(trace[-1].name)
        elif kind == "release":
            trace.append(Release(draw(st.sampled_from(sorted(active))), draw(sizes), draw(modes)))
        else:
            trace.append(Finish(draw(st.sampled_from(sorted(active)))))
            active.remove(trace[-1].task)
    return trace


@given(playable())
def test_every_trace_ends_and_keeps_the_books(trace):
    def manager():
        return unified(max_off_heap_memory=400 * MIB)

    played = manager()
    film = replay(played, trace)
    played.assert_invariants()
    assert {frame.event for frame in film} - {None} == set(trace)
    for frame in film:
        for mode in frame.region.children:
            assert sum(pool.size for pool in mode.children) == mode.size
            for pool in mode.children:
                assert pool.used == sum(one.size for one in pool.children) <= pool.size
    assert score(manager(), trace) == film[-1].score
    assert [frame.outcome for frame in replay(manager(), trace)] == [f.outcome for f in film]


def test_ten_thousand_tasks():
    asked = [Ask(f"t{n}", MIB) for n in range(10_000)]
    finished = [Finish(f"t{n}") for n in range(10_000)]
    manager = unified(region=0)
    film = replay(manager, asked + finished)
    assert manager.execution_memory_used == 0
    assert max(frame.waiting for frame in film) == 9_000
    assert film[-1].waiting == 0
    granted = [frame.size for frame in film if frame.what in ("granted", "woken")]
    assert len(granted) == 10_000
    assert all(0 < size <= MIB for size in granted)

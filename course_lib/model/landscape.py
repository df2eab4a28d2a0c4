"""One trace under many settings: what each setting would have cost.

`outcome` maps one row of settings to one row of costs and needs nothing else, so that a sweep runs
in a loop here, or on a cluster's executors::

    def play(batches):
        for batch in batches:
            yield pandas.DataFrame([outcome(trace, row) for row in batch.to_dict("records")])

    settings.mapInPandas(play, schema)
"""

from collections.abc import Iterable, Mapping
from itertools import product

from course_lib.model.managers import UnifiedMemoryManager
from course_lib.model.replay import Event, Finish, parse_trace, score
from course_lib.units import byte_string_as_bytes

DEFAULTS = {"heap": "4g", "memory_fraction": 0.6, "storage_fraction": 0.5, "cores": None}


def landscape(trace: str | Iterable[Event], **axes: Iterable) -> list[dict]:
    """The outcome for every combination of the values given: ``storage_fraction=(0.3, 0.5)``.

    Names and defaults are those of `outcome`, the last axis runs fastest. Raises TypeError for a
    name that it does not have.
    """
    events = parse_trace(trace) if isinstance(trace, str) else tuple(trace)
    return [
        outcome(events, dict(zip(axes, values, strict=True))) for values in product(*axes.values())
    ]


def outcome(trace: str | Iterable[Event], setting: Mapping) -> dict:
    """A setting, and what the trace costs a unified memory manager with it: its score.

    A setting has any of `heap` (`Runtime.maxMemory`, as ``"4g"``), `memory_fraction`,
    `storage_fraction` and `cores`: so many tasks run at once, all of them if it is None.

    Raises TypeError for another name, ValueError for what Spark refuses, TraceError for a trace
    that cannot be played.
    """
    unknown = [name for name in setting if name not in DEFAULTS]
    if unknown:
        raise TypeError(f"a setting has {', '.join(DEFAULTS)}, not {unknown[0]!r}")
    events = parse_trace(trace) if isinstance(trace, str) else trace
    full = DEFAULTS | dict(setting)
    conf = {
        "spark.memory.fraction": str(full["memory_fraction"]),
        "spark.memory.storageFraction": str(full["storage_fraction"]),
    }
    heap = byte_string_as_bytes(full["heap"])
    manager = UnifiedMemoryManager.from_conf(conf, system_memory=heap)
    if full["cores"] is not None:
        events = on_cores(events, full["cores"])
    return dict(setting) | score(manager, events)._asdict()


def on_cores(events: Iterable[Event], cores: int) -> list[Event]:
    """The events of a trace in the order in which they happen when `cores` tasks run at once.

    A task begins with its first event and ends with ``finish``. One that finds no core free begins
    when another ends, in the order in which they came; one that never does is left out.
    Raises ValueError for less than one core.
    """
    if not cores >= 1:  # NaN included, which is what pandas makes of None
        raise ValueError(f"an executor has at least 1 core, not {cores}")
    running: set[str] = set()
    queued: dict[str, list[Event]] = {}
    played: list[Event] = []

    def happen(event: Event) -> None:
        played.append(event)
        if isinstance(event, Finish):
            running.discard(event.task)

    for event in events:
        task = getattr(event, "task", None)
        if task is not None and task not in running:
            queued.setdefault(task, []).append(event)
        else:
            happen(event)
        while queued and len(running) < cores:
            first = next(iter(queued))
            running.add(first)
            for held_back in queued.pop(first):
                happen(held_back)
    return played

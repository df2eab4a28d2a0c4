"""From frames of the model to the lanes of a film."""

from collections.abc import Sequence
from dataclasses import replace

from course_lib.draw.film import Lane, Shot
from course_lib.draw.picture import picture
from course_lib.model.region import Region
from course_lib.model.replay import Event, Frame, Score
from course_lib.units import bytes_to_string

Marks = Sequence[tuple[int, str]]


def lanes_of(
    played: Sequence[tuple[str, Sequence[Frame], Marks]],
    events: Sequence[Event],
) -> tuple[Lane, ...]:
    """The lanes of one or more replays of `events`, each event at the same step in all of them.

    Each replay comes with a name and the marks of its pictures. Where a task wakes up in one replay
    alone, the others stand still, without words.
    """
    lanes: list[list[Shot]] = [[] for _ in played]
    groups = [by_event(frames, events) for _, frames, _ in played]
    for at_one_event in zip(*groups, strict=True):
        longest = max(map(len, at_one_event))
        for (_, _, marks), shots, group in zip(played, lanes, at_one_event, strict=True):
            shots += [shot(frame, marks) for frame in group]
            still = replace(shots[-1], event="", outcome="")
            shots += [still] * (longest - len(group))
    names = [name for name, _, _ in played]
    return counted([Lane(name, tuple(shots)) for name, shots in zip(names, lanes, strict=True)])


def counted(lanes: Sequence[Lane]) -> tuple[Lane, ...]:
    """The lanes with a score that always counts four things, and others where they happen."""
    ends = [lane.shots[-1].score for lane in lanes]
    names = {name for end in ends for i, (name, text) in enumerate(end) if i < 4 or text != "0.0 B"}

    def scored(shot: Shot) -> Shot:
        return replace(shot, score=tuple(pair for pair in shot.score if pair[0] in names))

    return tuple(replace(lane, shots=tuple(map(scored, lane.shots))) for lane in lanes)


def by_event(frames: Sequence[Frame], events: Sequence[Event]) -> list[list[Frame]]:
    """The frames of the start and of each of the events, with those that follow from it."""
    groups: list[list[Frame]] = []
    for frame in frames:
        begun = len(groups) - 1  # events of the trace that have had their turn
        due = events[begun] if 0 <= begun < len(events) else None
        if not groups or frame.event is due:
            groups.append([frame])
        else:
            groups[-1].append(frame)
    return groups


def shot(frame: Frame, marks: Marks = ()) -> Shot:
    """What a frame looks like."""
    shown = picture(furnished(frame.region), marks=marks, waiting=frame.waiting_tasks)
    return Shot(shown, str(frame.event or ""), frame.outcome, score_pairs(frame.score))


def furnished(region: Region) -> Region:
    """The tree with what is free in each pool as a part of its own, so that it can be seen move."""
    if region.kind not in ("storage", "execution"):
        return replace(region, children=tuple(map(furnished, region.children)))
    free = region.size - sum(child.size for child in region.children)
    rest = Region("free", "unassigned", free)
    return replace(region, used=None, children=(*region.children, rest))


def score_pairs(score: Score) -> tuple[tuple[str, str], ...]:
    """The score as names and texts."""
    pairs = [
        (name.replace("_", " "), bytes_to_string(value))
        for name, value in score._asdict().items()
        if name != "waited"
    ]
    turns = f"{score.waited} turn" + "s" * (score.waited != 1)
    return (*pairs[:3], ("waited", turns), *pairs[3:])


def told(score: Score) -> str:
    """What a replay has cost, in words."""
    costs = [
        f"{text} {name}" if name != "waited" else f"waited {text}"
        for (name, text), value in zip(score_pairs(score), score, strict=True)
        if value
    ]
    return ", ".join(costs) or "nothing evicted, spilled or refused, and nobody waited"


def storage_region(size: int) -> tuple[int, str]:
    """The mark of what execution may not evict."""
    return size, f"storage region {bytes_to_string(size)}"

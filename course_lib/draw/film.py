"""A film: pictures of memory one after another, in one lane or in two that run side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

from course_lib.draw.layout import extent
from course_lib.draw.picture import Picture, Shown

STRIP = 5  # stills of a film strip


@dataclass(frozen=True)
class Shot:
    """One moment of a lane: its picture, the event that led to it and what came of that.

    `score` counts what has happened so far, as (name, text) pairs.
    """

    picture: Picture
    event: str = ""
    outcome: str = ""
    score: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Lane:
    """One of the things that a film compares, and its shots in order."""

    name: str
    shots: tuple[Shot, ...]


@dataclass(frozen=True)
class Film(Shown):
    """Lanes that play in step, all on one scale, so that nothing but memory moves.

    Where images do not move, a film is shown as a strip of stills.

    Raises ValueError for lanes that are empty or of different length, and for shots that are not
    of regions.
    """

    lanes: tuple[Lane, ...]

    def __post_init__(self):
        super().__post_init__()
        if len({len(lane.shots) for lane in self.lanes}) != 1 or not self.lanes[0].shots:
            raise ValueError("the lanes of a film have the same number of shots, at least one")
        if not all(shot.picture.regions for lane in self.lanes for shot in lane.shots):
            raise ValueError("every shot of a film is a picture of regions")

    @property
    def steps(self) -> int:
        """How many moments the film has."""
        return len(self.lanes[0].shots)

    @property
    def scale(self) -> int:
        """Bytes that the full width stands for: those of the largest tree."""
        shots = (shot for lane in self.lanes for shot in lane.shots)
        return max(extent(region) for shot in shots for region in shot.picture.regions)

    def telling(self, most: int = STRIP) -> list[int]:
        """The steps to show where few can be shown: first, last, and some that moved the score."""
        last = self.steps - 1
        scores = [[lane.shots[step].score for lane in self.lanes] for step in range(self.steps)]
        moved = [step for step in range(1, last) if scores[step] != scores[step - 1]]
        return sorted({0, *spread(moved or range(1, last), most - 2), last})

    def rows(self) -> list[tuple[str, ...]]:
        """A line for each step: the event, what came of it in each lane, and the scores."""
        rows = [("step", "event", *(lane.name for lane in self.lanes))]
        for step, shots in enumerate(zip(*(lane.shots for lane in self.lanes), strict=True)):
            event = next((shot.event for shot in shots if shot.event), "")
            # A lane whose task waited may be at another event than its neighbour, or at none.
            told = [
                s.outcome if s.event in ("", event) else f"{s.event}: {s.outcome}" for s in shots
            ]
            rows.append((str(step), event, *told))
        ends = [dict(lane.shots[-1].score) for lane in self.lanes]
        rows += [("", name, *(end[name] for end in ends)) for name in ends[0]]
        return rows

    def tell(self) -> str:
        """The last shot of each lane, and the scores."""
        told = []
        for lane in self.lanes:
            end = lane.shots[-1]
            score = "; ".join(f"{name} {text}" for name, text in end.score)
            told.append(f"{lane.name}, after {self.steps - 1} events: {end.picture.tell()} {score}")
        return " ".join(one.strip() + "." * (one[-1:] not in ".") for one in told)


def spread(steps: Sequence[int], most: int) -> list[int]:
    """At most so many of the steps, spread evenly from the first to the last."""
    if len(steps) <= most:
        return list(steps)
    return [steps[round(i * (len(steps) - 1) / (most - 1))] for i in range(most)]

"""Pictures as small JSON messages, for a view that draws and computes nothing."""

import json

from course_lib.draw.film import Film, Shot
from course_lib.draw.heatmap import Heatmap, scale_of
from course_lib.draw.picture import Picture, Series, Shown, moment_ticks, size_ticks
from course_lib.model.region import Region
from course_lib.units import bytes_to_string

FINE = 1000  # a timeline's width and height in the whole numbers of a message


class Sheet:
    """Packs what can be shown, writing what they have in common only once.

    That is what `parts` holds; messages name a part by its place. Trees that share branches, as
    those of a film do, share their parts. A region is packed as [name, kind, size, text, places of
    its children, used, text of used, text of overflow, note], cut off where nothing more is said.
    """

    def __init__(self):
        self.parts: list = []
        self._places: dict[str, int] = {}
        self._regions: dict[Region, int] = {}

    def part(self, value) -> int:
        """The place of a plain JSON value."""
        key = json.dumps(value)
        if key not in self._places:
            self._places[key] = len(self.parts)
            self.parts.append(value)
        return self._places[key]

    def pack(self, shown: Shown) -> dict:
        """A picture or a film as plain JSON values."""
        packed = {"evidence": shown.evidence, "heading": shown.title}
        if isinstance(shown, Film):
            lanes = [
                {"name": lane.name, "shots": [self._shot(shot) for shot in lane.shots]}
                for lane in shown.lanes
            ]
            return packed | {"film": {"scale": shown.scale, "lanes": lanes}}
        if isinstance(shown, Heatmap):
            return packed | {"heat": self._heat(shown)}
        if shown.series:
            return packed | {"timeline": _pack_timeline(shown)}
        return packed | {"one_scale": shown.one_scale} | self._bars(shown)

    def _heat(self, shown: Heatmap) -> dict:
        """Each cell as [shade, place of its text]."""
        cells = [
            [[shown.level(value), self.part(shown.text(value))] for value in row]
            for row in shown.values
        ]
        scale = [(shown.level(value), shown.text(value)) for value in scale_of(shown)]
        axes = {"x": [shown.x.name, shown.x.values], "y": [shown.y.name, shown.y.values]}
        least = shown.text(shown.least) if shown.framed else None
        more = {"cells": cells, "scale": scale, "least": least, "hue": shown.hue}
        return json.loads(json.dumps(axes | more))

    def _shot(self, shot: Shot) -> int:
        score = [list(pair) for pair in shot.score]
        words = [self.part(one) for one in (shot.event, shot.outcome, score)]
        return self.part([self.part(self._bars(shot.picture)), *words])

    def _bars(self, picture: Picture) -> dict:
        packed = {"trees": [self._region(region) for region in picture.regions]}
        if picture.marks:
            packed["marks"] = [list(mark) for mark in picture.marks]
        if picture.holders:
            packed["holders"] = [
                [name, held, wanted, picture.held_text(held, wanted)]
                for name, held, wanted in picture.holders
            ]
        if picture.waiting:
            packed["waiting"] = list(picture.waiting)
        return packed

    def _region(self, region: Region) -> int:
        if region not in self._regions:
            size, used, over = region.size, region.used, region.overflow
            packed = [
                region.name, region.kind, size, bytes_to_string(size),
                [self._region(child) for child in region.parts],
                used, None if used is None else bytes_to_string(used),
                bytes_to_string(over) if over else None,
                region.note or None,
            ]  # fmt: skip
            while packed[-1] in (None, []):
                packed.pop()
            self._regions[region] = self.part(packed)
        return self._regions[region]


def _pack_timeline(picture: Picture) -> dict:
    """A timeline in whole numbers: moments and sizes as thousandths of the width and height."""
    top, start, end = picture.span()

    def x(moment: float) -> int:
        return round(FINE * (moment - start) / (end - start))

    def y(size: float) -> int:
        return round(FINE * size / top)

    def line(one: Series) -> list[int]:
        return [number for moment, size in one.points for number in (x(moment), y(size))]

    return {
        "series": [[one.label, one.kind, line(one)] for one in picture.series],
        "events": [[x(moment), name] for moment, name in picture.events],
        "limits": [[y(size), name] for size, name in picture.limits],
        "sizes": [[y(size), bytes_to_string(size)] for size in size_ticks(top)],
        "moments": [[x(moment), f"{moment:g} s"] for moment in moment_ticks(start, end)],
    }

"""Pictures as small JSON messages, for a view that draws and computes nothing."""

import json

from course_lib.draw.picture import Picture, Series, moment_ticks, size_ticks
from course_lib.model.region import Region
from course_lib.units import bytes_to_string

FINE = 1000  # a timeline's width and height in the whole numbers of a message


class Sheet:
    """Packs pictures, writing what trees have in common (names, kinds, notes) only once.

    `shapes` are the trees without their numbers: [name, kind, note, [shape, ...]].
    """

    def __init__(self):
        self.shapes: list[list] = []
        self._numbers: dict[str, int] = {}

    def pack(self, picture: Picture) -> dict:
        """A picture as plain JSON values."""
        packed = {"evidence": picture.evidence, "heading": picture.title}
        if picture.series:
            return packed | {"timeline": _pack_timeline(picture)}
        trees = [{"shape": self._shape(r), "numbers": _numbers(r)} for r in picture.regions]
        return packed | {"trees": trees, "one_scale": picture.one_scale}

    def _shape(self, region: Region) -> int:
        shape = _shape_of(region)
        key = json.dumps(shape)
        if key not in self._numbers:
            self._numbers[key] = len(self.shapes)
            self.shapes.append(shape)
        return self._numbers[key]


def _shape_of(region: Region) -> list:
    parts = [_shape_of(child) for child in region.parts]
    return [region.name, region.kind, region.note, parts]


def _numbers(region: Region) -> list[list]:
    """The tree's numbers, parents first: [size, text, used, text of used, text of overflow]."""
    own = [region.size, bytes_to_string(region.size), region.used, None, None]
    if region.used is not None:
        own[3] = bytes_to_string(region.used)
    if region.overflow:
        own[4] = bytes_to_string(region.overflow)
    while own[-1] is None:
        own.pop()
    return [own, *(line for child in region.parts for line in _numbers(child))]


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

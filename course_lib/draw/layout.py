"""Where each region of a tree is drawn: rectangles in a unit square, the same in every view.

``explorable.js`` follows the same rules; a test in the browser compares the two.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from course_lib.model.region import Region

NARROWEST = 0.012  # width below which a region could be overlooked


@dataclass(frozen=True)
class Placed:
    """A region and its rectangle: x to the right, y downwards, the whole picture being 1 by 1.

    A `frame` has parts inside, below a strip of height `head` that carries its name. `overflow`
    is the width by which its parts reach beyond its right edge, 0 if they fit.
    """

    region: Region
    depth: int
    x: float
    y: float
    w: float
    h: float
    frame: bool = False
    overflow: float = 0.0


def strips(region: Region) -> int:
    """Height of a tree's picture in strips: one for each level of frames, three for the rest."""
    return 3 + max((depth for depth, one in region.walk() if _parts(one)), default=-1) + 1


def layout(region: Region, scale: int | None = None) -> list[Placed]:
    """Place a tree in the unit square, parents first, children inside from left to right.

    Widths are to scale: 1 is `scale` bytes, or the whole tree if `scale` is None. The exception
    are regions too small to be seen, which get the least width that shows, at the cost of larger
    ones. Memory of a frame that no child covers becomes a region of kind ``"unassigned"``.
    Regions of size 0 have no rectangle.
    """
    if extent(region) == 0:
        return []
    width = 1.0 if scale is None else extent(region) / scale
    return list(_place(region, 0, 0.0, width, 1 / strips(region)))


def extent(region: Region) -> int:
    """Bytes that a region spans when drawn: its size, or its parts where they exceed it."""
    return sum(map(extent, _parts(region))) or region.size


def _place(region: Region, depth: int, x: float, width: float, head: float) -> Iterator[Placed]:
    y, parts = depth * head, _parts(region)
    if not parts:
        yield Placed(region, depth, x, y, width, 1 - y)
        return
    spans = extent(region)
    own = width if region.size == spans else width * region.size / spans
    yield Placed(region, depth, x, y, own, 1 - y, frame=True, overflow=width - own)
    for part, part_width in zip(parts, _widths(parts, width), strict=True):
        yield from _place(part, depth + 1, x, part_width, head)
        x += part_width


def _parts(region: Region) -> list[Region]:
    """Those parts of the region that have a width."""
    return [part for part in region.parts if extent(part) > 0]


def _least(region: Region) -> float:
    return max(NARROWEST, sum(map(_least, _parts(region))))


def _widths(parts: Sequence[Region], width: float) -> list[float]:
    """Share `width` by size, but give no part less than it needs to be seen."""
    least = [_least(part) for part in parts]
    if sum(least) >= width:
        return [width * one / sum(least) for one in least]
    sizes = [extent(part) for part in parts]
    starved: set[int] = set()
    while True:
        rest = width - sum(least[i] for i in starved)
        total = sum(size for i, size in enumerate(sizes) if i not in starved)
        widths = [least[i] if i in starved else rest * size / total for i, size in enumerate(sizes)]
        more = {i for i, one in enumerate(widths) if one < least[i]}
        if not more:
            return widths
        starved |= more

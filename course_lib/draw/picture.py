"""One picture in its three forms: drawing, text table and description."""

import base64
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from course_lib.draw.palette import kind
from course_lib.model.region import Region
from course_lib.units import bytes_to_string

EVIDENCE = ("measured", "modelled", "recorded")


@dataclass(frozen=True)
class Series:
    """A line of a timeline: memory in bytes at moments in seconds, with a palette kind's colour.

    Raises ValueError for a kind the palette does not have, for points that are not finite, that
    run backwards or that are below zero.
    """

    label: str
    kind: str
    points: tuple[tuple[float, float], ...]

    def __post_init__(self):
        kind(self.kind)
        object.__setattr__(self, "points", tuple((x, y) for x, y in self.points))
        if not self.points:
            raise ValueError(f"the series {self.label!r} has no points")
        moments = [x for x, _ in self.points]
        if not all(math.isfinite(number) for point in self.points for number in point):
            raise ValueError(f"the series {self.label!r} has a point that is not finite")
        if moments != sorted(moments):
            raise ValueError(f"the series {self.label!r} runs backwards in time")
        if min(y for _, y in self.points) < 0:
            raise ValueError(f"the series {self.label!r} has memory below zero")


@dataclass(frozen=True)
class Shown:
    """What a notebook shows as a drawing and, where images are not shown, as a table.

    `evidence` says where the numbers come from: ``"measured"`` in this JVM now, ``"modelled"`` by
    the course's model, or ``"recorded"`` and stored with the course. Raises ValueError for another.
    """

    title: str
    evidence: str

    def __post_init__(self):
        if self.evidence not in EVIDENCE:
            raise ValueError(f"evidence is one of {', '.join(EVIDENCE)}, not {self.evidence!r}")

    def figure(self):
        """The drawing as a matplotlib Figure that pyplot knows nothing of."""
        from course_lib.draw.figure import draw  # matplotlib is loaded here, when first needed

        return draw(self)

    def rows(self) -> list[tuple[str, ...]]:
        """The table's cells, its head first."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its table holds")

    def tell(self) -> str:
        """What is seen, in words."""
        raise NotImplementedError(f"{type(self).__name__} does not say what is seen")

    def table(self) -> str:
        """The numbers as a text table."""
        return table(self.rows())

    def describe(self) -> str:
        """The drawing in words, for those who do not see it."""
        title = f"{self.title}: " if self.title else ""
        return f"{title}{self.tell()} ({self.evidence})"

    def png(self) -> bytes:
        """The drawing as a PNG file."""
        from course_lib.draw.figure import png

        return png(self.figure())

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        data = {"image/png": base64.b64encode(self.png()).decode(), "text/plain": self.table()}
        return data, {"image/png": {"alt": self.describe()}}


@dataclass(frozen=True)
class Picture(Shown):
    """Region trees as bars, one above another, or memory over time; never both.

    Under the first tree, and on its scale, there may be one thin bar for each of the `holders`, who
    hold a part of it and may wait for more: (name, bytes held, bytes waited for). Where it is not
    waiting that they do, `wanting` says what. `marks`, (bytes, name), lie on these bars or else on
    the tree. Below are the names of those `waiting`.

    Raises ValueError for a region whose kind has no colour and for bytes below zero.
    """

    regions: tuple[Region, ...] = ()
    one_scale: bool = False
    series: tuple[Series, ...] = ()
    events: tuple[tuple[float, str], ...] = ()
    limits: tuple[tuple[float, str], ...] = ()
    marks: tuple[tuple[int, str], ...] = ()
    holders: tuple[tuple[str, int, int], ...] = ()
    wanting: str = "waits for"
    waiting: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        if bool(self.regions) == bool(self.series):
            raise ValueError("a picture shows at least one Region, or at least one Series")
        for root in self.regions:
            for _, region in root.walk():
                kind(region.kind)
        if (self.marks or self.holders or self.waiting) and not self.regions:
            raise ValueError("marks, holders and those who wait go with regions, not a timeline")
        for name, size in [
            *((name, size) for size, name in self.marks),
            *((name, min(held, wanted)) for name, held, wanted in self.holders),
        ]:
            if size < 0:
                raise ValueError(f"{name!r} is below zero, at {size} bytes")

    def rows(self) -> list[tuple[str, ...]]:
        """See `Shown.rows`."""
        return _timeline_rows(self) if self.series else _region_rows(self)

    def tell(self) -> str:
        """See `Shown.tell`."""
        if self.series:
            return _tell_timeline(self)
        told = [*map(_tell, self.regions)]
        told += [f"{name} holds {self.held_text(held, more)}." for name, held, more in self.holders]
        told += [f"Mark: {name}." for size, name in self.marks]
        told += [f"Waiting: {', '.join(self.waiting)}."] * bool(self.waiting)
        return " ".join(told)

    def held_text(self, held: int, wanted: int) -> str:
        """What somebody holds and waits for, as text."""
        waits = f", {self.wanting} {bytes_to_string(wanted)}" if wanted else ""
        return f"{bytes_to_string(held)}{waits}"

    def span(self) -> tuple[float, float, float]:
        """A timeline's highest size, with a little room above, and its first and last moment."""
        sizes = [size for one in self.series for _, size in one.points]
        moments = [moment for one in self.series for moment, _ in one.points]
        highest = max([*sizes, *(size for size, _ in self.limits)])
        start, end = min(moments), max(moments)
        return 1.08 * highest or 1.0, start, end if end > start else start + 1


def picture(
    region: Region,
    *,
    title: str = "",
    evidence: str = "modelled",
    marks: Iterable[tuple[int, str]] = (),
    waiting: Iterable[str] = (),
) -> Picture:
    """A tree as one bar: parents as frames, children inside, widths to scale."""
    return Picture(title, evidence, (region,), marks=tuple(marks), waiting=tuple(waiting))


def bars(rows: Iterable[Region], *, title: str = "", evidence: str = "modelled") -> Picture:
    """Several trees, one above another, all on the scale of the largest."""
    return Picture(title, evidence, tuple(rows), one_scale=True)


def timeline(
    series: Sequence[Series],
    *,
    events: Iterable[tuple[float, str]] = (),
    limits: Iterable[tuple[float, str]] = (),
    title: str = "",
    evidence: str = "modelled",
) -> Picture:
    """Memory over time: one line for each series.

    `events` are (second, what happened), marked where they happen; `limits` are (bytes, name),
    drawn across.
    """
    return Picture(
        title, evidence, series=tuple(series), events=tuple(events), limits=tuple(limits)
    )


def size_ticks(top: float) -> list[int]:
    """Three to six sizes up to `top` bytes for an axis: 0 and multiples of a power of two."""
    step = 1
    while top / step > 5:
        step *= 2
    return list(range(0, int(top) + 1, step))


def moment_ticks(start: float, end: float) -> list[float]:
    """Three to seven moments between two for an axis: multiples of 1, 2 or 5 times 10**n."""
    power = 10.0 ** math.floor(math.log10((end - start) / 7))
    step = next(m * power for m in (1, 2, 5, 10) if (end - start) / (m * power) <= 7)
    return [i * step for i in range(math.ceil(start / step), math.floor(end / step) + 1)]


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text as a table, its head underlined; the first column and notes stand left."""
    columns = list(zip(*rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    ragged = [len(columns) > 1 and column[0] == "note" for column in columns]
    lines = [
        "  ".join(
            cell.ljust(width) if i == 0 or ragged[i] else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def share(part: float, whole: float) -> str:
    """A share as text: ``"26.5 %"``; a dash where there is no whole."""
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _region_rows(picture: Picture) -> list[tuple[str, ...]]:
    roots = picture.regions
    every = [region for root in roots for _, region in root.walk()]
    used, noted = (any(r.used is not None for r in every), any(r.note for r in every))
    rows = [("region", "size", "share", *["used"] * used, *["note"] * noted)]
    for root in roots:
        for depth, region in _lines(root):
            row = ["  " * depth + region.name, bytes_to_string(region.size)]
            row.append(share(region.size, root.size))
            if used:
                row.append("" if region.used is None else bytes_to_string(region.used))
            if noted:
                row.append(region.note)
            rows.append(tuple(row))
    whole = roots[0].size
    more = [
        (name, picture.held_text(*sizes), share(sizes[0], whole))
        for name, *sizes in picture.holders
    ]
    more += [(name, bytes_to_string(size), share(size, whole)) for size, name in picture.marks]
    more += [(f"{name} waits", "", "") for name in picture.waiting]
    return rows + [(*row, *[""] * (used + noted)) for row in more]


def _lines(region: Region, depth: int = 0) -> Iterator[tuple[int, Region]]:
    """The tree's lines: each frame, its parts, and what they leave over or exceed it by."""
    yield depth, region
    for part in region.parts:
        yield from _lines(part, depth + 1)
    if region.overflow:
        yield depth + 1, Region(f"beyond {region.name}", "unassigned", region.overflow)


def _tell(region: Region) -> str:
    parts = [
        f"{one.name} {bytes_to_string(one.size)} ({share(one.size, region.size)})"
        + (f", {bytes_to_string(one.used)} used" if one.used is not None else "")
        for depth, one in _lines(region)
        if depth
    ]
    whole = f"{region.name} {bytes_to_string(region.size)}"
    if region.used is not None:
        whole += f", {bytes_to_string(region.used)} used"
    return f"{whole}, of which {'; '.join(parts)}." if parts else f"{whole}."


def _timeline_rows(picture: Picture) -> list[tuple[str, ...]]:
    rows = [("series", "from", "to", "lowest", "highest", "last")]
    for one in picture.series:
        (start, _), (end, last) = one.points[0], one.points[-1]
        values = [value for _, value in one.points]
        sizes = [bytes_to_string(int(size)) for size in (min(values), max(values), last)]
        rows.append((one.label, f"{start:.1f} s", f"{end:.1f} s", *sizes))
    for size, name in picture.limits:
        rows.append((name, "", "", "", bytes_to_string(int(size)), ""))
    return rows


def _tell_timeline(picture: Picture) -> str:
    told = []
    for label, start, end, lowest, highest, last in _timeline_rows(picture)[1:]:
        if start:
            told.append(
                f"{label} from {start} to {end}: lowest {lowest}, highest {highest}, last {last}."
            )
        else:
            told.append(f"Limit {label}: {highest}.")
    if picture.events:
        named = "; ".join(f"{name} at {moment:.1f} s" for moment, name in picture.events[:3])
        more = len(picture.events) - 3
        told.append(f"Events: {named}{f'; {more} more' if more > 0 else ''}.")
    return " ".join(told)

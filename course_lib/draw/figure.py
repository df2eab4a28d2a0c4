"""The matplotlib twin: what can be shown as a Figure, for print, web pages and tests."""

import io
import textwrap
from collections import Counter
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from course_lib.draw.film import Film, Shot
from course_lib.draw.heatmap import Heatmap, scale_of
from course_lib.draw.layout import Placed, extent, layout, strips
from course_lib.draw.palette import ALARM, GROUND, Kind, contrast, kind
from course_lib.draw.picture import Picture, Shown, moment_ticks, size_ticks
from course_lib.model.region import Region
from course_lib.units import bytes_to_string

WIDTH = 7.2  # all lengths are inches
MARGIN = 0.1
STRIP = 0.26
LINE = 0.2
SMALL_LINE = 0.145
HOLDER = 0.2
CELL = 0.22
MARKED = 0.36  # of a bar's height, from below: above it there are labels
TITLE, NAME, SMALL = 11, 9, 8  # points
INK, FAINT = "#1f2328", "#57606a"


def draw(shown: Shown) -> Figure:
    """What can be shown, as a Figure on white ground."""
    figure = Figure(figsize=(WIDTH, 1), facecolor=GROUND.light)
    FigureCanvasAgg(figure)
    if isinstance(shown, Film):
        return _draw_strip(figure, shown)
    if isinstance(shown, Heatmap):
        return _draw_heatmap(figure, shown)
    return _draw_timeline(figure, shown) if shown.series else _draw_bars(figure, shown)


def draw_refusal(title: str, complaint: str) -> Figure:
    """In place of a picture that cannot be: why not."""
    lines = [part for line in complaint.splitlines() for part in textwrap.wrap(line, 88)]
    height = 0.7 + LINE * len(lines)
    figure = Figure(figsize=(WIDTH, height), facecolor=GROUND.light)
    FigureCanvasAgg(figure)
    figure.text(0.014, 1 - MARGIN / height, title, size=TITLE, color=INK, va="top", weight="bold")
    figure.text(0.03, 1 - 0.5 / height, "\n".join(lines), size=SMALL, color=ALARM.light, va="top")
    return figure


def png(figure: Figure) -> bytes:
    """A Figure as a PNG file."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=144)
    return file.getvalue()


def _sheet(figure: Figure) -> Axes:
    """Axes in inches, y downwards. Their height is set at the end, when it is known."""
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, WIDTH)
    return axes


def _cut(figure: Figure, axes: Axes, height: float) -> Figure:
    figure.set_size_inches(WIDTH, height)
    axes.set_ylim(height, 0)
    return figure


def _draw_bars(figure: Figure, picture: Picture) -> Figure:
    axes = _sheet(figure)
    y = MARGIN + _draw_title(axes, picture)
    scale = max(map(extent, picture.regions)) if picture.one_scale else None
    for i, region in enumerate(picture.regions):
        room = Room(MARGIN, y, WIDTH - 2 * MARGIN, STRIP * strips(region))
        legend = Counter()
        for placed in layout(region, scale):
            one = placed.region
            if not _draw_region(axes, placed, room):
                legend[kind(one.kind), f"{one.name} {bytes_to_string(one.size)}"] += 1
            if one.overflow:
                legend[ALARM, f"beyond {one.name}: {bytes_to_string(one.overflow)}"] += 1
        y = room.y + room.h
        if i == 0:
            y = _draw_notes(axes, picture, scale or extent(region), room)
        y = _draw_legend(axes, legend, y + 0.06) + MARGIN
    return _cut(figure, axes, y)


def _draw_title(axes: Axes, shown: Shown) -> float:
    axes.text(
        WIDTH - MARGIN,
        MARGIN,
        shown.evidence,
        size=SMALL,
        style="italic",
        color=FAINT,
        ha="right",
        va="top",
    )
    axes.text(MARGIN, MARGIN, shown.title, size=TITLE, color=INK, va="top", weight="bold")
    return 0.28


class Room(NamedTuple):
    """A rectangle on the sheet, in inches."""

    x: float
    y: float
    w: float
    h: float


def _draw_region(axes: Axes, placed: Placed, room: Room, *, tight: bool = False) -> bool:
    """Draw one region and its label; False if the label found no room.

    A `tight` label gives up the size, then turns, before it is left out.
    """
    region = placed.region
    x, w = room.x + placed.x * room.w, placed.w * room.w
    y, h = room.y + placed.y * room.h, placed.h * room.h
    colour = kind(region.kind)
    axes.add_patch(Rectangle((x, y), w, h, facecolor=colour.light, linewidth=0))
    if region.kind == "unassigned":
        hatch = {"fill": False, "edgecolor": "#c3cad1", "linewidth": 0, "hatch": "////"}
        axes.add_patch(Rectangle((x, y), w, h, **hatch))
    axes.add_patch(Rectangle((x, y), w, h, fill=False, edgecolor=FAINT, linewidth=0.7))
    if region.used is not None and not placed.frame:
        _draw_tank(axes, region, x, y + 2 * LINE, w, h - 2 * LINE)
    if placed.overflow:
        # In front of what reaches beyond it.
        axes.plot([x + w, x + w], [y, y + h], color=ALARM.light, linewidth=2, zorder=3)
    size, ink = bytes_to_string(region.size), colour.text("light")
    if placed.frame:
        label, middle = f"{region.name}  {size}", y + STRIP / 2
    else:
        label, middle = f"{region.name}\n{size}", y + LINE
    written = _write(axes, label, x, middle, w, ink)
    if written or not tight:
        return written
    if _write(axes, region.name, x, middle, w, ink):
        return True
    return not placed.frame and _write_upwards(axes, region.name, Room(x, y, w, h), ink)


def _draw_tank(axes: Axes, region: Region, x: float, y: float, w: float, h: float) -> None:
    """The part of a region below its label as a tank: what is used, and the room that is left."""
    level = min(1.0, region.used / region.size)
    colour = kind(region.kind).light
    axes.add_patch(Rectangle((x, y), w, h, facecolor=GROUND.light, edgecolor=colour))
    axes.add_patch(Rectangle((x, y), w * level, h, facecolor=colour, linewidth=0))


def _write(axes: Axes, text: str, x: float, y: float, width: float, ink: str) -> bool:
    """Write text centred at `y` if it fits into `width`; False if it does not."""
    label = axes.text(x + width / 2, y, text, size=NAME, color=ink, ha="center", va="center")
    if _width(axes, label) > width - 0.1:
        label.remove()
        return False
    return True


def _write_upwards(axes: Axes, text: str, room: Room, ink: str) -> bool:
    """Write text from bottom to top if it fits into a narrow room; False if it does not."""
    middle = (room.x + room.w / 2, room.y + room.h / 2)
    label = axes.text(*middle, text, size=SMALL, color=ink, rotation=90, ha="center", va="center")
    extent = label.get_window_extent(axes.figure.canvas.get_renderer())
    dpi = axes.figure.dpi
    if extent.width / dpi > room.w or extent.height / dpi > room.h - 0.06:
        label.remove()
        return False
    return True


def _draw_notes(axes: Axes, picture: Picture, scale: int, room: Room) -> float:
    """Who holds a bar, marks on it, and below it who waits; return where they end."""
    bottom, taken = room.y + room.h, room.x
    for name, held, wanted in picture.holders:
        _draw_holder(
            axes,
            f"{name}  {picture.held_text(held, wanted)}",
            (held / scale, wanted / scale),
            Room(room.x, bottom + 0.05, room.w, HOLDER),
        )
        bottom += 0.05 + HOLDER
    marked = bottom - room.y - room.h if picture.holders else MARKED
    for size, name in sorted(picture.marks):
        x = room.x + room.w * size / scale
        ends = (bottom - marked, bottom + 0.05)
        axes.plot([x, x], ends, color=GROUND.light, linewidth=3, zorder=4)
        axes.plot([x, x], ends, color=INK, linewidth=1.2, linestyle=(0, (4, 2)), zorder=5)
        label = axes.text(x, bottom + LINE * 0.7, name, size=SMALL, color=INK, va="center")
        width = _width(axes, label)
        left = min(max(x - width / 2, taken), room.x + room.w - width)
        label.set_position((left, bottom + LINE * 0.7))
        taken = left + width + 0.12
    if picture.marks:
        bottom += LINE
    if not picture.waiting:
        return bottom
    axes.text(room.x, bottom + 0.15, "waiting", size=SMALL, color=INK, va="center")
    x = room.x + 0.55
    for name in picture.waiting:
        label = axes.text(x + 0.08, bottom + 0.15, name, size=SMALL, color=INK, va="center")
        width = _width(axes, label) + 0.16
        if x + width > room.x + room.w:
            label.set_text("\N{HORIZONTAL ELLIPSIS}")
            break
        hollow = {"fill": False, "edgecolor": kind("execution").light, "linestyle": "--"}
        axes.add_patch(Rectangle((x, bottom + 0.06), width, 0.18, linewidth=1.2, **hollow))
        x += width + 0.06
    return bottom + 0.28


def _draw_holder(axes: Axes, text: str, shares: tuple[float, float], room: Room) -> None:
    """A thin bar: what somebody holds filled, what they wait for hollow."""
    x, y, w, h = room
    held, wanted = (share * w for share in shares)
    colour = kind("execution").light
    axes.add_patch(Rectangle((x, y), w, h, facecolor=GROUND.light, edgecolor="#c3cad1"))
    axes.add_patch(Rectangle((x, y), held, h, facecolor=colour, linewidth=0))
    if wanted:
        hollow = {"fill": False, "edgecolor": colour, "linestyle": "--", "linewidth": 1.2}
        axes.add_patch(Rectangle((x + held, y), min(wanted, w - held), h, **hollow))
    axes.text(
        x + w - 0.06, y + h / 2, text, size=SMALL, color=INK, ha="right", va="center", zorder=6,
        path_effects=[withStroke(linewidth=3, foreground=GROUND.light)],
    )  # fmt: skip


def _draw_strip(figure: Figure, film: Film) -> Figure:
    """Stills of a film, one below another; its lanes side by side."""
    axes = _sheet(figure)
    y = MARGIN + _draw_title(axes, film)
    gap = 0.25
    width = (WIDTH - 2 * MARGIN - gap * (len(film.lanes) - 1)) / len(film.lanes)
    lefts = [MARGIN + i * (width + gap) for i in range(len(film.lanes))]
    for left, lane in zip(lefts, film.lanes, strict=True):
        axes.text(left, y, lane.name, size=NAME, color=INK, va="top", weight="bold")
    y += 0.24
    for step in film.telling():
        ends = [
            _draw_shot(axes, lane.shots[step], step, film.scale, Room(left, y, width, 0))
            for left, lane in zip(lefts, film.lanes, strict=True)
        ]
        y = max(ends) + 0.12
    ends = [y]
    for left, lane in zip(lefts, film.lanes, strict=True):
        told = ", ".join(f"{name} {text}" for name, text in lane.shots[-1].score)
        ends.append(_wrap(axes, told, left, y, width, weight="bold"))
    return _cut(figure, axes, max(ends) + MARGIN)


def _draw_shot(axes: Axes, shot: Shot, step: int, scale: int, room: Room) -> float:
    """One still with its words above it; return where it ends."""
    told = " \N{EN DASH} ".join(one for one in (shot.event, shot.outcome) if one)
    y = _wrap(axes, f"{step}  {told}", room.x, room.y, room.w)
    for region in shot.picture.regions:
        bar = Room(room.x, y, room.w, STRIP * strips(region))
        for placed in layout(region, scale):
            _draw_region(axes, placed, bar, tight=True)
        y = bar.y + bar.h + 0.06
    return _draw_notes(axes, shot.picture, scale, bar)


def _wrap(axes: Axes, text: str, x: float, y: float, width: float, **font) -> float:
    """Write text in lines of a width; return where they end."""
    lines = textwrap.wrap(text, int(width * (13 if font else 15)))
    axes.text(x, y, "\n".join(lines), size=SMALL, color=INK, va="top", linespacing=1.2, **font)
    return y + SMALL_LINE * len(lines) + 0.04


def _width(axes: Axes, label) -> float:
    renderer = axes.figure.canvas.get_renderer()
    return label.get_window_extent(renderer).width / axes.figure.dpi


def _draw_legend(axes: Axes, legend: Counter[tuple[Kind, str]], y: float) -> float:
    """Name in order what found no room for its label; return where the legend ends."""
    x = MARGIN
    for (entry, caption), count in legend.items():
        caption = f"{count} \N{MULTIPLICATION SIGN} {caption}" if count > 1 else caption
        label = axes.text(x + 0.2, y + LINE / 2, caption, size=SMALL, color=INK, va="center")
        width = _width(axes, label) + 0.4
        if x > MARGIN and x + width > WIDTH - MARGIN:
            x, y = MARGIN, y + LINE
            label.set_position((x + 0.2, y + LINE / 2))
        swatch = {"facecolor": entry.light, "edgecolor": FAINT, "linewidth": 0.5}
        axes.add_patch(Rectangle((x, y + 0.04), 0.14, 0.12, **swatch))
        x += width
    return y + LINE if legend else y


def _draw_heatmap(figure: Figure, shown: Heatmap) -> Figure:
    axes = _sheet(figure)
    top = MARGIN + _draw_title(axes, shown)
    _small(axes, f"{shown.y.name} (down)", MARGIN, top + 0.08)
    left = MARGIN + 0.15 + max(_small_width(axes, value) for value in shown.y.values)
    width = (WIDTH - MARGIN - left) / len(shown.x.values)
    y = top + 0.2
    longest = max(_small_width(axes, shown.text(value)) for row in shown.values for value in row)
    for name, row in zip(shown.y.values, shown.values, strict=True):
        _small(axes, name, left - 0.08, y + CELL / 2, ha="right")
        for i, value in enumerate(row):
            shade, x = shown.shade(value), left + i * width
            axes.add_patch(Rectangle((x, y), width, CELL, facecolor=shade.light, linewidth=0))
            if shown.framed and value == shown.least:
                inside = (x + 0.02, y + 0.02), width - 0.04, CELL - 0.04
                axes.add_patch(Rectangle(*inside, fill=False, edgecolor=INK, linewidth=0.8))
            if longest < width - 0.05:
                ink = {"color": shade.text("light"), "ha": "center"}
                _small(axes, shown.text(value), x + width / 2, y + CELL / 2, **ink)
        y += CELL
    every = 1 + int(max(_small_width(axes, value) for value in shown.x.values) / (width - 0.03))
    for i in range(0, len(shown.x.values), every):
        _small(axes, shown.x.values[i], left + (i + 0.5) * width, y + 0.1, ha="center")
    _small(axes, f"{shown.x.name} (across)", WIDTH - MARGIN, y + 0.27, ha="right")
    legend = Counter({(shown.shade(v), shown.text(v)): 1 for v in scale_of(shown)})
    return _cut(figure, axes, _draw_legend(axes, legend, y + 0.4) + MARGIN)


def _small(axes: Axes, text: str, x: float, y: float, **font):
    return axes.text(x, y, text, **({"size": SMALL, "color": INK, "va": "center"} | font))


def _small_width(axes: Axes, text: str) -> float:
    """The width of small text, which is not drawn."""
    label = _small(axes, text, 0, 0)
    width = _width(axes, label)
    label.remove()
    return width


def _draw_timeline(figure: Figure, picture: Picture) -> Figure:
    figure.set_size_inches(WIDTH, 3)
    axes = figure.add_axes((0.12, 0.17, 0.86, 0.62))
    top, start, end = picture.span()
    axes.set_ylim(0, top)
    axes.set_xlim(start, end)
    for one in picture.series:
        moments, sizes = zip(*one.points, strict=True)
        shade = kind(one.kind).light
        # The greys of frames are too light for a line.
        colour = shade if contrast(shade, GROUND.light) > 1.5 else FAINT
        axes.plot(moments, sizes, color=colour, linewidth=1.6, label=one.label)
    for size, name in picture.limits:
        axes.axhline(size, color=ALARM.light, linewidth=1, linestyle="--")
        axes.annotate(
            name, (1, size), xycoords=("axes fraction", "data"), xytext=(-3, 2), size=SMALL,
            textcoords="offset points", ha="right", color=ALARM.light,
        )  # fmt: skip
    for moment, name in picture.events:
        axes.plot(moment, 0, marker="^", color=INK, clip_on=False, label=name)
    sizes, moments = size_ticks(top), moment_ticks(start, end)
    axes.set_yticks(sizes, [bytes_to_string(size) for size in sizes])
    axes.set_xticks(moments, [f"{moment:g} s" for moment in moments])
    axes.tick_params(labelsize=SMALL, colors=FAINT)
    axes.spines[["top", "right"]].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    named = dict(zip(labels, handles, strict=True))  # one entry for each name
    figure.legend(
        named.values(), named.keys(), loc="upper left", bbox_to_anchor=(0.11, 0.92), ncols=5,
        fontsize=SMALL, frameon=False,
    )  # fmt: skip
    figure.text(0.014, 0.97, picture.title, size=TITLE, color=INK, va="top", weight="bold")
    figure.text(
        0.986, 0.97, picture.evidence, size=SMALL, style="italic", color=FAINT, ha="right", va="top"
    )
    return figure

"""The matplotlib twin: a Picture as a Figure, for print, web pages and tests."""

import io
import textwrap
from collections import Counter

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from course_lib.draw.layout import Placed, extent, layout, strips
from course_lib.draw.palette import ALARM, GROUND, Kind, kind
from course_lib.draw.picture import Picture, moment_ticks, size_ticks
from course_lib.model.region import Region
from course_lib.units import bytes_to_string

WIDTH = 7.2  # all lengths are inches
MARGIN = 0.1
STRIP = 0.26
LINE = 0.2
TITLE, NAME, SMALL = 11, 9, 8  # points
INK, FAINT = "#1f2328", "#57606a"


def draw(picture: Picture) -> Figure:
    """The picture as a Figure on white ground."""
    figure = Figure(figsize=(WIDTH, 1), facecolor=GROUND.light)
    FigureCanvasAgg(figure)
    return _draw_timeline(figure, picture) if picture.series else _draw_bars(figure, picture)


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


def _draw_bars(figure: Figure, picture: Picture) -> Figure:
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, WIDTH)
    # Text is measured in inches before the height is known, so the height is set at the end.
    y = MARGIN + _draw_title(axes, picture)
    scale = max(map(extent, picture.regions)) if picture.one_scale else None
    for region in picture.regions:
        height = STRIP * strips(region)
        legend = Counter()
        for placed in layout(region, scale):
            one = placed.region
            if not _draw_region(axes, placed, y, height):
                legend[kind(one.kind), f"{one.name} {bytes_to_string(one.size)}"] += 1
            if placed.overflow:
                legend[ALARM, f"beyond {one.name}: {bytes_to_string(one.overflow)}"] += 1
        y = _draw_legend(axes, legend, y + height + 0.06) + MARGIN
    figure.set_size_inches(WIDTH, y)
    axes.set_ylim(y, 0)
    return figure


def _draw_title(axes: Axes, picture: Picture) -> float:
    axes.text(
        WIDTH - MARGIN,
        MARGIN,
        picture.evidence,
        size=SMALL,
        style="italic",
        color=FAINT,
        ha="right",
        va="top",
    )
    axes.text(MARGIN, MARGIN, picture.title, size=TITLE, color=INK, va="top", weight="bold")
    return 0.28


def _draw_region(axes: Axes, placed: Placed, top: float, height: float) -> bool:
    """Draw one region and its label; False if the label found no room."""
    region, room = placed.region, WIDTH - 2 * MARGIN
    x, w = MARGIN + placed.x * room, placed.w * room
    y, h = top + placed.y * height, placed.h * height
    colour = kind(region.kind)
    axes.add_patch(Rectangle((x, y), w, h, facecolor=colour.light, edgecolor=FAINT, linewidth=0.7))
    if region.kind == "unassigned":
        hatch = {"fill": False, "edgecolor": "#c3cad1", "linewidth": 0, "hatch": "////"}
        axes.add_patch(Rectangle((x, y), w, h, **hatch))
    if region.used is not None and not placed.frame:
        _draw_tank(axes, region, x, y + 2 * LINE, w, h - 2 * LINE)
    if placed.overflow:
        # In front of what reaches beyond it.
        axes.plot([x + w, x + w], [y, y + h], color=ALARM.light, linewidth=2, zorder=3)
    size, ink = bytes_to_string(region.size), colour.text("light")
    if placed.frame:
        return _write(axes, f"{region.name}  {size}", x, y + STRIP / 2, w, ink)
    return _write(axes, f"{region.name}\n{size}", x, y + LINE, w, ink)


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


def _draw_timeline(figure: Figure, picture: Picture) -> Figure:
    figure.set_size_inches(WIDTH, 3)
    axes = figure.add_axes((0.12, 0.17, 0.86, 0.62))
    top, start, end = picture.span()
    axes.set_ylim(0, top)
    axes.set_xlim(start, end)
    for one in picture.series:
        moments, sizes = zip(*one.points, strict=True)
        axes.plot(moments, sizes, color=kind(one.kind).light, linewidth=1.6, label=one.label)
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

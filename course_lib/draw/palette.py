"""The one palette of the course: what a colour means, in every picture."""

from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Kind:
    """What a region can be: its label, its fill on light and on dark ground, and its meaning."""

    label: str
    light: str
    dark: str
    meaning: str

    def text(self, theme: str = "light") -> str:
        """Black or white, whichever reads better on the fill of that theme."""
        return max("#000000", "#ffffff", key=lambda ink: contrast(ink, getattr(self, theme)))


# Frames are greys, so that what they hold stands out. The colours of regions that appear side by
# side keep their distance under deuteranopia, protanopia and tritanopia.
PALETTE = {
    "node": Kind("node", "#f4f6f8", "#1d2126", "A machine of the cluster."),
    "container": Kind("container", "#e8ecf0", "#262b31", "What the cluster manager grants."),
    "process": Kind("process", "#e8ecf0", "#262b31", "A process as the operating system sees it."),
    "heap": Kind("heap", "#dbe1e7", "#30363e", "The JVM's heap (-Xmx)."),
    "spark": Kind("Spark memory", "#cdd6df", "#3b434d", "The heap that Spark manages."),
    "unassigned": Kind("unassigned", "#eceff2", "#2a2f36", "Memory that nothing has claimed."),
    "reserved": Kind("reserved", "#3d3f45", "#596070", "300 MiB that Spark leaves alone."),
    "user": Kind("user", "#4bbd8f", "#a5f0d4", "Your own objects: UDF data, collections."),
    "storage": Kind("storage", "#357fc8", "#437cec", "Cached blocks and broadcast pieces."),
    "execution": Kind("execution", "#e28d03", "#e5aa44", "Buffers of shuffles, joins and sorts."),
    "overhead": Kind("overhead", "#b0567d", "#c66b8c", "The container's memory beyond the heap."),
    "off_heap": Kind("off-heap", "#a9c8e9", "#75ccfe", "Spark's memory outside the heap."),
    "pyspark": Kind("PySpark", "#f2cf3b", "#ffe657", "Memory set aside for Python workers."),
    "metaspace": Kind("metaspace", "#371595", "#393dab", "Classes that the JVM has loaded."),
    "code_cache": Kind("code cache", "#a97daf", "#ba88e4", "Bytecode compiled to machine code."),
    "threads": Kind("threads", "#e96909", "#fe883c", "One stack for each thread."),
    "direct": Kind("direct buffers", "#70c8f9", "#a4c9c9", "NIO buffers outside the heap."),
    "gc": Kind("collector", "#0d695d", "#2c867c", "The garbage collector's own tables."),
    "other": Kind("other", "#c6be91", "#f1f3c5", "Everything else the JVM needs."),
}

# Ground, ink and faint lines of pictures that stand alone.
GROUND = Kind("ground", "#ffffff", "#111111", "The page under a picture.")
ALARM = Kind("alarm", "#b3261e", "#ff8a80", "A limit exceeded, or Spark's refusal.")


def kind(name: str) -> Kind:
    """The palette's entry for a region's kind. Raises ValueError for a kind it does not have."""
    if name not in PALETTE:
        raise ValueError(f"unknown kind {name!r}; the palette has: {', '.join(PALETTE)}")
    return PALETTE[name]


def contrast(one: str, other: str) -> float:
    """Contrast of two colours (#rrggbb), from 1 to 21. Source: WCAG 2, relative luminance."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _mixed(one: str, other: str, part: float) -> str:
    """A colour (#rrggbb) between two: `part` of the way from one to the other."""
    ends = [[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in (one, other)]
    return "#" + "".join(f"{round(a + (b - a) * part):02x}" for a, b in zip(*ends, strict=True))


def _luminance(colour: str) -> float:
    red, green, blue = linear_rgb(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def linear_rgb(colour: str) -> tuple[float, float, float]:
    """The light of a colour (#rrggbb): sRGB without its gamma, each part from 0 to 1."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return tuple(p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)


@cache
def shades(hue: str) -> tuple[Kind, ...]:
    """From nothing to the most there is: the ground, and 20 steps to a kind's colour or the alarm.

    One hue, so that lightness alone orders them for every sight.
    """
    most = ALARM if hue == "alarm" else kind(hue)
    return tuple(
        Kind(
            f"{5 * step} %",
            _mixed(GROUND.light, most.light, step / 20),
            _mixed(GROUND.dark, most.dark, step / 20),
            "A share of the largest number in a heat map.",
        )
        for step in range(21)
    )

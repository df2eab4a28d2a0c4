from itertools import combinations
from math import dist

import pytest

from course_lib.draw.palette import ALARM, GROUND, PALETTE, contrast, kind, linear_rgb

# Regions that one picture shows side by side.
FAMILIES = {
    "container": (
        "reserved", "user", "storage", "execution", "overhead", "off_heap", "pyspark", "unassigned",
    ),
    "process": ("metaspace", "code_cache", "threads", "direct", "gc", "other", "unassigned"),
}  # fmt: skip

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
SIGHT = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
DISTINCT = 8  # hundredths of OKLab's lightness; about 2 can just be told apart


def seen(colour, sight):
    rgb = [sum(a * b for a, b in zip(row, linear_rgb(colour), strict=True)) for row in SIGHT[sight]]
    return oklab([min(1, max(0, part)) for part in rgb])


def oklab(rgb):
    r, g, b = rgb
    long = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    medium = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    short = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


def distance(one, other, sight):
    return 100 * dist(seen(one, sight), seen(other, sight))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PALETTE)
def test_text_on_every_fill_is_readable(name, theme):
    entry = PALETTE[name]
    assert contrast(entry.text(theme), getattr(entry, theme)) >= 4.5  # WCAG AA


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("family", FAMILIES)
def test_neighbours_differ_for_every_sight(family, sight, theme):
    fills = {name: getattr(PALETTE[name], theme) for name in FAMILIES[family]}
    close = {
        pair: round(distance(fills[pair[0]], fills[pair[1]], sight), 1)
        for pair in combinations(fills, 2)
        if distance(fills[pair[0]], fills[pair[1]], sight) < DISTINCT
    }
    assert not close


def test_the_measure_of_difference_tells_red_and_green_apart_only_for_normal_sight():
    red, green = "#b45a3c", "#7a7a3c"
    assert distance(red, green, "normal") > DISTINCT > distance(red, green, "deuteranopia")


def test_the_alarm_stands_out_from_the_ground():
    assert contrast(ALARM.light, GROUND.light) >= 4.5
    assert contrast(ALARM.dark, GROUND.dark) >= 4.5


def test_contrast_has_the_values_that_wcag_gives():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


def test_an_unknown_kind_is_named_with_those_that_exist():
    with pytest.raises(ValueError, match=r"unknown kind 'cache'; the palette has: .*storage"):
        kind("cache")

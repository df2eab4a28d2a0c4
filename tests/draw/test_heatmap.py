import pytest

from course_lib.draw import Axis, Heatmap
from course_lib.draw.message import Sheet
from course_lib.draw.palette import PALETTE, contrast, shades

SHADES = shades("alarm")
X = Axis("cores", ("1", "2", "4"))
Y = Axis("heap", ("1g", "2g"))


def heat(*rows, **changed):
    given = {"title": "Spill", "evidence": "modelled", "x": X, "y": Y, "values": rows}
    return Heatmap(**given | changed)


MAP = heat((0, 10, 40), (30, 5, 5), text=lambda value: f"{value:g} MiB")


def test_the_numbers_can_be_read():
    assert MAP.rows() == [
        ("heap", "1", "2", "4"),
        ("1g", "0 MiB", "10 MiB", "40 MiB"),
        ("2g", "30 MiB", "5 MiB", "5 MiB"),
    ]
    assert MAP.table().startswith("across: cores\nheap")
    assert MAP.describe() == (
        "Spill: Least 0 MiB at heap 1g, cores 1. Most 40 MiB at heap 1g, cores 4. (modelled)"
    )


def test_shades_follow_the_numbers_and_nothing_has_none():
    levels = [MAP.level(value) for value in (0, 0.001, 10, 40)]
    assert levels == [0, 1, 5, len(SHADES) - 1]
    assert heat((0, 0, 0), (0, 0, 0)).level(0) == 0


def test_the_least_is_framed_unless_it_is_everywhere():
    many = Axis("cores", tuple(map(str, range(20))))
    assert not heat((1,) * 20, (2,) * 20, x=many).framed
    assert heat((1, *[2] * 19), (2,) * 20, x=many).framed


def test_the_drawing_names_axes_values_and_scale():
    figure = MAP.figure()
    drawn = " ".join(text.get_text() for axes in figure.axes for text in axes.texts)
    for part in ("Spill", "heap (down)", "cores (across)", "2g", "30 MiB", "modelled"):
        assert part in drawn
    cells = [p for p in figure.axes[0].patches if p.get_height() == pytest.approx(0.22)]
    assert len(cells) == 6


def test_the_message_holds_shades_and_texts():
    sheet = Sheet()
    packed = sheet.pack(MAP)["heat"]
    assert [[shade, sheet.parts[place]] for shade, place in packed["cells"][0]] == [
        [0, "0 MiB"], [5, "10 MiB"], [20, "40 MiB"],
    ]  # fmt: skip
    assert packed["x"] == ["cores", ["1", "2", "4"]]
    assert packed["scale"][-1] == [20, "40 MiB"]


@pytest.mark.parametrize("hue", ["alarm", "execution"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_stronger_shades_are_further_from_the_ground_and_text_on_each_is_readable(theme, hue):
    ground = getattr(shades(hue)[0], theme)
    distances = [contrast(ground, getattr(shade, theme)) for shade in shades(hue)]
    assert distances == sorted(distances)
    assert all(contrast(one.text(theme), getattr(one, theme)) >= 4.5 for one in shades(hue))


def test_memory_has_the_colour_of_its_kind_and_frames_nothing():
    held = heat((1, 2, 3), (2, 2, 2), hue="execution")
    assert held.shade(3).light == PALETTE["execution"].light
    assert not held.framed
    with pytest.raises(ValueError, match="unknown kind 'red'"):
        heat((1, 2, 3), (2, 2, 2), hue="red")


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([(1, 2, 3)], r"2 rows of 3 numbers are expected, not rows of \[3\]"),
        ([(1, 2, 3), (1, 2)], r"2 rows of 3 numbers are expected, not rows of \[3, 2\]"),
        ([(1, 2, 3), (1, 2, -3)], "nothing below zero, such as -3"),
    ],
)
def test_what_is_no_map_is_refused(rows, complaint):
    with pytest.raises(ValueError, match=complaint):
        heat(*rows)


def test_a_map_without_values_is_refused():
    with pytest.raises(ValueError, match="0 rows of 3 numbers are expected"):
        heat(y=Axis("heap", ()))

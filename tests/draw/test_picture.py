import base64
import subprocess
import sys

import pytest

from course_lib.draw import PALETTE, Picture, Series, bars, picture, timeline
from course_lib.draw.figure import FAINT
from course_lib.draw.picture import moment_ticks, size_ticks
from course_lib.model import Region, heap
from course_lib.units import GIB, MIB

HEAP = heap({"spark.executor.memory": "4g"}).region()
SAWTOOTH = Series("heap used", "user", ((0, 10 * MIB), (1, 60 * MIB), (1.1, 12 * MIB)))


def texts(figure):
    figure.canvas.draw()
    return [text for axes in figure.axes for text in axes.texts if text.get_text()]


def words(figure):
    return " ".join(text.get_text() for text in texts(figure))


def test_the_drawing_names_every_region_with_its_size():
    drawn = words(picture(HEAP, title="An executor").figure())
    for part in ("An executor", "modelled", "heap  4.0 GiB", "reserved 300.0 MiB",
                 "user\n1518.4 MiB", "storage\n1138.8 MiB"):  # fmt: skip
        assert part in drawn


@pytest.mark.parametrize(
    "region",
    [
        heap({"spark.executor.memory": "512m"}).region(),
        heap({"spark.executor.memory": "64g"}).region(),
        Region("too small", "container", 3 * GIB, children=[HEAP]),
        heap({"spark.memory.storageFraction": "0.01"}).region(),
    ],
    ids=["512 MiB", "64 GiB", "more than there is", "hardly any storage"],
)
def test_labels_never_overlap_and_stay_on_the_page(region):
    container = Region(
        "container",
        "container",
        70 * GIB,
        children=[region, Region("overhead", "overhead", 90 * MIB)],
    )
    figure = picture(container).figure()
    boxes = [text.get_window_extent() for text in texts(figure)]
    for i, box in enumerate(boxes):
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.width
        assert not any(box.overlaps(other) for other in boxes[:i])


def test_bars_share_one_scale():
    two = bars([heap({"spark.executor.memory": m}).region() for m in ("2g", "4g")])
    drawn = two.figure().axes[0].patches
    small, large = (p for p in drawn if p.get_fill() and p.get_height() > 1.2)
    assert small.get_width() * 2 == pytest.approx(large.get_width())


def test_equal_regions_without_room_share_one_entry():
    node = Region("node", "node", 40 * GIB, children=[Region("executor", "container", GIB)] * 40)
    assert "40 \N{MULTIPLICATION SIGN} executor 1024.0 MiB" in words(picture(node).figure())


def test_the_table_tells_all_levels_what_is_left_and_what_is_too_much():
    assert picture(HEAP).table().splitlines()[:4] == [
        "region                size    share",
        "--------------  ----------  -------",
        "heap               4.0 GiB  100.0 %",
        "  reserved       300.0 MiB    7.3 %",
    ]
    part = Region("Spark memory", "spark", 6 * MIB, used=MIB, note="pools")
    over = picture(Region("heap", "heap", 4 * MIB, children=[part])).table()
    assert "beyond heap" in over
    assert "2.0 MiB" in over
    assert "pools" in over
    under = picture(Region("heap", "heap", 8 * MIB, children=[part])).table()
    assert "unassigned" in under


def test_the_description_is_the_picture_in_words():
    told = picture(HEAP, title="An executor").describe()
    assert told.startswith("An executor: heap 4.0 GiB, of which reserved 300.0 MiB (7.3 %)")
    assert told.endswith("(modelled)")


def test_a_notebook_gets_an_image_with_its_text_alternative_and_the_table():
    shown = picture(HEAP, evidence="recorded")
    data, metadata = shown._repr_mimebundle_()
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert data["text/plain"] == shown.table()
    assert metadata == {"image/png": {"alt": shown.describe()}}


def test_a_line_has_its_kinds_colour_unless_that_is_a_frames_grey():
    frame = Series("heaps", "heap", ((0, 0), (1, MIB)))
    (axes,) = timeline([SAWTOOTH, frame]).figure().axes
    assert [line.get_color() for line in axes.lines] == [PALETTE["user"].light, FAINT]


def test_a_timeline_tells_its_series_limits_and_events():
    shown = timeline(
        [SAWTOOTH],
        events=[(1, "young collection")],
        limits=[(64 * MIB, "-Xmx")],
        evidence="recorded",
    )
    assert "heap used  0.0 s  1.1 s  10.0 MiB  60.0 MiB  12.0 MiB" in shown.table()
    assert "Limit -Xmx: 64.0 MiB. Events: young collection at 1.0 s." in shown.describe()
    axes = shown.figure().axes[0]
    assert axes.get_ylim()[1] > 64 * MIB
    assert "-Xmx" in words(shown.figure())


def test_marks_holders_and_those_who_wait_are_drawn_and_told():
    shown = Picture(
        "", "modelled", (HEAP,), marks=((GIB, "storage region"),),
        holders=(("t1", GIB, 0), ("t2", 0, 512 * MIB)), waiting=("t2",),
    )  # fmt: skip
    drawn = words(shown.figure())
    for part in ("storage region", "t1  1024.0 MiB", "t2  0.0 B, waits for 512.0 MiB", "waiting"):
        assert part in drawn
    (mark,) = {line.get_xdata()[0] for line in shown.figure().axes[0].lines}
    assert mark == pytest.approx(0.1 + 7.0 / 4)  # a quarter of 4 GiB, inside a margin
    rows = [tuple(row) for row in shown.rows()]
    assert ("t2", "0.0 B, waits for 512.0 MiB", "0.0 %") in rows
    assert ("storage region", "1024.0 MiB", "25.0 %") in rows
    assert ("t2 waits", "", "") in rows
    assert "Mark: storage region. Waiting: t2." in shown.describe()


def test_axes_have_round_ticks():
    assert size_ticks(100 * MIB) == [0, 32 * MIB, 64 * MIB, 96 * MIB]
    assert size_ticks(1) == [0, 1]
    assert moment_ticks(0, 20) == [0, 5, 10, 15, 20]
    assert moment_ticks(3, 4) == pytest.approx([3, 3.2, 3.4, 3.6, 3.8, 4])


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: picture(HEAP, evidence="guessed"), "evidence is one of measured, modelled"),
        (lambda: picture(Region("cache", "cache", 1)), "unknown kind 'cache'"),
        (lambda: bars([]), "at least one Region, or at least one Series"),
        (lambda: picture(HEAP, marks=[(-1, "region")]), "'region' is below zero, at -1 bytes"),
        (
            lambda: Picture("", "modelled", (HEAP,), holders=(("t1", 5, -2),)),
            "'t1' is below zero, at -2 bytes",
        ),
        (
            lambda: Picture("", "modelled", series=(SAWTOOTH,), waiting=("t1",)),
            "go with regions, not a timeline",
        ),
        (lambda: Series("x", "cache", ((0, 0),)), "unknown kind 'cache'"),
        (lambda: Series("x", "user", ()), "the series 'x' has no points"),
        (lambda: Series("x", "user", ((1, 0), (0, 0))), "runs backwards"),
        (lambda: Series("x", "user", ((0, -1),)), "below zero"),
        (lambda: Series("x", "user", ((0, float("nan")),)), "not finite"),
    ],
)
def test_what_cannot_be_drawn_is_refused(make, complaint):
    with pytest.raises(ValueError, match=complaint):
        make()


def test_drawing_loads_matplotlib_only_when_a_figure_is_asked_for_and_never_pyplot():
    program = """
import sys
from course_lib.draw import picture
from course_lib.model import heap
shown = picture(heap().region())
shown.table()
print("matplotlib" in sys.modules)
shown.figure()
print("matplotlib" in sys.modules, "matplotlib.pyplot" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "True", "False"]

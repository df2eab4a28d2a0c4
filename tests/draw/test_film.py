import json
from dataclasses import replace

import pytest

from course_lib.draw import Film, Lane, Series, Shot, picture, timeline
from course_lib.draw.film import spread
from course_lib.draw.message import Sheet
from course_lib.model import Region
from course_lib.units import MIB


def pool(held, title=""):
    free = Region("free", "unassigned", (100 - held) * MIB)
    task = Region("t1", "execution", held * MIB)
    return picture(Region("execution", "execution", 100 * MIB, children=[task, free]), title=title)


def lane(name, *holdings, event="ask t1"):
    shots = [Shot(pool(0), outcome="nothing yet", score=(("spilled", "0"),))]
    shots += [Shot(pool(h), event, f"has {h}", (("spilled", str(h // 50)),)) for h in holdings]
    return Lane(name, tuple(shots))


FILM = Film("Two", "modelled", (lane("old", 10, 20, 60, 70), lane("new", 10, 10, 10, 90)))


def words(figure):
    return " ".join(text.get_text() for axes in figure.axes for text in axes.texts)


def test_a_film_is_told_line_by_line_with_its_scores():
    assert FILM.rows()[0] == ("step", "event", "old", "new")
    assert FILM.rows()[4] == ("3", "ask t1", "has 60", "has 10")
    assert FILM.rows()[-1] == ("", "spilled", "1", "1")
    assert "old, after 4 events: execution 100.0 MiB, of which t1 70.0 MiB" in FILM.describe()


def test_a_lane_at_another_event_says_which_and_one_that_stands_still_says_nothing():
    other = lane("new", 10, 10, 10, 90, event="finish t2")
    assert Film("", "modelled", (FILM.lanes[0], other)).rows()[1:3] == [
        ("0", "", "nothing yet", "nothing yet"),
        ("1", "ask t1", "has 10", "finish t2: has 10"),
    ]
    still = Lane("new", (other.shots[0], *[Shot(pool(0))] * 4))
    assert Film("", "modelled", (still, FILM.lanes[0])).rows()[3] == ("2", "ask t1", "", "has 20")


def test_where_nothing_moves_the_telling_steps_stand_in_a_strip():
    assert FILM.telling() == [0, 3, 4]
    drawn = words(FILM.figure())
    for part in ("Two", "modelled", "old", "new", "has 60", "t1\n60.0 MiB", "has 90", "spilled 1"):
        assert part in drawn
    assert "has 20" not in drawn


def test_few_steps_are_spread_over_all():
    assert spread(range(3), 3) == [0, 1, 2]
    assert spread(range(9), 3) == [0, 4, 8]
    long = lane("long", *range(1, 90))
    every = [replace(shot, score=(("n", str(n)),)) for n, shot in enumerate(long.shots)]
    assert Film("", "modelled", (Lane("long", tuple(every)),)).telling() == [0, 1, 45, 88, 89]


def test_a_film_of_one_shot_can_be_shown_too():
    one = Film("", "modelled", (lane("start"),))
    assert one.telling() == [0]
    assert one.png().startswith(b"\x89PNG")


def test_shots_share_what_they_have_in_common():
    sheet = Sheet()
    packed = sheet.pack(FILM)
    assert packed["film"]["scale"] == 100 * MIB
    assert json.loads(json.dumps(packed)) == packed
    trees = {
        json.dumps(sheet.parts[sheet.parts[shot][0]])
        for shot in packed["film"]["lanes"][1]["shots"]
    }
    assert len(trees) == 3  # 0, 10 and 90
    before = len(sheet.parts)
    assert sheet.pack(FILM) == packed
    assert len(sheet.parts) == before


@pytest.mark.parametrize(
    ("lanes", "complaint"),
    [
        ((), "same number of shots, at least one"),
        ((Lane("empty", ()),), "same number of shots, at least one"),
        ((lane("long", 1, 2), lane("short", 1)), "same number of shots"),
        (
            (Lane("line", (Shot(timeline([Series("x", "user", ((0, 1),))])),)),),
            "every shot of a film is a picture of regions",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_played_is_refused(lanes, complaint):
    with pytest.raises(ValueError, match=complaint):
        Film("", "modelled", lanes)


def test_a_film_knows_where_its_numbers_come_from():
    with pytest.raises(ValueError, match="evidence is one of measured"):
        Film("", "dreamt", FILM.lanes)

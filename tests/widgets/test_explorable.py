import base64
import json

import pytest
import traitlets

from course_lib.draw import picture
from course_lib.model import Region
from course_lib.units import MIB
from course_lib.widgets import Control, Explorable, View


class Jug(Explorable):
    """A jug of a size, filled to some part."""

    title = "Jug"
    controls = (
        Control("size", "size", (1, 2, 4), text=lambda size: f"{size} MiB"),
        Control("full", "filled", (0, 1), kind="choice"),
    )
    start = {"size": 2, "full": 0}  # noqa: RUF012

    def view(self, state):
        if state["size"] == 4 and state["full"]:
            return View.refused("too heavy")
        size = state["size"] * MIB
        used = size if state["full"] else 0
        jug = Region("jug", "storage", size, used=used)
        return View(picture(jug), f"A jug of {state['size']} MiB.", (("full", str(used > 0)),))


def test_starting_values_are_keyword_arguments_and_the_state_is_a_dict():
    assert Jug().state == {"size": 2, "full": 0}
    assert Jug(size=4).state == {"size": 4, "full": 0}


def test_an_unknown_control_is_named_with_those_that_exist():
    with pytest.raises(TypeError, match="Jug has no control 'colour'; it has size, full"):
        Jug(colour="red")


@pytest.mark.parametrize("value", [3, "2", True, None])
def test_a_value_that_a_control_lacks_is_named_with_those_it_has(value):
    with pytest.raises(ValueError, match=r"size cannot be .*; it is one of 1, 2, 4"):
        Jug(size=value)


def test_the_views_for_the_range_of_every_control_are_sent_ahead():
    jug = Jug()
    sent = jug._tables
    assert sent["base"] == {"size": 1, "full": 0}
    sentences = {
        name: [sent["views"][i]["sentence"] for i in numbers]
        for name, numbers in sent["axes"].items()
    }
    assert sentences == {
        "size": ["A jug of 1 MiB.", "A jug of 2 MiB.", "A jug of 4 MiB."],
        "full": ["A jug of 2 MiB.", "A jug of 2 MiB."],
    }
    assert len(sent["views"]) == 4  # the present state is on both axes and sent once
    assert len(sent["parts"]) == 4  # as many different trees, each of one region


def test_when_the_browser_moves_a_control_new_tables_follow():
    jug = Jug()
    jug.set_state({"_chosen": {"size": 2, "full": 0}})
    assert jug.state == {"size": 4, "full": 0}
    assert jug._tables["base"] == {"size": 2, "full": 0}
    refused = jug._tables["views"][jug._tables["axes"]["full"][1]]
    assert refused["problem"] == "too heavy"
    assert "trees" not in refused


@pytest.mark.parametrize("chosen", [{}, {"size": 3, "full": 0}, {"size": "1", "full": 0}])
def test_positions_that_do_not_exist_are_refused(chosen):
    jug = Jug()
    with pytest.raises(traitlets.TraitError, match="size has no position"):
        jug.set_state({"_chosen": chosen})
    assert jug.state == {"size": 2, "full": 0}


def test_controls_move_from_code_too():
    jug = Jug()
    jug.move(size=1, full=1)
    assert jug.state == {"size": 1, "full": 1}
    assert jug._tables["base"] == {"size": 0, "full": 1}


def test_a_kernel_answers_when_asked_whether_it_is_there(monkeypatch):
    jug, sent = Jug(), []
    monkeypatch.setattr(jug, "send", sent.append)
    jug._handle_custom_msg("anyone there?", [])
    jug._handle_custom_msg("something else", [])
    assert sent == ["here"]


def test_the_table_holds_the_numbers_the_facts_and_the_sentence():
    told = Jug(full=1).table()
    for part in ("region", "jug", "2.0 MiB", "full", "True", "A jug of 2 MiB."):
        assert part in told


def test_what_spark_refuses_has_no_picture_but_the_complaint():
    jug = Jug(size=4, full=1)
    assert jug.table() == "Spark does not start with these settings.\ntoo heavy"
    assert "too heavy" in [text.get_text() for text in jug.figure().texts]
    _, metadata = jug._repr_mimebundle_()
    assert metadata["image/png"]["alt"].endswith("too heavy")


def test_a_view_has_either_a_picture_or_a_problem():
    with pytest.raises(ValueError, match="either a picture or a problem"):
        View(None, "nothing")


def test_where_widgets_do_not_run_the_present_picture_is_shown():
    jug = Jug()
    data, metadata = jug._repr_mimebundle_()
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == jug.model_id
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert data["text/plain"] == jug.table()
    assert metadata["image/png"]["alt"] == "Jug. jug 2.0 MiB, 0.0 B used. (modelled)"


def test_messages_are_plain_json():
    jug = Jug()
    assert json.loads(json.dumps(jug._tables)) == jug._tables
    assert json.loads(json.dumps(jug._about)) == jug._about


def test_an_explorable_must_say_what_a_state_looks_like():
    class Blank(Explorable):
        title = "Blank"
        controls = (Control("size", "size", (1,)),)
        start = {"size": 1}  # noqa: RUF012

    with pytest.raises(NotImplementedError, match="Blank does not say what a state looks like"):
        Blank()

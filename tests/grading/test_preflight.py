"""Whatever is handed in, a notebook comes out that nbgrader itself would not change any more; what
was wrong is said by name, and what was right stays as it was."""

import json
import os
import socket
import warnings
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import nbformat
import pytest
from grading.courses import GENERAL, ROOT, SETS, course_directory
from hypothesis import given
from hypothesis import strategies as st
from nbgrader.converters import Autograde
from nbgrader.utils import determine_grade

from course_lib.grading.findings import SEVERITIES, Finding, from_metadata, status, to_metadata
from course_lib.grading.preflight import (
    LIMITS,
    Limits,
    find_notebook,
    preflight,
    submitted_files,
)

PS04 = "ps04-heap-regions"


@pytest.fixture(scope="session")
def sanitized(problem_sets, general_course, releases, general_releases):
    """``sanitized(notebook, release)``: what nbgrader's own sanitizing makes of a notebook."""

    @cache  # refused submissions all become the same notebook
    def sanitize(text, assignment, name):
        root = general_course if assignment == GENERAL else problem_sets
        resources = {
            "nbgrader": {
                "assignment": assignment,
                "notebook": name,
                "student": "anna",
                "db_url": course_directory(root, assignment).db_url,
            }
        }
        notebook = nbformat.from_dict(json.loads(text))
        for preprocessor in Autograde.sanitize_preprocessors.default_args[0]:
            notebook, resources = preprocessor().preprocess(notebook, resources)
        return notebook

    def sanitized(notebook, release):
        return sanitize(json.dumps(notebook), release.assignment, release.notebook)

    return sanitized


def given_out(release):
    """A notebook as learners have it before they start, as JSON; without ids, as of old."""
    cells = []
    for cell in release.cells:
        raw = {"cell_type": cell.cell_type, "metadata": dict(cell.metadata)}
        raw["source"] = cell.released.splitlines(keepends=True)
        if cell.cell_type == "code":
            raw |= {"execution_count": None, "outputs": []}
        cells.append(raw)
    document = {"nbformat": 4, "nbformat_minor": 4, "metadata": dict(release.metadata)}
    return json.loads(json.dumps(document | {"cells": cells}))


def cell_named(document, grade_id):
    [cell] = [
        c
        for c in document["cells"]
        if c["metadata"].get("nbgrader", {}).get("grade_id") == grade_id
    ]
    return cell


def fly(document, release, **options):
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return preflight(data, release, **options)


def names(result):
    return [finding.name for finding in result.findings]


def managed_cells(notebook):
    """The names of nbgrader's cells in their order; a learner's own cells have none."""
    kept = (cell.metadata.get("nbgrader") for cell in notebook.cells)
    return [nbgrader.grade_id for nbgrader in kept if nbgrader]


def sources(notebook):
    return [cell.source for cell in notebook.cells]


def assert_sound(result, release, sanitized):
    """What holds for every submission."""
    notebook = result.notebook
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # ids that are missing or there twice are warned of only
        nbformat.validate(nbformat.from_dict(json.loads(nbformat.writes(notebook))))
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    by_id = Counter(cell.metadata.get("nbgrader", {}).get("grade_id") for cell in notebook.cells)
    del by_id[None]
    assert by_id == dict.fromkeys(release.managed, 1)
    for cell in notebook.cells:
        own = release.managed.get(cell.metadata.get("nbgrader", {}).get("grade_id"))
        if own and own.locked:
            assert cell.source == own.source
        if own:
            assert cell.metadata == own.metadata
    assert notebook.metadata == release.metadata
    assert sanitized(notebook, release) == notebook
    if result.refused:
        assert len(notebook.cells) == len(release.cells)


# Honest submissions


@pytest.mark.parametrize("name", SETS)
def test_an_untouched_submission(releases, sanitized, name):
    data = (ROOT / "exercises" / name / f"{name}.ipynb").read_bytes()
    result = preflight(data, releases[name])
    assert result.findings == ()
    assert_sound(result, releases[name], sanitized)
    assert result.notebook == sanitized(nbformat.reads(data, as_version=4), releases[name])


@pytest.mark.parametrize("name", SETS)
def test_a_complete_submission(releases, sanitized, name):
    """With the teacher's answers, outputs, and cells of the learner's own."""
    notebook = nbformat.read(ROOT / "exercises" / name / f"{name}.ipynb", as_version=4)
    source = nbformat.read(ROOT / "solutions" / name / f"{name}.ipynb", as_version=4)
    for cell, solved in zip(notebook.cells, source.cells, strict=True):
        if cell.cell_type == "code":
            cell.outputs = [nbformat.v4.new_output("stream", text="seen\n")]
            cell.execution_count = 7
        if solved.metadata.get("nbgrader", {}).get("solution"):
            cell.source = solved.source
    notebook.cells.insert(3, nbformat.v4.new_code_cell("scratch = 1"))
    notebook.cells.append(nbformat.v4.new_markdown_cell("Thank you"))
    result = preflight(nbformat.writes(notebook).encode(), releases[name])
    assert result.findings == ()
    assert_sound(result, releases[name], sanitized)
    assert result.notebook == sanitized(notebook, releases[name])


@given(data=st.data())
def test_any_answer_is_left_as_it_is(releases, general_releases, sanitized, data):
    every = releases | general_releases
    release = every[data.draw(st.sampled_from(list(every)))]
    document = given_out(release)
    answers = {}
    for raw, cell in zip(document["cells"], release.cells, strict=True):
        if not cell.locked:
            text = data.draw(st.text(st.characters(codec="utf-8")))
            answers[cell.grade_id] = raw["source"] = text
    result = fly(document, release)
    assert result.findings == ()
    for cell in result.notebook.cells:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
        if grade_id and not release.managed[grade_id].locked:
            assert cell.source == answers[grade_id]
    assert_sound(result, release, sanitized)


def test_notebooks_of_another_course(general_releases, sanitized):
    for release in general_releases.values():
        result = fly(given_out(release), release)
        assert result.findings == ()
        assert_sound(result, release, sanitized)


def test_an_answer_not_given_earns_nothing_without_being_looked_at(general_releases):
    """nbgrader sees from the checksum that it is the stub."""
    release = general_releases["second"]
    document = given_out(release)
    document["cells"] = [cell_named(document, "text")]
    for cell in fly(document, release).notebook.cells:
        if cell.metadata.nbgrader.grade:
            assert determine_grade(cell) == (0, cell.metadata.nbgrader.points)


def test_what_the_learner_set_in_metadata_does_not_reach_grading(releases):
    release = releases[PS04]
    document = given_out(release)
    document["metadata"] = {"grading": {"status": "graded"}, "kernelspec": {"name": "bash"}}
    for cell in document["cells"]:
        cell["metadata"] |= {"grading": "report", "tags": ["raises-exception"]}
    document["cells"].append(
        {"cell_type": "code", "source": "1", "metadata": {"tags": ["hide"]}, "outputs": []}
    )
    result = fly(document, release)
    assert result.findings == ()
    assert result.notebook.metadata == release.metadata
    assert [cell.metadata for cell in result.notebook.cells] == [
        *(cell.metadata for cell in release.cells),
        {},
    ]


def test_pictures_in_an_answer_are_kept_and_other_attachments_are_not(general_releases, sanitized):
    release = general_releases["second"]
    document = given_out(release)
    picture = {"proof.png": {"image/png": "iVBORw0KGgo="}}
    cell_named(document, "why")["attachments"] = picture | {
        "page.html": {"text/html": "<script>"},
        "no": 1,
        "none": {"image/png": None},
    }
    cell_named(document, "text")["attachments"] = picture
    result = fly(document, release)
    assert result.findings == ()
    assert [cell.get("attachments") for cell in result.notebook.cells[:2]] == [picture, None]
    assert_sound(result, release, sanitized)


def test_pictures_of_the_teachers_are_put_back(general_releases, sanitized):
    release = general_releases["second"]
    picture = {"circle.png": {"image/png": "iVBORw0KGgo="}}
    release = replace(
        release,
        cells=tuple(
            replace(cell, attachments=picture) if cell.grade_id == "text" else cell
            for cell in release.cells
        ),
    )
    result = fly(given_out(release), release)
    assert result.notebook.cells[1].attachments == picture
    assert_sound(result, release, sanitized)


# The file's content


@pytest.mark.parametrize(
    ("data", "name", "says"),
    [
        (None, "no-notebook", f"Nothing was handed in as {PS04}.ipynb."),
        (b"", "empty-file", "The file is empty"),
        (b" \n\0\0\0\0", "empty-file", "The file is empty"),
        (b"%PDF-1.7", "not-json", "The file is not JSON"),
        (b'{"cells": [{"cell_type": "co', "not-json", "it may be cut off"),
        (b"PK\3\4\0\0\0\0\xff\xfe", "not-json", "The file is not JSON"),
        (b"[]", "not-a-notebook", "it has no list of cells"),
        (b'"text"', "not-a-notebook", "it has no list of cells"),
        (b"1" * 10_000, "not-a-notebook", "it has no list of cells"),
        (b'{"cells": {}}', "not-a-notebook", "it has no list of cells"),
        (b'{"cells": []}', "wrong-notebook", f"No cell of this notebook belongs to {PS04}"),
        (b"[" * 100_000, "deep-json", "lists within lists"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "deep-json", "lists within lists"),
        (b"[" + b"[]," * 1_000_000 + b"1]", "too-large", "more than 1,000,000 objects and lists"),
        (b" " * LIMITS.notebook_bytes + b"1", "too-large", "more than 20 MiB"),
    ],
)
def test_files_that_are_refused(releases, sanitized, data, name, says):
    result = preflight(data, releases[PS04])
    assert result.refused
    assert name in names(result)
    assert says in result.findings[-1].says
    assert_sound(result, releases[PS04], sanitized)
    assert managed_cells(result.notebook) == list(releases[PS04].managed)


def test_a_notebook_in_another_encoding(releases, sanitized):
    release = releases[PS04]
    document = given_out(release)
    answer = next(cell for cell in release.cells if cell.solution).grade_id
    cell_named(document, answer)["source"] = "# für €"
    for encoding in ("cp1252", "utf-16", "utf-16-le", "utf-32"):
        data = json.dumps(document, ensure_ascii=False).encode(encoding)
        result = preflight(data, release)
        assert "not-utf-8" in names(result)
        assert "# für €" in sources(result.notebook)
        assert_sound(result, release, sanitized)
    with_mark = preflight(json.dumps(document, ensure_ascii=False).encode("utf-8-sig"), release)
    assert with_mark.findings == ()
    assert "# für €" in sources(with_mark.notebook)
    assert (
        "\x81"
        in preflight(
            b'{"cells": [{"cell_type": "code", "source": "\x81"}]}', replace(release, cells=())
        )
        .notebook.cells[0]
        .source
    )


def test_a_notebook_of_nbformat_3(releases, sanitized):
    release = releases[PS04]
    document = given_out(release)
    answer = next(cell for cell in release.cells if cell.solution).grade_id
    cell_named(document, answer)["source"] = "x = 1"
    for cell in document["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"input": cell.pop("source"), "language": "python"}
    heading = {"cell_type": "heading", "source": "Notes", "level": 2, "metadata": {}}
    old = {
        "nbformat": 3,
        "metadata": {},
        "worksheets": [{"cells": document["cells"]}, {"cells": [heading]}, None, {"cells": 1}],
    }
    result = fly(old, release)
    assert names(result) == ["old-format"]
    assert "x = 1" in sources(result.notebook)
    assert result.notebook.cells[-1].source == "Notes"
    assert_sound(result, release, sanitized)


def test_halves_of_surrogate_pairs_are_replaced(releases, sanitized):
    document = given_out(releases[PS04])
    document["cells"].append({"cell_type": "code", "source": "'\ud800 \U0001f600'"})
    result = fly(document, releases[PS04])
    assert names(result) == ["not-utf-8"]
    assert result.notebook.cells[-1].source == "'\N{REPLACEMENT CHARACTER} \U0001f600'"
    assert_sound(result, releases[PS04], sanitized)


def test_too_many_cells(releases, sanitized):
    document = given_out(releases[PS04])
    own = {"cell_type": "code", "source": "", "metadata": {}}
    document["cells"] += [own] * (LIMITS.cells - len(document["cells"]))
    assert fly(document, releases[PS04]).findings == ()
    document["cells"].append(own)
    result = fly(document, releases[PS04])
    assert names(result) == ["too-many-cells"]
    assert "5,001 cells; at most 5,000" in result.findings[0].says
    assert_sound(result, releases[PS04], sanitized)


def test_a_cell_too_large(releases, sanitized):
    document = given_out(releases[PS04])
    document["cells"].append({"cell_type": "code", "source": "x" * LIMITS.source})
    assert fly(document, releases[PS04]).findings == ()
    document["cells"][-1]["source"] += "x"
    result = fly(document, releases[PS04])
    assert names(result) == ["huge-cell"]
    assert_sound(result, releases[PS04], sanitized)


def test_what_is_no_cell_is_left_out(releases, sanitized):
    document = given_out(releases[PS04])
    document["cells"] += [
        *(None, 1, [], {}, "text"),
        {"cell_type": "code"},
        {"cell_type": "code", "source": 1},
        {"cell_type": "code", "source": ["a", 1]},
        {"cell_type": "movie", "source": ""},
        {"cell_type": ["code"], "source": ""},
    ]
    result = fly(document, releases[PS04])
    assert names(result) == ["invalid-cell"]
    assert "10 of 23 cells" in result.findings[0].says
    assert len(result.notebook.cells) == 13
    assert_sound(result, releases[PS04], sanitized)


# Its cells


def test_another_problem_set(releases, sanitized):
    result = fly(given_out(releases["ps05-static-manager"]), releases[PS04])
    assert names(result) == ["wrong-notebook"]
    assert_sound(result, releases[PS04], sanitized)


def test_a_few_texts_in_common_do_not_make_it_the_right_notebook(releases, sanitized):
    release = releases[PS04]
    locked = [cell for cell in given_out(release)["cells"] if "editable" in cell["metadata"]]
    assert len(locked) == 9
    for cell in locked:
        cell["metadata"] = {}
    few, most = (fly({"cells": locked[:number]}, release) for number in (4, 5))
    assert names(few) == ["wrong-notebook"]
    assert Counter(names(most)) == {"lost-metadata": 5, "missing-cell": 4, "missing-answer": 4}
    for result in (few, most):
        assert_sound(result, release, sanitized)
    half = replace(release, cells=tuple(cell for cell in release.cells if cell.locked)[:8])
    assert names(fly({"cells": locked[:4]}, half)) == ["wrong-notebook"]


def test_a_release_without_managed_cells_takes_any_notebook(releases):
    release = replace(releases[PS04], cells=())
    document = {"cells": [{"cell_type": "code", "source": "1"}]}
    result = fly(document, release)
    assert result.findings == ()
    assert sources(result.notebook) == ["1"]


def test_of_duplicated_cells_the_last_counts_as_in_nbgrader(releases, sanitized):
    release = releases[PS04]
    document = given_out(release)
    answer = cell_named(document, "ps04-xmx")
    place = document["cells"].index(answer)
    document["cells"].insert(place, {**answer, "source": "first = 1"})
    document["cells"].insert(place + 1, {**answer, "source": "second = 1"})
    answer["source"] = "third = 1"
    result = fly(document, release)
    assert [(one.name, one.cell) for one in result.findings] == [("duplicated-cell", "ps04-xmx")]
    assert "There are 3 cells" in result.findings[0].says
    assert sources(result.notebook)[place : place + 3] == ["first = 1", "second = 1", "third = 1"]
    assert [bool(cell.metadata) for cell in result.notebook.cells[place : place + 3]] == [
        *(False, False, True)
    ]
    assert_sound(result, release, sanitized)


def test_a_missing_test_is_put_behind_the_answer(releases, sanitized):
    release = releases[PS04]
    document = given_out(release)
    place = document["cells"].index(cell_named(document, "ps04-xmx-check"))
    document["cells"][place] = {"cell_type": "code", "source": "def xmx_for(): ..."}
    result = fly(document, release)
    assert [(one.name, one.cell) for one in result.findings] == [("missing-cell", "ps04-xmx-check")]
    assert sources(result.notebook)[place] == "def xmx_for(): ..."
    assert result.notebook.cells[place + 1].metadata.nbgrader.grade_id == "ps04-xmx-check"
    assert_sound(result, release, sanitized)


def test_a_missing_test_is_behind_its_answer_though_the_next_cell_is_not(releases, sanitized):
    release = releases[PS04]
    document = given_out(release)
    document["cells"].remove(cell_named(document, "ps04-xmx-check"))
    following = cell_named(document, "ps04-ui-text")
    document["cells"].remove(following)
    document["cells"].insert(0, following)
    result = fly(document, release)
    assert set(names(result)) == {"moved-cell", "missing-cell"}
    order = managed_cells(result.notebook)
    assert order.index("ps04-xmx-check") == order.index("ps04-xmx") + 1
    assert_sound(result, release, sanitized)


def test_a_missing_answer_is_put_in_front_of_own_cells(releases, sanitized):
    """One of which may be the answer, that the stub must not replace."""
    release = releases[PS04]
    document = given_out(release)
    place = document["cells"].index(cell_named(document, "ps04-xmx"))
    own = [{"cell_type": "code", "source": f"own = {number}"} for number in range(2)]
    document["cells"][place : place + 2] = own  # the answer and its test are gone
    result = fly(document, release)
    assert names(result) == ["missing-answer", "missing-cell"]
    cells = result.notebook.cells[place : place + 4]
    assert cells[0].source == release.managed["ps04-xmx"].released
    assert [cell.source for cell in cells[1:3]] == ["own = 0", "own = 1"]
    assert cells[3].source == release.managed["ps04-xmx-check"].source
    assert_sound(result, release, sanitized)


@pytest.mark.parametrize("kept", ["ps04-intro", "ps04-xmx", "ps04-refuse-check"])
def test_all_cells_but_one_missing(releases, sanitized, kept):
    release = releases[PS04]
    document = given_out(release)
    document["cells"] = [cell_named(document, kept)]
    result = fly(document, release)
    assert len(result.findings) == len(release.managed) - 1
    assert managed_cells(result.notebook) == list(release.managed)
    assert_sound(result, release, sanitized)


@pytest.mark.parametrize("answered", [True, False])
def test_a_program_that_drops_all_metadata(releases, general_releases, sanitized, answered):
    for release in (*releases.values(), *general_releases.values()):
        document = given_out(release)
        for number, (raw, cell) in enumerate(zip(document["cells"], release.cells, strict=True)):
            raw["metadata"] = {}
            if answered and not cell.locked:
                raw["source"] = f"answer = {number}"
        result = fly(document, release)
        assert not result.refused
        assert set(names(result)) <= {"lost-metadata", "missing-answer"}
        assert_sound(result, release, sanitized)
        if release.assignment != GENERAL:
            assert names(result) == ["lost-metadata"] * len(release.managed)
            assert managed_cells(result.notebook) == list(release.managed)
            assert [cell.source for cell in result.notebook.cells] == [
                cell.source if cell.locked else "".join(raw["source"])
                for raw, cell in zip(document["cells"], release.cells, strict=True)
            ]


def test_an_answer_is_known_by_its_place_only_where_it_stands_alone(releases, sanitized):
    release = releases[PS04]
    document = given_out(release)
    place = document["cells"].index(cell_named(document, "ps04-xmx"))
    document["cells"][place] = {"cell_type": "code", "source": "mine = 1"}
    alone = fly(document, release)
    assert [(one.name, one.cell) for one in alone.findings] == [("lost-metadata", "ps04-xmx")]
    assert alone.notebook.cells[place].metadata.nbgrader.grade_id == "ps04-xmx"
    document["cells"].insert(place, {"cell_type": "code", "source": "mine = 2"})
    one_of_two = fly(document, release)
    assert [(one.name, one.cell) for one in one_of_two.findings] == [("missing-answer", "ps04-xmx")]
    for result in (alone, one_of_two):
        assert_sound(result, release, sanitized)


def test_a_released_cell_whose_text_another_one_has_is_taken_once(releases):
    """A learner's copy of a test, without metadata, does not become the test beside it."""
    release = releases[PS04]
    document = given_out(release)
    test = cell_named(document, "ps04-xmx-check")
    document["cells"].insert(0, {**test, "metadata": {}})
    assert fly(document, release).findings == ()
    document["cells"].remove(test)
    assert names(fly(document, release)) == ["lost-metadata", "moved-cell"]


@pytest.mark.parametrize("text", ["", "assert True", "pass\n" * 3])
def test_a_changed_test_is_put_back(releases, sanitized, text):
    release = releases[PS04]
    document = given_out(release)
    cell_named(document, "ps04-xmx-check")["source"] = text
    cell_named(document, "ps04-intro")["source"] = text
    result = fly(document, release)
    assert [(one.name, one.cell) for one in result.findings] == [
        ("changed-test", "ps04-intro"),
        ("changed-test", "ps04-xmx-check"),
    ]
    assert_sound(result, release, sanitized)


def test_line_ends_are_no_change(releases, sanitized):
    release = releases[PS04]
    document = given_out(release)
    for cell, own in zip(document["cells"], release.cells, strict=True):
        if own.locked:
            cell["source"] = "".join(cell["source"]).replace("\n", "  \r\n") + "\n"
    result = fly(document, release)
    assert result.findings == ()
    assert_sound(result, release, sanitized)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"points": 1000}, "the number of points"),
        ({"points": "many"}, "the number of points"),
        ({"points": float("nan")}, "the number of points"),
        ({"points": [[[]]]}, "the number of points"),
        ({"points": 10**400}, "the number of points"),
        ({"grade": False}, "nbgrader's “grade”"),
        ({"solution": True}, "nbgrader's “solution”"),
        ({"locked": False, "task": True}, "nbgrader's “locked” and nbgrader's “task”"),
        ({"grade": False, "locked": False}, "nbgrader's “grade” and nbgrader's “locked”"),
    ],
)
def test_changed_metadata_is_put_back(releases, sanitized, change, says):
    release = releases[PS04]
    document = given_out(release)
    cell_named(document, "ps04-xmx-check")["metadata"]["nbgrader"] |= change
    result = fly(document, release)
    assert [(one.name, one.cell) for one in result.findings] == [
        ("changed-metadata", "ps04-xmx-check")
    ]
    assert f", {says} had been changed" in result.findings[0].says
    assert_sound(result, release, sanitized)


def test_a_checksum_is_nobodys_business(releases, sanitized):
    document = given_out(releases[PS04])
    for cell in document["cells"]:
        cell["metadata"]["nbgrader"] |= {"checksum": "0" * 32, "schema_version": 1, "more": {}}
    result = fly(document, releases[PS04])
    assert result.findings == ()
    assert_sound(result, releases[PS04], sanitized)


@pytest.mark.parametrize("grade_id", ["ps04-xmx", "ps04-xmx-check", "ps04-intro"])
@pytest.mark.parametrize("cell_type", ["code", "markdown", "raw"])
def test_a_changed_cell_type_is_put_back(releases, sanitized, grade_id, cell_type):
    release = releases[PS04]
    document = given_out(release)
    cell = cell_named(document, grade_id)
    changed = cell["cell_type"] != cell_type
    cell["cell_type"] = cell_type
    result = fly(document, release)
    assert names(result) == ["changed-metadata"] * changed
    assert_sound(result, release, sanitized)


def test_cells_in_another_order(releases, sanitized):
    release = releases[PS04]
    document = given_out(release)
    test = cell_named(document, "ps04-xmx-check")
    document["cells"].remove(test)
    document["cells"].insert(1, test)
    result = fly(document, release)
    assert [(one.name, one.cell) for one in result.findings] == [
        ("moved-cell", "ps04-regions-text")
    ]
    assert status(result.findings) == "graded"
    assert result.notebook.cells[1].metadata.nbgrader.grade_id == "ps04-xmx-check"
    assert_sound(result, release, sanitized)


def test_cells_that_the_release_does_not_have(releases, sanitized):
    release = releases[PS04]
    document = given_out(release)
    for number in range(7):
        metadata = {"grade": True, "points": 100, "grade_id": f"more-{number}" * 20}
        document["cells"].append(
            {"cell_type": "code", "source": "0", "metadata": {"nbgrader": metadata}}
        )
    result = fly(document, release)
    assert names(result) == ["unknown-cell"]
    assert "… and 2 more" in result.findings[0].says.replace("'", "").replace('"', "")
    assert len(result.findings[0].says) < 500
    assert all(not cell.metadata for cell in result.notebook.cells[-7:])
    assert_sound(result, release, sanitized)


@pytest.mark.parametrize("grade_id", [None, 1, [], {}, True, "", "a b", "x" * 100_000, "\ud800"])
def test_grade_ids_that_are_none(releases, sanitized, grade_id):
    document = given_out(releases[PS04])
    metadata = {"grade": True, "points": 1, "grade_id": grade_id}
    document["cells"].append(
        {"cell_type": "code", "source": "0", "id": grade_id, "metadata": {"nbgrader": metadata}}
    )
    result = fly(document, releases[PS04])
    assert set(names(result)) <= {"unknown-cell"}
    assert_sound(result, releases[PS04], sanitized)
    json.dumps(to_metadata(result.findings)).encode()


@pytest.mark.parametrize("cell_id", ["a", "ps04-xmx", "", "ä", 1, None, "x" * 65])
def test_cell_ids_stay_where_they_can(releases, sanitized, cell_id):
    document = given_out(releases[PS04])
    document["cells"] += [{"cell_type": "code", "source": "0", "id": cell_id}] * 2
    result = fly(document, releases[PS04])
    assert (result.notebook.cells[-2].id == cell_id) == (cell_id == "a")
    assert_sound(result, releases[PS04], sanitized)


# Anything at all


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3)
    ),
    max_leaves=8,
)


@given(st.binary())
def test_any_bytes(releases, sanitized, data):
    result = preflight(data, releases[PS04])
    assert result.refused
    assert_sound(result, releases[PS04], sanitized)


@given(JSON, st.lists(JSON, max_size=3))
def test_any_json(releases, sanitized, document, cells):
    for one in (document, {"cells": document}, {"cells": cells}, {"worksheets": cells}):
        result = fly(one, releases[PS04])
        assert result.refused
        assert_sound(result, releases[PS04], sanitized)


def _mutate(document, draw, number):
    """Do one of the things that people, programs and cheats do to a notebook."""
    cells = document["cells"]
    index = draw(st.integers(0, max(len(cells) - 1, 0)))
    cell = cells[index] if cells and isinstance(cells[index], dict) else {}
    metadata = cell.get("metadata")
    nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    match draw(st.integers(0, 11)):
        case 0:
            del cells[index : index + draw(st.integers(1, 4))]
        case 1:
            cells.insert(draw(st.integers(0, len(cells))), json.loads(json.dumps(cell)))
        case 2:
            cells.insert(0, cells.pop(index)) if cells else None
        case 3:
            cell["source"] = draw(st.text() | st.lists(st.text()) | JSON)
        case 4 if isinstance(nbgrader, dict):
            key = draw(st.sampled_from(["grade", "solution", "locked", "task", "points"]))
            nbgrader[key] = draw(JSON)
        case 5 if isinstance(nbgrader, dict):
            nbgrader["grade_id"] = draw(st.sampled_from(["ps04-xmx", "ps04-intro", "why"]) | JSON)
        case 6:
            cell["metadata"] = draw(st.just({}) | JSON)
        case 7:
            cell["cell_type"] = draw(st.sampled_from(["code", "markdown", "raw"]) | JSON)
        case 8:
            cells.insert(index, draw(JSON))
        case 9:
            cell["id"] = draw(st.text() | JSON)
        case 10:
            cell["attachments"] = draw(JSON)
        case _:
            own = {"cell_type": "code", "source": f"own = {number}", "metadata": {}}
            cells.insert(draw(st.integers(0, len(cells))), own)


@given(st.data())
def test_any_change_to_a_notebook(releases, general_releases, sanitized, data):
    some = {PS04: releases[PS04]} | general_releases
    release = some[data.draw(st.sampled_from(list(some)))]
    document = given_out(release)
    for number in range(data.draw(st.integers(1, 12))):
        _mutate(document, data.draw, number)
    result = fly(document, release)
    assert_sound(result, release, sanitized)
    if not result.refused:
        own = [
            cell["source"]
            for cell in document["cells"]
            if isinstance(cell, dict)
            and str(cell.get("source")).startswith("own = ")
            and cell.get("cell_type") in ("code", "markdown", "raw")
        ]
        kept = [source for source in sources(result.notebook) if source.startswith("own = ")]
        assert kept == own  # in their order, none lost
        again = fly(json.loads(nbformat.writes(result.notebook)), release)
        assert again.notebook == result.notebook
        assert set(names(again)) <= {"moved-cell"}


@given(st.data())
def test_any_damage_to_a_file(releases, sanitized, data):
    release = releases[PS04]
    file = bytearray(json.dumps(given_out(release)).encode())
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(file)))
        file[place : place + data.draw(st.integers(0, 50))] = data.draw(st.binary(max_size=10))
    result = preflight(bytes(file), release)
    assert_sound(result, release, sanitized)
    if not result.findings:  # what it has done to the teacher's cells is nothing, or said
        texts = ["".join(cell["source"]) for cell in json.loads(file)["cells"]]
        assert {cell.released for cell in release.cells if cell.locked} <= set(texts)


# Files


def hand_in(folder, **files):
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def found_names(found):
    return [finding.name for finding in found[1]]


def test_the_notebook_under_its_name(tmp_path):
    hand_in(tmp_path, **{"ps03.ipynb": b"right", "ps03 (1).ipynb": b"wrong", "a/ps03.ipynb": b"no"})
    assert find_notebook(tmp_path, "ps03") == (b"right", ())


@pytest.mark.parametrize(
    "name",
    [
        "ps03 (1).ipynb",
        "ps03-Copy1.ipynb",
        "ps03 - Copy.ipynb",
        "ps03 - Copy (2).ipynb",
        "Copy of ps03.ipynb",
        "PS03.IPYNB",
        "Ps_03.ipynb",
        "ps03.ipynb.txt",
        "ps03.ipynb.json",
        "ps03.json",
        "\N{FULLWIDTH LATIN SMALL LETTER P}s03.ipynb",
        "ps03.ipynb ",
        "deeper/ps03.ipynb",
        "deeper/PS03 (1).ipynb",
    ],
)
@pytest.mark.parametrize("others", [(), ("other",)])
def test_a_name_close_to_the_right_one(tmp_path, name, others):
    hand_in(
        tmp_path,
        **{name: b"{}", "data.csv": b"1", "other.ipynb": b"[]"} if others else {name: b"{}"},
    )
    data, [finding] = find_notebook(tmp_path, "ps03", others)
    assert data == b"{}"
    assert finding == Finding("renamed", f"There is no ps03.ipynb; {name!r} was taken for it.")


def test_the_only_notebook_is_taken_where_only_one_was_asked_for(tmp_path):
    hand_in(tmp_path, **{"anna_1234_answers.ipynb": b"{}", "data.json": b"[]"})
    assert found_names(find_notebook(tmp_path, "ps03")) == ["renamed"]
    assert found_names(find_notebook(tmp_path, "ps03", others=["ps03b"])) == ["no-notebook"]


def test_several_files_may_be_meant(tmp_path):
    hand_in(tmp_path, **{"ps03 (1).ipynb": b"1", "ps03 (2).ipynb": b"1"})
    assert find_notebook(tmp_path, "ps03")[0] == b"1"  # the same twice is no question
    hand_in(tmp_path, **{"ps03 (3).ipynb": b"3"})
    data, [finding] = find_notebook(tmp_path, "ps03")
    assert data is None
    assert finding.name == "several-candidates"
    assert "'ps03 (1).ipynb', 'ps03 (2).ipynb', 'ps03 (3).ipynb'" in finding.says
    hand_in(tmp_path, **{"ps03 (3).ipynb": b"1"} | {f"ps03 ({n}).ipynb": b"1" for n in range(9)})
    assert found_names(find_notebook(tmp_path, "ps03")) == ["several-candidates"]


def test_the_assignments_other_notebook_is_not_taken(tmp_path):
    hand_in(tmp_path, **{"ps03-copy.ipynb": b"{}", "ps03 (1).ipynb": b"[]"})
    data, findings = find_notebook(tmp_path, "ps03", others=["ps03-copy"])
    assert (data, findings[0].name) == (b"[]", "renamed")


@pytest.mark.parametrize(
    "name",
    [
        ".ps03.ipynb",
        "._ps03.ipynb",
        ".hidden/ps03.ipynb",
        "a/b/ps03.ipynb",
        "__MACOSX/ps03.ipynb",
        "ps03.txt.zip",
        "notes.txt",
    ],
)
def test_files_that_are_not_meant(tmp_path, name):
    hand_in(tmp_path, **{name: b"{}"})
    assert find_notebook(tmp_path, "ps03") == (
        None,
        (Finding("no-notebook", "Nothing was handed in as ps03.ipynb."),),
    )


def test_no_folder_at_all(tmp_path):
    assert found_names(find_notebook(tmp_path / "nowhere", "ps03")) == ["no-notebook"]


def place_link(path):
    target = Path("..", "secret.ipynb")
    target.write_bytes(b"secret")
    path.symlink_to(target)


def place_socket(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


ODD = {
    "link": place_link,
    "link to nothing": lambda path: path.symlink_to("nowhere"),
    "link to itself": lambda path: path.symlink_to(path),
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
    "folder": lambda path: path.mkdir(),
    "pipe": os.mkfifo,
    "socket": place_socket,
}


@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_file_is_neither_opened_nor_followed(tmp_path, monkeypatch, odd):
    folder = tmp_path / "anna"
    folder.mkdir()
    monkeypatch.chdir(folder)  # a socket's path has to be short
    ODD[odd](Path("ps03.ipynb"))
    assert find_notebook(folder, "ps03")[0] is None
    assert found_names(find_notebook(folder, "ps03")) == ["not-a-file"]
    assert found_names(find_notebook(folder, "PS03", others=["x"])) == ["no-notebook"]


def test_a_submissions_folder_that_is_a_link(tmp_path):
    hand_in(tmp_path / "anna", **{"ps03.ipynb": b"{}", "data.csv": b"1"})
    (tmp_path / "eve").symlink_to(tmp_path / "anna")
    assert found_names(find_notebook(tmp_path / "eve", "ps03")) == ["not-a-file"]
    assert submitted_files(tmp_path / "eve") == ({}, ())
    assert submitted_files(tmp_path / "nowhere") == ({}, ())


def test_of_a_large_file_no_more_is_read_than_needed(tmp_path, releases):
    with open(tmp_path / f"{PS04}.ipynb", "wb") as file:
        file.truncate(1 << 40)  # a hole of a TiB
    data, findings = find_notebook(tmp_path, PS04)
    assert (len(data), findings) == (LIMITS.notebook_bytes + 1, ())
    assert names(preflight(data, releases[PS04])) == ["too-large"]


def test_what_was_found_on_the_way_is_in_the_result(tmp_path, releases):
    note = Finding("left-out-file", "The file 'x' was left out.")
    assert names(preflight(None, releases[PS04], found=[note])) == ["left-out-file", "no-notebook"]
    hand_in(tmp_path, **{"other.ipynb": b"", "another.ipynb": b"1"})
    data, found = find_notebook(tmp_path, PS04)
    assert names(preflight(data, releases[PS04], found=found)) == ["several-candidates"]
    (tmp_path / "another.ipynb").unlink()
    data, found = find_notebook(tmp_path, PS04)
    assert names(preflight(data, releases[PS04], found=found)) == ["renamed", "empty-file"]


def test_files_handed_in_beside_the_notebook(tmp_path):
    files = {"data.csv": b"1", "lib/helper.py": b"R = 1", "lib/more/äöü.txt": b""}
    hand_in(tmp_path, **files)
    hand_in(
        tmp_path,
        **{
            "ps03.ipynb": b"{}",
            "lib/other.ipynb": b"{}",
            ".ipynb_checkpoints/data.csv": b"0",
            "lib/__pycache__/helper.pyc": b"0",
        },
    )
    assert submitted_files(tmp_path) == (files, ())


def test_files_that_are_left_out(tmp_path):
    folder = tmp_path / "anna"
    hand_in(folder, **{"fine.txt": b"1", "large.bin": b"1" * ((1 << 20) + 1), "a/b/c/d.txt": b"1"})
    (folder / "link.txt").symlink_to("/etc/passwd")
    (folder / "all").symlink_to("/etc")
    os.mkfifo(folder / "pipe")
    with open(os.fsencode(folder) + b"/\xff.txt", "wb") as file:
        file.write(b"1")
    files, findings = submitted_files(folder, Limits(file_bytes=1 << 20, depth=3))
    assert files == {"fine.txt": b"1"}
    assert all(finding.name == "left-out-file" for finding in findings)
    assert [finding.says for finding in findings] == [
        "The file 'a/b/c' was left out. It is a folder too deep in others, or unreadable.",
        "The file 'all' was left out. It is a link, a folder or something else: no file.",
        "The file 'large.bin' was left out. It has more than 1 MiB.",
        "The file 'link.txt' was left out. It is a link, a folder or something else: no file.",
        "The file 'pipe' was left out. It is a link, a folder or something else: no file.",
        "The file '\\udcff.txt' was left out. Its name is not in UTF-8.",
    ]


def test_a_configuration_file_for_nbgrader_is_suspicious(tmp_path):
    planted = {"feedback/nbgrader_config.py": b"1", "nbgrader_config.json": b"{}"}
    hand_in(tmp_path, **planted, **{"a.txt": b"2"})
    files, findings = submitted_files(tmp_path)
    assert files == {"a.txt": b"2"}
    assert [finding.name for finding in findings] == ["planted-configuration"]
    assert status(findings) == "suspicious"
    hand_in(tmp_path, **{f"{number}.txt": b"1" for number in range(LIMITS.files + 1)})
    _, findings = submitted_files(tmp_path)
    assert [finding.name for finding in findings] == ["planted-configuration", "left-out-file"]


def test_too_many_files(tmp_path):
    hand_in(tmp_path, **{f"{number}.txt": b"12" for number in range(5)})
    files, [finding] = submitted_files(tmp_path, Limits(files=3))
    assert list(files) == ["0.txt", "1.txt", "2.txt"]
    assert "'3.txt' and what comes after it were left out: no more than 3 files" in finding.says
    files, [finding] = submitted_files(tmp_path, Limits(files_bytes=4))
    assert list(files) == ["0.txt", "1.txt"]
    assert "'2.txt' and what comes after it were left out" in finding.says
    for number in range(30):
        (tmp_path / f"link{number}").symlink_to("0.txt")
    files, findings = submitted_files(tmp_path)
    assert len(files) == 5
    assert len(findings) == 11
    assert findings[-1].says == "20 more files were left out."


# Findings themselves


def test_findings_survive_in_metadata():
    findings = (Finding("renamed", "It was renamed."), Finding("moved-cell", "Moved.", "ps04-xmx"))
    assert from_metadata(json.loads(json.dumps(to_metadata(findings)))) == findings


def test_the_worst_finding_is_the_status():
    for name, severity in SEVERITIES.items():
        expected = "graded" if severity == "note" else str(severity)
        assert status([Finding(name, "")]) == expected
        assert (
            status([Finding("moved-cell", ""), Finding(name, ""), Finding("moved-cell", "")])
            == expected
        )
        assert status([Finding(name, ""), Finding("no-notebook", "")]) == "refused"
    assert status([]) == "graded"


def test_a_finding_without_a_name_from_the_table():
    with pytest.raises(ValueError, match="no finding is called 'strange'"):
        Finding("strange", "It is strange.")

"""What a lesson looks like as a page; that its widgets live there is shown in a real browser."""

import nbformat.v4 as nbf
import pytest

from course_lib.widgets.page import LessonPage


@pytest.mark.parametrize("hidden", [True, False])
def test_a_cell_that_jupyterlab_folds_away_shows_its_output_alone(hidden):
    cell = nbf.new_code_cell("the_answer = 42", outputs=[nbf.new_output("stream", text="asked")])
    cell.metadata = {"jupyter": {"source_hidden": hidden}}
    page, _ = LessonPage().from_notebook_node(nbf.new_notebook(cells=[cell]))
    assert ("the_answer" in page) is not hidden
    assert "asked" in page


def test_the_exporter_is_known_to_nbconvert_by_name():
    from nbconvert.exporters import get_exporter

    assert get_exporter("lesson") is LessonPage

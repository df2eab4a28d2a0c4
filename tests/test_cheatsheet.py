"""The page to print: what it promises is that each of its numbers was worked out."""

import ast
import re
from pathlib import Path

import nbformat

CHEATSHEET = Path(__file__).parents[1] / "notebooks" / "cheatsheet.ipynb"
EXECUTOR = "executor = "


def typed_numbers(notebook):
    """Texts with digits in them, in what is written for readers: Markdown, and strings in code but
    for the reader's own executor, style sheets and base 64."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            yield from re.findall(r".*\d.*", cell.source)
        elif not cell.source.startswith(EXECUTOR):
            for node in ast.walk(ast.parse(cell.source)):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    text = node.value.replace("base64", "")
                    if re.search(r"\d", text) and not text.startswith("<style>"):
                        yield node.value


def test_no_number_on_it_is_typed():
    notebook = nbformat.read(CHEATSHEET, as_version=4)
    assert any(cell.source.startswith(EXECUTOR) for cell in notebook.cells)
    assert list(typed_numbers(notebook)) == []


def test_a_typed_number_would_be_found():
    cells = [
        nbformat.v4.new_markdown_cell("A heap of 8 GiB"),
        nbformat.v4.new_code_cell("table(('reserve', f'{heap} x 300 MiB'))"),
    ]
    assert len(list(typed_numbers(nbformat.v4.new_notebook(cells=cells)))) == 2

"""An assignment as its teacher made it: what submissions are compared with and mended from."""

import ast
import base64
import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from course_lib.grading.steps import StepError, run_step


class ReleaseError(Exception):
    """An assignment cannot be loaded; the message says why."""


@dataclass(frozen=True)
class ReleaseCell:
    """One cell of a notebook that was given out."""

    grade_id: str | None
    """nbgrader's name for the cell, None for a cell that nbgrader does not manage."""
    cell_type: str
    source: str
    """As the gradebook keeps it: with hidden tests and mark schemes, without solutions."""
    released: str
    """What learners got."""
    points: float
    """0 where it is not graded."""
    grade: bool
    solution: bool
    locked: bool
    """Whether a submission's text is replaced by `source`; test cells always are locked."""
    task: bool
    metadata: Mapping[str, Any]
    """The released cell's. nbgrader's checksum in it is the gradebook's, which is of `source`."""
    attachments: Mapping[str, Any] = field(default_factory=dict)
    """Pictures within a markdown cell, by name and media type."""

    @property
    def runs_trusted(self) -> bool:
        """Whether it is the teacher's code, which learners cannot change."""
        return self.cell_type == "code" and self.locked


@dataclass(frozen=True)
class Release:
    """One notebook of an assignment."""

    assignment: str
    notebook: str
    """Its file's name, without the ending."""
    cells: tuple[ReleaseCell, ...]
    metadata: Mapping[str, Any]
    """The notebook's: which kernel runs it, for which language."""
    learner_names: frozenset[str]
    """What solution cells bind at top level, with the teacher's solution or without it; what they
    import is not among it."""
    imports: str
    """The import statements of all cells that are not locked, of the teacher's solutions too: tests
    may rely on them, but what learners make of those cells is theirs."""
    files: Mapping[str, bytes]
    """The other files of the source folder, by their paths with slashes, relative to it."""

    @cached_property
    def managed(self) -> Mapping[str, ReleaseCell]:
        """The cells that nbgrader manages, by grade_id, in the release's order."""
        return {cell.grade_id: cell for cell in self.cells if cell.grade_id is not None}

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hexadecimal, of all of it: the same for the same release."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """As text, so that another process can have it."""
        data = {**asdict(self), "learner_names": sorted(self.learner_names)}
        data["files"] = {
            path: base64.b64encode(content).decode("ascii") for path, content in self.files.items()
        }
        return json.dumps(data, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Release":
        """The release that `to_json` wrote."""
        data = json.loads(text)
        data["cells"] = tuple(ReleaseCell(**cell) for cell in data["cells"])
        data["learner_names"] = frozenset(data["learner_names"])
        data["files"] = {path: base64.b64decode(content) for path, content in data["files"].items()}
        return cls(**data)


def load_releases(coursedir) -> dict[str, Release]:
    """The notebooks of ``coursedir.assignment_id`` by name, made from the course's source folder.

    `coursedir` is nbgrader's CourseDirectory. nbgrader's own GenerateAssignment does the work, so
    that the assignment is in the gradebook afterwards; the course's release folder stays as it is.
    Raises ReleaseError where nbgrader cannot make the assignment.
    """
    import nbformat
    from nbgrader.api import Gradebook

    if not coursedir.assignment_id:
        raise ReleaseError("which assignment? the course directory has no assignment_id")
    try:
        made = run_step(_in_memory(), coursedir)
    except StepError as error:
        raise ReleaseError(str(error)) from error
    releases = {}
    with Gradebook(coursedir.db_url, coursedir.course_id) as gradebook:
        for name, text in made.released.items():
            kept = gradebook.find_notebook(name, coursedir.assignment_id).source_cells
            released = nbformat.reads(text, as_version=4)
            source = nbformat.read(made.sources[name], as_version=4)
            imports = _imports(source)
            releases[name] = Release(
                assignment=coursedir.assignment_id,
                notebook=name,
                cells=tuple(_cells(released, {cell.name: cell for cell in kept})),
                metadata=_plain(released.metadata),
                learner_names=frozenset(_learner_names(source, released)) - names_bound(imports),
                imports=imports,
                files=made.files,
            )
    return releases


def _in_memory() -> type:
    """nbgrader's GenerateAssignment, keeping what it makes instead of releasing it."""
    from nbgrader.converters import GenerateAssignment

    class InMemory(GenerateAssignment):
        def start(self) -> None:
            self.released: dict[str, str] = {}
            self.sources: dict[str, str] = {}
            with tempfile.TemporaryDirectory(prefix="release-") as folder:
                self._folder = Path(folder, "release")
                super().start()
                self.files = _files(self._folder)

        def _format_dest(self, assignment_id: str, student_id: str, escape: bool = False) -> str:
            return str(self._folder)

        def write_single_notebook(self, output: str, resources: Mapping[str, Any]) -> None:
            self.released[resources["nbgrader"]["notebook"]] = output

        def convert_single_notebook(self, notebook_filename: str) -> None:
            self.sources[Path(notebook_filename).stem] = notebook_filename
            super().convert_single_notebook(notebook_filename)

        def set_permissions(self, assignment_id: str, student_id: str) -> None:
            """The folder is gone in a moment."""

    return InMemory


def _files(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def _cells(released, kept: Mapping[str, Any]) -> Iterator[ReleaseCell]:
    """`kept` are the gradebook's source cells by name: those that nbgrader manages."""
    from nbgrader.utils import is_grade, is_locked, is_solution, is_task

    for cell in released.cells:
        metadata = _plain(cell.metadata)
        grade_id = metadata.get("nbgrader", {}).get("grade_id")
        if grade_id in kept:
            source = kept[grade_id].source
            if kept[grade_id].checksum is not None:
                metadata["nbgrader"]["checksum"] = kept[grade_id].checksum
        else:  # nbgrader's editor leaves its metadata on a cell that is no longer to be managed
            source, grade_id = cell.source, None
            metadata.pop("nbgrader", None)
        yield ReleaseCell(
            grade_id=grade_id,
            cell_type=cell.cell_type,
            source=source,
            released=cell.source,
            points=float(metadata.get("nbgrader", {}).get("points", 0)),
            grade=grade_id is not None and is_grade(cell),
            solution=grade_id is not None and is_solution(cell),
            locked=grade_id is not None and is_locked(cell),
            task=grade_id is not None and is_task(cell),
            metadata=metadata,
            attachments=_plain(cell.get("attachments", {})),
        )


def _plain(node: Mapping[str, Any]) -> dict[str, Any]:
    """nbformat's nodes as the plain dictionaries that JSON makes."""
    return json.loads(json.dumps(node))


def _learner_names(*notebooks) -> Iterator[str]:
    from nbgrader.utils import is_solution

    for notebook in notebooks:
        for cell in notebook.cells:
            if cell.cell_type == "code" and is_solution(cell):
                yield from names_bound(cell.source)


def _imports(source) -> str:
    from nbgrader.utils import is_locked

    statements = [
        statement
        for cell in source.cells
        if cell.cell_type == "code" and not is_locked(cell)
        for statement in import_statements(cell.source)
    ]
    return "\n".join(dict.fromkeys(map(ast.unparse, statements)))


def import_statements(text: str) -> list[ast.Import | ast.ImportFrom]:
    """The imports at the top level of a cell's code."""
    return [one for one in _parsed(text).body if isinstance(one, ast.Import | ast.ImportFrom)]


def names_bound(text: str) -> frozenset[str]:
    """The names that a cell's code gives a value, or changes in place, at top level.

    Magics may be among the code. Text that is no Python, as when its solution was taken out, binds
    nothing.
    """
    visitor = _Bindings()
    visitor.visit(_parsed(text))
    return frozenset(visitor.names)


def names_used(text: str) -> frozenset[str]:
    """All names in a cell's code, but no words in its strings and comments."""
    return frozenset(node.id for node in ast.walk(_parsed(text)) if isinstance(node, ast.Name))


def _parsed(text: str) -> ast.Module:
    from IPython.core.inputtransformer2 import TransformerManager

    first, _, body = text.partition("\n")
    if first.startswith("%%"):  # %%time and its like run the rest as Python
        text = body
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        try:
            return ast.parse(TransformerManager().transform_cell(text))
        except (SyntaxError, ValueError):
            return ast.Module(body=[], type_ignores=[])


class _Bindings(ast.NodeVisitor):
    """Collects what is bound in the scope that a module's statements run in."""

    def __init__(self):
        self.names: set[str] = set()

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self.names.add(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._visit_place(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self._visit_place(node)

    def _visit_place(self, node: ast.Attribute | ast.Subscript) -> None:
        """``settings["cores"] = 2`` and ``del settings["cores"]`` change `settings`."""
        if isinstance(node.ctx, ast.Store | ast.Del):
            root = node
            while isinstance(root, ast.Attribute | ast.Subscript):
                root = root.value
            if isinstance(root, ast.Name):
                self.names.add(root.id)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.names.add(node.name)
        self._visit_all(node.decorator_list)
        self._visit_lambda(node)
        for statement in ast.walk(node):
            if isinstance(statement, ast.Global):
                self.names.update(statement.names)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._visit_lambda(node)

    def _visit_lambda(self, node) -> None:
        """Only default values are computed outside of a function."""
        self._visit_all(node.args.defaults)
        self._visit_all(value for value in node.args.kw_defaults if value is not None)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.names.add(node.name)
        self._visit_all((*node.decorator_list, *node.bases, *node.keywords))

    def _visit_comprehension(self, node) -> None:
        """Its loop variables are its own; what ``:=`` binds in it is not."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.NamedExpr):
                self.names.add(inner.target.id)

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _visit_comprehension

    def visit_Import(self, node: ast.Import) -> None:
        self.names.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.names.update(alias.asname or alias.name for alias in node.names if alias.name != "*")

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        self._capture(node, node.name)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        self._capture(node, node.name)

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self._capture(node, node.rest)

    def _capture(self, node: ast.AST, name: str | None) -> None:
        if name is not None:
            self.names.add(name)
        self.generic_visit(node)

    def _visit_all(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)

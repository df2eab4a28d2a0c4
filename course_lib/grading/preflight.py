"""Before anything runs: what was handed in is found, read, compared with the release and mended.

Whatever the bytes are, a notebook comes out that nbgrader can grade, and findings that say what was
done. Nothing that a submission holds is executed, no link in it is followed, and its size, nesting
and number of parts are bounded before they are looked at.
"""

import fnmatch
import json
import os
import re
import stat
import unicodedata
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice, pairwise
from pathlib import Path
from typing import Any

from nbformat import NotebookNode, from_dict

from course_lib.grading.findings import Finding, Status, status
from course_lib.grading.release import Release, ReleaseCell

_MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """How much of a submission is read."""

    notebook_bytes: int = 20 * _MIB
    brackets: int = 1_000_000
    """Of objects and lists in a notebook's JSON: each takes far more memory than its characters."""
    cells: int = 5_000
    source: int = 1_000_000
    """Characters of one cell."""
    files: int = 200
    """Files beside the notebook, and twenty times as many entries of a folder."""
    file_bytes: int = 10 * _MIB
    files_bytes: int = 50 * _MIB
    """Of all files beside the notebook together."""
    depth: int = 8
    """Folders within folders."""


LIMITS = Limits()


@dataclass(frozen=True)
class Preflight:
    """A submission, fit to be graded."""

    notebook: NotebookNode
    """Of nbformat 4.5, without outputs, each managed cell of the release in it exactly once and as
    nbgrader's OverwriteCells would leave it. The release itself where it is refused."""
    findings: tuple[Finding, ...]

    @property
    def refused(self) -> bool:
        """Whether nothing that was handed in could be used."""
        return status(self.findings) == Status.REFUSED


def preflight(
    data: bytes | None,
    release: Release,
    limits: Limits = LIMITS,
    found: Iterable[Finding] = (),
) -> Preflight:
    """Read a submitted notebook's bytes and mend it from the release.

    `found` is what `find_notebook` has found already; None in place of `data` says that nothing was
    handed in. Never raises for what was handed in, whatever it is.
    """
    findings = list(found)
    try:
        if data is None:
            if status(findings) != Status.REFUSED:  # by what says why there is none
                findings.append(_nothing(release.notebook))
            return Preflight(_released(release), tuple(findings))
        cells = _read(data, limits, findings)
        _recognize(cells, release, findings)
    except _RefusedError as refused:
        return Preflight(_released(release), (*findings, refused.finding))
    _compare(cells, findings)
    _complete(cells, release, findings)
    return Preflight(_notebook(cells, release), tuple(findings))


class _RefusedError(Exception):
    def __init__(self, name: str, says: str):
        super().__init__(says)
        self.finding = Finding(name, says)


@dataclass(eq=False)
class _Cell:
    """A cell of the submission, with what is used of it."""

    cell_type: str
    source: str
    nbgrader: Mapping[str, Any] = field(default_factory=dict)
    id: Any = None
    attachments: Mapping[str, Any] = field(default_factory=dict)
    released: ReleaseCell | None = None
    """The cell of the release that it is, None for a learner's own."""

    @property
    def grade_id(self) -> str | None:
        """nbgrader's name for the cell, as the submission has it."""
        grade_id = self.nbgrader.get("grade_id")
        return grade_id if isinstance(grade_id, str) else None


# Bytes to cells


def _read(data: bytes, limits: Limits, findings: list[Finding]) -> list[_Cell]:
    if len(data) > limits.notebook_bytes:
        raise _RefusedError(
            "too-large",
            f"The notebook has more than {limits.notebook_bytes / _MIB:g} MiB, and no more are "
            "read. Without the outputs of its cells it will be small: clear them all and save it.",
        )
    if not data.strip(b"\0 \t\r\n"):
        raise _RefusedError(
            "empty-file",
            "The file is empty: nothing was saved into it, or it was cut off on its way.",
        )
    document = _parse(_decode(data, findings), limits)
    raw_cells = _raw_cells(document, findings)
    if len(raw_cells) > limits.cells:
        raise _RefusedError(
            "too-many-cells",
            f"The notebook has {len(raw_cells):,} cells; at most {limits.cells:,} are graded.",
        )
    read = [_cell(raw) for raw in raw_cells]
    cells = [cell for cell in read if cell is not None]
    if len(cells) < len(read):
        findings.append(
            Finding(
                "invalid-cell",
                f"{len(read) - len(cells)} of {len(read)} cells are not what Jupyter writes, with "
                "a type and a text; they were left out.",
            )
        )
    for number, cell in enumerate(cells, start=1):
        if len(cell.source) > limits.source:
            raise _RefusedError(
                "huge-cell",
                f"Cell {number} has {len(cell.source):,} characters; at most {limits.source:,} "
                "are graded.",
            )
    broken = [cell for cell in cells if _whole_characters(cell.source) != cell.source]
    for cell in broken:
        cell.source = _whole_characters(cell.source)
    if broken:
        findings.append(
            Finding(
                "not-utf-8",
                f"In {len(broken)} cells, characters that no file can hold (halves of pairs) were "
                "replaced by \N{REPLACEMENT CHARACTER}.",
            )
        )
    return cells


def _decode(data: bytes, findings: list[Finding]) -> str:
    for encoding in (json.detect_encoding(data), "cp1252", "latin-1"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        break
    if encoding not in ("utf-8", "utf-8-sig"):  # a byte order mark is not worth a word
        findings.append(
            Finding(
                "not-utf-8",
                f"The file is not in UTF-8, as notebooks are. It was read as {encoding}; characters"
                " beyond plain ASCII may be wrong.",
            )
        )
    return text


def _parse(text: str, limits: Limits) -> Any:
    if text.count("{") + text.count("[") > limits.brackets:
        raise _RefusedError(
            "too-large",
            f"The notebook's JSON has more than {limits.brackets:,} objects and lists, and no more "
            "are read. Clear the outputs of all cells and save it.",
        )
    try:
        return json.loads(text, parse_int=float)  # Python refuses integers of many digits
    except RecursionError:
        raise _RefusedError(
            "deep-json", "The file holds lists within lists deeper than any notebook does."
        ) from None
    except ValueError as error:
        raise _RefusedError(
            "not-json",
            f"The file is not JSON, as notebooks are ({_shown(str(error), 100)}): it may be cut "
            "off, or another program may have changed it.",
        ) from None


def _raw_cells(document: Any, findings: list[Finding]) -> Sequence[Any]:
    """The cells of a notebook of any format since nbformat 2."""
    if isinstance(document, dict):
        if isinstance(document.get("cells"), list):
            return document["cells"]
        worksheets = document.get("worksheets")
        if isinstance(worksheets, list):
            findings.append(
                Finding(
                    "old-format",
                    "The notebook is of a format from before 2015. It was read as today's; save it "
                    "with a current Jupyter to be sure of what it holds.",
                )
            )
            sheets = [sheet.get("cells") for sheet in worksheets if isinstance(sheet, dict)]
            return [cell for cells in sheets if isinstance(cells, list) for cell in cells]
    raise _RefusedError(
        "not-a-notebook",
        "The file is JSON but no Jupyter notebook: it has no list of cells.",
    )


_CELL_TYPES = {
    "code": "code",
    "markdown": "markdown",
    "raw": "raw",
    # nbformat 3 had two more, and a code cell's text was its input.
    "heading": "markdown",
    "html": "markdown",
}


def _cell(raw: Any) -> _Cell | None:
    """None for what is no cell."""
    if not isinstance(raw, dict):
        return None
    source = _text(raw.get("source", raw.get("input")))
    cell_type = raw.get("cell_type")
    if source is None or not isinstance(cell_type, str) or cell_type not in _CELL_TYPES:
        return None
    metadata = raw.get("metadata")
    nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    return _Cell(
        cell_type=_CELL_TYPES[cell_type],
        source=source,
        nbgrader=nbgrader if isinstance(nbgrader, dict) else {},
        id=raw.get("id"),
        attachments=_pictures(raw.get("attachments")),
    )


def _text(value: Any) -> str | None:
    """A text as notebooks hold it, whole or in lines; None for anything else."""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    return value if isinstance(value, str) else None


def _pictures(attachments: Any) -> dict[str, dict[str, str]]:
    """Those attachments that are pictures: part of an answer that a person grades."""
    pictures = {}
    for name, bundle in attachments.items() if isinstance(attachments, dict) else ():
        texts = {
            media_type: _text(content)
            for media_type, content in (bundle.items() if isinstance(bundle, dict) else ())
            if re.fullmatch(r"image/[a-z0-9.+-]+", media_type)
        }
        texts = {media_type: text for media_type, text in texts.items() if text and text.isascii()}
        if texts:
            pictures[_whole_characters(name)] = texts
    return pictures


def _whole_characters(text: str) -> str:
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


# Which cell is which


def _recognize(cells: list[_Cell], release: Release, findings: list[Finding]) -> None:
    """Find out which released cell each is: by grade_id, by text, or by its place."""
    copies = defaultdict(list)
    unknown = []
    for cell in cells:
        if cell.grade_id in release.managed:
            copies[cell.grade_id].append(cell)
        elif cell.grade_id is not None and any(
            cell.nbgrader.get(kind) is True for kind in ("grade", "solution", "locked", "task")
        ):
            unknown.append(cell.grade_id)
    for grade_id, same in copies.items():
        same[-1].released = release.managed[grade_id]
        if len(same) > 1:
            findings.append(
                Finding(
                    "duplicated-cell",
                    f"There are {len(same)} cells called {grade_id}. The last one counts; the "
                    "others run as cells of your own.",
                    grade_id,
                )
            )
    by_text = _by_text(cells, release)
    locked = sum(cell.locked for cell in release.managed.values())
    if release.managed and not copies and 2 * len(by_text) <= locked:
        raise _RefusedError(
            "wrong-notebook",
            f"No cell of this notebook belongs to {release.notebook}: it is another notebook, or "
            "its cells were copied into a new one, without what nbgrader knows them by.",
        )
    for cell, released in by_text:
        cell.released = released
        findings.append(_lost(released, "it was recognized by its text"))
    for cell, released in _by_place(cells, release):
        cell.released = released
        findings.append(_lost(released, "the only cell in its place was taken for it"))
    if unknown:
        listed = ", ".join(_shown(grade_id) for grade_id in unknown[:5])
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        findings.append(
            Finding(
                "unknown-cell",
                f"{release.notebook} has no cells called {listed}{more}: they run as cells of your "
                "own and earn no points.",
            )
        )


def _by_text(cells: list[_Cell], release: Release) -> list[tuple[_Cell, ReleaseCell]]:
    """Cells that have lost their metadata, with the locked cells whose text they have."""
    present = {cell.released.grade_id for cell in cells if cell.released}
    absent = defaultdict(deque)
    for released in release.managed.values():
        if released.locked and released.grade_id not in present and released.released.strip():
            absent[released.cell_type, _comparable(released.released)].append(released)
    found = []
    for cell in cells:
        if absent and cell.grade_id is None:
            same = absent.get((cell.cell_type, _comparable(cell.source)))
            if same:
                found.append((cell, same.popleft()))
    return found


def _by_place(cells: list[_Cell], release: Release) -> Iterator[tuple[_Cell, ReleaseCell]]:
    """Answers that have lost their metadata: alone between the same two cells as in the release."""
    managed = list(release.managed.values())
    places = {cell.released.grade_id: place for place, cell in enumerate(cells) if cell.released}
    for index, released in enumerate(managed):
        around = managed[max(index - 1, 0) : index] + managed[index + 1 : index + 2]
        if released.grade_id in places or released.locked:
            continue
        if any(neighbour.grade_id not in places for neighbour in around):
            continue
        first = places[managed[index - 1].grade_id] + 1 if index else 0
        last = places[managed[index + 1].grade_id] if index + 1 < len(managed) else len(cells)
        between = [
            cell
            for cell in cells[first:last]
            if cell.cell_type == released.cell_type and not cell.grade_id and not cell.released
        ]
        if len(between) == 1:
            yield between[0], released


def _lost(released: ReleaseCell, how: str) -> Finding:
    return Finding(
        "lost-metadata",
        f"The cell {released.grade_id} has lost what nbgrader knows it by; {how}. Some programs "
        "drop this when they save a notebook: Jupyter keeps it.",
        released.grade_id,
    )


# Cells beside the release


def _compare(cells: list[_Cell], findings: list[Finding]) -> None:
    """Say where a cell differs from the release in what a learner should not have changed."""
    for cell in cells:
        if cell.released is None:
            continue
        grade_id = cell.released.grade_id
        texts = {_comparable(cell.released.released), _comparable(cell.released.source)}
        if cell.released.locked and _comparable(cell.source) not in texts:
            findings.append(
                Finding(
                    "changed-test",
                    f"The text of the cell {grade_id} was changed. It is the assignment's own and "
                    "was put back.",
                    grade_id,
                )
            )
        changed = list(_changed_metadata(cell, cell.released))
        if changed:
            findings.append(
                Finding(
                    "changed-metadata",
                    f"In the cell {grade_id}, {' and '.join(changed)} had been changed and was put "
                    "back.",
                    grade_id,
                )
            )


def _changed_metadata(cell: _Cell, released: ReleaseCell) -> Iterator[str]:
    if cell.cell_type != released.cell_type:
        yield "the type"
    if cell.grade_id is None:  # none left to be changed
        return
    own = released.metadata["nbgrader"]
    for key in ("grade", "solution", "locked", "task"):
        if cell.nbgrader.get(key, False) != own.get(key, False):
            yield f"nbgrader's “{key}”"
    if cell.nbgrader.get("points", 0) != own.get("points", 0):
        yield "the number of points"


def _comparable(text: str) -> str:
    """Without what editors change by themselves: line ends and spaces before them."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def _complete(cells: list[_Cell], release: Release, findings: list[Finding]) -> None:
    """Put in what is missing, and say which cells stand in another order.

    A missing answer goes in front of a learner's own cells, which may hold it; a missing test goes
    behind them.
    """
    managed = list(release.managed.values())
    order = {released.grade_id: index for index, released in enumerate(managed)}
    there = {cell.released.grade_id: cell for cell in cells if cell.released}
    in_order = [order[cell.released.grade_id] for cell in cells if cell.released]
    for before, after in pairwise(in_order):
        if after < before:
            findings.append(
                Finding(
                    "moved-cell",
                    f"The cell {managed[after].grade_id} stands behind {managed[before].grade_id}, "
                    "otherwise than in the assignment. Cells run in the order in which they stand.",
                    managed[after].grade_id,
                )
            )
    for missing, run in groupby(managed, key=lambda released: released.grade_id not in there):
        if not missing:
            continue
        run = list(run)
        first, last = order[run[0].grade_id], order[run[-1].grade_id]
        previous = cells.index(there[managed[first - 1].grade_id]) + 1 if first else 0
        following = (
            cells.index(there[managed[last + 1].grade_id])
            if last + 1 < len(managed)
            else len(cells)
        )
        answers = 1 + max((i for i, one in enumerate(run) if not one.locked), default=-1)
        added = [_Cell(one.cell_type, one.released, released=one) for one in run]
        for released in run:
            findings.append(_missing(released))
        behind = max(previous, following)
        cells[behind:behind] = added[answers:]
        cells[previous:previous] = added[:answers]


def _missing(released: ReleaseCell) -> Finding:
    if released.locked:
        return Finding(
            "missing-cell",
            f"The cell {released.grade_id} was missing. It is the assignment's own and was put "
            "back.",
            released.grade_id,
        )
    return Finding(
        "missing-answer",
        f"The cell {released.grade_id}, meant for an answer, was missing. It was put back as the "
        "assignment has it, without an answer.",
        released.grade_id,
    )


# Cells to a notebook


def _notebook(cells: Iterable[_Cell], release: Release) -> NotebookNode:
    ids = _Ids()
    managed = {grade_id: ids.take(grade_id) for grade_id in release.managed}
    nodes = []
    for cell in cells:
        own = cell.released
        if own is None:
            node = _node(cell.cell_type, ids.take(cell.id), {}, cell.source, cell.attachments)
        else:
            source = own.source if own.locked else cell.source
            attachments = {**own.attachments, **({} if own.locked else cell.attachments)}
            node = _node(own.cell_type, managed[own.grade_id], own.metadata, source, attachments)
        nodes.append(node)
    return _of_nodes(nodes, release)


def _released(release: Release) -> NotebookNode:
    """The release itself, as if it had been handed in untouched."""
    ids = _Ids()
    return _of_nodes(
        [
            _node(
                cell.cell_type,
                ids.take(cell.grade_id),
                cell.metadata,
                cell.source if cell.locked else cell.released,
                cell.attachments,
            )
            for cell in release.cells
        ],
        release,
    )


def _of_nodes(nodes: list[dict[str, Any]], release: Release) -> NotebookNode:
    return from_dict(
        {"nbformat": 4, "nbformat_minor": 5, "metadata": release.metadata, "cells": nodes}
    )


def _node(
    cell_type: str,
    cell_id: str,
    metadata: Mapping[str, Any],
    source: str,
    attachments: Mapping[str, Any],
) -> dict[str, Any]:
    node = {"cell_type": cell_type, "id": cell_id, "metadata": metadata, "source": source}
    if cell_type == "code":
        return node | {"execution_count": None, "outputs": []}
    return node | {"attachments": attachments} if attachments else node


class _Ids:
    """Cell ids, each given once, the same for the same submission."""

    def __init__(self):
        self._taken: set[str] = set()
        self._number = 0

    def take(self, wanted: Any) -> str:
        """`wanted` where it is an id that nbformat allows and is free, otherwise a new one."""
        if not isinstance(wanted, str) or not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", wanted):
            wanted = self._new()
        while wanted in self._taken:
            wanted = self._new()
        self._taken.add(wanted)
        return wanted

    def _new(self) -> str:
        self._number += 1
        return f"cell-{self._number}"


# Files to bytes


def find_notebook(
    folder: Path, name: str, others: Collection[str] = (), limits: Limits = LIMITS
) -> tuple[bytes | None, tuple[Finding, ...]]:
    """The bytes of a notebook in a submission's folder, and what was found on the way there.

    `others` are the names of the assignment's other notebooks. A file of nearly the same name is
    taken where there is no other choice; links are never followed, pipes and devices never opened.
    Of a file that is too large, one byte more is read than is allowed. None where there is nothing
    to be graded.
    """
    wanted = f"{name}.ipynb"
    try:
        if not _mode(folder):
            return None, (_nothing(name),)
        if not _is_folder(folder):
            says = f"{_shown(folder.name)} is no folder but a link, a file or something else."
            return None, (Finding("not-a-file", says),)
        if _mode(folder / wanted):
            return _read_file(folder / wanted, limits.notebook_bytes), ()
        candidates = _candidates(folder, name, others, limits)
        if not candidates:
            return None, (_nothing(name),)
        shown = [_shown(file.relative_to(folder).as_posix()) for file in candidates[:5]]
        contents = {_read_file(file, limits.notebook_bytes) for file in candidates[:5]}
    except _RefusedError as refused:
        says = f"{wanted} was handed in but not taken. {refused}"
        return None, (Finding(refused.finding.name, says),)
    except OSError as error:
        return None, (Finding("unreadable-file", f"{wanted} cannot be read: {error.strerror}."),)
    if len(contents) > 1 or len(candidates) > len(shown):
        says = f"There is no {wanted}, and more than one file may be meant: {', '.join(shown)}."
        return None, (Finding("several-candidates", says),)
    says = f"There is no {wanted}; {shown[0]} was taken for it."
    return contents.pop(), (Finding("renamed", says),)


def submitted_files(
    folder: Path,
    limits: Limits = LIMITS,
    ignore: Collection[str] = (".ipynb_checkpoints", "*.pyc", "__pycache__", "feedback"),
) -> tuple[dict[str, bytes], tuple[Finding, ...]]:
    """The files beside the notebooks, by relative path with slashes, and which were left out.

    `ignore` are patterns of names, as nbgrader's ``CourseDirectory.ignore``.
    """
    if not _is_folder(folder) or not os.access(folder, os.R_OK | os.X_OK):
        return {}, ()  # `find_notebook` has said so
    files: dict[str, bytes] = {}
    left_out = []
    total = 0
    planted = _planted(islice(_walk(folder, limits, ()), 20 * limits.files))
    for path in _walk(folder, limits, (*ignore, "*.ipynb", _CONFIGURATION)):
        shown = _shown(path.relative_to(folder).as_posix())
        try:
            content = _file_beside(path, limits)
        except _RefusedError as refused:
            left_out.append(f"The file {shown} was left out. {refused}")
        except OSError as error:
            left_out.append(f"The file {shown} was left out: {error.strerror}.")
        else:
            total += len(content)
            if len(files) == limits.files or total > limits.files_bytes:
                left_out.append(
                    f"The file {shown} and what comes after it were left out: no more than "
                    f"{limits.files} files and {limits.files_bytes / _MIB:g} MiB are taken along."
                )
                break
            files[path.relative_to(folder).as_posix()] = content
    if len(left_out) > _SENTENCES:
        left_out[_SENTENCES:] = [f"{len(left_out) - _SENTENCES} more files were left out."]
    return files, (*planted, *(Finding("left-out-file", says) for says in left_out))


_SENTENCES = 10
"""About files of one submission: more will not be read."""


_CONFIGURATION = "nbgrader_config.*"


def _planted(paths: Iterable[Path]) -> tuple[Finding, ...]:
    """A file of that name is Python code. formgrader runs it for a page, or a notebook opened in
    JupyterLab, on which there is a picture with the address ``/formgrader?path=…``."""
    if not any(fnmatch.fnmatchcase(path.name, _CONFIGURATION) for path in paths):
        return ()
    says = (
        "A file named as nbgrader's configuration was handed in, and left out: formgrader could be "
        "led to run it, with the rights of who grades. Do not open this submission in JupyterLab."
    )
    return (Finding("planted-configuration", says),)


def _file_beside(path: Path, limits: Limits) -> bytes:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise _RefusedError("left-out-file", "Its name is not in UTF-8.") from None
    if _is_folder(path):
        raise _RefusedError("left-out-file", "It is a folder too deep in others, or unreadable.")
    content = _read_file(path, limits.file_bytes)
    if len(content) > limits.file_bytes:
        says = f"It has more than {limits.file_bytes / _MIB:g} MiB."
        raise _RefusedError("left-out-file", says)
    return content


def _walk(folder: Path, limits: Limits, ignore: Collection[str], depth: int = 1) -> Iterator[Path]:
    """The entries of a folder and of those in it, in the order of names; folders not looked into
    are entries themselves."""
    for entry in _entries(folder, limits):
        if any(fnmatch.fnmatchcase(entry.name, pattern) for pattern in ignore):
            continue
        if _is_folder(entry) and depth < limits.depth and os.access(entry, os.R_OK | os.X_OK):
            yield from _walk(entry, limits, ignore, depth + 1)
        else:
            yield entry


def _candidates(folder: Path, name: str, others: Collection[str], limits: Limits) -> list[Path]:
    """Files that may be meant by a name, in the folder itself or else in one below it."""
    not_meant = {f"{other}.ipynb" for other in others}
    top = _entries(folder, limits)
    folders = [one for one in top if _is_folder(one) and not one.name.startswith((".", "__"))]
    below = [file for one in folders[: limits.files] for file in _entries(one, limits)]
    for entries in (top, below):
        files = [
            file
            for file in entries
            if file.name not in not_meant and not file.name.startswith(".") and _is_file(file)
        ]
        close = [file for file in files if _bare(file.name) == _bare(f"{name}.ipynb")]
        if close:
            return close
        notebooks = [file for file in files if file.suffix.lower() == ".ipynb"]
        if notebooks and not others:
            return notebooks
    return []


def _bare(file_name: str) -> str:
    """A notebook's name without what browsers, file managers and Jupyter put to it."""
    name = unicodedata.normalize("NFKC", file_name).casefold().strip()
    name = re.sub(r"(\.(ipynb|json|txt))+$", "", name)
    name = re.sub(r"([-_ ]*(copy ?\d*|\(\d+\)))+$|^copy of ", "", name)
    return re.sub(r"[^\w]|_", "", name)


def _entries(folder: Path, limits: Limits) -> list[Path]:
    with os.scandir(folder) as entries:
        return sorted(Path(entry.path) for entry in islice(entries, 20 * limits.files))


def _mode(path: Path) -> int:
    """What it is and who may use it, as the system says it; 0 where there is nothing."""
    try:
        return path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _is_folder(path: Path) -> bool:
    return stat.S_ISDIR(_mode(path))


def _is_file(path: Path) -> bool:
    return stat.S_ISREG(_mode(path))


def _read_file(path: Path, most: int) -> bytes:
    """A regular file's content, of a larger one `most` bytes and one more."""
    if not _is_file(path):
        raise _RefusedError("not-a-file", "It is a link, a folder or something else: no file.")
    # O_NOFOLLOW and O_NONBLOCK: should it have become something else in the meantime.
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(file, "rb") as stream:
        return stream.read(most + 1)


def _nothing(name: str) -> Finding:
    return Finding("no-notebook", f"Nothing was handed in as {name}.ipynb.")


def _shown(text: str, most: int = 60) -> str:
    """A name that others chose, fit for a sentence."""
    return repr(text if len(text) <= most else text[: most - 1] + "…")

"""pyproject.toml, requirements.lock and environment.yml name the same packages."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent


def declared() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + project["optional-dependencies"]["dev"]
    return [Requirement(line) for line in lines]


def locked(text: str) -> dict[str, list[str]]:
    """Each package of a lock with its versions: one, or several where platforms differ."""
    versions: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)", text, re.MULTILINE):
        versions.setdefault(canonicalize_name(name), []).append(version)
    return versions


def disagreements(requirements: list[Requirement], lock: dict[str, list[str]]) -> list[str]:
    """What pyproject.toml asks for and the lock does not give."""
    return [
        f"{requirement} is not met by {lock.get(canonicalize_name(requirement.name))}"
        for requirement in requirements
        if not any(
            requirement.specifier.contains(version)
            for version in lock.get(canonicalize_name(requirement.name), [])
        )
    ]


def test_the_lock_meets_every_declared_requirement():
    lock = locked((ROOT / "requirements.lock").read_text())
    assert disagreements(declared(), lock) == []


@pytest.mark.parametrize("lock", [{}, {"pyspark": ["3.5.0"]}])
def test_a_lock_that_does_not_meet_them_is_noticed(lock):
    assert any("pyspark" in line for line in disagreements(declared(), lock))


def test_every_locked_package_has_a_hash_and_no_index_address():
    text = (ROOT / "requirements.lock").read_text()
    entries = re.split(r"^(?=[A-Za-z0-9_.-]+==)", text, flags=re.MULTILINE)[1:]
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert not re.search(r"https?://|--(extra-)?index-url", text)


def test_conda_brings_python_and_java_and_leaves_the_rest_to_pip():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, by_pip = environment["dependencies"]
    assert environment["channels"] == ["conda-forge"]
    assert [line.split()[0] for line in conda] == ["python", "openjdk", "pip"]
    assert by_pip == {"pip": ["--editable .[dev]"]}

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    python = Requirement(conda[0]).specifier
    assert set(str(Requirement("python" + project["requires-python"]).specifier).split(",")) <= set(
        str(python).split(",")
    )


def test_every_file_that_is_no_module_is_installed_too():
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    package = ROOT / "course_lib"
    installed = {f for glob in setuptools["package-data"]["course_lib"] for f in package.glob(glob)}
    files = {file for file in package.rglob("*.*") if file.is_file()}
    assert {file for file in files if file.suffix not in (".py", ".pyc")} == installed


def test_the_model_needs_the_standard_library_alone():
    program = (
        "import sys; before = set(sys.modules); import course_lib.model\n"
        "new = {m.split('.')[0] for m in set(sys.modules) - before}\n"
        "print(sorted(m for m in new - {'course_lib'} if m not in sys.stdlib_module_names))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("importer", "forbidden"),
    [
        ("units", "settings model draw widgets checks spark"),
        ("settings", "model draw widgets checks spark"),
        ("model", "draw widgets checks spark"),
        ("draw", "widgets checks spark"),
        ("spark", "model draw widgets checks"),
        ("checks", "widgets draw"),
    ],
)
def test_imports_point_in_one_direction(importer, forbidden):
    files = [ROOT / f"course_lib/{importer}.py", *(ROOT / f"course_lib/{importer}").glob("*.py")]
    sources = {path.name: path.read_text() for path in files if path.is_file()}
    assert sources
    wrong = {name: parts_imported(text) & set(forbidden.split()) for name, text in sources.items()}
    assert {name: parts for name, parts in wrong.items() if parts} == {}


def parts_imported(source: str) -> set[str]:
    """The parts of course_lib that a module imports, anywhere in it, such as "draw"."""
    modules = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules += [f"{node.module}.{alias.name}" for alias in node.names]
    parts = [module.split(".") for module in modules]
    return {part[1] for part in parts if part[0] == "course_lib" and len(part) > 1}


def test_every_way_to_import_is_seen():
    for line in (
        "import course_lib.draw",
        "import os, course_lib.draw.picture as p",
        "from course_lib import units, draw",
        "from course_lib.draw.picture import picture",
        "def f():\n    from course_lib.draw import (\n        picture,\n    )",
    ):
        assert "draw" in parts_imported(line)
    assert parts_imported("# import course_lib.draw\nimport course_lib") == set()

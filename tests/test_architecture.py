"""Data flows one way: no module imports one that stands after it, and the core needs four packages."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

import pytest

import fastmpr

ROOT = Path(fastmpr.__file__).parent
# From the ground to the roof: a file or folder imports only what stands below it. A new one is put in its place here.
FLOORS = [
    "_version _validation _messages _keywords",
    "kernels",
    "runtime",
    "phantom psf operators prox metrics",
    "io",
    "plot geometry quality",
    "inspection conversion",
    "views",
    "images",
    "sums",
    "regularizers",
    "solver",
    "lam simulation resolution",
    "diagnosis",
    "reconstruction",
    "alignment",
    "assessment",
    "compat",
    "deconvolution",
    "warming",
    "page",
    "paper testing",
    "cli __main__",
]
MOST_LINES = 400
ORDER = [module for floor in FLOORS for module in floor.split()]
CORE = {"numba", "llvmlite", "numpy", "pyfftw", "scipy"}  # llvmlite is a part of numba
EXTRAS = {re.split(r"[^\w-]", line)[0] for line in requires("fastmpr") or [] if "extra ==" in line} - {"fastmpr"}
FILES = sorted(ROOT.rglob("*.py"))


def unit(parts: tuple[str, ...]) -> str:
    """The entry of ORDER that a module belongs to: its first name below fastmpr."""
    return parts[0] if parts else "__init__"


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every module that a file imports, by its full name, and whether it does so at its top level."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = set(map(id, tree.body))
    package = ("fastmpr", *path.relative_to(ROOT).parts[:-1])
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base = (*base, *(node.module.split(".") if node.module else ()))
            for alias in node.names:  # the name may be a module of a package, or something in a module
                found = ROOT.parent.joinpath(*base, alias.name)
                is_module = found.with_suffix(".py").exists() or (found / "__init__.py").exists()
                yield ".".join((*base, alias.name) if is_module else base), id(node) in top


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_flow_one_way(path):
    own = unit(path.relative_to(ROOT).with_suffix("").parts)
    for name, _ in imports(path):
        parts = tuple(name.split("."))
        if parts[0] != "fastmpr" or own == "__init__":
            continue
        other = unit(parts[1:])
        if other == "__init__":  # the package itself, for its version or public names: whoever stands at the end may
            assert own in FLOORS[-2].split() + FLOORS[-1].split(), f"{path.name} imports the whole package"
        elif other != own:
            assert ORDER.index(other) < ORDER.index(own), f"{own} imports {other}, which stands above it"


def test_every_file_and_folder_has_a_floor():
    names = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert names - {"__init__"} == set(ORDER)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_too_long_to_find_the_way_in(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MOST_LINES


def test_no_module_has_the_name_of_a_public_function():
    """Or the package would show the one or the other, by the order of imports."""
    public = {name for name in fastmpr.__all__ if not inspect.ismodule(getattr(fastmpr, name))}
    assert not public & {path.stem for path in ROOT.iterdir()}


def test_public_names_do_not_depend_on_what_was_imported_before():
    code = (
        "import importlib, pkgutil, fastmpr\n"
        "for module in pkgutil.walk_packages(fastmpr.__path__, 'fastmpr.'):\n"
        "    importlib.import_module(module.name) if not module.name.endswith('__main__') else None\n"
        "print([name for name in fastmpr.__all__ if not callable(getattr(fastmpr, name))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT.parent, check=True)
    public = ["io", "metrics", "operators", "paper", "phantom", "plot", "prox", "psf", "regularizers", "testing"]
    assert done.stdout.strip() == str(public)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_core_needs_four_packages_and_extras_are_imported_where_they_are_used(path):
    for name, at_top in imports(path):
        package = name.split(".")[0]
        if package == "fastmpr" or package in sys.stdlib_module_names:
            continue
        assert package in CORE | EXTRAS
        assert not at_top or package in CORE, f"{path.name} imports {package} at its top"


def test_importing_the_package_imports_no_extra():
    code = f"import sys, fastmpr; print(sorted(set({sorted(EXTRAS)}) & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT.parent, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there_and_explained():
    for name in fastmpr.__all__:
        assert getattr(fastmpr, name).__doc__, name

"""Data flows one way: no module imports one that stands after it, and the core needs four packages."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import fastmpr

ROOT = Path(fastmpr.__file__).parent
# Each module, or package, imports only those before it; a new one is put in its place here.
LAYERS = [
    "_validation _jit",
    "_threads",
    "_kernels _view_kernels",
    "_fft",
    "phantom psf io poses transfer resampling views",
    "simulate normal_equations",
    "regularizers admm",
    "selection",
    "reconstruct baselines metrics",
    "plot _paper_report paper",
    "cli __main__",
]
ORDER = [module for layer in LAYERS for module in layer.split()]
CORE = {"numba", "llvmlite", "numpy", "pyfftw", "scipy"}  # llvmlite is a part of numba
EXTRAS = {"matplotlib", "mrcfile", "tifffile", "tqdm"}
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
            assert own in LAYERS[-2].split() + LAYERS[-1].split(), f"{path.name} imports the whole package"
        elif other != own:
            assert ORDER.index(other) < ORDER.index(own), f"{own} imports {other}, which stands after it"


def test_the_package_imports_nothing_that_draws_or_parses_arguments():
    assert not {name for name, _ in imports(ROOT / "__init__.py")} & {"fastmpr.plot", "fastmpr.cli"}


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

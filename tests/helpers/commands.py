"""What the tests of the command line share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from fastmpr import io, phantom, psf
from fastmpr.cli import main

SHAPE = (15, 16, 18)
TRUTH = phantom.centriole(SHAPE)
PSF = psf.gaussian(9, sigma=(2, 1, 1))
N = 3


def arguments(views: Path, **changes) -> list[str]:
    """The command line that reconstructs ``views``, in a few iterations."""
    options = {
        "psf": views / "psf.tiff",
        "poses": views / "poses.csv",
        "output": views / "out.ome.tif",
        "lam": 10,
        "max-iter": 3,
        "tol": 0,
    } | {name.replace("_", "-"): value for name, value in changes.items()}
    particles = options.pop("particles", views / "particles")
    line = ["reconstruct", str(particles)]
    for name, value in options.items():
        if value is True:
            line.append(f"--{name}")
        elif value is not None:
            line += [f"--{name}", *([str(v) for v in value] if isinstance(value, tuple) else [str(value)])]
    return line


def reconstruct(views: Path, **changes) -> np.ndarray:
    assert main(arguments(views, **changes)) == 0
    return io.read(changes.get("output", views / "out.ome.tif"))[0]


def refusal(line: list[str], capsys: pytest.CaptureFixture) -> str:
    """The one line on stderr after which the command ends with status 2, having said nothing else."""
    assert main(line) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("fastmpr: error: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    return err


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def change(path: Path, array: np.ndarray, **options) -> None:
    """Replace a file by another array."""
    tifffile.imwrite(path, array, photometric=options.pop("photometric", "minisblack"), **options)


def with_value(path: Path, value: float) -> None:
    array = tifffile.imread(path)
    array[0, 0, 0] = value
    change(path, array)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def edited(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new, 1))

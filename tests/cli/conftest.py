from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import stacks
from commands import PSF, TRUTH, N, change

from fastmpr import io
from fastmpr.cli import main
from fastmpr.io import write_image


@pytest.fixture(scope="session")
def simulated(tmp_path_factory):
    """A folder as `fastmpr simulate` leaves it."""
    folder = tmp_path_factory.mktemp("cli")
    io.write(folder / "x.tif", TRUTH, 0.1)
    io.write(folder / "psf.tif", PSF, 0.1)
    arguments = ["--psf", str(folder / "psf.tif"), "--poses", str(N), "--noise", "0.01", "--quiet"]
    assert main(["simulate", str(folder / "x.tif"), "-o", str(folder / "views"), *arguments]) == 0
    return folder / "views"


@pytest.fixture
def views(simulated, tmp_path):
    """The same, to spoil."""
    return Path(shutil.copytree(simulated, tmp_path / "views"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three images of one size and a PSF, where the command is run."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("cell", "a", "b")):
        change(Path(f"{name}.tif"), stacks.blurred(seed), ome=True, metadata=stacks.sides(stacks.VOXEL))
    write_image("psf.tif", stacks.PSF, "ZYX", stacks.VOXEL)
    return tmp_path

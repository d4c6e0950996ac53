from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from commands import PSF, TRUTH, N

from fastmpr.cli import main
from fastmpr.io import tiff


@pytest.fixture(scope="session")
def simulated(tmp_path_factory):
    """A folder as `fastmpr simulate` leaves it."""
    folder = tmp_path_factory.mktemp("cli")
    tiff.write(folder / "x.tif", TRUTH, 0.1)
    tiff.write(folder / "psf.tif", PSF, 0.1)
    arguments = ["--psf", str(folder / "psf.tif"), "--poses", str(N), "--noise", "0.01", "--quiet"]
    assert main(["simulate", str(folder / "x.tif"), "-o", str(folder / "views"), *arguments]) == 0
    return folder / "views"


@pytest.fixture
def views(simulated, tmp_path):
    """The same, to spoil."""
    return Path(shutil.copytree(simulated, tmp_path / "views"))

"""The record that ``fastmpr reconstruct`` leaves beside its volume."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from commands import SHAPE, N, arguments, change, refusal

import fastmpr
from fastmpr import io
from fastmpr.cli import main
from fastmpr.cli._records import noting


def record(views: Path) -> dict:
    return json.loads((views / "out.json").read_text())


def test_it_tells_how_the_volume_came_about(views):
    assert main(arguments(views, symmetry="C2", tol=1e-9)) == 3
    kept = record(views)
    data = fastmpr.load(views / "particles", views / "psf.tiff", views / "poses.csv", symmetry="C2")
    result = fastmpr.reconstruct(data, lam=10, max_iter=3, tol=1e-9)
    assert kept["input"] == {
        "particles": [str(views / "particles")],
        "poses": str(views / "poses.csv"),
        "count": N,
        "unit": "um",
        "shape": list(SHAPE),
        "voxel_size": [0.1] * 3,
        "voxel_size_from": "file",
        "channel": None,
        "frame": None,
        "scene": None,
        "symmetry": "C2",
        "symmetry_axis": None,
        "symmetry_centre": None,
        "seen": "auto",
        "outside": "auto",
        "radius": None,
        "background": "auto",
        "gain": "same",
        "weights": "same",
    }
    assert kept["psf"]["file"] == str(views / "psf.tiff")
    assert kept["psf"]["shape"] == [9, 9, 9]
    options = {"lam": 10, "regularizer": "hessian", "max_iter": 3, "tol": 1e-9, "workers": None, "timeout": None}
    assert kept["options"] == options
    assert kept["output"] == {"file": str(views / "out.ome.tif"), "shape": list(SHAPE), "voxel_size": [0.1] * 3}
    found = kept["found"]
    expected = {"lam": 10, "nit": 3, "success": False, "status": "max_iter"}
    assert {name: found[name] for name in expected} == expected
    assert found["message"] == result.message
    assert found["fit"] == pytest.approx(result.fit, rel=1e-3)
    assert [entry["nit"] for entry in found["history"]] == [3]
    assert kept["versions"].keys() == {"fastmpr", "numpy", "numba", "pyfftw", "python", "scipy"}
    assert 0 < kept["seconds"] < 600
    assert abs((datetime.now(UTC) - datetime.fromisoformat(kept["written"])).total_seconds()) < 600


def test_it_tells_what_was_assumed_chosen_and_doubted(views):
    for path in [views / "psf.tiff", *(views / "particles").iterdir()]:
        change(path, io.read(path)[0])
    assert main(arguments(views, lam=None)) == 0
    kept = record(views)
    assert kept["input"]["voxel_size"] is kept["output"]["voxel_size"] is None
    assert any(text.startswith("voxel size: not known") for text in kept["assumed"])
    assert set(kept["assumed"]) <= set(kept["log"])
    assert kept["found"]["lam"] > 0
    assert kept["options"]["lam"] == "auto"


def test_a_record_that_is_there_is_not_replaced(views, capsys):
    (views / "out.json").write_text("mine")
    assert "out.json: exists already" in refusal(arguments(views), capsys)
    assert not (views / "out.ome.tif").exists()
    assert main(arguments(views, overwrite=True)) == 0
    assert record(views)["found"]["nit"] == 3


def test_notes_leave_the_logger_as_it_was():
    log = logging.getLogger("fastmpr")
    before = log.level, list(log.handlers)
    with noting() as notes:
        log.info("heard")
        log.debug("not heard")
    log.info("not heard")
    assert notes.taken() == {"log": ["heard"], "warnings": []}
    assert notes.taken() == {"log": [], "warnings": []}
    assert (log.level, list(log.handlers)) == before


def test_a_volume_of_one_name_and_its_record(views):
    assert main(arguments(views, output=views / "a.b.OME.TIFF")) == 0
    assert (views / "a.b.json").exists()
    assert np.isfinite(io.read(views / "a.b.OME.TIFF")[0]).all()


def test_a_preview_goes_beside_it(views):
    assert main(arguments(views, preview=True)) == 0
    assert (views / "out.png").read_bytes().startswith(b"\x89PNG")
    assert main(arguments(views, preview=True, output=views / "other.ome.tif")) == 0


def test_a_preview_that_is_there_is_not_replaced(views, capsys):
    (views / "out.png").write_text("mine")
    assert "out.png: exists already" in refusal(arguments(views, preview=True), capsys)
    assert not (views / "out.ome.tif").exists()

"""``fastmpr assess`` and ``--assess``: what they write, and when they refuse to."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from commands import PSF, TRUTH, arguments, files, refusal

import fastmpr
from fastmpr.cli import main

SMALL = ["--lam", "100", "--max-iter", "30", "--tol", "0"]


@pytest.fixture(scope="module")
def ten(tmp_path_factory):
    """A folder with ten views."""
    folder = tmp_path_factory.mktemp("ten")
    fastmpr.io.write(folder / "x.tif", TRUTH, 0.1)
    fastmpr.io.write(folder / "psf.tif", PSF, 0.1)
    line = ["simulate", str(folder / "x.tif"), "-o", str(folder / "views"), "--psf", str(folder / "psf.tif")]
    assert main([*line, "--poses", "10", "--noise", "0.02", "--quiet"]) == 0
    return folder / "views"


def line(views, output, *more, command="assess"):
    inputs = [str(views / "particles"), "--psf", str(views / "psf.tiff"), "--poses", str(views / "poses.csv")]
    return [command, *inputs, "-o", str(output), *SMALL, *more]


@pytest.mark.filterwarnings("ignore::fastmpr.FastmprWarning")
def test_it_writes_what_a_figure_needs(ten, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="profiles are drawn with matplotlib, of the extra cli")
    output = tmp_path / "out.ome.tif"
    assert main(line(ten, output, "--bootstrap", "3", "--profiles", "--local", "--save-halves")) == 0
    said = capsys.readouterr().out
    assert "resolution " in said and " um, estimated from two independent halves" in said and "diameter " in said
    volumes = {"out.ome.tif", "out.local.ome.tif", "out.half-1.ome.tif", "out.half-2.ome.tif", "out.deviation.ome.tif"}
    others = {"out.json", "out.fsc.csv", "out.half-1.npz", "out.half-2.npz", "out.profiles.csv", "out.profiles.png"}
    assert files(tmp_path) == volumes | others

    data = fastmpr.load(ten / "particles", psf=ten / "psf.tiff", poses=ten / "poses.csv")
    quality = fastmpr.assess(data, lam=100, max_iter=30, tol=0, bootstrap=3, profiles=True, local=True)
    x, voxel = fastmpr.io.read(output)
    np.testing.assert_array_equal(x, quality.result.x)
    told = json.loads((tmp_path / "out.json").read_text())["quality"]
    assert told["resolution"] == pytest.approx(quality.resolution)
    height = told["sizes"]["height"]
    assert height["unit"] == "um" and height["value"] == pytest.approx(quality.profiles.height.value)
    assert told["replicates"] == 3
    for name, expected in zip(
        ("half-1", "half-2", "deviation"), (*quality.half_volumes, quality.deviation), strict=True
    ):
        volume, side = fastmpr.io.read(tmp_path / f"out.{name}.ome.tif")
        np.testing.assert_allclose(volume, expected, rtol=1e-5, atol=1e-6 * expected.max())
        assert side == voxel
    halves = [fastmpr.NormalEquations.load(tmp_path / f"out.half-{k}.npz") for k in (1, 2)]
    assert sum(half.n_poses for half in halves) == 10
    with open(tmp_path / "out.fsc.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    np.testing.assert_allclose(
        [float(row["with_truth_estimated"]) for row in rows], quality.curve.correlation, atol=1e-5
    )


@pytest.mark.filterwarnings("ignore::fastmpr.FastmprWarning")
def test_reconstruct_assesses_on_request(ten, tmp_path, capsys):
    for name, more in (("plain", []), ("told", ["--assess"])):
        assert main(line(ten, tmp_path / f"{name}.npy", *more, command="reconstruct")) == 0
    assert files(tmp_path) == {"plain.npy", "plain.json", "told.npy", "told.json", "told.fsc.csv"}
    plain, told = (np.load(tmp_path / f"{name}.npy") for name in ("plain", "told"))
    np.testing.assert_allclose(told, plain, atol=1e-4 * plain.max())  # the sums of halves are added: other rounding
    assert json.loads((tmp_path / "plain.json").read_text())["quality"] is None


@pytest.mark.filterwarnings("ignore::fastmpr.FastmprWarning")
def test_a_search_is_assessed_by_two_more(ten, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="poses are drawn with matplotlib, of the extra cli")
    given = [
        str(ten / "particles"),
        "--psf",
        str(ten / "psf.tiff"),
        "--poses",
        str(ten / "poses.csv"),
        "--workers",
        "1",
    ]
    assert main(["refine", *given, "-o", str(tmp_path / "out.tif"), "--assess"]) == 0
    assert "estimated from two independent halves" in capsys.readouterr().out
    record = json.loads((tmp_path / "out.json").read_text())
    assert record["quality"]["resolution"] > 0 and len(record["found"]["scores"]) == 10


@pytest.mark.filterwarnings("ignore::fastmpr.FastmprWarning")
def test_three_views_have_no_halves(views, capsys):
    before = files(views)
    assert main(arguments(views, assess=True)) == 2
    assert capsys.readouterr().err.endswith("error: particles: found 3 that weigh something, need 4 for two halves\n")
    assert files(views) == before


@pytest.mark.parametrize(
    "taken", ["out.fsc.csv", "out.half-2.ome.tif", "out.half-1.npz", "out.deviation.ome.tif", "out.profiles.csv"]
)
def test_nothing_is_replaced_unasked(ten, tmp_path, capsys, taken):
    pytest.importorskip("matplotlib", reason="profiles are drawn with matplotlib, of the extra cli")
    (tmp_path / taken).write_text("mine")
    more = ["--bootstrap", "3", "--profiles", "--save-halves"]
    assert f"{taken}: exists already" in refusal(line(ten, tmp_path / "out.ome.tif", *more), capsys)
    assert files(tmp_path) == {taken} and (tmp_path / taken).read_text() == "mine"


def test_a_search_with_another_psf_is_not_assessed(ten, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="poses are drawn with matplotlib, of the extra cli")
    given = [str(ten / "particles"), "--psf", str(ten / "psf.tiff"), "-o", str(tmp_path / "out.tif")]
    assert "--assess: found --fit-psf beside it" in refusal(["ab-initio", *given, "--assess", "--fit-psf"], capsys)

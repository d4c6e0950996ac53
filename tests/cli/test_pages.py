"""``--page`` of the commands that make a volume."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from commands import arguments, files, refusal

import fastmpr
from fastmpr import page as pages
from fastmpr.cli import _found_poses, main

pytest.importorskip("matplotlib", reason="the page's pictures need matplotlib, of the extra cli")
PSF = fastmpr.psf.gaussian((9, 7, 7), sigma=(2, 1, 1)).astype(np.float32)


@pytest.fixture(autouse=True)
def unseen(monkeypatch):
    """Pictures are drawn elsewhere."""
    monkeypatch.setattr(pages.pictures, "_encoded", lambda figure: ("png", b""))


def page(views: Path) -> str:
    return (views / "out.html").read_text(encoding="utf-8")


def test_it_stands_beside_the_volume_and_tells_of_the_run(views, capsys):
    assert main(arguments(views, page=True)) == 0
    told = page(views)
    assert "3 particles, in the poses that were given, became one volume of 15 × 16 × 18 voxels" in told
    assert "voxels (z, y, x) of 0.1 µm" in told
    assert "the average of its views (below)" in told
    assert "All numbers are in out.json" in told
    assert files(views) >= {"out.ome.tif", "out.json", "out.html"} and "out.png" not in files(views)


def test_without_it_no_particle_is_averaged(views, monkeypatch):
    monkeypatch.setattr(fastmpr, "average", None)
    assert main(arguments(views)) == 0
    assert "out.html" not in files(views)


def test_a_page_that_is_there_is_not_replaced(views, capsys):
    (views / "out.html").write_text("mine")
    before = files(views)
    assert "out.html: exists already" in refusal(arguments(views, page=True), capsys)
    assert files(views) == before and page(views) == "mine"
    assert main(arguments(views, page=True, overwrite=True)) == 0
    assert "<h1>out.ome.tif</h1>" in page(views)


def test_missing_matplotlib_is_told_before_the_run(views, monkeypatch, capsys):
    monkeypatch.setattr("fastmpr.cli._words.find_spec", lambda name: None)
    before = files(views)
    assert "needs matplotlib" in refusal(arguments(views, page=True), capsys)
    assert files(views) == before


def test_the_command_of_a_record_writes_its_page_again(views, monkeypatch, capsys):
    monkeypatch.chdir(views)
    assert main(arguments(Path(), page=True)) == 0
    assert main(["reconstruct", "--again", "out.json", "-o", "again.ome.tif"]) == 0
    assert "<h1>again.ome.tif</h1>" in Path("again.html").read_text(encoding="utf-8")
    capsys.readouterr()
    assert "again.ome.tif: exists already" in refusal(["reconstruct", "--again", "again.json"], capsys)


def test_warnings_of_the_run_are_on_it(views):
    assert main(arguments(views, page=True, tol=1e-9)) == 3
    assert "This is not the final volume: stopped at max_iter" in page(views)


@pytest.mark.parametrize("found", ["C4", None])
def test_what_was_found_is_what_the_average_is_made_with(found):
    """A symmetry that was not found, because the call ended early, is none."""
    views = np.ones((3, 8, 8, 8), np.float32)
    data = fastmpr.Dataset(views, PSF, symmetry="auto")
    symmetry = None if found is None else SimpleNamespace(name=found)
    poses = fastmpr.Poses.random(3, rng=0)
    told = SimpleNamespace(poses=poses, weights=np.array([1, 0, 1]), gains=np.ones(3), symmetry=symmetry)
    used = _found_poses._with_found(data, told)
    assert used.symmetry == found and used.used.tolist() == [0, 2]
    assert np.array_equal(used.placed.matrix, poses.matrix)
    assert _found_poses._average(used, SimpleNamespace(voxel_size=(2.0, 2.0, 2.0)), None) is None  # a coarse volume
    assert _found_poses._average(used, SimpleNamespace(voxel_size=(1.0, 1.0, 1.0)), None).shape == (8, 8, 8)

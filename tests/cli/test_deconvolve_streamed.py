"""A result that does not fit is written while it is made, the same as otherwise."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from commands import files, refusal
from stacks import VOXEL, blurred

import fastmpr
from fastmpr.cli import deconvolve, main
from fastmpr.io import About, read_about, read_image, write_image

needs_zarr = pytest.mark.skipif(find_spec("zarr") is None, reason="needs zarr")
FORMATS = [".ome.tif", ".npz", pytest.param(".ome.zarr", marks=needs_zarr)]
LINE = ["--psf", "psf.tif", "--lam", "10", "--max-iter", "3", "--tol", "0"]


@pytest.fixture
def streamed(monkeypatch):
    """Results of any size take too much memory."""
    monkeypatch.setattr(deconvolve, "_LARGE", 1e12)


@pytest.mark.parametrize("suffix", FORMATS)
def test_it_is_the_same(folder, monkeypatch, suffix):
    image = np.stack([blurred(), 2 * blurred()]).astype(np.float32)
    write_image(f"two{suffix}", image, "CZYX", VOXEL, about=About(names=("red", "green")))
    line = ["deconvolve", f"two{suffix}", *LINE, "--preview", "-o"]
    assert main([*line, f"whole{suffix}"]) == 0
    monkeypatch.setattr(deconvolve, "_LARGE", 1e12)
    monkeypatch.setattr(fastmpr.io, "write_image", None)  # which takes it whole
    assert main([*line, f"streamed{suffix}"]) == 0
    whole, other = read_image(f"whole{suffix}"), read_image(f"streamed{suffix}")
    np.testing.assert_array_equal(other.values, whole.values)
    assert other[1:] == whole[1:] == ("CZYX", pytest.approx(VOXEL))
    assert read_about(f"streamed{suffix}").names == ("red", "green")
    assert Path("streamed.png").read_bytes() == Path("whole.png").read_bytes()


def test_small_images_and_large_ones_in_one_call(folder, streamed, capsys):
    write_image("flat.tif", blurred()[:1].repeat(12, 0), "ZYX", VOXEL)
    Path("broken.tif").write_bytes(Path("cell.tif").read_bytes()[:-900])
    assert "broken.tif" in refusal(["deconvolve", "cell.tif", "broken.tif", *LINE, "-o", "out"], capsys)
    assert main(["deconvolve", "cell.tif", "flat.tif", *LINE, "-o", "out"]) == 0
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "cell.json",
        "cell.ome.tif",
        "flat.json",
        "flat.ome.tif",
    ]


def test_what_fails_leaves_nothing(folder, streamed, monkeypatch, capsys):
    def fails(image, *args, **options):
        options["out"][0] = 1
        raise OSError("No space left on device")

    monkeypatch.setattr(fastmpr, "deconvolve", fails)
    before = files(folder)
    assert "No space left" in refusal(["deconvolve", "cell.tif", *LINE, "-o", "sharp.ome.tif"], capsys)
    assert files(folder) == before

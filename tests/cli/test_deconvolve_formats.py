"""Images with channels and frames through ``fastmpr deconvolve``, in each format: axes, units and names as they came."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import tifffile
from commands import refusal
from stacks import PSF, VOXEL, blurred

import fastmpr
from fastmpr.cli import main
from fastmpr.io import About, read_about, read_image, write_image

PACKAGES = {".ome.zarr": "zarr", ".h5": "h5py", ".mrc": "mrcfile"}
ABOUT = About(("DAPI", "Cy5"), (0.46, 0.67), (0.405, 0.64), 1.5)
SIZES = {"T": 2, "C": 2, "Z": 6, "Y": 12, "X": 14}
WORDS = ["--psf", "psf.npy", "--psf-voxel-size", "0.3", "0.1", "0.1", "--lam", "10", "--max-iter", "2", "--tol", "0"]


def marked(*names):
    return [
        pytest.param(
            name,
            marks=pytest.mark.skipif(
                find_spec(PACKAGES.get(name, "numpy")) is None, reason=f"needs {PACKAGES.get(name)}"
            ),
        )
        for name in names
    ]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def image_of(axes):
    """An image of which each frame and channel differs from the others."""
    shape = tuple(SIZES[axis] for axis in axes)
    parts = [blurred(k, (6, 12, 14))[slice(None) if "Z" in axes else 3] for k in range(4)]
    return np.stack(parts[: np.prod(shape[: -3 if "Z" in axes else -2], dtype=int)]).reshape(shape).astype(np.float32)


def about_of(axes):
    count = SIZES["C"] if "C" in axes else 1
    return About(*(said[:count] for said in ABOUT[:3]), ABOUT.interval if "T" in axes else None)


def sides_of(axes):
    return VOXEL if "Z" in axes else VOXEL[1:]


def sharpened(source, target, image, axes, *words):
    """Run the command on a file, and check the numbers that it writes; return all else that is in the file."""
    psf = PSF if "Z" in axes else PSF[len(PSF) // 2]
    write_image("psf.npy", psf, "ZYX"[-psf.ndim :])
    assert main(["deconvolve", source, "-o", target, *WORDS, *words]) == 0
    values, found, sides = read_image(target)
    expected = fastmpr.deconvolve(image, psf, axes=axes, voxel_size=sides_of(axes), lam=10, max_iter=2, tol=0)
    np.testing.assert_array_equal(values, expected)
    return found, sides, read_about(target)


@pytest.mark.parametrize("suffix", marked(".ome.tif", ".ome.zarr", ".h5", ".npz"))
@pytest.mark.parametrize("axes", ["YX", "CZYX", "TCYX", "TCZYX"])
def test_a_result_says_what_its_image_said(here, suffix, axes):
    image, about = image_of(axes), about_of(axes)
    write_image(f"a{suffix}", image, axes, VOXEL, about=about)
    assert sharpened(f"a{suffix}", f"b{suffix}", image, axes) == (axes, pytest.approx(sides_of(axes)), about)


@pytest.mark.parametrize("axes", ["TCYX", "TCZYX"])
def test_ome_zarr_04_becomes_05(here, axes):
    pytest.importorskip("zarr", reason="needs zarr")
    from fastmpr.io import ome_zarr

    image, sides = image_of(axes), sides_of(axes)
    with ome_zarr.created(Path("a.ome.zarr"), image.shape, image.dtype, axes, sides, ABOUT, False, "0.4") as target:
        target[...] = image
    assert sharpened("a.ome.zarr", "b.ome.zarr", image, axes) == (axes, pytest.approx(sides), ABOUT)
    assert (here / "b.ome.zarr" / "zarr.json").exists()


def test_npy_names_no_axes(here):
    image = image_of("TCZYX")
    write_image("a.npy", image, "TCZYX")
    given = ["--voxel-size", *map(str, VOXEL), "--axes", "TCZYX"]
    assert sharpened("a.npy", "b.npy", image, "TCZYX", *given)[:2] == ("TCZYX", None)


@pytest.mark.parametrize("suffix", marked(".mrc"))
def test_mrc_counts_volumes(here, suffix):
    image = image_of("TZYX")
    write_image(f"a{suffix}", image, "TZYX", VOXEL)
    assert sharpened(f"a{suffix}", f"b{suffix}", image, "TZYX")[:2] == ("TZYX", pytest.approx(VOXEL))


@pytest.mark.parametrize("axes", ["ZCTYX", "YXC"])
def test_axes_in_another_order_come_in_ours(here, axes):
    """OME's order of axes is the only one that each format can hold."""
    ours = "".join(axis for axis in "TCZYX" if axis in axes)
    image = image_of(ours)
    tifffile.imwrite("a.tif", image.transpose([ours.index(axis) for axis in axes]), metadata={"axes": axes})
    found = sharpened("a.tif", "b.ome.tif", image, ours, "--voxel-size", *map(str, VOXEL))
    assert found[:2] == (ours, pytest.approx(sides_of(ours)))


def test_several_results_are_in_the_formats_of_their_images(here):
    suffixes = {".tif": ".ome.tif", ".npz": ".npz", ".npy": ".ome.tif"}  # NPY would lose the voxel size
    suffixes |= {suffix: suffix for suffix, package in PACKAGES.items() if find_spec(package)}
    image = image_of("ZYX")
    for k, suffix in enumerate(suffixes):
        write_image(f"{k}{suffix}", image, "ZYX", VOXEL)
    write_image("psf.npy", PSF, "ZYX")
    sources = [f"{k}{suffix}" for k, suffix in enumerate(suffixes)]
    assert main(["deconvolve", *sources, "-o", "out", *WORDS, "--voxel-size", *map(str, VOXEL)]) == 0
    results = [f"{k}{suffix}" for k, suffix in enumerate(suffixes.values())]
    assert {path.name for path in Path("out").iterdir()} == {*results, *(f"{k}.json" for k in range(len(results)))}
    first = read_image(f"out/{results[0]}").values
    for name in results:
        values, axes, sides = read_image(f"out/{name}")
        np.testing.assert_array_equal(values, first)
        assert (axes, sides) == ("ZYX", pytest.approx(VOXEL))


def test_several_results_in_one_file_are_refused(here, capsys):
    for name in ("a.npz", "b.npz"):
        write_image(name, image_of("ZYX"), "ZYX", VOXEL)
    write_image("psf.npy", PSF, "ZYX")
    assert "found out.npz, one file for 2 images, need a folder" in refusal(
        ["deconvolve", "a.npz", "b.npz", "-o", "out.npz", *WORDS], capsys
    )


def test_no_package_is_asked_for_that_is_not_needed(here, monkeypatch, capsys):
    for name in ("a.npz", "b.npz"):
        write_image(name, image_of("ZYX"), "ZYX", VOXEL)
    write_image("psf.npy", PSF, "ZYX")
    monkeypatch.setitem(sys.modules, "tifffile", None)
    assert main(["deconvolve", "a.npz", "b.npz", "-o", "out", *WORDS]) == 0
    assert main(["deconvolve", "a.npz", "-o", "c.npz", *WORDS]) == 0
    capsys.readouterr()
    assert "TIFF files need tifffile" in refusal(["deconvolve", "a.npz", "-o", "d.tif", *WORDS], capsys)
    for k in range(2):
        write_image(f"{k}.npy", image_of("ZYX"), "ZYX")
    assert main(["deconvolve", "0.npy", "1.npy", "-o", "other", *WORDS]) == 2  # before anything is done
    assert capsys.readouterr().err.count("TIFF files need tifffile") == 2
    assert not Path("other").exists()

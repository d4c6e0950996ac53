"""Voxel sizes in every unit that a format can state: read, carried by a data set, and written in every other format."""

from __future__ import annotations

from importlib.util import find_spec

import microscopes
import numpy as np
import pytest
import tifffile

import fastmpr
from fastmpr import io
from fastmpr.io import About, write_image

VOLUME = np.random.default_rng(0).integers(1, 999, (4, 5, 6)).astype(np.uint16)
VOXEL = (0.3, 0.1, 0.1)  # micrometres; ND2 has one number for y and x
NONE = (0.0, 0.0, 0.0)
PER_UM = {"um": 1, "nm": 1e3, "A": 1e4, "m": 1e-6, "inch": 1 / 25400, None: 0}
OME = {"um": "\u00b5m", "nm": "nm", "A": "\u00c5", None: "\u00b5m"}
ZARR = {"um": "micrometer", "nm": "nanometer", "A": "angstrom", None: None}
NAMES = (("GFP",), (509,), 2.5)


def in_unit(unit):
    return [PER_UM[unit] * side for side in VOXEL]


def ome_tiff(path, unit):
    lengths = dict(zip("ZYX", in_unit(unit), strict=True)) if unit else {}
    said = {f"PhysicalSize{axis}": length for axis, length in lengths.items()}
    said |= {f"PhysicalSize{axis}Unit": OME[unit] for axis in lengths}
    tifffile.imwrite(path, VOLUME, ome=True, photometric="minisblack", metadata={"axes": "ZYX"} | said)


def imagej(path, unit):
    z, y, x = in_unit(unit)
    resolution, said = ((1 / x, 1 / y), {"spacing": z, "unit": unit}) if unit else (None, {})
    tifffile.imwrite(path, VOLUME, imagej=True, resolution=resolution, metadata={"axes": "ZYX"} | said)


def ome_zarr(version):
    def write(path, unit):
        import zarr

        from fastmpr.io import ome_zarr as format_of

        args = path, VOLUME.shape, np.float32, "ZYX", VOXEL if unit else None, About(), False, version
        with format_of.created(*args) as target:
            target[...] = VOLUME
        group = zarr.open_group(str(path), mode="r+")
        said = dict(group.attrs)
        (pyramid,) = said.get("ome", said)["multiscales"]
        for axis in pyramid["axes"]:
            axis.update({"unit": ZARR[unit]} if unit else {})
        if unit:
            pyramid["datasets"][0]["coordinateTransformations"][0]["scale"] = in_unit(unit)
        group.attrs.update(said)

    return write


def mrc(path, unit):
    import mrcfile

    with mrcfile.new(path) as file:
        file.set_data(VOLUME)
        if unit:
            file.voxel_size = tuple(in_unit(unit)[::-1])


def ours(path, unit):
    write_image(path, VOLUME, "ZYX", VOXEL if unit else None)


def czi(path, unit):
    microscopes.write_czi(path, VOLUME[None, None], VOXEL if unit else NONE)


def lif(path, unit):
    sides = [1e6 * side for side in in_unit(unit)]  # the helper takes micrometres and states metres
    microscopes.write_lif(path, {"cell": VOLUME[None, None]}, sides, *NAMES, unit=unit or "m")


def oif(path, unit):
    microscopes.write_oif(path, VOLUME[None, None], VOXEL if unit else NONE, *NAMES)


def oib(path, unit):
    microscopes.write_oib(path, VOLUME[None, None], VOXEL if unit else NONE, *NAMES)


def nd2(path, unit):
    microscopes.write_nd2(path, VOLUME[None, None], VOXEL if unit else NONE, *NAMES)


# who writes, suffix, package, the units that the format can state (those of OIF are mixed: nanometres along z)
WRITERS = [
    (ome_tiff, ".ome.tif", "tifffile", ("um", "nm", "A")),
    (imagej, ".tif", "tifffile", ("um", "nm", "inch")),
    (ome_zarr("0.4"), ".zarr", "zarr", ("um", "nm", "A")),
    (ome_zarr("0.5"), ".ome.zarr", "zarr", ("um", "nm", "A")),
    (mrc, ".mrc", "mrcfile", ("A",)),
    (ours, ".h5", "h5py", ("um",)),
    (ours, ".npz", "numpy", ("um",)),
    (czi, ".czi", "pylibCZIrw", ("m",)),
    (lif, ".lif", "liffile", ("m", "um", "nm")),
    (oif, ".oif", "oiffile", ("um",)),
    (oib, ".oib", "oiffile", ("um",)),
    (nd2, ".nd2", "nd2", ("um",)),
]
TABLE = [
    pytest.param(
        write,
        suffix,
        unit,
        id=f"{suffix}-{unit}",
        marks=pytest.mark.skipif(find_spec(package) is None, reason=f"needs {package}"),
    )
    for write, suffix, package, units in WRITERS
    for unit in (*units, None)
]
TARGETS = {".ome.tif": "tifffile", ".ome.zarr": "zarr", ".mrc": "mrcfile", ".h5": "h5py", ".npz": "numpy"}


@pytest.mark.parametrize(("write", "suffix", "unit"), TABLE)
def test_it_is_read_and_carried_and_written_everywhere(tmp_path, write, suffix, unit):
    path, expected = tmp_path / f"a{suffix}", unit and pytest.approx(VOXEL, rel=1e-6)
    write(path, unit)
    volume, found = io.read(path)
    np.testing.assert_array_equal(volume, VOLUME)
    assert found == expected
    assert io.read_image(path).voxel_size == expected
    data = fastmpr.load([path, path])
    assert data.voxel_size == (expected if unit else (1, 1, 1))
    for target in (target for target, package in TARGETS.items() if find_spec(package)):
        fastmpr.convert(path, tmp_path / f"b{target}")
        volume, found = io.read(tmp_path / f"b{target}")
        np.testing.assert_array_equal(volume, VOLUME)
        assert found == expected

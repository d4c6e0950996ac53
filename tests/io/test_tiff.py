from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import tifffile
from image_files import (
    LAYOUTS,
    NANOMETRES,
    OME,
    STACK,
    UNCLEAR,
    VOLUME,
    hide,
    imagej,
    imagej_text,
    ome_set,
    one_line,
    save,
    unclear,
)

from fastmpr import io
from fastmpr.io import open_particles

PIXEL = (("", 1.0), ("Unit", "pixel"))  # what stands for no size


class TestRead:
    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_layouts(self, tmp_path, layout):
        metadata = {"metadata": {"axes": "ZYX"}} if layout in ("ome", "ome-deflate", "imagej", "tiled") else {}
        volume, voxel_size = io.read(save(tmp_path / "v.tif", VOLUME, **LAYOUTS[layout], **metadata))
        np.testing.assert_array_equal(volume, VOLUME)
        assert volume.dtype == np.float32
        assert volume.dtype.isnative
        assert voxel_size is None

    @pytest.mark.parametrize(
        ("dtype", "expected"),
        [("u1", "f4"), (">u2", "f4"), ("i2", "f4"), ("u4", "f4"), ("f2", "f4"), ("f4", "f4"), (">f8", "f8")],
    )
    def test_dtypes(self, tmp_path, dtype, expected):
        array = (100 * VOLUME).astype(dtype)
        volume, _ = io.read(save(tmp_path / "v.tif", array))
        assert volume.dtype == np.dtype(expected)
        np.testing.assert_array_equal(volume, array)

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({"ome": True, "metadata": OME}, (0.3, 0.2, 0.1)),
            ({"ome": True, "metadata": OME | NANOMETRES}, (3e-4, 2e-4, 1e-4)),
            ({"ome": True, "metadata": OME | {"PhysicalSizeZ": 3e-6, "PhysicalSizeZUnit": "dm"}}, (0.3, 0.2, 0.1)),
            ({"ome": True, "metadata": OME | {"PhysicalSizeZ": 3000, "PhysicalSizeZUnit": "\u212b"}}, (0.3, 0.2, 0.1)),
            ({"ome": True, "metadata": {f"PhysicalSize{a}{b}": c for a in "XYZ" for b, c in PIXEL}}, None),
            ({"ome": True, "metadata": {}}, None),
            (imagej(10, 5, spacing=0.3, unit="um"), (0.3, 0.2, 0.1)),
            (imagej(10, 5, spacing=0.3, unit="\\u00B5m"), (0.3, 0.2, 0.1)),
            (imagej(0.01, 0.01, spacing=40, unit="nm"), (0.04, 0.1, 0.1)),
            (imagej(254000, 127000, spacing=0.3 / 25400, unit="inch"), (0.3, 0.2, 0.1)),
            (imagej(1, 1, unit="pixel"), None),
            (imagej(1, 1, spacing=1.0), None),
            (imagej(1, 1, unit="pixels", spacing=1), None),
            ({"resolution": (10, 10), "resolutionunit": "CENTIMETER"}, None),
        ],
    )
    def test_voxel_size_is_known_or_none(self, tmp_path, options, expected):
        metadata = {"axes": "ZYX"} | options.get("metadata", {})
        _, voxel_size = io.read(save(tmp_path / "v.tif", VOLUME, **(options | {"metadata": metadata})))
        assert voxel_size == (expected and pytest.approx(expected, rel=1e-6))

    @pytest.mark.parametrize(
        ("resolution", "text"),
        [
            ((10, 5), "unit=um\nzunit=nm\nspacing=300.0\n"),
            ((10, 0.005), "unit=um\nyunit=nm\nspacing=0.3\n"),
            ((0.01, 0.005), "unit=nm\nyunit=nm\nzunit=mm\nspacing=0.0003\n"),
            ((10, 5), "unit=micrometer\nspacing=0.3\n"),
            ((10, 5), "unit=Micron\nspacing=0.3\n"),
            ((10, 5), "unit=\u00b5m\nspacing=0.3\n"),
            ((10, 5), "unit=\u00c2\u00b5m\nspacing=0.3\n"),
        ],
    )
    def test_imagej_tells_each_axis_in_its_own_unit(self, tmp_path, resolution, text):
        path = imagej_text(tmp_path / "v.tif", resolution, text)
        assert io.read(path)[1] == pytest.approx((0.3, 0.2, 0.1))
        assert open_particles(path).voxel_size == pytest.approx((0.3, 0.2, 0.1))

    @pytest.mark.parametrize("reader", [io.read, lambda *args: list(open_particles(*args))])
    @pytest.mark.parametrize("name", UNCLEAR)
    def test_a_part_of_a_size_is_none_but_may_be_completed(self, tmp_path, name, reader):
        path = unclear(tmp_path / "v.tif", name)
        with pytest.raises(ValueError, match="found a voxel size that is not clear .* need its voxel size") as error:
            reader(path)
        assert one_line(error, path)
        np.testing.assert_array_equal(reader(path, (3.0, 1.0, 1.0))[0], VOLUME)
        assert io.read(path, (3.0, 1.0, 1.0))[1] == open_particles(path, (3.0, 1.0, 1.0)).voxel_size == (3.0, 1.0, 1.0)

    def test_what_is_given_goes_before_what_the_file_says(self, tmp_path):
        path = save(tmp_path / "v.tif", VOLUME, ome=True, metadata=OME)
        assert io.read(path, (3.0, 2.0, 1.5))[1] == (3.0, 2.0, 1.5)

    def test_a_set_of_files_is_read_one_by_one(self, tmp_path):
        """Each holds one volume of all that the common description names, whatever its place among them."""
        planes = {f"{t}.ome.tif": [(t, z) for z in range(5)] for t in range(4)}
        for path, expected in zip(ome_set(tmp_path, STACK, planes), STACK, strict=True):
            volume, voxel_size = io.read(path)
            np.testing.assert_array_equal(volume, expected)
            assert voxel_size == (0.3, 0.1, 0.1)

    @pytest.mark.parametrize(
        "planes",
        [
            {f"{z}.ome.tif": [(0, z)] for z in range(5)},  # one plane each
            {f"{z}.ome.tif": [(t, z) for t in range(4)] for z in range(5)},  # pages of several volumes
            {"a.ome.tif": [(0, z) for z in (1, 0, 2, 3, 4)], "b.ome.tif": [(1, z) for z in range(5)]},  # out of order
            {"a.ome.tif": [(0, 0), (0, 1), (0, 2)], "b.ome.tif": [(0, 3), (0, 4)]},
            {"a.ome.tif": [(t, z) for t in (0, 1) for z in range(5)], "b.ome.tif": [(2, z) for z in range(5)]},
        ],
    )
    def test_a_set_of_files_that_hold_no_whole_volume(self, tmp_path, planes):
        path = ome_set(tmp_path, STACK, planes)[0]
        with pytest.raises(
            ValueError, match="a part of a set of OME files .* need each volume whole, in a file"
        ) as error:
            io.read(path)
        assert one_line(error, path)

    def test_metadata_in_another_file(self, tmp_path):
        xml = '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:1">'
        xml += '<BinaryOnly MetadataFile="all.companion.ome" UUID="urn:uuid:2"/></OME>'
        path = save(tmp_path / "v.ome.tif", VOLUME, description=xml, metadata=None)
        with pytest.raises(ValueError, match="whose metadata lie in another file, need each volume whole"):
            io.read(path)

    @pytest.mark.skipif(find_spec("imagecodecs") is not None, reason="imagecodecs is there")
    def test_a_compression_that_needs_another_package(self, tmp_path):
        path = save(tmp_path / "v.tif", VOLUME, metadata=None, compression="zlib")
        with tifffile.TiffFile(path, mode="r+") as tif:
            for page in tif.pages:
                page.tags["Compression"].overwrite(34892, dtype="H")  # lossy JPEG, which no Python alone decodes
        for reader in (io.read, lambda path: open_particles(path)[0]):
            with pytest.raises(ImportError, match="pip install imagecodecs") as error:
                reader(path)
            assert one_line(error, path)

    @pytest.mark.parametrize("layout", LAYOUTS)
    @pytest.mark.parametrize("part", [0.001, 0.1, 0.5, 0.8, 0.9, 0.97])
    def test_truncated(self, tmp_path, layout, part, caplog):
        metadata = {"metadata": {"axes": "ZYX"}} if layout in ("ome", "ome-deflate", "imagej", "tiled") else {}
        data = save(tmp_path / "whole.tif", VOLUME, **LAYOUTS[layout], **metadata).read_bytes()
        path = tmp_path / "v.tif"
        path.write_bytes(data[: int(part * len(data))])
        for reader in (io.read, open_particles):
            with pytest.raises(ValueError) as error:
                reader(path)
            assert one_line(error, path)

    def test_last_byte_missing(self, tmp_path):
        """A plain file that ends within its last page's data, behind all its page headers."""
        path = tmp_path / "v.tif"
        save(path, VOLUME[0], metadata=None)
        data = path.read_bytes()
        path.write_bytes(data[:-1])
        with pytest.raises(ValueError, match="truncated .* bytes of"):
            io.read(path)

    @pytest.mark.parametrize(
        ("array", "options", "message"),
        [
            (VOLUME[0], {}, r"shape \(12, 14\).*need a 3-D volume"),
            (VOLUME[0], {"ome": True}, r"shape \(12, 14\).*need a 3-D volume"),
            (STACK, {}, r"shape \(4, 5, 12, 14\).*need a 3-D volume"),
            (np.zeros((10, 32, 3), "u1"), {"photometric": "rgb"}, "RGB"),
            (np.zeros((7, 10, 32, 3), "u1"), {"photometric": "rgb"}, "RGB"),
            (np.zeros((3, 10, 32), "u1"), {"photometric": "rgb", "planarconfig": "separate"}, "RGB"),
            (VOLUME[:3], {"ome": True, "metadata": {"axes": "CYX"}}, "axes CYX, need a 3-D volume"),
            (np.full((3, 4, 5), np.inf, "f4"), {}, "found 60 infinite"),
            (np.full((3, 4, 5), 1j, "c8"), {}, "complex64, need real"),
        ],
    )
    def test_not_a_volume(self, tmp_path, array, options, message):
        path = save(tmp_path / "v.tif", array, **options)
        with pytest.raises((ValueError, TypeError), match=message) as error:
            io.read(path)
        assert one_line(error, path)

    def test_separate_images(self, tmp_path):
        path = tmp_path / "v.tif"
        with tifffile.TiffWriter(path) as writer:
            writer.write(VOLUME)
            writer.write(VOLUME[:, :5])
        with pytest.raises(ValueError, match="found 2 separate images"):
            io.read(path)

    @pytest.mark.parametrize("data", [b"", b"II", b"name,rot1\n", b"II*\0\x08\0\0\0", bytes(1000)])
    def test_no_tiff(self, tmp_path, data):
        path = tmp_path / "v.tif"
        path.write_bytes(data)
        with pytest.raises(ValueError) as error:
            io.read(path)
        assert one_line(error, path)

    def test_no_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="does not exist"):
            io.read(tmp_path / "v.tif")
        with pytest.raises(IsADirectoryError, match="is a folder"):
            io.read(tmp_path)

    @pytest.mark.parametrize("compression", [None, "zlib"])
    def test_declared_terabytes(self, tmp_path, compression):
        """A small file whose header was edited to declare pages of 2^30 x 2^30."""
        path = save(tmp_path / "v.tif", VOLUME, metadata=None, compression=compression, rowsperstrip=12)
        with tifffile.TiffFile(path, mode="r+") as tif:
            for page in tif.pages:
                for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
                    page.tags[name].overwrite(2**30 - 1, dtype="I")
        assert path.stat().st_size < 30_000
        with pytest.raises(ValueError, match="GB|truncated"):
            io.read(path)

    def test_missing_tifffile(self, tmp_path, monkeypatch):
        save(tmp_path / "v.tif", VOLUME)
        hide(monkeypatch, "tifffile")
        with pytest.raises(ImportError, match=r'pip install "fastmpr\[cli\]"'):
            io.read(tmp_path / "v.tif")
        with pytest.raises(ImportError, match=r'pip install "fastmpr\[cli\]"'):
            io.write(tmp_path / "w.tif", VOLUME)


class TestStack:
    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_layouts(self, tmp_path, layout):
        metadata = {"metadata": {"axes": "TZYX"}} if layout in ("ome", "ome-deflate", "imagej", "tiled") else {}
        path = save(tmp_path / "s.tif", STACK, **LAYOUTS[layout], **metadata)
        if layout.startswith("plain"):  # nothing in the file tells that its 20 pages are 4 volumes
            stack = open_particles(path)
            assert (len(stack), stack.shape) == (1, (20, 12, 14))
            np.testing.assert_array_equal(stack[0], VOLUME)
            return
        stack = open_particles(path)
        assert (len(stack), stack.shape, stack.voxel_size) == (4, (5, 12, 14), None)
        for i, volume in enumerate(stack):
            np.testing.assert_array_equal(volume, STACK[i])
        np.testing.assert_array_equal(stack[-1], STACK[3])
        with pytest.raises(IndexError):
            stack[4]

    @pytest.mark.parametrize("options", [{}, {"compression": "zlib", "volumetric": True, "tile": (16, 16, 16)}])
    def test_volumes_within_pages(self, tmp_path, options):
        path = save(tmp_path / "s.tif", STACK, metadata={"axes": "TZYX"}, **options)
        np.testing.assert_array_equal(np.stack(list(open_particles(path))), STACK)

    def test_voxel_size(self, tmp_path):
        path = save(tmp_path / "s.tif", STACK, ome=True, metadata=OME | {"axes": "TZYX"})
        assert open_particles(path).voxel_size == (0.3, 0.2, 0.1)

    def test_other_axes(self, tmp_path):
        path = save(tmp_path / "s.tif", STACK, ome=True, metadata={"axes": "ZCYX"})
        with pytest.raises(ValueError, match="axes ZCYX, need a 4-D stack"):
            open_particles(path)

    def test_infinity_names_the_volume(self, tmp_path):
        array = STACK.copy()
        array[2, 0, 0, 0] = np.inf
        stack = open_particles(save(tmp_path / "s.tif", array))
        stack[1]
        with pytest.raises(ValueError, match=r"s\.tif, volume 2: found 1 infinite"):
            stack[2]

    def test_files_are_closed(self, tmp_path):
        path = save(tmp_path / "s.tif", STACK, compression="zlib")
        open_files = Path("/proc/self/fd")
        if not open_files.exists():
            pytest.skip("needs /proc to count open files")
        before = len(os.listdir(open_files))
        stack = open_particles(path)
        stack[0]
        assert len(os.listdir(open_files)) == before + 1
        del stack
        assert len(os.listdir(open_files)) == before


class TestWrite:
    @pytest.mark.parametrize(("dtype", "expected"), [("f4", "f4"), (">f8", "f8"), ("u2", "f4"), ("?", "f4")])
    def test_round_trip(self, tmp_path, dtype, expected):
        array = (100 * VOLUME).astype(dtype)
        io.write(tmp_path / "v.ome.tif", array[::2, ::-1], (0.3, 0.2, 1 / 7))
        volume, voxel_size = io.read(tmp_path / "v.ome.tif")
        np.testing.assert_array_equal(volume, array[::2, ::-1])
        assert volume.dtype == np.dtype(expected)
        assert voxel_size == (0.3, 0.2, 1 / 7)

    def test_says_only_what_is_known(self, tmp_path):
        io.write(tmp_path / "v.ome.tif", VOLUME)
        assert io.read(tmp_path / "v.ome.tif")[1] is None
        with tifffile.TiffFile(tmp_path / "v.ome.tif") as tif:
            assert tif.is_ome
            assert tif.series[0].axes == "ZYX"
            assert "PhysicalSize" not in tif.ome_metadata

    def test_nothing_is_overwritten_unasked(self, tmp_path):
        path = tmp_path / "v.ome.tif"
        path.write_text("mine")
        with pytest.raises(FileExistsError, match="exists already"):
            io.write(path, VOLUME)
        assert path.read_text() == "mine"
        io.write(path, VOLUME, overwrite=True)
        np.testing.assert_array_equal(io.read(path)[0], VOLUME)
        assert list(tmp_path.iterdir()) == [path]

    def test_bad_volume_leaves_nothing(self, tmp_path):
        for bad in (VOLUME[0], VOLUME * np.nan, np.zeros((0, 3, 3))):
            with pytest.raises(ValueError, match="^volume: found"):
                io.write(tmp_path / "v.ome.tif", bad)
        assert list(tmp_path.iterdir()) == []

    def test_failure_midway_leaves_nothing(self, tmp_path, monkeypatch):
        def fail(path, *args, **kwargs):
            Path(path).write_bytes(b"half")
            raise OSError("no space left")

        monkeypatch.setattr(tifffile, "imwrite", fail)
        with pytest.raises(OSError, match="no space left"):
            io.write(tmp_path / "v.ome.tif", VOLUME)
        assert list(tmp_path.iterdir()) == []


def test_a_file_that_ends_in_zeros(tmp_path):
    """A copy that broke off into a file of the right size: its pages are zeros from some byte on."""
    path = save(tmp_path / "v.tif", VOLUME)
    raw = path.read_bytes()
    for k in range(1, 10):
        kept = len(raw) * k // 10
        path.write_bytes(raw[:kept] + bytes(len(raw) - kept))
        try:
            volume, _ = io.read(path)
        except ValueError as error:
            assert "zero-size" not in str(error)
            assert str(error).startswith(f"{path}: found") or "cannot be read as a TIFF file" in str(error)
        else:
            assert volume.shape == VOLUME.shape

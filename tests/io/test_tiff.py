from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from images import LAYOUTS, NANOMETRES, OME, STACK, VOLUME, hide, imagej, one_line, save

from fastmpr.io import tiff


class TestRead:
    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_layouts(self, tmp_path, layout):
        metadata = {"metadata": {"axes": "ZYX"}} if layout in ("ome", "ome-deflate", "imagej", "tiled") else {}
        volume, voxel_size = tiff.read(save(tmp_path / "v.tif", VOLUME, **LAYOUTS[layout], **metadata))
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
        volume, _ = tiff.read(save(tmp_path / "v.tif", array))
        assert volume.dtype == np.dtype(expected)
        np.testing.assert_array_equal(volume, array)

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({"ome": True, "metadata": OME}, (0.3, 0.2, 0.1)),
            ({"ome": True, "metadata": OME | NANOMETRES}, (3e-4, 2e-4, 1e-4)),
            ({"ome": True, "metadata": OME | {"PhysicalSizeXUnit": "pixel"}}, None),
            ({"ome": True, "metadata": OME | {"PhysicalSizeZ": 0.0}}, None),
            ({"ome": True, "metadata": {k: v for k, v in OME.items() if k != "PhysicalSizeZ"}}, None),
            (imagej(10, 5, spacing=0.3, unit="um"), (0.3, 0.2, 0.1)),
            (imagej(10, 5, spacing=0.3, unit="\\u00B5m"), (0.3, 0.2, 0.1)),
            (imagej(0.01, 0.01, spacing=40, unit="nm"), (0.04, 0.1, 0.1)),
            (imagej(10, 5, spacing=0.3), None),
            (imagej(10, 5, unit="um"), None),
            (imagej(10, 5, spacing=0.3, unit="inch"), None),
            ({"resolution": (10, 10), "resolutionunit": "CENTIMETER"}, None),
        ],
    )
    def test_voxel_size_is_known_or_none(self, tmp_path, options, expected):
        metadata = {"axes": "ZYX"} | options.get("metadata", {})
        _, voxel_size = tiff.read(save(tmp_path / "v.tif", VOLUME, **(options | {"metadata": metadata})))
        assert voxel_size == (expected and pytest.approx(expected, rel=1e-6))

    @pytest.mark.parametrize("layout", LAYOUTS)
    @pytest.mark.parametrize("part", [0.001, 0.1, 0.5, 0.8, 0.9, 0.97])
    def test_truncated(self, tmp_path, layout, part, caplog):
        metadata = {"metadata": {"axes": "ZYX"}} if layout in ("ome", "ome-deflate", "imagej", "tiled") else {}
        data = save(tmp_path / "whole.tif", VOLUME, **LAYOUTS[layout], **metadata).read_bytes()
        path = tmp_path / "v.tif"
        path.write_bytes(data[: int(part * len(data))])
        for reader in (tiff.read, tiff.Stack):
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
            tiff.read(path)

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
            (np.full((3, 4, 5), np.nan, "f4"), {}, "found 60 NaN"),
            (np.full((3, 4, 5), 1j, "c8"), {}, "complex64, need real"),
        ],
    )
    def test_not_a_volume(self, tmp_path, array, options, message):
        path = save(tmp_path / "v.tif", array, **options)
        with pytest.raises((ValueError, TypeError), match=message) as error:
            tiff.read(path)
        assert one_line(error, path)

    def test_separate_images(self, tmp_path):
        path = tmp_path / "v.tif"
        with tifffile.TiffWriter(path) as writer:
            writer.write(VOLUME)
            writer.write(VOLUME[:, :5])
        with pytest.raises(ValueError, match="found 2 separate images"):
            tiff.read(path)

    @pytest.mark.parametrize("data", [b"", b"II", b"name,rot1\n", b"II*\0\x08\0\0\0", bytes(1000)])
    def test_no_tiff(self, tmp_path, data):
        path = tmp_path / "v.tif"
        path.write_bytes(data)
        with pytest.raises(ValueError) as error:
            tiff.read(path)
        assert one_line(error, path)

    def test_no_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="does not exist"):
            tiff.read(tmp_path / "v.tif")
        with pytest.raises(IsADirectoryError, match="is a folder"):
            tiff.read(tmp_path)

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
            tiff.read(path)

    def test_missing_tifffile(self, tmp_path, monkeypatch):
        hide(monkeypatch, "tifffile")
        with pytest.raises(ImportError, match=r'pip install "fastmpr\[cli\]"'):
            tiff.read(tmp_path / "v.tif")
        with pytest.raises(ImportError, match=r'pip install "fastmpr\[cli\]"'):
            tiff.write(tmp_path / "v.tif", VOLUME)


class TestStack:
    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_layouts(self, tmp_path, layout):
        metadata = {"metadata": {"axes": "TZYX"}} if layout in ("ome", "ome-deflate", "imagej", "tiled") else {}
        path = save(tmp_path / "s.tif", STACK, **LAYOUTS[layout], **metadata)
        if layout.startswith("plain"):  # nothing in the file tells that its 20 pages are 4 volumes
            stack = tiff.Stack(path)
            assert (len(stack), stack.shape) == (1, (20, 12, 14))
            np.testing.assert_array_equal(stack[0], VOLUME)
            return
        stack = tiff.Stack(path)
        assert (len(stack), stack.shape, stack.voxel_size) == (4, (5, 12, 14), None)
        for i, volume in enumerate(stack):
            np.testing.assert_array_equal(volume, STACK[i])
        np.testing.assert_array_equal(stack[-1], STACK[3])
        with pytest.raises(IndexError):
            stack[4]

    @pytest.mark.parametrize("options", [{}, {"compression": "zlib", "volumetric": True, "tile": (16, 16, 16)}])
    def test_volumes_within_pages(self, tmp_path, options):
        path = save(tmp_path / "s.tif", STACK, metadata={"axes": "TZYX"}, **options)
        np.testing.assert_array_equal(np.stack(list(tiff.Stack(path))), STACK)

    def test_voxel_size(self, tmp_path):
        path = save(tmp_path / "s.tif", STACK, ome=True, metadata=OME | {"axes": "TZYX"})
        assert tiff.Stack(path).voxel_size == (0.3, 0.2, 0.1)

    def test_other_axes(self, tmp_path):
        path = save(tmp_path / "s.tif", STACK, ome=True, metadata={"axes": "ZCYX"})
        with pytest.raises(ValueError, match="axes ZCYX, need a 4-D stack"):
            tiff.Stack(path)

    def test_nan_names_the_volume(self, tmp_path):
        array = STACK.copy()
        array[2, 0, 0, 0] = np.nan
        stack = tiff.Stack(save(tmp_path / "s.tif", array))
        stack[1]
        with pytest.raises(ValueError, match=r"s\.tif, volume 2: found 1 NaN"):
            stack[2]

    def test_files_are_closed(self, tmp_path):
        path = save(tmp_path / "s.tif", STACK, compression="zlib")
        open_files = Path("/proc/self/fd")
        if not open_files.exists():
            pytest.skip("needs /proc to count open files")
        before = len(os.listdir(open_files))
        stack = tiff.Stack(path)
        stack[0]
        assert len(os.listdir(open_files)) == before + 1
        del stack
        assert len(os.listdir(open_files)) == before


class TestWrite:
    @pytest.mark.parametrize(("dtype", "expected"), [("f4", "f4"), (">f8", "f8"), ("u2", "f4"), ("?", "f4")])
    def test_round_trip(self, tmp_path, dtype, expected):
        array = (100 * VOLUME).astype(dtype)
        tiff.write(tmp_path / "v.ome.tif", array[::2, ::-1], (0.3, 0.2, 1 / 7))
        volume, voxel_size = tiff.read(tmp_path / "v.ome.tif")
        np.testing.assert_array_equal(volume, array[::2, ::-1])
        assert volume.dtype == np.dtype(expected)
        assert voxel_size == (0.3, 0.2, 1 / 7)

    def test_says_only_what_is_known(self, tmp_path):
        tiff.write(tmp_path / "v.ome.tif", VOLUME)
        assert tiff.read(tmp_path / "v.ome.tif")[1] is None
        with tifffile.TiffFile(tmp_path / "v.ome.tif") as tif:
            assert tif.is_ome
            assert tif.series[0].axes == "ZYX"
            assert "PhysicalSize" not in tif.ome_metadata

    def test_nothing_is_overwritten_unasked(self, tmp_path):
        path = tmp_path / "v.ome.tif"
        path.write_text("mine")
        with pytest.raises(FileExistsError, match="exists already"):
            tiff.write(path, VOLUME)
        assert path.read_text() == "mine"
        tiff.write(path, VOLUME, overwrite=True)
        np.testing.assert_array_equal(tiff.read(path)[0], VOLUME)
        assert list(tmp_path.iterdir()) == [path]

    def test_bad_volume_leaves_nothing(self, tmp_path):
        for bad in (VOLUME[0], VOLUME * np.nan, np.zeros((0, 3, 3))):
            with pytest.raises(ValueError, match="^volume: found"):
                tiff.write(tmp_path / "v.ome.tif", bad)
        assert list(tmp_path.iterdir()) == []

    def test_failure_midway_leaves_nothing(self, tmp_path, monkeypatch):
        def fail(path, *args, **kwargs):
            Path(path).write_bytes(b"half")
            raise OSError("no space left")

        monkeypatch.setattr(tifffile, "imwrite", fail)
        with pytest.raises(OSError, match="no space left"):
            tiff.write(tmp_path / "v.ome.tif", VOLUME)
        assert list(tmp_path.iterdir()) == []

from __future__ import annotations

import builtins
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from fastmpr import plot
from fastmpr.io import tiff
from fastmpr.io.files import check_folder_writable, check_writable, folder_written_whole, written_whole
from fastmpr.io.particles import ParticleFolder, natural_key, open_particles

VOLUME = np.random.default_rng(0).random((20, 12, 14)).astype(np.float32)
STACK = VOLUME.reshape(4, 5, 12, 14)
OME = {"axes": "ZYX", "PhysicalSizeX": 0.1, "PhysicalSizeY": 0.2, "PhysicalSizeZ": 0.3}

NANOMETRES = {f"PhysicalSize{axis}Unit": "nm" for axis in "XYZ"}


def save(path: Path, array: np.ndarray, **options) -> Path:
    tifffile.imwrite(path, array, **({"photometric": "minisblack"} | options))
    return path


def one_line(error: pytest.ExceptionInfo, path: Path) -> bool:
    text = str(error.value)
    return text.startswith(str(path)) and "\n" not in text


def imagej(*resolution: float, **metadata) -> dict:
    return {"imagej": True, "resolution": resolution, "metadata": metadata}


# how a volume or stack may lie in a file: name -> options of tifffile.imwrite
LAYOUTS = {
    "ome": {"ome": True},
    "ome-deflate": {"ome": True, "compression": "zlib"},
    "shaped": {},
    "shaped-deflate": {"compression": "zlib"},
    "plain": {"metadata": None},
    "plain-deflate": {"metadata": None, "compression": "zlib"},
    "imagej": {"imagej": True},
    "bigtiff": {"bigtiff": True},
    "big-endian": {"byteorder": ">"},
    "tiled": {"tile": (16, 16), "ome": True},
}


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


def hide(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Let imports of a package fail, as where it is not installed."""
    original = builtins.__import__

    def fail(name, *args, **kwargs):
        if name.split(".")[0] == package:
            raise ModuleNotFoundError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", fail)


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


class TestFiles:
    def test_missing_folder(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="nowhere, need an existing one"):
            check_writable(tmp_path / "nowhere" / "v.tif")

    def test_folder_that_is_a_file(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(NotADirectoryError, match="file is a file, need a folder"):
            check_writable(tmp_path / "file" / "v.tif")
        with pytest.raises(NotADirectoryError, match="file: is a file, need a folder"):
            check_folder_writable(tmp_path / "file", ["a"])

    def test_file_that_is_a_folder(self, tmp_path):
        with pytest.raises(IsADirectoryError, match="is a folder"):
            check_writable(tmp_path, overwrite=True)

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a folder that refuses even root: /proc")
    def test_folder_that_takes_no_files(self):
        for check in (
            lambda: check_writable("/proc/v.tif"),
            lambda: check_folder_writable("/proc", ["v.tif"]),
        ):
            with pytest.raises(PermissionError, match="/proc: cannot write in this folder"):
                check()

    def test_checking_leaves_nothing(self, tmp_path):
        check_writable(tmp_path / "v.tif")
        check_folder_writable(tmp_path / "new", ["a"])
        check_folder_writable(tmp_path, ["a"])
        assert list(tmp_path.iterdir()) == []

    def test_interrupted_file(self, tmp_path):
        (tmp_path / "a.txt").write_text("old")
        with pytest.raises(KeyboardInterrupt), written_whole(tmp_path / "a.txt", overwrite=True) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt
        assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]

    def test_interrupted_folder(self, tmp_path):
        with pytest.raises(KeyboardInterrupt), folder_written_whole(tmp_path / "new", ["a.txt"]) as temporary:
            (temporary / "a.txt").write_text("half")
            raise KeyboardInterrupt
        assert list(tmp_path.iterdir()) == []

    def test_folder_keeps_what_is_not_replaced(self, tmp_path):
        (tmp_path / "mine.txt").write_text("mine")
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub" / "old.txt").write_text("old")
        with pytest.raises(FileExistsError, match="holds sub already"):
            check_folder_writable(tmp_path, ["sub", "a.txt"])
        with folder_written_whole(tmp_path, ["sub", "a.txt"], overwrite=True) as temporary:
            (temporary / "a.txt").write_text("a")
            (temporary / "sub").mkdir()
            (temporary / "sub" / "new.txt").write_text("new")
        files = {str(p.relative_to(tmp_path)): p.read_text() for p in tmp_path.rglob("*") if p.is_file()}
        assert files == {"mine.txt": "mine", "a.txt": "a", os.path.join("sub", "new.txt"): "new"}


class TestParticles:
    @pytest.fixture
    def folder(self, tmp_path):
        folder = tmp_path / "particles"
        folder.mkdir()
        for i in (0, 1, 2, 10):
            save(folder / f"{i}.tiff", VOLUME + i)
        (folder / "notes.txt").write_text("not a particle")
        (folder / "._1.tiff").write_text("what macOS leaves behind")
        return folder

    def test_folder(self, folder):
        particles = open_particles(folder)
        assert isinstance(particles, ParticleFolder)
        assert len(particles) == 4
        assert particles.names == tuple(f"particles/{i}.tiff" for i in (0, 1, 2, 10))
        assert (particles.shape, particles.voxel_size) == ((20, 12, 14), None)
        for volume, i in zip(particles, (0, 1, 2, 10), strict=True):
            np.testing.assert_array_equal(volume, VOLUME + i)

    def test_folder_called_dot(self, folder, monkeypatch):
        monkeypatch.chdir(folder)
        assert open_particles(".").names[0] == "particles/0.tiff"

    def test_stack(self, tmp_path):
        particles = open_particles(save(tmp_path / "s.tif", STACK))
        assert isinstance(particles, tiff.Stack)
        assert len(particles) == 4

    def test_nothing_there(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="nowhere: does not exist"):
            open_particles(tmp_path / "nowhere")
        with pytest.raises(ValueError, match="found no TIFF file"):
            open_particles(tmp_path)

    def test_another_shape(self, folder):
        save(folder / "2.tiff", VOLUME[1:])
        with pytest.raises(ValueError, match=r"2\.tiff: found shape \(19, 12, 14\), need \(20, 12, 14\) as in 0"):
            list(open_particles(folder))

    def test_another_voxel_size(self, folder):
        save(folder / "2.tiff", VOLUME, ome=True, metadata=OME)
        with pytest.raises(ValueError, match=r"2\.tiff: found voxel size \(0.3, 0.2, 0.1\), need None"):
            list(open_particles(folder))

    def test_natural_order(self):
        names = ["a10", "a9", "9", "10", "b", "", "a09b"]
        assert sorted(names, key=natural_key) == ["", "9", "10", "a9", "a09b", "a10", "b"]


class TestSections:
    def test_picture(self, tmp_path):
        volumes = {"a": VOLUME, "b": VOLUME[5:15, :, :7], "nothing": np.zeros((4, 5, 6))}
        plot.sections(volumes, (0.3, 0.1, 0.1), tmp_path / "p.png")
        assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
        assert len(list(tmp_path.iterdir())) == 1

    def test_what_is_drawn(self):
        """One marked voxel off every central plane but one shows in that section alone, at its place."""
        volume = np.zeros((7, 9, 11), np.float32)
        volume[3, 1, 8] = 1  # on the central plane z = 3 only
        axes = np.reshape(plot._figure({"v": volume}, (3.0, 2.0, 1.0)).axes, 3)
        shown = [np.asarray(ax.images[0].get_array()) for ax in axes]
        assert [image.shape for image in shown] == [(9, 11), (7, 11), (7, 9)]
        assert [image.max() for image in shown] == [1, 0, 0]
        assert shown[0][1, 8] == 1
        assert [ax.images[0].get_extent() for ax in axes] == [[0, 11, 0, 18], [0, 11, 0, 21], [0, 18, 0, 21]]
        assert [ax.get_ylabel() for ax in axes] == ["xy", "xz", "yz"]
        assert [text.get_text() for text in axes[0].texts] == ["5 µm"]  # of 18 micrometres, at most 0.3

    def test_bad_input_leaves_nothing(self, tmp_path):
        for volumes, message in (
            ({}, "volumes: found none"),
            ({"x": VOLUME[0]}, "x: found an array of shape"),
        ):
            with pytest.raises(ValueError, match=message):
                plot.sections(volumes, 1, tmp_path / "p.png")
        with pytest.raises(ValueError, match="tiff3"):
            plot.sections({"x": VOLUME}, 1, tmp_path / "p.tiff3")
        (tmp_path / "p.png").write_text("mine")
        with pytest.raises(FileExistsError, match="exists already"):
            plot.sections({"x": VOLUME}, 1, tmp_path / "p.png")
        assert [path.name for path in tmp_path.iterdir()] == ["p.png"]

    def test_missing_matplotlib(self, tmp_path, monkeypatch):
        hide(monkeypatch, "matplotlib")
        with pytest.raises(ImportError, match=r'pip install "fastmpr\[cli\]"'):
            plot.sections({"x": VOLUME}, 1, tmp_path / "p.png")
        assert list(tmp_path.iterdir()) == []

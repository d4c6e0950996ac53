from __future__ import annotations

import itertools

import numpy as np
import pytest
import tifffile
from image_files import LAYOUTS, NANOMETRES, OME, STACK, UNCLEAR, VOLUME, imagej, ome_set, one_line, save, unclear

import fastmpr
from fastmpr.io import read_image, write_image
from fastmpr.io.images import AXES, look_at

CHANNELS = STACK[:2]
FRAMES = np.arange(2 * 3 * 4 * 5 * 6, dtype=np.float32).reshape(2, 3, 4, 5, 6)


class TestRead:
    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_layouts(self, tmp_path, layout):
        metadata = {"metadata": {"axes": "ZYX"}} if layout in ("ome", "ome-deflate", "imagej", "tiled") else {}
        image = read_image(save(tmp_path / "v.tif", VOLUME, **LAYOUTS[layout], **metadata))
        np.testing.assert_array_equal(image.values, VOLUME)
        assert image[1:] == ("ZYX", None)

    @pytest.mark.parametrize("order", [*itertools.permutations("TCZ")])
    def test_axes_of_any_order(self, tmp_path, order):
        path = save(tmp_path / "v.ome.tif", FRAMES, ome=True, metadata={"axes": "".join(order) + "YX"})
        values, axes, _ = read_image(path)
        assert axes == AXES
        np.testing.assert_array_equal(values, FRAMES.transpose([*map(order.index, "TCZ"), 3, 4]))

    @pytest.mark.parametrize(
        ("shape", "options", "axes"),
        [
            ((5, 6), {}, "YX"),
            ((5, 6), {"ome": True}, "YX"),
            ((4, 5, 6), {"ome": True, "metadata": {"axes": "CYX"}}, "CYX"),
            ((4, 5, 6), {"imagej": True, "metadata": {"axes": "TYX"}}, "TYX"),
            ((4, 5, 6), {"metadata": None}, "ZYX"),
            ((4, 5, 6), {"metadata": {"axes": "YXZ"}}, "ZYX"),
            ((3, 4, 5, 6), {}, "TZYX"),
            ((3, 4, 5, 6), {"metadata": {"axes": "QZYX"}}, "TZYX"),
            ((3, 4, 5, 6), {"metadata": {"axes": "CQYX"}}, "CZYX"),
            ((2, 3, 4, 5, 6), {}, "TCZYX"),
            ((1, 4, 5, 6), {"ome": True, "metadata": {"axes": "CZYX"}}, "ZYX"),
            ((1, 1, 5, 6), {"ome": True, "metadata": {"axes": "CZYX"}}, "YX"),
            ((4, 1, 5, 6), {"metadata": {"axes": "CZYX"}}, "CYX"),
            ((1, 5, 6), {}, "YX"),
        ],
    )
    def test_axes_that_are_named_and_that_are_not(self, tmp_path, shape, options, axes):
        image = read_image(save(tmp_path / "v.tif", np.zeros(shape, np.float32), **options))
        assert image.axes == axes
        assert sorted(image.values.shape) == sorted(n for n in shape if n > 1)

    @pytest.mark.parametrize("dtype", ["u1", ">u2", "i2", "u4", "f2", "f4", ">f8"])
    def test_the_type_is_kept(self, tmp_path, dtype):
        array = (100 * VOLUME).astype(dtype)
        for options in ({}, {"compression": "zlib"}):
            values = read_image(save(tmp_path / "v.tif", array, **options)).values
            assert values.dtype.newbyteorder("=") == np.dtype(dtype).newbyteorder("=")
            np.testing.assert_array_equal(values, array)

    def test_what_lies_in_one_piece_is_mapped(self, tmp_path):
        for order in "<>":
            path = save(tmp_path / "v.tif", CHANNELS, byteorder=order, metadata={"axes": "ZCYX"})
            values, axes, _ = read_image(path)
            assert isinstance(values, np.memmap)
            assert not values.flags.writeable
            assert axes == "CZYX"
            np.testing.assert_array_equal(values, CHANNELS.swapaxes(0, 1))

    def test_unseen_voxels(self, tmp_path):
        array = VOLUME.copy()
        array[3, 4, 5] = np.nan
        np.testing.assert_array_equal(read_image(save(tmp_path / "v.tif", array)).values, array)

    @pytest.mark.parametrize(
        ("array", "options", "expected"),
        [
            (VOLUME, {"ome": True, "metadata": OME}, (0.3, 0.2, 0.1)),
            (STACK, {"ome": True, "metadata": OME | {"axes": "CZYX"}}, (0.3, 0.2, 0.1)),
            (VOLUME[0], {"ome": True, "metadata": OME | {"axes": "YX"}}, (0.2, 0.1)),
            (VOLUME[:3], {"ome": True, "metadata": UNCLEAR["no z"] | {"axes": "CYX"}}, (0.2, 0.1)),
            (VOLUME[0], {"ome": True, "metadata": OME | NANOMETRES | {"axes": "YX"}}, (2e-4, 1e-4)),
            (VOLUME[0], imagej(10, 5, unit="um"), (0.2, 0.1)),
            (VOLUME[0], imagej(10, 5, unit="um", spacing=-3), (0.2, 0.1)),
            (VOLUME[0], {}, None),
        ],
    )
    def test_voxel_size(self, tmp_path, array, options, expected):
        path = save(tmp_path / "v.tif", array, **options)
        assert read_image(path).voxel_size == (expected and pytest.approx(expected))
        solid = len(expected or (1, 1)) == 3
        assert read_image(path, (3, 2, 1)).voxel_size == ((3, 2, 1) if solid else (2, 1))
        assert read_image(path, 2).voxel_size == ((2, 2, 2) if solid else (2, 2))

    def test_sides_of_a_pixel(self, tmp_path):
        assert read_image(save(tmp_path / "a.tif", VOLUME[0]), (2, 1)).voxel_size == (2, 1)
        with pytest.raises(ValueError, match="voxel_size: found .*, need one or three positive lengths"):
            read_image(save(tmp_path / "b.tif", VOLUME), (2, 1))

    @pytest.mark.parametrize("name", UNCLEAR)
    def test_a_part_of_a_size(self, tmp_path, name):
        path = unclear(tmp_path / "v.tif", name)
        with pytest.raises(ValueError, match="found a voxel size that is not clear") as error:
            read_image(path)
        assert one_line(error, path)
        assert read_image(path, 0.1).voxel_size == (0.1, 0.1, 0.1)

    def test_one_of_a_set_of_files(self, tmp_path):
        planes = {f"{t}.ome.tif": [(t, z) for z in range(5)] for t in range(4)}
        for path, expected in zip(ome_set(tmp_path, STACK, planes), STACK, strict=True):
            values, axes, voxel = read_image(path)
            np.testing.assert_array_equal(values, expected)
            assert (axes, voxel) == ("ZYX", (0.3, 0.1, 0.1))

    @pytest.mark.parametrize(
        ("array", "options", "message"),
        [
            (np.zeros((10, 32, 3), "u1"), {"photometric": "rgb"}, "RGB"),
            (np.zeros((2, 3, 4, 5, 6, 7), "u1"), {}, "axes QQQQYX, need T, C, Z, Y and X"),
            (np.zeros((3, 4, 5), "u1"), {"metadata": {"axes": "HYX"}}, "axes HYX, need T, C, Z, Y and X"),
            (np.zeros((3, 4, 5), "c8"), {}, "found complex64, need real numbers"),
        ],
    )
    def test_no_image(self, tmp_path, array, options, message):
        path = save(tmp_path / "v.tif", array, **options)
        for function in (read_image, look_at):
            with pytest.raises(ValueError, match=message) as error:
                function(path)
            assert one_line(error, path)

    @pytest.mark.parametrize("layout", ["ome", "plain-deflate"])
    @pytest.mark.parametrize("part", [0.001, 0.5, 0.9])
    def test_truncated(self, tmp_path, layout, part):
        data = save(tmp_path / "whole.tif", VOLUME, **LAYOUTS[layout]).read_bytes()
        path = tmp_path / "v.tif"
        path.write_bytes(data[: int(part * len(data))])
        for function in (read_image, look_at):
            with pytest.raises(ValueError) as error:
                function(path)
            assert one_line(error, path)

    def test_a_look_reads_no_numbers(self, tmp_path):
        path = save(tmp_path / "v.tif", CHANNELS, compression="zlib", metadata={"axes": "ZCYX"})
        content = bytearray(path.read_bytes())
        with tifffile.TiffFile(path) as tif:
            content[tif.pages[0].dataoffsets[0]] ^= 255
        path.write_bytes(content)
        values, axes, voxel = look_at(path)
        assert (values.shape, values.dtype, axes, voxel) == ((5, 2, 12, 14), "f4", "CZYX", None)
        with pytest.raises(ValueError, match="cannot be read") as error:
            read_image(path)
        assert one_line(error, path)


class TestMrc:
    @pytest.mark.parametrize("dtype", ["i1", "i2", "u2", "f4"])
    @pytest.mark.parametrize("dimensions", [2, 3])
    def test_of_its_own_type(self, tmp_path, dtype, dimensions):
        mrcfile = pytest.importorskip("mrcfile")
        array = (100 * VOLUME).astype(dtype)[0 if dimensions == 2 else ...]
        with mrcfile.new(tmp_path / "v.mrc") as file:
            file.set_data(array)
            file.voxel_size = (1000, 2000, 3000)  # x, y, z in angstroms
        values, axes, voxel = read_image(tmp_path / "v.mrc")
        assert values.dtype == array.dtype
        np.testing.assert_array_equal(values, array)
        assert axes == "ZYX"[-dimensions:]
        assert voxel == pytest.approx((0.3, 0.2, 0.1)[-dimensions:])
        assert read_image(tmp_path / "v.mrc", 0.5).voxel_size == (0.5,) * dimensions

    def test_a_volume_of_one_plane_is_flat(self, tmp_path):
        mrcfile = pytest.importorskip("mrcfile")
        with mrcfile.new(tmp_path / "v.mrc") as file:
            file.set_data(VOLUME[:1])
        values, axes, voxel = read_image(tmp_path / "v.mrc")
        assert (values.shape, axes, voxel) == ((12, 14), "YX", None)


class TestWrite:
    @pytest.mark.parametrize("axes", ["YX", "ZYX", "CYX", "TYX", "CZYX", "TZYX", "TCYX", "TCZYX"])
    def test_round_trip(self, tmp_path, axes):
        array = FRAMES[tuple(slice(None) if axis in axes else 0 for axis in AXES)]
        write_image(tmp_path / "v.ome.tif", array, axes, (0.3, 0.2, 1 / 7))
        values, found, voxel = read_image(tmp_path / "v.ome.tif")
        np.testing.assert_array_equal(values, array)
        assert (found, voxel) == (axes, (0.3, 0.2, 1 / 7) if "Z" in axes else (0.2, 1 / 7))
        with tifffile.TiffFile(tmp_path / "v.ome.tif") as tif:
            assert tif.is_ome
            assert ("PhysicalSizeZ" in tif.ome_metadata) == ("Z" in axes)

    @pytest.mark.parametrize(("dtype", "expected"), [("f4", "f4"), (">f8", "f8"), ("u2", "f4"), ("?", "f4")])
    def test_types(self, tmp_path, dtype, expected):
        array = (100 * VOLUME).astype(dtype)[:, ::2]
        write_image(tmp_path / "v.ome.tif", array, "ZYX")
        values = read_image(tmp_path / "v.ome.tif").values
        assert values.dtype == np.dtype(expected)
        np.testing.assert_array_equal(values, array)

    def test_unseen_voxels(self, tmp_path):
        array = np.where(VOLUME > 0.9, np.nan, VOLUME)
        write_image(tmp_path / "v.ome.tif", array, "ZYX")
        np.testing.assert_array_equal(read_image(tmp_path / "v.ome.tif").values, array)

    def test_last_axis_of_three_is_no_colour(self, tmp_path):
        write_image(tmp_path / "v.ome.tif", VOLUME[..., :3], "ZYX")
        assert read_image(tmp_path / "v.ome.tif").axes == "ZYX"

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"axes": "XYZ"}, "axes: found 'XYZ'"),
            ({"axes": "YX"}, r"axes: found 'YX' for values of shape \(20, 12, 14\)"),
            ({"axes": "ZXX"}, "axes: found 'ZXX'"),
            ({"axes": 3}, "axes: found 3"),
            ({"values": VOLUME * np.inf}, "values: found .* infinite"),
            ({"values": VOLUME * 1j}, "values: found dtype complex64"),
            ({"voxel_size": (1, 2)}, r"voxel_size: found \(1, 2\)"),
            ({"voxel_size": -1}, "voxel_size: found -1"),
        ],
    )
    def test_bad_arguments_leave_nothing(self, tmp_path, change, message):
        with pytest.raises((ValueError, TypeError), match=message):
            write_image(**({"path": tmp_path / "v.ome.tif", "values": VOLUME, "axes": "ZYX"} | change))
        assert list(tmp_path.iterdir()) == []

    def test_files_that_are_there_and_names_that_will_not_do(self, tmp_path):
        (tmp_path / "v.ome.tif").write_text("mine")
        with pytest.raises(FileExistsError, match="exists already"):
            write_image(tmp_path / "v.ome.tif", VOLUME, "ZYX")
        write_image(tmp_path / "v.ome.tif", VOLUME, "ZYX", overwrite=True)
        np.testing.assert_array_equal(fastmpr.io.read(tmp_path / "v.ome.tif")[0], VOLUME)
        with pytest.raises(ValueError, match="found the suffix '.png', need .tif or .tiff"):
            write_image(tmp_path / "v.png", VOLUME, "ZYX")

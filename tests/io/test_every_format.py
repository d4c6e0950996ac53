"""What holds of every format alike: what is written comes back, and what is wrong is refused in one line."""

from __future__ import annotations

import gzip
import pickle
import shutil
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import tifffile
from image_files import one_line

import fastmpr
from fastmpr import io
from fastmpr.io import About, open_particles, read_about, read_image, write_image
from fastmpr.io.formats import volumes
from fastmpr.runtime.stopping import Stop
from fastmpr.testing import check_format, check_source
from fastmpr.views.usable import usable

needs_zarr = pytest.mark.skipif(find_spec("zarr") is None, reason="needs zarr")
needs_h5py = pytest.mark.skipif(find_spec("h5py") is None, reason="needs h5py")
MARKS = {".ome.zarr": [needs_zarr], ".h5": [needs_h5py]}
NAMES = (".ome.tif", ".ome.zarr", ".h5", ".npy", ".npz")
FORMATS = [pytest.param(name, marks=MARKS.get(name, [])) for name in NAMES]
WITH_AXES = [pytest.param(name, marks=MARKS.get(name, [])) for name in NAMES if name != ".npy"]
VOXEL = (0.3, 0.11, 0.1)
FRAMES = np.random.default_rng(0).random((2, 3, 4, 5, 6)).astype(np.float32)
VOLUME, STACK = FRAMES[0, 0], FRAMES[0]
ABOUT = About(("DAPI", "GFP", "Cy5"), (0.461, 0.509, 0.67), (0.405, 0.488, 0.64), 0.25)


def damage(path: Path) -> Path:
    """The file that holds the numbers: of a folder, the largest."""
    return (
        max((file for file in path.rglob("*") if file.is_file()), key=lambda file: file.stat().st_size)
        if path.is_dir()
        else path
    )


WRITERS = [module for module in volumes() if hasattr(module, "created")]
PACKAGES = {"tiff": "tifffile", "mrc": "mrcfile", "ome_zarr": "zarr", "hdf5": "h5py"}


@pytest.mark.parametrize("module", WRITERS, ids=lambda module: module.__name__.split(".")[-1])
def test_ours_are_what_we_ask_of_others(module, tmp_path):
    if package := PACKAGES.get(module.__name__.split(".")[-1]):
        pytest.importorskip(package, reason=f"needs {package}")
    check_format(module, tmp_path)


class TestRoundTrip:
    @pytest.mark.parametrize("name", FORMATS)
    @pytest.mark.parametrize("dtype", ["f4", "f8"])
    @pytest.mark.parametrize("voxel_size", [VOXEL, None])
    def test_volume(self, tmp_path, name, dtype, voxel_size):
        path = tmp_path / f"v{name}"
        io.write(path, VOLUME.astype(dtype), voxel_size)
        volume, found = io.read(path)
        np.testing.assert_array_equal(volume, VOLUME)
        assert volume.dtype == dtype
        assert volume.flags.writeable
        assert found == (None if name == ".npy" else voxel_size)
        assert io.read(path, 0.2)[1] == (0.2, 0.2, 0.2)

    @pytest.mark.parametrize("name", FORMATS)
    def test_stack(self, tmp_path, name):
        path = tmp_path / f"s{name}"
        write_image(path, STACK, "TZYX", VOXEL)
        particles = open_particles(path)
        assert (len(particles), particles.shape, particles.names) == (3, (4, 5, 6), None)
        assert particles.voxel_size == (None if name == ".npy" else VOXEL)
        np.testing.assert_array_equal(np.stack(list(particles)), STACK)
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(particles))[1], STACK[1])
        np.testing.assert_array_equal(io.read(path, frame=2)[0], STACK[2])
        check_source(particles)

    @pytest.mark.parametrize("name", FORMATS)
    def test_folder_of_particles(self, tmp_path, name):
        for i in (10, 9, 0):
            io.write(tmp_path / f"{i}{name}", VOLUME + i, VOXEL)
        for left in (".DS_Store", "Thumbs.db", "desktop.ini", f"._0{name}"):
            (tmp_path / left).write_bytes(b"what a system leaves behind")
        particles = open_particles(tmp_path)
        assert [Path(one).name for one in particles.names] == [f"{i}{name}" for i in (0, 9, 10)]
        np.testing.assert_array_equal(np.stack(list(particles)), [VOLUME + i for i in (0, 9, 10)])
        assert len(open_particles(f"{tmp_path}/*{name}")) == 3

    @pytest.mark.parametrize("name", WITH_AXES)
    @pytest.mark.parametrize("axes", ["YX", "ZYX", "CYX", "TYX", "CZYX", "TZYX", "TCYX", "TCZYX"])
    def test_image(self, tmp_path, name, axes):
        path = tmp_path / f"v{name}"
        array = FRAMES[tuple(slice(None) if axis in axes else 0 for axis in "TCZYX")]
        about = About(*ABOUT[:3] if "C" in axes else (("GFP",), (0.5,)), interval=0.25 if "T" in axes else None)
        write_image(path, array, axes, VOXEL, about=about)
        values, found, sides = read_image(path)
        np.testing.assert_array_equal(values, array)
        assert (found, sides) == (axes, VOXEL if "Z" in axes else VOXEL[1:])
        if "C" in axes:
            assert read_about(path).names == about.names
            assert read_about(path).emission == pytest.approx(about.emission)
            np.testing.assert_array_equal(read_image(path, channel="GFP").values, np.take(array, 1, axes.index("C")))
        assert read_about(path).interval == about.interval or name == ".ome.tif"
        write_image(path, array, axes, overwrite=True)
        assert read_image(path).voxel_size is None

    @pytest.mark.parametrize("name", FORMATS)
    def test_unseen_voxels(self, tmp_path, name):
        array = np.where(VOLUME > 0.9, np.nan, VOLUME)
        write_image(tmp_path / f"v{name}", array, "ZYX")
        np.testing.assert_array_equal(read_image(tmp_path / f"v{name}").values, array)
        with pytest.raises(ValueError, match="NaN or infinite"):
            io.read(tmp_path / f"v{name}")


class TestChoices:
    @pytest.mark.parametrize("name", WITH_AXES)
    def test_channels_and_frames_are_asked_for(self, tmp_path, name):
        path = tmp_path / f"v{name}"
        write_image(path, FRAMES, "TCZYX", VOXEL, about=ABOUT)
        with pytest.raises(ValueError, match=r"one of its 3 channels \(channel=.* one of its 2 frames \(frame="):
            io.read(path)
        np.testing.assert_array_equal(io.read(path, channel=2, frame=1)[0], FRAMES[1, 2])
        np.testing.assert_array_equal(io.read(path, channel="Cy5", frame=1)[0], FRAMES[1, 2])
        np.testing.assert_array_equal(np.stack(list(open_particles(path, channel=1))), FRAMES[:, 1])
        with pytest.raises(ValueError, match=r"need a 4-D stack .*: one of its 3 channels"):
            open_particles(path)
        for wrong in ({"channel": 3}, {"channel": "red"}, {"frame": 2}, {"channel": -1}, {"scene": 7}):
            with pytest.raises(ValueError, match="need") as error:
                io.read(path, **{"channel": 0, "frame": 0} | wrong)
            assert one_line(error, path)

    @pytest.mark.parametrize("name", WITH_AXES)
    def test_frames_of_planes_are_a_volume(self, tmp_path, name, caplog):
        path = tmp_path / f"v{name}"
        write_image(path, VOLUME, "TYX", 0.1)
        with caplog.at_level("INFO", "fastmpr"):
            volume, _ = io.read(path, (0.3, 0.1, 0.1))
        np.testing.assert_array_equal(volume, VOLUME)
        assert "found 4 frames and no z, so they are taken as planes (z)" in caplog.text


class TestWrong:
    @pytest.mark.parametrize("name", FORMATS)
    @pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9])
    def test_truncated(self, tmp_path, name, part):
        path = tmp_path / f"v{name}"
        write_image(path, np.tile(VOLUME, (1, 8, 8)), "ZYX")
        file = damage(path)
        file.write_bytes(file.read_bytes()[: int(part * file.stat().st_size)])
        for read in (io.read, read_image, lambda path: open_particles(path)[0]):
            with pytest.raises((ValueError, OSError)) as error:
                read(path)
            assert one_line(error, path)

    @pytest.mark.parametrize("name", FORMATS)
    @pytest.mark.parametrize("content", [b"", b"this is no such file\n" * 20, bytes(4000)])
    def test_something_else(self, tmp_path, name, content):
        path = tmp_path / f"v{name}"
        path.write_bytes(content)
        for read in (io.read, read_image, open_particles, read_about):
            with pytest.raises((ValueError, OSError)) as error:
                read(path)
            assert one_line(error, path)

    @pytest.mark.parametrize("name", FORMATS)
    def test_one_plane(self, tmp_path, name):
        path = tmp_path / f"v{name}"
        write_image(path, VOLUME[0], "YX")
        for read in (io.read, open_particles):
            with pytest.raises(ValueError, match=r"shape \(5, 6\) .* need a (3-D volume|4-D stack)") as error:
                read(path)
            assert one_line(error, path)

    @pytest.mark.parametrize("name", FORMATS)
    @pytest.mark.parametrize("other", FORMATS)
    def test_another_suffix(self, tmp_path, name, other):
        if name == other:
            return
        io.write(tmp_path / f"v{name}", VOLUME)
        (tmp_path / f"v{name}").rename(tmp_path / f"v{other}")
        with pytest.raises(ValueError, match=r"found an? .* under the suffix '.*', need '\.") as error:
            io.read(tmp_path / f"v{other}")
        assert one_line(error, tmp_path / f"v{other}")

    @pytest.mark.parametrize("name", FORMATS)
    def test_no_suffix(self, tmp_path, name):
        io.write(tmp_path / f"v{name}", VOLUME)
        (tmp_path / f"v{name}").rename(tmp_path / "volume")
        np.testing.assert_array_equal(io.read(tmp_path / "volume")[0], VOLUME)

    @pytest.mark.parametrize("name", FORMATS)
    def test_files_that_are_there(self, tmp_path, name):
        path = tmp_path / f"v{name}"
        io.write(path, VOLUME)
        with pytest.raises(FileExistsError, match="exists already"):
            io.write(path, VOLUME + 1)
        np.testing.assert_array_equal(io.read(path)[0], VOLUME)
        io.write(path, VOLUME[:2], overwrite=True)
        np.testing.assert_array_equal(io.read(path)[0], VOLUME[:2])
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("name", WITH_AXES)
    def test_mixed_voxel_sizes(self, tmp_path, name):
        for i, size in enumerate((VOXEL, VOXEL, (0.3, 0.2, 0.2))):
            io.write(tmp_path / f"{i}{name}", VOLUME, size)
        for given in (None, VOXEL):  # one that is given does not silence what the files say
            particles = open_particles(tmp_path, given)
            with pytest.raises(ValueError, match=rf"2{name}: found voxel size \(0\.3, 0\.2, 0\.2\)"):
                list(particles)

    @pytest.mark.parametrize("name", FORMATS)
    def test_a_broken_first_file_is_one_of_many(self, tmp_path, name):
        for i in range(3):
            io.write(tmp_path / f"{i}{name}", VOLUME + i)
        file = damage(tmp_path / f"0{name}")
        file.write_bytes(file.read_bytes()[:20])
        particles = open_particles(tmp_path)
        np.testing.assert_array_equal(particles[2], VOLUME + 2)
        with pytest.raises((ValueError, OSError), match=f"0{name}"):
            particles[0]
        with pytest.warns(fastmpr.FastmprWarning, match=f"1 of 3 cannot be used .*0{name}"):
            usable(fastmpr.Dataset(particles), 1, 1, Stop("a test"))


class TestNumpy:
    def test_pickles_are_refused(self, tmp_path):
        objects = np.array([[{}, {}]], dtype=object)
        np.save(tmp_path / "a.npy", objects)
        np.savez(tmp_path / "a.npz", objects)
        for name in ("a.npy", "a.npz"):
            with pytest.raises(ValueError, match="found pickled Python objects, which may run any code") as error:
                io.read(tmp_path / name)
            assert one_line(error, tmp_path / name)

    def test_headers_of_terabytes(self, tmp_path):
        path = tmp_path / "a.npy"
        with open(path, "wb") as file:
            np.lib.format.write_array_header_1_0(
                file, {"descr": "<f4", "fortran_order": False, "shape": (9, 1 << 20, 1 << 20)}
            )
        with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(path, "a.npy")
        for name in ("a.npy", "a.npz"):
            for read in (io.read, open_particles, read_image):
                with pytest.raises(ValueError, match="found a volume of 39582 GB") as error:
                    read(tmp_path / name)
                assert one_line(error, tmp_path / name)

    def test_orders_and_bytes(self, tmp_path):
        for k, array in enumerate((np.asfortranarray(STACK), STACK.astype(">f8"), (99 * STACK).astype("u2"))):
            for save, name in ((np.save, "npy"), (np.savez, "npz"), (np.savez_compressed, "npz")):
                path = tmp_path / f"{k}.{name}"
                save(path, array)
                particles = open_particles(path)
                for i in (2, 0, 1):
                    np.testing.assert_array_equal(particles[i], array[i])

    def test_one_of_several(self, tmp_path):
        np.savez(tmp_path / "a.npz", left=VOLUME, right=VOLUME + 1, weights=np.ones(4))
        with pytest.raises(
            ValueError, match=r"found 2 arrays \('left' of 4 x 5 x 6, 'right' .* need one of them: .*:/left"
        ):
            io.read(tmp_path / "a.npz")
        np.testing.assert_array_equal(io.read(f"{tmp_path}/a.npz:/right")[0], VOLUME + 1)
        with pytest.raises(ValueError, match="none called 'middle'"):
            io.read(f"{tmp_path}/a.npz:/middle")


@needs_h5py
class TestHdf5:
    def test_one_of_several(self, tmp_path):
        import h5py

        path = tmp_path / "a.h5"
        with h5py.File(path, "w") as file:
            file["views/left"], file["views/right"], file["weights"] = STACK, STACK + 1, np.ones(3)
        with pytest.raises(
            ValueError, match=r"found 2 arrays \('views/left' of .* need one of them: .*a.h5:/views/left"
        ):
            open_particles(path)
        np.testing.assert_array_equal(open_particles(f"{path}:/views/right")[2], STACK[2] + 1)
        assert len(fastmpr.load(f"{path}:/views/right")) == 3

    @pytest.mark.parametrize("options", [{"chunks": (1, 4, 5, 6)}, {"chunks": (1, 4, 5, 6), "compression": "gzip"}])
    def test_chunks_that_were_never_written(self, tmp_path, options):
        import h5py

        with h5py.File(tmp_path / "a.h5", "w") as file:
            data = file.create_dataset("a", STACK.shape, "f4", **options)
            data[0] = STACK[0]
        with pytest.raises(ValueError, match="found 1 of the 3 chunks of /a written, need all"):
            open_particles(tmp_path / "a.h5")
        with h5py.File(tmp_path / "b.h5", "w") as file:
            file.create_dataset("a", STACK.shape, "f4", fillvalue=np.nan, **options)[0] = STACK[0]
        assert np.isnan(open_particles(tmp_path / "b.h5")[1]).all()


@needs_h5py
def test_a_damaged_index_of_hdf5_is_no_zeros(tmp_path):
    import h5py

    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=STACK, chunks=(1, 4, 5, 6), compression="gzip")
    content = path.read_bytes()
    key = np.array([2, 0, 0, 0, 0], "<u8").tobytes()  # where the chunk of the third particle lies
    assert content.count(key) == 1
    for wrong in (1, 3, 77):
        path.write_bytes(content.replace(key, np.array([wrong, 0, 0, 0, 0], "<u8").tobytes()))
        with pytest.raises(ValueError, match="found 2 of the 3 chunks of /a written, need all") as error:
            open_particles(path)
        assert one_line(error, path)


@needs_zarr
class TestZarr:
    @pytest.mark.parametrize("version", [2, 3])
    @pytest.mark.parametrize("kind", ["array", "named", "group"])
    def test_plain_arrays(self, tmp_path, version, kind):
        import zarr

        path = tmp_path / "a.zarr"
        if kind == "group":
            zarr.open_group(str(path), mode="w", zarr_format=version).create_array(
                "views", data=STACK, chunks=(1, 4, 5, 6)
            )
        else:
            names = {"dimension_names": ["p", "z", "y", "x"]} if kind == "named" and version == 3 else {}
            zarr.create_array(str(path), data=STACK, chunks=(1, 2, 5, 6), zarr_format=version, **names)
        particles = open_particles(path)
        np.testing.assert_array_equal(np.stack(list(particles)), STACK)
        if kind == "group":
            np.testing.assert_array_equal(open_particles(f"{path}:/views")[1], STACK[1])

    @pytest.mark.parametrize("version", ["0.4", "0.5"])
    def test_versions(self, tmp_path, version):
        from fastmpr.io import ome_zarr

        path = tmp_path / "a.ome.zarr"
        with ome_zarr.created(path, STACK.shape, STACK.dtype, "CZYX", VOXEL, ABOUT, False, version) as target:
            target[...] = STACK
        assert ((path / "zarr.json").exists(), (path / ".zattrs").exists()) == (version == "0.5", version == "0.4")
        values, axes, sides = read_image(path)
        np.testing.assert_array_equal(values, STACK)
        assert (axes, sides, read_about(path).names) == ("CZYX", VOXEL, ABOUT.names)

    @pytest.mark.parametrize(
        ("unit", "factor", "expected"),
        [("nanometer", 1000, VOXEL), ("angstrom", 1e4, VOXEL), (None, 1, "not clear"), ("furlong", 1, "not clear")],
    )
    def test_units(self, tmp_path, unit, factor, expected):
        import zarr

        path = tmp_path / "a.ome.zarr"
        write_image(path, VOLUME, "ZYX", VOXEL)
        group = zarr.open_group(str(path), mode="r+")
        ome = dict(group.attrs["ome"])
        (pyramid,) = ome["multiscales"]
        pyramid["axes"] = [{"name": a, "type": "space", **({"unit": unit} if unit else {})} for a in "zyx"]
        pyramid["datasets"][0]["coordinateTransformations"][0]["scale"] = [factor * side / 2 for side in VOXEL]
        pyramid["coordinateTransformations"] = [{"type": "scale", "scale": [2, 2, 2]}]
        group.attrs["ome"] = ome
        if expected == VOXEL:
            assert io.read(path)[1] == pytest.approx(VOXEL)
        else:
            with pytest.raises(ValueError, match="voxel size that is not clear"):
                io.read(path)
            assert io.read(path, 0.1)[1] == (0.1, 0.1, 0.1)

    @pytest.mark.parametrize("version", ["0.4", "0.5"])
    def test_missing_chunks_are_no_zeros(self, tmp_path, version):
        from fastmpr.io import ome_zarr

        path = tmp_path / "a.ome.zarr"
        with ome_zarr.created(path, STACK.shape, STACK.dtype, "TZYX", VOXEL, About(), False, version) as target:
            target[...] = STACK
        particles = open_particles(path)
        (path / "0" / ("c/1/0/0/0" if version == "0.5" else "1/0/0/0")).unlink()
        np.testing.assert_array_equal(particles[0], STACK[0])
        with pytest.raises(ValueError, match="found 1 of 1 chunks missing") as error:
            particles[1]
        assert one_line(error, path)
        with pytest.raises(ValueError, match="found 1 of 3 chunks missing"):
            read_image(path)

    def test_what_was_left_out_as_empty_can_be_told_in_a_shard_and_by_nan(self, tmp_path):
        import zarr

        array = np.where(np.arange(3)[:, None, None, None] == 1, 0, STACK).astype("f4")
        zarr.create_array(str(tmp_path / "a.zarr"), data=array, chunks=(1, 4, 5, 6), shards=(3, 4, 5, 6), fill_value=0)
        np.testing.assert_array_equal(np.stack(list(open_particles(tmp_path / "a.zarr"))), array)
        unseen = zarr.create_array(
            str(tmp_path / "b.zarr"), shape=STACK.shape, dtype="f4", chunks=(1, 4, 5, 6), fill_value=np.nan
        )
        unseen[0] = STACK[0]
        assert np.isnan(open_particles(tmp_path / "b.zarr")[1]).all()

    def test_corrupt_chunks(self, tmp_path):
        path = tmp_path / "a.ome.zarr"
        write_image(path, STACK, "TZYX")
        chunk = path / "0/c/1/0/0/0"
        raw = bytearray(chunk.read_bytes())
        for at in (0, len(raw) // 2, len(raw) - 1):
            wrong = raw.copy()
            wrong[at] ^= 255
            chunk.write_bytes(wrong)
            with pytest.raises(ValueError, match="cannot be read") as error:
                open_particles(path)[1]
            assert one_line(error, path)

    def test_series_are_asked_for(self, tmp_path):
        import zarr

        path = tmp_path / "a.zarr"
        zarr.open_group(str(path), mode="w")
        for k in range(2):
            io.write(tmp_path / f"{k}.ome.zarr", VOLUME + k)
            shutil.move(tmp_path / f"{k}.ome.zarr", path / str(k))
        with pytest.raises(ValueError, match=r"found 2 images \('0', '1'\), need one of them: scene="):
            io.read(path)
        for scene in (1, "1"):
            np.testing.assert_array_equal(io.read(path, scene=scene)[0], VOLUME + 1)
        np.testing.assert_array_equal(io.read(f"{path}:/1")[0], VOLUME + 1)

    def test_a_folder_of_something_else_stays(self, tmp_path):
        path = tmp_path / "a.zarr"
        path.mkdir()
        (path / "thesis.txt").write_text("mine")
        with pytest.raises(ValueError, match="is not an OME-Zarr folder, which is not overwritten"):
            io.write(path, VOLUME, overwrite=True)
        assert (path / "thesis.txt").read_text() == "mine"


def test_a_broken_gzip_and_a_text_in_its_place(tmp_path):
    path = tmp_path / "a.mrc.gz"
    for content in (gzip.compress(bytes(2000))[:40], b"text", b"\x1f\x8b" + bytes(40)):
        path.write_bytes(content)
        with pytest.raises((ValueError, OSError, ImportError)) as error:
            io.read(path)
        assert "\n" not in str(error.value)


def test_colours_in_every_format(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((7, 10, 32, 3), "u1"), photometric="rgb")
    for read in (io.read, open_particles, read_image):
        with pytest.raises(ValueError, match="which is RGB"):
            read(tmp_path / "a.tif")


@pytest.mark.parametrize("descr", [("<f4", (2,)), [("a", "<f4"), ("b", "<f4")]])
def test_records_are_no_numbers(tmp_path, descr):
    path = tmp_path / "a.npy"
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": (3, 4, 5)})
        file.write(bytes(60 * 8))
    with pytest.raises(ValueError, match="a.npy: found records") as error:
        io.read(path)
    assert one_line(error, path)

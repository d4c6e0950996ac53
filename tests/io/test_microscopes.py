"""CZI, LIF, ND2, OIF and OIB: what is in the file arrives, and what is not wholly understood is refused in one line."""

from __future__ import annotations

import gc
import sys
import zlib
from importlib.util import find_spec

import microscopes
import numpy as np
import pytest
import tifffile

import fastmpr
from fastmpr.io import files, formats, read_about, read_image
from fastmpr.io.planes import Planes

IMAGE = np.random.default_rng(0).integers(0, 4000, (2, 3, 4, 10, 12), dtype=np.uint16)
VOXEL = (0.3, 0.1, 0.1)
NAMES, EMISSION = ("DAPI", "GFP", "RFP"), (461, 509, 610)
SAID = (VOXEL, NAMES, EMISSION, 2.5)


def said(image):
    return VOXEL, NAMES[: image.shape[1]], EMISSION[: image.shape[1]], 2.5


def czi(path, image):
    microscopes.write_czi(path, image, VOXEL, dict(enumerate(NAMES)))


def lif(path, image):
    microscopes.write_lif(path, {"cell": image}, *said(image))


def oif(path, image):
    microscopes.write_oif(path, image, *said(image))


def oib(path, image):
    microscopes.write_oib(path, image, *said(image))


def nd2(path, image):
    microscopes.write_nd2(path, image, *said(image))


READERS = {czi: "pylibCZIrw", lif: "liffile", oif: "oiffile", oib: "oiffile", nd2: "nd2"}


def marked(writers):
    return [
        pytest.param(
            w, marks=pytest.mark.skipif(find_spec(READERS[w]) is None, reason=f"needs {READERS[w]}"), id=w.__name__
        )
        for w in writers
    ]


def written(tmp_path, writer, image=IMAGE):
    path = tmp_path / f"cell.{writer.__name__}"
    writer(path, image)
    return path


def refused(path, *words, **choice):
    with pytest.raises((ValueError, OSError)) as caught:
        formats.read(path, **choice)
    said = str(caught.value)
    assert said.startswith(str(path)) and "\n" not in said
    assert all(word in said for word in words), said


@pytest.mark.parametrize("writer", marked(READERS))
class TestEveryMicroscope:
    def test_image(self, tmp_path, writer):
        image, axes, voxel_size = read_image(written(tmp_path, writer))[:3]
        order = [axes.index(axis) for axis in "TCZYX"]
        assert np.array_equal(np.transpose(image, order), IMAGE)
        assert np.allclose(voxel_size, VOXEL, rtol=1e-12)

    def test_about(self, tmp_path, writer):
        about = read_about(written(tmp_path, writer))
        assert about.names == NAMES
        if writer is not czi:  # its writer has no place for them: see below
            assert about.emission == pytest.approx([length / 1000 for length in EMISSION])
            assert about.interval == 2.5

    def test_volume(self, tmp_path, writer):
        path = written(tmp_path, writer)
        volume, voxel_size = formats.read(path, channel="GFP", frame=1)
        assert np.array_equal(volume, IMAGE[1, 1])
        assert np.allclose(voxel_size, VOXEL, rtol=1e-12)
        refused(path, "channel=", frame=0)

    def test_one_plane_at_a_time(self, tmp_path, writer):
        with formats.opened(written(tmp_path, writer)) as stored:
            places = dict(zip(stored.axes, range(5), strict=True))
            index = [slice(None)] * 5
            for axis, k in (("T", 1), ("C", 2), ("Z", 3)):
                index[places[axis]] = k
            assert np.array_equal(stored.values[tuple(index)], IMAGE[1, 2, 3])

    def test_psf(self, tmp_path, writer):
        psf = fastmpr.psf.gaussian((9, 15, 15), sigma=(1.2, 1.5, 1.5), voxel_size=1)
        counts = np.round(psf / psf.max() * 60_000).astype(np.uint16)
        path = written(tmp_path, writer, counts[None, None])
        particles = [np.random.default_rng(1).random((9, 15, 15), np.float32) for _ in range(2)]
        data = fastmpr.load(particles, psf=path, poses=fastmpr.Poses.random(2, rng=0), voxel_size=VOXEL)
        assert np.allclose(data.psf / data.psf.max(), counts / counts.max(), atol=1e-6)

    @pytest.mark.parametrize("kept", [0, 3, 20, 0.3, 0.7, 0.97])
    def test_truncated(self, tmp_path, writer, kept):
        path = written(tmp_path, writer)
        content = path.read_bytes()
        if writer is oif:
            path = next(path.with_name(path.name + ".files").glob("*Z002T002.tif"))
            content = path.read_bytes()
        path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
        for frame in (0, 1):
            refused_somewhere(tmp_path / f"cell.{writer.__name__}", frame)

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_damaged_bytes_end_in_values_or_in_one_line(self, tmp_path, writer):
        path = written(tmp_path, writer, IMAGE[:1, :1])
        parts = [path, *path.with_name(path.name + ".files").glob("*")]
        rng = np.random.default_rng(7)
        for _ in range(25):
            file = parts[rng.integers(len(parts))]
            content = file.read_bytes()
            wrong = bytearray(content)
            for at in rng.integers(len(wrong), size=4):
                wrong[at] = rng.integers(256)
            file.write_bytes(wrong)
            try:
                assert read_image(path).values.ndim >= 2
            except (ValueError, OSError) as error:
                assert str(path) in str(error) and "\n" not in str(error)
            file.write_bytes(content)
        gc.collect()  # oiffile leaves a damaged OIB open until then

    def test_a_plane_larger_than_the_memory(self, tmp_path, writer, monkeypatch):
        path = written(tmp_path, writer)
        monkeypatch.setattr(files, "memory_limit", lambda: (200.0, "its control group's limit"))
        refused(path, "need one that fits in memory", channel=0, frame=0)

    def test_a_library_that_asks_for_all_memory(self, tmp_path, writer, monkeypatch):
        path = written(tmp_path, writer)

        def full(*_):
            raise MemoryError

        monkeypatch.setattr(Planes, "__getitem__", full)
        if writer is not lif:  # its numbers are not read by planes
            refused(path, "more memory than there is", channel=0, frame=0)

    def test_text(self, tmp_path, writer):
        path = tmp_path / f"cell.{writer.__name__}"
        path.write_text("these are the notes of Tuesday\n" * 30)
        refused(path)

    def test_missing_reader(self, tmp_path, writer, monkeypatch):
        path = written(tmp_path, writer)
        monkeypatch.setitem(__import__("sys").modules, READERS[writer], None)
        with pytest.raises(ImportError, match=r"pip install \"fastmpr\["):
            formats.read(path, channel=0, frame=0)


def refused_somewhere(path, frame):
    """Of a truncated file either a volume is as it was, or there is an error of one line; frame 1 is never whole."""
    try:
        volumes = [formats.read(path, channel=channel, frame=frame)[0] for channel in range(3)]
    except (ValueError, OSError) as error:
        assert "\n" not in str(error)
    else:
        assert frame == 0
        assert np.array_equal(volumes, IMAGE[frame])


@pytest.mark.skipif(find_spec("pylibCZIrw") is None, reason="needs pylibCZIrw")
class TestCzi:
    def test_scene(self, tmp_path):
        path = tmp_path / "two.czi"
        microscopes.write_czi(path, np.stack([IMAGE[:1, :1], IMAGE[1:, 1:2]]), VOXEL, scenes=2)
        refused(path, "2 images", "scene=")
        for scene, expected in ((0, IMAGE[0, 0]), ("1", IMAGE[1, 1])):
            assert np.array_equal(formats.read(path, scene=scene)[0], expected)

    def test_wavelengths_and_interval(self, tmp_path):
        from pylibCZIrw import czi as library

        path = written(tmp_path, czi)
        with library.edit_czi(str(path)) as file, file.edit_session() as session:
            text = session.get_xml()
            for name, emission in zip(NAMES, EMISSION, strict=True):
                told = f"<EmissionWavelength>{emission}</EmissionWavelength><ExcitationWavelength>405</ExcitationWavelength>"
                text = text.replace(f'Name="{name}">', f'Name="{name}">{told}')
            frames = "<T><Positions><Interval><Increment>2.5</Increment></Interval></Positions></T>"
            session.set_xml(text.replace("</Dimensions>", f"{frames}</Dimensions>"))
        about = read_about(path)
        assert about.emission == pytest.approx([length / 1000 for length in EMISSION])
        assert about.excitation == pytest.approx([0.405] * 3)
        assert about.interval == 2.5

    def test_mosaic(self, tmp_path):
        path = tmp_path / "tiles.czi"
        microscopes.write_czi(path, IMAGE[:1, :1], VOXEL, places=((0, 0), (11, 0)))
        refused(path, "mosaic")

    def test_missing_plane(self, tmp_path):
        from pylibCZIrw import czi as library

        path = tmp_path / "hole.czi"
        with library.create_czi(str(path)) as file:
            for z in (0, 1, 3):
                file.write(IMAGE[0, 0, z][..., None], plane={"Z": z, "C": 0, "T": 0})
            file.write_metadata("test")
        refused(path, "3 planes of 4")

    def test_colours(self, tmp_path):
        from pylibCZIrw import czi as library

        path = tmp_path / "red.czi"
        with library.create_czi(str(path)) as file:
            file.write(np.zeros((5, 6, 3), np.uint8), plane={"Z": 0, "C": 0, "T": 0})
            file.write_metadata("test")
        refused(path, "RGB")


@pytest.mark.skipif(find_spec("liffile") is None, reason="needs liffile")
class TestLif:
    def test_scene(self, tmp_path):
        path = tmp_path / "two.lif"
        microscopes.write_lif(path, {"left": IMAGE, "right": IMAGE[::-1].copy()}, *SAID)
        refused(path, "'left', 'right'", "scene=", channel=0, frame=0)
        assert np.array_equal(formats.read(path, scene="right", channel=2, frame=0)[0], IMAGE[1, 2])

    def test_unclear_unit(self, tmp_path):
        path = tmp_path / "a.lif"
        microscopes.write_lif(path, {"cell": IMAGE}, *SAID, unit="parsnip")
        refused(path, "voxel size", channel=0, frame=0)
        assert formats.read(path, VOXEL, channel=0, frame=0)[1] == VOXEL


@pytest.mark.skipif(find_spec("nd2") is None, reason="needs nd2")
class TestNd2:
    def test_scene(self, tmp_path):
        path = tmp_path / "two.nd2"
        microscopes.write_nd2(path, np.stack([IMAGE, IMAGE[::-1]]), *SAID, positions=("left", "right"))
        refused(path, "'left', 'right'", "scene=", channel=0, frame=0)
        assert np.array_equal(formats.read(path, scene="right", channel=2, frame=0)[0], IMAGE[1, 2])

    def test_lossless_frames_are_inflated_to_what_the_header_declares(self, tmp_path):
        path = tmp_path / "packed.nd2"
        microscopes.write_nd2(path, IMAGE, *SAID, packed=zlib.compress)
        assert np.array_equal(formats.read(path, channel=2, frame=1)[0], IMAGE[1, 2])
        wrong = {
            "more than": lambda frame: zlib.compress(frame + bytes(1 << 24)),
            "less than": lambda frame: zlib.compress(frame[:-2]),
            "cannot be read": lambda frame: b"notes" + frame,
        }
        for words, packed in wrong.items():
            microscopes.write_nd2(path, IMAGE, *SAID, packed=packed)
            refused(path, words, channel=2, frame=1)

    def test_frame_beyond_the_end_is_no_zeros(self, tmp_path):
        path = written(tmp_path, nd2)
        path.write_bytes(path.read_bytes().replace(b"ImageDataSeq|3!", b"ImageDataSeq|9!"))
        refused(path, "7 whole planes of 8", channel=0, frame=0)


class TestColoursAndMosaics:
    """What is no stack of grey planes is refused with its axes, whatever is chosen of it."""

    def each(self, path, *words):
        for read in (formats.read, read_image, fastmpr.io.open_particles):
            for choice in ({}, {"channel": 0, "frame": 0}):
                with pytest.raises((ValueError, OSError)) as caught:
                    read(path, **choice)
                said = str(caught.value)
                assert said.startswith(str(path)) and "\n" not in said
                assert all(word in said for word in words), said

    @pytest.mark.skipif(find_spec("liffile") is None, reason="needs liffile")
    def test_lif(self, tmp_path):
        microscopes.write_lif(tmp_path / "rgb.lif", {"cell": IMAGE}, *SAID, order="TZYXC")
        self.each(tmp_path / "rgb.lif", "axes T, Z, Y, X, S, which is RGB, need grey levels")
        microscopes.write_lif(tmp_path / "tiles.lif", {"cell": IMAGE}, *SAID, outer=10)
        self.each(tmp_path / "tiles.lif", "axes M, C, Z, Y, X, need frames, channels, z, y, x")

    @pytest.mark.skipif(find_spec("nd2") is None, reason="needs nd2")
    def test_nd2(self, tmp_path):
        microscopes.write_nd2(tmp_path / "rgb.nd2", IMAGE, VOXEL, ("RGB",), (509,), 2.5)
        self.each(tmp_path / "rgb.nd2", "which is RGB, need grey levels")

    @pytest.mark.skipif(find_spec("oiffile") is None, reason="needs oiffile")
    def test_oif(self, tmp_path):
        for axis in "LAP":  # wavelengths, and what else the settings may count
            path = tmp_path / f"{axis}.oif"
            microscopes.write_oif(path, IMAGE, *SAID, **{axis: 4})
            self.each(path, f"{axis}", "need frames, channels, z, y, x")
        path = tmp_path / "rgb.oif"
        microscopes.write_oif(path, IMAGE, *SAID)
        for plane in path.with_name(path.name + ".files").glob("*.tif"):
            tifffile.imwrite(plane, np.zeros((10, 12, 3), np.uint16), photometric="rgb")
        for read in (formats.read, lambda path, **choice: read_image(path, **choice).values):
            with pytest.raises(ValueError, match=r"rgb\.oif: .* has shape \(10, 12, 3\)"):
                read(path, channel=0, frame=0)


@pytest.mark.skipif(find_spec("oiffile") is None, reason="needs oiffile")
def test_oif_with_a_missing_plane(tmp_path):
    path = written(tmp_path, oif)
    next(path.with_name(path.name + ".files").glob("*.tif")).unlink()
    refused(path, "23 planes of 24", channel=0, frame=0)


@pytest.mark.skipif(find_spec("oiffile") is None, reason="needs oiffile")
@pytest.mark.parametrize(("said", "side"), [("0,207.0", 0.207), ("0,207", 0.207), ("1,25", 1.25), ("1,207", None)])
def test_oif_of_a_computer_with_decimal_commas(tmp_path, said, side):
    path = tmp_path / "cell.oif"
    microscopes.write_oif(path, IMAGE, (0.3, said, said), NAMES, EMISSION, 2.5)
    if side is None:  # it may be thousands
        refused(path, "not clear", channel=0, frame=0)
    else:
        assert formats.read(path, channel=0, frame=0)[1] == pytest.approx((0.3, side, side))


@pytest.mark.skipif(find_spec("oiffile") is None, reason="needs oiffile")
@pytest.mark.parametrize("bits", [3, 5, 31, 48])
def test_oif_with_a_damaged_depth_asks_for_no_package(tmp_path, bits):
    path = written(tmp_path, oif)
    plane = next(path.with_name(path.name + ".files").glob("*Z002T002.tif"))
    tag_of(plane, "BitsPerSample", bits)
    with pytest.raises(ValueError, match="found integers of|cannot be read as an OIF") as error:
        for channel in range(3):
            formats.read(path, channel=channel, frame=1)
    assert "imagecodecs" not in str(error.value)


def tag_of(path, name, value):
    """Change a small number in the header of a TIFF file."""
    with tifffile.TiffFile(path) as file:
        at = file.pages[0].tags[name].valueoffset
    content = bytearray(path.read_bytes())
    content[at : at + 2] = value.to_bytes(2, "little")
    path.write_bytes(content)


@pytest.mark.skipif(find_spec("imagecodecs") is not None, reason="imagecodecs reads all of them")
@pytest.mark.parametrize(("name", "value"), [("Compression", 5), ("Compression", 50000), ("BitsPerSample", 12)])
def test_what_imagecodecs_reads_is_said(tmp_path, name, value):
    """LZW, zstd (which newer Pythons have) and packed integers."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, IMAGE[0, 0, 0], photometric="minisblack", compression="zlib", metadata=None)
    tag_of(path, name, value)
    with pytest.raises((ImportError, ValueError)) as error:
        read_image(path).values[...]
    said = str(error.value)
    assert said.startswith(str(path)) and "\n" not in said
    assert said.endswith("pip install imagecodecs") or (value == 50000 and sys.version_info >= (3, 14))

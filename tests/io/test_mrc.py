"""MRC files: what is read, and what is refused in one line."""

from __future__ import annotations

import gzip
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from shared_data import DATA

from fastmpr import FastmprWarning, io
from fastmpr.io import mrc, open_particles
from fastmpr.testing import check_format

mrcfile = pytest.importorskip("mrcfile")

VOLUME = np.random.default_rng(0).random((4, 5, 6)).astype(np.float32)
PORE = DATA / "nuclear-pore" / "All_COMBINED.mrc.gz"


def written(path: Path, volume: np.ndarray = VOLUME, voxel_size=None, **header) -> Path:
    """An MRC file, with some fields of its header changed."""
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(volume)
        if voxel_size is not None:
            file.voxel_size = voxel_size
        for name, value in header.items():
            file.header[name] = value
    return path


def big_endian(path: Path) -> Path:
    """The same file with every number's bytes turned round, its stamp that of no machine."""
    raw = path.read_bytes()
    header = np.frombuffer(raw[:208], "<i4").astype(">i4").tobytes() + b"MAP " + bytes([0, 0, 0x11, 0x11])
    data = np.frombuffer(raw[1024:], "<f4").astype(">f4").tobytes()
    path.write_bytes(header + raw[216:1024] + data)
    return path


def refusal(path: Path) -> str:
    with pytest.raises((ValueError, OSError)) as caught:
        io.read(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def test_volume_and_voxel_size_in_micrometres(tmp_path):
    path = written(tmp_path / "a.mrc", voxel_size=(10.0, 20.0, 30.0))  # x, y, z in angstroms
    volume, voxel_size = io.read(path)
    np.testing.assert_array_equal(volume, VOLUME)
    assert volume.dtype == np.float32
    assert voxel_size == pytest.approx((0.003, 0.002, 0.001))


def test_it_is_what_we_ask_of_others(tmp_path):
    check_format(mrc, tmp_path, written(tmp_path / "a.mrc", voxel_size=(10.0, 20.0, 30.0)))


def test_no_voxel_size_is_none(tmp_path):
    assert io.read(written(tmp_path / "a.mrc"))[1] is None


@pytest.mark.parametrize(
    "lengths", [(10.0, 20.0, 0.0), (10.0, -20.0, 30.0), (np.inf, 20.0, 30.0), (np.nan, 20.0, 30.0)]
)
def test_a_part_of_a_voxel_size_must_be_completed(tmp_path, lengths):
    cell = np.rec.array([tuple(np.multiply(lengths, VOLUME.shape[::-1]))], dtype=[(axis, "f4") for axis in "xyz"])[0]
    path = written(tmp_path / "a.mrc", cella=cell)
    assert "found a voxel size that is not clear" in refusal(path)
    volume, voxel_size = io.read(path, (0.3, 0.1, 0.1))
    np.testing.assert_array_equal(volume, VOLUME)
    assert voxel_size == (0.3, 0.1, 0.1)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint16, np.float16])
def test_other_modes_become_float32(tmp_path, dtype):
    volume = (10 * VOLUME).astype(dtype)
    read, _ = io.read(written(tmp_path / "a.mrc", volume))
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, volume.astype(np.float32))


BYTES = (20 + 200 * np.exp(-((np.indices((6, 9, 9)) - 4) ** 2).sum(axis=0) / 6)).astype(np.uint8)
STAMP = int.from_bytes(b"IMOD", "little")


def stamped(path: Path, volume: np.ndarray, flags: int, order: str = "little", **header) -> Path:
    """A file of bytes with IMOD's stamp and flags, words 39 and 40."""
    raw = bytearray(written(path, volume.view(np.int8), **header).read_bytes())
    if order == "big":
        raw[:208] = np.frombuffer(bytes(raw[:208]), "<i4").astype(">i4").tobytes()
        raw[208:216] = b"MAP " + bytes([0x11, 0x11, 0, 0])
    raw[152:160] = STAMP.to_bytes(4, order) + flags.to_bytes(4, order)
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("flags", [0, 4, 1, 13])
def test_bytes_with_the_stamp_of_imod(tmp_path, flags, order):
    """Its first flag says that they are signed: 1 and 13 have it, 0 and 4 (of the origin) do not."""
    signed = flags % 2 == 1
    volume = (BYTES.astype(int) - 128).astype(np.int8) if signed else BYTES
    path = stamped(tmp_path / "a.mrc", volume, flags, order)
    np.testing.assert_array_equal(io.read(path)[0], volume.astype(np.float32))
    np.testing.assert_array_equal(io.read_image(path).values, volume)


def test_bytes_without_a_stamp_are_signed_as_the_standard_says(tmp_path):
    """Unless the range in the header can only be that of unsigned ones; where they look torn, that is said."""
    rng = np.random.default_rng(0)
    mask, noise = np.where(BYTES > 60, 127, -128).astype(np.int8), rng.integers(-128, 128, BYTES.shape).astype(np.int8)
    filtered = (rng.standard_normal(BYTES.shape) * 30).astype(np.int8)
    for volume in (mask, noise, filtered, (BYTES.astype(int) - 128).astype(np.int8), (BYTES // 2).astype(np.int8)):
        np.testing.assert_array_equal(io.read(written(tmp_path / "a.mrc", volume))[0], volume.astype(np.float32))
    told = written(tmp_path / "a.mrc", BYTES.view(np.int8), dmin=BYTES.min(), dmax=BYTES.max())
    np.testing.assert_array_equal(io.read(told)[0], BYTES.astype(np.float32))
    stale = written(tmp_path / "a.mrc", noise, dmin=20, dmax=220)
    np.testing.assert_array_equal(io.read(stale)[0], noise.astype(np.float32))
    with pytest.warns(FastmprWarning, match="found that bytes jump from 127 to -128, so they may be unsigned"):
        read, _ = io.read(written(tmp_path / "a.mrc", BYTES.view(np.int8)))
    np.testing.assert_array_equal(read, BYTES.view(np.int8).astype(np.float32))


THICK = np.random.default_rng(0).random((28, 5, 6)).astype(np.float32)


@pytest.mark.parametrize(("cell", "side"), [(28_000, 1000), (1000, 1000), (84_000, 3000), (4000, 4000), (9000, 9000)])
def test_one_section_in_the_cell_of_a_volume(tmp_path, cell, side):
    """mz = 1: the cell is that of a section, as the standard has it, or that of all: whichever a microscope may have."""
    path = sections(tmp_path / "a.mrc", THICK, cell)
    assert io.read(path)[1] == pytest.approx((side * 1e-4, 0.1, 0.1))
    assert open_particles(path).voxel_size == io.read(path)[1]


def sections(path: Path, volume: np.ndarray, cell: float, mz: int = 1) -> Path:
    size = np.rec.array([(6000, 5000, cell)], dtype=[(axis, "f4") for axis in "xyz"])[0]
    return written(path, volume, cella=size, mz=mz)


def test_a_cell_that_may_be_of_one_section_or_of_all_is_asked_for(tmp_path):
    path = sections(tmp_path / "a.mrc", THICK[:10], 10_000)
    assert "mz = 1, so a voxel of 10000 or 1000 Å along z and 1000 along y, need its voxel size" in refusal(path)
    assert io.read(path, (0.1, 0.1, 0.1))[1] == (0.1, 0.1, 0.1)
    assert io.read(sections(path, THICK[:10], 10_000, mz=10))[1] == pytest.approx((0.1, 0.1, 0.1))
    assert io.read(sections(path, THICK[:1], 1000))[1] == pytest.approx((0.1, 0.1, 0.1))


def test_a_voxel_of_one_angstrom_is_not_known(tmp_path, caplog):
    with caplog.at_level("INFO", "fastmpr"):
        assert io.read(written(tmp_path / "a.mrc", voxel_size=1.0))[1] is None
    assert "voxels are of 1 Å, which programs write as a placeholder" in caplog.text
    assert io.read(written(tmp_path / "a.mrc", voxel_size=(1.0, 1.0, 2.0)))[1] == pytest.approx((2e-4, 1e-4, 1e-4))
    assert io.read(written(tmp_path / "a.mrc", voxel_size=1.07))[1] == pytest.approx((1.07e-4,) * 3)
    assert io.read(written(tmp_path / "a.mrc", voxel_size=1.0), (1e-4,) * 3)[1] == (1e-4,) * 3


def test_threads_that_read_leave_the_warnings_of_others_alone(tmp_path):
    """Python's filters are one list for all threads: what one sets aside another must not put back for good."""
    paths = [tmp_path / f"{k}.mrc" for k in range(8)]
    for path in paths:
        written(path, np.ones((2, 3, 4), np.float32))
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            list(pool.map(io.read, paths))
    assert warnings.filters == before


def test_gzipped(tmp_path):
    path = tmp_path / "a.mrc.gz"
    path.write_bytes(gzip.compress(written(tmp_path / "a.mrc").read_bytes()))
    np.testing.assert_array_equal(io.read(path)[0], VOLUME)


def test_big_endian_with_an_unknown_stamp(tmp_path):
    volume, _ = io.read(big_endian(written(tmp_path / "a.mrc")))
    np.testing.assert_array_equal(volume, VOLUME)
    assert volume.dtype.isnative


def test_axes_in_another_order(tmp_path):
    path = written(tmp_path / "a.mrc", VOLUME.transpose(2, 0, 1), maps=1, mapr=3, mapc=2)
    np.testing.assert_array_equal(io.read(path)[0], VOLUME)


def test_bad_files_are_refused_in_one_line(tmp_path):
    whole = written(tmp_path / "whole.mrc").read_bytes()

    def file(content: bytes, name: str = "bad.mrc") -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    assert "truncated" in refusal(file(whole[:-7]))
    refusal(file(whole[:500]))
    refusal(file(b""))
    refusal(file(b"no MRC file at all" * 200))
    refusal(file(gzip.compress(whole)[:-30], "bad.mrc.gz"))
    assert "need a 3-D" in refusal(written(tmp_path / "2d.mrc", VOLUME[0]))
    assert "complex" in refusal(written(tmp_path / "complex.mrc", VOLUME.astype(np.complex64)))
    assert "axes" in refusal(written(tmp_path / "axes.mrc", maps=3, mapr=3, mapc=1))
    assert "infinite" in refusal(file(whole[:-4] + np.float32(np.inf).tobytes()))
    assert "folder" in refusal(tmp_path)
    assert "not exist" in refusal(tmp_path / "nowhere.mrc")
    bomb = np.frombuffer(whole, "<i4").copy()
    bomb[:3] = 100_000
    assert "memory" in refusal(file(bomb.tobytes()))
    assert "memory" in refusal(file(gzip.compress(bomb.tobytes()), "bad.mrc.gz"))


@pytest.mark.parametrize("order", ["<i4", ">i4"])
@pytest.mark.parametrize(("field", "value"), [(23, 2**30), (0, 10_000)])
def test_no_memory_is_taken_for_what_is_not_in_the_file(tmp_path, order, field, value):
    """Neither for the extended header nor for the volume: mrcfile would take it, then find the file at its end."""
    path = written(tmp_path / "short.mrc", np.ones((4, 50, 6), np.float32))
    if order == ">i4":
        big_endian(path)
    numbers = np.frombuffer(path.read_bytes(), order).copy()
    numbers[field] = value
    path.write_bytes(numbers.tobytes())
    tracemalloc.start()
    assert "truncated" in refusal(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.skipif(not PORE.exists(), reason="needs the nuclear pore of FASTMPR_DATA or ../shared/data")
def test_the_nuclear_pore_of_npc2018():
    volume, voxel_size = io.read(PORE)
    assert volume.shape == (100, 100, 100)
    assert 0 < volume.mean() < volume.max() <= 1
    assert voxel_size is None or min(voxel_size) > 0


class TestWrite:
    STACK = np.random.default_rng(0).random((3, 4, 5, 6)).astype(np.float32)

    @pytest.mark.parametrize("suffix", [".mrc", ".mrc.gz"])
    @pytest.mark.parametrize("voxel_size", [(0.3, 0.11, 0.1), None])
    @pytest.mark.parametrize(("axes", "shown"), [("YX", (0, 0)), ("ZYX", (0,)), ("TZYX", ())])
    def test_what_is_written_comes_back_and_is_valid(self, tmp_path, suffix, voxel_size, axes, shown, capsys):
        path, values = tmp_path / f"a{suffix}", self.STACK[shown]
        io.write_image(path, values, axes, voxel_size)
        found = io.read_image(path)
        np.testing.assert_array_equal(found.values, values)
        assert found.axes == axes
        assert found.voxel_size == (voxel_size and pytest.approx(voxel_size[-2:] if axes == "YX" else voxel_size))
        if suffix == ".mrc":
            assert mrcfile.validate(path), capsys.readouterr().out

    def test_what_it_does_not_hold(self, tmp_path, caplog):
        with pytest.raises(ValueError, match="a.mrc: found axes CZYX, need YX, ZYX, TZYX in an MRC file"):
            io.write_image(tmp_path / "a.mrc", self.STACK, "CZYX")
        caplog.set_level("INFO", "fastmpr")
        io.write(tmp_path / "a.mrc", self.STACK[0].astype(float))
        assert "an MRC file holds float32" in caplog.text
        assert [path.name for path in tmp_path.iterdir()] == ["a.mrc"]

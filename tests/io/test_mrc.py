"""MRC files: what is read, and what is refused in one line."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from shared_data import DATA

from fastmpr.io import mrc

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
        mrc.read(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def test_volume_and_voxel_size_in_micrometres(tmp_path):
    path = written(tmp_path / "a.mrc", voxel_size=(10.0, 20.0, 30.0))  # x, y, z in angstroms
    volume, voxel_size = mrc.read(path)
    np.testing.assert_array_equal(volume, VOLUME)
    assert volume.dtype == np.float32
    assert voxel_size == pytest.approx((0.003, 0.002, 0.001))


def test_no_voxel_size_is_none(tmp_path):
    assert mrc.read(written(tmp_path / "a.mrc"))[1] is None


@pytest.mark.parametrize(
    "lengths", [(10.0, 20.0, 0.0), (10.0, -20.0, 30.0), (np.inf, 20.0, 30.0), (np.nan, 20.0, 30.0)]
)
def test_a_part_of_a_voxel_size_must_be_completed(tmp_path, lengths):
    cell = np.rec.array([tuple(np.multiply(lengths, VOLUME.shape[::-1]))], dtype=[(axis, "f4") for axis in "xyz"])[0]
    path = written(tmp_path / "a.mrc", cella=cell)
    assert "found a voxel size that is not clear" in refusal(path)
    volume, voxel_size = mrc.read(path, (0.3, 0.1, 0.1))
    np.testing.assert_array_equal(volume, VOLUME)
    assert voxel_size == (0.3, 0.1, 0.1)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint16, np.float16])
def test_other_modes_become_float32(tmp_path, dtype):
    volume = (10 * VOLUME).astype(dtype)
    read, _ = mrc.read(written(tmp_path / "a.mrc", volume))
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, volume.astype(np.float32))


def test_gzipped(tmp_path):
    path = tmp_path / "a.mrc.gz"
    path.write_bytes(gzip.compress(written(tmp_path / "a.mrc").read_bytes()))
    np.testing.assert_array_equal(mrc.read(path)[0], VOLUME)


def test_big_endian_with_an_unknown_stamp(tmp_path):
    volume, _ = mrc.read(big_endian(written(tmp_path / "a.mrc")))
    np.testing.assert_array_equal(volume, VOLUME)
    assert volume.dtype.isnative


def test_axes_in_another_order(tmp_path):
    path = written(tmp_path / "a.mrc", VOLUME.transpose(2, 0, 1), maps=1, mapr=3, mapc=2)
    np.testing.assert_array_equal(mrc.read(path)[0], VOLUME)


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
    volume, voxel_size = mrc.read(PORE)
    assert volume.shape == (100, 100, 100)
    assert 0 < volume.mean() < volume.max() <= 1
    assert voxel_size is None or min(voxel_size) > 0

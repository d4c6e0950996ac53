"""Arrays of files that are written, and read, piece by piece."""

import tracemalloc
from importlib.util import find_spec

import numpy as np
import pytest
import tifffile

from fastmpr.io import write_image
from fastmpr.io.images import created_image, opened_image
from fastmpr.io.pieces import Pieces

SHAPE = (3, 5, 6, 7)
NAMES = [".ome.tif", ".npy", ".npz", ".mrc"]
NAMES += [
    pytest.param(name, marks=pytest.mark.skipif(find_spec(module) is None, reason=f"needs {module}"))
    for name, module in ((".h5", "h5py"), (".ome.zarr", "zarr"))
]


def boxes(rng, count=30):
    """Some boxes of the array: integers, whole axes and parts of them."""
    for _ in range(count):
        index = []
        for n in SHAPE:
            first, last = sorted(rng.integers(0, n + 1, 2).tolist())
            index.append([slice(None), int(rng.integers(n)), slice(first, last + (first == last))][rng.integers(3)])
        if all(not isinstance(one, slice) or range(n)[one] for one, n in zip(index, SHAPE, strict=True)):
            yield tuple(index)


def test_pieces_are_what_numpy_writes(tmp_path):
    rng, expected = np.random.default_rng(0), np.zeros(SHAPE, np.float32)
    with open(tmp_path / "a", "w+b") as file:
        file.write(b"header")
        pieces = Pieces(file, 6, SHAPE, np.float32)
        for index in boxes(rng):
            values = rng.random(expected[index].shape)
            expected[index] = pieces[index] = values
        expected[..., 2] = pieces[..., 2] = 3.0
        expected[1] = pieces[1] = rng.random(SHAPE[1:])
        with pytest.raises(ValueError, match="found a step of 2, need 1"):
            pieces[::2] = 1
    written = (tmp_path / "a").read_bytes()
    assert written[:6] == b"header"
    np.testing.assert_array_equal(np.frombuffer(written[6:], np.float32).reshape(SHAPE), expected)


@pytest.mark.parametrize("name", NAMES)
def test_any_box_is_read_and_written_in_every_format(tmp_path, name):
    rng, expected = np.random.default_rng(1), np.random.default_rng(0).random(SHAPE).astype(np.float32)
    with created_image(tmp_path / f"a{name}", SHAPE, np.float32, "TZYX", 0.1) as target:
        target[...] = 0
        for t in range(SHAPE[0]):
            target[t, :, 2:] = expected[t, :, 2:]
            target[t, 1:4, :2, 3:] = expected[t, 1:4, :2, 3:]
    expected[:, [0, 4], :2], expected[:, :, :2, :3] = 0, 0
    with opened_image(tmp_path / f"a{name}") as image:
        for index in boxes(rng):
            np.testing.assert_array_equal(image.values[index], expected[index])
        np.testing.assert_array_equal(image.values[..., ::2], expected[..., ::2])


@pytest.mark.parametrize("name", NAMES)
def test_what_fails_leaves_nothing(tmp_path, name):
    write_image(tmp_path / f"a{name}", np.ones(SHAPE), "TZYX")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with (
        pytest.raises(KeyboardInterrupt),
        created_image(tmp_path / f"a{name}", SHAPE, np.float32, "TZYX", overwrite=True) as target,
    ):
        target[0] = 1
        raise KeyboardInterrupt
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_part_of_a_page_does_not_keep_the_page(tmp_path):
    values = np.random.default_rng(0).random((40, 128, 128)).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", values, compression="zlib", photometric="minisblack")
    with opened_image(tmp_path / "a.tif") as image:
        tracemalloc.start()
        part = image.values[:, :2, :2]
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    np.testing.assert_array_equal(part, values[:, :2, :2])
    assert most < values.nbytes / 4

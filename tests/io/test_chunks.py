"""Chunks of Zarr arrays that are decoded without zarr: the same numbers, and a wrong chunk is an error."""

import numpy as np
import pytest

from fastmpr.images.image import Slabs
from fastmpr.io import chunks, ome_zarr, write_image
from fastmpr.io.files import FileError
from fastmpr.io.images import opened_image

zarr = pytest.importorskip("zarr", reason="there is no zarr for this Python")
ALL = slice(None)


def stored_in(path, values, form, codec):
    import numcodecs

    old = {"zstd": numcodecs.Zstd(), "blosc": numcodecs.Blosc(), "gzip": numcodecs.GZip(), None: None}
    new = {
        "zstd": zarr.codecs.ZstdCodec(),
        "blosc": zarr.codecs.BloscCodec(),
        "gzip": zarr.codecs.GzipCodec(),
        None: None,
    }
    array = zarr.create_array(
        store=str(path),
        shape=values.shape,
        chunks=(1, 16, 20, 16),
        dtype=values.dtype,
        zarr_format=form,
        compressors=(old if form == 2 else new)[codec],
        config={"write_empty_chunks": True},
    )
    array[...] = values


@pytest.mark.parametrize("form", [2, 3])
@pytest.mark.parametrize("codec", ["zstd", "blosc", "gzip", None])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "u1"])
def test_the_numbers_are_those_that_were_written(tmp_path, form, codec, dtype):
    values = np.random.default_rng(0).uniform(0, 200, (3, 33, 20, 41)).astype(dtype)
    stored_in(tmp_path / "a.zarr", values, form, codec)
    with ome_zarr.opened(tmp_path / "a.zarr") as stored:
        for index in ((ALL,) * 4, (1, ALL, ALL, ALL), (2, ALL, 3, ALL), (0, 20, ALL, ALL)):
            np.testing.assert_array_equal(stored.values[index], values[index])


@pytest.mark.parametrize("count", [1, 100, 5121, 10**6])
@pytest.mark.parametrize("codec", ["zstd", "blosc"])
def test_a_chunk_of_another_size_is_an_error_never_voxels_left_unset(tmp_path, codec, count):
    import numcodecs

    stored_in(tmp_path / "a.zarr", np.ones((1, 16, 20, 16), np.float32), 3, codec)
    wrong = numcodecs.get_codec({"id": codec}).encode(np.ones(count, np.float32))
    (tmp_path / "a.zarr/c/0/0/0/0").write_bytes(wrong)
    with ome_zarr.opened(tmp_path / "a.zarr") as stored, pytest.raises(FileError, match=f"declares {4 * count} bytes"):
        stored.read("TZYX", {0: 0}, "ZYX")


@pytest.mark.parametrize(("most", "times"), [(1e9, 1), (16 * 600 * 300 * 4, 1), (9 * 600 * 300 * 4, 2), (1, 16)])
def test_planes_of_a_large_image_are_read_chunk_by_chunk(tmp_path, monkeypatch, most, times):
    decoded, decode = [], chunks._Decoder.__call__
    monkeypatch.setattr(chunks._Decoder, "__call__", lambda *args: decoded.append(args[1]) or decode(*args))
    values = np.random.default_rng(0).integers(0, 9, (2, 37, 600, 300)).astype(np.float32)
    write_image(tmp_path / "a.ome.zarr", values, "CZYX")
    with opened_image(tmp_path / "a.ome.zarr") as image:
        assert image.values.chunks == (1, 16, 256, 256)
        planes = Slabs(_Channel(image.values, 1), most)
        for z in range(37):
            np.testing.assert_array_equal(planes[z], values[1, z])
    counts = {path: decoded.count(path) for path in decoded}
    assert len(counts) == 3 * 3 * 2
    assert max(counts.values()) == times


class _Channel:
    """One channel of an image, unread."""

    def __init__(self, image, channel):
        self.shape, self.dtype, self.chunks = image.shape[1:], image.dtype, image.chunks[1:]
        self._image, self._channel = image, channel

    def __getitem__(self, index):
        return self._image[self._channel, index]

"""Chunks of Zarr arrays that are decoded without zarr: the same numbers, and a wrong chunk is an error."""

import numpy as np
import pytest

from fastmpr.io import ome_zarr
from fastmpr.io.files import FileError

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

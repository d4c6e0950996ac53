"""Where results go: never into what is read."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import fastmpr
from fastmpr.deconvolution.targets import share_storage

PSF = fastmpr.psf.gaussian((5, 5, 5), sigma=(1, 1, 1))
SHAPE = (8, 20, 20)


def noise() -> np.ndarray:
    return np.random.default_rng(0).random(SHAPE, dtype=np.float32)


def refused(image, out) -> None:
    with pytest.raises(ValueError, match="out: found the image itself, or a part of it, need another array"):
        fastmpr.deconvolve(image, PSF, lam=1.0, out=out)


def test_the_image_itself_and_views_of_it():
    whole = np.random.default_rng(0).random((9, 20, 20), dtype=np.float32)
    before = whole.copy()
    refused(whole, whole)
    refused(whole[:-1], whole[1:])
    refused(whole[:8], whole[7::-1])
    frames = whole[:8].reshape(2, 4, 20, 20)
    refused(frames, frames)
    np.testing.assert_array_equal(whole, before)


def test_neighbours_in_one_memory_are_two_arrays():
    both = np.zeros((*SHAPE, 2), np.float32)
    both[..., 0] = noise()
    x = fastmpr.deconvolve(both[..., 0], PSF, lam=1.0, background="none", out=both[..., 1])
    np.testing.assert_array_equal(x, fastmpr.deconvolve(noise(), PSF, lam=1.0, background="none"))


def test_memory_maps_of_one_file(tmp_path):
    path = tmp_path / "two.npy"
    np.save(path, np.stack([noise(), noise()]))
    first, second = (np.load(path, mmap_mode=mode) for mode in ("r", "r+"))
    refused(first[0], second[0])
    refused(np.asarray(first)[1], second[1])  # no map any more, by its type
    assert not share_storage(first[0], second[1])  # the other half of the file
    assert not share_storage(first, noise())
    raw = np.memmap(path, np.float32, "r+", offset=first.offset + 4, shape=SHAPE)
    assert share_storage(first[0], raw)


class Stored(SimpleNamespace):
    """An array as Zarr's or HDF5's are described."""

    shape, dtype = SHAPE, np.dtype(np.float32)

    def __getitem__(self, box):
        return noise()[box]

    def __setitem__(self, box, values):
        raise AssertionError("written to")


@pytest.mark.parametrize("kind", ["zarr", "hdf5", "memory"])
def test_stores_that_are_one(kind, tmp_path):
    def opened(name: str = "a", folder: str = "cells") -> Stored:
        if kind == "zarr":
            return Stored(store=SimpleNamespace(root=tmp_path / "x" / ".." / folder), path=name)
        if kind == "memory":
            return Stored(store=memory if folder == "cells" else object(), path=name)
        return Stored(name=f"/{name}", file=SimpleNamespace(filename=str(tmp_path / folder)))

    if kind == "hdf5":
        linked, other = opened("a"), opened("b")
        linked.id = other.id = 7
        refused(linked, other)
    if kind == "zarr":
        refused(opened(), Stored(store=SimpleNamespace(root=str(tmp_path)), path="cells/a"))
    memory = object()
    refused(opened(), opened())
    same = opened()
    refused(same, same)
    assert not share_storage(opened(), opened("b"))
    assert not share_storage(opened(), opened(folder="others"))
    assert not share_storage(opened(), noise())


def test_arrays_that_are_computed_from_it():
    image, chunk = noise(), noise()
    graph = {"original": image, ("array", 0): SimpleNamespace(value=chunk), ("sum", 0): (sum, 1)}
    lazy = Stored(dask=graph)
    refused(lazy, image)
    refused(lazy, chunk[::-1])
    assert not share_storage(lazy, noise())

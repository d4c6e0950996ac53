"""Calls that a type checker must let pass, with the types of what they return. They are checked, and never run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import fastmpr

views: NDArray[np.float32] = np.ones((10, 8, 8, 8), np.float32)
listed: list[NDArray[np.uint16]] = [np.ones((8, 8, 8), np.uint16)] * 10
psf = fastmpr.psf.gaussian((9, 7, 7), sigma=(2, 1, 1))
poses = fastmpr.Poses.random(10, rng=0)


class Reader:
    """Particles of somebody else's."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, i: int) -> NDArray[np.float32]:
        return np.asarray(views[i])


class Chunked:
    """An image that is read box by box, and can be written so."""

    shape = (8, 8, 8)
    dtype = np.dtype("f4")

    def __getitem__(self, box: Any) -> NDArray[Any]:
        return np.asarray(np.zeros(self.shape)[box])

    def __setitem__(self, box: Any, values: NDArray[Any]) -> None:
        pass


# A Dataset, with each of its keywords
data = fastmpr.Dataset(views, psf, poses)
fastmpr.Dataset(listed, [psf, psf], poses, psf_of=[0, 1] * 5, voxel_size=(0.3, 0.1, 0.1), psf_voxel_size=0.1)
fastmpr.Dataset(Reader(), psf.tolist(), poses, weights=np.arange(10), frame="model", thread_safe=True)
fastmpr.Dataset(views, symmetry="D3", symmetry_axis=((1, 0, 0), (0, 1, 0)), symmetry_centre=[0, 0.5, 0])
fastmpr.Dataset(views, psf, poses, names=[f"{i}.tif" for i in range(10)], seen="all", outside="unseen", radius=3)
fastmpr.Dataset(views, psf, poses, weights="robust")
fastmpr.Dataset(views, psf, poses, seen=[None, *[view > 0 for view in views[1:]]], background=0.1, gain="fit")
fastmpr.Dataset(views, psf, poses, background=np.zeros(10), gain=[1.0] * 10, psf_of=np.zeros(10, int))
assert_type(data[3:10], fastmpr.Dataset)
assert_type(data.replace(poses=poses[::-1], background="plane", gain="same"), fastmpr.Dataset)
assert_type(data.replace(particles=listed, psf=None, voxel_size=0.1, symmetry=None), fastmpr.Dataset)
assert_type(data.split(2, rng=0), list[fastmpr.Dataset])
assert_type(data.gains, NDArray[np.float64] | None)

# Files
assert_type(fastmpr.load("particles/", "psf.tif", "poses.csv"), fastmpr.Dataset)
fastmpr.load(Path("particles"), psf=Path("psf.tif"), poses=poses, voxel_size=0.1, psf_measured=True, symmetry="C9")
fastmpr.load(["1.tif", "2.tif"], psf, "poses.star", gain="fit", seen="all")
fastmpr.load(Path().glob("*.tif"), background="none")
fastmpr.load(data, psf="psf.tif")

# What works on views takes a Dataset, or what one is made of
stop = threading.Event()
assert_type(fastmpr.reconstruct(data), fastmpr.Result)
fastmpr.reconstruct(data, lam=30.0, regularizer="tv", shape=48, positivity=False, max_iter=9, tol=0.1, check=False)
fastmpr.reconstruct(listed, psf, poses, lam="auto", callback=print, progress=True, cancel=stop, timeout=60, workers=2)
fastmpr.reconstruct(views, psf, poses, voxel_size=0.1, symmetry="C9", gain="fit", outside="dark", shape=(9, 9, 9))
fastmpr.reconstruct(Reader(), psf=psf, poses=poses, regularizer=fastmpr.regularizers.Hessian())
fastmpr.reconstruct(data, regularizer=fastmpr.regularizers.Tikhonov(), lam=3.0)
assert_type(fastmpr.accumulate(data, shape=48, workers=1, progress=None), fastmpr.NormalEquations)
assert_type(fastmpr.accumulate(views, psf, poses, weights=[1.0] * 10), fastmpr.NormalEquations)
assert_type(fastmpr.accumulate(data[:5]) + fastmpr.accumulate(data[5:]), fastmpr.NormalEquations)
fastmpr.average(data, shape=48, progress=True, timeout=60.0)
fastmpr.average(views, poses=poses, symmetry="C9")
fastmpr.average(views, psf, poses, voxel_size=(0.3, 0.1, 0.1))
fastmpr.deconvolve_average(data, lam=3.0, regularizer="hessian", max_iter=9, tol=0.1, progress=print)
fastmpr.deconvolve_average(views, psf, poses, lam="auto", gain=np.ones(10))
fastmpr.diagnose(data, workers=2, progress=True)[0].data.replace(symmetry=None)
fastmpr.diagnose(listed, psf, poses, voxel_size=0.1)

# A volume and its views, sums and a volume
assert_type(fastmpr.simulate(views[0], psf, poses, noise_sigma=0.1, frame="model", rng=0), NDArray[Any])
fastmpr.simulate(listed[0], psf.tolist(), poses, voxel_size=(0.3, 0.1, 0.1), psf_voxel_size=0.1, shape=48)
result = fastmpr.reconstruct(data)
fastmpr.residuals(data, result, workers=2).ratio.argmax()
fastmpr.residuals(views, result.x, psf, poses, gain=np.ones(10)).ratio.argmax()
sums = fastmpr.accumulate(data)
assert_type(fastmpr.solve(sums, 30.0), fastmpr.Result)
fastmpr.solve(sums, 30.0, "tv", x0=result.x, mu=(1.0, 2.0), relaxation=1.5, deterministic=True, cancel=stop)
assert_type(fastmpr.objective(result.x, sums, 30.0), float)
fastmpr.solve(sums, 30.0, fastmpr.regularizers.Tikhonov())
assert_type(fastmpr.select_lam(sums, sums, "tv", noise=1.0, max_iter=9, timeout=60), tuple[float, NDArray[Any]])
assert_type(fastmpr.infer_lam(sums, positivity=False), tuple[float, NDArray[Any]])

# Images: what comes back is as what was given
image: NDArray[np.float32] = views[0]
assert_type(fastmpr.deconvolve(image, psf), NDArray[Any])
assert_type(fastmpr.deconvolve(image, psf, out=None, lam=3.0, background="plane", outside="dark"), NDArray[Any])
assert_type(fastmpr.deconvolve([[1.0, 2.0], [3.0, 4.0]], [[0.0, 1.0], [1.0, 0.0]]), NDArray[Any])
assert_type(fastmpr.deconvolve(Chunked(), [psf, psf], axes="CZYX", max_memory=1e9), NDArray[Any])
assert_type(fastmpr.deconvolve(Chunked(), psf, out=Chunked(), frames="alike"), Chunked)
assert_type(fastmpr.deconvolve(listed, psf, report=print, progress=True), list[NDArray[Any]])
assert_type(fastmpr.deconvolve((image, image), psf, voxel_size=(0.3, 0.1, 0.1)), list[NDArray[Any]])
assert_type(fastmpr.deconvolve((view for view in listed), psf, seen="all"), Iterator[NDArray[Any]])

"""Calls that a type checker must refuse, each by the error that its comment names: an ignored error that is none is one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import fastmpr

views = np.ones((10, 8, 8, 8), np.float32)
psf = fastmpr.psf.gaussian((9, 7, 7), sigma=(2, 1, 1))
poses = fastmpr.Poses.random(10, rng=0)
image = np.ones((8, 8, 8), np.float32)
data = fastmpr.Dataset(views, psf, poses)
sums = fastmpr.accumulate(data)
result = fastmpr.reconstruct(data)

# Misspelt keywords, and keywords of other functions
fastmpr.Dataset(views, psf, poses, symetry="C9")  # type: ignore[call-arg]
fastmpr.Dataset(views, psf, poses, lam=3.0)  # type: ignore[call-arg]
data.replace(symetry="C9")  # type: ignore[call-arg]
data.replace(lam=3.0)  # type: ignore[call-arg]
fastmpr.load("particles/", psf="psf.tif", voxelsize=0.1)  # type: ignore[call-arg]
fastmpr.reconstruct(views, psf, poses, voxelsize=0.1)  # type: ignore[call-overload]
fastmpr.reconstruct(views, psf, poses, symetry="C9")  # type: ignore[call-overload]
fastmpr.reconstruct(data, lambd=3.0)  # type: ignore[call-overload]
fastmpr.accumulate(views, psf, poses, symetry="C9")  # type: ignore[call-overload]
fastmpr.accumulate(data, lam=3.0)  # type: ignore[call-overload]
fastmpr.average(views, poses=poses, symetry="C9")  # type: ignore[call-overload]
fastmpr.average(data, tol=0.1)  # type: ignore[call-overload]
fastmpr.deconvolve_average(views, psf, poses, symetry="C9")  # type: ignore[call-overload]
fastmpr.deconvolve_average(data, positivity=False)  # type: ignore[call-overload]
fastmpr.residuals(data, result, worker=2)  # type: ignore[call-overload]
fastmpr.diagnose(views, psf, poses, symetry="C9")  # type: ignore[call-overload]
fastmpr.select_lam(sums, sums, maxiter=9)  # type: ignore[call-arg]
fastmpr.infer_lam(sums, x0=result.x)  # type: ignore[call-arg]
fastmpr.solve(sums, 30.0, maxiter=9)  # type: ignore[call-arg]
fastmpr.deconvolve(image, psf, lambd=3.0)  # type: ignore[call-overload]

# What belongs to particles beside a Dataset, which has its own
fastmpr.reconstruct(data, psf)  # type: ignore[call-overload]
fastmpr.reconstruct(data, psf=psf)  # type: ignore[call-overload]
fastmpr.reconstruct(data, symmetry="C9")  # type: ignore[call-overload]
fastmpr.accumulate(data, psf, poses)  # type: ignore[call-overload]
fastmpr.average(data, poses=poses)  # type: ignore[call-overload]
fastmpr.deconvolve_average(data, voxel_size=0.1)  # type: ignore[call-overload]
fastmpr.residuals(data, result, psf, poses)  # type: ignore[call-overload]
fastmpr.diagnose(data, psf, poses)  # type: ignore[call-overload]

# Values of the wrong type
fastmpr.Dataset("particles/", psf, poses)  # type: ignore[arg-type]
fastmpr.Dataset(views, "psf.tif", poses)  # type: ignore[arg-type]
fastmpr.Dataset(views, psf, "poses.csv")  # type: ignore[arg-type]
fastmpr.Dataset(views, psf, poses, gain="fitted")  # type: ignore[arg-type]
fastmpr.Dataset(views, psf, poses, weights="equal")  # type: ignore[arg-type]
fastmpr.Dataset(views, psf, poses, gain=2.0)  # type: ignore[arg-type]
fastmpr.Dataset(views, psf, poses, frame="models")  # type: ignore[arg-type]
fastmpr.Dataset(views, psf, poses, outside="none")  # type: ignore[arg-type]
fastmpr.Dataset(views, psf, poses, background="flat")  # type: ignore[arg-type]
fastmpr.Dataset(views, psf, poses, seen=True)  # type: ignore[arg-type]
fastmpr.Dataset(views, psf, poses, symmetry=9)  # type: ignore[arg-type]
fastmpr.Dataset(views, psf, poses, voxel_size="0.1")  # type: ignore[arg-type]
fastmpr.Dataset(views, psf, poses, radius=(1, 2, 3))  # type: ignore[arg-type]
fastmpr.Dataset(views, psf, poses, names=range(10))  # type: ignore[arg-type]
fastmpr.Dataset(views, psf, poses, thread_safe="yes")  # type: ignore[arg-type]
fastmpr.Dataset(views, psf, poses, "C9")  # type: ignore[arg-type, call-arg]
data.replace(gain="fitted")  # type: ignore[arg-type]
data.replace(poses=poses.matrix)  # type: ignore[arg-type]
fastmpr.load(3)  # type: ignore[arg-type]
fastmpr.load("particles/", poses=poses.matrix)  # type: ignore[arg-type]
fastmpr.load("particles/", gain="fitted")  # type: ignore[arg-type]
fastmpr.reconstruct("particles/", psf, poses)  # type: ignore[call-overload]
fastmpr.reconstruct(views, poses, psf)  # type: ignore[call-overload]
fastmpr.reconstruct(views, psf, poses, frame="models")  # type: ignore[call-overload]
fastmpr.reconstruct(views, psf, poses, lam="best")  # type: ignore[call-overload]
fastmpr.reconstruct(data, regularizer=3)  # type: ignore[call-overload]
fastmpr.reconstruct(data, shape="large")  # type: ignore[call-overload]
fastmpr.reconstruct(data, cancel=True)  # type: ignore[call-overload]
fastmpr.accumulate(views, psf, poses, weights="same")  # type: ignore[arg-type]
fastmpr.accumulate(data, workers="all")  # type: ignore[call-overload]
fastmpr.average(views, poses)  # type: ignore[call-overload]
fastmpr.deconvolve_average(data, lam="best")  # type: ignore[call-overload]
fastmpr.residuals(data, psf, timeout="1 min")  # type: ignore[call-overload]
fastmpr.residuals(result, data)  # type: ignore[call-overload]
fastmpr.diagnose(data, progress=3)  # type: ignore[call-overload]
fastmpr.simulate(image, psf, poses, frame="models")  # type: ignore[arg-type]
fastmpr.simulate(image, psf, poses, noise=0.1)  # type: ignore[call-arg]
fastmpr.simulate("x.tif", psf, poses)  # type: ignore[arg-type]
fastmpr.solve(data, 30.0)  # type: ignore[arg-type]
fastmpr.solve(sums, "auto")  # type: ignore[arg-type]
fastmpr.solve(sums, 30.0, mu=(1.0, 2.0, 3.0))  # type: ignore[arg-type]

# What deconvolve takes, and what it returns
fastmpr.deconvolve("image.tif", psf)  # type: ignore[arg-type]
fastmpr.deconvolve(image, "psf.tif")  # type: ignore[arg-type]
fastmpr.deconvolve(image, psf, outside="bright")  # type: ignore[call-overload]
fastmpr.deconvolve(image, psf, frames="all")  # type: ignore[call-overload]
fastmpr.deconvolve(image, psf, background="flat")  # type: ignore[call-overload]
fastmpr.deconvolve(image, psf, lam="best")  # type: ignore[call-overload]
fastmpr.deconvolve(image, psf, out=3)  # type: ignore[call-overload]
fastmpr.deconvolve(image, psf, report=True)  # type: ignore[call-overload]
fastmpr.deconvolve([image, image], psf, out=views)  # type: ignore[list-item]
print(fastmpr.deconvolve([image, image], psf).shape)  # type: ignore[attr-defined]
print(fastmpr.deconvolve((view for view in [image]), psf)[0])  # type: ignore[index]
fastmpr.deconvolve(image, psf, out=data)  # type: ignore[call-overload]
volume: NDArray[np.float32] = fastmpr.deconvolve([image], psf)  # type: ignore[assignment]

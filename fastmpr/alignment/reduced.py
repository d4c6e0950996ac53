"""Views at a coarser voxel: what a search sees of them while it does not know much."""

from __future__ import annotations

import math

import numpy as np
import scipy  # scipy.fft is slow to import: this loads it at its first use
from numpy.typing import NDArray

from .._validation import Size, Vector
from ..runtime.limits import check_memory
from ..runtime.stopping import Stop
from ..runtime.threads import Team, as_workers
from ..sums.resampling import middle
from ..views.dataset import Dataset
from ..views.seen import NothingSeenError
from .search import filled, unseen_of


def reduced(data: Dataset, factor: float, workers: int | None, stop: Stop) -> Dataset:
    """Return the views with voxels ``factor`` times as large as the smallest side, held in memory.

    Parameters
    ----------
    data : Dataset
        Less its backgrounds: what a view did not see gets the median of what it saw.
    factor : float
    workers, stop
        As the public functions have them.
    """
    shape, voxel = coarser(data.particle_shape, data.voxel_size, factor)
    check_memory("particles", data.particle_shape, len(data) * math.prod(shape) * np.dtype(data.dtype).itemsize)
    views, weights = np.zeros((len(data), *shape), data.dtype), data.weights.copy()
    team = Team(min(as_workers(workers, views.size), len(data.used)), stop.check)

    def work(member: int) -> None:
        for i in data.used[member :: team.size]:
            team.check()
            try:
                part, seen = data.source.view(int(i))
            except NothingSeenError:
                weights[i] = 0
                continue
            image = part if seen is None else seen.whole(part, data.particle_shape)
            views[i] = resized(filled(image, unseen_of(data, image, np.zeros(3))), shape)

    team.run(work)
    small = data.replace(particles=views, voxel_size=voxel, psf_voxel_size=data.psf_voxel_size, weights=weights)
    if data.symmetry is not None:  # in lengths, which are the same
        small = small.replace(symmetry_centre=data.symmetry_centre)
    return small.replace(seen="all", outside="dark", background="none", radius=data.radius, names=None)


def coarser(shape: Size, voxel_size: Vector, factor: float) -> tuple[Size, Vector]:
    """Return the shape of a view, and its voxel, where no side is smaller than a factor times the smallest."""
    least = factor * min(voxel_size)
    nz, ny, nx = (min(n, max(4, round(n * d / max(d, least)))) for n, d in zip(shape, voxel_size, strict=True))
    z, y, x = (n * d / m for n, d, m in zip(shape, voxel_size, (nz, ny, nx), strict=True))
    return (nz, ny, nx), (z, y, x)


def resized(image: NDArray, shape: Size) -> NDArray:
    """Return an image with fewer samples, by the low part of its spectrum; its middle stays in the middle."""
    spectrum = scipy.fft.fftn(image.astype(np.float64), workers=1)
    for axis, (n, m) in enumerate(zip(image.shape, shape, strict=True)):
        frequencies = np.fft.fftfreq(m, 1 / m)
        spectrum = np.take(spectrum, frequencies.astype(int) % n, axis)
        about = (middle((n, 1, 1))[0] / n - middle((m, 1, 1))[0] / m) * 2j * np.pi
        wave = np.exp(about * frequencies)
        if m % 2 == 0:
            wave[m // 2] = 0  # Nyquist has no twin
        spectrum *= wave.reshape([-1 if k == axis else 1 for k in range(3)])
    return scipy.fft.ifftn(spectrum, workers=1).real * (np.prod(shape) / image.size)

"""The data term of one image over what its camera saw, where that is not the whole of a periodic grid.

It is the square of y - z over the voxels that were seen, with z = H x: split from x, as D x and x are. So all that is not a
convolution, the edge of the image and holes in it, stands in a step by voxels, and the x-step stays one division of spectra,
with the sums S = |h^|^2 and B = conj(h^) F{z - d} at a weight mu3 in place of lam:

    v  <- r H x + (1 - r) z + d        z <- (lam y + mu3 v) / (lam + mu3) where seen, v elsewhere        d <- v - z

Light beyond the edge, which reaches into the image, is part of x: it is given a margin of its own, where nothing was seen.
In every second iteration this takes three FFTs, in the memory of the volume while that is free.

References
----------
M. S. C. Almeida, M. A. T. Figueiredo, "Deconvolving images with unknown boundaries using the alternating direction method of
multipliers", IEEE Transactions on Image Processing 22(8), 2013.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validation import Size
from ..images.image import Image
from ..kernels.blurred_image import blur, blur_back, observe_plane
from ..runtime.fft import Block, SlabFFT, irfftn, rfftn
from ..runtime.threads import Team
from ..solver.quadratic import Quadratic
from ..sums.normal_equations import NormalEquations

SHARE = 0.1  # mu3 / lam: the smaller, the faster does light move where nothing was seen
_EVERY = 2  # iterations between two steps of z
_RELAXATION = 1.8


class ImageTerm:
    """The data term of one image: the image, its transfer function, and z and d in a running solve, which it is split by.

    Parameters
    ----------
    image : Image
        Its planes are NaN where nothing was seen.
    transfer : (nz, ny, nx // 2 + 1) real or complex ndarray
        h^ on a periodic grid no smaller than the image, which stands at its first corner.
    grid : (nz, ny, nx)
    dark : bool
        Whether there is no light beyond the image; otherwise that is unseen.

    Attributes
    ----------
    quadratic : Quadratic
        What the x-step divides by; the whole data term where nothing is unseen.
    is_split : bool
        Whether something is unseen, so that z must be split from x.
    """

    def __init__(self, image: Image, transfer: NDArray, grid: Size, workers: int, dark: bool = False):
        self.image, self.transfer, self.grid, self.dark, self.workers = image, transfer, grid, dark, workers
        self.dtype = transfer.real.dtype.type
        self.is_split = not dark or image.unseen is not None
        rhs, energy = self._start()
        gram = np.square(transfer) if transfer.dtype.kind == "f" else transfer.real**2 + transfer.imag**2
        self.quadratic = Quadratic.of(NormalEquations(gram, rhs, energy, 1, grid, (1.0, 1.0, 1.0)))
        self._norms = np.zeros((grid[0], 2))

    @property
    def sums(self) -> NormalEquations:
        """The data term as it is, in arrays of its own."""
        own = self.quadratic
        return NormalEquations(own.gram.copy(), own.rhs.copy(), own.energy, 1, own.shape, own.voxel_size)

    def _start(self) -> tuple[NDArray, float]:
        """Let z be the image, continued beyond its edge; return the rhs and the energy that go with it."""
        self.state = continued(self.image, self.grid, self.dtype, self.dark)
        energy = float(np.square(self.state, dtype=np.float64).sum())
        rhs = rfftn(self.state, self.workers)
        blur_back(rhs, self.transfer, rhs, 0, self.grid[1])
        self.state *= self.dtype(1 - _RELAXATION)
        return rhs, energy

    def show(self, image: Image) -> None:
        """Let another image take the place of this one, in a solve that goes on: z and d follow it from where they are.

        It must be split as this one is. The energy stays: those of frames that are alike are alike.
        """
        self.image = image
        if not self.is_split:
            self.quadratic.rhs[...], _ = self._start()

    def restart(self) -> None:
        """Be as new for another solve."""
        self.quadratic.rhs[...], _ = self._start()

    def finish(self) -> None:
        """Let go of what only solves need, until `restart`."""
        del self.state

    def predicted(self, x: NDArray) -> NDArray:
        """Return H x."""
        spectrum = rfftn(x, self.workers)
        spectrum *= self.transfer
        return irfftn(spectrum, self.grid, self.workers)

    def begin(self, fft: SlabFFT, team: Team) -> None:
        """Plan what a solve on ``fft`` will need."""
        self.team = team
        fft.plan_again()

    def follow(self, fft: SlabFFT, nit: int, member: int) -> None:
        """After a u-step: let z, d and the rhs follow x, which is in ``fft.image`` and is lost."""
        if nit % _EVERY:
            return
        fft.forward_again(member)
        self.team.barrier(member)
        scale = self.dtype(1 / math.prod(self.grid))
        for block in fft.blocks[member]:
            block.forward()
            blur(block.columns, self.transfer, scale, block.first, block.last)
            block.inverse()
        self.team.barrier(member)
        fft.inverse_planes(member)
        for z in range(*fft.slabs[member]):
            self._observe(fft.image[z], z)
        fft.forward_again(member)
        self.team.barrier(member)
        for block in fft.blocks[member]:
            self._back(block)
        self.team.barrier(member)

    def residual(self) -> float:
        """Return ||H x - z|| over ||z||, as they last were."""
        gap, size = np.sqrt(self._norms.sum(axis=0))
        return float(gap / max(size, np.finfo(self.dtype).tiny))

    def _observe(self, blurred: NDArray, z: int) -> None:
        """Do a plane's step of z and d."""
        plane = plane_of(self.image, z, self.grid, self.dtype, self.dark)
        relaxation, share = self.dtype(_RELAXATION), self.dtype(SHARE)
        observe_plane(blurred, plane, self.state[z], relaxation, share, self._norms[z])

    def _back(self, block: Block) -> None:
        block.forward()
        blur_back(block.columns, self.transfer, self.quadratic.rhs, block.first, block.last)


def plane_of(image: Image, z: int, grid: Size, dtype: Any, dark: bool) -> NDArray:
    """Return a plane of an image on its grid; beyond the image it is empty, or 0 if that is dark."""
    known = image[z] if z < len(image) else np.empty((0, 0), dtype)
    if not dark:
        return known
    plane = np.zeros(grid[1:], dtype)
    plane[: known.shape[0], : known.shape[1]] = known
    return plane


def continued(image: Image, grid: Size, dtype: Any, dark: bool) -> NDArray:
    """Return an image on a periodic grid: a guess of what is beyond, from its faces, and where it is NaN, too."""
    out = np.zeros(grid, dtype)
    _, ny, nx = image.shape
    for z, plane in enumerate(image):
        out[z, :ny, :nx] = filled(plane)
    if not dark:
        for axis, n in enumerate(image.shape):
            _bridge(np.moveaxis(out, axis, 0), n)
    return out


def filled(plane: NDArray) -> NDArray:
    """Return a plane with the mean of their row's rest, or of the plane's, in place of voxels that are NaN."""
    unseen = np.isnan(plane)
    if not unseen.any():
        return plane
    known = np.where(unseen, 0, plane)
    count = np.count_nonzero(~unseen, axis=1)
    mean = known.sum() / max(int(count.sum()), 1)
    rows = np.where(count > 0, known.sum(axis=1) / np.maximum(count, 1), mean)
    return np.where(unseen, rows[:, None], plane).astype(plane.dtype)


def _bridge(out: NDArray, n: int) -> None:
    """Let the planes from ``n`` on go over from the last one before to the first one."""
    count = len(out) - n
    for k in range(count):
        share = out.dtype.type((k + 1) / (count + 1))
        out[n + k] = (1 - share) * out[n - 1] + share * out[0]

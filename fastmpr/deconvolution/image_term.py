"""The data term of one image over the voxels that were seen, which do not fill its periodic grid.

The term is the square of y - z over the voxels that were seen. The variable z = H x is split from x, as D x is. Only the
step of z, voxel by voxel, sees the edge of the image and its holes, which are no convolution. The x-step stays a division of
spectra, with the sums S = |h^|^2 and B = conj(h^) F{z - d} and a weight mu3 in place of lam:

    v  <- r H x + (1 - r) z + d        z <- (lam y + mu3 v) / (lam + mu3) where seen, v elsewhere        d <- v - z

Light from beyond the edge reaches into the image, so x has a margin for that light, where nothing was seen. The step of z
takes three FFTs in every second iteration; they use the memory of the volume while it is free.

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

SHARE = 0.1  # mu3 / lam: with a smaller one, light moves faster where nothing was seen
_EVERY = 2  # iterations from one step of z to the next
_RELAXATION = 1.8


class ImageTerm:
    """The data term of one image: the image, its transfer function, and the split variables z and d of a running solve.

    Parameters
    ----------
    image : Image
        Its planes are NaN where nothing was seen.
    transfer : (nz, ny, nx // 2 + 1) real or complex ndarray
        h^ on a periodic grid no smaller than the image; the image lies in the first corner of the grid.
    grid : (nz, ny, nx)
    dark : bool
        Whether no light is beyond the image; otherwise what is there is unseen.

    Attributes
    ----------
    quadratic : Quadratic
        The quadratic term of the x-step; the whole data term if nothing is unseen.
    is_split : bool
        Whether anything is unseen, so that z must be split from x.
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
        """A copy of the present data term."""
        own = self.quadratic
        return NormalEquations(own.gram.copy(), own.rhs.copy(), own.energy, 1, own.shape, own.voxel_size)

    def _start(self) -> tuple[NDArray, float]:
        """Set z to the image, continued beyond its edge; return the rhs and the energy for this z."""
        self.state = continued(self.image, self.grid, self.dtype, self.dark)
        energy = float(np.square(self.state, dtype=np.float64).sum())
        rhs = rfftn(self.state, self.workers)
        blur_back(rhs, self.transfer, rhs, 0, self.grid[1])
        self.state *= self.dtype(1 - _RELAXATION)
        return rhs, energy

    def replace_image(self, image: Image) -> None:
        """Replace the image in a running solve; z and d keep their values and adapt to the new image.

        The new image must be split if this one is. The energy is not updated: similar frames have similar energies.
        """
        self.image = image
        if not self.is_split:
            self.quadratic.rhs[...], _ = self._start()

    def restart(self) -> None:
        """Reset z, d and the rhs for another solve."""
        self.quadratic.rhs[...], _ = self._start()

    def finish(self) -> None:
        """Free what only a solve needs, until `restart`."""
        del self.state

    def predicted(self, x: NDArray) -> NDArray:
        """Return H x."""
        spectrum = rfftn(x, self.workers)
        spectrum *= self.transfer
        return irfftn(spectrum, self.grid, self.workers)

    def begin(self, fft: SlabFFT, team: Team) -> None:
        """Plan the FFTs that a solve on ``fft`` needs."""
        self.team = team
        fft.plan_again()

    def follow(self, fft: SlabFFT, nit: int, member: int) -> None:
        """Update z, d and the rhs after a u-step from x in ``fft.image``, which is overwritten."""
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
        """Return ||H x - z|| over ||z|| at the last step."""
        gap, size = np.sqrt(self._norms.sum(axis=0))
        return float(gap / max(size, np.finfo(self.dtype).tiny))

    def _observe(self, blurred: NDArray, z: int) -> None:
        """Update z and d in one plane."""
        plane = plane_of(self.image, z, self.grid, self.dtype, self.dark)
        relaxation, share = self.dtype(_RELAXATION), self.dtype(SHARE)
        observe_plane(blurred, plane, self.state[z], relaxation, share, self._norms[z])

    def _back(self, block: Block) -> None:
        block.forward()
        blur_back(block.columns, self.transfer, self.quadratic.rhs, block.first, block.last)


def plane_of(image: Image, z: int, grid: Size, dtype: Any, dark: bool) -> NDArray:
    """Return a plane of an image; if no light is beyond the image, extended to the grid with zeros."""
    known = image[z] if z < len(image) else np.empty((0, 0), dtype)
    if not dark:
        return known
    plane = np.zeros(grid[1:], dtype)
    plane[: known.shape[0], : known.shape[1]] = known
    return plane


def continued(image: Image, grid: Size, dtype: Any, dark: bool) -> NDArray:
    """Return an image on a periodic grid, with a guess from its faces beyond it, and from its rows where it is NaN."""
    out = np.zeros(grid, dtype)
    _, ny, nx = image.shape
    for z, plane in enumerate(image):
        out[z, :ny, :nx] = filled(plane)
    if not dark:
        for axis, n in enumerate(image.shape):
            _bridge(np.moveaxis(out, axis, 0), n)
    return out


def filled(plane: NDArray) -> NDArray:
    """Return a plane with each NaN replaced by the mean of its row, or of the plane if the whole row is NaN."""
    unseen = np.isnan(plane)
    if not unseen.any():
        return plane
    known = np.where(unseen, 0, plane)
    count = np.count_nonzero(~unseen, axis=1)
    mean = known.sum() / max(int(count.sum()), 1)
    rows = np.where(count > 0, known.sum(axis=1) / np.maximum(count, 1), mean)
    return np.where(unseen, rows[:, None], plane).astype(plane.dtype)


def _bridge(out: NDArray, n: int) -> None:
    """Fill the planes from ``n`` on with a ramp from the plane before ``n`` to the first plane."""
    count = len(out) - n
    for k in range(count):
        share = out.dtype.type((k + 1) / (count + 1))
        out[n + k] = (1 - share) * out[n - 1] + share * out[0]

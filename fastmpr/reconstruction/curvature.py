"""Products with S - P, where P is a guess of the curvature of the data term over seen voxels: see `partial`."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._validation import Size
from ..kernels import weighted_spectra
from ..runtime.fft import Block, ViewFFT
from ..runtime.threads import Team


class Secant(NamedTuple):
    """Two spectra for a step s between two volumes: P s, as guessed, and A s, as found.

    Each is divided by the square root of its product with s.
    """

    guessed: NDArray
    found: NDArray


class Curvature:
    """Multiply by S - P on one grid, with a team of threads and buffers that are reused.

    Parameters
    ----------
    grid : (nz, ny, nx)
    dtype : type
    workers : int
        Number of threads.
    """

    def __init__(self, grid: Size, dtype: Any, workers: int):
        self.grid, self.team = grid, Team(max(1, min(workers, *grid[:2])))
        self.fft = ViewFFT(grid, dtype, self.team)
        self.fft.plan_inverse()

    def free(self) -> None:
        """Free the buffers."""
        self.fft.free()

    def multiply(
        self, step: NDArray, gram: NDArray, share: NDArray, secants: tuple[Secant, ...], out: NDArray
    ) -> float:
        """Fill ``out`` with the spectrum of (S - P) step, and return its product with the step.

        Parameters
        ----------
        step, share : (nz, ny, nx) ndarray
            The step, and the share of the views that saw each voxel, on the grid.
        gram : (nz, ny, nx // 2 + 1) ndarray
            S.
        secants : tuple of Secant
            What is known of the curvature.
        out : (nz, ny, nx // 2 + 1) complex ndarray
        """
        size, nx = math.prod(self.grid), self.grid[2]
        products = np.zeros((self.team.size, 2 + 2 * len(secants)))

        def work(member: int) -> None:
            first, last = self.team.share(self.grid[0], member)
            blocks, own = self.fft.blocks[member], products[member]
            self.fft.image[first:last, :, :nx] = step[first:last]
            self._forward(member)
            for block in blocks:
                self._to_space(block, gram, secants, out, own)
            self.team.barrier(member)
            self.fft.inverse_planes(member)
            own[1] = weighted_spectra.share_planes(self.fft.image, share, first, last)
            self._forward(member)
            factors = products[:, 2:].sum(axis=0) / size
            for block in blocks:
                self._back(block, gram, secants, factors, out)

        self.team.run(work)
        whole, seen, *known = products.sum(axis=0)
        found, guessed = np.square(np.reshape(known, (-1, 2)) / size).sum(axis=0) if known else (0.0, 0.0)
        return whole / size - seen - found + guessed

    def _forward(self, member: int) -> None:
        self.fft.forward_planes(member)
        self.team.barrier(member)

    def _to_space(
        self, block: Block, gram: NDArray, secants: tuple[Secant, ...], out: NDArray, products: NDArray
    ) -> None:
        """Add up a block's products with the step, write S step to ``out``, and transform S^1/2 step back to space."""
        block.forward()
        rows, nx = (block.first, block.last), self.grid[2]
        for k, secant in enumerate(secants):
            products[2 + 2 * k] += weighted_spectra.product(block.columns, secant.found, nx, *rows)
            products[3 + 2 * k] += weighted_spectra.product(block.columns, secant.guessed, nx, *rows)
        scale = gram.dtype.type(1 / math.prod(self.grid))
        products[0] += weighted_spectra.weigh(block.columns, gram, out, scale, nx, *rows)
        block.inverse()

    def _back(self, block: Block, gram: NDArray, secants: tuple[Secant, ...], factors: NDArray, out: NDArray) -> None:
        """Subtract P times the step from a block of ``out``."""
        block.forward()
        rows, real = (block.first, block.last), gram.dtype.type
        weighted_spectra.take_off(block.columns, gram, out, *rows)
        for k, secant in enumerate(secants):
            weighted_spectra.add_scaled(out, secant.found, real(-factors[2 * k]), *rows)
            weighted_spectra.add_scaled(out, secant.guessed, real(factors[2 * k + 1]), *rows)

"""The data term of views that saw only a part of their images.

M_i masks what view i saw. The data term is the sum of the squares of M_i (y_i - H_i x), so A = sum_i w_i H_i^T M_i H_i
takes the place of S, and no FFT makes A diagonal. But S lies above A. So if H_i x replaces what a view did not see
(`predict`), the sums lie above the data term and touch it at x. To predict and minimise in turn is expectation-maximisation,
which is safe but slow. Far fewer predictions are needed with a guess of A that needs no views,

    P = S^1/2 q S^1/2,   q = the share of the views that saw a voxel,

which also lies below S. Predictions at two volumes give A (x - x'), which corrects the guess as in quasi-Newton methods
(BFGS).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .._validation import Size
from ..runtime.fft import irfftn, rfftn
from ..solver.quadratic import Quadratic
from ..sums.normal_equations import NormalEquations, half_sum
from .curvature import Curvature, Secant

_LEAST_SHARE = 0.3  # for a first guess: a smaller share counts as this much, to limit the noise
_MOST_CURVED = 2.0  # times what S allows: more, and P lies so far above S that steps by S - P grow
_UNSEEN = 1e-7  # of the strongest frequency: y holds no more digits where S is less
_FLOOR = 0.01  # of the strongest frequency, for a first guess


@dataclass(frozen=True, eq=False)
class PartialEquations:
    """The data term over seen voxels: exact at one volume, with its gradient, and guessed near it.

    Parameters
    ----------
    filled : NormalEquations
        The sums, with the volume's predictions in place of unseen voxels.
    x : (nz, ny, nx) ndarray
        The volume.
    share : (nz, ny, nx) ndarray
        The share of the views' weight that saw each voxel.
    seen : float
        The number of voxels that all views saw together.
    voxels : int
        The number of voxels of a whole view.
    curvature : Curvature
        Multiplies by S - P.
    secants : tuple of Secant
        What is known about A.
    """

    filled: NormalEquations
    x: NDArray
    share: NDArray
    seen: float
    voxels: int
    curvature: Curvature
    secants: tuple[Secant, ...] = ()

    @property
    def shape(self) -> Size:
        """The shape of the grid."""
        return self.filled.shape

    @property
    def n_poses(self) -> int:
        """The number of views."""
        return self.filled.n_poses

    def __add__(self, other: PartialEquations) -> PartialEquations:
        """Return the term over two sets of views, at the same volume."""
        views, others = (float(term.filled.gram[0, 0, 0]) for term in (self, other))  # their weight: a PSF sums to 1
        share = (views * self.share + others * other.share) / (views + others)
        filled, seen = self.filled + other.filled, self.seen + other.seen
        return PartialEquations(filled, self.x, share.astype(self.share.dtype), seen, self.voxels, self.curvature)

    def near(self, x: NDArray) -> Quadratic:
        """Return a quadratic term that touches the guess at a volume, and lies above it where S lies above P."""
        whole = Quadratic.of(self.filled)
        whole.rhs = np.empty_like(self.filled.rhs)
        self.linearise(x, whole.rhs)
        return whole

    def linearise(self, x: NDArray, out: NDArray) -> None:
        """Fill ``out`` with the rhs of what `near` returns for a volume; its other parts are the same for all volumes."""
        self._multiply(x - self.x, out)
        np.add(out, self.filled.rhs, out=out)

    def misfit(self, x: NDArray) -> float:
        """Return the sum of w ||M (y - H x)||^2: exact at ``self.x``, guessed elsewhere."""
        return self.filled.misfit(x) - self._multiply(x - self.x, np.empty_like(self.filled.rhs))

    def noise_energy(self) -> float:
        """Return the noise energy of a whole view, estimated from the misfit; never zero, even without light."""
        misfit = max(self.filled.misfit(self.x), 1e-8 * self.filled.energy)
        return misfit / self.seen * self.voxels or float(self.voxels)

    def after(self, before: PartialEquations) -> PartialEquations:
        """Return the same term, with what the term of the same views at another volume tells about A."""
        known, step = replace(self, secants=before.secants), self.x - before.x
        spectrum = rfftn(step, self.curvature.team.size)
        whole, difference = self.filled.gram * spectrum, np.empty_like(self.filled.rhs)
        known._multiply(step, difference)
        secant = Secant(whole - difference, whole - self.filled.rhs + before.filled.rhs)
        products = [half_sum((spectrum.conj() * side).real, self.shape) / step.size for side in secant]
        if min(products) <= 0:  # rounding errors of a very small step
            return known
        if self._reach(secant.found) > _MOST_CURVED * products[1]:  # fitted backgrounds moved, not the volume alone
            return known
        sides = (side / side.real.dtype.type(np.sqrt(product)) for side, product in zip(secant, products, strict=True))
        return replace(self, secants=(*before.secants, Secant(*sides)))

    def _reach(self, side: NDArray) -> float:
        """Return y* S^-1 y of a spectrum y = A s; for A <= S it is at most y* s."""
        gram = self.filled.gram
        floor = max(_UNSEEN * float(gram.max()), float(np.finfo(gram.dtype).tiny))
        reach: float = half_sum((side.real**2 + side.imag**2) / np.maximum(gram, gram.dtype.type(floor)), self.shape)
        return reach / math.prod(self.shape)

    def cautious(self) -> PartialEquations:
        """Return the same term with S in place of A; minimising it never raises the data term and prior."""
        return replace(self, share=np.ones_like(self.share), secants=())

    def _multiply(self, step: NDArray, out: NDArray) -> float:
        return self.curvature.multiply(step, self.filled.gram, self.share, self.secants, out)


def first_guess(sums: NormalEquations, share: NDArray, workers: int) -> NDArray:
    """Return a first volume: a Wiener estimate from the seen voxels, divided by the share of the views that saw them."""
    floor = sums.gram.dtype.type(_FLOOR * max(float(sums.gram.max()), float(np.finfo(sums.gram.dtype).tiny)))
    x = irfftn(sums.rhs / (sums.gram + floor), sums.shape, workers)
    return np.maximum(x / np.maximum(share, _LEAST_SHARE).astype(x.dtype), 0)

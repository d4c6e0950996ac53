"""The ADMM of `fastmpr.solver.admm` in whole-array operations, for any library that has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import fastmpr

from ..suite.common import LAM, MU

RELAXATION = 1.8
PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))  # zz, yy, xx, zy, zx, yx: the last three count twice

Six = tuple[Any, ...]


class State(NamedTuple):
    """s = (1 - r) u + d for the Hessian and for positivity, and the feedback H^T (u - d) + (mu2 / mu) (u2 - d2)."""

    hessian: Six
    positive: Any
    feedback: Any


def start(zeros: Any) -> State:
    """Return the state of nothing."""
    return State((zeros,) * 6, zeros, zeros)


def pointwise(x: Any, state: State, xp: Any, clip_spectra: Callable[[Six, float], Six]) -> State:
    """Do all that lies between two FFTs; ``xp`` is the library."""
    v = before_prox(x, state.hessian, xp)
    return after_prox(x, v, clip_spectra(v, 1 / MU[0]), state.positive, xp)


def before_prox(x: Any, kept: Six, xp: Any) -> Six:
    """Return v, the argument of the prox."""
    return relaxed(hessian(x, xp), kept)


def relaxed(differences: Six, kept: Six) -> Six:
    """Return v given the second differences of x."""
    return tuple(RELAXATION * h + s for h, s in zip(differences, kept, strict=True))


def after_prox(x: Any, v: Six, d: Six, positive: Any, xp: Any) -> State:
    """Return the next state; d are the clipped spectra, v less its prox."""
    mu, mu2 = MU
    kept = tuple((1 - RELAXATION) * a + RELAXATION * b for a, b in zip(v, d, strict=True))
    w = RELAXATION * x + positive
    u2 = xp.clip(w, 0, None)
    d2 = w - u2
    feedback = adjoint([a - 2 * b for a, b in zip(v, d, strict=True)], xp) + (mu2 / mu) * (u2 - d2)
    return State(kept, (1 - RELAXATION) * u2 + d2, feedback)


def hessian(x: Any, xp: Any) -> Six:
    """Six second forward differences, periodic."""
    first = [xp.roll(x, -1, axis) - x for axis in range(3)]
    return tuple(xp.roll(first[i], -1, j) - first[i] for i, j in PAIRS)


def hessian_by_slices(x: Any, padded: Any) -> Six:
    """`hessian` by slices of x and two periodic samples more on each axis, of which torch.compile makes faster code."""

    def ahead(*axes: int) -> Any:
        return padded[tuple(slice(axes.count(axis), axes.count(axis) + n) for axis, n in enumerate(x.shape))]

    return tuple(ahead(i, j) - ahead(i) - ahead(j) + x for i, j in PAIRS)


def adjoint(q: list, xp: Any) -> Any:
    """Adjoint of `hessian`, where the mixed components count twice: 9 backward differences."""
    zz, yy, xx, zy, zx, yx = q

    def back(a: Any, axis: int) -> Any:
        return xp.roll(a, 1, axis) - a

    along_z = back(zz, 0) + 2 * (back(zy, 1) + back(zx, 2))
    along_y = back(yy, 1) + 2 * back(yx, 2)
    return back(along_z, 0) + back(along_y, 1) + back(back(xx, 2), 2)


def closed_form(matrices: Six, bound: float, xp: Any, two_cos_third: Callable) -> Six:
    """Clip eigenvalues to [-bound, bound] without eigenvectors: the formulas of `fastmpr.kernels.eigenvalues`."""
    zz, yy, xx, d, e, f = matrices
    mean = (zz + yy + xx) / 3
    a, b, c = zz - mean, yy - mean, xx - mean
    square = (0.5 * (a * a + b * b + c * c) + d * d + e * e + f * f) / 3 + 1e-30
    inverse, size = 1 / square, xp.sqrt(square)
    det = a * (b * c - f * f) - d * (d * c - e * f) + e * (d * f - b * e)
    r = 0.5 * det * inverse * (size * inverse)
    root = two_cos_third(xp.clip(abs(r), 0, 1), xp)
    scale = inverse / (3 * root * root - 3)
    root = xp.copysign(root * size, r)

    al, bl, cl = a - root, b - root, c - root
    pa, pb, pc = bl * cl - f * f, al * cl - e * e, al * bl - d * d
    pd, pe, pf = e * f - cl * d, d * f - bl * e, d * e - al * f
    mid = -0.5 * root
    gap = (root - mid) * scale
    a2, b2, c2 = a - mid - gap * pa, b - mid - gap * pb, c - mid - gap * pc
    d2, e2, f2 = d - gap * pd, e - gap * pe, f - gap * pf
    g = xp.sqrt(0.5 * (a2 * a2 + b2 * b2 + c2 * c2) + d2 * d2 + e2 * e2 + f2 * f2 + 1e-30)

    low = xp.clip(mean + mid - g, -bound, bound)
    high = xp.clip(mean + mid + g, -bound, bound)
    level, slope = 0.5 * (low + high), 0.5 * (high - low) / g
    of_p = (xp.clip(mean + root, -bound, bound) - level - slope * (root - mid)) * scale
    rest = level - slope * mid
    diagonal = tuple(rest + of_p * p + slope * q for p, q in ((pa, a), (pb, b), (pc, c)))
    return diagonal + tuple(of_p * p + slope * q for p, q in ((pd, d), (pe, e), (pf, f)))


def trigonometric(r: Any, xp: Any) -> Any:
    """2 cos(acos(r) / 3)."""
    return 2 * xp.cos(xp.acos(r) / 3)


def polynomial(r: Any, xp: Any) -> Any:
    """2 cos(acos(r) / 3) on [0, 1] within 4e-8: cheaper than two transcendental functions where operations are fused."""
    value = _COS_THIRD[0] + 0 * r
    for coefficient in _COS_THIRD[1:]:
        value = value * r + coefficient
    return value


def _fit_cos_third(degree: int = 7) -> list[float]:
    """Fit 2 cos(acos(r) / 3) by a Chebyshev series over [0, 1]; highest power first."""
    series = np.polynomial.Chebyshev.interpolate(lambda r: 2 * np.cos(np.arccos(r) / 3), degree, domain=[0, 1])
    return series.convert(kind=np.polynomial.Polynomial, domain=[-1, 1]).coef[::-1].tolist()


_COS_THIRD = _fit_cos_third()


def fourier(sums: fastmpr.NormalEquations) -> tuple[NDArray, NDArray]:
    """Return (inverse, bias): x^ = inverse feedback^ + bias."""
    mu, mu2 = MU
    shape = sums.shape
    axes = [2 - 2 * np.cos(2 * np.pi * np.arange(n) / n) for n in shape]
    symbol = (axes[0][:, None, None] + axes[1][:, None] + axes[2][: shape[2] // 2 + 1]) ** 2
    denominator = mu * symbol + mu2 + LAM * sums.gram
    return (mu / denominator).astype(np.float32), (LAM * sums.rhs / denominator).astype(np.complex64)

"""Slow, obvious twins of everything fast: plain NumPy in float64, one formula a line."""

import numpy as np
import scipy.fft

WEIGHTS = np.array([1, 1, 1, 2, 2, 2])[:, None, None, None]
PAIRS = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]


def ahead(x, axis):
    """Periodic forward difference."""
    return np.roll(x, -1, axis) - x


def behind(q, axis):
    """Its adjoint."""
    return np.roll(q, 1, axis) - q


def hessian(x):
    """Six distinct second forward differences: zz, yy, xx, zy, zx, yx."""
    return np.stack([ahead(ahead(x, i), j) for i, j in PAIRS])


def hessian_adjoint(q):
    """Adjoint where the mixed components count twice."""
    return sum(w * behind(behind(c, i), j) for c, w, (i, j) in zip(q, WEIGHTS.ravel(), PAIRS, strict=True))


def matrices(q):
    """Symmetric 3x3 matrices (..., 3, 3) from six components (6, ...)."""
    full = np.empty(q.shape[1:] + (3, 3))
    for component, (i, j) in zip(q, PAIRS, strict=True):
        full[..., i, j] = full[..., j, i] = component
    return full


def on_spectrum(q, function):
    """Apply a function to the eigenvalues of every matrix."""
    values, vectors = np.linalg.eigh(matrices(q))
    full = np.einsum("...ij,...j,...kj->...ik", vectors, function(values), vectors)
    return np.stack([full[..., i, j] for i, j in PAIRS])


def nuclear_norm(q):
    """Sum over voxels of the sum of absolute eigenvalues."""
    return np.abs(np.linalg.eigvalsh(matrices(q))).sum()


def symbol(shape):
    """|D^|^2 of the Hessian on the half spectrum."""
    grids = np.meshgrid(*(2 * np.pi * np.arange(n) / n for n in shape), indexing="ij")
    full = sum(2 - 2 * np.cos(w) for w in grids) ** 2
    return full[..., : shape[2] // 2 + 1]


def admm(gram, rhs, shape, lam, mu, mu2, relaxation, iterations, x0=None):
    """ADMM as design and paper state it: u and d stored, eigh, scipy.fft. Returns (x, u2)."""
    denominator = mu * symbol(shape) + mu2 + lam * gram
    start = np.zeros(shape) if x0 is None else x0
    u, u2 = hessian(start), start.copy()
    d, d2 = np.zeros_like(u), np.zeros(shape)
    for _ in range(iterations):
        residue = mu * hessian_adjoint(u - d) + mu2 * (u2 - d2)
        x = scipy.fft.irfftn((scipy.fft.rfftn(residue) + lam * rhs) / denominator, shape)
        v = relaxation * hessian(x) + (1 - relaxation) * u + d
        u = on_spectrum(v, lambda s: np.sign(s) * np.maximum(np.abs(s) - 1 / mu, 0))
        d = v - u
        v2 = relaxation * x + (1 - relaxation) * u2 + d2
        u2 = np.maximum(v2, 0)
        d2 = v2 - u2
    return x, u2

"""One image in a running solve, against a solver that inverts matrices."""

from __future__ import annotations

import naive
import numpy as np
import pytest
import scipy.fft

from fastmpr.deconvolution.deconvolver import minimise
from fastmpr.deconvolution.image_term import ImageTerm, continued
from fastmpr.images.image import Image
from fastmpr.kernels.blurred_image import observe_plane
from fastmpr.psf import gaussian
from fastmpr.regularizers import as_regularizer
from fastmpr.solver.options import Run, Until
from fastmpr.sums.blur import Blur

SHAPE, LAM = (6, 7, 8), 30.0
PSF = gaussian((5, 3, 3), sigma=(1.2, 0.8, 0.8), dtype=np.float64)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def image_of(rng, dtype=np.float64, holes=()) -> tuple[Image, np.ndarray]:
    """Return an image with bright light all over, and the mask of what was seen."""
    values, seen = rng.random(SHAPE).astype(dtype) * 2, np.ones(SHAPE, bool)
    for hole in holes:
        values[hole], seen[hole] = np.nan, False
    bits = np.array([np.packbits(~plane) for plane in seen]) if holes else None
    return Image(values, 0.0, bits), seen


def term_of(image: Image, psf: np.ndarray = PSF, dark: bool = False) -> ImageTerm:
    blur = Blur(psf, (1, 1, 1), (1, 1, 1))
    grid = blur.grid(image.shape)
    return ImageTerm(image, blur.transfer(grid, image.dtype, 1), grid, 1, dark)


def matrix(operator, grid) -> np.ndarray:
    """Return a linear operator on volumes as a matrix."""
    return np.stack([operator(unit.reshape(grid)).ravel() for unit in np.eye(int(np.prod(grid)))], axis=1)


class Slow:
    """min over x >= 0 of (lam / 2) ||M (y - H x)||^2 + phi(x), by ADMM whose x-step inverts a matrix."""

    def __init__(self, image: Image, seen: np.ndarray, term: ImageTerm):
        self.grid, inner = term.grid, tuple(map(slice, SHAPE))
        self.seen, self.y = np.full(self.grid, term.dark), np.zeros(self.grid)
        self.seen[inner], self.y[inner] = seen, np.nan_to_num(np.stack(list(image)))
        transfer = term.transfer
        self.blur = lambda x: scipy.fft.irfftn(transfer * scipy.fft.rfftn(x), self.grid)

    def objective(self, x: np.ndarray) -> float:
        return LAM / 2 * ((self.y - self.blur(x))[self.seen] ** 2).sum() + self.phi(x)

    def phi(self, x: np.ndarray) -> float:
        return naive.nuclear_norm(naive.hessian(x))

    def minimiser(self, mu: float = 2.0, mu2: float = 4.0, iterations: int = 600) -> np.ndarray:
        rows = matrix(self.blur, self.grid)[self.seen.ravel()]
        second = matrix(lambda x: naive.hessian_adjoint(naive.hessian(x)), self.grid)
        inverse = np.linalg.inv(LAM * rows.T @ rows + mu * second + mu2 * np.eye(len(second)))
        data = LAM * rows.T @ self.y[self.seen]
        u2, d2, u, d = (np.zeros(shape) for shape in (self.grid, self.grid, (6, *self.grid), (6, *self.grid)))
        for _ in range(iterations):
            x = (inverse @ (data + (mu * naive.hessian_adjoint(u - d) + mu2 * (u2 - d2)).ravel())).reshape(self.grid)
            bent = naive.hessian(x)
            v, v2 = bent + d, x + d2
            d = naive.on_spectrum(v, lambda s: np.clip(s, -1 / mu, 1 / mu))
            u, u2 = v - d, np.maximum(v2, 0)
            d2 = v2 - u2
        return u2


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("holes", [(), [(2, 3, 4), (0, 0, 0), (3, slice(2, 5), 6)]])
@pytest.mark.parametrize("skewed", [False, True])
def test_reaches_the_minimum_that_a_matrix_finds(rng, dark, holes, skewed):
    psf = PSF.copy()
    if skewed:
        psf[0] *= 3
    image, seen = image_of(rng, holes=holes)
    term = term_of(image, psf, dark)
    assert term.transfer.dtype.kind == ("c" if skewed else "f")
    slow = Slow(image, seen, term)
    least = slow.minimiser()
    result = minimise(term, LAM, as_regularizer("hessian"), Until(2000, 1e-4), Run(workers=2))
    assert result.success and result.lam == LAM
    assert abs(slow.objective(result.x) - slow.objective(least)) < 1e-3 * slow.phi(least)


def test_what_was_not_seen_has_no_say(rng):
    image, seen = image_of(rng, holes=[(2, 3, 4)])
    other = Image(np.where(seen, image.values, 1e6), 0.0, image.unseen)
    first, second = (
        minimise(term_of(each), LAM, as_regularizer("tv"), Until(30, 0.0), Run(workers=1)).x for each in (image, other)
    )
    np.testing.assert_array_equal(first, second)


def test_starts_anew(rng):
    image, _ = image_of(rng, np.float32)
    term = term_of(image)
    volumes = []
    for _ in range(2):
        volumes.append(minimise(term, LAM, as_regularizer("hessian"), Until(10, 0.0), Run(workers=1)).x)
        term.restart()
    np.testing.assert_array_equal(*volumes)


def test_step_of_z(rng):
    """z is least where (1/2) (z - y)^2 + (share / 2) (z - v)^2 is, and v where nothing was seen."""
    blurred, image, state = rng.random((5, 8)), rng.random((4, 6)), rng.random((5, 8))
    image[1, 2] = np.nan
    y, (r, share) = np.full((5, 8), np.nan), (1.8, 0.1)
    y[:4, :6] = image
    v = r * blurred + state
    z = np.where(np.isnan(y), v, (y + share * v) / (1 + share))
    d, norms = v - z, np.zeros(2)
    gap = ((blurred - z) ** 2).sum()
    observe_plane(blurred, image, state, r, share, norms)
    np.testing.assert_allclose(blurred, z - d)
    np.testing.assert_allclose(state, (1 - r) * z + d)
    np.testing.assert_allclose(norms, [gap, (z**2).sum()])


def test_continues_from_face_to_face(rng):
    image, _ = image_of(rng)
    out = continued(image, (9, 10, 12), np.float64, False)
    np.testing.assert_array_equal(out[:6, :7, :8], image.values)
    np.testing.assert_allclose(out[6:, 2, 3], np.linspace(out[5, 2, 3], out[0, 2, 3], 5)[1:-1])
    assert not continued(image, (9, 10, 12), np.float64, True)[6:].any()

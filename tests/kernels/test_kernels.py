"""The compiled kernels against their slow twins."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import naive
import numpy as np
import pytest
import scipy.ndimage
from compiled_steps import clip_spectra, spline_coefficients
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rotations import random_rotations

from fastmpr import psf
from fastmpr.kernels.periodic_edges import close_planes, wrap_edges
from fastmpr.kernels.spline_coefficients import MARGIN
from fastmpr.kernels.x_step import column_products, solve_columns, wiener_norm
from fastmpr.regularizers import Hessian, TotalVariation, symbol
from fastmpr.sums.resampling import SplineVolume
from fastmpr.sums.transfer import TransferFunction

WITHIN = {np.float32: 2e-6, np.float64: 1e-12}
BOTH = pytest.mark.parametrize("dtype", [np.float32, np.float64])
SHAPES = [(7, 6, 5), (4, 9, 8), (1, 5, 6), (5, 1, 4), (4, 3, 1), (2, 2, 2), (3, 2, 3), (1, 1, 1)]
GAPS = [10.0**-k for k in range(2, 13)]


# ----------------------------------------------------------------------------------------------------
# The spectrum of symmetric 3x3 matrices, six entries each
# ----------------------------------------------------------------------------------------------------


def clipped(entries: np.ndarray, bound: float, dtype: type) -> np.ndarray:
    """The kernel on (6, n) entries."""
    return clip_spectra(np.ascontiguousarray(entries, dtype), bound)


def frobenius(entries: np.ndarray) -> np.ndarray:
    return np.sqrt((naive.WEIGHTS[:, :, 0, 0] * entries.astype(np.float64) ** 2).sum(axis=0))


def with_eigenvalues(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Entries (6, n) of matrices with these eigenvalues (n, 3), in random directions."""
    directions = random_rotations(len(values), rng).as_matrix()
    full = np.einsum("nij,nj,nkj->nik", directions, values, directions)
    return np.stack([full[:, i, j] for i, j in naive.PAIRS])


def families() -> dict[str, np.ndarray]:
    """Everything that has ever broken a closed form, for a threshold of 1."""
    rng = np.random.default_rng(0)
    random = rng.standard_normal((6, 20_000))
    diagonal = random[:, :2000] * np.array([1, 1, 1, 0, 0, 0])[:, None]
    near = np.array([s * (1 + a * gap) for gap in GAPS for s in (1, -1) for a in (-1, 0, 1)])
    double = np.array([(a, b, other) for a in near for b in (1, -1) for other in (0, 0.5, 3, -2)])
    steps = np.array(list(np.ndindex(3, 3, 3))) - 1
    triple = np.concatenate([sign * (1 + gap * steps) for gap in GAPS for sign in (1, -1)])
    few = random[:, :500]
    return {
        "random": random,
        "diagonal": diagonal,
        "sorted and equal diagonal": np.array([[1, 1, 1, 0, 0, 0], [2, 2, 0, 0, 0, 0], [0, 2, 2, 0, 0, 0]]).T,
        "zero": np.zeros((6, 5)),
        "one entry": np.concatenate([s * np.eye(6) for s in (1e-20, 1e-3, 1, 30, 1e12)], axis=1),
        "double": with_eigenvalues(np.repeat(rng.standard_normal((500, 2)), [2, 1], axis=1), rng),
        "triple": with_eigenvalues(np.repeat(rng.standard_normal((500, 1)), 3, axis=1), rng),
        "nearly double at the threshold": with_eigenvalues(np.tile(double, (4, 1)), rng),
        "nearly triple at the threshold": with_eigenvalues(np.tile(triple, (4, 1)), rng),
        "rank one": with_eigenvalues(np.array([[2.0, 0, 0], [-1.5, 0, 0], [1e-3, 0, 0]] * 50), rng),
        "1e-20 to 1e11": np.concatenate([few * 10.0**k for k in range(-20, 12)], axis=1),
        "mixed magnitudes": few[:, :, None].repeat(8, 2).reshape(6, -1) * 10.0 ** rng.uniform(-20, 11, (6, 4000)),
        "nearly isotropic": np.array([1, 1, 1, 0, 0, 0])[:, None]
        + 10.0 ** rng.uniform(-12, -1, 2000) * random[:, :2000],
    }


@BOTH
@pytest.mark.parametrize("name", families())
def test_clip_spectra_is_that_of_eigh(name, dtype):
    entries = families()[name].astype(dtype)
    expected = naive.on_spectrum(entries.astype(np.float64), lambda s: np.clip(s, -1, 1))
    error = frobenius(clipped(entries, 1.0, dtype) - expected)
    size = np.maximum(1, frobenius(entries))
    assert (error / size).max() < WITHIN[dtype]


@BOTH
@pytest.mark.parametrize("exponent", range(-18, 19, 4))
def test_clip_spectra_keeps_its_relative_accuracy_at_every_scale(exponent, dtype):
    scale = 10.0**exponent
    entries = (scale * families()["random"][:, :2000]).astype(dtype)
    expected = naive.on_spectrum(entries.astype(np.float64), lambda s: np.clip(s, -scale, scale))
    error = frobenius(clipped(entries, scale, dtype) - expected)
    assert (error / np.maximum(scale, frobenius(entries))).max() < WITHIN[dtype]


@settings(deadline=None, max_examples=150)
@given(
    entries=st.lists(st.floats(-100, 100, width=32), min_size=6, max_size=6),
    bound=st.floats(2**-10, 100, width=32),
)
@example(entries=[1.0, 1.0, 1.0, 0.0, 0.0, 0.0], bound=1.0)
def test_clipping_is_the_projection_that_moreau_pairs_with_the_prox(entries, bound):
    """U = v - d is the prox of bound * nuclear norm if and only if ||d||_op <= bound and <u, d> = bound ||u||_*."""
    v = np.array(entries)[:, None]
    d = clipped(v, bound, np.float64)
    u = v - d
    size = max(bound, frobenius(v).max())
    assert np.abs(np.linalg.eigvalsh(naive.matrices(d))).max() <= bound + 1e-12 * size
    inner = (naive.WEIGHTS[:, :, 0, 0] * u * d).sum()
    assert inner == pytest.approx(bound * naive.nuclear_norm(u), abs=1e-12 * size**2)


# ----------------------------------------------------------------------------------------------------
# Operators, as the sweep between two FFTs applies them, and values
# ----------------------------------------------------------------------------------------------------


@dataclass
class Twin:
    """What a regulariser is, the slow way."""

    operator: Callable
    adjoint: Callable
    norm: Callable
    weights: np.ndarray  # how often each component counts
    order: int
    ratios: np.ndarray


def twin_of(order: int, ratios: tuple[float, float, float]) -> Twin:
    """Of the Hessian or the gradient, each difference along an axis multiplied by a ratio."""
    r = np.array(ratios)
    if order == 2:
        scales = np.array([r[i] * r[j] for i, j in naive.PAIRS])[:, None, None, None]
        operator, adjoint, norm, weights = naive.hessian, naive.hessian_adjoint, naive.nuclear_norm, naive.WEIGHTS
    else:
        scales = r[:, None, None, None]
        operator, adjoint, norm = naive.differences, naive.differences_adjoint, naive.lengths
        weights = np.ones((3, 1, 1, 1))
    return Twin(lambda x: scales * operator(x), lambda q: adjoint(scales * q), norm, weights, order, r)


CUBES, LONG = (1.0, 1.0, 1.0), (0.25, 0.5, 1.0)
TWINS = {
    "hessian": twin_of(2, CUBES),
    "tv": twin_of(1, CUBES),
    "hessian, long voxels": twin_of(2, LONG),
    "tv, long voxels": twin_of(1, LONG),
}
REGULARIZERS = {
    "hessian": Hessian(),
    "tv": TotalVariation(),
    "hessian, long voxels": Hessian((4, 2, 1)),
    "tv, long voxels": TotalVariation((4, 2, 1)),
}
EACH = pytest.mark.parametrize("name", TWINS)


@EACH
@BOTH
@pytest.mark.parametrize("shape", SHAPES)
def test_value_is_the_norm_of_the_operator(name, shape, dtype):
    x = np.random.default_rng(1).standard_normal(shape).astype(dtype)
    expected = TWINS[name].norm(TWINS[name].operator(x.astype(np.float64)))
    assert REGULARIZERS[name].value(x) == pytest.approx(expected, rel=WITHIN[dtype], abs=WITHIN[dtype])


@EACH
@BOTH
def test_value_at_double_eigenvalues_and_any_intensity(name, dtype):
    ramp = np.add.outer(np.add.outer(np.arange(6.0) ** 2, np.arange(7.0) ** 2), np.arange(8.0))
    for x in (ramp, np.ones((4, 5, 6)), 1e-12 * ramp, 1e12 * ramp):
        expected = TWINS[name].norm(TWINS[name].operator(x.astype(dtype).astype(np.float64)))
        assert REGULARIZERS[name].value(x.astype(dtype)) == pytest.approx(expected, rel=10 * WITHIN[dtype])


def sweep(name: str, x: np.ndarray, state: np.ndarray, relaxation: float, parts: int) -> tuple[np.ndarray, np.ndarray]:
    """A sweep without positivity; r mu Dx + s, made small, is its own projection, so that u = 0: s <- d, out = -D^T d.

    Return what that is for mu = 1: r Dx + s and D^T (r Dx + s). In slabs.
    """
    mu = 0.5 / (1 + 20 * np.abs(x).max() + 3 * np.abs(state).max())
    (nz, ny, nx), dtype = x.shape, x.dtype.type
    image = np.zeros((nz, ny + 3, nx + 2), dtype)
    image[:, :ny, :nx] = x
    wrap_edges(image, ny, nx, 0, nz)
    wide = np.pad(state, ((0, 0), (0, 0), (0, 0), (0, 2))).transpose(1, 0, 2, 3)
    states = np.ascontiguousarray(mu * wide, dtype).reshape(nz, len(state), -1)
    out, positive = np.zeros((nz, ny, nx + 2), dtype), np.zeros((nz, ny, nx + 2), dtype)
    steps = tuple(dtype(value) for value in (relaxation, mu, 0, 1, 1))
    edges = [nz * k // parts for k in range(parts + 1)]
    carries = [np.zeros((2, ny * (nx + 2)), dtype) for _ in range(parts)]
    for k, carry in enumerate(carries):
        slab = edges[k], edges[k + 1]
        REGULARIZERS[name].sweep(image, nx, states, positive, out, carry, steps, True, np.zeros((nz, 8)), *slab)
    for k in range(parts):
        close_planes(out, carries[k - 1], edges[k])
    return states.reshape(wide.shape).transpose(1, 0, 2, 3)[..., :nx] / mu, -out[:, :, :nx] / mu


def operator(name: str, x: np.ndarray, parts: int) -> np.ndarray:
    """What the sweep takes for the operator: half relaxed, from no state, half of it is what stays."""
    return 2 * sweep(name, x, np.zeros((REGULARIZERS[name].components, *x.shape)), 0.5, parts)[0]


def adjoint(name: str, q: np.ndarray, parts: int) -> np.ndarray:
    """What the sweep takes for the adjoint: of any state, if x is zero."""
    return sweep(name, np.zeros(q.shape[1:]), q, 1.0, parts)[1]


@pytest.mark.slow
@EACH
@pytest.mark.parametrize("shape", [*SHAPES, (6, 70, 40)])
def test_operator_and_adjoint_are_the_naive_ones_and_pass_the_dot_test(name, shape):
    twin, rng = TWINS[name], np.random.default_rng(2)
    x, q = rng.standard_normal(shape), rng.standard_normal((REGULARIZERS[name].components, *shape))
    size = np.linalg.norm(x) * np.linalg.norm(q)
    for parts in {min(parts, max(1, shape[0] // 2)) for parts in (1, 2, 3)}:
        dx, dq = operator(name, x, parts), adjoint(name, q, parts)
        np.testing.assert_allclose(dx, twin.operator(x), atol=1e-12)
        np.testing.assert_allclose(dq, twin.adjoint(q), atol=1e-12)
        assert (twin.weights * dx * q).sum() == pytest.approx((x * dq).sum(), abs=1e-12 * size)
        both = sweep(name, x, np.zeros_like(q), 1.0, parts)[1]
        np.testing.assert_allclose(both, twin.adjoint(twin.operator(x)), atol=1e-11)


@EACH
@pytest.mark.parametrize("shape", [(4, 3, 5), (3, 4, 6), (1, 5, 2)])
def test_symbol_is_what_the_operator_does_to_every_fourier_mode(name, shape):
    twin, expected = TWINS[name], np.empty(shape)
    for k in np.ndindex(shape):
        phase = sum(np.ogrid[tuple(slice(n) for n in shape)][d] * k[d] / shape[d] for d in range(3))
        mode = np.exp(2j * np.pi * phase)
        expected[k] = (twin.weights * np.abs(twin.operator(mode)) ** 2).sum() / math.prod(shape)
    closed, w = symbol(REGULARIZERS[name], shape), [2 * np.pi * np.fft.fftfreq(n) for n in shape]
    np.testing.assert_allclose(closed, expected[..., : shape[2] // 2 + 1], atol=1e-12 * expected.max())
    steps = [r**2 * (2 - 2 * np.cos(f)) for r, f in zip(twin.ratios, np.meshgrid(*w, indexing="ij"), strict=True)]
    formula = sum(steps) ** twin.order
    np.testing.assert_allclose(closed, formula[..., : shape[2] // 2 + 1], atol=1e-12 * expected.max())


# ----------------------------------------------------------------------------------------------------
# Splines and transfer functions
# ----------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("shape", [(9, 8, 7), (2, 3, 20), (3, 9, 20), (2, 17, 8), (1, 6, 5), (1, 1, 1)])
def test_spline_coefficients_are_scipys(shape, dtype):
    volume = np.random.default_rng(3).standard_normal(shape)
    found, margin = spline_coefficients(volume, dtype, 30), MARGIN
    expected = volume
    for axis, n in enumerate(shape):
        if n > 1:
            expected = scipy.ndimage.spline_filter1d(expected, axis=axis, mode="mirror")
    expected = np.pad(expected, margin, mode="reflect") if min(shape) > 1 else expected
    inside = slice(None) if min(shape) > 1 else tuple(slice(margin, margin + n) for n in shape)
    np.testing.assert_allclose(found[inside], expected, atol=20 * WITHIN[dtype] * np.abs(expected).max())


@BOTH
@pytest.mark.parametrize("shape", [(11, 12, 13), (6, 15, 2)])
def test_gather_is_map_coordinates_inside_and_zero_outside(shape, dtype):
    rng = np.random.default_rng(4)
    volume = rng.standard_normal(shape)
    spline = SplineVolume(shape, dtype)
    spline.load(volume)
    for rotation in [np.eye(3), *random_rotations(4, rng).as_matrix()]:
        matrix = rotation * rng.uniform(0.6, 1.4, (3, 1))
        origin, centre = rng.uniform(0, 1, 3) + np.array(shape) / 2 - 0.5, np.array([6.0, 7.5, 8.0])
        out = np.full((13, 15, 17), np.nan, dtype)
        squares = spline.sample(out, matrix, origin, centre)
        points = np.stack(np.meshgrid(*(np.arange(n) for n in out.shape), indexing="ij"), axis=-1)
        places = np.moveaxis((points - centre) @ matrix.T + origin, -1, 0)
        expected = scipy.ndimage.map_coordinates(volume, places, order=3, mode="mirror")
        ends = np.array(shape)[:, None, None, None] - 0.5
        expected[((places < -0.5) | (places > ends)).any(axis=0)] = 0
        np.testing.assert_allclose(out, expected, atol=20 * WITHIN[dtype] * np.abs(volume).max())
        assert squares == pytest.approx((expected**2).sum(), rel=100 * WITHIN[dtype])


@pytest.mark.parametrize("psf_shape", [(17, 11, 12), (16, 13, 10)])
@pytest.mark.parametrize("grid", [(16, 15, 18), (9, 10, 8)])
def test_transfer_function_is_the_dft_of_the_rotated_psf(grid, psf_shape):
    h, psf_voxel, voxel = naive.lopsided_psf(psf_shape), (1.5, 1.0, 0.8), (1.0, 1.0, 1.0)
    transfer = TransferFunction(h, psf_voxel, np.float64)
    for rotation in [np.eye(3), *random_rotations(5, 5).as_matrix()]:
        expected = naive.transfer(h, psf_voxel, rotation, grid, voxel)
        error = np.abs(transfer.sample(rotation, grid, voxel) - expected)
        assert error[expected != 0].max() < 1e-3


def test_a_psf_says_nothing_beyond_its_own_nyquist_frequency():
    """Its transform repeats there; a rotated view's grid reaches there along its diagonals, the microscope does not."""
    sigma, grid = (4.0, 1.0, 1.0), (20, 21, 22)
    transfer = TransferFunction(psf.gaussian((31, 15, 15), sigma=sigma), (1.0, 1.0, 1.0), np.float64)
    f = np.stack(np.meshgrid(np.fft.fftfreq(20), np.fft.fftfreq(21), np.fft.rfftfreq(22), indexing="ij"))
    for rotation in random_rotations(5, 5).as_matrix():
        turned = np.einsum("ij,j...->i...", rotation, f) * np.reshape(sigma, (3, 1, 1, 1))
        microscope = np.exp(-2 * np.pi**2 * (turned**2).sum(axis=0))
        assert np.abs(transfer.sample(rotation, grid, (1.0, 1.0, 1.0)) - microscope).max() < 0.01


@pytest.mark.parametrize("tiny", [1e-300, -7e-33, 1e-20])
def test_a_half_turn_that_is_off_by_rounding_loses_nothing(tiny):
    volume = np.random.default_rng(0).random((6, 7, 8))
    spline, out = SplineVolume(volume.shape, np.float64), np.empty_like(volume)
    spline.load(volume)
    matrix = np.diag([-1.0, -1.0, 1.0]) + tiny * (1 - np.eye(3))
    centre = (np.array(volume.shape) - 1) / 2
    spline.sample(out, matrix, centre, centre)
    np.testing.assert_allclose(out, volume[::-1, ::-1], atol=1e-12)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("shape", [(4, 6, 8), (5, 7, 9), (3, 4, 1), (4, 4, 2)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_wiener_norm_counts_every_frequency(shape, order, dtype):
    rng = np.random.default_rng(0)
    gram = (np.abs(np.fft.rfftn(rng.random(shape))) ** 2).astype(dtype)
    rhs = np.fft.rfftn(rng.random(shape)).astype(np.result_type(dtype, np.complex64))
    full = [2 - 2 * np.cos(2 * np.pi * np.arange(n) / n) for n in shape]
    lz, ly, lx = (axis.astype(dtype) for axis in (full[0], full[1], full[2][: shape[2] // 2 + 1]))
    volume = np.fft.irfftn(rhs / (gram + dtype(0.5)), shape, axes=(0, 1, 2))
    symbol = (full[0][:, None, None] + full[1][None, :, None] + full[2]) ** order
    expected = (symbol * np.abs(np.fft.fftn(volume)) ** 2).sum()
    found = wiener_norm(gram, rhs, lz, ly, lx, order, dtype(0.5), shape[2])
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(4, 6, 8), (5, 7, 9), (3, 4, 1)])
def test_the_x_step_and_its_gradient_are_the_formulas(shape, dtype, order):
    rng, (nz, ny, nx) = np.random.default_rng(0), shape
    half, (first, last) = nx // 2 + 1, (1, 4)
    gram = rng.random((nz, ny, half)).astype(dtype)
    rhs, columns = (rng.random((nz, rows, half)) + 1j * rng.random((nz, rows, half)) for rows in (ny, 3))
    rhs = rhs.astype(np.result_type(dtype, np.complex64))
    columns = columns.astype(rhs.dtype)
    lz, ly, lx = (rng.random(n).astype(dtype) for n in gram.shape)
    lam, mu, mu2, scale = 3.0, 2.0, 0.5, 0.1
    total = (lz[:, None, None] + ly[None, :, None] + lx) ** order
    expected = scale * (columns + lam * rhs[:, 1:4]) / (mu * total + mu2 + lam * gram)[:, 1:4]
    solve_columns(columns, gram, rhs, lz, ly, lx, order, *map(dtype, (lam, mu, mu2, scale)), first, last)
    np.testing.assert_allclose(columns, expected, rtol=10 * WITHIN[dtype])
    sums = np.full((ny, 3), 7.0)
    column_products(columns, gram, rhs, lz, ly, lx, order, nx, sums, first, last)
    twice = np.where((np.arange(half) == 0) | (2 * np.arange(half) == nx), 1, 2)
    power = np.abs(expected) ** 2
    products = total[:, 1:4] * power, (rhs[:, 1:4].conj() * expected).real, gram[:, 1:4] * power
    for found, values in zip(sums[1:4].T, products, strict=True):
        np.testing.assert_allclose(found, (twice * values).sum(axis=(0, 2)), rtol=1e-4)
    assert (np.delete(sums, [1, 2, 3], axis=0) == 7).all()

"""Whether the solver finds minimisers with a regulariser: tried on small problems, by what all minimisers have in common."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

import fastmpr

from ..regularizers import as_regularizer, has_closed_form
from .needs import called, need

_SHAPES = (6, 7, 8), (5, 8, 9)  # rows of even and of odd length
_LARGE = (24, 40, 40)  # enough voxels for two threads
_LAM = 5.0
_WITHIN = {np.float64: 1e-3, np.float32: 1e-2}  # of the regulariser's value


def check_regularizer(regularizer: Any) -> None:
    """Check that the solver, given a regulariser phi, finds the minimiser of what its ``value`` says.

    It solves small problems in both precisions, with rows of even and of odd length, with positivity and without, on
    one thread and on two. What it checks holds for any convex function of differences:

    - ``value`` is finite, not negative, 0 for a constant volume, and twice as large for twice the volume (or four times, for
      a square, which then has a closed form);
    - ``value`` grows with the frequency of a wave as differences of its ``order`` do;
    - g = lam H^T (y - H x), the descent of the data term, is a subgradient of phi at the minimiser x: for any volume w,
      phi(w) >= phi(x) + <g, w - x>;
    - the solver is as monotone as a proximal map: of two minimisers x1 and x2, <g1 - g2, x1 - x2> >= 0.

    Parameters
    ----------
    regularizer : str or regulariser
        As `fastmpr.solve` takes it: one that you made with `Pointwise` or `WholeArrays`, or a class of your own, see
        `fastmpr.regularizers.Regularizer` and `ClosedForm`.

    Raises
    ------
    AssertionError
        One line: what was found, and what is needed.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmpr
    >>> from fastmpr.testing import check_regularizer
    >>> def length(v):
    ...     return np.sqrt((v**2).sum(axis=0))
    >>> check_regularizer(fastmpr.regularizers.WholeArrays("gradient", lambda v: v / np.maximum(length(v), 1), length))
    """
    regularizer = _known(regularizer)
    squared = _check_value(regularizer)
    _check_order(regularizer, 2 if squared else 1)
    for shape in _SHAPES:
        for positivity in (False,) if has_closed_form(regularizer) else (False, True):
            _check_minimiser(regularizer, shape, positivity)
    _check_threads(regularizer)


def _known(regularizer: Any) -> Any:
    """Return the regulariser of a name, or itself where it has what the solver asks for."""
    try:
        return as_regularizer(regularizer)
    except ValueError as error:
        raise AssertionError(str(error)) from None


def _check_value(regularizer: Any) -> bool:
    """Check ``value`` alone; return whether it is a square."""
    x = np.random.default_rng(0).standard_normal(_SHAPES[0])
    x.setflags(write=False)
    size = float(called("value", regularizer.value, x))
    need(math.isfinite(size) and size > 0, f"value: found {size:g} of random numbers", "a positive number")
    flat = float(called("value", regularizer.value, np.ones_like(x)))
    need(abs(flat) < 1e-9 * size, f"value: found {flat:g} of a constant volume", "0: it sees differences only")
    growth = float(called("value", regularizer.value, 2 * x)) / size
    need(
        min(abs(growth - 2), abs(growth - 4)) < 1e-6,
        f"value: found {growth:.3g} times as much for twice the volume",
        "twice as much, as of a norm (or four times, of a square)",
    )
    single = float(called("value", regularizer.value, x.astype(np.float32)))
    need(abs(single - size) < 1e-4 * size, f"value: found {single:g} in float32 and {size:g} in float64", "the same")
    return growth > 3


def _check_order(regularizer: Any, power: int) -> None:
    """Check ``order`` by two waves along x, whose differences are 2 sin(w / 2) times as high for each order."""
    n, phases = 16, 2 * np.pi * np.arange(64) / 64
    sizes = []
    for turns in (1, 3):
        waves = (np.cos(2 * np.pi * turns * np.arange(n) / n + phase) for phase in phases)
        sizes.append(sum(float(regularizer.value(np.broadcast_to(wave, (3, 3, n)).copy())) for wave in waves))
    growth = math.log(sizes[1] / sizes[0]) / math.log(math.sin(3 * math.pi / n) / math.sin(math.pi / n)) / power
    order = getattr(regularizer, "order", None)  # a closed form need not have one
    need(
        order is None or abs(growth - order) < 0.05,
        f"order: found {order}, and a value that grows with frequency as differences of order {growth:.2f}",
        "their order",
    )


def _check_minimiser(regularizer: Any, shape: tuple[int, int, int], positivity: bool) -> None:
    """Check what the solver finds for two images, in both precisions."""
    for dtype, within in _WITHIN.items():
        where = f"regularizer, {shape} voxels in {np.dtype(dtype)}, {'with' if positivity else 'without'} positivity"
        found = []
        for seed in (1, 2):
            sums = _problem(shape, dtype, seed)
            options = {"positivity": positivity, "tol": 1e-6 if dtype == np.float64 else 1e-4, "max_iter": 3000}
            x = called(where, fastmpr.solve, sums, _LAM, regularizer, workers=1, **options).x.astype(np.float64)
            need(np.isfinite(x).all(), f"{where}: found NaN or infinity in the result", "finite numbers")
            g, size = _descent(sums, x), float(regularizer.value(x))
            _check_tangent(regularizer, where, x, g, within, _others(x, seed, positivity))
            found.append((x, g, size))
        (x1, g1, size1), (x2, g2, size2) = found
        nearer = np.vdot(g1 - g2, x1 - x2)
        need(
            nearer > -within * (size1 + size2),
            f"{where}: found <g1 - g2, x1 - x2> = {nearer:.3g} of two minimisers",
            "none below 0, as of a convex function",
        )


def _check_tangent(
    regularizer: Any, where: str, x: NDArray, g: NDArray, within: float, others: dict[str, NDArray]
) -> None:
    """Check that no volume lies below the tangent at a minimiser, whose slope is g."""
    size = float(regularizer.value(x))
    for name, w in others.items():
        value = float(regularizer.value(w))
        below = size + np.vdot(g, w - x) - value
        need(
            below < within * (size + value),
            f"{where}: found the solver's volume to be no minimiser, for {name} has less by {below / size:.2g} of its value",
            "a sweep, components, order and ratios that belong to value",
        )


def _check_threads(regularizer: Any) -> None:
    """Check that two threads come to what one does."""
    sums = _problem(_LARGE, np.float64, seed=3)
    one, two = (
        called("regularizer", fastmpr.solve, sums, _LAM, regularizer, tol=0, max_iter=8, workers=workers).x
        for workers in (1, 2)
    )
    apart = np.abs(one - two).max() / np.abs(one).max()
    need(
        apart < 1e-8,
        f"regularizer: found volumes that differ by {apart:.2g} from one thread and from two",
        "a sweep that leaves other slabs alone and fills its carry",
    )


def _problem(shape: tuple[int, int, int], dtype: Any, seed: int) -> fastmpr.NormalEquations:
    """Return the sums of a noisy image of random blobs, blurred a little."""
    rng = np.random.default_rng(seed)
    truth = 100 * np.maximum(scipy.ndimage.gaussian_filter(rng.standard_normal(shape), 1, mode="wrap"), 0)
    frequencies = np.meshgrid(*(np.fft.fftfreq(n) for n in shape[:2]), np.fft.rfftfreq(shape[2]), indexing="ij")
    blur = np.exp(-4 * sum(f**2 for f in frequencies))
    noise = rng.standard_normal(shape)
    image = np.fft.irfftn(blur * np.fft.rfftn(truth), shape, axes=(0, 1, 2)) + noise
    rhs = blur * np.fft.rfftn(image)
    complex_type = np.result_type(dtype, np.complex64)
    return fastmpr.NormalEquations(
        (blur**2).astype(dtype), rhs.astype(complex_type), float(np.vdot(image, image)), 1, shape, (1.0, 1.0, 1.0)
    )


def _descent(sums: fastmpr.NormalEquations, x: NDArray) -> NDArray:
    """Return lam H^T (y - H x)."""
    spectrum = sums.rhs - sums.gram * np.fft.rfftn(x)
    return _LAM * np.fft.irfftn(spectrum, x.shape, axes=(0, 1, 2))


def _others(x: NDArray, seed: int, positivity: bool) -> dict[str, NDArray]:
    """Return volumes to hold against a minimiser, each with a name."""
    rng, size = np.random.default_rng(seed), float(x.std())
    named = {
        "a volume of zeros": 0 * x,
        "the same volume times 1.1": 1.1 * x,
        "the same volume times 0.9": 0.9 * x,
        "the same volume and a constant": x + size,
        "the same volume less a constant": x - size,
        "the same volume, smoother": scipy.ndimage.gaussian_filter(x, 0.7, mode="wrap"),
        "the same volume, sharper": 2 * x - scipy.ndimage.gaussian_filter(x, 0.7, mode="wrap"),
        "the same volume with a spike": x + size * np.eye(1, x.size, x.size // 2).reshape(x.shape),
        "the same volume, moved by a voxel": np.roll(x, 1, axis=2),
    }
    named |= {
        f"the same volume and noise of {k:g}": x + k * size * rng.standard_normal(x.shape) for k in (0.01, 0.1, 1)
    }
    return {name: np.maximum(w, 0) if positivity else w for name, w in named.items()}

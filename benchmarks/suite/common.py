"""Problems to time, and the stopwatch for an iteration. Nothing here looks behind fastmpr's public names."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import numpy as np
import pyfftw
import scipy.fft
from numpy.typing import NDArray

import fastmpr

VIEW = (35, 70, 70)  # the paper's 70 x 70 x 35
GRID = (36, 72, 72)  # the same, padded to sizes with fast FFTs
CUBE = (128, 128, 128)
SHAPES = {"36x72x72": GRID, "128x128x128": CUBE}
PSF_SIGMA = (4.0, 1.2, 1.2)  # voxels: elongated along z, as a microscope's
LAM = 100.0  # about what "auto" chooses for these problems
MU = (300.0, 50.0)  # about what the solver adapts to


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def need_workers(workers: int) -> None:
    """Skip a benchmark that asks for more threads than there are cores: NotImplementedError is asv's word."""
    if workers > available_cores():
        raise NotImplementedError(f"{workers} threads")


@functools.lru_cache(maxsize=2)
def make_sums(n_poses: int, shape: tuple[int, int, int] = GRID, noise: float = 0.1) -> fastmpr.NormalEquations:
    """Return the sums of N noisy views of a centriole, without making the views."""
    rng = np.random.default_rng(0)
    return sums_of(fastmpr.phantom.centriole(shape), fastmpr.Poses.random(n_poses, rng=rng), PSF_SIGMA, noise, rng)


def sums_of(
    x: NDArray, poses: fastmpr.Poses, sigma: Sequence[float], noise: float, rng: np.random.Generator
) -> fastmpr.NormalEquations:
    """Return the sums of noisy views of a volume through a Gaussian PSF, without making the views.

    S is a sum of Gaussians. White noise of variance s^2 in every view adds to B a noise of variance s^2 S, whatever N, so
    one draw is enough.
    """
    gram = _sum_of_gaussians(poses, x.shape, sigma)
    white = scipy.fft.rfftn(rng.standard_normal(x.shape, np.float32))
    signal, noise_part = gram * scipy.fft.rfftn(x), noise * np.sqrt(gram) * white
    seen, disturbed = (scipy.fft.irfftn(part, x.shape) for part in (signal, noise_part))
    energy = np.vdot(x, seen) + 2 * np.vdot(x, disturbed) + len(poses) * noise**2 * x.size
    return fastmpr.NormalEquations(gram, signal + noise_part, float(energy), len(poses), x.shape, (1.0, 1.0, 1.0))


def _sum_of_gaussians(poses: fastmpr.Poses, shape: Sequence[int], sigma: Sequence[float]) -> NDArray:
    """Return sum_i |h_i^|^2 on the half spectrum: h_i^(f) = exp(-2 pi^2 |sigma R_i f|^2)."""
    nz, ny, nx = shape
    frequencies = [scipy.fft.fftfreq(nz)[:, None, None], scipy.fft.fftfreq(ny)[:, None], scipy.fft.rfftfreq(nx)]
    fz, fy, fx = (2 * np.pi * f.astype(np.float32) for f in frequencies)
    gram = np.zeros((nz, ny, nx // 2 + 1), np.float32)
    for rotation in poses.rotation.as_matrix():
        rows = np.array(sigma)[:, None] * rotation
        q = (rows.T @ rows).astype(np.float32)
        along_x = q[2, 2] * fx**2 + 2 * (q[0, 2] * fz + q[1, 2] * fy) * fx
        gram += np.exp(-(along_x + (q[0, 0] * fz**2 + q[1, 1] * fy**2 + 2 * q[0, 1] * fz * fy)))
    return gram


def in_float64(sums: fastmpr.NormalEquations) -> fastmpr.NormalEquations:
    """Return sums in double precision, in which optima are found."""
    gram, rhs = sums.gram.astype(np.float64), sums.rhs.astype(np.complex128)
    return fastmpr.NormalEquations(gram, rhs, sums.energy, sums.n_poses, sums.shape, sums.voxel_size)


class Repeated(Sequence):
    """N views of which only a few differ: a thousand of them weigh no more than a hundred."""

    def __init__(self, views: Sequence[NDArray] | NDArray, length: int):
        self.views, self.length = views, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return Repeated(self.views, len(range(*i.indices(self.length))))
        return self.views[i % len(self.views)]


@functools.lru_cache(maxsize=1)
def make_views(count: int, shape: tuple[int, int, int] = VIEW) -> tuple[Repeated, NDArray, fastmpr.Poses]:
    """Return (views, psf, poses), by default of the paper's size: PSF of 69 x 69 x 43, images of 70 x 70 x 35."""
    poses = fastmpr.Poses.random(count, max_translation=2.0, rng=0)
    psf = fastmpr.psf.gaussian((43, 69, 69), sigma=PSF_SIGMA)
    few = min(count, 100)
    views = fastmpr.simulate(fastmpr.phantom.centriole(shape), psf, poses[:few], noise_sigma=0.1, rng=0)
    return Repeated(views, count), psf, poses


def seconds(function: Callable[..., Any], *args: Any, **options: Any) -> float:
    """Return the time that one call takes."""
    start = time.perf_counter()
    function(*args, **options)
    return time.perf_counter() - start


def timed(function: Callable[[], NDArray]) -> tuple[NDArray, float]:
    """Return what one call returns, and the time that it takes."""
    results: list[NDArray] = []
    took = seconds(lambda: results.append(function()))
    return results[0], took


def iterations_for(shape: tuple[int, int, int]) -> int:
    """Return how many iterations last long enough for the clock: a tenth of a second or two."""
    return max(5, 20_000_000 // int(np.prod(shape)))


def solve_seconds(sums: fastmpr.NormalEquations, iterations: int, workers: int | None = None) -> float:
    """Return the time of a solve of exactly so many iterations, with fitted penalties: given ones keep a larger state."""
    return seconds(fastmpr.solve, sums, LAM, tol=0, max_iter=iterations, workers=workers)


def iteration_seconds(sums: fastmpr.NormalEquations, workers: int | None = None) -> float:
    """Return one reading of an iteration's time: what n more iterations add to a solve of n, over n."""
    n = iterations_for(sums.shape)
    return (solve_seconds(sums, 2 * n, workers) - solve_seconds(sums, n, workers)) / n


def fastest_iteration_over(
    sums: fastmpr.NormalEquations, workers: int, read_other: Callable[[], float], readings: int = 15
) -> float:
    """Return an iteration's time over another one, by the fastest readings in turn: load slows threads that wait most.

    The fastest solves of n and of 2 n iterations are found before their difference is: load during one of them would make
    a difference too small.
    """
    n = iterations_for(sums.shape)
    read = [
        (solve_seconds(sums, n, workers), solve_seconds(sums, 2 * n, workers), read_other()) for _ in range(readings)
    ]
    short, long, other = (min(column) for column in zip(*read, strict=True))
    return (long - short) / n / other


def median_of(readings: int, read: Callable[[], float]) -> float:
    """Return the median of several readings; it does not see the first, during which things are compiled or loaded."""
    return median(read() for _ in range(readings))


def ratio_in_turn(read: Callable[[], float], read_other: Callable[[], float], readings: int = 5) -> float:
    """Return the ratio of two medians, read in turn: what slows the machine slows both."""
    pairs = [(read(), read_other()) for _ in range(readings)]
    return median(a for a, _ in pairs) / median(b for _, b in pairs)


def plain_fft(shape: tuple[int, int, int], workers: int) -> Callable[[], None]:
    """Return one ordinary real FFT by FFTW's own threads, planned with FFTW_MEASURE."""
    image, spectrum = pyfftw.zeros_aligned(shape, np.float32), pyfftw.zeros_aligned(_half(shape), np.complex64)
    return pyfftw.FFTW(image, spectrum, axes=(0, 1, 2), threads=workers, flags=("FFTW_MEASURE",)).execute


def plain_ffts(shape: tuple[int, int, int], workers: int) -> Callable[[int], None]:
    """Return run(n): n times a pair of ordinary 3-D FFTs by FFTW's own threads, planned with FFTW_MEASURE."""
    image, back = (pyfftw.zeros_aligned(shape, np.float32) for _ in range(2))
    spectrum = pyfftw.zeros_aligned(_half(shape), np.complex64)
    options: dict[str, Any] = {"axes": (0, 1, 2), "threads": workers, "flags": ("FFTW_MEASURE", "FFTW_DESTROY_INPUT")}
    forward = pyfftw.FFTW(image, spectrum, direction="FFTW_FORWARD", **options)
    inverse = pyfftw.FFTW(spectrum, back, direction="FFTW_BACKWARD", **options)
    image[:] = np.random.default_rng(0).standard_normal(shape, np.float32)

    def run(n: int) -> None:
        for _ in range(n):
            forward.execute()
            inverse.execute()

    return run


def _half(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    return shape[0], shape[1], shape[2] // 2 + 1

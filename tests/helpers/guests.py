"""What the tests of a good guest call, in this process and in others: these find it by its name."""

from __future__ import annotations

import functools
import hashlib
import random
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np

import fastmpr
from fastmpr.runtime import threads

SHAPES = ((14, 16, 18), (20, 33, 31), (24, 24, 24))


@functools.cache
def views() -> fastmpr.Dataset:
    poses, psf = fastmpr.Poses.random(6, max_translation=1.0, rng=0), fastmpr.psf.gaussian(7, sigma=1.2)
    return fastmpr.Dataset(fastmpr.simulate(fastmpr.phantom.centriole(14), psf, poses, rng=0), psf, poses)


@functools.cache
def sums(shape: tuple[int, int, int]) -> fastmpr.NormalEquations:
    spectrum = np.fft.rfftn(fastmpr.phantom.centriole(shape)).astype(np.complex64)
    return fastmpr.NormalEquations(np.ones(spectrum.shape, np.float32), spectrum, 1.0, 1, shape, 1.0)


def solution(shape: tuple[int, int, int]) -> np.ndarray:
    return fastmpr.solve(sums(shape), 30, tol=0, max_iter=10, workers=2, deterministic=True).x


def bits() -> str:
    """A short name of what all calls return that start threads."""
    threads._SHARE = 1  # here and in other processes
    data = views()
    found = fastmpr.accumulate(data, workers=2)
    arrays = [
        found.gram,
        found.rhs,
        solution(SHAPES[0]),
        fastmpr.reconstruct(data, max_iter=5, workers=2).x,
        fastmpr.average(data, workers=2),
        fastmpr.simulate(fastmpr.phantom.centriole(12), data.psfs[0], data.poses, workers=2),
    ]
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()


@numba.njit(parallel=True)
def host_loop(values):
    for i in numba.prange(values.size):
        values[i] += 1


def count_differing(solvers: int = 8, solves: int = 6) -> int:
    """How many solves in many Python threads differ from the same one after another, in a host that uses Numba's pool."""
    threads._SHARE = 1
    host_loop(np.zeros(100))
    expected = {shape: solution(shape) for shape in SHAPES}

    def solve_some(seed: int) -> int:
        shapes = random.Random(seed).choices(SHAPES, k=solves)
        return sum(not np.array_equal(solution(shape), expected[shape]) for shape in shapes)

    with ThreadPoolExecutor(solvers) as pool:
        return sum(pool.map(solve_some, range(solvers)))

"""Everything that the suite takes from behind fastmpr's public names: if an internal changes, only this file does."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pyfftw

import fastmpr
from fastmpr import _kernels, _view_kernels, admm, normal_equations, regularizers
from fastmpr._fft import ForwardFFT, SlabFFT, half_shape
from fastmpr._threads import Team, available_workers
from fastmpr.resampling import SplineVolume, middle
from fastmpr.transfer import TransferFunction

from .common import GRID, LAM, MU, PSF_SIGMA, make_sums

Shape = tuple[int, int, int]
PHASES = ("u_step", "forward_planes", "columns", "inverse_planes", "measure", "prepare", "value")
VIEW_STEPS = ("prefilter", "gather", "fft", "transfer", "add_view")


def need_workers(workers: int) -> None:
    """Skip a benchmark that asks for more threads than this process may use: NotImplementedError is asv's word."""
    if workers > available_workers():
        raise NotImplementedError(f"{workers} threads")


def own_ffts(shape: Shape, workers: int) -> Callable[[int], None]:
    """Return run(n): n times the two FFTs of an iteration alone, by the same plans and team as in the solver."""
    team = Team(workers)
    fft = SlabFFT(shape, np.float32, team, deterministic=False)
    fft.residue[:] = np.random.default_rng(0).standard_normal(fft.residue.shape, np.float32)

    def once(member: int) -> None:
        fft.forward_planes(member)
        team.barrier(member)
        for _, _, forward, inverse in fft.blocks[member]:
            forward()
            inverse()
        team.barrier(member)
        fft.inverse_planes(member)
        team.barrier(member)

    def repeat(member: int, n: int) -> None:
        for _ in range(n):
            once(member)

    return lambda n: team.run(lambda member: repeat(member, n))


def plain_ffts(shape: Shape, workers: int) -> Callable[[int], None]:
    """Return run(n): n times a pair of ordinary 3-D FFTs by FFTW's own threads, planned with FFTW_MEASURE."""
    image, back = (pyfftw.zeros_aligned(shape, np.float32) for _ in range(2))
    spectrum = pyfftw.zeros_aligned(half_shape(shape), np.complex64)
    options: dict[str, Any] = {"axes": (0, 1, 2), "threads": workers, "flags": ("FFTW_MEASURE", "FFTW_DESTROY_INPUT")}
    forward = pyfftw.FFTW(image, spectrum, direction="FFTW_FORWARD", **options)
    inverse = pyfftw.FFTW(spectrum, back, direction="FFTW_BACKWARD", **options)
    image[:] = np.random.default_rng(0).standard_normal(shape, np.float32)

    def run(n: int) -> None:
        for _ in range(n):
            forward.execute()
            inverse.execute()

    return run


def plain_fft(shape: Shape, workers: int) -> Callable[[], None]:
    """Return one ordinary real FFT by FFTW's own threads, planned with FFTW_MEASURE."""
    image, spectrum = pyfftw.zeros_aligned(shape, np.float32), pyfftw.zeros_aligned(half_shape(shape), np.complex64)
    return pyfftw.FFTW(image, spectrum, axes=(0, 1, 2), threads=workers, flags=("FFTW_MEASURE",)).execute


@functools.lru_cache(maxsize=1)
def prox(shape: Shape) -> Callable[[], None]:
    """Return the pointwise prox alone: eigenvalues of one symmetric 3x3 matrix per voxel clipped to [-1, 1]."""
    source = np.random.default_rng(0).standard_normal((6, int(np.prod(shape))), np.float32)
    target = np.empty_like(source)
    return lambda: _kernels.clip_spectra(source, np.float32(1), target)


@functools.lru_cache(maxsize=1)
def phases(shape: Shape) -> dict[str, Callable[[], Any]]:
    """Return what a solve is made of, each on one thread over the whole volume, in the state that 20 iterations leave."""
    sums, regularizer = make_sums(10, shape), regularizers.as_regularizer("hessian")
    team = Team(1)
    iteration = admm.Iteration(sums, LAM, regularizer, MU, 1.8, team)
    for _ in range(20):
        iteration.x_step(0, False)
        iteration.u_step(0)
    fft, x = iteration.fft, admm.solve(sums, LAM, mu=MU, max_iter=20).x

    def columns() -> None:
        for first, last, forward, inverse in fft.blocks[0]:
            forward()
            _kernels.solve_columns(fft.spectrum, iteration.inverse, iteration.bias, first, last)
            inverse()

    return {
        "u_step": lambda: iteration.u_step(0),
        "forward_planes": lambda: fft.forward_planes(0),
        "columns": columns,
        "inverse_planes": lambda: fft.inverse_planes(0),
        "measure": lambda: iteration.measure(0),
        "prepare": lambda: iteration._prepare_columns(0, shape[0]),
        "value": lambda: regularizer.value(x),
    }


@functools.lru_cache(maxsize=1)
def view_steps() -> dict[str, Callable[[], Any]]:
    """Return what accumulating one view is made of, each on one thread, on the paper's padded grid."""
    rotation = fastmpr.Poses.random(1, rng=0).rotation.as_matrix()[0]
    volume, spline = fastmpr.phantom.centriole(GRID), SplineVolume(GRID, np.float32)
    spline.load(volume)
    transfer = TransferFunction(fastmpr.psf.gaussian((43, 69, 69), sigma=PSF_SIGMA), (1.0, 1.0, 1.0), np.float32)
    fft = ForwardFFT(GRID, np.float32)
    matrix = transfer.matrix(rotation, GRID, (1.0, 1.0, 1.0))
    gram = np.zeros(normal_equations.half_shape(GRID), np.float32)
    rhs = np.zeros_like(fft.spectrum)
    centre = middle(GRID)
    return {
        "prefilter": lambda: spline.load(volume),
        "gather": lambda: spline.sample(fft.image, rotation, centre, centre),
        "fft": fft.execute,
        "transfer": lambda: transfer.sample(rotation, GRID, (1.0, 1.0, 1.0)),
        "add_view": lambda: _view_kernels.add_view(
            *transfer.table, matrix, GRID, fft.spectrum, np.float32(1), gram, rhs
        ),
    }

"""What looks behind fastmpr's public names: every kernel alone, and an iteration against its own two FFTs.

If an internal changes, only this file does. It measures the commits that have today's internals and fails on others, so
it stands apart from the benchmarks that by public names measure any commit.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

import fastmpr
from fastmpr.kernels.eigenvalue_steps import WORK, deviators
from fastmpr.kernels.jit import JIT, njit
from fastmpr.kernels.projection import project_chunk
from fastmpr.kernels.rows import CHUNK
from fastmpr.kernels.transfer_functions import add_columns
from fastmpr.regularizers import as_regularizer
from fastmpr.runtime.fft import SlabFFT, ViewFFT, half_shape
from fastmpr.runtime.threads import Team, available_workers
from fastmpr.solver.iteration import Iteration as SolverIteration
from fastmpr.solver.quadratic import Quadratic
from fastmpr.sums.resampling import SplineVolume, middle
from fastmpr.sums.transfer import TransferFunction

from .common import (
    GRID,
    LAM,
    MU,
    PSF_SIGMA,
    SHAPES,
    iteration_seconds,
    iterations_for,
    make_sums,
    ratio_in_turn,
    seconds,
)

Shape = tuple[int, int, int]
PHASES = ("u_step", "forward_planes", "columns", "inverse_planes", "measure", "value")
VIEW_STEPS = ("prefilter", "gather", "fft", "transfer", "add_view")


def own_ffts(shape: Shape, workers: int) -> Callable[[int], None]:
    """Return run(n): n times the two FFTs of an iteration alone, by the same plans and team as in the solver."""
    team = Team(workers)
    fft = SlabFFT(shape, np.float32, team)
    fft.feedback[:] = np.random.default_rng(0).standard_normal(fft.feedback.shape, np.float32)

    def once(member: int) -> None:
        fft.forward_planes(member)
        team.barrier(member)
        for block in fft.blocks[member]:
            block.forward()
            block.inverse()
        team.barrier(member)
        fft.inverse_planes(member)
        team.barrier(member)

    def repeat(member: int, n: int) -> None:
        for _ in range(n):
            once(member)

    return lambda n: team.run(lambda member: repeat(member, n))


@njit(**JIT)
def clip_spectra(entries, out):
    """Clip the eigenvalues of symmetric matrices, (6, n) entries in float32, to [-1, 1]."""
    work, ignored = np.empty(WORK, np.float32), np.empty((6, CHUNK), np.float32)
    zero, one = np.float32(0), np.float32(1)
    for at in range(0, entries.shape[1], CHUNK):
        size = min(CHUNK, entries.shape[1] - at)
        zz, yy, xx = entries[0, at : at + size], entries[1, at:], entries[2, at:]
        deviators(zz, yy, xx, entries[3, at:], entries[4, at:], entries[5, at:], one, work)
        project_chunk(work, size, None, (zero, one, zero, zero, zero), out, at, ignored, 0)


@functools.lru_cache(maxsize=1)
def prox(shape: Shape) -> Callable[[], None]:
    """Return the pointwise prox alone: eigenvalues of one symmetric 3x3 matrix per voxel clipped to [-1, 1]."""
    source = np.random.default_rng(0).standard_normal((6, int(np.prod(shape))), np.float32)
    target = np.empty_like(source)
    return lambda: clip_spectra(source, target)


@functools.lru_cache(maxsize=1)
def phases(shape: Shape) -> dict[str, Callable[[], Any]]:
    """Return what a solve is made of, each on one thread over the whole volume, in the state that 20 iterations leave."""
    sums, regularizer = make_sums(10, shape), as_regularizer("hessian")
    team = Team(1)
    iteration = SolverIteration(Quadratic.of(sums), LAM, regularizer, MU, 1.8, team)
    for _ in range(20):
        iteration.x_step(0, False)
        iteration.u_step(0)
    fft, x = iteration.fft, fastmpr.solve(sums, LAM, mu=MU, max_iter=20).x

    def columns() -> None:
        for block in fft.blocks[0]:
            block.forward()
            iteration._solve_columns(block)
            block.inverse()

    return {
        "u_step": lambda: iteration.u_step(0),
        "forward_planes": lambda: fft.forward_planes(0),
        "columns": columns,
        "inverse_planes": lambda: fft.inverse_planes(0),
        "measure": lambda: iteration.measure(0),
        "value": lambda: regularizer.value(x),
    }


@functools.lru_cache(maxsize=1)
def view_steps() -> dict[str, Callable[[], Any]]:
    """Return what accumulating one view is made of, each on one thread, on the paper's padded grid."""
    rotation = fastmpr.Poses.random(1, rng=0).rotation.as_matrix()[0]
    volume, spline = fastmpr.phantom.centriole(GRID), SplineVolume(GRID, np.float32)
    spline.load(volume)
    transfer = TransferFunction(fastmpr.psf.gaussian((43, 69, 69), sigma=PSF_SIGMA), (1.0, 1.0, 1.0), np.float32)
    fft = ViewFFT(GRID, np.float32)
    matrix = transfer.matrix(rotation, GRID, (1.0, 1.0, 1.0))
    gram = np.zeros(half_shape(GRID), np.float32)
    rhs = np.zeros(half_shape(GRID), np.complex64)
    centre = middle(GRID)

    def transform():
        fft.forward_planes()
        for block in fft.blocks[0]:
            block.forward()

    def add():
        for block in fft.blocks[0]:
            rows = block.first, block.last
            add_columns(*transfer.table, matrix, GRID, block.columns, np.float32(1), gram, rhs, *rows)

    return {
        "prefilter": lambda: spline.load(volume),
        "gather": lambda: spline.sample(fft.image, rotation, centre, centre, nx=GRID[2]),
        "fft": transform,
        "transfer": lambda: transfer.sample(rotation, GRID, (1.0, 1.0, 1.0)),
        "add_view": add,
    }


class Prox:
    """The pointwise prox, on one thread."""

    version = "1"
    params = list(SHAPES)
    param_names = ["shape"]

    def setup(self, name):
        self.run = prox(SHAPES[name])
        self.run()

    def time_prox(self, name):
        self.run()


class Iteration:
    """The phases of an iteration, and what is done now and then: measured residuals, the objective."""

    version = "1"
    params = [list(SHAPES), list(PHASES)]
    param_names = ["shape", "phase"]

    def setup(self, name, phase):
        self.run = phases(SHAPES[name])[phase]
        self.run()

    def time_phase(self, name, phase):
        self.run()


class View:
    """The steps of accumulating one view."""

    version = "1"
    params = list(VIEW_STEPS)
    param_names = ["step"]

    def setup(self, step):
        self.run = view_steps()[step]
        self.run()

    def time_step(self, step):
        self.run()


class OverOwnFFTs:
    """An iteration over the solver's own two FFTs."""

    version = "1"
    params = list(SHAPES)
    param_names = ["shape"]
    unit = "ratio"

    def track_ratio(self, name):
        shape, workers = SHAPES[name], min(2, available_workers())
        sums, run, n = make_sums(10, shape), own_ffts(shape, workers), iterations_for(shape)
        return ratio_in_turn(lambda: iteration_seconds(sums, workers), lambda: seconds(run, n) / n)

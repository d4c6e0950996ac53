"""Memory: what thousands of calls leave behind, and what more threads take."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import fastmpr

from ...suite.common import LAM
from .load import WORKERS, Line, fresh

REGULARIZERS = ("hessian", "tv", "tikhonov")
MB = 1 << 20


def memory(share: float) -> Iterator[Line]:
    """Call, and call again; by then whatever is kept once has been kept."""
    warnings.simplefilter("ignore", fastmpr.FastmprWarning)  # views of noise look suspicious
    calls, rng = round(2000 * share) or 2, np.random.default_rng(0)
    for i in range(calls):
        if i == calls // 10:
            before = resident()
        any_call(rng)
    growth = resident() / before - 1
    yield Line(f"memory after {calls} calls over that after {calls // 10}", "<= +5 %", f"{growth:+.1%}", growth <= 0.05)


def resident() -> int:
    """Return the bytes that this process holds in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def any_call(rng: np.random.Generator) -> None:
    """Solve, sum or reconstruct something."""
    shape, dtype = tuple(rng.integers(8, 41, 3).tolist()), rng.choice([np.float32, np.float64])
    regularizer = str(rng.choice(REGULARIZERS))
    kind = rng.integers(3)
    if kind == 0:
        spectrum = np.fft.rfftn(rng.random(shape)).astype(np.result_type(dtype, np.complex64))
        sums = fastmpr.NormalEquations(np.ones(spectrum.shape, dtype), spectrum, 1.0, 1, shape, 1.0)
        fastmpr.solve(sums, LAM, regularizer, max_iter=10, workers=WORKERS)
        return
    views, psf = rng.random((5, *shape)).astype(dtype), fastmpr.psf.gaussian((9, 7, 7), sigma=(2, 1, 1))
    data = fastmpr.Dataset(views, psf, fastmpr.Poses.random(5, rng=rng))
    if kind == 1:
        fastmpr.accumulate(data, workers=WORKERS)
    else:
        fastmpr.reconstruct(data, lam=LAM, regularizer=regularizer, max_iter=5, workers=WORKERS)


def bytes_by_threads(share: float) -> Iterator[Line]:
    """The peak of the sums on many threads over that on two."""
    views = max(4, round(20 * share))
    few, many = (
        int(fresh(f"from benchmarks.reports.guest.lasting import peak; print(peak({n}, {views}))")) for n in (2, 16)
    )
    reached = f"{many / few:.2f} ({many / MB:.0f} over {few / MB:.0f} MB)"
    yield Line(
        f"peak memory of accumulate ({views} views of 96^3), 16 threads over 2", "<= 1.5", reached, many <= 1.5 * few
    )


def peak(workers: int, count: int, edge: int = 96) -> int:
    """Return the bytes that `accumulate` takes at its peak, beside the views and what is loaded."""
    warnings.simplefilter("ignore", fastmpr.FastmprWarning)
    psf, poses = fastmpr.psf.gaussian((31, 15, 15), sigma=(4, 1.2, 1.2)), fastmpr.Poses.random(count, rng=0)
    views = np.random.default_rng(0).random((count, edge, edge, edge), np.float32)
    fastmpr.accumulate(views[:4, ::4, ::4, ::4].copy(), fastmpr.psf.gaussian(5, sigma=1.0), poses[:4], workers=workers)
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = resident()
    fastmpr.accumulate(views, psf, poses, workers=workers)
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")) - before

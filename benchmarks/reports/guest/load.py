"""What the parts share: problems to solve, strangers that take the cores, processes of their own, lines of the report."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import fastmpr
from fastmpr.runtime import threads

from ...suite.common import LAM, MU, available_cores, make_sums

Shape = tuple[int, int, int]
SHAPES: tuple[Shape, ...] = ((14, 16, 18), (24, 24, 24), (20, 33, 31), (36, 72, 72))
WORKERS = 2
ROOT = Path(__file__).parents[3]
# It ends with its parent, however that ends.
BUSY = "import os, sys\nwhile os.getppid() == int(sys.argv[1]):\n    for _ in range(10**6):\n        pass"


class Line(NamedTuple):
    """One line of the report. A promise that is not kept fails the run; a figure that the machine decides does not."""

    what: str
    asked: str
    reached: str
    kept: bool
    promise: bool = True

    def __str__(self) -> str:
        missed = "**not kept**" if self.promise else "missed"
        return f"| {self.what} | {self.asked} | {self.reached} | {'yes' if self.kept else missed} |"


@contextlib.contextmanager
def strangers() -> Iterator[None]:
    """Run a process that does nothing but count on every core that this one may use."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else [None] * available_cores()
    busy = [subprocess.Popen([sys.executable, "-c", BUSY, str(os.getpid())]) for _ in cores]
    try:
        for process, core in zip(busy, cores, strict=True):
            if core is not None:
                os.sched_setaffinity(process.pid, {core})
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def fresh(code: str, timeout: float = 600, **environment: str) -> str:
    """Run code in a process of its own and return what it printed; raise `subprocess.CalledProcessError` if it fails."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=timeout,
        cwd=ROOT,
        env=os.environ | environment,
    )
    return done.stdout.strip()


def solution(shape: Shape, iterations: int = 5) -> NDArray:
    """Return the volume after a few iterations, the same bits whenever and wherever."""
    options: dict[str, Any] = {"mu": MU, "tol": 0, "max_iter": iterations, "workers": WORKERS, "deterministic": True}
    return fastmpr.solve(small_sums(shape), LAM, **options).x


@functools.cache
def small_sums(shape: Shape) -> fastmpr.NormalEquations:
    """Return the sums of two views; unlike `make_sums` it forgets none."""
    return make_sums(2, shape)


@functools.cache
def small_data(size: int = 20, count: int = 10, dtype: Any = np.float32) -> fastmpr.Dataset:
    """Return a few views of a centriole."""
    poses = fastmpr.Poses.random(count, max_translation=1.0, rng=0)
    psf = fastmpr.psf.gaussian((9, 7, 7), sigma=(2, 1, 1))
    views = fastmpr.simulate(fastmpr.phantom.centriole(size).astype(dtype), psf, poses, noise_sigma=0.05, rng=0)
    return fastmpr.Dataset(views, psf, poses)


def digest(*arrays: Any) -> str:
    """Return a short name of the bits of arrays."""
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()[:16]


def use_threads() -> None:
    """Let small grids take all the threads that they are given: so that there is something to go wrong, in little time."""
    threads._SHARE = 1

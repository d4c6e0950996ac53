"""Pyxu 2's side of `peers`, in a process of its own, since Pyxu holds NumPy and Dask back.

It reads a `Problem` from its standard input and then numbers of iterations, and answers each with max(x, 0) after so many.

The second differences, their stack with positivity and the ADMM are Pyxu's. What Pyxu leaves to its users is as fast as
arrays allow: `closed_form` for the prox, and for the x-step two FFTs by SciPy and the adjoint in nine differences, which
takes a tenth of the time of Pyxu's own. Pyxu knows one step size, so the second penalty goes into the operator, and so does
the sqrt 2 with which the mixed differences count twice.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from .whole_arrays import PAIRS, Six, adjoint, closed_form, hessian, polynomial

SQRT_2 = np.float32(np.sqrt(2))
FORWARD = {"scheme": "forward", "mode": "wrap", "dtype": np.float32}  # periodic

Run = Callable[[int], NDArray]


class Problem(NamedTuple):
    """What `whole_arrays.fourier` returns, and the parameters."""

    shape: tuple[int, int, int]
    inverse: NDArray
    bias: NDArray
    mu: tuple[float, float]
    relaxation: float
    workers: int


def with_pyxu(problem: Problem) -> Run:
    """Return Pyxu's ADMM on the problem, in float32."""
    import numba
    import pyxu.abc as pxa
    import pyxu.operator as pxo
    from pyxu.opt.solver import ADMM
    from pyxu.opt.stop import MaxIter

    numba.set_num_threads(problem.workers)
    shape, (mu, mu2) = problem.shape, problem.mu
    check_hessian(pxo.Hessian(shape, directions=PAIRS, **FORWARD))
    weight, nothing = np.float32(np.sqrt(mu2 / mu)), pxo.NullFunc(shape)

    class Prior(pxa.ProxFunc):
        """The nuclear norm of the Hessian, and positivity."""

        def __init__(self) -> None:
            super().__init__(dim_shape=(7, *shape), codim_shape=1)

        def prox(self, arr: NDArray, tau: float) -> NDArray:
            out = np.empty_like(arr)
            clipped = closed_form(unscaled(arr), np.float32(tau), np, polynomial)
            for i, (i_row, i_column) in enumerate(PAIRS):
                np.subtract(arr[i], clipped[i] * (1 if i_row == i_column else SQRT_2), out=out[i])
            np.maximum(arr[6], 0, out=out[6])
            return out

    def x_step(arr: NDArray, tau: float) -> NDArray:
        feedback = adjoint(list(unscaled(arr)), np) + weight * arr[6]
        spectrum = problem.inverse * scipy.fft.rfftn(feedback, workers=problem.workers) + problem.bias
        return scipy.fft.irfftn(spectrum, shape, workers=problem.workers)

    operator = pxo.stack([*(second_difference(shape, pair) for pair in PAIRS), weight * pxo.IdentityOp(shape)])

    def run(n: int) -> NDArray:
        solver = ADMM(nothing, Prior(), operator, solver=x_step, show_progress=False, log_var=("x",), stop_rate=n)
        solver.fit(x0=np.zeros(shape, np.float32), tau=1 / mu, rho=problem.relaxation, stop_crit=MaxIter(1))
        x = solver.solution()
        if x.dtype != np.float32:
            raise TypeError(f"Pyxu returned {x.dtype}, need float32")
        return np.maximum(x, 0)

    return run


def second_difference(shape: tuple[int, int, int], pair: tuple[int, int]) -> Any:
    """Return what Pyxu's Hessian is a stack of, times sqrt 2 where mixed: samples 2^(-1/4) apart."""
    from pyxu.operator import PartialDerivative

    order = tuple(pair.count(axis) for axis in range(3))
    sampling = 1.0 if pair[0] == pair[1] else 2**-0.25
    return PartialDerivative.finite_difference(shape, order=order, sampling=sampling, **FORWARD)


def unscaled(arr: NDArray) -> Six:
    """Return the six second differences without the factors."""
    return (*arr[:3], *(arr[3:6] / SQRT_2))


def check_hessian(of_pyxu: Callable[[NDArray], NDArray]) -> None:
    """Raise ValueError unless Pyxu's Hessian is ours to 1e-7."""
    x = np.random.default_rng(0).standard_normal(of_pyxu.dim_shape, np.float32)
    theirs, ours = of_pyxu(x), np.stack(hessian(x, np))
    difference = np.linalg.norm(theirs - ours) / np.linalg.norm(ours)
    if difference > 1e-7:
        raise ValueError(f"Pyxu's Hessian differs from ours by {difference:.1e}, need 1e-7: not the same problem")


def main() -> None:
    """Answer until standard input ends; all else that is printed goes to standard error."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb", 0) as answers, contextlib.suppress(EOFError):
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        run = with_pyxu(Problem(*pickle.load(sys.stdin.buffer)))
        pickle.dump("ready", answers)
        while True:
            pickle.dump(run(pickle.load(sys.stdin.buffer)), answers)


if __name__ == "__main__":
    main()

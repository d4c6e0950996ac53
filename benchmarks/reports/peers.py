"""The same ADMM on the same problem by other libraries, in one run, in turn: who needs how long for an iteration?

    pip install -e ".[peers]"
    python -m benchmarks.reports.peers

Every peer starts from nothing, does the same iterations with the same threads in float32, and must end at the same volume.
They get the formulas of `whole_arrays`, with the best prox that could be written for them. The table goes to
``benchmarks/results/peers.md``.

Pyxu holds NumPy and Dask back, so it is run by the interpreter that FASTMPR_PYXU_PYTHON names, in a process that stays and
answers in turn; it is skipped where that names none:

    python3.12 -m venv pyxu && pyxu/bin/pip install -e . "pyxu>=2,<3" "numpy<2.1" "dask<2024.9"
    FASTMPR_PYXU_PYTHON=$PWD/pyxu/bin/python python -m benchmarks.reports.peers

SCICO holds JAX back: for the newest of each, install without SCICO, and run ``--only SCICO`` in an environment of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib.metadata
import os
import pickle
import platform
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray

import fastmpr

from ..suite.common import GRID, LAM, MU, make_sums, seconds
from .pyxu_peer import Problem
from .whole_arrays import (
    PAIRS,
    RELAXATION,
    Six,
    State,
    adjoint,
    after_prox,
    before_prox,
    closed_form,
    fourier,
    hessian,
    hessian_by_slices,
    pointwise,
    polynomial,
    relaxed,
    start,
    trigonometric,
)

READING = 0.2  # seconds
ITERATIONS, TOLERANCE = 20, 1e-3  # after so many all volumes must agree, in L2; Pyxu swaps the halves of an iteration
TABLE = Path(__file__).parents[1] / "results" / "peers.md"

Run = Callable[[int], NDArray]  # do n iterations from nothing and return max(x, 0)


# ----------------------------------------------------------------------------------------------------
# The peers
# ----------------------------------------------------------------------------------------------------


def with_fastmpr(sums: fastmpr.NormalEquations, workers: int) -> Run:
    """`fastmpr.solve`."""
    return lambda n: fastmpr.solve(sums, LAM, mu=MU, relaxation=RELAXATION, max_iter=n, tol=0, workers=workers).x


def with_numpy(sums: fastmpr.NormalEquations, workers: int) -> Run:
    """NumPy with LAPACK's eigenvectors, and scipy.fft."""
    inverse, bias = fourier(sums)

    def clip_spectra(v: Six, bound: float) -> Six:
        full = np.empty((*sums.shape, 3, 3), np.float32)
        for component, (i, j) in zip(v, PAIRS, strict=True):
            full[..., i, j] = full[..., j, i] = component
        values, vectors = np.linalg.eigh(full)
        clipped = (vectors * np.clip(values, -bound, bound)[..., None, :]) @ vectors.swapaxes(-1, -2)
        return tuple(clipped[..., i, j] for i, j in PAIRS)

    def run(n: int) -> NDArray:
        state = start(np.zeros(sums.shape, np.float32))
        for _ in range(n):
            spectrum = inverse * scipy.fft.rfftn(state.feedback, workers=workers) + bias
            x = scipy.fft.irfftn(spectrum, sums.shape, workers=workers)
            state = pointwise(x, state, np, clip_spectra)
        return np.maximum(x, 0)

    return run


def with_torch(sums: fastmpr.NormalEquations, workers: int, compiled: bool = False) -> Run:
    """PyTorch, one operation at a time; its acos and cos are vectorised."""
    import torch

    torch.set_num_threads(workers)
    inverse, bias = (torch.from_numpy(array) for array in fourier(sums))
    clip_spectra = functools.partial(closed_form, xp=torch, two_cos_third=polynomial if compiled else trigonometric)

    def fused(x: Any, state: State) -> State:
        padded = torch.nn.functional.pad(x[None, None], (0, 2) * 3, mode="circular")[0, 0]
        v = relaxed(hessian_by_slices(x, padded), state.hessian)
        return after_prox(x, v, clip_spectra(v, 1 / MU[0]), state.positive, torch)

    between = functools.partial(pointwise, xp=torch, clip_spectra=clip_spectra)
    if compiled:  # not with the FFTs, which it would leave as they are
        between = torch.compile(fused, dynamic=False)

    def run(n: int) -> NDArray:
        with torch.inference_mode():
            state = start(torch.zeros(sums.shape))
            for _ in range(n):
                x = torch.fft.irfftn(inverse * torch.fft.rfftn(state.feedback) + bias, s=sums.shape)
                state = between(x, state)
            return torch.clip(x, 0, None).numpy()

    return run


def with_compiled_torch(sums: fastmpr.NormalEquations, workers: int) -> Run:
    """PyTorch with everything between the FFTs through `torch.compile`."""
    return with_torch(sums, workers, compiled=True)


def with_jax(sums: fastmpr.NormalEquations, workers: int) -> Run:
    """JAX, the whole loop in one jit, inside of which XLA computes the prox again for each of the arrays made of it."""
    import jax
    import jax.numpy as jnp

    clip_spectra = functools.partial(closed_form, xp=jnp, two_cos_third=polynomial)
    inverse, bias = (jnp.asarray(array) for array in fourier(sums))

    def iterate(_: int, carry: tuple[State, Any]) -> tuple[State, Any]:
        state, _ = carry
        x = jnp.fft.irfftn(inverse * jnp.fft.rfftn(state.feedback) + bias, s=sums.shape)
        return pointwise(x, state, jnp, clip_spectra), x

    @jax.jit
    def loop(n: Any) -> Any:
        zeros = jnp.zeros(sums.shape, jnp.float32)
        _, x = jax.lax.fori_loop(0, n, iterate, (start(zeros), zeros))
        return jnp.maximum(x, 0)

    return lambda n: np.asarray(loop(n))


def with_jax_in_pieces(sums: fastmpr.NormalEquations, workers: int) -> Run:
    """JAX in four jits an iteration, so that XLA computes nothing twice: JAX at its best."""
    import jax
    import jax.numpy as jnp

    inverse, bias = (jnp.asarray(array) for array in fourier(sums))
    x_step = jax.jit(lambda feedback: jnp.fft.irfftn(inverse * jnp.fft.rfftn(feedback) + bias, s=sums.shape))
    before = jax.jit(functools.partial(before_prox, xp=jnp))
    clip_spectra = jax.jit(functools.partial(closed_form, bound=1 / MU[0], xp=jnp, two_cos_third=polynomial))
    after = jax.jit(functools.partial(after_prox, xp=jnp))

    def run(n: int) -> NDArray:
        state = start(jnp.zeros(sums.shape, jnp.float32))
        for _ in range(n):
            x = x_step(state.feedback)
            v = before(x, state.hessian)
            state = after(x, v, clip_spectra(v), state.positive)
        return np.asarray(jnp.maximum(x, 0))

    return run


def with_scico(sums: fastmpr.NormalEquations, workers: int) -> Run:
    """SCICO's ADMM with its own solver in Fourier space, given a Hessian operator and a functional with a closed-form prox.

    The mixed components carry a factor sqrt 2, so that they count twice in SCICO's inner product.
    """
    import jax
    import jax.numpy as jnp
    from scico import functional, linop, loss
    from scico.optimize.admm import ADMM, CircularConvolveSolver

    factors = jnp.sqrt(jnp.array([1, 1, 1, 2, 2, 2], jnp.float32))[:, None, None, None]

    class NuclearNorm(functional.Functional):
        has_eval = False
        has_prox = True

        @staticmethod
        @jax.jit
        def _shrink(v: Any, threshold: float) -> Any:
            return v - factors * jnp.stack(closed_form(tuple(v / factors), threshold, jnp, polynomial))

        def prox(self, v: Any, lam: float = 1.0, **_: Any) -> Any:
            return self._shrink(v, lam)

    operator = linop.LinearOperator(
        input_shape=sums.shape,
        output_shape=(6, *sums.shape),
        eval_fn=lambda x: factors * jnp.stack(hessian(x, jnp)),
        adj_fn=lambda q: adjoint(list(q / factors), jnp),
        input_dtype=np.float32,
        output_dtype=np.float32,
        jit=True,
    )
    root = np.sqrt(sums.gram)
    transfer, data = (_full_spectrum(half, sums.shape) for half in (root, sums.rhs / np.maximum(root, 1e-30)))
    blur = linop.CircularConvolve(jnp.asarray(transfer), sums.shape, h_is_dft=True, input_dtype=np.float32, jit=True)
    solver = ADMM(
        f=loss.SquaredL2Loss(y=jnp.asarray(scipy.fft.ifftn(data).real), A=blur, scale=LAM / 2),
        g_list=[NuclearNorm(), functional.NonNegativeIndicator()],
        C_list=[operator, linop.Identity(sums.shape, input_dtype=np.float32)],
        rho_list=list(MU),
        alpha=RELAXATION,
        subproblem_solver=CircularConvolveSolver(),
        itstat_options={"fields": {}, "itstat_func": lambda _: ()},
    )

    def run(n: int) -> NDArray:
        x = jnp.zeros(sums.shape, jnp.float32)
        solver.x, (solver.z_list, solver.z_list_old), solver.u_list = x, solver.z_init(x), solver.u_init(x)
        for _ in range(n):
            solver.step()
        return np.asarray(jnp.maximum(solver.x, 0))

    return run


def with_pyxu(sums: fastmpr.NormalEquations, workers: int) -> Run:
    """Pyxu's ADMM with its Hessian, in a process of the interpreter that FASTMPR_PYXU_PYTHON names: see `pyxu_peer`."""
    python = os.environ.get("FASTMPR_PYXU_PYTHON")
    if not python:
        raise ImportError("FASTMPR_PYXU_PYTHON names no interpreter")
    threads = {name: str(workers) for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS")}
    process = subprocess.Popen(
        [python, "-m", "benchmarks.reports.pyxu_peer"],
        cwd=Path(__file__).parents[2],
        env=os.environ | threads,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin and process.stdout

    def ask(question: Any) -> Any:
        pickle.dump(question, process.stdin)
        process.stdin.flush()
        return pickle.load(process.stdout)

    try:
        ask(tuple(Problem(sums.shape, *fourier(sums), MU, RELAXATION, workers)))
    except EOFError:
        raise ImportError(f"{python} has ended: see its error above") from None
    return ask


def _full_spectrum(half: NDArray, shape: tuple[int, int, int]) -> NDArray:
    """Return the whole spectrum of a real volume given the half that rfftn keeps."""
    return scipy.fft.fftn(scipy.fft.irfftn(half, shape)).astype(np.complex64)


PEERS: dict[str, Callable[[fastmpr.NormalEquations, int], Run]] = {
    "PyTorch": with_torch,
    "PyTorch compiled": with_compiled_torch,
    "JAX, one jit": with_jax,
    "JAX, four jits": with_jax_in_pieces,
    "SCICO": with_scico,
    "Pyxu": with_pyxu,
    "NumPy eigh": with_numpy,
}


# ----------------------------------------------------------------------------------------------------
# The run
# ----------------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """What the table says of one peer."""

    peer: str
    peers: float  # seconds per iteration
    ours: float  # the same, read beside it
    difference: float  # of the volumes


class Stopwatch:
    """Time what n more iterations add to n, over and over; n is what takes about `READING`."""

    def __init__(self, run: Run):
        self.run = run
        self.count = max(1, round(4 * READING / seconds(run, 4)))
        self.short: list[float] = []
        self.long: list[float] = []

    def read(self) -> None:
        time.sleep(0.1)  # let the threads of the peer before go to sleep
        self.short.append(seconds(self.run, self.count))
        self.long.append(seconds(self.run, 2 * self.count))

    @property
    def iteration(self) -> float:
        """Seconds per iteration, by the fastest readings."""
        return (min(self.long) - min(self.short)) / self.count


def available(names: list[str]) -> Iterator[str]:
    """Return the peers that can run here; say why others cannot."""
    for name in names:
        try:
            PEERS[name](make_sums(1, (8, 8, 8)), 1)
        except ImportError as error:
            print(f"{name} skipped: {error}")
        else:
            yield name


def compare(names: list[str], rounds: int, workers: int) -> list[Row]:
    """Read each peer and fastmpr beside it, round after round, once all have compiled and returned the same volume."""
    sums = make_sums(100, GRID)
    ours = with_fastmpr(sums, workers)
    runs = {name: PEERS[name](sums, workers) for name in names}
    x = ours(ITERATIONS)
    differences = {name: float(np.linalg.norm(run(ITERATIONS) - x) / np.linalg.norm(x)) for name, run in runs.items()}
    for name, difference in differences.items():
        if not difference <= TOLERANCE:
            raise SystemExit(f"{name}'s volume differs by {difference:.1e}, need {TOLERANCE:.0e}: not the same problem")
    pairs = {name: (Stopwatch(run), Stopwatch(ours)) for name, run in runs.items()}
    for _ in range(rounds):
        for pair in pairs.values():
            for watch in pair:
                watch.read()
    return [Row(name, *(watch.iteration for watch in pairs[name]), differences[name]) for name in names]


def table(rows: list[Row]) -> str:
    """Format the rows in Markdown."""
    lines = [
        "| | ms per iteration | fastmpr's beside it | times as long | volume differs by |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, peers, ours, difference in rows:
        lines.append(f"| {name} | {1e3 * peers:.2f} | {1e3 * ours:.2f} | {peers / ours:.1f} | {difference:.0e} |")
    return "\n".join(lines)


def conditions(names: list[str], arguments: argparse.Namespace) -> str:
    """Say what ran where."""
    versions = ["Python " + platform.python_version()]
    for package in ("fastmpr", "numba", "numpy", "scipy", "pyfftw", "torch", "jax", "scico"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{package} {importlib.metadata.version(package)}")
    return (
        f"{' x '.join(map(str, GRID))} voxels, float32, {arguments.workers} threads, {_processor()}; the fastest of "
        f"{arguments.rounds} readings, in turn, of the time that twice as many iterations add to those of {READING} s; "
        f"{', '.join(versions)}."
    )


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def limit_threads(workers: int) -> None:
    """Bind this process to some of its cores: the one limit that every library keeps to."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:workers])


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reports.peers", description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2, help="threads (default 2)")
    parser.add_argument("--rounds", type=int, default=15, help="readings of each peer (default 15)")
    parser.add_argument("--only", nargs="+", choices=list(PEERS), help="these peers (default all)")
    parser.add_argument("--output", type=Path, default=TABLE, help=f"the table (default {TABLE.name} in results/)")
    return parser.parse_args(arguments)


def main() -> None:
    """Run, check, print, write."""
    arguments = parse()
    limit_threads(arguments.workers)
    names = list(available(arguments.only or list(PEERS)))
    text = f"{conditions(names, arguments)}\n\n{table(compare(names, arguments.rounds, arguments.workers))}\n"
    print(text)
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

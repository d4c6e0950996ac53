"""The same ADMM on the same problem by other libraries, in one run, in turn: who needs how long for an iteration?

    pip install -e ".[peers]"
    python -m benchmarks.peers

Every peer starts from nothing, does the same iterations with the same threads in float32, and must end at the same
objective. They get the formulas of `whole_arrays`, with the best prox that could be written for them. The table goes to
``benchmarks/results/peers.md``.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib.metadata
import os
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray

import fastmpr

from .common import GRID, LAM, MU, VIEW, make_sums, seconds
from .whole_arrays import (
    PAIRS,
    RELAXATION,
    Six,
    State,
    adjoint,
    closed_form,
    fourier,
    hessian,
    pointwise,
    polynomial,
    start,
    trigonometric,
)

READING = 0.5  # seconds
TABLE = Path(__file__).parent / "results" / "peers.md"

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
    between = functools.partial(pointwise, xp=torch, clip_spectra=clip_spectra)
    if compiled:
        between = torch.compile(between)

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
    """JAX, the whole loop jitted."""
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


def _full_spectrum(half: NDArray, shape: tuple[int, int, int]) -> NDArray:
    """Return the whole spectrum of a real volume given the half that rfftn keeps."""
    return scipy.fft.fftn(scipy.fft.irfftn(half, shape)).astype(np.complex64)


PEERS: dict[str, Callable[[fastmpr.NormalEquations, int], Run]] = {
    "fastmpr": with_fastmpr,
    "PyTorch": with_torch,
    "PyTorch compiled": with_compiled_torch,
    "JAX": with_jax,
    "SCICO": with_scico,
    "NumPy eigh": with_numpy,
}


# ----------------------------------------------------------------------------------------------------
# The run
# ----------------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """What the table says of one peer on one shape."""

    peer: str
    times: list[float]  # seconds per iteration
    objective: float


def available(names: list[str]) -> Iterator[str]:
    """Return the peers whose packages are installed; say what is missing."""
    for name in names:
        try:
            PEERS[name](make_sums(1, (8, 8, 8)), 1)
        except ImportError as error:
            print(f'{name}: left out, {error.name} is missing; pip install "fastmpr[peers]"')
        else:
            yield name


def compare(shape: tuple[int, int, int], names: list[str], iterations: int, rounds: int, workers: int) -> list[Row]:
    """Time n more iterations after n, peer after peer, round after round; n is what takes each about `READING`."""
    sums = make_sums(100, shape)
    runs = {name: PEERS[name](sums, workers) for name in names}
    objectives = {name: fastmpr.objective(run(iterations), sums, LAM) for name, run in runs.items()}  # compiles too
    counts = {name: max(4, round(READING * 10 / seconds(run, 10))) for name, run in runs.items()}
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, run in runs.items():
            time.sleep(0.1)  # let the threads of the peer before go to sleep
            short, long = seconds(run, counts[name]), seconds(run, 2 * counts[name])
            times[name].append((long - short) / counts[name])
    return [Row(name, times[name], objectives[name]) for name in names]


def disagreement(rows: list[Row]) -> float:
    """Return the largest relative difference of an objective from the first row's."""
    return max(abs(row.objective / rows[0].objective - 1) for row in rows)


def table(shape: tuple[int, int, int], rows: list[Row]) -> str:
    """Format the rows of one shape in Markdown."""
    best = median(rows[0].times)
    lines = [
        f"Shape {shape[0]} x {shape[1]} x {shape[2]}:",
        "",
        f"| | ms per iteration, median (least to most) | times {rows[0].peer}'s | objective |",
        "|---|---:|---:|---:|",
    ]
    for name, times, value in rows:
        least, middle, most = (1e3 * t for t in (min(times), median(times), max(times)))
        lines.append(f"| {name} | {middle:.2f} ({least:.2f} to {most:.2f}) | {middle / best / 1e3:.1f} | {value:.7g} |")
    return "\n".join(lines)


def conditions(names: list[str], arguments: argparse.Namespace) -> str:
    """Say what ran where."""
    versions = ["Python " + platform.python_version()]
    for package in ("fastmpr", "numba", "numpy", "scipy", "pyfftw", "torch", "jax", "scico"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{package} {importlib.metadata.version(package)}")
    return (
        f"{_processor()}, {arguments.workers} threads, float32; {arguments.rounds} rounds in turn, each reading the time "
        f"that twice as many iterations add to those of {READING} s; {', '.join(versions)}."
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
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2, help="threads (default 2)")
    parser.add_argument("--iterations", type=int, default=20, help="after which all must agree (default 20)")
    parser.add_argument("--rounds", type=int, default=5, help="readings of each peer (default 5)")
    parser.add_argument("--only", nargs="+", choices=list(PEERS)[1:], help="peers beside fastmpr (default all)")
    parser.add_argument("--output", type=Path, default=TABLE, help=f"the table (default {TABLE.name} in results/)")
    return parser.parse_args(arguments)


def main() -> None:
    """Run, check, print, write."""
    arguments = parse()
    limit_threads(arguments.workers)
    names = list(available(["fastmpr", *(arguments.only or list(PEERS)[1:])]))
    parts = [conditions(names, arguments)]
    for shape in (VIEW, GRID):
        rows = compare(shape, names, arguments.iterations, arguments.rounds, arguments.workers)
        parts.append(table(shape, rows))
        print(parts[-1], flush=True)
        if disagreement(rows) > 1e-4:
            raise SystemExit(f"the objectives differ by {disagreement(rows):.1e}, need 1e-4: not the same problem")
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print(f"written to {arguments.output}")


if __name__ == "__main__":
    main()

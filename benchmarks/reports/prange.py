"""Why the kernels run on a team of threads that belongs to the call, and not in Numba's own pool.

    python -m benchmarks.reports.prange

The same iteration, on the same arrays and by the same serial kernels: by the solver's team, with FFTs of one thread on each
member's planes and columns; and as is usual, by prange loops over the same slabs between 3-D FFTs by pyfftw, with its
threads or on one. A process has one of Numba's pools (omp, workqueue, tbb), so each is measured in processes of its own, in
turn with the team, and so is what may end the process. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numba
import numpy as np
import pyfftw

import fastmpr
from fastmpr.kernels.hessian_sweep import hessian_sweep
from fastmpr.kernels.periodic_edges import close_planes, wrap_edges
from fastmpr.kernels.x_step import solve_columns
from fastmpr.regularizers import as_regularizer
from fastmpr.runtime.threads import Team
from fastmpr.solver.iteration import Iteration
from fastmpr.solver.quadratic import Quadratic

from ..suite.common import GRID, LAM, MU, SHAPES, iterations_for, make_sums, seconds
from .guest.load import strangers

RELAXATION = 1.8
WORKERS = 2
AT_ONCE = 4
PAUSE = 0.1  # seconds in which the threads of the one before go to sleep
TITLE = "| | ms per iteration: {0} | {1} | beside busy loops: {0} | {1} | four at once: {0} | in a forked child |"
OPTIONS: dict[str, Any] = {"nogil": True, "parallel": True, "error_model": "numpy"}


def new_iteration(sums: fastmpr.NormalEquations) -> Iteration:
    """Return the buffers of a solve that starts from nothing."""
    return Iteration(Quadratic.of(sums), LAM, as_regularizer("hessian"), MU, RELAXATION, Team(WORKERS))


def on_team(sums: fastmpr.NormalEquations) -> Callable[[int], Iteration]:
    """Return run(n): n iterations as the solver does them."""
    iteration = new_iteration(sums)

    def loop(member: int, n: int) -> None:
        for _ in range(n):
            iteration.x_step(member, False)
            iteration.u_step(member)

    def run(n: int) -> Iteration:
        iteration.team.run(lambda member: loop(member, n))
        return iteration

    return run


@numba.njit(**OPTIONS)
def solve_all(spectrum, gram, rhs, lz, ly, lx, numbers, slabs):
    """Every slab's frequencies: the pointwise work between the FFTs."""
    lam, mu, mu2, scale = numbers
    for k in numba.prange(len(slabs)):
        start, stop = slabs[k]
        solve_columns(
            spectrum[start:stop],
            gram[start:stop],
            rhs[start:stop],
            lz[start:stop],
            ly,
            lx,
            2,
            lam,
            mu,
            mu2,
            scale,
            0,
            ly.size,
        )


@numba.njit(**OPTIONS)
def wrap_all(x, ny, nx, slabs):
    """Every slab's edges: the next loop reads them across slabs."""
    for k in numba.prange(len(slabs)):
        wrap_edges(x, ny, nx, slabs[k, 0], slabs[k, 1])


@numba.njit(**OPTIONS)
def sweep_all(x, nx, state, v2, out, carries, steps, norms, slabs, ones):
    """Every slab's sweep, then what each owes the next."""
    for k in numba.prange(len(slabs)):
        hessian_sweep(x, nx, state, v2, out, carries[k], steps, True, norms, slabs[k, 0], slabs[k, 1], ones, None)
    for k in range(len(slabs)):
        close_planes(out, carries[k - 1], slabs[k, 0])


def in_prange(sums: fastmpr.NormalEquations, threads: int = WORKERS) -> Callable[[int], Iteration]:
    """Return run(n): n iterations by Numba's pool, with so many threads of FFTW's."""
    iteration = new_iteration(sums)
    fft, (_, ny, nx), spectrum = iteration.fft, sums.shape, pyfftw.zeros_aligned(sums.rhs.shape, np.complex64)
    ones = (np.float32(1),) * 6
    options: dict[str, Any] = {"axes": (0, 1, 2), "threads": threads, "flags": ("FFTW_MEASURE", "FFTW_DESTROY_INPUT")}
    forward = pyfftw.FFTW(fft.feedback[:, :, :nx], spectrum, **options).execute
    inverse = pyfftw.FFTW(spectrum, fft.image[:, :ny, :nx], direction="FFTW_BACKWARD", **options).execute
    fft.feedback[:] = fft.image[:] = 0  # planning has overwritten them
    slabs = np.array(fft.slabs)
    numbers = tuple(np.float32(value) for value in (LAM, *MU, 1 / iteration.size))
    carries = np.zeros((WORKERS, *iteration.carries[0].shape), np.float32)
    steps = tuple(np.float32(value) for value in (RELAXATION, *MU, 1, 1))

    def run(n: int) -> Iteration:
        numba.set_num_threads(WORKERS)  # a setting of the calling thread
        for _ in range(n):
            forward()
            solve_all(spectrum, sums.gram, sums.rhs, *iteration.symbols, numbers, slabs)
            inverse()
            wrap_all(fft.image, ny, nx, slabs)
            sweep_all(
                fft.image, nx, iteration.state, iteration.v2, fft.feedback, carries, steps, iteration.norms, slabs, ones
            )
        return iteration

    return run


WAYS = {"team": on_team, "prange": in_prange, "serial": functools.partial(in_prange, threads=1)}
TITLES = {"prange": "prange, {0}", "serial": "prange, {0}, FFTs on one thread"}


def check_agreement(shape: tuple[int, int, int]) -> None:
    """Refuse to compare what does not solve the same problem."""
    expected, *others = (way(make_sums(4, shape))(10).volume() for way in WAYS.values())
    if max(np.abs(x - expected).max() for x in others) > 1e-4 * expected.max():
        raise SystemExit("the ways differ: not the same iteration")


def in_turn(rounds: int) -> dict[str, list[float]]:
    """Return seconds per iteration of all ways, grid after grid, alone and beside busy loops."""
    check_agreement(GRID)
    found = {}
    for name, shape in SHAPES.items():
        runs, n = {way: make(make_sums(4, shape)) for way, make in WAYS.items()}, iterations_for(shape)
        for beside in ("alone", "busy"):
            with strangers() if beside == "busy" else contextlib.nullcontext():
                for way, time_of in readings(runs, n, rounds).items():
                    found[f"{way} {beside} {name}"] = time_of
    return found


def readings(runs: dict[str, Callable[[int], Any]], n: int, rounds: int) -> dict[str, list[float]]:
    """Return seconds per iteration of each way, in turn; the first reading, during which things wake up, is dropped."""
    times: dict[str, list[float]] = {way: [] for way in runs}
    for _ in range(rounds + 1):
        for way, run in runs.items():
            time.sleep(PAUSE)
            times[way].append(seconds(run, n) / n)
    return {way: values[1:] for way, values in times.items()}


def at_once(way: str, rounds: int) -> dict[str, list[float]]:
    """Return the time of an iteration where several solves run in Python threads: of all, over the number of all."""
    runs, n = [WAYS[way](make_sums(4, GRID)) for _ in range(AT_ONCE)], iterations_for(GRID)

    def together() -> None:
        threads = [threading.Thread(target=run, args=(n,)) for run in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    runs[0](1)  # compile
    return {"four": [seconds(together) / (AT_ONCE * n) for _ in range(rounds + 1)][1:]}


def in_a_fork(way: str, rounds: int) -> dict[str, str]:
    """Say what becomes of a child that goes on iterating after its parent has."""
    run = WAYS[way](make_sums(4, GRID))
    run(1)
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # its default is to end the process
        run(rounds)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return {"fork": ending(os.waitstatus_to_exitcode(status))}


def ending(code: int) -> str:
    """Return an exit code in words."""
    if code >= 0:
        return "works" if code == 0 else f"ends with exit code {code}"
    name = signal.Signals(-code).name
    return f"hangs ({name} after 20 s)" if name == "SIGALRM" else f"dies ({name}, exit code {code})"


MEASURES = {"turn": lambda way, rounds: in_turn(rounds), "four": at_once, "fork": in_a_fork}


def elsewhere(measure: str, way: str, layer: str, rounds: int) -> dict[str, Any]:
    """Measure in a new process; where it dies, say how."""
    command = [sys.executable, "-m", __spec__.name, "--measure", measure, "--way", way, "--rounds", str(rounds)]
    environment = os.environ | {"NUMBA_THREADING_LAYER": layer or "default", "NUMBA_NUM_THREADS": str(WORKERS)}
    done = subprocess.run(
        command, env=environment, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=1800
    )
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    if done.returncode > 0:
        raise SystemExit(done.stderr)
    return {measure: f"aborts the process (exit code {done.returncode})"}


def layers() -> Iterator[str]:
    """Yield the pools that this Numba can load."""
    for layer, module in (("omp", "omppool"), ("workqueue", "workqueue"), ("tbb", "tbbpool")):
        with contextlib.suppress(ImportError):
            importlib.import_module(f"numba.np.ufunc.{module}")
            yield layer


def row(title: str, way: str, found: dict[str, Any]) -> str:
    """Return a row of the table: the fastest reading alone, the median in company, whose share of the cores varies."""
    cells = [f"{1e3 * min(found[f'{way} alone {name}']):.2f}" for name in SHAPES]
    cells += [f"{1e3 * median(found[f'{way} busy {name}']):.2f}" for name in SHAPES]
    four = found["four"]
    cells += [four if isinstance(four, str) else f"{1e3 * median(four):.2f}", found["fork"]]
    return f"| {title} | {' | '.join(cells)} |"


def main() -> None:
    """Measure each pool, print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reports.prange", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="readings of each (default 7)")
    parser.add_argument("--measure", choices=list(MEASURES), help=argparse.SUPPRESS)
    parser.add_argument("--way", choices=list(WAYS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(MEASURES[arguments.measure](arguments.way, arguments.rounds)))
        return
    team: dict[str, Any] = {}
    rows = []
    for layer in layers():
        turn = elsewhere("turn", "team", layer, arguments.rounds)
        team = {name: team.get(name, []) + times for name, times in turn.items()}
        for way, title in TITLES.items():
            company = elsewhere("four", way, layer, arguments.rounds) | elsewhere("fork", way, layer, arguments.rounds)
            rows.append(row(title.format(layer), way, turn | company))
    team |= elsewhere("four", "team", "", arguments.rounds) | elsewhere("fork", "team", "", arguments.rounds)
    print(TITLE.format(*SHAPES), "|---|---:|---:|---:|---:|---:|---|", row("team", "team", team), *rows, sep="\n")


if __name__ == "__main__":
    main()

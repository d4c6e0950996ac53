"""Solves among other threads and in other processes: the same bits, and little lost."""

from __future__ import annotations

import importlib.util
import multiprocessing
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from statistics import median

import numba
import numpy as np

import fastmpr

from ...suite.common import GRID, LAM, make_sums, seconds
from .load import SHAPES, WORKERS, Line, digest, fresh, small_data, solution, strangers, use_threads

THREADS = 8
AT_ONCE = 16
LAYERS = ("omp", "workqueue")


@numba.njit(parallel=True)
def host_loop(values):
    """What a host does with Numba's own pool."""
    for i in numba.prange(values.size):
        values[i] += 1


def concurrent(share: float) -> Iterator[Line]:
    """Many solves from many Python threads, in a host that has one or the other of Numba's pools."""
    solves = round(50 * share) or 1
    for layer in LAYERS:
        code = f"from benchmarks.reports.guest.sharing import count_differing as count; print(count({solves}))"
        differing = int(fresh(code, NUMBA_THREADING_LAYER=layer))
        what = f"{THREADS} threads x {solves} solves in a host with {layer}: bits that differ from serial ones"
        yield Line(what, "0", str(differing), differing == 0)


def count_differing(solves: int) -> int:
    """Return how many of the solves of many threads differ from the same solves one after another."""
    use_threads()
    host_loop(np.zeros(1000))
    expected = {shape: solution(shape) for shape in SHAPES}

    def in_a_thread(seed: int) -> int:
        shapes = random.Random(seed).choices(SHAPES, k=solves)
        return sum(not np.array_equal(solution(shape), expected[shape]) for shape in shapes)

    with ThreadPoolExecutor(THREADS) as pool:
        return sum(pool.map(in_a_thread, range(THREADS)))


def throughput(share: float) -> Iterator[Line]:
    """Many solves at once against one after another; and these beside processes that take every core."""
    for shape in (GRID, (64, 64, 64)):
        sums, rounds, name = make_sums(2, shape), round(7 * share) or 1, "x".join(map(str, shape))

        def solve(_: int, sums: fastmpr.NormalEquations = sums) -> None:
            fastmpr.solve(sums, LAM, workers=WORKERS)

        solve(0)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            serial, together = (lambda map=map: list(map(solve, range(AT_ONCE))) for map in (map, pool.map))
            gain = median(seconds(serial) / seconds(together) for _ in range(rounds))
        loss = median(seconds_beside_strangers(serial) / seconds(serial) for _ in range(rounds))
        yield Line(
            f"{AT_ONCE} solves of {name} at once: throughput over serial", ">= 0.9", f"{gain:.2f}", gain >= 0.9, False
        )
        yield Line(f"{name} in series beside busy loops: slowdown", "<= 2.5", f"{loss:.2f}", loss <= 2.5, False)


def seconds_beside_strangers(function: Callable[[], object]) -> float:
    """Return the time of a call while every core has something else to do."""
    with strangers():
        time.sleep(0.3)  # until they have started
        return seconds(function)


def processes(share: float) -> Iterator[Line]:
    """The same calls in processes of every kind."""
    expected = bits()
    for name, run in ways().items():
        found = run()
        yield Line(f"bits of solve, accumulate, reconstruct by {name}", expected, found, found == expected)


def bits() -> str:
    """Return a short name of what three calls return."""
    use_threads()
    sums = fastmpr.accumulate(small_data(), workers=WORKERS)
    whole = fastmpr.reconstruct(small_data(), max_iter=20, workers=WORKERS)
    return digest(*(solution(shape) for shape in SHAPES), sums.gram, sums.rhs, whole.x)


def ways() -> dict[str, Callable[[], str]]:
    """Return how to get the bits from another process, in each way that is installed."""
    found = {name: lambda name=name: in_a_pool(name) for name in multiprocessing.get_all_start_methods()}
    if importlib.util.find_spec("joblib"):
        found["loky"] = with_joblib
    if importlib.util.find_spec("dask"):
        found["dask's processes"] = with_dask
    return found


def in_a_pool(method: str) -> str:
    with ProcessPoolExecutor(1, multiprocessing.get_context(method)) as pool:
        return pool.submit(bits).result(timeout=300)


def with_joblib() -> str:
    import joblib

    return " ".join({*joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(bits)() for _ in range(2))})


def with_dask() -> str:
    import dask

    return " ".join({*dask.compute(*(dask.delayed(bits)() for _ in range(2)), scheduler="processes", num_workers=2)})

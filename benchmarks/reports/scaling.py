"""Beyond two threads: what this machine can measure, and what its measured parts say of more cores than it has.

    python -m benchmarks.reports.scaling

Measured: iterations and sums on 1, 2, 4 ... threads up to the cores at hand; each phase of an iteration in its place, and
the bytes of the arrays that it reads and writes; the memory's bandwidth at the size of the grid; a barrier; an iteration
where there is nothing to do. Predicted, for 4, 8 and 16 threads, from the phases on one thread t_1:

    t_1 / threads x slabs    planes, or rows, are dealt out whole: the last member's share over the mean
    + barriers               each reads one cache line per member, at 0.1 us, as published for large processors
    + memory                 no phase is faster than its bytes at this machine's bandwidth times ``--sockets``: 1 is as
                             if the cores at hand drew all that a server has, so it is the worst case too
    + interpreter            at worst: each further member adds what the second does where there is nothing to do,
                             since after a barrier all want the interpreter's lock, and get it one after another

Cores of a virtual machine wake slowly, so there the interpreter costs more. Sums are only measured. Prints Markdown.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import math
import time
import warnings
from collections.abc import Callable, Iterable
from statistics import median
from typing import Any, NamedTuple

import numba
import numpy as np

import fastmpr
from fastmpr.regularizers import as_regularizer
from fastmpr.runtime.threads import Team
from fastmpr.solver.iteration import Iteration
from fastmpr.solver.quadratic import Quadratic

from ..suite.common import GRID, LAM, MU, PSF_SIGMA, SHAPES, available_cores, iterations_for, make_sums, seconds

Shape = tuple[int, int, int]
GRIDS = {**SHAPES, "256x256x256": (256, 256, 256)}
VIEWS = {"64 views of 36x72x72": (64, GRID), "8 views of 96x96x96": (8, (96, 96, 96))}
THREADS = (1, 2, 4, 8, 16)
BEYOND = (4, 8, 16)
PHASES = ("forward planes", "columns", "inverse planes", "sweep")  # what stands between an iteration's barriers
LINE_SECONDS = 1e-7  # to read a cache line that another core has just written
TINY = (4, 4, 4)
SMALL = (12, 16, 24, 32, 40, 48)
READINGS = 5


class Phase(NamedTuple):
    """One phase of an iteration on one grid: its time on one thread, its bytes, and how many items are dealt out."""

    seconds: float
    moved: int
    items: int


class Parts(NamedTuple):
    """What an iteration on one grid is made of."""

    phases: list[Phase]
    bandwidth: float  # of the threads at hand, on arrays that together are as large as the solver's
    interpreter: tuple[float, float]  # per iteration: of the first member, and of each further one

    def terms(self, threads: int, sockets: float) -> dict[str, float]:
        """Return the predicted seconds of an iteration: the ideal time, and what each thing adds to it."""
        ideal = [phase.seconds / threads for phase in self.phases]
        dealt = [phase.seconds * math.ceil(phase.items / threads) / phase.items for phase in self.phases]
        floors = [phase.moved / (self.bandwidth * sockets) for phase in self.phases]
        return {
            "arithmetic": sum(ideal),
            "whole slabs": sum(dealt) - sum(ideal),
            "barriers": len(self.phases) * threads * LINE_SECONDS if threads > 1 else 0.0,
            "memory": sum(max(0.0, floor - t) for floor, t in zip(floors, dealt, strict=True)) if threads > 1 else 0.0,
            "interpreter": self.interpreter[0] + self.interpreter[1] * (threads - 1),
        }


class Stopwatch(Team):
    """A team whose first member notes when it leaves each barrier."""

    def __init__(self, size: int):
        super().__init__(size)
        self.stamps: list[float] = []

    def barrier(self, member: int) -> None:
        super().barrier(member)
        if member == 0:
            self.stamps.append(time.perf_counter())


def at_hand() -> list[int]:
    """Return the numbers of threads that this machine has cores for."""
    return [threads for threads in THREADS if threads <= available_cores()]


def fastest(read: Callable[[], float], readings: int = READINGS) -> float:
    """Return the fastest of several readings, the first of which compiles and loads."""
    return min(read() for _ in range(readings + 1))


def steps(shape: Shape, team: Team) -> tuple[Iteration, Callable[[int], None]]:
    """Return a solve's buffers, and run(n): n of its iterations without a check of the residuals."""
    iteration = Iteration(Quadratic.of(make_sums(2, shape)), LAM, as_regularizer("hessian"), MU, 1.8, team)

    def loop(member: int, n: int) -> None:
        for _ in range(n):
            iteration.x_step(member, False)
            iteration.u_step(member)

    return iteration, lambda n: team.run(lambda member: loop(member, n))


def iteration_time(shape: Shape, threads: int) -> float:
    """Return the seconds of an iteration."""
    _, run = steps(shape, Team(threads))
    n = iterations_for(shape)
    return fastest(lambda: seconds(run, n) / n)


def phase_times(shape: Shape, threads: int) -> list[float]:
    """Return the seconds of each phase, the median over iterations; what stands between two barriers is in one of them."""
    team = Stopwatch(threads)
    _, run = steps(shape, team)
    run(2)
    team.stamps.clear()
    run(max(5, iterations_for(shape)))
    return [median(np.diff(team.stamps)[k :: len(PHASES)]) for k in (3, 0, 1, 2)]


def phase_bytes(iteration: Iteration) -> list[int]:
    """Return the bytes that each phase must read and write, each array once however often it is used in cache."""
    fft = iteration.fft
    wide, spectrum, image = fft.feedback.nbytes, iteration.sums.rhs.nbytes, fft.image.nbytes
    return [
        wide + spectrum,
        3 * spectrum + iteration.sums.gram.nbytes,
        spectrum + image,
        image + 2 * iteration.state.nbytes + 2 * iteration.v2.nbytes + wide,
    ]


@numba.njit(nogil=True, fastmath=True)
def triad(a, b, c, scale):
    """STREAM's fourth loop."""
    for i in range(a.size):
        a[i] = b[i] + scale * c[i]


def bandwidth(size: int, threads: int) -> float:
    """Return bytes per second of a triad on arrays of ``size`` bytes in all, each thread on parts of its own."""
    team, repeats = Team(threads), max(1, (1 << 28) // size)
    parts = [[np.ones(size // (12 * threads), np.float32) for _ in range(3)] for _ in range(threads)]

    def work(member: int) -> None:
        for _ in range(repeats):
            triad(*parts[member], np.float32(0.5))

    moved = sum(array.nbytes for part in parts for array in part)
    return repeats * moved / fastest(lambda: seconds(team.run, work))


def barrier_time(threads: int, n: int = 20_000) -> float:
    """Return the seconds of a barrier, its Python and all."""
    team = Team(threads)

    def work(member: int) -> None:
        for _ in range(n):
            team.barrier(member)

    return fastest(lambda: seconds(team.run, work) / n)


def nothing_to_do(threads: int, n: int = 2000) -> float:
    """Return the seconds of an iteration on a grid so small that all is overhead."""
    _, run = steps(TINY, Team(threads))
    return fastest(lambda: seconds(run, n)) / n


def watched(n: int = 2000) -> float:
    """Return the same on one thread in a solve that has a deadline to look at, and so decides after every iteration."""
    options: dict[str, Any] = {"mu": MU, "tol": 0, "workers": 1, "timeout": 1e6, "max_iter": n}
    return fastest(lambda: seconds(fastmpr.solve, make_sums(2, TINY), LAM, **options)) / n


@functools.cache
def some_views(count: int, shape: Shape) -> fastmpr.Dataset:
    """Return views of noise: their bits cost nothing."""
    white = np.random.default_rng(0).standard_normal((count, *shape), np.float32)
    return fastmpr.Dataset(
        white, fastmpr.psf.gaussian((43, 31, 31), sigma=PSF_SIGMA), fastmpr.Poses.random(count, rng=0)
    )


def sums_time(count: int, shape: Shape, threads: int) -> float:
    """Return the seconds of the sums of some views."""
    return fastest(lambda: seconds(fastmpr.accumulate, some_views(count, shape)[:count], workers=threads), 3)


def measure_parts(shape: Shape, interpreter: tuple[float, float]) -> Parts:
    """Measure what a prediction for one grid is made of."""
    iteration, _ = steps(shape, Team(1))
    moved, items = phase_bytes(iteration), (shape[0], shape[1], shape[0], shape[0])
    times = phase_times(shape, 1)
    return Parts([*map(Phase, times, moved, items)], bandwidth(sum(moved) // 2, at_hand()[-1]), interpreter)


def table(heading: str, rows: Iterable[Iterable[Any]]) -> None:
    """Print a Markdown table."""
    print(f"\n| {heading} |", "|" + "---|" * len(heading.split(" | ")), sep="\n")
    for row in rows:
        print("|", " | ".join(map(str, row)), "|", flush=True)


def measured_rows(grids: dict[str, Shape]) -> Iterable[list[str]]:
    """Yield the times on each number of threads, of iterations and of sums."""
    for name, shape in grids.items():
        found = [iteration_time(shape, threads) for threads in at_hand()]
        yield [f"iteration, {name}", *(f"{1e3 * t:.2f} ms ({found[0] / t:.2f})" for t in found)]
    for name, (count, shape) in VIEWS.items():
        found = [sums_time(count, shape, threads) for threads in at_hand()]
        yield [f"sums, {name}", *(f"{count / t:.1f} views/s ({found[0] / t:.2f})" for t in found)]


def small_rows() -> Iterable[list[str]]:
    """Yield the time of twenty iterations on small grids, where starting threads and waking them may not repay."""
    for edge in SMALL:
        runs = [steps((edge,) * 3, Team(threads))[1] for threads in at_hand()[:2]]
        found = [fastest(lambda run=run: seconds(run, 20), 4 * READINGS) for run in runs]
        yield [f"{edge}^3", *(f"{1e3 * t:.2f} ms ({found[0] / t:.2f})" for t in found)]


def phase_rows(shape: Shape, parts: Parts) -> Iterable[list[str]]:
    """Yield each phase: its time on one and on all threads, its bytes, and what that is of the bandwidth."""
    threads = at_hand()[-1]
    for name, phase, many in zip(PHASES, parts.phases, phase_times(shape, threads), strict=True):
        share = phase.moved / many / parts.bandwidth
        speed = f"{phase.seconds / many:.2f}"
        yield [
            name,
            f"{1e3 * phase.seconds:.3f}",
            f"{1e3 * many:.3f}",
            speed,
            f"{phase.moved / 1e6:.1f}",
            f"{share:.0%}",
        ]


def predicted_rows(name: str, parts: Parts, sockets: float) -> Iterable[list[str]]:
    """Yield the predicted speed-ups with ever more of what stops them, and the share of the largest of it."""
    alone = sum(parts.terms(1, sockets).values())
    for threads in sorted({*at_hand()[1:], *BEYOND}):
        terms = parts.terms(threads, sockets)
        *_, bare, bound, total = itertools.accumulate(terms.values())
        most = max(list(terms)[1:], key=terms.__getitem__)
        speeds = [f"{alone / t:.2f}" for t in (bare, bound, total)]
        yield [name, str(threads), *speeds, f"{most} ({terms[most] / total:.0%})"]


def overheads(threads: list[int]) -> tuple[float, float]:
    """Print what is neither arithmetic nor memory; return what the first member and each further one does in Python."""
    idle = [nothing_to_do(n) for n in threads[:2]]
    for n, t in zip(threads[:2], idle, strict=True):
        print(f"- an iteration with nothing to do, on {n} threads: {1e6 * t:.0f} us")
    print(f"- the same on one thread with a deadline: {1e6 * watched():.0f} us")
    for n in threads[1:]:
        print(f"- a barrier of {n} threads, its Python and all: {1e6 * barrier_time(n):.1f} us")
    return idle[0], idle[-1] - idle[0] if len(idle) > 1 else idle[0]


def main() -> None:
    """Measure, predict, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reports.scaling", description=__doc__.splitlines()[0])
    parser.add_argument("--sockets", type=float, default=1.0, help="memory of the server over that at hand (default 1)")
    parser.add_argument("--only", nargs="+", choices=list(GRIDS), default=list(GRIDS), help="grids (default all)")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", fastmpr.FastmprWarning)  # views of noise look suspicious
    grids, threads = {name: GRIDS[name] for name in arguments.only}, at_hand()
    print(f"# Measured, on {available_cores()} cores")
    table(" | ".join(["speed-up in brackets", *(f"{n} threads" for n in threads)]), measured_rows(grids))
    table(" | ".join(["twenty iterations", *(f"{n} threads" for n in threads[:2])]), small_rows())
    print()
    interpreter = overheads(threads)
    parts = {name: measure_parts(shape, interpreter) for name, shape in grids.items()}
    for name, part in parts.items():
        print(f"\n{name}, where {threads[-1]} threads move {part.bandwidth / 1e9:.0f} GB/s:")
        heading = f"phase | ms on 1 thread | on {threads[-1]} | speed-up | MB moved | of the bandwidth"
        table(heading, phase_rows(GRIDS[name], part))
    print("\n# Predicted, from the above")
    rows = (row for name, part in parts.items() for row in predicted_rows(name, part, arguments.sockets))
    bound = f"and memory {arguments.sockets:g} times as fast"
    table(f"grid | threads | speed-up by slabs and barriers | {bound} | and the interpreter | costs most", rows)


if __name__ == "__main__":
    main()

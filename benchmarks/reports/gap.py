"""How far from the minimum a solve by the defaults ends, over many random problems.

    python -m benchmarks.reports.gap [--problems 500]

Volumes are phantoms, blobs, planes, a single voxel and next to nothing; 1 to 1,000 views; noise, lam, precision,
regulariser and what the solve starts from are drawn too. The gap is F(x) - F(x*), in phi(x*), or in 1e-4 F(x*) / 5e-3 where
phi(x*) is below a thousandth of F(x*). F(x*) is the least of several solves in double precision with other penalties, run
until they agree. The table goes to ``benchmarks/results/gap.md``.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import fastmpr

from ..suite.common import in_float64, sums_of

TABLE = Path(__file__).parents[1] / "results" / "gap.md"
FACTORS = (0.01, 0.1, 1.0, 10.0, 100.0)  # of the lam that `infer_lam` gives
AGREEMENT = 2e-4  # of phi, between solves with other penalties
BOUND = 5e-3  # of phi, what a success promises


class Problem(NamedTuple):
    """What is solved, and from where."""

    sums: fastmpr.NormalEquations
    lam: float
    factor: float
    regularizer: str
    x0: NDArray | None
    volume: str
    start: str


class Outcome(NamedTuple):
    """How it ended."""

    problem: Problem
    nit: int
    success: bool
    gap: float


def volume(kind: str, shape: tuple[int, int, int], rng: np.random.Generator) -> NDArray:
    """Return a volume of a kind."""
    x = np.zeros(shape, np.float32)
    if kind in ("centriole", "nuclear_pore"):
        return getattr(fastmpr.phantom, kind)(shape)
    if kind == "voxel":
        x[tuple(n // 2 for n in shape)] = 1
    elif kind == "plane":
        x[:, shape[1] // 2] = 1
    elif kind == "blobs":
        grid = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)
        for centre in rng.uniform(0, shape, (4, 3)):
            x += np.exp(-np.sum((grid - centre) ** 2, axis=-1) / (2 * rng.uniform(1, 3) ** 2)).astype(np.float32)
    return x  # "nothing" is dark


def draw(seed: int) -> Problem:
    """Return a random problem."""
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(12, 25, 3))
    kind = str(
        rng.choice(
            ["centriole", "nuclear_pore", "blobs", "plane", "voxel", "nothing"], p=[0.3, 0.3, 0.2, 0.08, 0.06, 0.06]
        )
    )
    poses = fastmpr.Poses.random(int(rng.choice([1, 3, 10, 100, 1000])), rng=rng)
    across = rng.uniform(0.7, 1.5)
    noise = float(10 ** rng.uniform(-2, 0))
    sums = sums_of(volume(kind, shape, rng), poses, (across * rng.uniform(1, 4), across, across), noise, rng)
    if rng.random() < 0.2:
        sums = in_float64(sums)
    regularizer = str(rng.choice(["hessian", "tv"]))
    factor = float(rng.choice(FACTORS, p=[0.15, 0.2, 0.35, 0.15, 0.15]))
    lam = factor * fastmpr.infer_lam(sums, regularizer)[0]
    starts = {"nothing": None, "noise": rng.standard_normal(shape), "ones": np.ones(shape)}
    start = str(rng.choice(list(starts), p=[0.7, 0.15, 0.15]))
    x0 = starts[start]
    if x0 is not None:
        x0 = (x0 * 10 ** rng.uniform(-6, 6)).astype(sums.gram.dtype)
    return Problem(sums, lam, factor, regularizer, x0, kind, start)


def optimum(problem: Problem) -> tuple[float, float]:
    """Return F(x*) and phi(x*)."""
    sums, lam, regularizer = in_float64(problem.sums), problem.lam, problem.regularizer
    first = fastmpr.solve(sums, lam, regularizer, max_iter=300, tol=0)
    mu, mu2 = first.history[-1]["mu"], first.history[-1]["mu2"]
    best = (math.inf, 0.0)
    for scale, scale2 in ((1.0, 1.0), (0.4, 1.0), (1.0, 0.3), (0.2, 0.3), (3.0, 1.0)):
        x = fastmpr.solve(sums, lam, regularizer, x0=first.x, mu=(scale * mu, scale2 * mu2), max_iter=1500, tol=0).x
        value = fastmpr.objective(x, sums, lam, regularizer)
        found = value, value - 0.5 * lam * sums.misfit(x)
        agree = abs(value - best[0]) <= AGREEMENT * found[1]
        best = min(best, found)
        if agree:
            break
    return best


def run(problem: Problem, **options: Any) -> Outcome:
    """Solve a problem by the defaults, and measure."""
    result = fastmpr.solve(problem.sums, problem.lam, problem.regularizer, x0=problem.x0, **options)
    least, phi = optimum(problem)
    value = fastmpr.objective(result.x.astype(np.float64), in_float64(problem.sums), problem.lam, problem.regularizer)
    unit = phi if phi > 1e-3 * least else 1e-4 / BOUND * least
    return Outcome(problem, result.nit, result.success, (value - least) / max(unit, 1e-300))


def table(outcomes: list[Outcome]) -> str:
    """Return how it ended, for each regulariser and factor of lam, in Markdown."""
    lines = [
        "| regulariser | lam | problems | success | of these: iterations, median, worst | gap, median, worst "
        "| gap of the others |",
        "|---|---|---|---|---|---|---|",
    ]
    for regularizer in ("hessian", "tv"):
        for factor in FACTORS:
            chosen = [o for o in outcomes if (o.problem.regularizer, o.problem.factor) == (regularizer, factor)]
            good, bad = ([o for o in chosen if o.success == well] for well in (True, False))
            if good:
                nits, gaps = [o.nit for o in good], [o.gap for o in good]
                others = f"{max(o.gap for o in bad):.1e}" if bad else ""
                lines.append(
                    f"| {regularizer} | x {factor:g} | {len(chosen)} | {len(good)} | {np.median(nits):.0f}, {max(nits)} "
                    f"| {np.median(gaps):.1e}, {max(gaps):.1e} | {others} |"
                )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the problems and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--problems", type=int, default=500)
    outcomes = []
    for seed in range(parser.parse_args().problems):
        outcomes.append(run(draw(seed)))
        if outcomes[-1].success and outcomes[-1].gap > BOUND:
            print(
                f"seed {seed}: {outcomes[-1].gap:.1e} after {outcomes[-1].nit}, {outcomes[-1].problem[2:4]}", flush=True
            )
    text = table(outcomes)
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(text)
    print(text)


if __name__ == "__main__":
    main()

"""What crops are worth, beside the same views seen whole, and what happens where the rest counts as darkness.

    python -m benchmarks.reports.unseen

Simulated views of 50 x 50 x 50 voxels, an offset of 20 % of the peak, true poses, automatic lam. The crops are as those that
people cut out of confocal stacks: nearly all planes, a fifth to a third of each, off centre. With ``FASTMPR_DATA`` set to
the folder of shared data, their boxes are those of its real centrioles, and its ribosome is the third particle. Printed are
PSNR in dB, seconds, and what a prediction costs in plain accumulations of the same views.
"""

from __future__ import annotations

import os
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import fastmpr
from fastmpr.metrics import psnr
from fastmpr.reconstruction.crops import Predictions
from fastmpr.runtime.stopping import Stop
from fastmpr.sums.accumulator import Accumulator
from fastmpr.sums.observation import observe

DATA = os.environ.get("FASTMPR_DATA")
SIZE = 50
COUNTS = (10, 40, 200)
NOISE = (0.05, 0.2)
OFFSET = 0.2


class Row(NamedTuple):
    """One problem: PSNR and seconds of whole views, crops, and crops with their surroundings taken for darkness."""

    name: str
    count: int
    noise: float
    whole: float
    crops: float
    zeros: float
    seconds: tuple[float, float]
    prediction: float


def particles() -> dict[str, NDArray]:
    """Return the particles by name."""
    found = {name: getattr(fastmpr.phantom, name)((SIZE,) * 3) for name in ("centriole", "nuclear_pore")}
    if DATA:
        whole = np.maximum(fastmpr.io.read(Path(DATA) / "ribosome" / "4v7r.mrc", 1.0)[0], 0)
        half = whole.reshape(48, 2, 48, 2, 48, 2).mean(axis=(1, 3, 5))
        found["ribosome"] = np.pad(half / half.max(), 1).astype(np.float32)
    return found


def boxes(count: int) -> NDArray:
    """Return the boxes of crops: those of real ones that show less than half of their image, or some like them."""
    if DATA:
        source = fastmpr.Dataset(fastmpr.io.open_particles(Path(DATA) / "centriole-real" / "particles", 1.0)).source
        real = [source.seen(i) for i in range(len(source))]
        small = [seen.box for seen in real if seen is not None and np.prod(seen.shape) < 0.5 * SIZE**3]
        return np.array([small[i % len(small)] for i in range(count)])
    rng = np.random.default_rng(1)
    width = rng.integers(22, 33, (count, 2))
    first = np.stack([rng.integers(0, 5, count), *(rng.integers(8, 50 - 8 - width.T))], axis=1)
    last = np.column_stack([SIZE - rng.integers(0, 4, count), first[:, 1:] + width])
    return np.stack([first, last], axis=2)


def problem(truth: NDArray, count: int, noise: float) -> tuple[fastmpr.Dataset, fastmpr.Dataset]:
    """Return whole views, and crops pasted into zeros."""
    psf = fastmpr.psf.gaussian((27, 9, 9), sigma=(4.5, 1.2, 1.2))
    poses = fastmpr.Poses.random(count, max_translation=2.0, rng=0)
    peak = float(fastmpr.simulate(truth, psf, poses).max())
    options = {"noise_sigma": noise * peak, "rng": 0}
    whole = fastmpr.simulate(truth, psf, poses, **options)
    crops = fastmpr.simulate(truth, psf, poses, boxes=boxes(count), **options)
    shift = np.float32(OFFSET * peak)
    return fastmpr.Dataset(whole + shift, psf, poses), fastmpr.Dataset(np.nan_to_num(crops + shift), psf, poses)


def prediction_cost(crops: fastmpr.Dataset) -> float:
    """Return what a prediction costs, in accumulations of the same crops taken for whole views: the median of five pairs."""
    crops = crops.replace(background="none")
    partial, whole = (
        Accumulator(data, [data.used], data.model_shape(), None, None, Stop("benchmark"))
        for data in (crops, crops.replace(seen="all"))
    )
    predictions, x = Predictions(observe(partial)), np.zeros(partial.grid, np.float32)
    ratios = [_timed(lambda: predictions.at(x))[1] / _timed(lambda: observe(whole))[1] for _ in range(6)]
    return median(ratios[1:])


def _timed(call):
    start = perf_counter()
    result = call()
    return result, perf_counter() - start


def measure(name: str, truth: NDArray, count: int, noise: float) -> Row:
    """Return one row."""
    whole, crops = problem(truth, count, noise)
    (best, slow), (found, fast) = (_timed(lambda data=data: fastmpr.reconstruct(data)) for data in (whole, crops))
    zeros = fastmpr.reconstruct(crops.replace(seen="all"))
    quality = (psnr(result.x, truth) for result in (best, found, zeros))
    return Row(name, count, noise, *quality, (slow, fast), prediction_cost(crops))


def main() -> None:
    """Measure all and print the table."""
    print("| particle | views | noise | whole, dB | crops | lost | surroundings as darkness | s | prediction |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, truth in particles().items():
        for count in COUNTS:
            for noise in NOISE:
                row = measure(name, truth, count, noise)
                print(
                    f"| {name} | {count} | {noise} | {row.whole:.2f} | {row.crops:.2f} | {row.whole - row.crops:.2f} | "
                    f"{row.zeros:.2f} | {row.seconds[0]:.2f}, {row.seconds[1]:.2f} | {row.prediction:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()

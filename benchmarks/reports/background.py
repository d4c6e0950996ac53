"""What the estimate of the background costs, against a background that is known.

    python -m benchmarks.reports.background

Two tables go to ``benchmarks/results/background.md``: the mean error of the estimate over many views, and the PSNR of
`fastmpr.reconstruct` beside that from the same views less their true background. Beside both stands a plain rule, the
median of the darkest face, whose error grows with the noise and does not average out over views. Noise is in units of
the brightest voxel of the truth. "Faces" are those that the particle reaches: by translations of a quarter of the image
along one to three axes, or by a crop of the image along y and x (four).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import fastmpr
from fastmpr.metrics import psnr
from fastmpr.sums.resampling import inner
from fastmpr.views.background import without_background

TABLE = Path(__file__).parents[1] / "results" / "background.md"
PHANTOMS = (fastmpr.phantom.centriole, fastmpr.phantom.nuclear_pore)
NOISE = (0.01, 0.1, 0.3, 1.0, 2.0)
FACES = (0, 1, 2, 3, 4)
RECONSTRUCTIONS = (  # size, faces, number of views
    *((28, 0, count) for count in (10, 30, 100, 200)),
    *((28, faces, 100) for faces in FACES[1:]),
    (48, 0, 100),
)
DRAWS = 4
WORKERS = 2


class Case(NamedTuple):
    """Views without noise whose background is nothing, and what they are views of."""

    views: NDArray
    psf: NDArray
    poses: fastmpr.Poses
    truth: NDArray

    def noisy(self, noise: float, seed: int) -> NDArray:
        """Return the views with white noise."""
        white = np.random.default_rng(seed).standard_normal(self.views.shape, dtype=np.float32)
        return self.views + np.float32(noise) * white


def make_case(phantom: Callable[[int], NDArray], size: int, count: int, faces: int, seed: int) -> Case:
    """Return views of a phantom that reaches so many faces of them."""
    rng = np.random.default_rng(seed)
    psf = fastmpr.psf.gaussian((17, 9, 9), sigma=(3, 1, 1))
    poses = fastmpr.Poses.random(count, rng=rng)
    if faces < 4:
        axes = np.argsort(rng.random((count, 3)), axis=1) < faces
        translation = axes * rng.choice([-0.25, 0.25], (count, 3)) * size
        poses = fastmpr.Poses(poses.rotation, translation)
    truth = phantom(size)
    views = np.asarray(fastmpr.simulate(truth, psf, poses, workers=WORKERS))
    if faces == 4:
        kept = slice(round(0.22 * size), -round(0.22 * size))
        views, truth = np.ascontiguousarray(views[:, :, kept, kept]), truth[:, kept, kept]
    return Case(views, psf, poses, truth)


def darkest_face(view: NDArray) -> float:
    """Return the least of the medians of the six faces."""
    return float(min(np.median(np.take(view, end, axis)) for axis in range(3) for end in (0, -1)))


def estimate(view: NDArray) -> float:
    """Return what the package takes for the background."""
    return float(np.mean(view - without_background(view), dtype=np.float64))


def reconstruct_plainly(views: NDArray, case: Case) -> NDArray:
    """Return what `fastmpr.reconstruct` returns, but that no background is subtracted."""
    data: Any = fastmpr.Dataset(views, case.psf, case.poses)
    halves = [fastmpr.accumulate(data[k::2], workers=WORKERS) for k in (0, 1)]
    lam, start = fastmpr.select_lam(*halves, workers=WORKERS)
    sums = halves[0] + halves[1]
    x = fastmpr.solve(sums, lam, x0=start, workers=WORKERS).x
    return x[inner(sums.shape, case.truth.shape)]


def decibels(case: Case, noise: float, seed: int) -> tuple[float, float, float]:
    """Return the PSNR with the background known, and what the package's estimate and the darkest face add to it."""
    views = case.noisy(noise, seed)
    plain = np.stack([view - np.float32(darkest_face(view)) for view in views])
    estimated = fastmpr.reconstruct(views, case.psf, case.poses, workers=WORKERS).x
    volumes = reconstruct_plainly(views, case), estimated, reconstruct_plainly(plain, case)
    known, new, old = (psnr(x, case.truth) for x in volumes)
    return known, new - known, old - known


def bias_rows(faces: int, size: int = 28, count: int = 50, draws: int = 4) -> Iterator[tuple[float, ...]]:
    """Yield faces, noise, mean and standard deviation of the error of the estimate, and of the darkest face's.

    The errors are in sigma / sqrt(voxels of the faces), over views of both phantoms.
    """
    cases = [make_case(phantom, size, count, faces, seed=1) for phantom in PHANTOMS]
    nz, ny, nx = cases[0].truth.shape
    unit = 1 / np.sqrt(2 * (nz * ny + ny * nx + nx * nz))
    for noise in NOISE:
        views = [v for case in cases for seed in range(draws) for v in case.noisy(noise, seed)]
        errors = np.array([[estimate(v), darkest_face(v)] for v in views]) / (noise * unit)
        yield faces, noise, *np.stack([errors.mean(axis=0), errors.std(axis=0)], axis=1).ravel()


def psnr_rows(size: int, faces: int, count: int) -> Iterator[tuple[float, ...]]:
    """Yield the case and its noise, the means of `decibels`, and the worst draw of the estimate."""
    cases = [make_case(phantom, size, count, faces, seed=1) for phantom in PHANTOMS]
    for noise in NOISE:
        draws = np.array([decibels(case, noise, seed) for case in cases for seed in range(count, count + DRAWS)])
        yield size, faces, count, noise, *draws.mean(axis=0), draws[:, 1].min()


def table(title: str, form: str, rows: list[tuple[float, ...]]) -> str:
    """Return a Markdown table: one format for all rows."""
    rule = "|".join("---" for _ in title.split(" | "))
    return "\n".join([f"| {title} |", f"|{rule}|", *(f"| {form.format(*row)} |" for row in rows)])


def report(errors: list[tuple[float, ...]], losses: list[tuple[float, ...]]) -> str:
    """Return the page."""
    return "\n\n".join(
        [
            "# The background of a view",
            "Error of the estimate, in sigma / sqrt(voxels of the faces), over views of 28^3.",
            table(
                "faces | noise | mean | deviation | darkest face: mean | deviation",
                "{} | {} | {:+.2f} | {:.2f} | {:+.2f} | {:.2f}",
                errors,
            ),
            f"PSNR in dB, mean over both phantoms and {DRAWS} draws of the noise, and what estimates add.",
            table(
                "size | faces | views | noise | known background | estimate | darkest face | worst draw of estimate",
                "{} | {} | {} | {} | {:.2f} | {:+.2f} | {:+.2f} | {:+.2f}",
                losses,
            ),
        ]
    )


def main() -> None:
    """Measure, print, write."""
    errors = [row for faces in FACES for row in bias_rows(faces)]
    losses = [row for case in RECONSTRUCTIONS for row in psnr_rows(*case)]
    page = report(errors, losses)
    print(page)
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(page + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

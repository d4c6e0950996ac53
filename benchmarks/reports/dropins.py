"""What other programs did before, and what they do with fastmpr in its place: quality and time, side by side.

    pip install -e ".[dropins]"
    FASTMPR_DATA=DATA python -m benchmarks.reports.dropins [part ...]

One problem of each kind; `deconvolution`, `fusion` and `spfluo` have more. All on one thread but deconwolf, which is not run
(its figures are on record, of two threads), and ours beside it. What was before is given what is best for it by the truth,
its number of iterations or its lambda; fastmpr chooses lam by itself. Where a package or its data are missing, so are its
rows. The table goes to ``benchmarks/results/dropins.md``.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fastmpr.metrics import psnr

from ..suite.common import seconds, timed
from . import deconvolution, fusion, spfluo
from .peers import limit_threads

TABLE = Path(__file__).parents[1] / "results" / "dropins.md"
NOISE = 0.03


class Done(NamedTuple):
    """How a caller does it, how well and how fast."""

    how: str
    quality: float
    seconds: str


class Row(NamedTuple):
    """One caller's task, before and now."""

    task: str
    before: Done
    now: Done


def with_deconwolf() -> Iterator[Row]:
    """Yield its record on one stack."""
    for photons in deconvolution.DECONWOLF:
        found = deconvolution.against_deconwolf(photons)
        iterations, took = found.remark.split(", ")
        task = f"one image of 64 x 192 x 192, {photons} photons"
        before = Done(f"deconwolf, {iterations} (recorded)", found.theirs, took.removesuffix(" s"))
        yield Row(task, before, Done("`fastmpr.deconvolve`", found.ours, f"{found.seconds:.1f}"))


def with_scikit_image() -> Iterator[Row]:
    """Yield what it makes of an image of a centriole."""
    problem = next(deconvolution.problems(["centriole"], [NOISE]))
    scores, times = deconvolution.compare(problem)
    task, size = f"one image of 64 x 64 x 64, noise {NOISE}", deconvolution.TIMED
    now = Done("`fastmpr.deconvolve`", scores.ours.whole, f"{times.ours:.1f}")
    yield Row(
        task, Done("scikit-image, `richardson_lucy`", scores.lucy.whole, f"{times.lucy:.1f} ({size} iterations)"), now
    )
    yield Row(task, Done("scikit-image, `unsupervised_wiener`", scores.wiener.whole, f"{times.wiener:.1f}"), now)


def with_spfluo() -> Iterator[Row]:
    """Yield its reconstruction from ten particles: its own, its own by us, and upgraded."""
    from fastmpr.compat.spfluo import patch, reconstruction_L2

    refinement = importlib.import_module("spfluo.refinement")
    data = spfluo.read(deconvolution.DATA / "centriole-translations")
    own = spfluo.spfluo_of(data)
    best = max(spfluo.LAMBDAS, key=lambda lam: psnr(own(lam), data.truth))
    angles = data.poses.rotation.as_euler("XZX", degrees=True)
    poses = np.hstack([angles, data.poses.translation]).astype(np.float32)
    given = (data.views, data.psf, poses, np.float32(best))

    def done(how: str, call: Callable) -> Done:
        x, _ = timed(call)  # compiles
        return Done(how, psnr(x, data.truth), f"{min(seconds(call) for _ in range(3)):.3f}")

    task = f"ten particles of {' x '.join(map(str, data.truth.shape))}"
    before = done("SPFluo, `reconstruction_L2`", lambda: own(best))
    yield Row(task, before, done("the same by `fastmpr.compat.spfluo`", lambda: reconstruction_L2(*given)))
    with patch(regularizer="hessian"):
        now = done('`patch(regularizer="hessian")`', lambda: refinement.reconstruction_L2(*given))
    yield Row(task, before, now)


def with_multiview_stitcher() -> Iterator[Row]:
    """Yield the fusion of a few views."""
    for particle, noise in itertools.product(("centriole", "nuclear_pore"), (NOISE, 0.1)):
        found = fusion.compare(fusion.problem(particle, noise))
        task = f"{fusion.VIEWS} views of 36 x 36 x 36, {particle.replace('_', ' ')}, noise {noise}"
        before = Done("multiview-stitcher, `multi_view_deconvolution`", found.theirs, f"{found.slow:.1f}")
        yield Row(task, before, Done("`fastmpr.reconstruct`", found.ours, f"{found.fast:.2f}"))


PARTS = {
    "deconwolf": with_deconwolf,  # first: on two threads
    "scikit-image": with_scikit_image,
    "spfluo": with_spfluo,
    "multiview-stitcher": with_multiview_stitcher,
}


def main() -> None:
    """Print the table line by line, and write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reports.dropins", description=__doc__.splitlines()[0])
    parser.add_argument("part", nargs="*", help=f"of {', '.join(PARTS)} (default: all)")
    wanted = parser.parse_args().part or list(PARTS)
    lines = ["| task | before | dB | s | now | dB | s |", "|---|---|---:|---:|---|---:|---:|"]
    print("\n".join(lines))
    for name in filter(wanted.__contains__, PARTS):
        if name != "deconwolf":
            limit_threads(1)
        try:
            for row in PARTS[name]():
                cells = [
                    row.task,
                    *(f"{done.how} | {done.quality:.2f} | {done.seconds}" for done in (row.before, row.now)),
                ]
                lines.append(f"| {' | '.join(cells)} |")
                print(lines[-1], flush=True)
        except (ImportError, FileNotFoundError) as missing:
            print(f"{name}: left out, {missing}")
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"\nwritten to {TABLE}")


if __name__ == "__main__":
    main()

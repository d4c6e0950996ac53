"""Tight boxes: what is gained where light beyond the images is taken for unseen, and how lit their faces are.

    python -m benchmarks.reports.boxes

Particles in boxes of 28^3, cut to smaller ones, behind compact PSFs: the mean of the faces over that of the view, as
`fastmpr` reads it off a few views, the PSNR with darkness beyond and with what nobody saw, and what it takes by default.
"""

from __future__ import annotations

import warnings

import numpy as np

import fastmpr
from fastmpr.metrics import psnr
from fastmpr.views.few import few_views
from fastmpr.views.leaving import faces_of

from .lam import PSFS, particle

SIDE, COUNT = 28, 14


def main() -> None:
    warnings.simplefilter("ignore", fastmpr.FastmprWarning)
    print(f"{'':42}{'lit':>6}{'dark':>8}{'unseen':>8}  taken")
    for name in ("centriole", "nuclear_pore"):
        truth = particle(name, SIDE)
        poses = fastmpr.Poses.random(COUNT, max_translation=2.0, rng=5)
        for kind in ("long", "round"):
            clean = fastmpr.simulate(truth, PSFS[kind], poses)
            for noise in (0.01, 0.03, 0.1, 0.3):
                random = np.random.default_rng(0).standard_normal(clean.shape, np.float32)
                views = clean + np.float32(noise * clean.max()) * random + np.float32(0.2)
                for box in (28, 24, 22, 20, 16):
                    inside = (slice((SIDE - box) // 2, (SIDE + box) // 2),) * 3
                    data = fastmpr.Dataset(views[(slice(None), *inside)], PSFS[kind], poses)
                    faces = [faces_of(view) for _, view in few_views(data, data.levelled().source)]
                    lit = sum(one.lit for one in faces) / sum(one.inside for one in faces)
                    both = [
                        psnr(fastmpr.reconstruct(data.replace(outside=beyond), check=False).x, truth[inside])
                        for beyond in ("dark", "unseen")
                    ]
                    label = f"{name}, {kind}, noise {noise}, box {box}"
                    print(
                        f"{label:42}{lit:6.3f}{both[0]:8.2f}{both[1]:8.2f}  {'unseen' if data.loses_light else 'dark'}"
                    )


if __name__ == "__main__":
    main()

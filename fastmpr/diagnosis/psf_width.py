"""How wide the PSF is, beside the given one: the width at which each half of the views predicts the other half best."""

from __future__ import annotations

import math
from dataclasses import replace

from scipy.optimize import minimize_scalar

from ..runtime.stopping import Stop
from ..views.dataset import Dataset
from .misfits import Trials
from .setup import Setup

WIDEST = 2.0  # times the given width; the narrowest is one over it
_VIEWS = 64  # of which each half makes a volume; with 16, the noise of a set decides
_STRENGTHS = tuple(
    10 ** (k / 8 - 3) for k in range(25)
)  # with fewer, the width makes up for a strength that is missing
_STEP = 0.01  # relative, to which the width is found


def psf_scale_of(data: Dataset, workers: int | None, stop: Stop) -> float:
    """Return the factor by which to widen the PSFs, and so their voxels, so that they fit the views best.

    What tells the width is how images from different directions differ, so a PSF that is as wide along all axes cannot be
    told from a blurred particle.

    Parameters
    ----------
    data : Dataset
        With a PSF, and poses within a few degrees of the right ones. At most 64 of its views are read.
    workers, stop
        As the public functions have them.
    """
    trials, given = Trials(data, workers, None, stop, _VIEWS, _STRENGTHS), Setup.of(data)
    trials.make_room([replace(given, psf_scale=WIDEST)])

    def left(logarithm: float) -> float:
        return float(trials(replace(given, psf_scale=math.exp(logarithm))).left.sum())

    span = math.log(WIDEST)
    return math.exp(minimize_scalar(left, bounds=(-span, span), method="bounded", options={"xatol": _STEP}).x)

"""What the public functions return."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..geometry.poses import Poses
from ..solver.result import Result
from .symmetry import FoundSymmetry


@dataclass(frozen=True, eq=False)
class Alignment:
    """Poses that `align` found.

    Attributes
    ----------
    poses : Poses
        Of all views, in the unit of the data set.
    scores : (N,) ndarray
        The correlation of each view with its prediction from the volume, at the frequencies that the PSF passes, as it
        would be without the view's noise: 1 if the volume explains all but noise, 0 if it explains no more of the view than
        of noise alone. NaN for views with weight 0, particles that cannot be read or show nothing, and views that the
        particle leaves.
    """

    poses: Poses
    scores: NDArray[np.float64]


@dataclass(kw_only=True, repr=False)
class PoseResult(Result):
    """What `refine` and `ab_initio` return: a `Result`, with the poses from which it was reconstructed.

    Attributes
    ----------
    poses : Poses
        Of all views.
    scores : (N,) ndarray
        As in `Alignment`.
    weights, gains : (N,) ndarray
        Of the views in the volume, as `Dataset` takes them: more weight for clear views, 0 for those that do not fit.
        ``reconstruct(data.replace(poses=found.poses, weights=found.weights, gain=found.gains))`` makes the volume again,
        with the symmetry that was given or found.
    confidence : float
        The correlation of the volume of the best start of `ab_initio` with that of another start, after aligning one with
        the other; NaN from `refine`. Below 0.9, four starts ended at different volumes, and each may be wrong.
    symmetry : FoundSymmetry or None
        What ``symmetry="auto"`` found; None if that was not asked for, or if the call ended before the volume had it.
    psf_scale : float
        How many times as wide as given the PSF is of which the volume is made: 1 unless ``fit_psf`` found another width. To
        use it again: ``data.replace(voxel_size=data.voxel_size, psf_voxel_size=[psf_scale * side for side in
        data.psf_voxel_size])``.
    rounds : list of dict
        One entry for each round of reconstruction and alignment: ``start`` (1 for the first start of `ab_initio`; 0 at full
        size), ``voxel_size`` of its volume, and ``score``, the median of the scores. Scores at one voxel size can be
        compared.
    """

    poses: Poses
    scores: NDArray[np.float64]
    weights: NDArray[np.float64]
    gains: NDArray[np.float64]
    confidence: float
    symmetry: FoundSymmetry | None
    psf_scale: float
    rounds: list[dict[str, float]]

"""From poses to better ones and the last volume; on the way, what the views tell of the PSF's width and the symmetry."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import NamedTuple

import numpy as np

from .._messages import log, warn
from .._validation import Vector, times
from ..diagnosis.glance import LEAST_VIEWS
from ..diagnosis.psf_width import WIDEST, psf_scale_of
from ..diagnosis.setup import Setup
from ..geometry.poses import Poses
from ..reconstruction.main import reconstruct
from ..runtime.stopping import Cancelled, Stop
from ..solver.result import Result
from ..views.dataset import Dataset
from .cycle import Cycle
from .results import PoseResult
from .symmetry import found_symmetry
from .turns import RECONSTRUCTING, Turns, last_work, settling_work

_NAMED = 5  # views that a warning names
_NARROW = 0.87  # mean squared cosine of directions that fill a cone of 30 degrees
_PSF_TRIES, _SAME_WIDTH = 3, 0.02  # of the PSF's width; the relative change below which it is found
_AT_END = 0.95  # of the widest that is tried
_WHOLE = 0.95  # of an image: what fills the rest would say how wide the PSF is


class Sought(NamedTuple):
    """What to find beside better poses: poses ``far`` from those that are known, the symmetry, the width of the PSF."""

    far: bool
    symmetry: bool
    psf: bool


def refined(data: Dataset, poses: Poses, sought: Sought, workers: int | None, turns: Turns, stop: Stop) -> PoseResult:
    """Return the volume of the poses that are found from others, and all that is found with them."""
    cycle, own = Cycle(data.replace(poses=poses), workers, stop), data
    turns.settle(cycle, sought.far)
    if sought.psf:
        own = _with_fitted_psf(own, cycle, workers, turns, stop)
    if sought.symmetry:
        own = _with_found_symmetry(own, cycle, sought.far, workers, turns, stop)
    _tell_misfits(data, cycle)
    _tell_directions(cycle.data)
    own = own.replace(poses=poses_of(own, cycle.data.placed), weights=cycle.weights)
    if not own.fits_gain:
        own = own.replace(gain=cycle.gains)
    tell = turns.count.step(last_work(data), RECONSTRUCTING)
    result = reconstruct(own, workers=workers, progress=tell, cancel=stop)
    turns.count.end(last_work(data))
    return _with_poses(result, data, cycle, turns)


def _with_fitted_psf(data: Dataset, cycle: Cycle, workers: int | None, turns: Turns, stop: Stop) -> Dataset:
    """Find how wide the PSF is, and the poses with it, in turn; return the data with the PSF as wide."""
    if (share := _seen_share(cycle.data)) < _WHOLE:
        need = "need whole images to tell how wide the PSF is; it stays as given"
        warn(f"fit_psf: found that {100 * share:.0f} % of an image was seen (median over the particles), {need}")
        return data
    given, scale = data.psf_voxel_size, 1.0
    for _ in range(_PSF_TRIES):
        fitting = np.intersect1d(np.flatnonzero(cycle.fitting), cycle.data.used)
        if len(fitting) < LEAST_VIEWS:
            need = f"need {LEAST_VIEWS} or more to tell how wide the PSF is"
            warn(
                f"fit_psf: found {len(fitting)} views that fit, {need}; it is taken as {scale:.3g} times as wide as given"
            )
            break
        before, scale = scale, psf_scale_of(_widened(cycle.data, given, 1.0)[fitting], workers, stop)
        log.info("psf: found that it fits best if it is %.3f times as wide as given", scale)
        if abs(math.log(scale / before)) < _SAME_WIDTH:
            break
        cycle.go_on(_widened(cycle.data, given, scale))
        turns.count.expect(settling_work(data, far=False))
        turns.settle(cycle, far=False)
    _tell_width(cycle.data, scale)
    return _widened(data, cycle.data.psf_voxel_size, 1.0)


def _seen_share(data: Dataset) -> float:
    """Return the share of an image that was seen, in the median over the views."""
    whole = math.prod(data.particle_shape)
    seen = [data.source.seen(int(i)) for i in data.used]
    return float(np.median([1.0 if one is None else one.voxels / whole for one in seen]))


def _widened(data: Dataset, psf_voxel_size: Vector, scale: float) -> Dataset:
    """Return data with the voxels of the PSFs, and so the PSFs, larger by a factor."""
    z, y, x = (scale * side for side in psf_voxel_size)
    return data.replace(voxel_size=data.voxel_size, psf_voxel_size=(z, y, x))


def _with_found_symmetry(
    data: Dataset, cycle: Cycle, far: bool, workers: int | None, turns: Turns, stop: Stop
) -> Dataset:
    """Find the symmetry, and the poses with it; return the data with the symmetry."""
    turns.symmetry, framed = found_symmetry(cycle, workers, stop)
    log.info("symmetry: found %s", turns.symmetry)
    if turns.symmetry.name == "C1":
        return data
    data = data.replace(symmetry=turns.symmetry.name)
    cycle.go_on(cycle.data.replace(symmetry=turns.symmetry.name, poses=poses_of(cycle.data, framed)))
    turns.count.expect(settling_work(data, far))
    turns.settle(cycle, far)
    return data


def best_so_far(data: Dataset, turns: Turns, cut: Cancelled) -> PoseResult:
    """Return the best volume so far of a call that was cut short; raise ``cut`` if there is none."""
    if turns.best is None:
        raise cut
    best = turns.best.result(cut.status)
    if best.voxel_size[0] > data.model_voxel[0]:
        best.message += f", at coarse voxels of {times(best.voxel_size)} {data.unit}"
    return _with_poses(best, data, turns.best, turns)


def _with_poses(result: Result, data: Dataset, cycle: Cycle, turns: Turns) -> PoseResult:
    own = {one.name: getattr(result, one.name) for one in fields(result) if one.name != "weights"}
    shows = cycle.aligned.symmetry == cycle.data.symmetry  # not if the call ended right after the symmetry was found
    return PoseResult(
        **own,
        poses=poses_of(data, cycle.aligned.placed),
        scores=cycle.scores,
        weights=cycle.weights,
        gains=cycle.gains,
        confidence=turns.confidence,
        symmetry=turns.symmetry if shows else None,
        psf_scale=cycle.aligned.psf_voxel_size[0] / data.psf_voxel_size[0],
        rounds=turns.history,
    )


def poses_of(data: Dataset, placed: Poses) -> Poses:
    """Return poses about the middle of the particles as those of a data set."""
    two_fold = "y" if data.poses is None else data.poses.two_fold
    return Poses(placed.rotation, placed.translation, names=data.names, unit=data.unit, two_fold=two_fold)


def _tell_misfits(data: Dataset, cycle: Cycle) -> None:
    """Warn of the views that fit far worse than most, or are far brighter."""
    odd = [int(i) for i in data.used if np.isfinite(cycle.scores[i]) and not cycle.fitting[i]]
    if not odd:
        return
    named = ", ".join(data.source.name(i) for i in odd[:_NAMED])
    more = f" and {len(odd) - _NAMED} more" if len(odd) > _NAMED else ""
    warn(
        f"particles: found {len(odd)} of {len(data.used)} that fit far worse than most, or are far brighter, {named}{more}: "
        "they get weight 0 in the volume; see scores"
    )


def _tell_directions(data: Dataset) -> None:
    """Warn if all views look at the particle from about one direction."""
    along = np.einsum("nj,gji->ngi", data.placed.matrix[data.used][:, 0], data.group).reshape(-1, 3)  # optical axes
    if np.linalg.eigvalsh(along.T @ along / len(along))[-1] > _NARROW:
        warn(
            "poses: found all views within about 30 degrees of one direction, so the volume is blurred along it, and poses "
            "are uncertain: need views from other sides"
        )


def _tell_width(data: Dataset, scale: float) -> None:
    """Warn if the PSF would fit better still with a width that is not tried, or if its light leaves the images."""
    if not 1 / (_AT_END * WIDEST) < scale < _AT_END * WIDEST:
        found = f"{scale:.2f} times as wide as given, near the end of what is tried"
        warn(f"fit_psf: found that the PSF fits best {found}: need the PSF of these particles; check its voxel size")
    elif Setup.of(data).cuts_psf:
        found = f"a PSF {scale:.2f} times as wide as given, but it carries light out of the images"
        warn(f"fit_psf: found {found}, so this may be too narrow by up to a fifth: need larger images to be sure")

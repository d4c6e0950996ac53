"""The pose of every view against one volume: searched everywhere, or near a pose that is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from .._messages import Progress
from ..geometry.poses import Poses
from ..runtime.stopping import Stop
from ..runtime.threads import Team, as_workers
from ..sums.resampling import middle
from ..sums.transfer import transfer_functions
from ..sums.workspace import progress_counter
from ..views.dataset import Dataset
from ..views.seen import NothingSeenError
from .coarse import Coarse
from .local import Found, improved
from .reference import Reference
from .relatives import relatives
from .scores import Score, score_of
from .spectra import Band, band_of

_REACH = 0.25  # of the box, along each axis: how far a translation may go
_FILLS = 2  # times that what a view did not see is predicted, and its pose improved
_POLISHED = 2  # relatives of a pose, that are followed


@dataclass(frozen=True)
class Plan:
    """How thoroughly to search.

    Attributes
    ----------
    cycles : tuple of float
        Of a wave across the particle's box: the bands that a search goes through, up to ``highest``.
    candidates : tuple of int
        That are followed in each band, the last included.
    everywhere : bool
        Whether to search all poses; otherwise only near those that are known.
    relatives : bool
        Whether to try poses that look like those that are known at a low band.
    highest : float
        Of the frequencies that the voxels of the model hold.
    """

    cycles: tuple[float, ...] = (4.0, 6.0, 10.0)
    candidates: tuple[int, ...] = (8, 4, 2, 1)
    everywhere: bool = True
    relatives: bool = False
    highest: float = 0.98


LOCAL = Plan(cycles=(6.0, 10.0, 16.0), candidates=(1, 1, 1, 1), everywhere=False)

Pose = tuple[NDArray, NDArray]  # rotation and translation


class Aligned(NamedTuple):
    """What an alignment found of all views; NaN in the scores of views that were not aligned.

    ``clearness`` is that of `Score`.
    """

    rotations: NDArray[np.float64]
    translations: NDArray[np.float64]
    scores: NDArray[np.float64]
    gains: NDArray[np.float64]
    clearness: NDArray[np.float64]


class Search:
    """Aligns views with a volume.

    Parameters
    ----------
    data : Dataset
        With PSFs; with poses where these are to be improved. Less its backgrounds.
    x : (nz, ny, nx) ndarray
        The volume, its voxels those of the model.
    plan : Plan
    workers, tell, stop
        As the public functions have them.
    """

    def __init__(self, data: Dataset, x: NDArray, plan: Plan, workers: int | None, tell: Progress | None, stop: Stop):
        self.data, self.plan, self.tell = data, plan, tell
        self.team = Team(min(as_workers(workers, x.size * len(data.used)), len(data.used)), stop.check)
        shape, voxel = data.particle_shape, data.model_voxel[0]
        highest = 0.5 * plan.highest / voxel
        transfers = transfer_functions(data, self.team.size)
        self.bands = [band_of(one, shape, data.voxel_size, highest) for one in transfers]
        self.reference = Reference(x, voxel, highest, self.team.size)
        box = np.multiply(shape, data.voxel_size)
        self.half = box / 2
        side = float(np.cbrt(box.prod()))  # of a cube as large: a flat box has no more translations to try
        self.radii = [*(min(cycles / side, highest) for cycles in plan.cycles), highest]
        reach = _REACH * box
        self.coarse = [
            Coarse(self.reference, band, self.radii[0], reach, data.group) for band in self.bands if plan.everywhere
        ]
        turns, centre = relatives(x) if plan.relatives else (np.empty((0, 3, 3)), np.zeros(3))
        self.turns, self.centre = others(turns, data.group), centre * voxel

    def run(self) -> Aligned:
        """Align all views that weigh something."""
        count, used = len(self.data), self.data.used
        known = self.data.placed if self.data.poses is not None else Poses(Rotation.identity(count))
        found = Aligned(known.matrix.copy(), known.translation.copy(), *np.full((3, count), np.nan))
        tick = progress_counter(self.tell, "views", len(used))

        def work(member: int) -> None:
            for i in used[member :: self.team.size]:
                self.team.check()
                if (aligned := self._align(int(i))) is not None:
                    best, score = aligned
                    found.rotations[i], found.translations[i] = best.rotation, best.translation
                    found.scores[i], found.clearness[i], found.gains[i] = *score, best.gain
                tick()

        self.team.run(work)
        return found

    def _align(self, i: int) -> tuple[Found, Score] | None:
        """Return the best pose of a view and its score, None if nothing of it was seen, or the particle leaves it."""
        band = self.bands[self.data.psf_of[i]]
        try:
            part, seen = self.data.source.view(i)
        except NothingSeenError:
            return None
        near = np.zeros(3) if self.plan.everywhere or self.data.poses is None else self.data.placed.translation[i]
        image = part if seen is None else seen.whole(part, self.data.particle_shape)
        unseen = unseen_of(self.data, image, near)
        view, noise = band.spectrum(filled(image, unseen), self.data.voxel_size)
        best = self._followed(band, view, self._candidates(i, band, view))
        for _ in range(_FILLS if unseen.any() else 0):
            unseen = unseen_of(self.data, image, best.translation)
            shown = self._predicted(band, best)
            level = np.mean((image - shown)[~unseen]) if not unseen.all() else 0.0  # what is predicted has no mean
            view, noise = band.spectrum(np.where(unseen, shown + level, image), self.data.voxel_size)
            best = improved(self.reference, band, view, best.rotation, best.translation, self.radii[-1])
        return None if self._leaves(best) else (best, score_of(best.score, view, noise))

    def _candidates(self, i: int, band: Band, view: NDArray) -> list[Pose]:
        """Return the poses of a view to begin from."""
        poses: list[Pose] = []
        if self.plan.everywhere:
            poses += self.coarse[self.data.psf_of[i]].best(view, self.plan.candidates[0])
        if self.data.poses is not None:
            poses.append((self.data.placed.matrix[i], self.data.placed.translation[i]))
            poses += self._relatives(band, view, *poses[-1])
        return poses

    def _relatives(self, band: Band, view: NDArray, rotation: NDArray, translation: NDArray) -> list[Pose]:
        """Return the relatives of a pose that fit a view best."""
        if not len(self.turns):
            return []
        last = band.upto(self.radii[-2])
        rotations = rotation @ self.turns
        translations = translation + (rotation - rotations) @ self.centre
        shown = self.reference.sample(band, last, rotations)
        shown *= np.exp(-2j * np.pi * (translations @ band.frequencies[:last].T))
        power = np.square(np.abs(shown)).sum(axis=1)
        scores = (shown.conj() @ view[:last]).real / np.sqrt(np.maximum(power, 1e-12 * power.max() or 1.0))
        return [(rotations[k], translations[k]) for k in scores.argsort()[::-1][:_POLISHED]]

    def _followed(self, band: Band, view: NDArray, poses: list[Pose]) -> Found:
        """Return the best pose that some lead to, while the band widens and the worse ones are left behind."""
        found: list[Found] = []
        for radius, count in zip(self.radii, self.plan.candidates, strict=True):
            found = [improved(self.reference, band, view, *pose, radius) for pose in poses]
            found.sort(key=lambda one: (self._leaves(one), -one.score))
            poses = [(one.rotation, one.translation) for one in found[:count]]
        return found[0]

    def _leaves(self, pose: Found) -> bool:
        """Return whether the middle of the particle lies outside of the view."""
        return bool((np.abs(pose.translation) > self.half).any())

    def _predicted(self, band: Band, pose: Found) -> NDArray:
        """Return what a view shows of the volume in a pose."""
        shown = self.reference.sample(band, len(band.radii), pose.rotation[np.newaxis])[0]
        shift = np.exp(-2j * np.pi * (band.frequencies @ pose.translation))
        return band.image(pose.gain * shown * shift, self.data.voxel_size)


def unseen_of(data: Dataset, image: NDArray, near: NDArray) -> NDArray[np.bool_]:
    """Return which voxels of a view do not count: those that are NaN, and those beyond the radius of the particle.

    The particle is ``near`` the middle, in the unit of the voxel size.
    """
    unseen = np.isnan(image)
    if data.radius is not None:
        sides = zip(image.shape, middle(image.shape), data.voxel_size, near, strict=True)
        z, y, x = np.ix_(*((np.arange(n) - at) * length - t for n, at, length, t in sides))
        unseen |= z * z + y * y + x * x > data.radius**2
    return unseen


def filled(image: NDArray, unseen: NDArray) -> NDArray:
    """Return a view with the median of what counts in place of what does not."""
    if not unseen.any() or unseen.all():
        return np.nan_to_num(image)
    return np.where(unseen, np.median(image[~unseen]), image)


def others(turns: NDArray, group: NDArray) -> NDArray[np.float64]:
    """Return the rotations that are in no group."""
    traces = np.einsum("nij,gij->ng", turns, group)
    return turns[(traces < 3 - 1e-3).all(axis=1)]

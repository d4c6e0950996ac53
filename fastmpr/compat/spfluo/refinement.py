"""SPFluo's refinement of poses, with its signature, by fastmpr's search."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..._messages import log
from ..._validation import LONGEST, as_choice, as_count, as_number, as_reals
from ...alignment.coarse import spread_rotations
from ...alignment.main import align
from ...geometry.poses import Poses
from ...lam.selection import START, guess_lam
from ...regularizers import as_regularizer
from ...solver.admm import solve
from ...sums.accumulate import accumulate
from ...views.dataset import Dataset
from .arrays import as_numpy, check_device, like
from .closed_form import closed_form, on_voxel, resized
from .matching import bands_of
from .poses import matched, tell_unused
from .problem import Problem, as_problem, as_reference
from .upgrade import upgraded

_ITERATIONS = 25  # of a solve between two searches
_LOCAL = 20.0  # degrees: within half of it, a search from the pose alone finds the best one
_ROTATIONS = 4608  # over all of them: some 12 degrees apart
_WHOLE = "whole"  # a pass over all rotations; others have the half of their range, in degrees


def refine(
    patches: Any,
    psf: Any,
    guessed_poses: Any,
    steps: Sequence[tuple[int, int] | int],
    ranges: Sequence[float],
    initial_volume: Any = None,
    lambda_: float = 100.0,
    symmetry: int = 1,
    convention: str = "XZX",
    device: Any = None,
    batch_size: int | None = None,
) -> tuple[Any, Any]:
    """Improve poses and reconstruct, with the arguments and results of SPFluo 0.1.0, by `fastmpr.align`.

    SPFluo compares a number of candidates with the current volume in each step. Here each step is a search that ends between
    candidates: `fastmpr.align` against a volume that `fastmpr.solve` makes of the poses so far, with the Hessian. The volume
    returned is that of `reconstruction_L2`.

    Parameters
    ----------
    patches : (N, C, D, D, D) array
        The views, of C channels. Arrays may be of other libraries, as in `reconstruction_L2`. Each channel is aligned for
        itself, and each view takes the poses of the channel whose poses fit all channels best.
    psf : (C, d, h, w) array
        As in `reconstruction_L2`.
    guessed_poses : (N, 6) array
        As the poses of `reconstruction_L2`. Translations are searched in the whole box, as in SPFluo.
    steps, ranges : sequences of the same length
        Where the range is 0 and the step a pair, all rotations are searched. Where the range is r > 0 and the step an int,
        rotations are searched within about r / 2 degrees of the pose; at least within 10. Where the range is 0 and the step
        an int, only the translations change. The numbers of candidates are not used, which is logged.
    initial_volume : (C, d, h, w) array, optional
        What the first step compares the views with; by default, the volume of the guessed poses.
    lambda_ : float
        Weight of the prior of `reconstruction_L2`, in the volume returned.
    symmetry : int
        Fold of the symmetry about the first axis.
    convention : "XZX"
        Of the angles. SPFluo too takes no other.
    device : optional
        As in `reconstruction_L2`.
    batch_size : int, optional
        Not used, which is logged.

    Returns
    -------
    volume : (C, D, D, D) array
    poses : (N, 6) array
        Both in the precision and of the kind of ``patches``. Of poses that the symmetry makes equal, one is returned.

    Raises
    ------
    ValueError, TypeError
        As `reconstruction_L2` and `fastmpr.align` do, and if steps and ranges do not fit together.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmpr
    >>> from fastmpr.compat.spfluo import refine
    >>> truth = fastmpr.phantom.centriole((24, 24, 24))
    >>> psf = fastmpr.psf.gaussian((15, 9, 9), sigma=(3, 1, 1))
    >>> poses = fastmpr.Poses.random(6, max_translation=1, rng=0)
    >>> views = fastmpr.simulate(truth, psf, poses, noise_sigma=0.02, rng=0)
    >>> given = np.hstack([poses.rotation.as_euler("XZX", degrees=True), poses.translation])
    >>> volume, found = refine(views[:, None], psf[None], given + 3, steps=[5], ranges=[10], lambda_=1e-3, symmetry=9)
    >>> volume.shape, found.shape
    ((1, 24, 24, 24), (6, 6))
    """
    return refined(
        patches, psf, guessed_poses, steps, ranges, initial_volume, lambda_, symmetry, convention, device, batch_size
    )


def refined(
    patches: Any,
    psf: Any,
    guessed_poses: Any,
    steps: Any,
    ranges: Any,
    initial_volume: Any,
    lambda_: Any,
    symmetry: Any,
    convention: Any,
    device: Any,
    batch_size: Any,
    regularizer: str | None = None,
) -> tuple[Any, Any]:
    """Return what `refine` does; with a regulariser, the volume of `upgraded`."""
    check_device(device)
    tell_unused("batch_size", batch_size, None)
    as_choice(convention, "convention", ("XZX",))
    fold, passes = as_count(symmetry, "symmetry"), as_passes(steps, ranges)
    problem = as_problem(patches, psf, guessed_poses, lambda_, False, False, True, ("patches", "guessed_poses"))
    if (furthest := np.abs(problem.poses[..., 3:]).max()) > LONGEST:
        raise ValueError(f"guessed_poses: found a translation of {furthest:g}, need at most {LONGEST:g}")
    state = _Refinement(problem, fold)
    volume = None if initial_volume is None else _as_initial(initial_volume, problem.views)
    for reach in passes:
        state.turn(reach, state.volume() if volume is None else volume)
        volume = None
    turned = problem._replace(poses=copies(state.poses, fold)[np.newaxis])
    x = closed_form(turned, False) if regularizer is None else upgraded(turned, regularizer)
    precision = problem.views.dtype
    return like(np.ascontiguousarray(x[0]), patches), like(state.poses.astype(precision), patches)


class _Refinement:
    """Poses (N, 6) that become better from pass to pass."""

    def __init__(self, problem: Problem, fold: int):
        self.problem, self.poses = problem, problem.poses[0, 0]
        self.channels = [  # without their backgrounds, which would be reconstructed too
            Dataset(problem.views[:, c], on_voxel(psf), symmetry=f"C{fold}", symmetry_axis=(1, 0, 0)).levelled()
            for c, psf in enumerate(problem.psf)
        ]
        self._bands = bands_of(problem.views, problem.psf, "patches")
        self._lams: dict[int, float] = {}

    def turn(self, reach: float | str, reference: NDArray) -> None:
        """Search the poses against a volume (C, D, D, D)."""
        if reach != _WHOLE:
            self.poses = self._matched(reference, _around(self.poses, float(reach)))
        if reach == 0:
            return
        search = "global" if reach == _WHOLE else "local"
        found = [
            align(data.replace(poses=as_poses(self.poses)), volume, search=search).poses
            for data, volume in zip(self.channels, reference, strict=True)
        ]
        candidates = np.stack([as_spfluo(one) for one in found], axis=1)
        if len(found) == 1:
            self.poses = candidates[:, 0]
        else:
            self.poses = self._matched(reference, candidates)

    def volume(self) -> NDArray:
        """Return a rough volume of the poses so far, (C, D, D, D)."""
        return np.stack(
            [self._rough(c, data.replace(poses=as_poses(self.poses))) for c, data in enumerate(self.channels)]
        )

    def _rough(self, c: int, data: Dataset) -> NDArray:
        sums = accumulate(data)
        if c not in self._lams:
            self._lams[c] = START * guess_lam(sums, as_regularizer("hessian"))
        x = sums.crop(solve(sums, self._lams[c], max_iter=_ITERATIONS, tol=0).x)
        if not x.any():
            raise ValueError("patches: found no signal above the background, need views that show something")
        return x

    def _matched(self, reference: NDArray, candidates: NDArray) -> NDArray:
        return matched(reference, self.problem.views, self.problem.psf, self._bands, candidates)[0]


def as_passes(steps: Any, ranges: Any) -> list[float | str]:
    """Return what each pass searches: `_WHOLE`, or within how many degrees of the poses."""
    steps = list(steps) if isinstance(steps, Sequence) else [steps]
    lengths = np.atleast_1d(as_reals(ranges, "ranges", "one number for each of steps"))
    if not steps or lengths.shape != (len(steps),):
        raise ValueError(f"ranges: found {lengths.size} for {len(steps)} steps, need one for each of at least one step")
    passes = [_as_pass(step, length) for step, length in zip(steps, lengths.tolist(), strict=True)]
    log.info("steps: found %s; the numbers of candidates are not used: each step ends between candidates", steps)
    return passes


def _as_pass(step: Any, length: float) -> float | str:
    """Return what one pass searches."""
    length = as_number(length, "ranges", 0, 360, "numbers of degrees from 0 to 360")
    if isinstance(step, int | np.integer) and step >= 1:
        return length / 2
    if isinstance(step, tuple | list) and length == 0 and len(step) == 2:
        for count in step:
            as_count(count, "steps")
        return _WHOLE
    raise ValueError(f"steps: found {step!r} with the range {length:g}, need a pair with range 0, or a count from 1 on")


def _as_initial(volume: Any, views: NDArray) -> NDArray:
    """Return an initial volume on the grid of the views."""
    array = np.asarray(as_numpy(volume, "initial_volume"))
    if array.ndim != 4 or len(array) != views.shape[1]:
        raise ValueError(f"initial_volume: found an array of shape {array.shape}, need ({views.shape[1]}, d, h, w)")
    on_grid = np.stack([resized(one, views.shape[-1]) for one in array.astype(views.dtype)])
    return as_reference(on_grid, views, "initial_volume")


def _around(poses: NDArray, reach: float) -> NDArray:
    """Return the candidates (N, M, 6) of a pass: the poses, and with a long reach rotations around them."""
    if reach <= _LOCAL / 2:
        return poses[:, np.newaxis]
    turns = Rotation.from_matrix(spread_rotations(_ROTATIONS))
    turns = Rotation.concatenate([Rotation.identity(), turns[turns.magnitude() <= math.radians(reach)]])
    own = Rotation.from_euler("XZX", poses[:, :3], degrees=True)
    candidates = np.zeros((len(poses), len(turns), 6))
    for i in range(len(poses)):
        candidates[i, :, :3] = (own[i] * turns).as_euler("XZX", degrees=True)
    return candidates


def as_poses(given: NDArray) -> Poses:
    """Return SPFluo's poses (N, 6) as `fastmpr.Poses`."""
    return Poses(Rotation.from_euler("XZX", given[:, :3], degrees=True), given[:, 3:])


def as_spfluo(poses: Poses) -> NDArray:
    """Return `fastmpr.Poses` as SPFluo's (N, 6)."""
    return np.hstack([poses.rotation.as_euler("XZX", degrees=True), poses.translation])


def copies(poses: NDArray, fold: int) -> NDArray:
    """Return the copies (k, N, 6) of poses by a symmetry about the first axis, of which the third angle tells."""
    turns = np.zeros((fold, 1, 6))
    turns[:, 0, 2] = np.arange(fold) * 360 / fold
    return poses + turns

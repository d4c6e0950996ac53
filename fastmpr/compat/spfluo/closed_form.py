"""SPFluo's closed form, on its grid: views and PSFs rotated by linear interpolation, an FFT per pair, a quotient.

With h_i and y_i, the PSF and the view of pose i in the frame of the model, the result is

    x = max(0, F^-1 { mean conj(h_i^) y_i^ / (mean |h_i^|^2 + lambda |D^|^2) })

where |D^|^2 is that of forward differences. Since h and y are real, one complex FFT of h + i y gives both spectra.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ...kernels.closed_form import add_pair, turn
from ...runtime.fft import complex_dtype
from ...runtime.threads import Crew, Team, as_workers
from .problem import Problem


def closed_form(problem: Problem, exact: bool) -> NDArray:
    """Return the reconstructions (M, C, D, D, D).

    Cubes of an even size keep their grid and are rotated about its middle. With ``exact``, as in SPFluo, they get one more
    plane on each axis, and their result is the mean of neighbours.
    """
    form = _ClosedForm(problem, exact)
    jobs = list(itertools.product(range(len(problem.lambdas)), range(len(problem.psf))))
    team = Team(as_workers(None, len(jobs) * form.poses * form.grid**3))
    crews = team.crews(min(team.size, len(jobs)))
    sums = [form.new_sums(crew.size) for crew in crews]
    places = [(k, place) for k, crew in enumerate(crews) for place in range(crew.size)]
    out = np.empty((len(problem.lambdas), *problem.views.shape[1:]), problem.views.dtype)

    def work(member: int) -> None:
        k, place = places[member]
        adder = _Adder(form)
        for m, c in jobs[k :: len(crews)]:
            adder.add(sums[k], m, c, crews[k], place)
            crews[k].barrier(place)
            if place == 0:
                out[m, c] = form.solved(sums[k], m, c)
            crews[k].barrier(place)

    team.run(work)
    if not np.isfinite(out).all():
        need = "need a sum above 0 on the grid of the volumes, and values and lambda_ of moderate size"
        raise ValueError(f"psf: found a quotient that is not finite in {out.dtype}, {need}")
    return out


class _Sums:
    """The sums over poses of |h|^2 and conj(h) y on half the spectrum, separate for each member of a crew."""

    def __init__(self, members: int, grid: int, dtype: Any):
        shape = (members, grid, grid, grid // 2 + 1)
        self.gram, self.rhs = np.zeros(shape, dtype), np.zeros(shape, complex_dtype(dtype))

    def total(self) -> tuple[NDArray, NDArray]:
        """Return the sums over all members, in the first member's memory."""
        for parts in (self.gram, self.rhs):
            for part in parts[1:]:
                parts[0] += part
        return self.gram[0], self.rhs[0]

    def clear(self) -> None:
        """Set the sums to zero."""
        self.gram[:], self.rhs[:] = 0, 0


class _ClosedForm:
    """The parts of a call that all its reconstructions share."""

    def __init__(self, problem: Problem, exact: bool):
        size = problem.views.shape[-1]
        self.problem, self.exact, self.size = problem, exact, size
        odd = size + 1 - size % 2  # SPFluo's grid, with the PSF in its middle
        self.grid = odd if exact else size
        self.poses = problem.poses[0, ..., 0].size
        self.psf = [with_margin(resized(psf, odd)) for psf in problem.psf]
        self.scales = [_power(problem.views[:, c], psf) for c, psf in enumerate(problem.psf)]
        rotations = Rotation.from_euler("XZX", problem.poses[..., :3].reshape(-1, 3), degrees=True).as_matrix()
        rotations = rotations.reshape(*problem.poses.shape[:-1], 3, 3)
        shifts = problem.poses[..., 3:] + (size - self.grid) / 2
        dtype = problem.views.dtype
        self.psf_places = _about((odd - 1) / 2, rotations, np.zeros(3), dtype)
        self.view_places = _about((self.grid - 1) / 2, rotations, shifts, dtype)
        differences = 2 - 2 * np.cos(2 * np.pi * np.arange(self.grid) / self.grid)
        z, y, x = np.ix_(differences, differences, differences[: self.grid // 2 + 1])
        self.penalty = (z + y + x).astype(dtype)

    def new_sums(self, members: int) -> _Sums:
        """Return empty sums."""
        return _Sums(members, self.grid, self.problem.views.dtype)

    def solved(self, sums: _Sums, m: int, c: int) -> NDArray:
        """Return the volume for the sums over all poses, and clear the sums."""
        gram, rhs = sums.total()
        with np.errstate(all="ignore"):  # a result that is not finite is refused at the end
            penalty = gram.dtype.type(self.problem.lambdas[m]) * self.penalty
            gram += self.poses * (penalty.astype(np.float32) if self.exact else penalty)
            rhs /= gram
        x = scipy.fft.irfftn(rhs, (self.grid,) * 3, workers=1)
        sums.clear()
        np.maximum(x, 0, out=x)
        x *= 1 / self.scales[c]
        # the shift brings the origin to the middle, as in the PSF
        return resized(np.roll(x, (self.grid // 2,) * 3, axis=(0, 1, 2)), self.size)


class _Adder:
    """The buffers of one thread."""

    def __init__(self, form: _ClosedForm):
        self.form = form
        dtype = form.problem.views.dtype
        self.view = np.zeros((form.grid + 1,) * 3, dtype)
        self.inside = self.view[: form.size, : form.size, : form.size]
        self.pair = np.zeros((form.grid,) * 3, complex_dtype(dtype))

    def add(self, sums: _Sums, m: int, c: int, crew: Crew, place: int) -> None:
        """Add a member's share of the poses of one reconstruction; poses of the same view are successive."""
        form, parts = self.form, self.pair.view(self.view.dtype).reshape(*self.pair.shape, 2)
        copies, loaded = form.problem.poses.shape[1], -1
        for item in range(*crew.share(form.poses, place)):
            n, k = divmod(item, copies)
            if n != loaded:
                np.multiply(form.problem.views[n, c], form.scales[c], out=self.inside)
                loaded = n
            for part, volume, (matrices, origins) in (
                (0, form.psf[c], form.psf_places),
                (1, self.view, form.view_places),
            ):
                turn(volume, matrices[m, k, n], origins[m, k, n], parts, part)
            spectrum = scipy.fft.fftn(self.pair, overwrite_x=True, workers=1)
            add_pair(spectrum, sums.gram[place], sums.rhs[place])
            crew.check()


def _about(centre: float, rotations: NDArray, shifts: NDArray, dtype: Any) -> tuple[NDArray, NDArray]:
    """Return (matrices, origins) of rotations about a voxel and then shifts: p goes to matrix p + origin.

    The products are multiplied and rounded in SPFluo's way: if a rotation maps axes to axes, the last bit decides whether a
    sample is inside.
    """
    there, back = np.zeros((*rotations.shape[:-2], 4, 4)), np.eye(4)
    there[..., :3, :3], there[..., :3, 3], there[..., 3, 3] = rotations, centre, 1
    back[:3, 3] = -centre
    places = there @ back
    places[..., :3, 3] += shifts
    with np.errstate(over="ignore"):  # an overflow lies outside
        places = places.astype(dtype).astype(np.float64)
    return np.ascontiguousarray(places[..., :3, :3]), np.ascontiguousarray(places[..., :3, 3])


def _power(views: NDArray, psf: NDArray) -> float:
    """Return the power of 2 that scales views to the PSF, since both share an FFT and so its rounding errors."""
    size, other = (float(np.abs(a).max()) for a in (psf, views))
    return 2.0 ** round(math.log2(size / other)) if size and other else 1.0


def with_margin(volume: NDArray) -> NDArray:
    """Return a volume with a zero after the last sample on each axis, as `turn` needs it."""
    return np.pad(volume, (0, 1))


def on_voxel(psf: NDArray) -> NDArray:
    """Return a PSF on a cube of an odd size, so that its middle is on a voxel, as in `Dataset`."""
    return resized(psf, max(psf.shape) // 2 * 2 + 1)


def resized(volume: NDArray, size: int) -> NDArray:
    """Return a volume on a cube of another size with the same middle, by linear interpolation, zero outside.

    If both sizes are odd or both even, samples stay as they are; else each is the mean of two neighbours along the axis.
    """
    for axis in range(volume.ndim):
        a = np.moveaxis(volume, axis, 0)
        if (len(a) - size) % 2:
            a = (a[1:] + a[:-1]) * a.dtype.type(0.5)
        cut, add = max(len(a) - size, 0) // 2, max(size - len(a), 0) // 2
        a = a[cut : len(a) - cut]
        a = np.pad(a, [(add, add)] + [(0, 0)] * (volume.ndim - 1)) if add else a
        volume = np.moveaxis(a, 0, axis)
    return np.ascontiguousarray(volume)

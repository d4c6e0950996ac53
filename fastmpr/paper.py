"""The paper's experiment again: its Table 1 and Figures 1 to 3, for the methods it compares, with one call.

What the paper does not give is chosen here, and is the same for all methods:

- the volume is scaled to a standard deviation of 1, so that noise of variance 1, 5, 10 has 1, 5, 10 times its power;
- the PSF is a Gaussian with a full width at half maximum of 3.8 voxels across and 11.8 along the axis, much like that of
  a confocal microscope of NA 1.2 in water at 50 nm per voxel, on 69 x 69 x 43 voxels (x, y, z);
- poses are uniform at random; views are simulated in the frame of the model, by the paper's eq. (3);
- each method has the lam that is best on one noise draw and is scored on others, by `metrics.psnr`;
- every solve for Table 1 and Figure 2 stops at the same tolerance or number of iterations, be it of one view or of all;
- times are to the same accuracy: every solve for Figure 3 runs until its residuals are below 2e-3, however long it takes
  (400 iterations at most).
"""

from __future__ import annotations

import json
import re
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import __version__, phantom
from . import _paper_report as report
from . import psf as psfs
from ._paper_report import METHODS
from ._validation import Size, as_count, as_positive, as_shape, as_volume
from .admm import solve
from .baselines import Deconvolved, average, deconvolve_average
from .io.files import check_folder_writable, written_whole
from .metrics import psnr
from .normal_equations import accumulate
from .poses import Poses
from .resampling import inner
from .simulate import simulate
from .views import Views

SHAPE: Size = (35, 70, 70)
PSF_SHAPE: Size = (43, 69, 69)
PSF_SIGMA = (5.0, 1.6, 1.6)  # voxels
SEED = 2018
FILES = ("table1.txt", "table1.csv", "table1.md", "fig1.png", "fig2.png", "fig3.png", "index.html", "cells")

# Where the search for the best lam begins, times 1 / variance; a bad start costs time, not decibels.
_FIRST_LAM = {"deconvolve_average": 420.0, "tv": 11.0, "hessian": 36.0}
_LAM_STEP = 3.0


@dataclass(frozen=True)
class Plan:
    """How much is done: poses and noise draws of Table 1, pose counts of Figures 2 and 3, and when solves stop."""

    n_poses: int = 100
    draws: int = 3
    counts: tuple[int, ...] = (5, 10, 20, 50, 100, 200)
    timed: tuple[int, ...] = (1, 3, 10, 30, 100)
    variances: tuple[int, ...] = (1, 5, 10)
    shown: int = 5  # the variance of the figures
    max_iter: int = 40
    tol: float = 1e-3
    timed_max_iter: int = 400  # of Figure 3
    timed_tol: float = 2e-3

    def __post_init__(self):
        for name, value in list(vars(self).items()):
            if name in ("counts", "timed", "variances"):
                if not (isinstance(value, tuple | list) and value):
                    raise ValueError(f"{name}: found {value!r}, need a tuple of integers of at least 1")
                checked: Any = tuple(as_count(number, name) for number in value)
            else:
                checked = as_positive(value, name) if "tol" in name else as_count(value, name)
            object.__setattr__(self, name, checked)
        if self.shown not in self.variances:
            raise ValueError(f"shown: found {self.shown!r}, need one of the variances {self.variances}")


FULL = Plan()
QUICK = Plan(n_poses=6, draws=1, counts=(2, 4, 6), timed=(1, 2, 6), max_iter=25)


def fitted(volume: ArrayLike, shape: int | Size = SHAPE, name: str = "volume") -> NDArray:
    """Bin, crop and pad a volume about its centre until its content fits into a shape.

    The factor of the binning is the smallest after which no voxel above 2 % of the maximum is cut off.

    Parameters
    ----------
    volume : (nz, ny, nx) array_like
        A particle, brighter than what is around it.
    shape : int or (int, int, int)
        Of the result.
    name : str
        What errors call the volume.

    Returns
    -------
    ndarray
        float32, scaled to a standard deviation of 1.

    Raises
    ------
    ValueError
        If the volume is not 3-D and finite, has nothing above zero or is the same everywhere.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmpr import paper
    >>> x = np.zeros((100, 100, 100))
    >>> x[40:60, 10:90, 10:90] = 1
    >>> paper.fitted(x).shape, round(float(paper.fitted(x).std()), 5)
    ((35, 70, 70), 1.0)
    """
    whole, shape = as_volume(volume, name), as_shape(shape)
    _check_content(whole, name)
    whole = whole / max(whole.max(), -whole.min())  # now sums and squares are finite, whatever the unit
    for factor in range(1, max(whole.shape) + 1):
        binned = _binned(whole, factor)
        inside = _centred(binned, shape)
        if np.count_nonzero(inside > 0.02 * binned.max()) == np.count_nonzero(binned > 0.02 * binned.max()):
            break
    _check_content(inside, name)
    return (inside / inside.std()).astype(np.float32)


def _check_content(volume: NDArray, name: str) -> None:
    if not volume.min() < volume.max() > 0:
        raise ValueError(f"{name}: found nothing above zero or no contrast, need a particle")


def _binned(volume: NDArray, factor: int) -> NDArray:
    """Average blocks of factor^3 voxels; the edges are padded to whole blocks with zeros."""
    padded = np.pad(volume, [(0, -n % factor) for n in volume.shape])
    z, y, x = (n // factor for n in padded.shape)
    return padded.reshape(z, factor, y, factor, x, factor).mean(axis=(1, 3, 5))


def _centred(volume: NDArray, shape: Size) -> NDArray:
    """Crop or pad each axis about its centre."""
    padded = np.pad(
        volume,
        [((s - n) // 2, s - n - (s - n) // 2) if s > n else (0, 0) for n, s in zip(volume.shape, shape, strict=True)],
    )
    return padded[inner(padded.shape, shape)]


@dataclass(frozen=True)
class Experiment:
    """One volume, its PSF, poses and noise: everything that a cell is made of."""

    truth: NDArray
    plan: Plan

    @cached_property
    def psf(self) -> NDArray:
        """The PSF of all views."""
        return psfs.gaussian(PSF_SHAPE, sigma=PSF_SIGMA)

    @cached_property
    def poses(self) -> Poses:
        """As many poses as any cell needs, two for Figure 1; fewer are always the first of them."""
        return Poses.random(max(2, self.plan.n_poses, *self.plan.counts, *self.plan.timed), rng=SEED)

    @cached_property
    def _clean(self) -> NDArray:
        return simulate(self.truth, self.psf, self.poses, frame="model")

    def views(self, n: int, variance: float, draw: int) -> tuple[NDArray, Poses]:
        """Return the first n views with the noise of one draw, and their poses."""
        rng = np.random.default_rng([SEED, int(variance), draw])
        noise = rng.standard_normal(self._clean.shape, dtype=np.float32)[:n]
        return self._clean[:n] + np.float32(np.sqrt(variance)) * noise, self.poses[:n]

    def run(self, method: str, views: NDArray, poses: Poses, lam: float, timed: bool = False) -> NDArray:
        """Return the volume that a method makes of some views; a timed run goes on until it is accurate."""
        plan = self.plan
        options: dict[str, Any] = {"max_iter": plan.max_iter, "tol": plan.tol}
        if timed:
            options = {"max_iter": plan.timed_max_iter, "tol": plan.timed_tol}
        if method == "average":
            return average(views, poses, frame="model")
        if method == "deconvolve_average":
            return deconvolve_average(views, self.psf, poses, lam=lam, frame="model", **options)
        sums = accumulate(views, self.psf, poses, frame="model")
        return solve(sums, lam, method, **options).x[inner(sums.shape, self.truth.shape)]


def best_lam(score: Callable[[float], float], start: float) -> float:
    """Walk along start * _LAM_STEP ** k to the highest score; return the top of the parabola through it and its neighbours.

    Examples
    --------
    >>> import math
    >>> from fastmpr import paper
    >>> round(paper.best_lam(lambda lam: -(math.log(lam / 42) ** 2), 1.0), 6)
    42.0
    """
    known = {k: score(start * _LAM_STEP**k) for k in (-1, 0, 1)}
    while (best := max(known, key=lambda k: known[k])) in (min(known), max(known)) and len(known) < 12:
        beyond = best - 1 if best == min(known) else best + 1
        known[beyond] = score(start * _LAM_STEP**beyond)
    left, top, right = (known.get(best + k, known[best]) for k in (-1, 0, 1))
    curvature = left - 2 * top + right
    return start * _LAM_STEP ** (best + (0.5 * (left - right) / curvature if curvature else 0))


# ---- cells: what is computed, and kept ---------------------------------------------------------------------


@cache
def source_checksum() -> int:
    """Return a checksum of this package's source files."""
    return zlib.crc32(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.rglob("*.py"))))


@dataclass(frozen=True)
class Cell:
    """One piece of work: the volume it is of, what is done with it, the function that does it and the picture it makes."""

    volume: str
    task: str
    work: Callable[[], dict[str, Any]]
    picture: Path | None = None

    @property
    def name(self) -> str:
        """The name of the cell."""
        return f"{self.volume}, {self.task}"


class Cells:
    """Finished cells as JSON files in a folder; those of other settings, or of another program, are done again."""

    def __init__(self, folder: Path, plan: Plan, volumes: Mapping[str, NDArray]):
        self.folder, self.volumes, self.plan = folder, volumes, plan
        self.program = {"fastmpr": __version__, "checksum of its source": source_checksum()}
        self.experiments = {name: Experiment(volume, plan) for name, volume in volumes.items()}
        self.values: dict[str, dict[str, Any]] = {}

    def setting(self, volume: str) -> dict[str, Any]:
        """Return all that the values of a volume's cells depend on."""
        setting = {
            **self.program,
            "plan": asdict(self.plan),
            "psf": {"shape": PSF_SHAPE, "sigma": PSF_SIGMA},
            "seed": SEED,
            "volume": zlib.crc32(self.volumes[volume].tobytes()),
        }
        return json.loads(json.dumps(setting))

    def finish(self, cell: Cell) -> None:
        """Read a cell's file, or do its work and write it."""
        path = self.folder / f"{_file_name(cell.volume)}-{cell.task.replace(', ', '-').replace(' ', '_')}.json"
        value = self._kept(cell, path)
        if value is None:
            start = time.perf_counter()
            value = {**cell.work(), "seconds": time.perf_counter() - start}
            kept = {"setting": self.setting(cell.volume), "picture": _checksum(cell.picture), "value": value}
            with written_whole(path, overwrite=True) as temporary:
                temporary.write_text(json.dumps(kept))
        self.values[cell.name] = value

    def _kept(self, cell: Cell, path: Path) -> dict[str, Any] | None:
        """Return the value in a cell's file, None where it is of another setting, incomplete or not readable."""
        try:
            kept = json.loads(path.read_text())
            if kept["setting"] == self.setting(cell.volume) and kept["picture"] == _checksum(cell.picture):
                return kept["value"]
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return None

    def all(self) -> Iterator[Cell]:
        """Yield every cell, those first that others need."""
        for volume in self.volumes:
            for variance in self.plan.variances:
                for method in METHODS:
                    yield self._scored(volume, variance, method)
        first = next(iter(self.volumes))
        for method in ("deconvolve_average", "hessian"):
            yield Cell(first, f"{method}, by poses", partial(self._by_poses, first, method))
            yield Cell(first, f"{method}, times", partial(self._times, first, method))

    def _scored(self, volume: str, variance: int, method: str) -> Cell:
        """A method's entry in Table 1: lam from draw 0, PSNR on the others."""
        experiment, n = self.experiments[volume], self.plan.n_poses
        picture = self.picture(volume, method) if variance == self.plan.shown else None

        def work() -> dict[str, Any]:
            views, poses = experiment.views(n, variance, 0)
            lam = 1.0
            if method != "average":
                lam = best_lam(
                    lambda lam: psnr(experiment.run(method, views, poses, lam), experiment.truth),
                    _FIRST_LAM[method] / variance,
                )
            scores = []
            for draw in range(1, self.plan.draws + 1):
                x = experiment.run(method, *experiment.views(n, variance, draw), lam)
                scores.append(psnr(x, experiment.truth))
            if picture:
                with written_whole(picture, overwrite=True) as temporary, temporary.open("wb") as file:
                    np.save(file, x)
            return {"lam": lam, "psnr": scores}

        return Cell(volume, f"{method}, variance {variance}", work, picture)

    def scored(self, volume: str, variance: int, method: str) -> dict[str, Any]:
        """Return an entry of Table 1."""
        return self.values[f"{volume}, {method}, variance {variance}"]

    def picture(self, volume: str, method: str) -> Path:
        """Return where the volume of Figure 1 is kept."""
        return self.folder / f"{_file_name(volume)}-{method}.npy"

    def lam(self, volume: str, method: str) -> float:
        """Return the lam of Table 1 at the variance of the figures."""
        return self.scored(volume, self.plan.shown, method)["lam"]

    def _by_poses(self, volume: str, method: str) -> dict[str, Any]:
        """PSNR against the number of poses, at the lam of Table 1."""
        experiment, lam = self.experiments[volume], self.lam(volume, method)
        views, poses = experiment.views(max(self.plan.counts), self.plan.shown, 1)
        if method == "deconvolve_average":  # each view is deconvolved once, then the first n are averaged for every n
            options = {"max_iter": self.plan.max_iter, "tol": self.plan.tol, "regularizer": "tv", "workers": 1}
            one = (1.0, 1.0, 1.0)
            alone = Deconvolved(Views(views, poses, "model", one), experiment.psf, one, lam, **options)
            views = np.empty_like(views)
            average(_Keeping(alone, views), poses, frame="model")
            volumes = [average(views[:n], poses[:n], frame="model") for n in self.plan.counts]
        else:
            volumes = [experiment.run(method, views[:n], poses[:n], lam) for n in self.plan.counts]
        return {"psnr": [psnr(x, experiment.truth) for x in volumes]}

    def _times(self, volume: str, method: str) -> dict[str, Any]:
        """Seconds against the number of poses, to the same accuracy, everything compiled."""
        experiment, lam = self.experiments[volume], self.lam(volume, method)
        views, poses = experiment.views(max(self.plan.timed), self.plan.shown, 1)
        experiment.run(method, views[:1], poses[:1], lam, timed=True)
        times = []
        for n in self.plan.timed:
            start = time.perf_counter()
            experiment.run(method, views[:n], poses[:n], lam, timed=True)
            times.append(time.perf_counter() - start)
        return {"times": times}


def _file_name(volume: str) -> str:
    """Return a volume's name in the names of files."""
    return re.sub(r"[^\w.]+", "_", volume).lower()


def _checksum(path: Path | None) -> int | None:
    return None if path is None else zlib.crc32(path.read_bytes())


class _Keeping(Sequence[NDArray]):
    """A sequence of volumes that keeps each one it gives."""

    def __init__(self, volumes: Any, kept: NDArray):
        self.volumes, self.kept = volumes, kept

    def __len__(self) -> int:
        return len(self.volumes)

    def __getitem__(self, i: Any) -> Any:
        self.kept[i] = self.volumes[i]
        return self.kept[i]


def run(
    out: str | Path,
    volumes: Mapping[str, ArrayLike] | None = None,
    plan: Plan = FULL,
    tick: Callable[[str], object] = lambda name: None,
) -> str:
    """Make Table 1, Figures 1 to 3 and an HTML record in a folder; return the table as text.

    A cell that is finished is kept in ``out/cells``; an interrupted run goes on from there.

    Parameters
    ----------
    out : path
        The folder; made if it is not there, but the one above it must be.
    volumes : mapping of str to (nz, ny, nx) array_like, optional
        The particles by name; `fitted` to 35 x 70 x 70 voxels. By default a centriole and a nuclear pore of
        `fastmpr.phantom`. Names that differ only in case, spaces or punctuation are refused: they name files.
    plan : Plan
        `FULL` or `QUICK`.
    tick : callable
        Called with a cell's name when it is finished.

    Raises
    ------
    ValueError
        If a volume is not 3-D and finite, or has no content, or if two have the same name.
    TypeError
        If ``volumes`` is no mapping or ``plan`` no `Plan`.
    OSError
        If the folder cannot be made or written in.

    References
    ----------
    D. Fortun et al., "Reconstruction from multiple particles for 3D isotropic resolution in fluorescence microscopy", IEEE
    Transactions on Medical Imaging 37(5), 2018.
    """
    if not isinstance(plan, Plan):
        raise TypeError(f"plan: found {plan!r}, need paper.FULL, paper.QUICK or another paper.Plan")
    if not str(out):
        raise ValueError("out: found '', need the name of a folder")
    particles, out = _as_particles(volumes), Path(out)
    check_folder_writable(out, FILES, overwrite=True)
    folder = out / "cells"
    for path in (out, folder):
        path.mkdir(exist_ok=True)
    cells = Cells(folder, plan, particles)
    for cell in cells.all():
        cells.finish(cell)
        tick(cell.name)
    return report.write(out, cells)


def _as_particles(volumes: Any) -> dict[str, NDArray]:
    """Return the particles by name, fitted."""
    if volumes is None:
        volumes = {"centriole": phantom.centriole(SHAPE), "nuclear pore": phantom.nuclear_pore(SHAPE)}
    if not isinstance(volumes, Mapping):
        raise TypeError(f"volumes: found {type(volumes).__name__}, need a dict of volumes by name")
    if not volumes:
        raise ValueError("volumes: found none, need at least one")
    names: dict[str, str] = {}
    for name in volumes:
        if not (isinstance(name, str) and name):
            raise TypeError(f"volumes: found the name {name!r}, need a string that is not empty")
        if (other := names.setdefault(_file_name(name), name)) != name:
            raise ValueError(
                f"volumes: found the names {other!r} and {name!r}, need names that differ in their letters"
            )
    return {name: fitted(volume, name=f"volumes[{name!r}]") for name, volume in volumes.items()}


def count(volumes: int, plan: Plan = FULL) -> int:
    """Return the number of cells of a run."""
    return volumes * len(plan.variances) * len(METHODS) + 4

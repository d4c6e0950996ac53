"""Store finished work as files in a folder, so that an interrupted run continues where it stopped."""

from __future__ import annotations

import json
import re
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._version import __version__
from ..io.files import written_whole
from ..metrics import psnr
from ..reconstruction.baselines import Deconvolved, average
from ..regularizers import as_regularizer
from ..runtime.stopping import Stop
from ..solver.options import Run, Until
from .experiment import FIRST_LAM, PSF_SHAPE, PSF_SIGMA, SEED, Experiment, Plan, best_lam
from .report import METHODS


@cache
def source_checksum() -> int:
    """Return a checksum of this package's source files."""
    return zlib.crc32(b"".join(path.read_bytes() for path in sorted(Path(__file__).parents[1].rglob("*.py"))))


@dataclass(frozen=True)
class Cell:
    """One piece of work: the volume, the task, the function that does the task, and the file of its picture."""

    volume: str
    task: str
    work: Callable[[], dict[str, Any]]
    picture: Path | None = None

    @property
    def name(self) -> str:
        """The cell's name."""
        return f"{self.volume}, {self.task}"


class Cells:
    """Finished cells as JSON files in a folder; cells of other settings or another program version are computed again."""

    def __init__(self, folder: Path, plan: Plan, volumes: Mapping[str, NDArray], stop: Stop | None = None):
        self.folder, self.volumes, self.plan = folder, volumes, plan
        self.stop = stop or Stop("paper.run")
        self.program = {"fastmpr": __version__, "checksum of its source": source_checksum()}
        self.experiments = {name: Experiment(volume, plan, self.stop) for name, volume in volumes.items()}
        self.values: dict[str, dict[str, Any]] = {}

    def setting(self, volume: str) -> dict[str, Any]:
        """Return all settings that the values of a volume's cells depend on."""
        setting = {
            **self.program,
            "plan": asdict(self.plan),
            "psf": {"shape": PSF_SHAPE, "sigma": PSF_SIGMA},
            "seed": SEED,
            "volume": zlib.crc32(self.volumes[volume].tobytes()),
        }
        return json.loads(json.dumps(setting))

    def finish(self, cell: Cell) -> None:
        """Read a cell's file, or do the cell's work and write the file."""
        path = self.folder / f"{file_name(cell.volume)}-{cell.task.replace(', ', '-').replace(' ', '_')}.json"
        value = self._kept(cell, path)
        if value is None:
            start = time.perf_counter()
            value = {**cell.work(), "seconds": time.perf_counter() - start}
            kept = {"setting": self.setting(cell.volume), "picture": _checksum(cell.picture), "value": value}
            with written_whole(path, overwrite=True) as temporary:
                temporary.write_text(json.dumps(kept))
        self.values[cell.name] = value

    def _kept(self, cell: Cell, path: Path) -> dict[str, Any] | None:
        """Return the value in a cell's file, None if the file has another setting, is incomplete or cannot be read."""
        try:
            kept = json.loads(path.read_text())
            if kept["setting"] == self.setting(cell.volume) and kept["picture"] == _checksum(cell.picture):
                return kept["value"]
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return None

    def all(self) -> Iterator[Cell]:
        """Yield every cell; cells that others depend on come first."""
        for volume in self.volumes:
            for variance in self.plan.variances:
                for method in METHODS:
                    yield self._scored(volume, variance, method)
        first = next(iter(self.volumes))
        for method in ("deconvolve_average", "hessian"):
            yield Cell(first, f"{method}, by poses", partial(self._by_poses, first, method))
            yield Cell(first, f"{method}, times", partial(self._times, first, method))

    def _scored(self, volume: str, variance: int, method: str) -> Cell:
        """Return the cell for a method's entry in Table 1: lam from draw 0, PSNR on the other draws."""
        experiment, n = self.experiments[volume], self.plan.n_poses
        picture = self.picture(volume, method) if variance == self.plan.shown else None

        def work() -> dict[str, Any]:
            data = experiment.data(n, variance, 0)
            lam = 1.0
            if method != "average":
                lam = best_lam(
                    lambda lam: psnr(experiment.run(method, data, lam), experiment.truth),
                    FIRST_LAM[method] / variance,
                )
            scores = []
            for draw in range(1, self.plan.draws + 1):
                x = experiment.run(method, experiment.data(n, variance, draw), lam)
                scores.append(psnr(x, experiment.truth))
            if picture:
                with written_whole(picture, overwrite=True) as temporary, temporary.open("wb") as file:
                    np.save(file, x)
            return {"lam": lam, "psnr": scores}

        return Cell(volume, f"{method}, variance {variance}", work, picture)

    def scored(self, volume: str, variance: int, method: str) -> dict[str, Any]:
        """Return the value of an entry of Table 1."""
        return self.values[f"{volume}, {method}, variance {variance}"]

    def picture(self, volume: str, method: str) -> Path:
        """Return the path of a method's volume for Figure 1."""
        return self.folder / f"{file_name(volume)}-{method}.npy"

    def lam(self, volume: str, method: str) -> float:
        """Return the lam of Table 1 at the variance of the figures."""
        return self.scored(volume, self.plan.shown, method)["lam"]

    def _by_poses(self, volume: str, method: str) -> dict[str, Any]:
        """Return the PSNR for each number of poses, at the lam of Table 1."""
        experiment, lam = self.experiments[volume], self.lam(volume, method)
        data = experiment.data(max(self.plan.counts), self.plan.shown, 1)
        if method == "deconvolve_average":  # each view is deconvolved once; then the first n are averaged for every n
            until, run = Until(self.plan.max_iter, self.plan.tol), Run(workers=1, stop=self.stop)
            alone = Deconvolved(data, lam, as_regularizer("tv"), until, run)
            kept = np.empty((len(data), *data.particle_shape), data.dtype)
            average(data.replace(particles=_Keeping(alone, kept)), cancel=self.stop)
            deconvolved = data.replace(particles=kept)
            volumes = [average(deconvolved[:n], cancel=self.stop) for n in self.plan.counts]
        else:
            volumes = [experiment.run(method, data[:n], lam) for n in self.plan.counts]
        return {"psnr": [psnr(x, experiment.truth) for x in volumes]}

    def _times(self, volume: str, method: str) -> dict[str, Any]:
        """Return the seconds for each number of poses, to the same accuracy, after compilation."""
        experiment, lam = self.experiments[volume], self.lam(volume, method)
        data = experiment.data(max(self.plan.timed), self.plan.shown, 1)
        experiment.run(method, data[:1], lam, timed=True)
        times = []
        for n in self.plan.timed:
            start = time.perf_counter()
            experiment.run(method, data[:n], lam, timed=True)
            times.append(time.perf_counter() - start)
        return {"times": times}


def file_name(volume: str) -> str:
    """Return a volume's name in a form for file names."""
    return re.sub(r"[^\w.]+", "_", volume).lower()


def _checksum(path: Path | None) -> int | None:
    return None if path is None else zlib.crc32(path.read_bytes())


class _Keeping(Sequence[NDArray]):
    """A sequence of volumes that stores each volume that is read from it."""

    thread_safe = True

    def __init__(self, volumes: Any, kept: NDArray):
        self.volumes, self.kept = volumes, kept

    def __len__(self) -> int:
        return len(self.volumes)

    def __getitem__(self, i: Any) -> Any:
        self.kept[i] = self.volumes[i]
        return self.kept[i]

"""Reproduce the paper's Table 1 and Figures 1 to 3, for all methods that it compares, with one call.

Settings that the paper does not give are chosen here, the same for all methods:

- the volume is scaled to a standard deviation of 1, so that noise of variance 1, 5, 10 has 1, 5, 10 times its power;
- the PSF is a Gaussian with a full width at half maximum of 3.8 voxels across and 11.8 along the axis, similar to that of
  a confocal microscope of NA 1.2 in water at 50 nm per voxel, on 69 x 69 x 43 voxels (x, y, z);
- poses are uniform at random, and views are simulated in the frame of the model, by the paper's eq. (3);
- each method uses the lam that is best on one noise draw, and is scored on the other draws by `metrics.psnr`;
- every solve for Table 1 and Figure 2, of one view or of all, stops at the same tolerance or number of iterations;
- times are to the same accuracy: every solve for Figure 3 runs until its residuals are below 2e-3 (400 iterations at most).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike, NDArray

from .. import phantom
from ..io.files import check_folder_writable
from ..runtime.stopping import Event, as_stop
from . import report
from .cells import Cells, file_name
from .experiment import FULL, QUICK, SHAPE, Plan, fitted
from .report import METHODS

__all__ = ["FULL", "QUICK", "Plan", "count", "fitted", "run"]

FILES = ("table1.txt", "table1.csv", "table1.md", "fig1.png", "fig2.png", "fig3.png", "index.html", "cells")


def run(
    out: str | Path,
    volumes: Mapping[str, ArrayLike] | None = None,
    plan: Plan = FULL,
    tick: Callable[[str], object] = lambda name: None,
    *,
    cancel: Event | None = None,
    timeout: float | None = None,
) -> str:
    """Compute Table 1, Figures 1 to 3 and an HTML page with the run's record; return the table as text.

    The work is cut into cells. Finished cells are stored in ``out/cells``, and an interrupted run continues from them.

    Parameters
    ----------
    out : path
        The folder for the results. It is created if it does not exist; its parent must exist.
    volumes : mapping of str to (nz, ny, nx) array_like, optional
        The particles by name; each is `fitted` to 35 x 70 x 70 voxels. By default a centriole and a nuclear pore from
        `fastmpr.phantom`. Names that differ only in case, spaces or punctuation are refused, since files are named after
        them.
    plan : Plan
        `FULL` or `QUICK`.
    tick : callable
        Called with the name of each finished cell.
    cancel : threading.Event, optional
        Or any object with ``is_set()``. The call ends once it is set; finished cells are kept.
    timeout : float, optional
        Seconds after which the call ends; finished cells are kept.

    Raises
    ------
    ValueError
        If a volume is not 3-D and finite, or has no content, or if two volumes have the same name.
    TypeError
        If ``volumes`` is no mapping or ``plan`` is no `Plan`.
    OSError
        If the folder cannot be created or written in.
    Cancelled
        If ``cancel`` is set or the ``timeout`` passes before all cells are finished.

    References
    ----------
    D. Fortun et al., "Reconstruction from multiple particles for 3D isotropic resolution in fluorescence microscopy", IEEE
    Transactions on Medical Imaging 37(5), 2018.
    """
    stop = as_stop("paper.run", cancel, timeout)
    if not isinstance(plan, Plan):
        raise TypeError(f"plan: found {plan!r}, need paper.FULL, paper.QUICK or another paper.Plan")
    if not str(out):
        raise ValueError("out: found '', need the name of a folder")
    particles, out = _as_particles(volumes), Path(out)
    check_folder_writable(out, FILES, overwrite=True)
    folder = out / "cells"
    for path in (out, folder):
        path.mkdir(exist_ok=True)
    cells = Cells(folder, plan, particles, stop)
    for cell in cells.all():
        stop.check()
        cells.finish(cell)
        tick(cell.name)
    return report.write(out, cells)


def _as_particles(volumes: Any) -> dict[str, NDArray]:
    """Return the fitted particles by name."""
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
        if (other := names.setdefault(file_name(name), name)) != name:
            raise ValueError(
                f"volumes: found the names {other!r} and {name!r}, need names that differ in more than case "
                "and punctuation"
            )
    return {name: fitted(volume, name=f"volumes[{name!r}]") for name, volume in volumes.items()}


def count(volumes: int, plan: Plan = FULL) -> int:
    """Return the number of cells of a run."""
    return volumes * len(plan.variances) * len(METHODS) + 4

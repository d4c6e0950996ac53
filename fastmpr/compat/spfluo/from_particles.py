"""SPFluo's reconstruction from particles alone, with its class and its files, by `fastmpr.ab_initio`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import io
from ..._keywords import check_keywords
from ..._messages import log
from ..._validation import as_choice, as_float_dtype, as_names
from ...alignment.main import ab_initio
from ...geometry.poses import Poses
from ...io import poses_csv, tiff
from ...io.files import as_path, check_folder_writable, folder_written_whole
from ...simulation import simulate
from ...views.dataset import Dataset
from .arrays import like
from .closed_form import on_voxel
from .poses import tell_unused
from .problem import as_blur, as_cubes
from .refinement import as_spfluo

_DEFAULTS: dict[str, Any] = {
    "M_axes": 360**2,
    "M_rot": 360,
    "dec_prop": 1.2,
    "init_unif_prop": (1, 1),
    "coeff_kernel_axes": 50.0,
    "coeff_kernel_rot": 5.0,
    "eps": 0,
    "lr": 0.1,
    "N_axes": 25,
    "N_rot": 20,
    "prop_min": 0,
    "interp_order": 3,
    "N_iter_max": 20,
    "gaussian_kernel": True,
    "N_iter_with_unif_distr": None,
    "epochs_of_suppression": None,
    "proportion_of_views_suppressed": None,
    "convention": "XZX",
    "dtype": "float32",
    "reg_coeff": 0,
    "beta_sampling": 0,
    "epoch_length": None,
    "batch_size": 1,
    "beta_grad": 0,
    "random_sampling": False,
}
_USED = ("convention", "dtype")
_FOLDERS = ("intermediar_results", "energies", "distributions_angles", "views_selected")
_FILES = ("params_learning_alg.json", "energies.csv", "final_recons.ome.tiff", "poses.csv")


class AbInitioReconstruction:
    """Poses and a volume from particles alone, as the class of SPFluo 0.1.0, by `fastmpr.ab_initio`.

    The whole search counts as one epoch. It does not sample poses at random as SPFluo does, so of SPFluo's parameters only
    ``dtype`` and ``convention`` ("XZX" only) are used; all others are accepted, and logged if they are given. The same
    particles give the same result, whatever the state of ``numpy.random``.

    Parameters
    ----------
    callback : callable, optional
        Called at the end of the epoch with the volume and the number 1.
    **params
        SPFluo's: M_axes, M_rot, N_axes, N_rot, N_iter_max, lr and so on.

    Attributes
    ----------
    _volume : (D, D, D) array
        For particles scaled to [0, 1]. This and the next two are None before `fit`, then arrays of the kind of ``X``.
    _poses : (N, 6) array
        As the poses of `reconstruction_L2`.
    _energies : (1,) array
        The mean over views of what the volume leaves of them: a sum of squares over voxels, after a gain and an offset.
    _num_iter : int
        1 after `fit`.

    Raises
    ------
    TypeError, ValueError
        For a parameter that SPFluo does not have, another convention, or a dtype other than float32 and float64.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import fastmpr
    >>> from fastmpr.compat.spfluo import AbInitioReconstruction
    >>> truth = fastmpr.phantom.centriole((24, 24, 24))
    >>> psf = fastmpr.psf.gaussian((15, 9, 9), sigma=(3, 1, 1))
    >>> views = fastmpr.simulate(truth, psf, fastmpr.Poses.random(20, rng=0), noise_sigma=0.02, rng=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = AbInitioReconstruction().fit(views, psf=psf, output_dir=folder)
    ...     print((Path(folder) / "poses.csv").exists(), found._volume.shape, found._poses.shape)
    True (24, 24, 24) (20, 6)
    """

    def __init__(self, callback: Callable[[NDArray, int], Any] | None = None, **params: Any):
        check_keywords(type(self).__init__, params, _DEFAULTS)
        self.params, self.callback = params, callback
        self._volume: Any = None
        self._energies: Any = None
        self._num_iter: int | None = None
        self._poses: Any = None
        as_choice(self._param("convention"), "convention", ("XZX",))
        as_float_dtype(self._param("dtype"))

    def fit(
        self,
        X: Any,
        psf: Any = None,
        output_dir: str | None = None,
        minibatch_size: int | None = None,
        particles_names: Sequence[str] | None = None,
    ) -> AbInitioReconstruction:
        """Find poses and a volume, and write SPFluo's files.

        Parameters
        ----------
        X : (N, D, D, D) array
            The particles, at least three cubes. Each is scaled to [0, 1], as in SPFluo. Arrays may be of other libraries, as
            in `reconstruction_L2`.
        psf : (d, h, w) array
            As in `reconstruction_L2`; it is scaled to a sum of 1.
        output_dir : path, optional
            A folder, "./ab-initio-output" by default, in which SPFluo's files are written or replaced:
            ``final_recons.ome.tiff``, ``poses.csv``, ``energies.csv``, ``params_learning_alg.json``, those of the one epoch
            in ``intermediar_results/`` and ``energies/``. ``distributions_angles/`` and ``views_selected/`` stay empty.
        minibatch_size : int, optional
            Not used, which is logged.
        particles_names : sequence of str, optional
            The names in ``poses.csv``; by default 0, 1, 2 and so on.

        Returns
        -------
        AbInitioReconstruction
            Itself.

        Raises
        ------
        ValueError, TypeError
            As `reconstruction_L2` and `fastmpr.ab_initio` do, and without a PSF.
        OSError
            If the folder cannot be written.
        ImportError
            If tifffile is not installed.
        """
        if psf is None:
            raise ValueError("psf: found none, need an array (d, h, w)")
        cubes = as_cubes(X, False, "X")
        views, blur = (
            _scaled(cubes[:, 0]).astype(as_float_dtype(self._param("dtype"))),
            as_blur(psf, cubes, False, "X")[0],
        )
        folder, names = (
            _as_folder(output_dir),
            None if particles_names is None else as_names(particles_names, len(views)),
        )
        self._tell(minibatch_size)
        odd = on_voxel(blur)
        found = ab_initio(Dataset(views, odd.astype(views.dtype), names=names))
        energies = _energies(views, simulate(found.x, odd / odd.sum(), found.poses))
        self._write(folder, found.x, found.poses, names, energies)
        self._volume, self._poses = like(found.x, X), like(as_spfluo(found.poses), X)
        self._energies, self._num_iter = like(energies.mean(keepdims=True), X), 1
        if self.callback is not None:
            self.callback(found.x, 1)
        return self

    def _param(self, name: str) -> Any:
        return self.params.get(name, _DEFAULTS[name])

    def _tell(self, minibatch_size: Any) -> None:
        """Log the parameters that are given and not used."""
        tell_unused("minibatch_size", minibatch_size, None)
        given = [
            f"{name}={value}" for name, value in self.params.items() if name not in _USED and value != _DEFAULTS[name]
        ]
        if given:
            log.info("AbInitioReconstruction: found %s, not used by fastmpr.ab_initio", ", ".join(given))

    def _write(self, path: Path, x: NDArray, poses: Poses, names: Any, energies: NDArray) -> None:
        """Write SPFluo's files."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with folder_written_whole(path, (*_FOLDERS, *_FILES), overwrite=True) as folder:
            for name in _FOLDERS:
                (folder / name).mkdir()
            epoch = folder / "intermediar_results"
            io.write(epoch / "recons_epoch_1.ome.tiff", x.astype(np.float32))
            poses_csv.write(epoch / "estimated_poses_epoch_1.csv", poses.rotation, poses.translation, names)
            shutil.copyfile(epoch / "recons_epoch_1.ome.tiff", folder / "final_recons.ome.tiff")
            shutil.copyfile(epoch / "estimated_poses_epoch_1.csv", folder / "poses.csv")
            np.save(folder / "energies" / "energies_each_view_iter=0001.npy", energies[:, np.newaxis])
            (folder / "energies.csv").write_text(f"{energies.mean()}\n", encoding="utf-8")
            given = {name: self._param(name) for name in _DEFAULTS if name != "dtype"}
            (folder / "params_learning_alg.json").write_text(json.dumps(given, default=str), encoding="utf-8")


def _as_folder(path: Any) -> Path:
    """Return the folder of the files, and check that they can be written at the end."""
    folder = as_path("./ab-initio-output" if path is None else path, "output_dir")
    tiff.require()
    if folder.exists() or folder.parent.exists():
        check_folder_writable(folder, (*_FOLDERS, *_FILES), overwrite=True)
    return folder


def _scaled(views: NDArray) -> NDArray:
    """Return views (N, D, D, D), each scaled to [0, 1]; one without contrast is zero."""
    low, high = (edge(views, axis=(1, 2, 3), keepdims=True) for edge in (np.min, np.max))
    return (views - low) / np.where(high > low, high - low, 1)


def _energies(views: NDArray, shown: NDArray) -> NDArray[np.float64]:
    """Return the sum of squares of each view that its prediction leaves, after a gain and an offset."""
    rows, columns = (a.reshape(len(a), -1).astype(np.float64) for a in (views, shown))
    rows, columns = (a - a.mean(axis=1, keepdims=True) for a in (rows, columns))
    common, power = (rows * columns).sum(axis=1), np.maximum((columns**2).sum(axis=1), 1e-300)
    return (rows**2).sum(axis=1) - common**2 / power

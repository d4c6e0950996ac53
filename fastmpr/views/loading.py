"""Load a data set from files, with units."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Unpack, cast

import numpy as np
from numpy.typing import NDArray

from .. import io
from .. import psf as psfs
from .._keywords import check_keywords
from .._messages import log
from .._validation import Vector, as_flag, as_voxel_size, shown
from ..geometry.poses import Poses
from ..inspection.lengths import check_travel
from ..io.files import as_path
from ..io.lists import has_listed_poses
from ..io.particles import are_in_order, unmatched
from .dataset import Dataset
from .keywords import KEYWORDS, Belongings, Changes, OtherKeywords, Unframed
from .source import Source
from .types import Frame, Particles, Psf, VoxelSize

_NEED_SIZE = "need it in micrometres (voxel_size=, --voxel-size)"
_ALIKE = 1.001  # pixels that differ by no more are one, up to the digits that a file keeps


def load(
    particles: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | Particles | Dataset,
    psf: str | os.PathLike[str] | Psf | None = None,
    poses: str | os.PathLike[str] | Poses | None = None,
    *,
    voxel_size: VoxelSize | None = None,
    psf_voxel_size: VoxelSize | None = None,
    psf_measured: bool = False,
    channel: int | str | None = None,
    frame: int | Frame | None = None,
    scene: int | str | None = None,
    **views: Unpack[Unframed],
) -> Dataset:
    """Return a data set read from files, or from files and arrays, in one unit.

    Parameters
    ----------
    particles : path, paths, sequence of (nz, ny, nx) arrays or Dataset
        A folder of 3-D images, a list or a pattern of files (``particles/*.mrc``), a ``.star`` or ``.csv`` file that
        names them (with their poses if it has them and none are given), or one 4-D image, of any format that
        `fastmpr.io` reads: TIFF, MRC, OME-Zarr, HDF5, NPY, NPZ, CZI, LIF, ND2, OIF. ``file.h5:/name`` is one array of
        several in a file.
        Particles are read when they are used. Or a `Dataset` without a PSF or poses, to which these are added.
    psf : path or (nz, ny, nx) array_like, optional
        A 3-D image in a file of any of these formats.
    poses : path or Poses, optional
        A ``.csv`` (SPFluo) or ``.star`` (RELION) file. Poses are matched to particles by name. The volumes of one 4-D file
        have no names, so the poses must then be in the natural order of their names (1, 2, ... 10).
    voxel_size, psf_voxel_size : float or (z, y, x), optional
        In micrometres; by default as in the files. Needed if a file gives only a part of it, or an unknown unit.
    psf_measured : bool
        Whether ``psf`` is the raw image of a bead, from which `fastmpr.psf.measured` makes the PSF; several are averaged.
    channel, scene : int or str, optional
        Which channel of the particles' files, and which of several images in each, by number from 0 or by name.
    frame : int or str, optional
        A number is a frame of the particles' files, from 0; a word is the keyword of `Dataset`.
    **views
        Further keywords of `Dataset`.

    Returns
    -------
    Dataset
        ``assumed`` lists what the files do not say.

    Raises
    ------
    ValueError
        Naming the file, if its content is not understood, or its lengths need a voxel size that is unknown.
    OSError, ImportError
        If a file cannot be read, or the package that reads its format is missing.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import fastmpr
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("1.tif", "2.tif"):
    ...         fastmpr.io.write(f"{folder}/{name}", np.ones((4, 5, 6)), voxel_size=(0.3, 0.1, 0.1))
    ...     data = fastmpr.load(folder, poses=fastmpr.Poses.random(2, rng=0))
    >>> data
    <Dataset: 2 particles of 4 x 5 x 6, voxels of 0.3 x 0.1 x 0.1 um, no PSF, with poses>
    """
    check_keywords(load, views, KEYWORDS)
    if isinstance(frame, str):
        views, frame = cast(OtherKeywords, {**views, "frame": frame}), None
    choice = {"channel": channel, "frame": frame, "scene": scene}
    if as_flag(psf_measured, "psf_measured") and psf is None:
        raise ValueError("psf_measured: found True and no psf, need the bead")
    given_size = voxel_size
    if isinstance(particles, Dataset):
        _check_completes(particles, psf, poses)
        _check_no_choice(choice)
        voxel_size = particles.known_voxel if voxel_size is None else voxel_size
        source, names, where = particles.source, views.get("names", particles.names), "particles"
    else:
        opened, where = _opened(particles, voxel_size, choice)
        if opened is not particles:
            views, voxel_size = {"names": opened.names, **views}, opened.voxel_size
        source, names = Source(opened), views.get("names")
        if poses is None and isinstance(particles, str | os.PathLike) and has_listed_poses(Path(particles)):
            poses = particles
    found: Belongings = {"voxel_size": voxel_size, "psf_voxel_size": psf_voxel_size, **views}
    if isinstance(psf, str | os.PathLike):
        found["psf"], found["psf_voxel_size"] = _psf_of(psf, psf_voxel_size)
        if voxel_size is None and found["psf_voxel_size"] is not None:
            raise ValueError(f"{where}: found no voxel size, but lengths in {psf}, {_NEED_SIZE}")
    else:
        found["psf"] = psf
    if psf_measured:
        found["psf"] = _measured(found["psf"], psf)
    if isinstance(poses, str | os.PathLike):
        found["poses"] = read = _poses_of(poses, source, names, where, voxel_size)
        _check_optics(poses, read, given_size)
        check_travel(poses, read, source.known_shape(), voxel_size)
    else:
        found["poses"] = poses
    if not isinstance(particles, Dataset):
        return Dataset(source, **found)
    return particles.replace(**cast(Changes, {name: value for name, value in found.items() if value is not None}))


def _check_completes(data: Dataset, psf: Any, poses: Any) -> None:
    """Refuse a PSF or poses beside a data set that has its own."""
    for name, given in (("psf", psf), ("poses", poses)):
        if given is not None and getattr(data, name) is not None:
            raise ValueError(f"{name}: found one beside a Dataset that has its own, need data.replace({name}=...)")


def _check_no_choice(choice: dict[str, Any]) -> None:
    """Refuse a choice among what files hold, where no file is read."""
    for name, value in choice.items():
        if value is not None:
            raise ValueError(f"{name}: found {shown(value)} and no files of particles, need files to choose from")


def _opened(particles: Any, voxel_size: Any, choice: dict[str, Any]) -> tuple[Any, str]:
    """Return the particles of files, what else is given as it is, and what errors call them."""
    if isinstance(particles, Iterator):  # such as that of Path.glob
        first = next(particles, None)
        if not isinstance(first, str | os.PathLike):
            found = "an iterator of nothing" if first is None else f"an iterator of {type(first).__name__}"
            raise TypeError(f"particles: found {found}, need a sequence of 3-D arrays, or the paths of files")
        particles = [first, *particles]
    if isinstance(particles, str | os.PathLike):
        return io.open_particles(as_path(particles, "particles"), voxel_size, **choice), str(particles)
    if isinstance(particles, list | tuple) and any(isinstance(one, str | os.PathLike) for one in particles):
        files = [as_path(file, f"particles[{k}]") for k, file in enumerate(particles)]
        return io.open_particles(files, voxel_size, **choice), f"{len(files)} files"
    _check_no_choice(choice)
    return particles, "particles"


def _psf_of(path: str | os.PathLike, voxel_size: Any) -> tuple[NDArray, Vector | None]:
    """Return the PSF in a file and its voxel size: the one given, else what the file says."""
    given = None if voxel_size is None else as_voxel_size(voxel_size, "psf_voxel_size")
    return io.read(as_path(path, "psf"), given)


def _measured(stack: Any, given: Any) -> NDArray:
    """Return the PSF of a bead, or of several, naming the file that it was given as where it cannot be made."""
    try:
        return psfs.measured(stack)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{given if isinstance(given, str | os.PathLike) else 'psf'}: {error}") from None


def _poses_of(path: str | os.PathLike, source: Any, names: Sequence[str] | None, where: str, voxel_size: Any) -> Poses:
    """Return the poses in a file, in the order of the particles."""
    path, count = as_path(path, "poses"), len(source)
    poses = Poses.read(path)
    if len(poses) != count:
        which = unmatched(names, poses.names) if names and poses.names else _as_stack(source, len(poses))
        found = f"found {len(poses)} poses for {count} particle{'s' * (count != 1)} in {where}"
        raise ValueError(f"{path}: {found}, need one each{f' ({which})' if which else ''}")
    if voxel_size is None and poses.unit != "voxel" and poses.translation.any():
        raise ValueError(f"{where}: found no voxel size, but lengths in {path}, {_NEED_SIZE}")
    if names is not None:
        try:
            return poses.matched(names)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    if poses.names:
        log.info(f"{path}: found names, and none in {where}, so that poses belong to particles by their order")
    # The volumes of one file have no names, so their poses must be in an order that leaves no doubt.
    if poses.names and not are_in_order(poses.names):
        raise ValueError(f"{path}: found names out of order, need 1, 2, ... 10 to tell the volumes of a stack")
    return poses


def _as_stack(source: Any, count: int) -> str:
    """Say how one file may hold as many particles as there are poses, if it may."""
    shape = source.known_shape()
    if shape is None:
        return ""
    if len(source) == 1:
        is_all = shape[0] % count == 0
        return f"its {shape[0]} planes may be those of all, one after another" if is_all else "it is one volume"
    return "its first two axes may be swapped, (z, n, y, x)" if shape[0] == count else ""


def _check_optics(path: Any, poses: Any, given: Any) -> None:
    """Refuse poses that their file says are of images of several pixels, where nothing says that those are one now."""
    if given is not None or not isinstance(poses, Poses) or poses.boxes is None:
        return
    pixels = np.unique(poses.boxes[:, 0][np.isfinite(poses.boxes[:, 0])])
    if len(pixels) > 1 and pixels[-1] > _ALIKE * pixels[0]:
        shown = " and ".join(f"{pixel:.4g}" for pixel in (pixels[0], pixels[-1]))
        found = f"found optics groups of pixels of {shown} um"
        raise ValueError(f"{path}: {found}, need particles of one (then voxel_size=, --voxel-size says which it is)")

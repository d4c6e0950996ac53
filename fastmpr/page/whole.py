"""The page as a whole: its file, and the order of its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from .._validation import as_names, as_volume, as_voxel_size, shown
from .._version import __version__
from ..geometry.poses import Poses
from ..io.files import as_path, check_writable, written_whole
from . import directions, doubts, origin, sharpness, sizes, solving, views, volume
from .markup import Html, tag
from .run import Run
from .style import STYLE

_PARTS = (
    doubts.summary,
    doubts.warnings,
    volume.volume,
    sharpness.resolution,
    directions.directions,
    sharpness.local,
    sharpness.deviation,
    sizes.profiles,
    views.views,
    solving.convergence,
    solving.assumed,
    origin.inputs,
    origin.again,
)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def write(
    path: str | Path,
    record: Mapping[str, Any],
    result: Any,
    average: ArrayLike | None,
    voxel_size: ArrayLike | None,
    quality: Any = None,
    overwrite: bool = False,
    *,
    poses: Poses | None = None,
    names: Sequence[str] | None = None,
) -> None:
    """Write the page of a run: one HTML file without scripts, which asks for nothing from elsewhere.

    What was not measured, or is not in the record, is said to be so.

    Parameters
    ----------
    path : path
        The file; its suffix is ``.html``.
    record : mapping
        What a command writes to OUT.json; any entry may be missing.
    result : Result
        As `reconstruct`, `refine` or `ab_initio` returns it.
    average : (z, y, x) array_like or None
        As `average` returns it for the same views, to be shown beside the volume.
    voxel_size : float or (float, float, float) or None
        Of both, (z, y, x) in micrometres. None means unknown: lengths are in voxels.
    quality : object, optional
        As `assess` returns it; any part may be None.
    overwrite : bool
        Whether an existing file may be replaced.
    poses : Poses, optional
        Of the views; by default those of the result.
    names : sequence of str, optional
        Of the views; by default those of the poses.

    Raises
    ------
    TypeError
        If ``record`` is no mapping, or ``result``, ``quality`` or ``poses`` is something else.
    ValueError
        If the average has another shape than the volume, or there are not as many names as poses.
    OSError
        If the file exists already, or its folder is missing or cannot be written in.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import os, tempfile
    >>> import fastmpr
    >>> truth = fastmpr.phantom.centriole((16, 16, 16))
    >>> psf, poses = fastmpr.psf.gaussian((9, 7, 7), sigma=(2, 1, 1)), fastmpr.Poses.random(6, rng=0)
    >>> data = fastmpr.Dataset(fastmpr.simulate(truth, psf, poses), psf, poses)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(folder + "/run.html", {}, fastmpr.reconstruct(data), fastmpr.average(data), 0.1, poses=poses)
    ...     os.listdir(folder)
    ['run.html']
    """
    path = as_path(path)
    check_writable(path, overwrite)
    run = _checked(record, result, average, voxel_size, quality, poses, names, path.with_suffix(".json"))
    with written_whole(path, overwrite) as temporary:
        temporary.write_text(_page(run), encoding="utf-8")


def _checked(
    record: Any, result: Any, average: Any, voxel_size: Any, quality: Any, poses: Any, names: Any, beside: Path
) -> Run:
    """Return the run, or raise an error that names what is wrong with it."""
    if not isinstance(record, Mapping):
        raise TypeError(f"record: found {shown(record)}, need a dict, as a command writes it to OUT.json")
    if not all(hasattr(result, name) for name in ("x", "lam", "nit", "success", "message", "history")):
        raise TypeError(f"result: found {shown(result)}, need what reconstruct, refine or ab_initio returns")
    if quality is not None and not hasattr(quality, "curve"):
        raise TypeError(f"quality: found {shown(quality)}, need what assess returns")
    poses = getattr(result, "poses", None) if poses is None else poses
    if not (poses is None or isinstance(poses, Poses)):
        raise TypeError(f"poses: found {shown(poses)}, need fastmpr.Poses")
    x = as_volume(result.x, "result.x")
    mean = None if average is None else as_volume(average, "average")
    if mean is not None and mean.shape != x.shape:
        raise ValueError(f"average: found shape {mean.shape}, need that of the volume, {x.shape}")
    size = None if voxel_size is None else as_voxel_size(voxel_size)
    called = None if names is None else as_names(names, None if poses is None else len(poses))
    return Run(record, result, mean, size, quality, poses, called, beside)


def _page(run: Run) -> str:
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="generator", content=f"fastmpr {__version__}"),
        tag("title", doubts.title(run)),
        tag("link", rel="icon", href="data:,"),
        tag("style", Html(STYLE)),
    )
    body = tag("body", tag("main", [part(run) for part in _PARTS]), origin.footer(run))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"

"""What a data set holds, made of what it is given: each keyword checked alone, then beside the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._validation import as_voxel_size
from ..geometry.poses import Poses
from ..geometry.symmetry import as_symmetry, is_auto
from .arguments import as_poses, as_psf_places, as_psfs, as_seen
from .keywords import KEYWORDS
from .source import Source
from .wording import assumptions


def fields(particles: Any, psf: Any, poses: Any, **given: Any) -> dict[str, Any]:
    """Return the attributes of a `Dataset`; ``given`` holds all of `KEYWORDS`."""
    source = particles if isinstance(particles, Source) else Source(particles)
    count = len(source)
    if count == 0:
        raise ValueError("particles: found none, need at least one")
    checked = {name: keyword.checked(name, given[name], count) for name, keyword in KEYWORDS.items()}
    _check_voxels(checked)
    axis, centre = as_symmetry(*(checked[name] for name in ("symmetry", "symmetry_axis", "symmetry_centre")))
    psfs, labels = as_psfs(psf), checked["names"]
    matched = as_poses(poses, labels, count)
    if matched is not None:
        matched.in_unit_of(checked["voxel_size"])  # raises where units do not fit
    source = source.seeing(as_seen(checked["seen"], source), checked["outside"])
    if (thread_safe := checked.pop("thread_safe")) is not None:
        source = source.guarded(thread_safe)
    checked |= {
        "psf_of": as_psf_places(checked["psf_of"], count, len(psfs)),
        "symmetry_axis": axis,
        "symmetry_centre": centre,
        "names": labels or (matched.names if matched else None),
        "seen": source.rule[0],
    }
    kept = {KEYWORDS[name].kept_as or name: value for name, value in checked.items()}
    kept |= {"source": source, "psfs": psfs, "poses": matched}
    return kept | {"stated": tuple(assumptions(kept, labels))}


def _check_voxels(checked: dict[str, Any]) -> None:
    """Refuse voxels that do not fit the frame, and the PSF's alone."""
    voxel, psf_voxel = checked["voxel_size"], checked["psf_voxel_size"]
    if checked["frame"] == "model" and voxel is not None and not np.allclose(voxel, min(voxel)):
        raise ValueError(f"voxel_size: found {voxel}, need cubic voxels with frame='model'")
    if psf_voxel is not None and voxel is None:
        raise ValueError("voxel_size: found none beside psf_voxel_size, need both in micrometres")


# ----------------------------------------------------------------------------------------------------
# What is kept beside what changes
# ----------------------------------------------------------------------------------------------------


def kept_beside(changes: dict[str, Any], data: Any) -> dict[str, Any]:
    """Return all that a data set is made of but what changes, so that it means the same beside that."""
    held = vars(data)
    kept = {name: held.get(keyword.kept_as or name) for name, keyword in KEYWORDS.items()}
    kept |= {"particles": data.source, "psf": data.psf, "poses": data.poses} | _lengths_beside(changes, data)
    if "psf" in changes and len(as_psfs(changes["psf"])) != len(data.psfs):
        kept["psf_of"] = None
    if data.poses is not None and "poses" not in changes:
        kept["poses"] = _poses_beside(changes, data)
    return {name: value for name, value in kept.items() if name not in changes}


def _lengths_beside(changes: dict[str, Any], data: Any) -> dict[str, Any]:
    """Return a data set's symmetry and radius, as they mean the same beside a voxel size that becomes known."""
    becomes_known = data.known_voxel is None and changes.get("voxel_size") is not None
    edge = min(as_voxel_size(changes["voxel_size"])) if becomes_known else 1.0
    kept = {"radius": None if data.radius is None else data.radius * edge}
    symmetry, axis = changes.get("symmetry", data.symmetry), data.symmetry_axis
    if symmetry is None or is_auto(symmetry):
        return kept | {"symmetry_axis": None, "symmetry_centre": None}
    if isinstance(axis[0], tuple) and str(symmetry).startswith("C"):  # which has no two-fold axis
        axis = axis[0]
    return kept | {"symmetry_axis": axis, "symmetry_centre": np.multiply(data.symmetry_centre, edge)}


def _poses_beside(changes: dict[str, Any], data: Any) -> Poses:
    """Return a data set's poses, as they mean the same beside other names or a voxel size that becomes known."""
    poses: Poses = data.poses
    names = None if "names" in changes else poses.names  # they are in the order of the particles already
    becomes_known = data.known_voxel is None and changes.get("voxel_size") is not None
    unit = "voxel" if becomes_known and poses.unit is None else poses.unit
    if (names, unit) == (poses.names, poses.unit):
        return poses
    meaning: dict[str, Any] = {"unit": unit, "centre": poses.centre, "two_fold": poses.two_fold}
    return Poses(poses.rotation, poses.translation, names=names, **meaning)

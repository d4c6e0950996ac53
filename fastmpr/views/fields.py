"""What a data set holds, made of what it is given, and told in a line."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validation import as_choice, as_count, as_names, as_positive, as_rng, as_voxel_size, times
from ..geometry.symmetry import as_symmetry, shown_symmetry
from .arguments import as_background, as_gain, as_poses, as_psf_of, as_psfs, as_seen, as_weights, assumptions
from .source import Source


def fields(particles: Any, psf: Any, poses: Any, frame: Any, symmetry: Any, names: Any, **rest: Any) -> dict[str, Any]:
    """Return the fields of a `Dataset`, all arguments checked."""
    source = particles if isinstance(particles, Source) else Source(particles)
    count = len(source)
    if count == 0:
        raise ValueError("particles: found none, need at least one")
    voxel, psf_voxel = (
        None if rest[name] is None else as_voxel_size(rest[name], name) for name in ("voxel_size", "psf_voxel_size")
    )
    frame = as_choice(frame, "frame", ("particle", "model"))
    if frame == "model" and voxel is not None and not np.allclose(voxel, min(voxel)):
        raise ValueError(f"voxel_size: found {voxel}, need cubic voxels with frame='model'")
    if psf_voxel is not None and voxel is None:
        raise ValueError("voxel_size: found none beside psf_voxel_size, need both in micrometres")
    axis, centre = as_symmetry(symmetry, rest["symmetry_axis"], rest["symmetry_centre"])
    psfs = as_psfs(psf)
    labels = None if names is None else as_names(names, count)
    matched = as_poses(poses, labels, count)
    if matched is not None:
        matched.in_unit_of(voxel)  # raises where units do not fit
    outside = as_choice(rest["outside"], "outside", ("auto", "dark", "unseen"))
    source = source.seeing(as_seen(rest["seen"], source), outside)
    return {
        "source": source if rest["thread_safe"] is None else source.guarded(rest["thread_safe"]),
        "psfs": psfs,
        "psf_of": as_psf_of(rest["psf_of"], count, len(psfs)),
        "poses": matched,
        "weights": as_weights(rest["weights"], count),
        "frame": frame,
        "symmetry": symmetry,
        "symmetry_axis": axis,
        "symmetry_centre": centre,
        "names": labels or (matched.names if matched else None),
        "known_voxel": voxel,
        "known_psf_voxel": psf_voxel,
        "seen": source.rule[0],
        "outside": outside,
        "radius": None if rest["radius"] is None else as_positive(rest["radius"], "radius"),
        "background": as_background(rest["background"], count),
        "gain": as_gain(rest["gain"], count),
        "stated": tuple(assumptions(voxel, psf_voxel, psfs, matched, labels, symmetry, axis)),
    }


def described(data: Any) -> str:
    """Return a `Dataset` as text."""
    count = f"{len(data)} particle{'s' * (len(data) != 1)}"
    shape = data.source.known_shape()
    texts = [count + (f" of {times(shape)}" if shape else "")]
    if data.unit == "um":
        texts.append(f"voxels of {times(data.voxel_size)} um")
    if data.psfs:
        several = f"{len(data.psfs)} PSFs" if len(data.psfs) > 1 else "PSF"
        texts.append(f"{several} of {times(data.psfs[0].shape)}")
    else:
        texts.append("no PSF")
    texts.append("with poses" if data.poses is not None else "no poses")
    if data.symmetry:
        texts.append(shown_symmetry(data.symmetry, data.symmetry_axis, data.symmetry_centre))
    if data.frame == "model":
        texts.append("in the frame of the model")
    return f"<Dataset: {', '.join(texts)}>"


def parts(weights: NDArray, n: Any, rng: Any) -> list[NDArray[np.intp]]:
    """Return the places of views in ``n`` disjoint parts, as equal as can be, drawn at random."""
    if len(weights) < (n := as_count(n, "n", 2)):
        found = f"{n} parts for {len(weights)} particle{'s' * (len(weights) > 1)}"
        raise ValueError(f"n: found {found}, need no more than one each")
    order = as_rng(rng).permutation(len(weights))
    drawn = [np.sort(order[k::n]) for k in range(n)]
    if not all(weights[part].any() for part in drawn):
        raise ValueError("weights: found a part whose views all weigh nothing, need some that weigh more in each")
    return drawn

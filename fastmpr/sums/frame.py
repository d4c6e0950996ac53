"""The padded grid of the model, and the check that the views show the model."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .._messages import warn
from .._validation import Size
from ..runtime.fft import fast_shape
from ..views.dataset import Dataset
from .transfer import energy_radius

_LEAST = 0.1  # of the part of the model that a view would show without translation: less looks like a mistake
_POINTS = (np.arange(5) - 2) / 5  # centres of the fifths of an interval from -1/2 to 1/2


def check_in_frame(data: Dataset, model: Size) -> None:
    """Check that the views show the model, and that the centre of symmetry lies in it; warn of views that hardly show it.

    Raises
    ------
    ValueError
        If no view shows any part of the model (the message gives their distance), or if the centre of symmetry lies outside
        the model.
    """
    extent = np.multiply(model, data.model_voxel)
    if (np.abs(data.symmetry_centre) > extent / 2).any():
        found, most = (" x ".join(f"{length:.4g}" for length in part) for part in (data.symmetry_centre, extent / 2))
        raise ValueError(
            f"symmetry_centre: found {found} from the middle of the model, need at most {most}, where its faces are"
        )
    _check_radius(data)
    if data.frame == "model":
        return
    used = data.used
    if np.abs(data.placed.translation).max() < 0.2 * min(*extent, *np.multiply(data.particle_shape, data.voxel_size)):
        return
    seen = _share_seen(data, extent, data.placed.translation[used])
    outside = used[seen < _LEAST]
    if not len(outside):
        return
    distance = np.linalg.norm(data.placed.translation, axis=1) / data.model_voxel[0]
    hint = "the unit of the translations (Poses(..., unit=...)) or the voxel size may be wrong"
    if not seen.any():
        raise ValueError(
            f"poses: found every view outside the model, the nearest {distance[used].min():.3g} voxels from its centre, "
            f"need the particle inside its image of {' x '.join(map(str, data.particle_shape))} voxels: {hint}"
        )
    named = ", ".join(f"{data.source.name(i)} ({distance[i]:.3g} voxels off)" for i in outside[:3])
    more = f" and {len(outside) - 3} more" if len(outside) > 3 else ""
    warn(f"poses: found less than a tenth of the model in {named}{more}; {hint}")


def _check_radius(data: Dataset) -> None:
    """Warn of a radius that excludes no voxel."""
    corner = 0.5 * float(np.linalg.norm(np.multiply(data.particle_shape, data.voxel_size)))
    farthest = corner + float(np.linalg.norm(data.placed.translation[data.used], axis=1).max(initial=0))
    if data.radius is not None and data.radius >= farthest and data.source.is_new("radius"):
        warn(
            f"radius: found {data.radius:g} (in {data.unit}), which excludes no voxel of the images, whose corners are "
            f"{corner:.4g} from their middle: need the radius of the particle, in the unit of voxel_size"
        )


def _share_seen(data: Dataset, extent: NDArray, translation: NDArray) -> NDArray[np.float64]:
    """Return the part of the model that each view shows, divided by the part that it would show without translation."""
    points = np.stack(np.meshgrid(*(_POINTS * length for length in extent), indexing="ij"), axis=-1).reshape(-1, 3)
    half = 0.5 * np.multiply(data.particle_shape, data.voxel_size)
    rotated = points @ data.placed.matrix[data.used].transpose(0, 2, 1)
    centred, shifted = (
        np.count_nonzero((np.abs(rotated + t) <= half).all(axis=2), axis=1) for t in (0.0, translation[:, None])
    )
    return shifted / np.maximum(centred, 1)


def padded_shape(data: Dataset, model: Size) -> Size:
    """Return a grid with fast FFTs, padded so that light blurred out of the model does not wrap around into it."""
    margin = max(energy_radius(psf, data.psf_voxel_size) for psf in data.psfs) / data.model_voxel[0]
    nz, ny, nx = (n + min(math.ceil(margin), n) if n > 1 else 1 for n in model)
    return fast_shape((nz, ny, nx))

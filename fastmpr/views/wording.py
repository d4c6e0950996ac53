"""A data set in words: its one line in a console, and what was assumed of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .._validation import times
from ..geometry.symmetry import is_odd_dihedral, shown_symmetry
from .seen import Seen


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


def assumptions(kept: Mapping[str, Any], names: Any) -> list[str]:
    """Say what nothing was said about, by what a data set keeps and the names that the particles were given."""
    voxel, poses, axis = kept["known_voxel"], kept["poses"], kept["symmetry_axis"]
    found = []
    if voxel is None:
        found.append("voxel size: not known, so lengths are in voxels, and these are cubes")
    if kept["psfs"] and kept["known_psf_voxel"] is None:
        found.append("PSF's voxel size: not known, so the particles'")
    if poses is not None and not (names and poses.names):
        found.append("poses: not matched by name, so in the order of the particles")
    if poses is not None and poses.unit not in (None, "voxel") and voxel == (1, 1, 1):
        found.append("voxel size: 1 um on all sides, as some programs write that do not know it")
    odd = is_odd_dihedral(kept["symmetry"])
    if poses is not None and poses.two_fold == "x" and not isinstance(axis[0], tuple) and odd:
        found.append("symmetry: the two-fold axis not given, so as in RELION: x where the other is z")
    return found


SHOWN = {
    "rises": "background: not said, and it rises to one side of the images, so a plane is fitted (background=0.2: no)",
    "loses_light": "outside: not said, and light leaves the images through their faces, so what lies beyond is taken for "
    "unseen (outside='dark': it is dark)",
}  # by a few views, by the name of the Dataset's attribute


def crops_text(crops: dict[str, Seen], shape: Sequence[int] | None) -> list[str]:
    """Say which particles were taken for crops, and of which others some was taken for unseen."""
    image = f" of {times(shape)}" if shape else ""
    texts = []
    for name, seen, others in _first_of({name: seen for name, seen in crops.items() if seen.bits is None}):
        texts.append(
            f"seen: not said, so {name}{others} are taken for crops ({times(seen.shape)}{image}), and what surrounds them "
            "for unseen (seen='all': it was seen)"
        )
    for name, seen, others in _first_of({name: seen for name, seen in crops.items() if seen.bits is not None}):
        texts.append(
            f"seen: not said, so of {name}{others} what fills regions of one value, or repeats other planes, is taken for "
            f"unseen ({seen.voxels} voxels{image} were seen; seen='all': all were)"
        )
    return texts


def _first_of(some: dict[str, Seen]) -> Iterator[tuple[str, Seen, str]]:
    """Yield the first of some particles, and how many more there are; nothing of none."""
    for name, seen in itertools.islice(some.items(), 1):
        yield name, seen, f" and {len(some) - 1} more" if len(some) > 1 else ""

"""The usual mistakes, each with a cure that undoes it. To add a mistake, add a cure to one of these lists."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from .._validation import Vector
from ..geometry.symmetry import Axes, is_odd_dihedral
from ..views.types import BackgroundWord
from .pose_mistakes import of_angles, of_poses
from .setup import MARGIN, Cure, Setup

_WIDTH_MARGIN = 1.01  # noise alone, or a PSF that is 3 % off, prefers another width by 1.007
_HAZE_MARGIN = 1.5  # for a sloping background where the PSF carries light out of the images: haze looks like a slope
_MOVES = ((1, 0, 0), (-1, 0, 0), (2, 0, 0), (-2, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1))


def cures_of(setup: Setup) -> Iterator[Cure]:
    """Yield all cures that can be tried on a setup."""
    yield from of_poses(setup)
    yield from of_angles(setup)
    yield from _of_stacks(setup)
    yield from _of_psfs(setup)
    yield from _of_symmetry(setup)


def _of_stacks(setup: Setup) -> Iterator[Cure]:
    """Yield cures for mistakes in the particles' stacks."""
    for axis, name in enumerate("zyx"):
        yield _stacks(
            f"stacks mirrored along {name}",
            f"the stacks were written upside down along {name}, so they are mirror images",
            f"np.flip(view, {axis})",
            partial(np.flip, axis=axis),
        )
    shape = setup.given.particle_shape
    if shape == shape[::-1]:
        mistake = "the stacks were written in the order x, y, z"
        yield _stacks("stacks' axes reversed", mistake, "np.transpose(view)", np.transpose)
    yield _contrast(setup)
    margin = _HAZE_MARGIN if setup.cuts_psf else MARGIN
    other: BackgroundWord = "auto" if isinstance(setup.background, str) and setup.background == "plane" else "plane"
    yield Cure(
        "background a plane" if other == "plane" else "background a constant",
        f"the background behind the particles {'rises in one direction' if other == 'plane' else 'is a constant'}",
        f'data = data.replace(background="{other}")',
        lambda now: replace(now, background=other),
        margin=margin,
        of_light=True,
    )


def _stacks(name: str, mistake: str, code: str, step: Callable[[NDArray], NDArray]) -> Cure:
    """Return a cure that applies a step to every particle."""
    lines = (
        f"views = [data.read(i) for i in range(len(data))]\ndata = data.replace(particles=[{code} for view in views])"
    )
    return Cure(name, mistake, lines, lambda now: replace(now, steps=(*now.steps, step)))


def _contrast(setup: Setup) -> Cure:
    """Return the cure that inverts the contrast."""
    level = '"auto"' if isinstance(setup.background, str) else "-data.background"
    lines = "views = [-data.read(i) for i in range(len(data))]\n"
    lines += f"data = data.replace(particles=views, background={level})"

    def undo(now: Setup) -> Setup:
        background: BackgroundWord | NDArray = "auto" if isinstance(now.background, str) else -now.background
        return replace(now, steps=(*now.steps, np.negative), background=background)

    return Cure("contrast inverted", "the particles are dark on bright", lines, undo, of_light=True)


def _of_psfs(setup: Setup) -> Iterator[Cure]:
    """Yield cures for mistakes in the PSF.

    If the PSF carries much light out of the images, another width is tried but never named: the wider the PSF, the more its
    fit lacks the light beyond the edges, which nobody saw.
    """
    margin = math.inf if setup.cuts_psf else _WIDTH_MARGIN
    for factor in (0.7, 1.4):
        yield Cure(
            f"PSF {factor} as wide",
            f"the PSF is about {factor} times as wide as the one given (its voxel size, or the optics)",
            "data = data.replace(voxel_size=data.voxel_size, "
            f"psf_voxel_size=[{factor} * side for side in data.psf_voxel_size])",
            partial(_scaled, factor=factor),
            margin=margin,
        )
    for axis, name in ((2, "x"), (1, "y")):
        mistake = f"the PSF's stack has the optical axis along {name}"
        code = f"np.swapaxes(psf, 0, {axis})"
        yield _psfs(f"PSF's z and {name} swapped", mistake, code, partial(np.swapaxes, axis1=0, axis2=axis))
    for move in _MOVES:
        pads = [(2 * max(step, 0), 2 * max(-step, 0)) for step in move]
        mistake = f"the PSF lies {tuple(-step for step in move)} voxels (z, y, x) from its centre"
        yield _psfs(f"PSF moved by {move}", mistake, f"np.pad(psf, {pads})", partial(np.pad, pad_width=pads))


def _scaled(setup: Setup, factor: float) -> Setup:
    return replace(setup, psf_scale=setup.psf_scale * factor)


def _psfs(name: str, mistake: str, code: str, change: Callable[[NDArray], NDArray]) -> Cure:
    """Return a cure that applies a change to every PSF."""
    lines = f"data = data.replace(psf=[{code} for psf in data.psfs])"
    return Cure(name, mistake, lines, lambda now: replace(now, psfs=tuple(change(psf) for psf in now.psfs)))


def _of_symmetry(setup: Setup) -> Iterator[Cure]:
    """Yield other axes and centres for the given symmetry."""
    if setup.given.symmetry is None:
        return
    for axis, name in (((1.0, 0.0, 0.0), "z"), ((0.0, 1.0, 0.0), "y"), ((0.0, 0.0, 1.0), "x")):
        yield Cure(
            f"symmetry about {name}",
            f"the axis of symmetry lies along {name} of the model",
            f"data = data.replace(symmetry_axis={axis})",
            partial(_about, axis=axis),
        )
    if is_odd_dihedral(setup.given.symmetry):  # an even n has two-fold axes along both y and x
        for two_fold, name in (((0.0, 1.0, 0.0), "y"), ((0.0, 0.0, 1.0), "x")):
            axes = ((1.0, 0.0, 0.0), two_fold)
            yield Cure(
                f"two-fold axis along {name}",
                f"the particle has a two-fold axis along {name} of the model, and its main axis along z",
                f"data = data.replace(symmetry_axis={axes})",
                partial(_about, axis=axes),
            )
    yield Cure(
        "symmetry about the middle",
        "the axis of symmetry passes through the middle of the model",
        "data = data.replace(symmetry_centre=(0, 0, 0))",
        lambda now: replace(now, symmetry_centre=(0.0, 0.0, 0.0)),
    )


def about_light(centre: Vector) -> Cure:
    """Return the cure that puts the axis of symmetry through the centre of light."""
    z, y, x = (round(length, 6) for length in centre)
    centre = z, y, x
    return Cure(
        "symmetry about the light's centre",
        f"the axis of symmetry passes through {centre} from the middle of the model, the centre of light",
        f"data = data.replace(symmetry_centre={centre})",
        lambda now: replace(now, symmetry_centre=centre),
    )


def _about(setup: Setup, axis: Axes) -> Setup:
    return replace(setup, symmetry_axis=axis)

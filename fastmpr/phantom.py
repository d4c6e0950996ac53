"""Test particles, a centriole and a nuclear pore, built from published dimensions."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import roots_legendre

from ._validation import Size, Vector, as_float_dtype, as_shape, as_voxel_size, shown
from .runtime.limits import check_memory

_LEAST_VOXEL = 1e-4  # micrometres: an atom's radius
_FILL = 0.7  # share of the box that a particle takes if no voxel size is given


class _Strand(NamedTuple):
    """A strand with a Gaussian cross-section, repeated on each part of a particle.

    An end is (height in nm, angle in degrees, radius in nm). All three change linearly from end to end, so
    a strand is a straight line, an arc or a helix.
    """

    start: tuple[float, float, float]
    end: tuple[float, float, float]
    width: float  # standard deviation of the cross-section in nm
    density: float = 1.0  # on the strand's axis, before the blur by the voxel
    parts: tuple[int, ...] | None = None  # the parts of the particle that have the strand; None means all


class _Particle(NamedTuple):
    """Strands, repeated ``fold`` times around the axis, and the size of the particle in nm."""

    fold: int
    bottom: float
    top: float
    diameter: float
    strands: list[_Strand]


_CENTRIOLE = _Particle(
    fold=9,
    bottom=-225,
    top=225,
    diameter=400,
    strands=[
        # tubules A, B and C, 22 nm apart; at 45 degrees to the tangent below, at 30 above; C ends early
        _Strand((-225, 0, 76), (225, -8, 74), width=7),
        _Strand((-225, -10, 93), (225, -21, 87), width=7),
        _Strand((-225, -16, 112), (110, -28, 105), width=7),
        # cartwheel: a hub and its spokes, in layers
        *(_Strand((z, 0, 11), (z, -40, 11), width=5, density=0.6) for z in range(-215, -110, 17)),
        *(_Strand((z, 0, 11), (z, 0, 70), width=5, density=0.6) for z in range(-215, -110, 17)),
        # distal appendages, then subdistal ones
        _Strand((170, -14, 95), (200, -20, 185), width=9),
        _Strand((100, -22, 110), (110, -22, 185), width=12, parts=(0, 1, 3)),
    ],
)

_NUCLEAR_PORE = _Particle(
    fold=8,
    bottom=-98,
    top=60,
    diameter=130,
    strands=[
        # nuclear and cytoplasmic ring: arcs, head to tail; half a turn takes one ring to the other
        _Strand((-34, 0, 54), (-24, 50, 44), width=6),
        _Strand((34, 0, 54), (24, -50, 44), width=6),
        # spokes of the inner ring, in two layers; half a turn takes one layer to the other
        _Strand((-5, -8, 24), (-12, 8, 46), width=6),
        _Strand((5, 8, 24), (12, -8, 46), width=6),
        # cytoplasmic filaments
        _Strand((34, 10, 50), (56, 10, 28), width=4),
        # nuclear basket: struts and the distal ring
        _Strand((-34, 20, 46), (-94, 20, 24), width=4),
        _Strand((-94, 0, 24), (-94, 45, 24), width=4),
        # two cargoes, one on a filament and one in the basket
        _Strand((40, 10, 48), (52, 10, 48), width=9, parts=(0,)),
        _Strand((-72, 20, 14), (-56, 20, 24), width=9, parts=(2,)),
    ],
)


def centriole(shape: int | Size, *, voxel_size: ArrayLike | None = None, dtype: Any = np.float32) -> NDArray:
    """Build a centriole: a barrel of nine triplets of microtubules, with its axis along z.

    Parameters
    ----------
    shape : int or (int, int, int)
        Size (z, y, x) in voxels; one number means a cube.
    voxel_size : float or (float, float, float), optional
        Size of a voxel (z, y, x) in micrometres. By default voxels are cubes, so large that the particle takes
        70 % of the box along the axis with the least room: 10 nm at (64, 64, 64).
    dtype : numpy.float32 or numpy.float64
        Dtype of the result.

    Returns
    -------
    ndarray
        Values from 0 to 1. The middle of the barrel is at (size - 1) / 2 on each axis. Every detail is blurred
        by a Gaussian with a standard deviation of one voxel, so that splines resample it well.

    Raises
    ------
    ValueError
        If ``shape`` or ``voxel_size`` is not positive, if voxels are larger than the particle or so small that
        no part of it is in the box, or if ``dtype`` is neither float32 nor float64.
    MemoryError
        If the memory that this process may use is too small for the volume.

    Notes
    -----
    The barrel is 450 nm long and 250 nm wide [1]_ [2]_. Its triplets form a pinwheel, inclined by about 40
    degrees to the tangent [3]_: seen along +z, with x to the right and y down, they bend counter-clockwise
    outwards. From the proximal end (low z) to the distal end they twist and straighten, and the third tubule
    ends early, which narrows the barrel. At the proximal end is a cartwheel of a hub and nine spokes, in
    layers 17 nm apart [4]_. At the distal end nine appendages point outwards [2]_. So the two ends differ, and
    the particle differs from its mirror image. **Three subdistal appendages, on triplets 0, 1 and 3, break the
    nine-fold symmetry**; real centrioles often lack it too [5]_. Triplet 0 begins at +x, and the others follow
    towards +y.

    References
    ----------
    .. [1] M. Winey and E. O'Toole, Centriole structure, Phil. Trans. R. Soc. B 369, 20130457, 2014.
    .. [2] M. Bowler et al., High-resolution characterization of centriole distal appendage morphology and
       dynamics by correlative STORM and electron microscopy, Nat. Commun. 10, 993, 2019.
    .. [3] D. W. Fawcett, The Cell, 2nd ed., Saunders, 1981, chapter on centrioles.
    .. [4] P. Guichard et al., Cartwheel architecture of Trichonympha basal body, Science 337, 553, 2012.
    .. [5] N. A. Hall and H. Hehnly, A centriole's subdistal appendages: contributions to cell division,
       ciliogenesis and differentiation, Open Biol. 11, 200399, 2021.

    Examples
    --------
    >>> from fastmpr import phantom
    >>> x = phantom.centriole((35, 70, 70))
    >>> x.shape, x.dtype, float(x.max())
    ((35, 70, 70), dtype('float32'), 1.0)
    """
    return _render(_CENTRIOLE, shape, voxel_size, dtype)


def nuclear_pore(shape: int | Size, *, voxel_size: ArrayLike | None = None, dtype: Any = np.float32) -> NDArray:
    """Build a nuclear pore complex: eight-fold rings, spokes, filaments and basket, with its axis along z.

    Parameters
    ----------
    shape : int or (int, int, int)
        Size (z, y, x) in voxels; one number means a cube.
    voxel_size : float or (float, float, float), optional
        Size of a voxel (z, y, x) in micrometres. By default voxels are cubes, so large that the particle takes
        70 % of the box along the axis with the least room: 3.5 nm at (64, 64, 64).
    dtype : numpy.float32 or numpy.float64
        Dtype of the result.

    Returns
    -------
    ndarray
        Values from 0 to 1. The middle of the pore's height is at (size - 1) / 2 along z, its axis at
        (size - 1) / 2 along y and x. Every detail is blurred by a Gaussian with a standard deviation of one
        voxel, so that splines resample it well.

    Raises
    ------
    ValueError
        If ``shape`` or ``voxel_size`` is not positive, if voxels are larger than the particle or so small that
        no part of it is in the box, or if ``dtype`` is neither float32 nor float64.
    MemoryError
        If the memory that this process may use is too small for the volume.

    Notes
    -----
    The core is that of a vertebrate, 120 nm wide [1]_ [2]_ and 80 nm high, around a channel of 40 nm: a nuclear
    ring (low z), an inner ring of eight spokes, and a cytoplasmic ring (high z). The outer rings are arcs
    laid head to tail. Half a turn about an axis across the pore takes one half of the core to the other
    [3]_ [4]_, so the core is chiral. Eight filaments lean inwards on the cytoplasmic side; on the nuclear side
    eight struts end in the ring of a basket 60 nm high [5]_. So the two sides differ, and the particle differs
    from its mirror image. **Two cargoes, one on the filament of part 0 and one in the basket at part 2, break
    the eight-fold symmetry.** Part 0 lies at +x, and the others follow towards +y.

    References
    ----------
    .. [1] M. Stewart, Nuclear pore structure and function, Semin. Cell Biol. 3, 267, 1992.
    .. [2] T. Maimon et al., The human nuclear pore complex as revealed by cryo-electron tomography, Structure
       20, 998, 2012.
    .. [3] J. E. Hinshaw, B. O. Carragher and R. A. Milligan, Architecture and design of the nuclear pore
       complex, Cell 69, 1133, 1992.
    .. [4] A. von Appen et al., In situ structural analysis of the human nuclear pore complex, Nature 526,
       140, 2015.
    .. [5] D. Singh et al., The molecular architecture of the nuclear basket, Cell 187, 5267, 2024.

    Examples
    --------
    >>> from fastmpr import phantom
    >>> x = phantom.nuclear_pore(64, voxel_size=0.004)
    >>> x.shape, x.dtype, float(x.max())
    ((64, 64, 64), dtype('float32'), 1.0)
    """
    return _render(_NUCLEAR_PORE, shape, voxel_size, dtype)


def _render(particle: _Particle, shape: Any, voxel_size: Any, dtype: Any) -> NDArray:
    """Sum the Gaussians of all points on the strands, each blurred by the voxel, and scale the maximum to 1."""
    size, dtype = as_shape(shape), as_float_dtype(dtype)
    voxel = _as_particle_voxel(particle, size, voxel_size)
    points, widths, masses = _points(particle, min(voxel))
    check_memory("shape", size, _peak(size, dtype, len(masses)))
    volume = np.empty(size)
    z, y, x = (_gaussians(points[a], np.hypot(widths, voxel[a]), size[a], voxel[a]) for a in range(3))
    z *= masses
    for row in range(size[1]):
        near = y[row] > 0  # few points are near a row
        volume[:, row] = (z[:, near] * y[row, near]) @ x[:, near].T
    share = volume.sum() * np.prod(voxel) / masses.sum()
    if share < 1e-4:
        raise ValueError(
            f"voxel_size: found {shown(voxel_size)}, too small to show the particle in {size}; need micrometres"
        )
    volume /= volume.max()
    return volume.astype(dtype, copy=False)


def _peak(size: Size, dtype: np.dtype, points: int) -> int:
    """Return the peak memory in bytes: the volume, its float32 copy, the Gaussians, and temporaries on the longest axis."""
    copy = 4 if dtype == np.float32 else 0
    return (8 + copy) * math.prod(size) + 8 * points * (sum(size) + 3 * max(size))


def _as_particle_voxel(particle: _Particle, shape: Size, voxel_size: Any) -> Vector:
    """Return the voxel size in micrometres; by default the size with which the particle fills the box."""
    extent = (particle.top - particle.bottom, particle.diameter, particle.diameter)
    if voxel_size is None:
        return (max(length / n for length, n in zip(extent, shape, strict=True)) / _FILL / 1000,) * 3
    voxel, most = as_voxel_size(voxel_size), max(extent) / 1000
    if not _LEAST_VOXEL <= min(voxel) <= max(voxel) <= most:
        raise ValueError(
            f"voxel_size: found {shown(voxel_size)}, need micrometres, between {_LEAST_VOXEL:g} and the particle's "
            f"{most:g}"
        )
    return voxel


def _points(particle: _Particle, voxel: float) -> tuple[NDArray, NDArray, NDArray]:
    """Sample the strands: positions (3, n) from the particle's middle, widths and masses, in micrometres.

    The samples are Gauss-Legendre nodes, so dense that a blurred strand is smooth and its ends are right.
    """
    samples = []
    for start, end, width, density, parts in particle.strands:
        rise, sweep, reach = np.subtract(end, start)
        length = np.sqrt(rise**2 + reach**2 + (np.deg2rad(sweep) * (start[2] + end[2]) / 2) ** 2)
        nodes, weights = roots_legendre(3 + int(1.5 * length / np.hypot(width, 1000 * voxel)))
        along = (nodes[:, None] + 1) / 2
        part = np.arange(particle.fold) if parts is None else np.array(parts)
        angle = np.deg2rad(start[1] + sweep * along + 360 / particle.fold * part)
        radius = start[2] + reach * along
        height = start[0] + rise * along - (particle.bottom + particle.top) / 2
        mass = density * np.pi * width**2 * length * weights[:, None]
        sample = np.broadcast_arrays(height, radius * np.sin(angle), radius * np.cos(angle), width, mass)
        samples.append(np.reshape(sample, (5, -1)))
    z, y, x, widths, masses = np.concatenate(samples, axis=1)
    return np.stack([z, y, x]) / 1000, widths / 1000, masses / 1000**3


def _gaussians(centres: NDArray, sigmas: NDArray, size: int, voxel: float) -> NDArray:
    """Return a column per Gaussian of unit mass on an axis centred at (size - 1) / 2; values beyond 6 sigma are 0."""
    position = (np.arange(size)[:, None] - (size - 1) / 2) * voxel
    distance = (position - centres) / sigmas
    return np.where(np.abs(distance) < 6, np.exp(-0.5 * distance**2), 0) / (np.sqrt(2 * np.pi) * sigmas)

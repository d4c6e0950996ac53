"""PSFs that are computed: a Gaussian, and Born and Wolf's for a widefield or a confocal microscope."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy  # its parts are slow to import: this loads them at their first use
from numpy.typing import ArrayLike, NDArray

from .._validation import (
    as_flag,
    as_float_dtype,
    as_lengths,
    as_number,
    as_positive,
    as_reals,
    as_shape_or_plane,
    shown,
)
from ..runtime.limits import check_memory

_AIRY_RADIUS = 0.6098349  # of the first dark ring, in wavelength / NA: the first zero of J1 over 2 pi
_MOST_PINHOLE = 100  # Airy units: no microscope has so wide a one, and the tables reach as far as it does
_DEPTH = 4  # zeros on the axis, to either side of the focus, that a PSF holds where no shape is given
_WIDTH = 10  # wavelengths / NA that it reaches aside there: the cone at that depth, and some rings
_RADIAL_STEP = 0.016  # of the tables over r, in wavelength / NA: interpolation then errs by 1e-10 of the peak


def gaussian(
    shape: int | Sequence[int], *, sigma: ArrayLike, voxel_size: ArrayLike = 1.0, dtype: Any = np.float32
) -> NDArray:
    """Sample a Gaussian at the voxels' centres.

    Parameters
    ----------
    shape : int, (int, int, int) or (int, int)
        Size (z, y, x) in voxels, or (y, x) for a plane; one number means a cube.
    sigma : float, (float, float, float) or (float, float)
        Standard deviation along each axis of ``shape``, in the unit of ``voxel_size``, or in voxels without it.
    voxel_size : float, (float, float, float) or (float, float)
        Size of a voxel along each axis of ``shape``.
    dtype : numpy.float32 or numpy.float64
        Of the result.

    Returns
    -------
    ndarray
        Non-negative, centred at ``size // 2`` on each axis, of sum 1.

    Raises
    ------
    ValueError
        If a size or a length is not positive, or for another ``dtype``.
    MemoryError
        If the PSF cannot fit into what this process may use.

    Examples
    --------
    >>> from fastmpr import psf
    >>> h = psf.gaussian((43, 69, 69), sigma=(0.5, 0.1, 0.1), voxel_size=0.05)
    >>> h.shape, h.dtype, round(float(h.sum()), 5)
    ((43, 69, 69), dtype('float32'), 1.0)
    >>> psf.gaussian((69, 65), sigma=1.5).shape  # for images of two dimensions
    (69, 65)
    """
    size, dtype = as_shape_or_plane(shape), as_float_dtype(dtype)
    sigmas, voxel = as_lengths(sigma, "sigma", len(size)), as_lengths(voxel_size, "voxel_size", len(size))
    check_memory("shape", size, _bytes(8, dtype) * math.prod(size))
    offsets = _offsets(size, voxel)
    first, *others = np.ix_(*(np.exp(-0.5 * (u / s) ** 2) for u, s in zip(offsets, sigmas, strict=True)))
    return _normalised(math.prod(others, start=first), dtype)


def born_wolf(
    shape: int | Sequence[int] | None = None,
    *,
    voxel_size: ArrayLike,
    wavelength: float,
    na: float,
    refractive_index: float = 1.515,
    confocal: bool = False,
    excitation_wavelength: float | None = None,
    pinhole: float = 0.0,
    dtype: Any = np.float32,
) -> NDArray:
    r"""Compute the scalar PSF of Born and Wolf, for a widefield or a confocal microscope.

    At the distance r from the optical axis and z from the focus, light of one wavelength has the intensity

    .. math:: h(r, z) = \left| 2 \int_0^1 J_0(v \rho)\, e^{-i u \rho^2 / 2}\, \rho\, d\rho \right|^2, \qquad
              v = \frac{2 \pi}{\lambda} \mathrm{NA}\, r, \quad u = \frac{2 \pi}{\lambda n} \mathrm{NA}^2 z

    Its dark rings in focus are Airy's (the first at 0.61 lambda / NA), its zeros on the axis lie at multiples
    of 2 n lambda / NA^2. A confocal PSF is the product of the excitation's h and the emission's, the latter
    averaged over the pinhole.

    Parameters
    ----------
    shape : int, (int, int, int) or (int, int), optional
        Size (z, y, x) in voxels, or (y, x) for the plane in focus; one number means a cube. By default the PSF
        reaches to the fourth zero on the axis to either side of the focus, and 10 wavelengths / NA aside.
    voxel_size : float, (float, float, float) or (float, float)
        Size of a voxel along each axis of ``shape``, in micrometres. Without ``shape``, (y, x) means the plane in focus.
    wavelength : float
        Of the emission in vacuum, in micrometres.
    na : float
        Numerical aperture, below ``refractive_index``.
    refractive_index : float
        Refractive index of the medium. The formula has only one, so there is no spherical aberration. This is right for an
        oil objective with a matching mounting medium, hence the default. Use 1.33 for a water-immersion objective, 1 for a
        dry one.
    confocal : bool
        Whether the sample is scanned by a focused laser and seen through a pinhole.
    excitation_wavelength : float, optional
        Laser wavelength of a confocal microscope, in micrometres; by default the emission wavelength.
    pinhole : float
        Diameter of a confocal microscope's pinhole in Airy units, 1.22 lambda / NA of the emission. 0 is an
        ideal point.
    dtype : numpy.float32 or numpy.float64
        Of the result, which is computed in float64.

    Returns
    -------
    ndarray
        Non-negative, centred at ``size // 2`` on each axis, sampled at the voxels' centres. Of sum 1: what
        falls outside of ``shape`` is left out.

    Raises
    ------
    ValueError
        If a length is not positive or clearly not in micrometres, ``na`` is not below ``refractive_index`` or that
        above 4, ``pinhole`` is not from 0 to 100, a confocal option comes without ``confocal=True``, or for another
        ``dtype``.
    MemoryError
        If the PSF, or the tables that it is made of, cannot fit into what this process may use.

    Notes
    -----
    The model and its paraxial phase are those of [1]_, the confocal product that of [2]_. The phase is the
    first term of n - sqrt(n^2 - NA^2 rho^2): at high NA a real PSF is shorter along z, by a factor of up to
    1.45 for NA 1.4 in oil.

    References
    ----------
    .. [1] M. Born and E. Wolf, Principles of Optics, 7th ed., Cambridge University Press, 1999, section 8.8.
    .. [2] T. Wilson and C. Sheppard, Theory and Practice of Scanning Optical Microscopy, Academic Press,
       1984.

    Examples
    --------
    >>> from fastmpr import psf
    >>> h = psf.born_wolf((43, 69, 69), voxel_size=0.05, wavelength=0.52, na=1.4, confocal=True, pinhole=1)
    >>> h.shape, h.dtype, round(float(h.sum()), 5)
    ((43, 69, 69), dtype('float32'), 1.0)
    >>> psf.born_wolf((69, 65), voxel_size=0.1, wavelength=0.52, na=1.49).shape  # in focus: images of two dimensions
    (69, 65)
    >>> psf.born_wolf(voxel_size=(0.2, 0.1, 0.1), wavelength=0.52, na=1.4).shape  # as large as it need be
    (35, 77, 77)
    """
    dtype, given = as_float_dtype(dtype), None if shape is None else as_shape_or_plane(shape)
    dimensions = len(given) if given else 2 if as_reals(voxel_size, "voxel_size", "lengths").shape == (2,) else 3
    voxel = as_lengths(voxel_size, "voxel_size", dimensions)
    emission = _as_wavelength(wavelength, "wavelength")
    excitation = emission
    if excitation_wavelength is not None:
        excitation = _as_wavelength(excitation_wavelength, "excitation_wavelength")
    na, index = _as_lens(na, refractive_index)
    _check_sampling(voxel, emission / na, index / na)
    pinhole = _as_pinhole(confocal, pinhole, excitation_wavelength)
    size = given or _reached(voxel, emission, na, index)
    disc = pinhole * _AIRY_RADIUS * emission / na
    step = _RADIAL_STEP * min(emission, excitation) / na
    _check_room(size, voxel, dtype, disc, step, index / na)

    *z, y, x = (np.abs(u) for u in _offsets(size, voxel))
    depth, plane = np.unique(z or [0.0], return_inverse=True)  # a PSF is symmetric about its focus
    distance = np.hypot(y[:, None], x)
    radius = step * np.arange(np.ceil((distance.max() + disc) / step) + 6)

    table = _intensity(radius, depth, emission, na, index)
    if confocal:
        table = _average_over_disc(radius, table, disc) if pinhole > 1e-3 else table  # less is a point, to 1e-6
        table = table * _intensity(radius[: len(table)], depth, excitation, na, index)
    planes = scipy.interpolate.make_interp_spline(radius[: len(table)], table, k=5)(distance)
    return _normalised(np.moveaxis(planes[..., plane.ravel()], -1, 0).reshape(size), dtype)


def _reached(voxel: Sequence[float], wavelength: float, na: float, index: float) -> tuple[int, ...]:
    """Return the shape that `born_wolf` chooses: the planes that it holds leave out a few hundredths of their light."""
    aside = _WIDTH * wavelength / na
    reaches = (_DEPTH * 2 * index * wavelength / na**2, aside, aside)[-len(voxel) :]
    return tuple(2 * math.ceil(reach / side) + 1 for reach, side in zip(reaches, voxel, strict=True))


def _intensity(radius: NDArray, depth: NDArray, wavelength: float, na: float, index: float) -> NDArray:
    """Evaluate Born and Wolf's h(r, z), a row per radius and a column per depth, to all digits."""
    v = 2 * np.pi / wavelength * na * radius
    u = 2 * np.pi / wavelength * na**2 / index * depth
    # the integrand's phase turns by up to v + u / 2: Gauss needs half a node per radian, and a few more
    nodes, weights = scipy.special.roots_legendre(20 + int(0.5 * (v.max() + u.max())))
    rho = 0.5 * (nodes + 1)
    pupil = weights * rho * np.exp(-0.5j * np.outer(u, rho**2))
    amplitude = scipy.special.j0(np.outer(v, rho)) @ pupil.T
    return amplitude.real**2 + amplitude.imag**2


def _average_over_disc(radius: NDArray, table: NDArray, disc: float) -> NDArray:
    """Average each column of a radial table over discs, around all radii where they stay within it.

    By the divergence theorem a disc's integral is one over its rim: div(g(|p|) p) = h(|p|) where
    g(t) = t^-2 int_0^t h(s) s ds. With t^2 = r^2 + a^2 + 2 r a cos(phi), the average of h over the disc is

        (2 / a) mean over phi of (a + r cos(phi)) g(t)

    which is periodic and smooth in phi, so that the midpoint rule gives all digits.
    """
    flux = scipy.interpolate.make_interp_spline(radius, radius[:, None] * table, k=5).antiderivative()(radius)
    g = np.concatenate([table[:1] / 2, flux[1:] / radius[1:, None] ** 2])
    g_at = scipy.interpolate.make_interp_spline(radius, g, k=5)
    centre = radius[radius + disc <= radius[-1]]
    count = 24 + int(disc / radius[1])  # g oscillates no faster than the intensity, which radius[1] resolves
    total = np.zeros((len(centre), table.shape[1]))
    for cosine in np.cos(np.pi * (np.arange(count) + 0.5) / count):
        rim = np.sqrt(centre**2 + disc**2 + 2 * centre * disc * cosine)
        total += (disc + centre * cosine)[:, None] * g_at(rim)
    return total * 2 / (disc * count)


def _offsets(shape: Sequence[int], voxel_size: Sequence[float]) -> list[NDArray]:
    """Return each axis's distances from the centre of a PSF."""
    return [(np.arange(n) - n // 2) * length for n, length in zip(shape, voxel_size, strict=True)]


def _check_room(
    size: Sequence[int], voxel: Sequence[float], dtype: np.dtype, disc: float, step: float, stretch: float
) -> None:
    """Refuse a shape whose volume, or the tables that it is made of, cannot fit into memory."""
    *deep, height, width = (n // 2 * length for n, length in zip(size, voxel, strict=True))
    depth, radius = sum(deep), math.hypot(height, width) + disc
    radii, depths = radius / step + 6, (1, *size)[-3] // 2 + 1
    nodes = 20 + np.pi * _RADIAL_STEP / step * (radius + depth / stretch)
    tables = 8 * (3 * radii * nodes + 4 * nodes * depths + 5 * radii * depths)
    check_memory("shape", size, max(int(tables), _bytes(12, dtype) * math.prod(size)))


def _bytes(work: int, dtype: np.dtype) -> int:
    """Return how many bytes a voxel takes at the end: those of the work, in float64, and those of a result that is not."""
    return work + (0 if dtype == np.float64 else dtype.itemsize)


def _normalised(volume: NDArray, dtype: np.dtype) -> NDArray:
    """Return a PSF of sum 1 from one in float64, which is lost, without the negative rounding errors of interpolation."""
    np.maximum(volume, 0, out=volume)
    volume /= volume.sum()
    return np.ascontiguousarray(volume, dtype=dtype)


def _as_wavelength(value: float, name: str) -> float:
    """Return a wavelength that can be light's in micrometres."""
    length = as_positive(value, name)
    if not 0.1 <= length <= 10:
        raise ValueError(
            f"{name}: found {shown(value)}, need micrometres between 0.1 and 10, e.g. 0.52 for green light"
        )
    return length


def _as_lens(na: float, refractive_index: float) -> tuple[float, float]:
    """Return a numerical aperture and the larger refractive index."""
    aperture, index = as_positive(na, "na"), as_positive(refractive_index, "refractive_index")
    if index > 4:
        raise ValueError(f"refractive_index: found {shown(refractive_index)}, need at most 4, e.g. 1.515 for oil")
    if aperture >= index:
        raise ValueError(f"na: found {na!r}, need less than refractive_index, which is {refractive_index!r}")
    return aperture, index


def _check_sampling(voxel_size: Sequence[float], resolution: float, stretch: float) -> None:
    """Refuse voxels in nanometres or metres: they hold the whole of a PSF, or next to nothing of it.

    A PSF is ``stretch`` times as long as it is wide.
    """
    z, yx = voxel_size[:-2], voxel_size[-2:]
    least = resolution / 1000
    for lengths, axes, most, what in (
        (yx, "y and x", 2 * _AIRY_RADIUS * resolution, "the Airy disc"),
        (z, "z", 20 * resolution * stretch, "ten times from the focus to the first zero on the axis"),
    ):
        if lengths and not least <= min(lengths) <= max(lengths) <= most:
            raise ValueError(
                f"voxel_size: found {voxel_size}, need micrometres, along {axes} between {least:.2g} "
                f"and {most:.2g} ({what})"
            )


def _as_pinhole(confocal: bool, pinhole: float, excitation_wavelength: float | None) -> float:
    """Return a pinhole's diameter in Airy units."""
    need = f"a diameter in Airy units, from 0 to {_MOST_PINHOLE}"
    diameter = as_number(pinhole, "pinhole", 0, _MOST_PINHOLE, need)
    if not as_flag(confocal, "confocal") and (diameter > 0 or excitation_wavelength is not None):
        raise ValueError(f"confocal: found {confocal!r}, need True where pinhole or excitation_wavelength is given")
    return diameter

"""Samples of a volume on circles about an axis, and means of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import ceil, pi

import numpy as np
from numpy.typing import NDArray

from .._validation import Size, Vector
from ..kernels.spline_coefficients import HORIZON, MARGIN, spline_columns, spline_planes
from ..kernels.spline_sampling import gather

Range = tuple[float, float]
_SLACK = 1e-6  # of a voxel: whether a sample on the face of the box is in it must not depend on rounding
_ENOUGH = 0.5  # share of a circle, or of the circles of a mean, that must lie in the box


@dataclass(frozen=True, eq=False)
class Cylinder:
    """Heights, radii and angles about an axis through a box.

    Attributes
    ----------
    shape : (nz, ny, nx)
        Of the volume.
    voxel : (z, y, x)
        Its voxel size, in any unit of length.
    frame : (3, 3) ndarray
        As columns the unit vectors (z, y, x) along the axis, at angle 0 and at 90 degrees.
    centre : (z, y, x)
        A point of the axis inside the box, from its middle, in the unit of the voxel size. Heights are told from it.
    """

    shape: Size
    voxel: Vector
    frame: NDArray[np.float64]
    centre: Vector

    @cached_property
    def ends(self) -> Range:
        """The heights at which the axis enters and leaves the box."""
        axis, half = self.frame[:, 0], np.multiply(self.shape, self.voxel) / 2
        crossed = np.abs(axis) > 1e-12
        before, beyond = np.sort((np.outer((-1, 1), half) - self.centre)[:, crossed] / axis[crossed], axis=0)
        return float(before.max()), float(beyond.min())

    @cached_property
    def heights(self) -> NDArray[np.float64]:
        """The middles of slices across the axis, about as thick as a voxel: if the axis is z, the planes of the volume."""
        low, high = self.ends
        count = max(1, round((high - low) * float(np.linalg.norm(self.frame[:, 0] / self.voxel))))
        return low + (high - low) * (np.arange(count) + 0.5) / count

    @cached_property
    def thickness(self) -> float:
        """Of a slice."""
        return (self.ends[1] - self.ends[0]) / len(self.heights)

    @cached_property
    def step(self) -> float:
        """Between radii: half the smallest side of a voxel."""
        return min(self.voxel) / 2

    @cached_property
    def angles(self) -> NDArray[np.float64]:
        """In degrees: whole ones, or equal parts of them where a degree is longer than a voxel at the farthest corner."""
        signs = np.stack(np.meshgrid(*[(-1, 1)] * 3), axis=-1).reshape(-1, 3)
        corners = (signs * np.multiply(self.shape, self.voxel) / 2 - self.centre) @ self.frame[:, 1:]
        around = 2 * pi * np.linalg.norm(corners, axis=1).max()
        per_degree = ceil(around / min(self.voxel) / 360)
        return np.arange(360 * per_degree) / per_degree

    @cached_property
    def directions(self) -> NDArray[np.floating]:
        """For each angle the direction across the axis, (angles, 3)."""
        angles = np.radians(self.angles)
        _, first, second = self.frame.T
        return np.cos(angles)[:, None] * first + np.sin(angles)[:, None] * second

    @cached_property
    def reach(self) -> NDArray[np.floating]:
        """How far it is from the axis to the box's face, (angles, nh)."""
        half = np.multiply(self.shape, self.voxel) / 2 - _SLACK * np.array(self.voxel)
        away = np.full((len(self.angles), len(self.heights)), np.inf)
        for k, direction in enumerate(self.directions.T):
            ahead = half[k] - np.sign(direction)[:, None] * (self.centre[k] + self.heights * self.frame[k, 0])
            speed = np.maximum(np.abs(direction), 1e-12)[:, None]
            np.minimum(away, ahead / speed, out=away)
        return away

    @cached_property
    def radii(self) -> NDArray[np.floating]:
        """From 0 to the largest of a circle that is half in the box."""
        return self.step * np.arange(int(np.median(self.reach, axis=0).max() / self.step) + 1)

    # ------------------------------------------------------------------------------------------------
    # Weights of the circles in a mean
    # ------------------------------------------------------------------------------------------------

    def slices(self, heights: Range) -> NDArray[np.float64]:
        """Return how much of each slice lies between two heights, (nh, 1)."""
        low, high = (np.clip(heights[k], *self.ends) for k in (0, 1))
        begin, end = self.heights - self.thickness / 2, self.heights + self.thickness / 2
        return np.clip(np.minimum(end, high) - np.maximum(begin, low), 0, None)[:, None]

    def rings(self, radii: Range) -> NDArray[np.float64]:
        """Return the area between two radii that each circle stands for, (1, nr)."""
        begin, end = np.maximum(self.radii - self.step / 2, max(radii[0], 0)), self.radii + self.step / 2
        return pi * np.clip(np.minimum(end, radii[1]) ** 2 - begin**2, 0, None)[None]

    # ------------------------------------------------------------------------------------------------
    # Samples
    # ------------------------------------------------------------------------------------------------

    def sampled(self, volume: NDArray) -> Iterator[tuple[NDArray, NDArray[np.bool_]]]:
        """Yield for each angle the half plane (nh, nr) of a volume, by cubic splines, and which of it is in the box.

        A sample is in the box if it is in a voxel, up to half a voxel beyond the outermost centres; what is not is 0.
        """
        coefficients, plane = _coefficients(volume), np.zeros((1, len(self.heights), len(self.radii)), volume.dtype)
        up = self.frame[:, 0] / self.voxel
        origin = (np.array(self.shape) - 1) / 2 + np.divide(self.centre, self.voxel) + self.heights[0] * up
        matrix, steps = np.zeros((3, 3)), self.step * self.directions / self.voxel
        matrix[:, 1] = self.thickness * up  # from slice to slice; the last column leads from radius to radius
        for step, reach in zip(steps, self.reach, strict=True):
            matrix[:, 2] = step
            gather(coefficients, matrix, origin, plane, plane.shape[2], np.zeros(3), 0, 1)
            inside = self.radii < reach[:, None]
            yield np.where(inside, plane[0], 0), inside


def _coefficients(volume: NDArray) -> NDArray:
    """Return the coefficients of the cubic spline through the voxels, with the margins that `gather` needs."""
    coefficients = np.pad(volume, MARGIN)
    horizon = HORIZON[volume.dtype.type]
    spline_planes(coefficients, horizon, 0, len(volume))
    spline_columns(coefficients, horizon, 0, coefficients[0].size)
    return coefficients


def means(
    cylinder: Cylinder, volume: NDArray, weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean over each circle (nh, nr), and the weighted mean over each half plane (angles,).

    NaN where less than half of the circle, or of the half plane's weights, is in the box.
    """
    total, count = np.zeros(weights.shape), np.zeros(weights.shape, int)
    around, enough = np.full(len(cylinder.angles), np.nan), _ENOUGH * weights.sum()
    for k, (values, inside) in enumerate(cylinder.sampled(volume)):
        total += values
        count += inside
        seen = np.vdot(weights, inside)
        if seen >= enough:
            around[k] = np.vdot(weights, values) / seen
    total[count < _ENOUGH * len(around)] = np.nan
    return total / np.maximum(count, 1), around


def mean_of(circles: NDArray[np.float64], weights: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Return the weighted mean of circles along an axis, NaN where less than half of the weights is in the box."""
    known = np.isfinite(circles)
    weights = np.broadcast_to(weights, circles.shape)
    seen, total = (weights * known).sum(axis), np.where(known, weights * circles, 0).sum(axis)
    enough = (seen > 0) & (seen >= _ENOUGH * weights.sum(axis))
    return np.where(enough, total / np.where(enough, seen, 1), np.nan)

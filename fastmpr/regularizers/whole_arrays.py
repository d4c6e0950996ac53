"""A regulariser of one's own, from NumPy functions of whole arrays: slower than a compiled one, and as right."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .._validation import Vector, as_choice, as_ratios, shown
from .checks import check_rule

_DERIVATIVES = {
    "gradient": ((0,), (1,), (2,)),
    "hessian": ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)),
}


class WholeArrays:
    """phi(x) = the sum over voxels of ``value`` of the gradient or Hessian of x, by NumPy functions.

    About 20 times slower than `Pointwise`, which compiles the like for one voxel.

    Parameters
    ----------
    operator : {"gradient", "hessian"}
        Forward differences, periodic.
    project : callable
        Of an array (3, ...), the gradient z, y, x, or (6, ...), the entries zz, yy, xx, zy, zx, yx of the Hessian, the last
        three counting twice: the projection on the subgradients of ``value`` at zero, an array of the same shape. It is
        called from several threads, each with some planes.
    value : callable
        Of the same array, to one of shape (...): what is summed, positively homogeneous.
    voxel_size : float or (z, y, x)
        Of the grid, in any unit; only how the sides compare matters.

    Raises
    ------
    ValueError, TypeError
        If they are no such functions, or ``project`` is not the projection that belongs to ``value``: tried on random
        numbers.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmpr
    >>> prior = fastmpr.regularizers.WholeArrays("gradient", lambda v: np.clip(v, -1, 1), lambda v: np.abs(v).sum(axis=0))
    """

    def __init__(self, operator: str, project: Callable, value: Callable, voxel_size: float | Vector = 1.0):
        self._pairs = _DERIVATIVES[as_choice(operator, "operator", tuple(_DERIVATIVES))]
        self.components, self.order = len(self._pairs), len(self._pairs[0])
        for function, name in ((project, "project"), (value, "value")):
            if not callable(function):
                raise TypeError(f"{name}: found {shown(function)}, need a function of an array")
        self.ratios = as_ratios(voxel_size)
        self._project, self._value = project, value
        self._scales = [float(np.prod([self.ratios[axis] for axis in pair])) for pair in self._pairs]
        self._counts = np.array([len(set(pair)) for pair in self._pairs])
        check_rule(_of_numbers(project), _of_numbers(value), self.components, spectral=False)

    def value(self, x: NDArray) -> float:
        """Return phi(D x)."""
        ahead = np.pad(x, ((0, self.order),) * 3, mode="wrap")
        return float(np.sum(self._value(self._differences(ahead, x.shape)), dtype=np.float64))

    def sweep(
        self,
        x: NDArray,
        nx: int,
        state: NDArray,
        v2: NDArray,
        out: NDArray,
        carry: NDArray,
        steps: tuple,
        moves: bool,
        norms: NDArray,
        start: int,
        stop: int,
    ) -> None:
        """Handle the planes of a slab, see `Regularizer`."""
        (nz, ny, width), (relaxation, mu, weight, growth, growth2) = out.shape, steps
        planes = np.arange(start, stop + self.order) % nz
        shape = stop - start, ny, nx
        image = x[start:stop, :ny, :nx]
        s = np.moveaxis(state[start:stop].reshape(stop - start, self.components, ny, width)[..., :nx], 1, 0)
        dx = mu * self._differences(x[planes, : ny + self.order, : nx + self.order], shape)
        v = relaxation * dx + s
        d = np.asarray(self._project(v), v.dtype)
        u, positive = v - d, v2[start:stop, :, :nx]
        self._adjoint(growth * u - d if moves else dx - d, out[start:stop, :, :nx], carry, width)
        if positive.size:
            kept = relaxation * image + np.where(positive > 0, (1 - relaxation) * positive, positive)
            u2, d2 = np.maximum(kept, 0), np.minimum(kept, 0)
            out[start:stop, :, :nx] += weight * (u2 - d2 / growth2 if moves else image - d2)
        if moves:
            s[:] = (1 - relaxation) * growth * u + d
            if positive.size:
                positive[:] = u2 + d2 / growth2
            return
        norms[start:stop] = 0
        for k, product in enumerate(((dx - u) ** 2, dx**2, u * d, d**2)):
            norms[start:stop, k] = np.einsum("c,czyx->z", self._counts, product, dtype=np.float64)
        if positive.size:
            for k, part in enumerate((image - u2, image, u2, d2), 4):
                norms[start:stop, k] = np.sum(part**2, axis=(1, 2), dtype=np.float64)

    def _differences(self, ahead: NDArray, shape: tuple[int, ...]) -> NDArray:
        """Return the components for voxels of a shape, given as many more along each axis as there are differences."""
        found = np.empty((self.components, *shape), ahead.dtype)
        for target, axes, scale in zip(found, self._pairs, self._scales, strict=True):
            part = ahead
            for axis in axes:
                part = np.diff(part, axis=axis)
            target[:] = scale * part[tuple(slice(0, n) for n in shape)]
        return found

    def _adjoint(self, q: NDArray, out: NDArray, carry: NDArray, width: int) -> None:
        """Fill ``out`` with the adjoint of the differences of some planes, and the carry with what the next two lack."""
        _, nz, ny, nx = q.shape
        total = np.zeros((nz + 2, ny, nx), q.dtype)
        for part, axes, scale, count in zip(q, self._pairs, self._scales, self._counts, strict=True):
            part = np.concatenate([scale * count * part, np.zeros((2, ny, nx), q.dtype)])
            for axis in axes:
                part = np.roll(part, 1, axis) - part  # the planes of zeros keep both ends apart
            total += part
        out[:] = total[:nz]
        rows = carry.reshape(2, ny, width)[:, :, :nx]
        rows[0], rows[1] = total[nz + 1], total[nz] + total[nz + 1]


def _of_numbers(function: Callable) -> Callable:
    """Return a function of numbers from one of arrays."""
    return lambda *numbers: np.asarray(function(np.array(numbers).reshape(-1, 1, 1, 1)), float).reshape(-1).squeeze()

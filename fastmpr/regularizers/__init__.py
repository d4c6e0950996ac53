"""Regularisers, by name and as objects: what `solve`, `reconstruct` and the others take as ``regularizer=``.

======================  ==================  ====================================================
name                    object              sum over voxels of
======================  ==================  ====================================================
``"hessian"``           `Hessian`           the nuclear norm of the Hessian
``"tv"``                `TotalVariation`    the length of the gradient
``"tikhonov"``          `Tikhonov`          half the squared length of the gradient, closed form
``"schatten-2"``        `SchattenTwo`       the Frobenius norm of the Hessian
``"schatten-inf"``      `SchattenInfinity`  the largest absolute eigenvalue of the Hessian
======================  ==================  ====================================================

An object may be told the ``voxel_size`` of data whose voxels are not cubes. One of your own is a `Pointwise`, two functions
of the numbers at a voxel, or `WholeArrays`, two NumPy functions.
"""

from __future__ import annotations

import functools
from typing import Any

from .._validation import Vector, as_voxel_size, shown
from .fused import Hessian, TotalVariation
from .pointwise import Pointwise
from .protocol import ClosedForm, Regularizer, axis_symbols, has_closed_form, ratios_of, symbol
from .schatten_infinity import SchattenInfinity
from .schatten_two import SchattenTwo
from .tikhonov import Tikhonov
from .whole_arrays import WholeArrays

__all__ = [
    "KNOWN",
    "ClosedForm",
    "Hessian",
    "Pointwise",
    "Regularizer",
    "SchattenInfinity",
    "SchattenTwo",
    "Tikhonov",
    "TotalVariation",
    "WholeArrays",
    "as_regularizer",
    "axis_symbols",
    "has_closed_form",
    "ratios_of",
    "symbol",
]

KNOWN: dict[str, Any] = {
    "hessian": Hessian,
    "tv": TotalVariation,
    "tikhonov": Tikhonov,
    "schatten-2": SchattenTwo,
    "schatten-inf": SchattenInfinity,
}


def as_regularizer(regularizer: Any, voxel_size: float | Vector = 1.0) -> Any:
    """Return the regulariser of a name, on a grid of some voxels, or the object itself."""
    if has_closed_form(regularizer) or all(
        hasattr(regularizer, name) for name in ("components", "order", "sweep", "value")
    ):
        return regularizer
    if not isinstance(regularizer, str) or regularizer not in KNOWN:
        need = f"one of {', '.join(map(repr, KNOWN))}, or an object of fastmpr.regularizers"
        raise ValueError(f"regularizer: found {shown(regularizer)}, need {need}")
    return _named(regularizer, as_voxel_size(voxel_size))


@functools.lru_cache(maxsize=32)
def _named(name: str, voxel_size: Vector) -> Any:
    return KNOWN[name](voxel_size)

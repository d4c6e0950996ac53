"""User-defined regularisers from functions of one voxel, compiled into the solver's loop."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from .._messages import warn
from .._validation import Vector, as_choice, shown
from ..kernels.jit import JIT_INLINE, njit
from .checks import check_rule
from .fused import Fused

_TAKES = {"gradient": (3,), "hessian": (3, 6)}  # numbers at a voxel


class Pointwise(Fused):
    """phi(x) = the sum over voxels of ``value`` of the gradient or Hessian of x, for a value that is a norm, or like one.

    The functions are compiled at the first solve in a precision (once per process, in 5 to 10 seconds) and run inside the
    solver's own loop. They take and return numbers. Arithmetic, ``abs``, ``math.sqrt`` and ``a if a < b else b`` vectorise
    there; ``min`` does not. Constants with a decimal point take the precision of the volume. Functions that they call must
    be compiled too (``numba.njit``).

    Parameters
    ----------
    operator : {"gradient", "hessian"}
        Forward differences, periodic.
    project : callable
        The projection on the subgradients of ``value`` at zero, its dual unit ball. Of the gradient: ``(z, y, x)`` to three
        numbers. Of the Hessian: three eigenvalues in any order to three numbers, in the same order; or, with six parameters,
        the entries ``(zz, yy, xx, zy, zx, yx)`` to six numbers, the last three counting twice. If you know the proximal map
        of ``value``, this is the identity minus that map.
    value : callable
        Takes the same numbers and returns one, the term of the sum. It must be positively homogeneous: twice the numbers
        give twice the value. Put a constant factor into lam: the solver expects values about as large as the numbers.
    voxel_size : float or (z, y, x)
        Voxel size of the grid, in any unit; only the ratios of the sides matter.

    Raises
    ------
    ValueError, TypeError
        If they are not such functions, or a test on random numbers shows that ``project`` does not belong to ``value``.

    Examples
    --------
    Anisotropic total variation, the sum of the absolute values of all differences:

    >>> import fastmpr
    >>> def project(z, y, x):
    ...     z, y, x = z if z < 1.0 else 1.0, y if y < 1.0 else 1.0, x if x < 1.0 else 1.0
    ...     return z if z > -1.0 else -1.0, y if y > -1.0 else -1.0, x if x > -1.0 else -1.0
    >>> def value(z, y, x):
    ...     return abs(z) + abs(y) + abs(x)
    >>> prior = fastmpr.regularizers.Pointwise("gradient", project, value)
    """

    def __init__(self, operator: str, project: Callable, value: Callable, voxel_size: float | Vector = 1.0):
        takes = _TAKES[as_choice(operator, "operator", tuple(_TAKES))]
        project, value = as_rule(project, "project", takes), as_rule(value, "value", takes)
        if count_of(project) != (count := count_of(value)):
            raise ValueError(f"value: found a function of {count} parameters, need {count_of(project)} like project's")
        check_rule(project, value, count, spectral=operator == "hessian" and count == 3)
        self._functions = project, value
        super().__init__(operator, voxel_size)

    def _rules(self, dtype: Any) -> tuple[Any, Any]:
        project, value = self._functions
        return compiled(project, dtype), compiled(value, dtype)


def as_rule(function: Any, name: str, takes: tuple[int, ...]) -> Callable:
    """Return a plain Python function of as many numbers as there may be."""
    function = getattr(function, "py_func", function)
    if not inspect.isfunction(function):
        raise TypeError(f"{name}: found {shown(function)}, need a Python function of numbers, for Numba to compile")
    if count_of(function) not in takes:
        need = " or ".join(map(str, takes))
        raise ValueError(f"{name}: found a function of {count_of(function)} parameters, need {need}")
    return function


def count_of(function: Any) -> int:
    """Return how many parameters a Python function has."""
    return function.__code__.co_argcount


@functools.cache
def compiled(function: types.FunctionType, dtype: Any) -> Any:
    """Return a function compiled for one precision: its floating-point constants too, or they would widen all else."""
    code = function.__code__
    code = code.replace(co_consts=tuple(dtype(c) if type(c) is float else c for c in code.co_consts))
    narrow = types.FunctionType(code, function.__globals__, function.__name__, None, function.__closure__)
    rule = njit(**JIT_INLINE)(narrow)
    if not numba.config.DISABLE_JIT:
        kind = numba.from_dtype(np.dtype(dtype))
        try:
            rule.compile((kind,) * count_of(function))
        except numba.core.errors.NumbaError as error:
            reason = " ".join(str(error).split())
            raise TypeError(f"{function.__name__}: found what Numba cannot compile ({reason[:300]})") from None
        result = rule.nopython_signatures[-1].return_type
        if any(part != kind for part in getattr(result, "types", [result])):
            warn(
                f"{function.__name__}: found {result} from numbers in {kind}, which is slow; need constants with a point "
                "(2.0 in place of 2)"
            )
    return rule

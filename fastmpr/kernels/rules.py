"""What a regulariser does at a voxel, its rule.

It is a function of three eigenvalues or six entries of a Hessian, or of the three components of a gradient. Where a kernel
is given None, it is that of the nuclear norm or of total variation. One of ours, a `Rule`, is compiled ahead. For somebody
else's compiled function Numba compiles all that takes a rule anew, with that function in it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from numba.core import types
from numba.extending import NativeValue, models, overload, register_model, unbox

from .eigenvalues import clip
from .jit import JIT_INLINE, like, njit


class RuleType(types.Type):
    """What Numba takes for the type of a rule of ours: its name, so that what is compiled for it can be kept."""

    def __init__(self, name: str):
        self.rule = name
        super().__init__(name=f"rule({name})")


class Rule:
    """A function of the numbers at a voxel that has a type of its own."""

    known: dict[str, Rule] = {}

    def __init__(self, function: Callable):
        functools.update_wrapper(self, function)
        self.__name__: str = function.__name__
        self.compiled = njit(**JIT_INLINE)(function)
        name = f"{function.__module__}.{function.__name__}"
        self.known[name] = self
        self._numba_type_ = RuleType(name)

    def __reduce__(self) -> str:
        return self.__name__  # so that another process finds its own

    def __call__(self, *numbers: Any) -> Any:
        """Return what the function makes of numbers."""
        return self.compiled(*numbers)


register_model(RuleType)(models.OpaqueModel)


@unbox(RuleType)
def _nothing(kind, rule, context):
    return NativeValue(context.context.get_dummy_value())


def function_of(rule):
    """Return the compiled function of a rule or of its type, None where it has none of its own."""
    if isinstance(rule, RuleType):
        return Rule.known[rule.rule].compiled
    if isinstance(rule, Rule):
        return rule.compiled
    return None if rule == types.none else getattr(rule, "dispatcher", rule)


def takes_entries(rule):
    """Return whether a rule for Hessians takes their six entries, not their three eigenvalues."""
    function = function_of(rule)
    return function is not None and getattr(function, "py_func", function).__code__.co_argcount == 6


@njit(**JIT_INLINE)
def clip_three(a, b, c):
    """Clip three eigenvalues to [-1, 1]."""
    one = like(1.0, a)
    return clip(a, one), clip(b, one), clip(c, one)


@njit(**JIT_INLINE)
def absolute_sum(a, b, c):
    """The sum of absolute values."""
    return abs(a) + abs(b) + abs(c)


@njit(**JIT_INLINE)
def length(z, y, x):
    """The length of a vector."""
    return math.sqrt(z * z + (y * y + x * x))


def of_three(a, b, c, rule, default):
    """Apply a rule to three numbers."""
    return (function_of(rule) or default)(a, b, c)


@overload(of_three, inline="always")
def _of_three_typed(a, b, c, rule, default):
    function = function_of(rule) or default.dispatcher
    return lambda a, b, c, rule, default: function(a, b, c)


def of_six(zz, yy, xx, zy, zx, yx, rule):
    """Apply a rule to six entries."""
    return function_of(rule)(zz, yy, xx, zy, zx, yx)


@overload(of_six, inline="always")
def _of_six_typed(zz, yy, xx, zy, zx, yx, rule):
    function = function_of(rule)
    return lambda zz, yy, xx, zy, zx, yx, rule: function(zz, yy, xx, zy, zx, yx)


def mixed(z, y, x, keep, mix, grow, cut, rule):
    """Keep v + mix d, and grow v - cut d: d is the projection of a vector v, by default its shortening to a length of 1."""
    function = function_of(rule)
    if function is None:
        shrink = 1 / math.sqrt(max(z * z + (y * y + x * x), 1))
        d = shrink * z, shrink * y, shrink * x
    else:
        d = function(z, y, x)
    pairs = tuple(zip((z, y, x), d, strict=True))
    return tuple(keep * a + mix * b for a, b in pairs) + tuple(grow * a - cut * b for a, b in pairs)


@overload(mixed, inline="always")
def _mixed_typed(z, y, x, keep, mix, grow, cut, rule):
    function = function_of(rule)

    def shortened(z, y, x, keep, mix, grow, cut, rule):
        one, square = like(1.0, z), z * z + (y * y + x * x)
        shrink = one / math.sqrt(square if square > one else one)
        k, kq = keep + mix * shrink, grow - cut * shrink
        return k * z, k * y, k * x, kq * z, kq * y, kq * x

    def projected(z, y, x, keep, mix, grow, cut, rule):
        dz, dy, dx = function(z, y, x)
        kept = keep * z + mix * dz, keep * y + mix * dy, keep * x + mix * dx
        return kept[0], kept[1], kept[2], grow * z - cut * dz, grow * y - cut * dy, grow * x - cut * dx

    return shortened if function is None else projected

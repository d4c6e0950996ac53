"""Numbers in 16 bits, for arrays whose size matters more than their last digits.

A sign, 5 bits of exponent and 10 of mantissa, as IEEE's half precision, but of |v| + 1/32 in place of |v|: zero is exact,
what is much smaller than 1 is as precise as it needs beside numbers of about 1, and there are no subnormals, at which
processors stumble. The largest is 2^27; what exceeds it becomes it.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, overload

_OFFSET = np.float32(1 / 32)
_LARGEST = np.float32(2.0**27 * (1 - 2.0**-11))  # that is not rounded up to 2^27
_BASE = int(_OFFSET.view(np.int32))
_DROPPED = 13  # bits of a float32's mantissa


def packed(value, kept):
    """Return a float32 number as what an array of 16-bit integers keeps, if ``kept`` is one of its elements."""
    if type(kept) is not np.int16:
        return value
    size = np.minimum(np.abs(value) + _OFFSET, _LARGEST)
    code = (int(size.view(np.int32)) - _BASE + (1 << _DROPPED - 1)) >> _DROPPED
    return np.uint16(code | (0x8000 if np.signbit(value) else 0)).view(np.int16)


def unpacked(kept):
    """Return what `packed` was given, rounded; other numbers as they are."""
    if type(kept) is not np.int16:
        return kept
    size = np.int32(((int(kept) & 0x7FFF) << _DROPPED) + _BASE).view(np.float32) - _OFFSET
    return -size if kept < 0 else size


_INT, _FLOAT = ir.IntType(32), ir.FloatType()


@intrinsic
def _pack(typingctx, value):
    def build(context, builder, signature, args):
        bits = builder.bitcast(args[0], _INT)
        size = builder.bitcast(builder.and_(bits, _INT(0x7FFFFFFF)), _FLOAT)
        size = builder.fadd(size, _FLOAT(float(_OFFSET)))
        small = builder.fcmp_ordered("<", size, _FLOAT(float(_LARGEST)))
        size = builder.bitcast(builder.select(small, size, _FLOAT(float(_LARGEST))), _INT)
        code = builder.lshr(builder.sub(size, _INT(_BASE - (1 << _DROPPED - 1))), _INT(_DROPPED))
        sign = builder.and_(builder.lshr(bits, _INT(16)), _INT(0x8000))
        return builder.trunc(builder.or_(code, sign), ir.IntType(16))

    return types.int16(types.float32), build


@intrinsic
def _unpack(typingctx, kept):
    def build(context, builder, signature, args):
        bits = builder.zext(args[0], _INT)
        code = builder.shl(builder.and_(bits, _INT(0x7FFF)), _INT(_DROPPED))
        size = builder.bitcast(builder.add(code, _INT(_BASE)), _FLOAT)
        size = builder.bitcast(builder.fsub(size, _FLOAT(float(_OFFSET))), _INT)
        sign = builder.shl(builder.and_(bits, _INT(0x8000)), _INT(16))
        return builder.bitcast(builder.or_(size, sign), _FLOAT)

    return types.float32(types.int16), build


@overload(packed, inline="always")
def _packed_typed(value, kept):
    if kept == types.int16:
        return lambda value, kept: _pack(value)
    return lambda value, kept: value


@overload(unpacked, inline="always")
def _unpacked_typed(kept):
    if kept == types.int16:
        return lambda kept: _unpack(kept)
    return lambda kept: kept

"""What many kernels do along a row."""

from __future__ import annotations

import math

from .jit import JIT, njit

# Elements that a sweep goes over at a time: loops long enough to pay for their overhead, arrays that stay in a core's second
# cache.
CHUNK = 3200


@njit(**JIT)
def add(target, scale, values):
    """Add scale times the values to the target, along a row."""
    for i in range(target.size):
        target[i] += scale * values[i]


@njit(**JIT)
def copy(source, target):
    """Copy a row."""
    for i in range(target.size):
        target[i] = source[i]


@njit(**JIT)
def inside(start, step, low, high, first, last):
    """Cut the index range [first, last) to those i with low <= start + i step <= high."""
    if step == 0:
        return (first, last) if low <= start <= high else (first, first)
    a, b = (low - start) / step, (high - start) / step
    if a > b:
        a, b = b, a
    # a step of rounding's size puts the ends beyond what an integer holds
    first = int(math.ceil(min(max(a, first), last)))
    return first, max(first, int(math.floor(min(max(b, first - 1), last - 1))) + 1)

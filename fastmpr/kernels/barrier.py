"""Where the members of a team wait a moment for one another."""

from __future__ import annotations

from numba.core import cgutils, types
from numba.extending import intrinsic, overload

from .jit import CACHE, njit

LINE = 8  # int64 per cache line: each member's flag has a line of its own


def _load(flags, index):
    """Read an int64 so that all writes made before its release are seen."""
    return flags[index]


def _store(flags, index, value):
    """Write an int64 so that whoever reads it sees all earlier writes."""
    flags[index] = value


@intrinsic
def _load_acquire(typingctx, flags, index):
    def build(context, builder, signature, args):
        array = context.make_array(signature.args[0])(context, builder, args[0])
        pointer = cgutils.get_item_pointer(context, builder, signature.args[0], array, [args[1]])
        return builder.load_atomic(pointer, "acquire", 8)

    return types.int64(flags, types.intp), build


@intrinsic
def _store_release(typingctx, flags, index, value):
    def build(context, builder, signature, args):
        array = context.make_array(signature.args[0])(context, builder, args[0])
        pointer = cgutils.get_item_pointer(context, builder, signature.args[0], array, [args[1]])
        builder.store_atomic(args[2], pointer, "release", 8)
        return context.get_dummy_value()

    return types.void(flags, types.intp, types.int64), build


@overload(_load, inline="always")
def _load_typed(flags, index):
    return lambda flags, index: _load_acquire(flags, index)


@overload(_store, inline="always")
def _store_typed(flags, index, value):
    return lambda flags, index, value: _store_release(flags, index, value)


@njit(nogil=True, cache=CACHE)
def meet(flags, members, member, generation, patience):
    """Say that a member has come, and wait a moment for the others; return whether they have."""
    _store(flags, member * LINE, generation)
    spins = 0
    for other in range(members):
        while _load(flags, other * LINE) < generation:
            spins += 1
            if spins > patience:
                return False
    return True

"""What a regulariser's rule makes of a chunk of Hessians, and the sum of its values over them."""

from __future__ import annotations

from numba.extending import overload

from .eigenvalue_steps import LEVEL, MEAN, REST, ROOT, SCALE, A, B, C, D, E, F, rest_squares, separated_roots
from .eigenvalues import adjugate, eigenvalues, with_eigenvalues
from .jit import JIT, JIT_SUM, like, njit
from .packing import packed
from .rules import absolute_sum, clip_three, of_six, of_three, takes_entries


@njit(**JIT)
def _project_eigenvalues(work, size, rule):
    for i in range(size):
        root, s, square = work[ROOT + i], work[SCALE + i], work[REST + i]
        first, high, low = eigenvalues(work[MEAN + i], root, square)
        first, high, low = of_three(first, high, low, rule, clip_three)
        work[LEVEL + i], work[SCALE + i], work[REST + i] = with_eigenvalues(first, high, low, root, s, square)


@njit(**JIT)
def _combine_spectra(work, rule, steps, zz, yy, xx, zy, zx, yx, qzz, qyy, qxx, qzy, qzx, qyx):
    """`_combine` where the steps before have found what to put together from A and its adjugate."""
    keep, mix, grow, cut, twice = steps
    for i in range(zz.size):
        a, b, c, d, e, f = work[A + i], work[B + i], work[C + i], work[D + i], work[E + i], work[F + i]
        mean, c0, c1, c2 = work[MEAN + i], work[LEVEL + i], work[SCALE + i], work[REST + i]
        pa, pb, pc, pd, pe, pf = adjugate(work[ROOT + i], a, b, c, d, e, f)
        k0, k1, k2 = keep * mean + mix * c0, mix * c1, keep + mix * c2
        zz[i] = packed(k0 + k1 * pa + k2 * a, zz[i])
        yy[i] = packed(k0 + k1 * pb + k2 * b, yy[i])
        xx[i] = packed(k0 + k1 * pc + k2 * c, xx[i])
        zy[i] = packed(k1 * pd + k2 * d, zy[i])
        zx[i] = packed(k1 * pe + k2 * e, zx[i])
        yx[i] = packed(k1 * pf + k2 * f, yx[i])
        k0, k1, k2 = grow * mean - cut * c0, -cut * c1, grow - cut * c2
        qzz[i], qyy[i], qxx[i] = k0 + k1 * pa + k2 * a, k0 + k1 * pb + k2 * b, k0 + k1 * pc + k2 * c
        k1, k2 = twice * k1, twice * k2
        qzy[i], qzx[i], qyx[i] = k1 * pd + k2 * d, k1 * pe + k2 * e, k1 * pf + k2 * f


@njit(**JIT)
def _combine_entries(work, rule, steps, zz, yy, xx, zy, zx, yx, qzz, qyy, qxx, qzy, qzx, qyx):
    """`_combine` for a rule that takes entries."""
    keep, mix, grow, cut, twice = steps
    for i in range(zz.size):
        mean, d, e, f = work[MEAN + i], work[D + i], work[E + i], work[F + i]
        a, b, c = mean + work[A + i], mean + work[B + i], mean + work[C + i]
        pa, pb, pc, pd, pe, pf = of_six(a, b, c, d, e, f, rule)
        zz[i] = packed(keep * a + mix * pa, zz[i])
        yy[i] = packed(keep * b + mix * pb, yy[i])
        xx[i] = packed(keep * c + mix * pc, xx[i])
        zy[i] = packed(keep * d + mix * pd, zy[i])
        zx[i] = packed(keep * e + mix * pe, zx[i])
        yx[i] = packed(keep * f + mix * pf, yx[i])
        qzz[i], qyy[i], qxx[i] = grow * a - cut * pa, grow * b - cut * pb, grow * c - cut * pc
        qzy[i], qzx[i], qyx[i] = (
            twice * (grow * d - cut * pd),
            twice * (grow * e - cut * pe),
            twice * (grow * f - cut * pf),
        )


def _combine(work, rule, steps, zz, yy, xx, zy, zx, yx, qzz, qyy, qxx, qzy, qzx, qyx):
    """Last step: keep v + mix d, and q = grow v - cut d with its mixed entries times ``twice``; d is the projection of v."""
    last = _combine_entries if takes_entries(rule) else _combine_spectra
    last(work, rule, steps, zz, yy, xx, zy, zx, yx, qzz, qyy, qxx, qzy, qzx, qyx)


@overload(_combine, inline="always")
def _combine_typed(work, rule, steps, zz, yy, xx, zy, zx, yx, qzz, qyy, qxx, qzy, qzx, qyx):
    last = _combine_entries if takes_entries(rule) else _combine_spectra

    def typed(work, rule, steps, zz, yy, xx, zy, zx, yx, qzz, qyy, qxx, qzy, qzx, qyx):
        last(work, rule, steps, zz, yy, xx, zy, zx, yx, qzz, qyy, qxx, qzy, qzx, qyx)

    return typed


@njit(**JIT)
def _project_spectra(work, size, rule):
    """The steps between the first and the last."""
    separated_roots(work, size)
    rest_squares(work, size)
    _project_eigenvalues(work, size, rule)


def _prepare(work, size, rule):
    """`_project_spectra`, where a rule takes eigenvalues."""
    if not takes_entries(rule):
        _project_spectra(work, size, rule)


@overload(_prepare, inline="always")
def _prepare_typed(work, size, rule):
    if takes_entries(rule):
        return lambda work, size, rule: None
    return lambda work, size, rule: _project_spectra(work, size, rule)


@njit(**JIT)
def project_chunk(work, size, rule, steps, first, at, second, to):
    """All but the first step; results go to the six rows of ``first``, from ``at`` on, and of ``second``, from ``to`` on."""
    _prepare(work, size, rule)
    _combine(
        work,
        rule,
        steps,
        first[0, at : at + size],
        first[1, at:],
        first[2, at:],
        first[3, at:],
        first[4, at:],
        first[5, at:],
        second[0, to:],
        second[1, to:],
        second[2, to:],
        second[3, to:],
        second[4, to:],
        second[5, to:],
    )


@njit(**JIT_SUM)
def _sum_spectra(work, size, rule):
    total = like(0.0, work[0])
    for i in range(size):
        first, high, low = eigenvalues(work[MEAN + i], work[ROOT + i], work[REST + i])
        total += of_three(first, high, low, rule, absolute_sum)
    return total


@njit(**JIT)
def _value_of_spectra(work, size, rule):
    separated_roots(work, size)
    rest_squares(work, size)
    return _sum_spectra(work, size, rule)


@njit(**JIT_SUM)
def _value_of_entries(work, size, rule):
    total = like(0.0, work[0])
    for i in range(size):
        mean, d, e, f = work[MEAN + i], work[D + i], work[E + i], work[F + i]
        total += of_six(mean + work[A + i], mean + work[B + i], mean + work[C + i], d, e, f, rule)
    return total


def value_of(work, size, rule):
    """Sum a rule's value over a chunk, after the first step."""
    return (_value_of_entries if takes_entries(rule) else _value_of_spectra)(work, size, rule)


@overload(value_of, inline="always")
def _value_of_typed(work, size, rule):
    last = _value_of_entries if takes_entries(rule) else _value_of_spectra
    return lambda work, size, rule: last(work, size, rule)

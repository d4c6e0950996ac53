"""What `check_regularizer` finds wrong, each with one line."""

from __future__ import annotations

import numpy as np
import pytest

import fastmpr
from fastmpr.regularizers import TotalVariation, WholeArrays
from fastmpr.testing import check_regularizer


class WithoutPlaces(TotalVariation):
    """Its sweep forgets what it owes to the next slab."""

    def sweep(self, *arguments):
        super().sweep(*arguments)
        arguments[5][:] = 0


class Failing(TotalVariation):
    def sweep(self, *arguments):
        raise RuntimeError("two\nlines")


class OtherValue(TotalVariation):
    def __init__(self, change):
        super().__init__()
        self.change = change

    def value(self, x):
        return self.change(super().value(x), x)


def with_attribute(**attributes):
    regularizer = TotalVariation((2, 1, 1))
    vars(regularizer).update(attributes)
    return regularizer


WRONG = {
    "an unknown name": (lambda: "l0", r"regularizer: found 'l0', need one of"),
    "no regulariser": (lambda: object(), r"regularizer: found .*, need one of"),
    "a tenth too little": (
        lambda: OtherValue(lambda v, x: 0.9 * v),
        "found the solver's volume to be no minimiser, for",
    ),
    "the sum of a square": (lambda: OtherValue(lambda v, x: v**2), "found the solver's volume to be no minimiser, for"),
    "a constant that counts": (
        lambda: OtherValue(lambda v, x: v + abs(x.sum())),
        "value: found .* of a constant volume",
    ),
    "negative": (lambda: OtherValue(lambda v, x: -v), "value: found -.*, need a positive number"),
    "a root": (lambda: OtherValue(lambda v, x: v**0.5), "value: found 1.41 times as much for twice the volume"),
    "another in float32": (
        lambda: OtherValue(lambda v, x: v * (1 + (x.dtype == np.float32))),
        "value: found .* in float32 and .* in float64",
    ),
    "the order of a Hessian": (lambda: with_attribute(order=2), "order: found 2, and a value that grows .* order 1.00"),
    "sides of cubes": (lambda: OtherRatios(), "found the solver's volume to be no minimiser"),
    "no carry": (WithoutPlaces, "found the solver's volume to be no minimiser"),
    "an error": (Failing, r"found RuntimeError \(two lines\), need no error"),
}


class OtherRatios(TotalVariation):
    """Its value is that of cubes, its sweep that of long voxels."""

    def __init__(self):
        super().__init__((2, 1, 1))

    def value(self, x):
        return TotalVariation().value(x)


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_in_one_line(name):
    make, message = WRONG[name]
    with pytest.raises(AssertionError, match=message) as caught:
        check_regularizer(make())
    assert "\n" not in str(caught.value)


def test_slabs_that_get_in_each_others_way():
    """The sweep is right on one thread, and forgets the planes of the second slab."""

    class OneThread(TotalVariation):
        def sweep(self, x, *rest):
            *others, start, stop = rest
            if start == 0:
                super().sweep(x, *others, start, stop)

    with pytest.raises(AssertionError, match="from one thread and from two, need a sweep that"):
        check_regularizer(OneThread())


def test_a_regulariser_of_whole_arrays():
    check_regularizer(WholeArrays("gradient", lambda v: np.clip(v, -1, 1), lambda v: np.abs(v).sum(axis=0)))


def test_the_checks_are_found_where_they_are_looked_for():
    assert fastmpr.testing.check_regularizer is check_regularizer

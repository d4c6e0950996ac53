"""What the tests of data sets share: a few views, and sources that count, or go wrong."""

from __future__ import annotations

import numpy as np

import fastmpr
from fastmpr import Dataset, Poses

TRUTH = fastmpr.phantom.centriole((12, 14, 16))
PSF = fastmpr.psf.gaussian((9, 7, 7), sigma=(2, 1, 1))
N = 10
POSES = Poses.random(N, max_translation=1.0, rng=0)
VIEWS = fastmpr.simulate(TRUTH, PSF, POSES, noise_sigma=0.05, rng=0)
DATA = Dataset(VIEWS, PSF, POSES)


class Counting:
    """A source that notes what is read of it."""

    def __init__(self, views=VIEWS):
        self.views, self.reads = views, []

    def __len__(self):
        return len(self.views)

    def __getitem__(self, i):
        assert isinstance(i, int)  # what any sequence takes
        self.reads.append(i)
        return self.views[i]


def same(a: fastmpr.NormalEquations, b: fastmpr.NormalEquations) -> bool:
    return a.energy == b.energy and np.array_equal(a.gram, b.gram) and np.array_equal(a.rhs, b.rhs)


def close(a: fastmpr.NormalEquations, b: fastmpr.NormalEquations) -> bool:
    return all(np.allclose(x, y, rtol=0, atol=1e-5 * np.abs(y).max()) for x, y in ((a.gram, b.gram), (a.rhs, b.rhs)))


class Failing(Counting):
    """A source that goes wrong at particle 3."""

    def __init__(self, wrong):
        super().__init__()
        self.wrong = wrong

    def __getitem__(self, i):
        return self.wrong() if i == 3 else self.views[i]


def fail(error: Exception):
    raise error

"""What is not finite is never a result."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest

import fastmpr

PSF = fastmpr.psf.gaussian((9, 7, 7), sigma=(2, 1, 1))
POSES = fastmpr.Poses.random(9, rng=0)
VIEWS = fastmpr.simulate(fastmpr.phantom.centriole(12), PSF, POSES, noise_sigma=0.03, rng=0)
SUMS = fastmpr.accumulate(VIEWS, PSF, POSES)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("exponent", [-200, -40, -30, -20, -10, 10, 16, 18, 30, 36, 100])
def test_intensities_of_any_size_are_right_or_refused(exponent, dtype):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("error")
        views = VIEWS.astype(dtype) * dtype(10.0**exponent)
    if not (np.isfinite(views).all() and views.any()):
        return
    plain = fastmpr.reconstruct(VIEWS.astype(dtype), PSF, POSES)
    try:
        result = fastmpr.reconstruct(views, PSF, POSES)
    except ValueError as error:
        assert "\n" not in str(error)
        assert "need" in str(error)
        assert abs(exponent) > (10 if dtype == np.float32 else 130)
        return
    np.testing.assert_allclose(result.x / 10.0**exponent, plain.x, atol=1e-3 * plain.x.max())
    assert result.lam * 10.0**exponent == pytest.approx(plain.lam, rel=1e-3)


@pytest.mark.parametrize("lam", [1e-300, 1e-44, 1e-36, 1e30, 1e38, 1e300])
@pytest.mark.parametrize("regularizer", ["hessian", "tv", "tikhonov"])
def test_weights_of_any_size_give_a_finite_volume_or_are_refused(lam, regularizer):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            result = fastmpr.solve(SUMS, lam, regularizer, max_iter=20)
        except ValueError as error:
            assert str(error).startswith("lam: found")
            return
    assert np.isfinite(result.x).all()
    assert lam in (1e-36, 1e30)


@pytest.mark.parametrize("weight", [1e-30, 1e25, 1e30])
def test_weights_of_views_out_of_range_are_refused(weight):
    for function in (fastmpr.reconstruct, lambda *a, **o: fastmpr.select_lam(*[fastmpr.accumulate(*a, **o)] * 2)):
        with pytest.raises(ValueError, match="weights: found"):
            function(VIEWS, PSF, POSES, weights=[weight] * 9)


@pytest.mark.parametrize("factor", [1e-30, 1e25])
def test_sums_out_of_range_are_refused(factor):
    sums = dataclasses.replace(SUMS, gram=SUMS.gram * np.float32(factor))
    for function in (lambda: fastmpr.solve(sums, 1.0), lambda: fastmpr.select_lam(sums, sums)):
        with pytest.raises(ValueError, match=r"(sums|half)\.gram: found values up to"):
            function()


def test_residuals_that_are_not_numbers_do_not_count_as_small():
    """An overflow halfway, forced: the solver must not call it converged."""
    from fastmpr.regularizers import as_regularizer
    from fastmpr.runtime.queue import Turn
    from fastmpr.runtime.threads import Team
    from fastmpr.solver.control import Control
    from fastmpr.solver.iteration import Iteration
    from fastmpr.solver.options import Run, Until
    from fastmpr.solver.quadratic import Quadratic

    iteration = Iteration(Quadratic.of(SUMS), 30.0, as_regularizer("hessian"), None, 1.8, Team(1))
    iteration.residuals = lambda: (np.nan, 0.0)
    control = Control(iteration, Until(100, 2e-3), Run(), Turn(1, bool))
    control.decide(10, True)
    assert not control.converged

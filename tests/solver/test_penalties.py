import math

import numpy as np
import pytest

from fastmpr.solver.penalties import EVERY, Schedule


@pytest.mark.parametrize("order", [1, 2])
def test_intensities_do_not_matter(order):
    """Scaling x by s scales lam, and with it mu, by 1 / s."""
    plain, scaled = Schedule(order, 30.0, 0.1), Schedule(order, 30.0 / 1e4, 0.1 * 1e4)
    for one, other in ((plain.first(), scaled.first()), (plain.fitted(5.0, 0.2), scaled.fitted(5e-4, 2e3))):
        np.testing.assert_allclose(np.multiply(other, 1e4), one, rtol=1e-12)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("curvature", [0.0, 1e-6, 1.0, 1e3, 1e9])
def test_penalties_end_where_they_belong_and_never_jump(order, curvature):
    size, schedule = 0.3, Schedule(order, curvature, 0.5)
    (mu, mu2), steps = schedule.first(), []
    for _ in range(40):
        before = mu
        mu, mu2 = schedule.fitted(mu, size)
        steps.append(mu / before)
        assert 1e-3 * mu <= mu2 <= max(curvature, 1e-3 * mu)
    assert max(steps) <= math.exp(0.2 * EVERY) * (1 + 1e-12)
    assert 1 < mu * size < 16
    assert schedule.fitted(mu, size) == (mu, mu2)


def test_stiffer_problems_end_with_a_smaller_penalty_and_a_larger_ratio():
    ends = []
    for curvature in (1.0, 1e2, 1e4):
        schedule = Schedule(2, curvature, 1.0)
        mu, mu2 = schedule.first()
        for _ in range(40):
            mu, mu2 = schedule.fitted(mu, 1.0)
        ends.append((mu, mu2 / mu))
    assert ends[0][0] > ends[1][0] >= ends[2][0]
    assert ends[0][1] < ends[1][1] < ends[2][1]


def test_a_volume_that_fades_away_does_not_take_the_penalty_with_it():
    schedule = Schedule(2, 1.0, 1.0)
    mu, _ = schedule.first()
    for _ in range(1000):
        mu, mu2 = schedule.fitted(mu, 0.0)
    assert math.isfinite(mu) and mu < 1e6 and mu2 > 0

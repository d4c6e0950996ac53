"""The proximal maps as pyproximal operators, and a whole solve by pyproximal with our parts."""

from __future__ import annotations

import sys
from dataclasses import replace

import naive
import numpy as np
import pytest
import scipy.fft

import fastmpr
from fastmpr.compat.pylops import Hessian
from fastmpr.compat.pyproximal import HessianNuclear, Nonnegative
from fastmpr.compat.scipy import gram

DIMS = (4, 5, 6)
ROOTS = np.sqrt(naive.WEIGHTS)
SIZE = 6 * int(np.prod(DIMS))


@pytest.fixture
def pyproximal():
    return pytest.importorskip("pyproximal", reason="pyproximal is not installed")


def vector(seed=0):
    return 2 * np.random.default_rng(seed).standard_normal(SIZE)


def moreau(operator, x, tau):
    """What x lies from the sum of its two parts: prox_{tau f}(x) + tau prox_{f* / tau}(x / tau)."""
    return np.abs(x - operator.prox(x, tau) - tau * operator.proxdual(x / tau, 1 / tau)).max()


@pytest.mark.slow
@pytest.mark.parametrize("tau", [0.1, 1.0, 7.0])
def test_moreau_holds_with_a_dual_that_is_its_own(pyproximal, tau):
    from pyproximal.utils.moreau import moreau as theirs

    x = vector()
    for operator in (HessianNuclear(DIMS, 0.8), HessianNuclear(DIMS), Nonnegative()):
        assert moreau(operator, x, tau) <= 1e-13 * max(tau, 1)
        assert theirs(operator, x, tau)


@pytest.mark.parametrize("tau", [0.1, 2.0])
def test_a_prox_is_less_than_anything_near_it(pyproximal, tau):
    x, rng = vector(), np.random.default_rng(1)
    operator = HessianNuclear(DIMS, 0.8)
    u = operator.prox(x, tau)
    least = tau * operator(u) + ((u - x) ** 2).sum() / 2
    for size in (1e-3, 1e-1, 1.0):
        for _ in range(20):
            v = u + size * rng.standard_normal(SIZE)
            assert tau * operator(v) + ((v - x) ** 2).sum() / 2 >= least


def test_its_value_is_the_nuclear_norm_of_the_hessian(pyproximal):
    x = np.random.default_rng(0).random(DIMS)
    h = naive.hessian(x)
    value = HessianNuclear(DIMS, 0.8)((ROOTS * h).ravel())
    assert np.isclose(value, 0.8 * naive.nuclear_norm(h), rtol=1e-12)
    for scale in (1e-200, 1e200):
        assert np.isclose(fastmpr.prox.nuclear_norm(scale * h), scale * naive.nuclear_norm(h), rtol=1e-12)


def test_a_constraint_is_held_or_not(pyproximal):
    operator, x = Nonnegative(), vector()
    assert not operator(x)
    assert operator(operator.prox(x, 1.0))


def test_what_they_are_given_stays(pyproximal):
    x = vector()
    kept = x.copy()
    for operator in (HessianNuclear(DIMS), Nonnegative()):
        operator.prox(x, 1.0), operator.proxdual(x, 1.0), operator(x)
    np.testing.assert_array_equal(x, kept)


@pytest.mark.slow
def test_admm_of_pyproximal_with_our_parts_reaches_our_objective(pyproximal):
    pylops = pytest.importorskip("pylops", reason="pylops is not installed")
    shape, lam = (6, 7, 8), 5.0
    s, b, energy = naive.problem(shape, least=0.05)
    sums = fastmpr.NormalEquations(s, b, energy, 4, shape, 1.0)
    ours = fastmpr.solve(sums, lam, max_iter=2000, tol=1e-8)
    # (lam / 2) (c - 2 <b, x> + <x, S x>) is |sqrt(lam S) x - y|^2 / 2 up to a constant.
    root = pylops.aslinearoperator(gram(replace(sums, gram=np.sqrt(lam * s))))
    y = scipy.fft.irfftn(np.sqrt(lam / s) * b, shape).ravel()
    both = pylops.VStack([Hessian(shape), pylops.Identity(y.size)])
    g = pyproximal.VStack([HessianNuclear(shape), Nonnegative()], nn=[6 * y.size, y.size])
    options = {"tau": 0.1, "niter": 100, "iter_lim": 10}
    x, _ = pyproximal.optimization.primal.ADMML2(g, root, y, both, np.zeros(y.size), **options)
    theirs = fastmpr.objective(np.maximum(x, 0).reshape(shape), sums, lam)
    assert abs(theirs - fastmpr.objective(ours.x, sums, lam)) <= 1e-4 * theirs


@pytest.mark.parametrize("make", [lambda: HessianNuclear(DIMS), Nonnegative])
def test_without_pyproximal_it_says_what_to_install(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyproximal", None)
    with pytest.raises(ImportError) as caught:
        make()
    assert str(caught.value) == 'fastmpr.compat.pyproximal needs pyproximal: pip install "fastmpr[pyproximal]"'


def test_errors_name_the_argument(pyproximal):
    with pytest.raises(ValueError, match="^dims: found"):
        HessianNuclear((4, 5))
    with pytest.raises(ValueError, match="^sigma: found -1"):
        HessianNuclear(DIMS, -1)
    with pytest.raises(ValueError, match="^tau: found 0"):
        HessianNuclear(DIMS).prox(vector(), 0)
    with pytest.raises(ValueError, match="^x: found 3 elements"):
        HessianNuclear(DIMS).prox(np.ones(3), 1.0)

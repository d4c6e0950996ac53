"""The misfit beside its plain definition, and what views look like at low resolution."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
from particles import POSES, PSF, VIEWS, N, data_of

import fastmpr
from fastmpr import Dataset, Poses
from fastmpr.diagnosis.glance import Glance
from fastmpr.diagnosis.misfits import Misfit, Trials, predicted
from fastmpr.diagnosis.ranking import Idea, Tried, is_better, unexplained
from fastmpr.diagnosis.setup import Setup
from fastmpr.runtime.stopping import Stop
from fastmpr.sums.symmetrize import symmetrizer

STRENGTHS = (1e-3, 1e-2, 1e-1)


def plain(sums: list, group_of=lambda one: one) -> np.ndarray:
    """Each view's misfit, predicted by a clipped Wiener estimate of the other half, at the best strength."""
    tried = []
    for strength in STRENGTHS:
        left = []
        for i, view in enumerate(sums):
            others = [one for j, one in enumerate(sums) if j % 2 != i % 2]
            total = group_of(sum(others[1:], others[0]))
            x = scipy.fft.irfftn(total.rhs / (total.gram + strength * total.gram.max()), total.shape).clip(0)
            left.append(view.misfit(x))
        tried.append(left)
    return np.array(min(tried, key=sum))


@pytest.mark.parametrize("shape", [(12, 13, 14), (13, 12, 11)])
@pytest.mark.parametrize("symmetry", [None, "C3"])
def test_misfit_by_its_definition(shape, symmetry):
    views = fastmpr.simulate(fastmpr.phantom.centriole(shape, dtype=np.float64), PSF, POSES, noise_sigma=0.1, rng=0)
    sums = [fastmpr.accumulate(views[[i]], PSF, POSES[i]) for i in range(N)]
    turned = symmetrizer(Dataset(views, PSF, POSES, symmetry=symmetry), shape, sums[0].shape)
    found = predicted(sums, turned)
    expected = plain(sums) if turned is None else plain(sums, turned.sums)
    np.testing.assert_allclose(found.left, expected, rtol=1e-9)
    np.testing.assert_allclose(found.energy, [one.energy for one in sums])


class TestGlance:
    def glance(self, data: Dataset) -> Glance:
        return Glance(data, None, Stop("test"))

    def test_small_views_are_as_they_are(self):
        glance = self.glance(data_of())
        np.testing.assert_allclose(glance.views * glance.unit, VIEWS, rtol=1e-6)
        assert glance.voxel_size == data_of().voxel_size

    def test_large_ones_have_wide_voxels_that_show_the_same(self):
        """A smooth particle lies in the same place, and is as large."""
        fine = np.exp(-0.5 * np.square((np.indices((95,) * 3) - 47) / 12).sum(axis=0))
        glance = self.glance(Dataset([fine] * 4, PSF, POSES[:4], voxel_size=0.1))
        n = glance.views.shape[-1]
        assert n < 40
        assert glance.voxel_size[0] * n == pytest.approx(9.5, rel=0.02)
        for axes in ((1, 2), (0, 2), (0, 1)):
            places, light = (np.arange(n) - (n - 1) / 2) * glance.voxel_size[0], glance.views[0].sum(axis=axes)
            assert np.average(places, weights=light) == pytest.approx(0, abs=1e-3)
            assert np.average(places**2, weights=light) ** 0.5 == pytest.approx(1.2, rel=0.03)

    def test_voxels_that_are_long_along_z_stay_so(self):
        views = np.random.default_rng(0).random((4, 10, 90, 90))
        glance = self.glance(Dataset(views, PSF, POSES[:4], voxel_size=(0.9, 0.1, 0.1)))
        assert glance.views.shape[1] == 10
        assert glance.voxel_size[0] == pytest.approx(0.9)
        assert glance.voxel_size[1] == glance.voxel_size[2] > 0.25

    def test_each_particle_is_read_once(self):
        reads = []

        class Source:
            def __len__(self):
                return 40

            def __getitem__(self, i):
                reads.append(i)
                return VIEWS[i % N]

        fastmpr.diagnose(Dataset(Source(), PSF, Poses.random(40, rng=0)))
        assert len(reads) == len(set(reads)) == 16
        assert (min(reads), max(reads)) == (0, 39)

    def test_views_that_show_nothing_are_left_out(self):
        views = VIEWS.copy()
        views[2] = 3
        with pytest.warns(fastmpr.FastmprWarning, match="the same value"):
            glance = self.glance(data_of(views))
        assert 2 not in glance.chosen
        assert len(glance.chosen) == N - 1


def test_all_setups_share_one_grid():
    """A smaller one would cut off noise, and win."""
    trials = Trials(data_of(), 1, None, Stop("test"))
    setup = Setup.of(data_of())
    narrow, wide = (Setup(**{**vars_of(setup), "psf_scale": scale}) for scale in (0.5, 2.0))
    trials.make_room([narrow, wide])
    energies = [trials(one).energy for one in (setup, narrow, wide)]
    np.testing.assert_allclose(energies[1:], energies[:1] * 2, rtol=1e-6)


def vars_of(setup: Setup) -> dict:
    return {name: getattr(setup, name) for name in Setup.__dataclass_fields__}


def tried(left, energy=1.0) -> Tried:
    left = np.asarray(left, float)
    setup = Setup.of(data_of())
    return Tried(Idea((), setup), Misfit(left, np.full(left.shape, energy)), left)


class TestRanking:
    def test_light_that_is_lost_is_unexplained(self):
        """Or what pushes all out of the frame would leave nothing."""
        most = np.array([2.0, 2.0])
        misfits = [
            Misfit(np.array([1.0, 1.0]), most),
            Misfit(np.zeros(2), np.zeros(2)),
            Misfit(np.zeros(2), np.zeros(2)),
        ]
        given, pushed, changed = unexplained(misfits, [False, False, True], most)
        assert (given.sum(), pushed.sum(), changed.sum()) == (2, 4, 0)

    def test_better_is_by_a_margin_and_in_all_views(self):
        other, rng = tried(np.ones(12)), np.random.default_rng(0)
        assert is_better(tried(0.9 + 0.01 * rng.random(12)), other, 1.004)
        assert not is_better(tried(np.full(12, 0.999)), other, 1.004)  # by too little
        assert not is_better(tried(0.98 + 0.3 * rng.standard_normal(12)), other, 1.004)  # by chance

    def test_fewer_views_must_agree_more(self):
        spread = np.array([0.7, 0.9, 0.8, 0.95])
        assert not is_better(tried(spread), tried(np.ones(4)), 1.004)
        assert is_better(tried(np.tile(spread, 4)), tried(np.ones(16)), 1.004)

    def test_nothing_is_better_than_itself(self):
        assert not is_better(tried(np.zeros(8)), tried(np.zeros(8)), 1.0)

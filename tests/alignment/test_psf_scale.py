"""The width of the PSF, found from the views."""

import math
import warnings

import numpy as np
import pytest
from particles_alone import PSF, TRUTH, views_of

import fastmpr
from fastmpr import Dataset, Poses
from fastmpr.diagnosis.psf_width import psf_scale_of
from fastmpr.runtime.stopping import as_stop

STOP = as_stop("test", None, None)


def refined(data):
    """What `refine` finds with the PSF's width, and all that it says."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = fastmpr.refine(data, fit_psf=True)
    return found, " ".join(str(one.message) for one in said)


def wide(factor):
    """The PSF of the views, some times as wide, cut where theirs is."""
    shape = [2 * math.ceil(reach * factor) + 1 for reach in (9, 3, 3)]
    return fastmpr.psf.gaussian(shape, sigma=(2.5 * factor, factor, factor))


@pytest.fixture(scope="module")
def seen():
    return views_of(24, noise=0.015)


class TestThatItIsFound:
    @pytest.mark.parametrize("factor", [0.7, 1.0, 1.5])
    def test_with_true_poses(self, seen, factor):
        scale = psf_scale_of(Dataset(seen[0], wide(factor), seen[1]), None, STOP)
        assert scale * factor == pytest.approx(1, rel=0.06)

    def test_it_is_the_least_misfit_of_halves(self, seen):
        """Against a slow twin: reconstruct one half, and predict the other, voxel by voxel."""
        views, poses = seen

        def left(scale):
            psf, total = wide(1.4 * scale), 0.0
            for own, other in ((0, 1), (1, 0)):
                x = fastmpr.reconstruct(views[own::2], psf, poses[own::2], lam=300, check=False).x
                total += np.square(views[other::2] - fastmpr.simulate(x, psf, poses[other::2])).sum()
            return total

        tried = np.geomspace(0.55, 0.95, 9)
        best = tried[np.argmin([left(scale) for scale in tried])]
        assert psf_scale_of(Dataset(views, wide(1.4), poses), None, STOP) == pytest.approx(best, rel=0.08)

    def test_from_particles_alone(self, seen):
        views, poses = seen
        data = Dataset(views, wide(1.5))
        found = fastmpr.ab_initio(data, fit_psf=True)
        assert found.psf_scale == pytest.approx(1 / 1.5, rel=0.06)
        volumes = [
            fastmpr.reconstruct(views, wide(1.5), poses, voxel_size=1.0, psf_voxel_size=scale, check=False).x
            for scale in (1, found.psf_scale)
        ]
        wrong, right = (fastmpr.metrics.psnr(x, TRUTH) for x in volumes)
        assert right > wrong + 5


class TestThatItIsUsed:
    @pytest.mark.parametrize("voxel", [None, 0.1])
    def test_the_volume_can_be_made_again(self, seen, voxel):
        views, poses = seen
        moved = Poses(poses.rotation, poses.translation * (voxel or 1))
        data = Dataset(views, wide(0.75), moved, voxel_size=voxel)
        found = fastmpr.refine(data, fit_psf=True)
        assert found.psf_scale == pytest.approx(1 / 0.75, rel=0.06)
        assert found.poses.unit == data.unit and np.allclose(found.voxel_size, voxel or 1)
        sides = [found.psf_scale * side for side in data.psf_voxel_size]
        again = data.replace(poses=found.poses, weights=found.weights, gain=found.gains)
        again = again.replace(voxel_size=data.voxel_size, psf_voxel_size=sides)
        assert np.allclose(fastmpr.reconstruct(again).x, found.x, rtol=0, atol=1e-3 * found.x.max())

    def test_a_right_psf_stays_as_it_is(self, seen):
        found = fastmpr.refine(Dataset(seen[0], PSF, seen[1]), fit_psf=True)
        assert found.psf_scale == pytest.approx(1, abs=0.06)

    def test_far_off_is_said(self, seen):
        _, said = refined(Dataset(seen[0][:8], wide(2.4), seen[1][:8]))
        assert "fit_psf: found that the PSF fits best 0.50 times as wide as given" in said

    def test_a_psf_that_leaves_the_images_is_said(self, seen):
        long = fastmpr.psf.gaussian((61, 15, 15), sigma=(8, 1, 1))
        _, said = refined(Dataset(fastmpr.simulate(TRUTH, long, seen[1][:8]), long, seen[1][:8]))
        assert "carries light out of the images" in said

    def test_with_crops_the_psf_stays_as_it_is(self, seen):
        views = seen[0].copy()
        views[:, :4] = np.nan
        found, said = refined(Dataset(views, wide(1.4), seen[1]))
        assert "fit_psf: found that 83 % of an image was seen" in said
        assert found.psf_scale == 1

    def test_with_three_views_the_psf_stays_as_it_is(self, seen):
        found, said = refined(Dataset(seen[0][:3], wide(1.4), seen[1][:3]))
        assert "fit_psf: found 3 views that fit, need 4 or more" in said
        assert found.psf_scale == 1

    def test_a_checkpoint_of_another_width_is_refused(self, seen, tmp_path):
        data = Dataset(seen[0][:8], PSF, seen[1][:8])
        fastmpr.refine(data, checkpoint=tmp_path)
        with pytest.raises(ValueError, match="fits_psf"):
            fastmpr.refine(data, checkpoint=tmp_path, fit_psf=True)

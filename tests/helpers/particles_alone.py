"""Views of a small particle without any symmetry, to find poses of."""

import numpy as np
from scipy import ndimage

import fastmpr
from fastmpr import Poses

PSF = fastmpr.psf.gaussian((19, 7, 7), sigma=(2.5, 1, 1))
SHAPE = (24, 24, 24)


def particle(shape=SHAPE, seed=0):
    """A particle without any symmetry: six balls of several brightness."""
    rng, x = np.random.default_rng(seed), np.zeros(shape)
    for weight in (1, 1.3, 1.6, 2, 2.5, 3):
        place = (np.array(shape) - 1) / 2 + rng.uniform(-0.22, 0.22, 3) * shape
        x[tuple(place.round().astype(int))] = weight
    x = ndimage.gaussian_filter(x, 1.3)
    return (x / x.max()).astype(np.float32)


TRUTH = particle()


def views_of(count, noise=0.05, seed=0, truth=TRUTH, reach=2.0, **options):
    poses = Poses.random(count, max_translation=reach, rng=seed)
    views = fastmpr.simulate(truth, PSF, poses, noise_sigma=noise, rng=seed, **options)
    return views, poses

"""How many iterations the defaults need until the objective is a thousandth of phi above its minimum."""

import functools

import numpy as np

import fastmpr

from .common import PSF_SIGMA, in_float64, sums_of

SHAPE = (24, 48, 48)
ACCURACY = 1e-3  # of the regulariser's value at the optimum
LAMS = {  # by (views, noise over the brightest voxel): of the centriole's best PSNR, among powers of sqrt(10)
    (1, 0.02): 1e4,
    (1, 0.1): 1e3,
    (1, 0.3): 1e2,
    (10, 0.02): 3162.0,
    (10, 0.1): 316.0,
    (10, 0.3): 31.6,
    (100, 0.02): 1e3,
    (100, 0.1): 1e2,
    (100, 0.3): 31.6,
}


@functools.lru_cache(maxsize=2)
def problem(volume, poses, noise):
    """Return the sums of noisy views of a phantom."""
    rng = np.random.default_rng(0)
    x = getattr(fastmpr.phantom, volume)(SHAPE)
    return sums_of(x, fastmpr.Poses.random(poses, rng=rng), PSF_SIGMA, noise, rng)


def goal(sums, lam):
    """Return the objective to reach: the optimum and a little more."""
    best = fastmpr.solve(sums, lam, max_iter=2000, tol=0).x
    optimum, data = fastmpr.objective(best, sums, lam), 0.5 * lam * sums.misfit(best)
    return optimum + ACCURACY * (optimum - data)


class Iterations:
    """At the lam of the best PSNR, at a tenth of it and at ten times it."""

    version = "2"
    params = [["centriole", "nuclear_pore"], [1, 10, 100], [0.02, 0.1, 0.3], [0.1, 1.0, 10.0]]
    param_names = ["volume", "poses", "noise", "factor"]
    unit = "iterations"
    timeout = 300

    def track_iterations(self, volume, poses, noise, factor):
        sums, lam = problem(volume, poses, noise), factor * LAMS[poses, noise]
        exact = in_float64(sums)
        enough = goal(exact, lam)

        def stop_when_there(result):
            if fastmpr.objective(result.x.astype(np.float64), exact, lam) <= enough:
                raise StopIteration

        return fastmpr.solve(sums, lam, max_iter=500, tol=0, callback=stop_when_there).nit

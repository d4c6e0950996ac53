"""How many iterations the defaults need."""

import functools

import numpy as np

import fastmpr

from .common import LAM, in_float64, make_sums

SHAPE = (24, 48, 48)
ACCURACY = 1e-3  # of the regulariser's value at the optimum


@functools.lru_cache(maxsize=1)
def goal(poses, lam):
    """Return the objective to reach: the optimum and a little more."""
    sums = in_float64(make_sums(poses, SHAPE))
    best = fastmpr.solve(sums, lam, max_iter=2000, tol=0).x
    optimum, data = fastmpr.objective(best, sums, lam), 0.5 * lam * sums.misfit(best)
    return optimum + ACCURACY * (optimum - data)


class Iterations:
    version = "1"
    params = [[1, 10, 100], [LAM / 10, LAM, 10 * LAM]]
    param_names = ["poses", "lam"]
    unit = "iterations"
    timeout = 300

    def track_iterations(self, poses, lam):
        sums, enough = make_sums(poses, SHAPE), goal(poses, lam)
        exact = in_float64(sums)

        def stop_when_there(result):
            if fastmpr.objective(result.x.astype(np.float64), exact, lam) <= enough:
                raise StopIteration

        return fastmpr.solve(sums, lam, max_iter=500, tol=0, callback=stop_when_there).nit

"""What one iteration costs: against the number of views, the size, the threads, and its own two FFTs."""

from .common import (
    CUBE,
    SHAPES,
    iteration_seconds,
    iterations_for,
    make_sums,
    median_of,
    ratio_in_turn,
    seconds,
    solve_seconds,
)
from .internals import available_workers, need_workers, own_ffts, plain_ffts


class AgainstPoses:
    """Flat: the iterations never see the views, only their sums."""

    params = [1, 10, 100, 1000]
    param_names = ["poses"]
    unit = "seconds"

    def track_iteration(self, poses):
        sums = make_sums(poses)
        return median_of(5, lambda: iteration_seconds(sums))


class AgainstSize:
    params = [[48, 64, 96, 128, 192, 256], [1, 2, 4, 8]]
    param_names = ["edge", "workers"]
    unit = "seconds"
    timeout = 300

    def setup(self, edge, workers):
        need_workers(workers)

    def track_iteration(self, edge, workers):
        sums = make_sums(4, (edge, edge, edge))
        return median_of(3, lambda: iteration_seconds(sums, workers))


class OverFFTs:
    """An iteration over the two FFTs in it: the solver's own, or ordinary 3-D ones by FFTW's threads."""

    params = [list(SHAPES), ["own", "plain"]]
    param_names = ["shape", "ffts"]
    unit = "ratio"

    def track_ratio(self, name, kind):
        shape, workers = SHAPES[name], min(2, available_workers())
        run = (own_ffts if kind == "own" else plain_ffts)(shape, workers)
        sums, n = make_sums(10, shape), iterations_for(shape)
        return ratio_in_turn(lambda: iteration_seconds(sums, workers), lambda: seconds(run, n) / n)


class ManyPosesOverOne:
    """The same in turn, whole solves of 100 iterations: the figure that must be 1."""

    unit = "ratio"

    def track_ratio(self):
        many, one = make_sums(1000), make_sums(1)
        return ratio_in_turn(lambda: solve_seconds(many, 100), lambda: solve_seconds(one, 100), readings=15)


class TwoWorkersOverOne:
    """The figure that should be a half."""

    unit = "ratio"

    def setup(self):
        need_workers(2)

    def track_ratio(self):
        sums = make_sums(4, CUBE)
        return ratio_in_turn(lambda: iteration_seconds(sums, 2), lambda: iteration_seconds(sums, 1))

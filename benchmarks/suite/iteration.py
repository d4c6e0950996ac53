"""What one iteration costs: against the number of views, the size, the threads, and two plain FFTs."""

import fastmpr

from .common import (
    CUBE,
    SHAPES,
    available_cores,
    fastest_iteration_over,
    iteration_seconds,
    iterations_for,
    make_sums,
    median_of,
    need_workers,
    plain_ffts,
    ratio_in_turn,
    seconds,
    solve_seconds,
)


class AgainstPoses:
    """Flat: the iterations never see the views, only their sums."""

    version = "1"
    params = [1, 10, 100, 1000]
    param_names = ["poses"]
    unit = "seconds"
    repeat = (3, 10, 5.0)

    def setup(self, poses):
        self.sums = make_sums(poses)
        solve_seconds(self.sums, 1)

    def track_iteration(self, poses):
        return median_of(5, lambda: iteration_seconds(self.sums))

    def time_hundred_iterations(self, poses):
        """The same with samples, from which asv tells a change from noise; what a solve needs besides is in it."""
        solve_seconds(self.sums, 100)


class AgainstSize:
    version = "1"
    params = [[48, 64, 96, 128, 192, 256], [1, 2, 4, 8]]
    param_names = ["edge", "workers"]
    unit = "seconds"
    timeout = 300

    def setup(self, edge, workers):
        need_workers(workers)

    def track_iteration(self, edge, workers):
        sums = make_sums(4, (edge, edge, edge))
        return median_of(3, lambda: iteration_seconds(sums, workers))


class OverPlainFFTs:
    """An iteration over two ordinary 3-D FFTs of the same grid by FFTW's own threads."""

    version = "1"
    params = list(SHAPES)
    param_names = ["shape"]
    unit = "ratio"

    def track_ratio(self, name):
        shape, workers = SHAPES[name], min(2, available_cores())
        sums, run, n = make_sums(10, shape), plain_ffts(shape, workers), iterations_for(shape)
        return ratio_in_turn(lambda: iteration_seconds(sums, workers), lambda: seconds(run, n) / n)


class FastestOverPlainFFTs:
    """The same by the fastest of 15 readings of each; FFTs as they come, where no wisdom is kept, or after `warm_up`."""

    version = "1"
    params = [[*SHAPES, "256x256x256"], ["as they come", "measured"]]
    param_names = ["shape", "plans"]
    unit = "ratio"
    timeout = 300

    def setup(self, name, plans):
        self.shape = tuple(map(int, name.split("x")))
        folder = fastmpr.warm_up().folder
        kept = set(folder.glob("*.wisdom"))
        if plans == "measured":
            fastmpr.warm_up(self.shape)
        self.added = set(folder.glob("*.wisdom")) - kept

    def teardown(self, name, plans):
        for path in self.added:
            path.unlink()

    def track_ratio(self, name, plans):
        workers, n = min(2, available_cores()), iterations_for(self.shape)
        sums, run = make_sums(10, self.shape), plain_ffts(self.shape, workers)
        return fastest_iteration_over(sums, workers, lambda: seconds(run, n) / n)


class ManyPosesOverOne:
    """The same in turn, whole solves of 100 iterations: the figure that must be 1."""

    version = "1"
    unit = "ratio"

    def track_ratio(self):
        many, one = make_sums(1000), make_sums(1)
        return ratio_in_turn(lambda: solve_seconds(many, 100), lambda: solve_seconds(one, 100), readings=15)


class TwoWorkersOverOne:
    """The figure that should be a half."""

    version = "1"
    unit = "ratio"

    def setup(self):
        need_workers(2)

    def track_ratio(self):
        sums = make_sums(4, CUBE)
        return ratio_in_turn(lambda: iteration_seconds(sums, 2), lambda: iteration_seconds(sums, 1))

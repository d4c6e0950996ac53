"""Peak memory, which must not depend on the number of views either."""

import tracemalloc

import fastmpr

from .common import CUBE, LAM, Repeated, make_sums, make_views


class Solve:
    """Peak of the whole process, the sums included."""

    version = "1"
    params = [1, 10, 100, 1000]
    param_names = ["poses"]

    def setup(self, poses):
        self.sums = make_sums(poses)

    def peakmem_solve(self, poses):
        fastmpr.solve(self.sums, LAM, max_iter=20)


class Accumulate:
    """The same while views are summed; there is one, and it comes again and again."""

    version = "1"
    params = [1, 10, 100]
    param_names = ["poses"]

    def setup(self, poses):
        views, self.psf, _ = make_views(1)
        self.views = Repeated(views, poses)
        self.poses = fastmpr.Poses.random(poses, rng=0)

    def peakmem_accumulate(self, poses):
        fastmpr.accumulate(self.views, self.psf, self.poses)


class SolvePerVoxel:
    """Peak of a solve in bytes per voxel of its grid, the result included, with its sums and beside them."""

    version = "1"
    params = [["hessian", "tv"], ["with the sums", "beside the sums"]]
    param_names = ["regularizer", "counted"]
    unit = "bytes/voxel"

    def track_bytes(self, regularizer, counted):
        sums = make_sums(10, CUBE)
        fastmpr.solve(sums, LAM, regularizer, max_iter=1)
        tracemalloc.start()
        fastmpr.solve(sums, LAM, regularizer, max_iter=20)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        held = sums.gram.nbytes + sums.rhs.nbytes if counted == "with the sums" else 0
        return (peak + held) / (CUBE[0] * CUBE[1] * CUBE[2])

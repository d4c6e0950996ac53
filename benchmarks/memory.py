"""Peak memory, which must not depend on the number of views either."""

import tracemalloc

import fastmpr

from .common import CUBE, LAM, make_sums, make_views


class PeakMemory:
    """Of the whole process, the problem included; the thousand views are ten that come again and again."""

    params = [1, 10, 100, 1000]
    param_names = ["poses"]
    timeout = 120

    def setup(self, poses):
        self.sums = make_sums(poses)
        self.views, self.psf, self.poses = make_views(poses)

    def peakmem_solve(self, poses):
        fastmpr.solve(self.sums, LAM, max_iter=20)

    def peakmem_accumulate(self, poses):
        fastmpr.accumulate(self.views, self.psf, self.poses)


class SolveInArrays:
    """Peak of a solve, its sums included, in float32 volumes of the padded grid."""

    unit = "volumes"

    def track_arrays(self):
        sums = make_sums(10, CUBE)
        fastmpr.solve(sums, LAM, max_iter=1)
        tracemalloc.start()
        fastmpr.solve(sums, LAM, max_iter=20)
        peak = tracemalloc.get_traced_memory()[1] + sums.gram.nbytes + sums.rhs.nbytes
        tracemalloc.stop()
        return peak / (4 * CUBE[0] * CUBE[1] * CUBE[2])

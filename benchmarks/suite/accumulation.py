"""What a view costs before the iterations begin."""

from statistics import median

import fastmpr

from .common import VIEW, available_cores, make_views, plain_fft, ratio_in_turn, seconds

AXES = {"z": (1, 0, 0), "tilted": (1, 2, 3)}
PARTICLES = {"35x70x70": VIEW, "64x64x64": (64, 64, 64)}


class Accumulate:
    version = "1"
    params = [1, 10, 100, 1000]
    param_names = ["poses"]
    repeat = (2, 5, 4.0)

    def setup(self, poses):
        self.views, self.psf, self.poses = make_views(poses)
        fastmpr.accumulate(self.views[:1], self.psf, self.poses[:1])

    def time_accumulate(self, poses):
        fastmpr.accumulate(self.views, self.psf, self.poses)


class PerPose:
    """The price of one more view, in ordinary real FFTs of the padded grid by FFTW's threads."""

    version = "2"
    unit = "real FFTs"
    params = list(PARTICLES)
    param_names = ["particle"]

    def track_ffts(self, particle):
        workers = min(2, available_cores())
        views, psf, poses = make_views(100, PARTICLES[particle])
        fft = plain_fft(fastmpr.accumulate(views[:2], psf, poses[:2]).shape, workers)

        def accumulate(n):
            fastmpr.accumulate(views[:n], psf, poses[:n], workers=workers)

        return ratio_in_turn(
            lambda: (seconds(accumulate, 100) - seconds(accumulate, 50)) / 50,
            lambda: median(seconds(fft) for _ in range(50)),
        )


class Symmetry:
    """The price of ten views of a symmetric particle, in that of ten views without symmetry."""

    version = "1"
    unit = "times"
    params = (["C2", "C9", "D9"], list(AXES))
    param_names = ["symmetry", "axis"]

    def track_ratio(self, symmetry, axis):
        views, psf, poses = make_views(10, PARTICLES["64x64x64"])
        plain = fastmpr.Dataset(views, psf, poses)
        data = plain.replace(symmetry=symmetry, symmetry_axis=AXES[axis])
        workers = min(2, available_cores())
        for each in (plain, data):
            fastmpr.accumulate(each, workers=workers)
        return ratio_in_turn(
            *(lambda each=each: seconds(fastmpr.accumulate, each, workers=workers) for each in (data, plain))
        )

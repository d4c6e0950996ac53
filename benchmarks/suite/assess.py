"""The price of knowing how good a volume is, in that of the volume."""

import fastmpr

from .common import make_views, ratio_in_turn, seconds


class Assess:
    """A hundred views: the resolution alone, and all that `assess` tells."""

    version = "1"
    unit = "times"
    params = ["told", "assessed"]
    param_names = ["what"]
    timeout = 120

    def track_ratio(self, what):
        views, psf, poses = make_views(100)
        data = fastmpr.Dataset(views, psf, poses)
        calls = {
            "told": lambda: seconds(fastmpr.reconstruct, data, assess=True),
            "assessed": lambda: seconds(fastmpr.assess, data),
        }
        return ratio_in_turn(calls[what], lambda: seconds(fastmpr.reconstruct, data))

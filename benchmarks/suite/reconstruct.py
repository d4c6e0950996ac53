"""The whole job against the number of views: Fig. 3 of the paper."""

import functools

import numpy as np

import fastmpr

from .common import LAM, make_views, ratio_in_turn, seconds


@functools.cache  # asv calls setup before every reading
def warm_up():
    views, psf, poses = make_views(1)
    fastmpr.reconstruct(views, psf, poses, max_iter=20)


class Reconstruct:
    version = "1"
    params = [[1, 3, 10, 30, 100], ["auto", LAM]]
    param_names = ["poses", "lam"]
    timeout = 120
    repeat = (2, 5, 4.0)

    def setup(self, poses, lam):
        warm_up()
        self.views, self.psf, self.poses = make_views(poses)

    def time_reconstruct(self, poses, lam):
        fastmpr.reconstruct(self.views, self.psf, self.poses, lam=lam)


class Crops:
    """The price of views that saw a quarter of their images, in that of the same views seen whole."""

    version = "1"
    unit = "times"
    params = [10, 100]
    param_names = ["poses"]
    timeout = 120

    def track_ratio(self, poses):
        views, psf, poses = make_views(poses)
        whole = np.stack([views[i] for i in range(len(views))])
        crops = np.full_like(whole, np.nan)
        crops[:, :, 18:52, 18:52] = whole[:, :, 18:52, 18:52]
        return ratio_in_turn(
            *(lambda views=views: seconds(fastmpr.reconstruct, views, psf, poses, lam=LAM) for views in (crops, whole))
        )

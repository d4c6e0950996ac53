"""Where no cache can be written, everything works, with one warning."""

import ast
import os
import subprocess
import sys

import numpy as np

PROGRAM = """
import warnings
import numpy as np
from numba.core import caching

# what Numba is left with on a read-only system without a home
getattr(caching, "CacheImpl", getattr(caching, "_CacheImpl", None))._locator_classes = []
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    from fastmpr.sums.resampling import SplineVolume

    out = np.zeros((4, 4, 4), np.float32)
    spline = SplineVolume((4, 4, 4), np.float32)
    spline.load(np.ones((4, 4, 4)))
    spline.sample(out, np.eye(3), np.full(3, 1.5), np.full(3, 1.5))
print(np.allclose(out, 1), [str(w.message) for w in seen if w.category.__name__ == "FastmprWarning"])
"""


def test_without_a_cache():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("True [")
    assert done.stdout.count("NUMBA_CACHE_DIR") == 1


SMALL = """
import numpy as np
import fastmpr

truth = fastmpr.phantom.centriole((7, 8, 9))
psf = fastmpr.psf.gaussian((5, 5, 5), sigma=(1.5, 1, 1))
poses = fastmpr.Poses.random(2, max_translation=1.0, rng=0)
views = fastmpr.simulate(truth, psf, poses, workers=2)
sums = fastmpr.accumulate(views, psf, poses, workers=2)
results = [fastmpr.solve(sums, 30.0, name, max_iter=4, tol=0, workers=2).x for name in ("hessian", "tv")]
print([float(np.vdot(np.ravel(a), np.sin(np.arange(a.size)))) for a in (views, sums.rhs.real, *results)])
"""


def test_everything_runs_without_the_compiler():
    """As coverage and debugging need it."""
    compiled, plain = (
        subprocess.run(
            [sys.executable, "-c", SMALL],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"NUMBA_DISABLE_JIT": disabled},
        ).stdout
        for disabled in ("0", "1")
    )
    np.testing.assert_allclose(ast.literal_eval(plain), ast.literal_eval(compiled), rtol=2e-4)

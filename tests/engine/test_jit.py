"""Where no cache can be written, everything works, with one warning."""

import subprocess
import sys

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

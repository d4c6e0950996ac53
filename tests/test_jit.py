"""Where no cache can be written, everything works, with one warning."""

import subprocess
import sys

PROGRAM = """
import warnings
import numpy as np
from numba.core import caching

(getattr(caching, "CacheImpl", None) or caching._CacheImpl)._locator_classes = []  # what Numba is left with on a read-only system without a home
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    import fastmpr

    sums = fastmpr.NormalEquations(np.ones((4, 4, 3)), np.ones((4, 4, 3), complex), 1.0, 1, (4, 4, 4), 1.0)
    result = fastmpr.solve(sums, 1.0, mu=1.0, max_iter=2, tol=0)
print(result.nit, [str(w.message) for w in seen if "fastmpr" in str(w.message)])
"""


def test_without_a_cache():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("2 [")
    assert done.stdout.count("NUMBA_CACHE_DIR") == 1

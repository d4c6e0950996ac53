"""Cold start: each reading is a new process."""

import subprocess
import sys

SOLVE = """
import numpy as np
import fastmpr
gram = np.ones((36, 72, 37), np.float32)
sums = fastmpr.NormalEquations(gram, gram.astype(np.complex64), 1.0, 1, (36, 72, 72), 1.0)
fastmpr.solve(sums, 1.0, max_iter=20)
"""
EMPTY_CACHE = """
import os, tempfile
folder = tempfile.TemporaryDirectory()
os.environ["NUMBA_CACHE_DIR"] = folder.name
"""


class Process:
    version = "1"
    number = 1  # a second import in the same process would cost nothing
    timeout = 300

    def setup(self):
        """Fill Numba's cache: a reading must not compile."""
        subprocess.run([sys.executable, "-c", SOLVE], check=True)

    def timeraw_import(self):
        return "import fastmpr"

    def timeraw_import_solver(self):
        """The import that the names' first use brings with it: NumPy, SciPy, Numba."""
        return "from fastmpr import reconstruct, solve"

    def timeraw_first_solve(self):
        return SOLVE


class Compilation:
    """The very first solve on a machine: everything it needs is compiled."""

    version = "1"
    number = 1
    repeat = 1
    rounds = 1
    warmup_time = 0
    min_run_count = 1
    timeout = 300

    def timeraw_first_solve(self):
        return SOLVE, EMPTY_CACHE

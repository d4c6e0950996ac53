"""Whether an upgrade leaves old machine code behind: each file of the compiled folder changed in turn, and installed.

    python -m benchmarks.reports.upgrade            # the newest versions of what fastmpr needs
    python -m benchmarks.reports.upgrade lowest     # the lowest that it allows

The package is installed in a fresh virtual environment. Then, for each file of ``fastmpr/kernels``, a program prints a
number, a line of the file is changed (names stay), the package is installed with ``--upgrade``, and the program prints its
number again; with an empty cache it prints what that number should be. A change stays while the next file is changed. This
needs the network, and a quarter of an hour.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
START = """
import math, sys, warnings
import numpy as np
import fastmpr, fastmpr.compat.spfluo
warnings.simplefilter("ignore")

def told(*arrays):
    whole = np.concatenate([np.ravel(a).astype(complex) for a in arrays])
    print(f"{float(np.abs(np.vdot(np.cos(np.arange(whole.size)), whole))):.10g}")

truth = fastmpr.phantom.centriole((12, 14, 13), dtype="f4")
psf, poses = fastmpr.psf.gaussian((5, 5, 5), sigma=(1.5, 1, 1)), fastmpr.Poses.random(3, max_translation=1.0, rng=0)
views = [np.random.default_rng(k).random((12, 14, 13), np.float32) for k in range(3)]
gram = 1 + np.random.default_rng(0).random((8, 9, 6), np.float32)
sums = fastmpr.NormalEquations(gram, (100 * gram).astype("c8"), 1.0, 1, (8, 9, 10), 1.0)

def solved(name):
    result = fastmpr.solve(sums, 1.0, name, mu=(1.0, 2.0), max_iter=12, tol=0, workers=1)
    told(result.x, [value for entry in result.history for value in entry.values() if isinstance(value, float)])
"""
PROGRAMS = {
    "operators": "told(fastmpr.operators.hessian(truth))",
    "prox": "h = np.random.default_rng(0).standard_normal((6, 999), np.float32)\n"
    "told(fastmpr.prox.nuclear(h, 0.1), [fastmpr.prox.nuclear_norm(h)])",
    "hessian": "solved('hessian')",
    "tv": "solved('tv')",
    "schatten-inf": "solved('schatten-inf')",
    "accumulate": "data = fastmpr.Dataset(views, psf, poses, symmetry='C3')\n"
    "found = fastmpr.accumulate(data, workers=1)\ntold(found.gram, found.rhs)",
    "residuals": "data = fastmpr.Dataset(views, psf, poses)\ntold(fastmpr.residuals(data, truth, workers=1).gain)",
    "align": "data = fastmpr.Dataset(fastmpr.simulate(truth, psf, poses), psf, poses)\n"
    "told(fastmpr.align(data, truth, search='local', workers=1).scores)",
    "crops": "data = fastmpr.Dataset(views, psf, poses, seen=[np.indices(views[0].shape)[0] > 3] * 3)\n"
    "told(fastmpr.reconstruct(data, lam=1.0, max_iter=22, workers=1, check=False).x)",
    "deconvolve": "told(fastmpr.deconvolve(views[0], psf, lam=1.0, max_iter=5, workers=1))",
    "spfluo": "told(fastmpr.compat.spfluo.reconstruction_L2(np.stack([truth[:12, :12, :12]]), psf, np.ones((1, 6)), 1.0))",
    "barrier": "from fastmpr.kernels.barrier import meet\nflags = np.zeros(16, int)\nmeet(flags, 1, 0, 3, 9)\ntold(flags)",
}
# File, program, what stands there, what is to stand there.
CHANGES = [
    ("alignment", "align", "f * f * f / 6, f * f / 2", "1.01 * f * f * f / 6, f * f / 2"),
    ("differences", "operators", "weight * ((c[i] - b[i])", "1.01 * weight * ((c[i] - b[i])"),
    ("rows", "operators", "target[i] = source[i]", "target[i] = 1.01 * source[i]"),
    ("eigenvalues", "prox", "smaller(value, bound), -bound)", "smaller(value, bound), -1.01 * bound)"),
    ("eigenvalue_steps", "prox", "deviator(factor * zz[i], ", "deviator(1.01 * factor * zz[i], "),
    ("shrinkage", "prox", "k0, k1, k2 = back * work", "k0, k1, k2 = 1.01 * back * work"),
    ("rules", "prox", "return abs(a) + abs(b) + abs(c)", "return abs(a) + abs(b) + 1.01 * abs(c)"),
    ("hessian_sweep", "hessian", "(beneath[i] - below[i]) - dz", "1.01 * (beneath[i] - below[i]) - dz"),
    ("projection", "hessian", "keep * mean + mix * c0, mix", "keep * mean + 1.01 * mix * c0, mix"),
    ("periodic_edges", "hessian", "= x[z, y, i % nx]", "= 1.01 * x[z, y, i % nx]"),
    ("positivity", "hessian", "out[i] += weight * abs(v)", "out[i] += 1.01 * weight * abs(v)"),
    ("residuals", "hessian", "gap += (dx - u) * (dx - u)", "gap += (dx - u) * (dx - u) + (dx - u) * (dx - u)"),
    ("x_step", "hessian", "unit = scale / ", "unit = 0.99 * scale / "),
    ("packing", "hessian", "return lambda kept: kept\n", "return lambda kept: np.float32(0.99) * kept\n"),
    ("gradient_sweep", "tv", "fz * (below[i] - here[i])", "1.01 * fz * (below[i] - here[i])"),
    ("schatten", "schatten-inf", "p, q, r = abs(a) - t, ", "p, q, r = abs(a) - 1.01 * t, "),
    ("spline_coefficients", "accumulate", "share * source[", "0.99 * share * source["),
    ("spline_sampling", "accumulate", "begin + first + i)] = values[i]", "begin + first + i)] = 1.01 * values[i]"),
    ("transfer_functions", "accumulate", "gram[p] += weight * ", "gram[p] += 1.01 * weight * "),
    ("turned_planes", "accumulate", "+ k] += total", "+ k] += 1.01 * total"),
    ("smooth_comparison", "residuals", "outer, inner = row[k] + ", "outer, inner = 1.01 * row[k] + "),
    ("masks", "crops", "image[k, j, i] = 0\n                total", "image[k, j, i] = 0.01\n                total"),
    ("weighted_spectra", "crops", "root = scale * np.sqrt", "root = 0.99 * scale * np.sqrt"),
    ("blurred_image", "deconvolve", "*= scale * factor[x]", "*= np.float32(1.01) * scale * factor[x]"),
    ("closed_form", "spfluo", "h, y = z + w, z - w", "h, y = 1.01 * (z + w), z - w"),
    ("barrier", "barrier", "_store(flags, member * LINE, generation)", "_store(flags, member * LINE, generation + 1)"),
    ("jit", "prox", "np.float32(constant)", "np.float32(1.01 * constant)"),
]
NOT_COMPILED = {"__init__", "cache"}


class Installed:
    """A copy of the sources, and an environment that it is installed in."""

    def __init__(self, work: Path, lowest: bool):
        self.work, self.sources = work, work / "sources"
        shutil.copytree(ROOT, self.sources, ignore=shutil.ignore_patterns(".git", ".asv", "__pycache__", "tests"))
        subprocess.run([sys.executable, "-m", "venv", work / "venv"], check=True)
        limits: list[str] = []
        if lowest:
            text = subprocess.run([sys.executable, ROOT / ".ci" / "lowest.py"], capture_output=True, check=True).stdout
            (work / "lowest.txt").write_bytes(text)
            limits = ["-c", str(work / "lowest.txt")]
        self._pip("setuptools>=77", "wheel", str(self.sources), *limits)

    def upgrade(self) -> None:
        """Install the sources as they are now."""
        shutil.rmtree(self.sources / "build", ignore_errors=True)
        self._pip("--upgrade", "--no-deps", "--no-build-isolation", str(self.sources))

    def change(self, file: str, old: str, new: str) -> None:
        """Change a line of a file."""
        path = self.sources / "fastmpr" / "kernels" / f"{file}.py"
        text = path.read_text(encoding="utf-8")
        if old not in text:
            raise SystemExit(f"{path.name}: found no {old!r}, need a line to change")
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    def run(self, program: str, cache: Path | None = None) -> str:
        """Return what a program says, with the cache beside the package, as a user has it, or with another one."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("NUMBA", "PYTHON"))}
        if cache is not None:
            environment["NUMBA_CACHE_DIR"] = str(cache)
        run = [self.work / "venv" / "bin" / "python", "-c", START + PROGRAMS[program]]
        done = subprocess.run(run, capture_output=True, text=True, check=False, env=environment, cwd=self.work)
        if done.returncode:
            raise SystemExit(f"{program}: found an error, need a number:\n{done.stderr}")
        return done.stdout.strip()

    def versions(self) -> str:
        """Return which Numba and NumPy are installed."""
        code = "import numba, numpy; print(f'Numba {numba.__version__}, NumPy {numpy.__version__}')"
        run = [self.work / "venv" / "bin" / "python", "-c", code]
        return subprocess.run(run, capture_output=True, text=True, check=True, cwd=self.work).stdout.strip()

    def _pip(self, *words: str) -> None:
        pip = [self.work / "venv" / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *words], check=True)


def main(lowest: bool) -> int:
    """Print a table, and return how many numbers were old ones."""
    files = {path.stem for path in (ROOT / "fastmpr" / "kernels").glob("*.py")}
    if missed := files - NOT_COMPILED - {file for file, *_ in CHANGES}:
        raise SystemExit(f"benchmarks/reports/upgrade.py: found no change of {', '.join(sorted(missed))}, need one")
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        installed = Installed(Path(folder), lowest)
        print(f"{installed.versions()}\n\n| file changed | program | before | after | with an empty cache |")
        print("|---|---|---|---|---|", flush=True)
        for k, (file, program, old, new) in enumerate(CHANGES):
            before = installed.run(program)
            installed.change(file, old, new)
            installed.upgrade()
            after, right = installed.run(program), installed.run(program, Path(folder) / f"cache-{k}")
            held = after == right != before and math.isfinite(float(after))
            wrong += not held
            print(f"| `{file}` | {program} | {before} | {after} | {right}{'' if held else ' **wrong**'} |", flush=True)
    print(f"\n{len(CHANGES) - wrong} of {len(CHANGES)} files: the new number")
    return wrong


if __name__ == "__main__":
    sys.exit(bool(main("lowest" in sys.argv[1:])))

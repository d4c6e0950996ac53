"""The Fourier shell correlation of one pair of volumes by cubic and by us: do they cross at the same shell?

    python3 -m venv cubic && cubic/bin/pip install -e . "cubic==0.8.0"
    cubic/bin/python -m benchmarks.reports.cubic

The pair is a centriole in a cube, float32, with white noise of its own in each volume. cubic's `calculate_frc` takes volumes
with ``backend="hist"``; `fsc_resolution` tells them along z and across it. The table gives the frequency of each crossing in
cycles per voxel, and how many shells that is beyond ours. What makes the difference:

- **Binning**: cubic's shell k holds k <= |f| < k + 1 widths and is put at k + 1/2; ours holds what is nearest to k and is
  put at the mean |f|. Its frequencies are float32, so that some on an edge fall below it. "By us, in its shells" sorts as
  cubic does: the curves are then the same.
- **With ``spacing``**, cubic divides the frequencies by that of the middle of the last shell, and reads them as shares of
  Nyquist's: a cube of n voxels is told too fine by n / (n - 1). Here cubic is wrong.
- **Its Hamming window** (each side to the power 1 / 3), on by default, takes noise about the particle away, as a mask does.
- `fsc_resolution` has the window too, and goes by a smoothed curve in sectors of 15 degrees: along z and across it.
"""

from __future__ import annotations

import warnings
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastmpr
from fastmpr.quality.curve import crossing_of

SIZE, NOISE, SPACING = 48, 0.3, 0.05
THRESHOLDS = (0.5, 0.143)


def pair() -> tuple[NDArray, NDArray]:
    """Return a centriole twice, with noise."""
    truth, rng = fastmpr.phantom.centriole((SIZE,) * 3), np.random.default_rng(0)
    one, other = (truth + NOISE * rng.standard_normal(truth.shape) for _ in range(2))
    return one.astype(np.float32), other.astype(np.float32)


def in_its_shells(a: NDArray, b: NDArray) -> tuple[NDArray, NDArray]:
    """Return frequencies and correlation up to Nyquist's, in shells from k to k + 1 without zero frequency.

    What lies beyond Nyquist's frequency counts with the last shell, as in cubic.
    """
    sides = [np.fft.fftfreq(n).astype(np.float32) * np.float32(n) for n in a.shape]
    f = np.sqrt(sum(side * side for side in np.meshgrid(*sides, indexing="ij")))
    shell = np.minimum(np.floor(f), SIZE // 2 - 1).astype(int)
    shell[0, 0, 0] = SIZE  # left out below
    spectra = [np.fft.fftn(volume.astype(np.float64)) for volume in (a, b)]

    def total(values: NDArray) -> NDArray:
        return np.bincount(shell.ravel(), values.real.ravel())[: SIZE // 2]

    power = total(np.abs(spectra[0]) ** 2) * total(np.abs(spectra[1]) ** 2)
    correlation = total(spectra[0] * spectra[1].conj()) / np.sqrt(np.maximum(power, 1e-300))
    correlation[0] = 1  # no frequency is in it
    return (np.arange(SIZE // 2) + 0.5) / SIZE, correlation


def by_cubic(a: NDArray, b: NDArray, threshold: float, **options: Any) -> tuple[float, Any]:
    """Return the frequency of a crossing in cycles per voxel, and the curve."""
    from cubic.metrics.spectral.frc import calculate_frc

    size = options.get("spacing", 1.0)
    told = calculate_frc(a, b, backend="hist", zero_padding=False, threshold_value=threshold, **options)
    return size / float(told.resolution["resolution"]), told.correlation


def along(a: NDArray, b: NDArray, threshold: float, axis: str) -> float:
    """Return what cubic's `fsc_resolution` tells along z or across it, in cycles per voxel."""
    from cubic.metrics.spectral.frc import fsc_resolution

    return SPACING / float(fsc_resolution(a, b, spacing=SPACING, threshold_value=threshold)[axis])


def windowed(volume: NDArray) -> NDArray:
    """Return a volume without its mean, in cubic's window."""
    side = np.hamming(SIZE) ** (1 / 3)
    return (volume - volume.mean()) * side[:, None, None] * side[:, None] * side


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")  # that there is no graphics card
    a, b = pair()
    frequency, correlation = in_its_shells(a, b)
    ours = [fastmpr.fsc(a, b).crossing(threshold) for threshold in THRESHOLDS]
    rows = {
        "`fastmpr.fsc`": ours,
        "by us, in its shells": [crossing_of(frequency, correlation, threshold) for threshold in THRESHOLDS],
        "cubic, no window": [by_cubic(a, b, threshold, disable_hamming=True)[0] for threshold in THRESHOLDS],
        f"cubic, no window, spacing={SPACING}": [
            by_cubic(a, b, threshold, disable_hamming=True, spacing=SPACING)[0] for threshold in THRESHOLDS
        ],
        "`fastmpr.fsc`, in its window": [
            fastmpr.fsc(windowed(a), windowed(b)).crossing(threshold) for threshold in THRESHOLDS
        ],
        "cubic by default": [by_cubic(a, b, threshold)[0] for threshold in THRESHOLDS],
        "cubic's `fsc_resolution`, across": [along(a, b, threshold, "xy") for threshold in THRESHOLDS],
        "cubic's `fsc_resolution`, along z": [along(a, b, threshold, "z") for threshold in THRESHOLDS],
    }
    its = by_cubic(a, b, 0.5, disable_hamming=True)[1]["correlation"]
    print(f"cubic {version('cubic')}; a cube of {SIZE} voxels, shells 1/{SIZE} apart")
    print(f"in the same shells, curves differ by at most {np.abs(np.abs(correlation) - its).max():.1g}\n")
    print("| | at 0.5 | shells beyond ours | at 0.143 | shells beyond ours |")
    print("|---" * 5 + "|")
    for name, found in rows.items():
        cells = [f"{f:.4f} | {(f - own) * SIZE:+.2f}" for f, own in zip(found, ours, strict=True)]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()

"""Where to begin: all rotations and translations at a low band, every score from one product of matrices.

The product is a kernel: those of NumPy take threads that ``workers`` says nothing of.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..kernels.alignment import best_translations
from ..runtime.limits import check_memory
from .reference import Reference
from .spectra import Band

_ROTATIONS = 576  # some 24 degrees apart
_STEP = 0.2  # of the shortest wave in the band, between two translations
_APART = math.radians(15)  # between two rotations that are both followed
_PHI, _PSI = math.sqrt(2), 1.533751168755204288118041  # the super-Fibonacci spiral's


def spread_rotations(count: int) -> NDArray[np.float64]:
    """Return rotations (count, 3, 3) spread evenly over all of them.

    References
    ----------
    M. Alexa, "Super-Fibonacci spirals: fast, low-discrepancy sampling of SO(3)", CVPR 2022.
    """
    place = np.arange(count) + 0.5
    inner, outer = np.sqrt(place / count), np.sqrt(1 - place / count)
    a, b = 2 * np.pi * place / _PHI, 2 * np.pi * place / _PSI
    quaternions = np.stack([inner * np.sin(a), inner * np.cos(a), outer * np.sin(b), outer * np.cos(b)], axis=1)
    return Rotation.from_quat(quaternions).as_matrix()


class Coarse:
    """A search over all poses in a low band.

    Parameters
    ----------
    reference : Reference
    band : Band
    radius : float
        The frequency that the low band ends at.
    reach : (z, y, x)
        How far a translation may go along each axis.
    group : (n, 3, 3) ndarray
        The particle's point group: of rotations that it cannot tell apart, one is tried.
    """

    def __init__(self, reference: Reference, band: Band, radius: float, reach: NDArray, group: NDArray):
        self.last = band.upto(radius)
        check_memory("symmetry", len(group), 8 * _ROTATIONS * len(group) ** 2)
        self.rotations = spread_rotations(_ROTATIONS * len(group))
        if len(group) > 1:
            traces = np.einsum("mij,gji->mg", self.rotations, group)
            self.rotations = self.rotations[traces.argmax(axis=1) == 0]  # nearest the identity
        shown = reference.sample(band, self.last, self.rotations)
        power = np.sqrt(np.square(np.abs(shown)).sum(axis=1))
        shown /= np.maximum(power, 1e-12 * power.max() or 1.0)[:, np.newaxis]
        self.shown = np.ascontiguousarray(_in_fours(shown).T)
        step = _STEP / radius
        lines = [step * np.arange(-(far // step), far // step + 1) for far in reach.tolist()]
        self.translations = np.array(list(itertools.product(*lines)))
        self.phases = np.exp(2j * np.pi * (self.translations @ band.frequencies[: self.last].T)).astype(np.complex64)

    def best(self, view: NDArray, count: int) -> list[tuple[NDArray, NDArray]]:
        """Return the best poses of a view, no two rotations of them near one another."""
        moved = _in_fours(self.phases * view[: self.last].astype(np.complex64))
        score, place = np.empty(len(self.rotations), np.float32), np.empty(len(self.rotations), np.int64)
        best_translations(moved, self.shown, score, place)
        chosen: list[int] = []
        for k in score.argsort()[::-1]:
            traces = [np.einsum("ij,ij", self.rotations[k], self.rotations[j]) for j in chosen]
            if all(trace < 1 + 2 * math.cos(_APART) for trace in traces):
                chosen.append(int(k))
            if len(chosen) == count:
                break
        return [(self.rotations[k], self.translations[place[k]]) for k in chosen]


def _in_fours(values: NDArray) -> NDArray[np.float32]:
    """Return complex rows as real ones, filled with zeros to a multiple of four."""
    out = np.zeros((len(values), -(-2 * values.shape[1] // 4) * 4), np.float32)
    out[:, : values.shape[1]] = values.real
    out[:, values.shape[1] : 2 * values.shape[1]] = values.imag
    return out

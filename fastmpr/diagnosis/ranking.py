"""Rank setups by how well the views fit, and decide whether one fits better than another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy  # scipy.special is loaded at its first use
from numpy.typing import NDArray

from .misfits import Misfit
from .setup import Cure, Setup

SECOND_MARGIN = 1.02  # factor by which a second cure must lower the misfit
_DOUBT = 0.002  # probability that views agree this well by chance
_TINY = 1e-12  # of a view's energy


@dataclass(frozen=True, eq=False)
class Idea:
    """A hypothesis: a setup, and the cures that lead to it.

    Attributes
    ----------
    cures : tuple of Cure
        The cures in their order; empty for the data as given.
    setup : Setup
    alike : list of str
        The names of other cures that lead to the same setup.
    """

    cures: tuple[Cure, ...]
    setup: Setup
    alike: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The names of the cures."""
        return " + ".join(cure.name for cure in self.cures) or "as given"


@dataclass(frozen=True, eq=False)
class Tried:
    """A hypothesis with its misfit.

    Attributes
    ----------
    idea : Idea
    misfit : Misfit
    left : (n,) ndarray
        The unexplained energy of each view, see `unexplained`.
    """

    idea: Idea
    misfit: Misfit
    left: NDArray[np.float64]

    @property
    def total(self) -> float:
        """The unexplained energy of all views."""
        return float(self.left.sum())


def unexplained(misfits: Sequence[Misfit], of_light: Sequence[bool], most: NDArray) -> list[NDArray[np.float64]]:
    """Return the unexplained energy of each view under several setups; the others are derived from the first.

    Energy that a setup moves out of the grid counts as unexplained: it is ``most`` less the energy on the grid. Otherwise a
    setup that moves all out of the grid would fit best. A setup that changes the intensities has no comparable energy, so
    the energy of the first setup is taken.
    """
    held = [(misfits[0] if changed else own).energy for own, changed in zip(misfits, of_light, strict=True)]
    return [own.left + np.maximum(most - energy, 0) for own, energy in zip(misfits, held, strict=True)]


def is_better(tried: Tried, other: Tried, margin: float, doubt: float = _DOUBT) -> bool:
    """Return whether views fit better than under another hypothesis: by a margin, and consistently from view to view.

    The consistency is Student's test of the logarithms of the unexplained energy, view by view. With fewer views, they must
    agree more closely.
    """
    if other.total <= margin * tried.total:
        return False
    least = _TINY * np.maximum(tried.misfit.energy, other.misfit.energy) + np.finfo(float).tiny
    gain = np.log((other.left + least) / (tried.left + least))
    error = float(gain.std(ddof=1)) / np.sqrt(len(gain))
    return bool(gain.mean() > scipy.special.stdtrit(len(gain) - 1, 1 - doubt) * error)

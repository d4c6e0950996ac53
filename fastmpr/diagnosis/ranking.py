"""Under which of several setups the views fit best, and whether they tell it from the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy  # scipy.special is loaded at its first use
from numpy.typing import NDArray

from .misfits import Misfit
from .setup import Cure, Setup

SECOND_MARGIN = 1.02  # that a second mistake must be worth, beside the first
_DOUBT = 0.002  # that views agree by chance as well as is asked of them
_TINY = 1e-12  # of a view's energy


@dataclass(frozen=True, eq=False)
class Idea:
    """What may have been meant.

    Attributes
    ----------
    cures : tuple of Cure
        That lead to it, in their order; none is as given.
    setup : Setup
    alike : list of str
        Other cures that lead to the same setup.
    """

    cures: tuple[Cure, ...]
    setup: Setup
    alike: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What is done."""
        return " + ".join(cure.name for cure in self.cures) or "as given"


@dataclass(frozen=True, eq=False)
class Tried:
    """An idea with what the views leave unexplained of it.

    Attributes
    ----------
    idea : Idea
    misfit : Misfit
    left : (n,) ndarray
        The energy of each view that is left unexplained, see `unexplained`.
    """

    idea: Idea
    misfit: Misfit
    left: NDArray[np.float64]

    @property
    def total(self) -> float:
        """The energy that is left in all views."""
        return float(self.left.sum())


def unexplained(misfits: Sequence[Misfit], of_light: Sequence[bool], most: NDArray) -> list[NDArray[np.float64]]:
    """Return the energy that is left of each view under several setups, the first of which the others were made of.

    What a setup pushes out of the grid, where there was ``most``, counts as left, or one that pushes out all would leave
    nothing. What changes the light cannot be compared so, and counts what the first has pushed out.
    """
    held = [(misfits[0] if changed else own).energy for own, changed in zip(misfits, of_light, strict=True)]
    return [own.left + np.maximum(most - energy, 0) for own, energy in zip(misfits, held, strict=True)]


def is_better(one: Tried, other: Tried, margin: float, doubt: float = _DOUBT) -> bool:
    """Return whether views fit better one way than another: by a margin, and alike in all of them.

    The latter by Student's test of the logarithms of what is left, view by view: the fewer, the more they must agree.
    """
    if other.total <= margin * one.total:
        return False
    least = _TINY * np.maximum(one.misfit.energy, other.misfit.energy) + np.finfo(float).tiny
    gain = np.log((other.left + least) / (one.left + least))
    error = float(gain.std(ddof=1)) / np.sqrt(len(gain))
    return bool(gain.mean() > scipy.special.stdtrit(len(gain) - 1, 1 - doubt) * error)

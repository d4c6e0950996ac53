"""What a search for mistakes has found, in figures, in words and as Python."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from ..views.dataset import Dataset
from .ranking import Tried, is_better
from .setup import MARGIN, Setup


@dataclass(frozen=True, eq=False)
class Finding:
    """A way to take the views, and how well they fit together then.

    Attributes
    ----------
    name : str
        What is undone; "as given" for nothing.
    misfit : float
        The share of the light of the views looked at that predictions from the others of them leave unexplained.
    margin : float
        How many times less that is than as given.
    named : bool
        Whether the views tell this from all else, but for ``ties``: a likely mistake, or, as given, that there is none.
    ties : tuple of str
        What the views cannot tell from this.
    words : str
        The same in a sentence.
    code : str
        Python to paste: lines that make ``data`` of ``data``, with ``fastmpr`` and ``np`` imported. Nothing, as given.
    """

    name: str
    misfit: float
    margin: float
    named: bool
    ties: tuple[str, ...]
    words: str
    code: str
    setup: Setup = field(repr=False)

    @property
    def changed(self) -> tuple[str, ...]:
        """The keywords of the `Dataset` that are changed: "poses", "psf", "particles" and so on."""
        return self.setup.changed

    @cached_property
    def data(self) -> Dataset:
        """The data set with it undone; particles are read when they are used."""
        return self.setup.dataset()


def ranked(given: Tried, best: Tried, found: list[Tried], sure: bool) -> list[Finding]:
    """Return what was tried as findings, the best first.

    Parameters
    ----------
    given : Tried
        As given.
    best : Tried
        What is to be named, if that is ``sure``.
    found : list of Tried
        All that was tried, these included.
    """
    light = max(float(one.misfit.energy.sum()) for one in found)
    ties = [one for one in found if one is not best and not is_better(best, one, MARGIN)]
    findings = []
    for one in sorted(found, key=lambda tried: tried.total):
        if one is best:
            others = tuple(name for tie in ties for name in (tie.idea.name, *tie.idea.alike))
        else:
            others = (best.idea.name,) if one in ties else ()
        named = one is best and sure
        margin = given.total / max(one.total, 1e-12 * light)
        share = one.total / light
        words = _words(one, share, margin, named, others, sure)
        others = (*one.idea.alike, *others)
        findings.append(Finding(one.idea.name, share, margin, named, others, words, _code(one), one.idea.setup))
    return findings


def _words(one: Tried, share: float, margin: float, named: bool, ties: tuple[str, ...], sure: bool) -> str:
    """Return a finding in a sentence."""
    left = f"{100 * share:.3g} % of the light is left unexplained"
    if not one.idea.cures:
        if named:
            return f"as given, the views fit together: {left}"
        lost = "" if sure else ", no less than with the poses of other particles"
        return f"as given, {left}{lost}"
    mistake = ", and ".join(cure.mistake for cure in one.idea.cures)
    told = f"it looks as if {mistake}" if named else f"if {mistake}"
    than = f"{margin:.3g} times less than as given" if margin >= 1 else "more than as given"
    beside = f"; the views cannot tell this from: {'; '.join(ties)}" if ties and named else ""
    return f"{told}: {left} with {one.idea.name}, {than}{beside}"


def _code(one: Tried) -> str:
    """Return Python that undoes what a setup undoes."""
    return "\n".join(cure.code for cure in one.idea.cures)

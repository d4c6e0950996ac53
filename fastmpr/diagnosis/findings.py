"""The results of a search for mistakes: figures, a sentence, and Python code."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from ..views.dataset import Dataset
from .ranking import Tried, is_better
from .setup import MARGIN, Setup


@dataclass(frozen=True, eq=False)
class Finding:
    """One hypothesis about the views, and how well the views fit together under it.

    Attributes
    ----------
    name : str
        The mistake that is undone; "as given" for none.
    misfit : float
        The share of the views' light that predictions from the other views leave unexplained, over the views looked at.
    margin : float
        The misfit of the views as given, over this misfit.
    named : bool
        Whether the views distinguish this hypothesis from all others except ``ties``. It is then a likely mistake; if
        "as given" is named, there is likely none.
    ties : tuple of str
        The hypotheses that the views cannot distinguish from this one.
    words : str
        The finding in a sentence.
    code : str
        Python lines to paste that replace ``data`` by the corrected data set; they need ``fastmpr`` and ``np``. Empty for
        "as given".
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
        """The data set with the mistake undone; particles are read when they are used."""
        return self.setup.dataset()


def ranked(given: Tried, best: Tried, found: list[Tried], sure: bool) -> list[Finding]:
    """Return all that was tried as findings, the best first.

    Parameters
    ----------
    given : Tried
        The views as given.
    best : Tried
        The hypothesis to name, if it is ``sure``.
    found : list of Tried
        All that was tried, with ``given`` and ``best``.
    """
    light = max(float(tried.misfit.energy.sum()) for tried in found)
    ties = [tried for tried in found if tried is not best and not is_better(best, tried, MARGIN)]
    findings = []
    for tried in sorted(found, key=lambda tried: tried.total):
        if tried is best:
            others = tuple(name for tie in ties for name in (tie.idea.name, *tie.idea.alike))
        else:
            others = (best.idea.name,) if tried in ties else ()
        named = tried is best and sure
        margin = given.total / max(tried.total, 1e-12 * light)
        share = tried.total / light
        words = _words(tried, share, margin, named, others, sure)
        others = (*tried.idea.alike, *others)
        findings.append(Finding(tried.idea.name, share, margin, named, others, words, _code(tried), tried.idea.setup))
    return findings


def _words(tried: Tried, share: float, margin: float, named: bool, ties: tuple[str, ...], sure: bool) -> str:
    """Return a finding in a sentence."""
    left = f"{100 * share:.3g} % of the light is left unexplained"
    if not tried.idea.cures:
        if named:
            return f"as given, the views fit together: {left}"
        lost = "" if sure else ", no less than with the poses of other particles"
        return f"as given, {left}{lost}"
    mistake = ", and ".join(cure.mistake for cure in tried.idea.cures)
    told = f"it looks as if {mistake}" if named else f"if {mistake}"
    than = f"{margin:.3g} times less than as given" if margin >= 1 else "more than as given"
    beside = f"; the views cannot tell this from: {'; '.join(ties)}" if ties and named else ""
    return f"{told}: {left} with {tried.idea.name}, {than}{beside}"


def _code(tried: Tried) -> str:
    """Return the Python code of a hypothesis's cures."""
    return "\n".join(cure.code for cure in tried.idea.cures)

"""The steps of a reconstruction: from views to sums, to lam, to a volume, to its gains, weights, fit and resolution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._messages import Progress, warn
from .._validation import Size
from ..diagnosis.fit import checked, compared
from ..diagnosis.outliers import Judged, judged, tell_verdict
from ..lam.selection import ENOUGH_VIEWS
from ..regularizers import Regularizer
from ..resolution.halves import Halves
from ..resolution.told import FEWEST_VIEWS, period_told, told
from ..runtime.stopping import WORDS, Cancelled
from ..runtime.threads import as_workers
from ..solver.options import Run, Until
from ..solver.result import Result
from ..sums.accumulator import Accumulator
from ..sums.halves import observe_halves
from ..sums.noise import noise_sums
from ..sums.observation import Observation, observe
from ..sums.resampling import inner
from ..sums.transfer import TransferFunction
from ..views.dataset import Dataset
from .gains import fit_gains
from .problem import Problem, problem_of

_ROUNDS = 3  # of weighing the views by the volume that the last weights made: the first volume shows what is wrong too


@dataclass(frozen=True)
class Asked:
    """The settings that all volumes of a call share.

    Attributes
    ----------
    model : (nz, ny, nx)
        Shape of the volume, before padding.
    lam : float or "auto"
    regularizer : Regularizer
    until : Until
    run : Run
    tell : callable, optional
        Receives the progress.
    check : bool
        Whether to compare views with their predictions.
    assess : bool
        Whether to tell the resolution.
    """

    model: Size
    lam: float | str
    regularizer: Regularizer
    until: Until
    run: Run
    tell: Progress | None
    check: bool
    assess: bool


class Made(NamedTuple):
    """A volume, and what it was made with.

    Attributes
    ----------
    result : Result
    transfers : list of TransferFunction
        Of the PSFs.
    data : Dataset
        The views, with the gains and weights that were fitted.
    halves : Halves or None
        If the resolution was asked for, and could be told.
    """

    result: Result
    transfers: list[TransferFunction]
    data: Dataset
    halves: Halves | None


def made(data: Dataset, asked: Asked) -> Made:
    """Return the volume of views, cropped to the model, with its fit and resolution if they are asked for."""
    fitted = data.fits_gain or data.fits_weights
    first = replace(asked, assess=False) if fitted else asked  # that of the last volume is told
    found = _reconstructed(data, first)
    if fitted and (strong := data.source.strong()):  # such a view would dominate the first volume
        alike = data.replace(weights=np.where(np.isin(np.arange(len(data)), strong), 0, data.weights))
        found = _reconstructed(alike, first)
    if data.fits_weights:
        found, weights = _with_weights(found, data, first)
        data = data.replace(weights=weights)
    if data.fits_gain:
        found = _with_gains(found, data, asked)
    elif fitted and asked.assess:
        found = _unless_ended(found, lambda: _reconstructed(data, asked), asked, "resolution not told")
    result, stop = found.result, asked.run.stop
    fit = None
    if asked.check and not (stop.is_set() or result.was_cut_short):
        fit = checked(data, result, asked.model, found.transfers, asked.lam != "auto", asked.run, asked.tell)
    cropped = np.ascontiguousarray(result.x[inner(result.x.shape, asked.model)])
    used = found.data.weights if fitted else None
    return found._replace(result=replace(result, fit=fit, x=cropped, weights=used))


def _reconstructed(data: Dataset, asked: Asked) -> Made:
    """Return the volume on the padded grid."""
    observation = _observed(data.levelled(), asked)
    transfers = observation.accumulator.transfers
    try:
        few = asked.lam == "auto" and _are_few(data, observation)
        halved = asked.assess and _are_halved(observation)
        problem = problem_of(observation, noise_sums(observation) if few else None, halved)
        del observation  # its sums are as large as the solver's own arrays
        result = problem.minimise(asked.lam, asked.regularizer, asked.until, asked.run)
        found = Made(result, transfers, data, None)
        return _assessed(found, problem, asked) if halved else found
    except Cancelled as cut:
        if cut.result is None:
            raise
        message = f"{WORDS[cut.status]} while lam was being chosen"
        return Made(replace(cut.result, status=cut.status, message=message), transfers, data, None)


def _observed(data: Dataset, asked: Asked) -> Observation:
    """Observe the views, in halves if these are to choose lam."""
    rest = asked.model, asked.run.workers, asked.tell, asked.run.stop
    if asked.assess:
        return observe_halves(data, FEWEST_VIEWS, *rest)
    if asked.lam == "auto":
        return observe_halves(data, ENOUGH_VIEWS, *rest)
    observation = observe(Accumulator(data, [data.used], *rest))
    data.tell()
    return observation


def _are_few(data: Dataset, observation: Observation) -> bool:
    """Return whether the views are too few for halves of them to choose lam."""
    return len(observation.sums) == 1 or sum(sums.n_poses for sums in observation.sums) < ENOUGH_VIEWS * len(data.group)


def _are_halved(observation: Observation) -> bool:
    """Return whether there are two halves; warn if not."""
    if len(observation.sums) == 1:
        count = f"found {len(observation.accumulator.data.used)} views, or copies of so few"
        warn(
            f"assess: {count}, need {FEWEST_VIEWS} that differ, so that two halves tell the resolution; it is left out"
        )
        return False
    return True


def _assessed(found: Made, problem: Problem, asked: Asked) -> Made:
    """Return a volume with its resolution; without it if the call is to end early."""
    result = found.result
    if result.was_cut_short:
        return found
    try:
        halves = problem.halves(result.lam, asked.regularizer, asked.run)
    except Cancelled as cut:
        message = f"{result.message}; {WORDS[cut.status]} while its resolution was estimated"
        return found._replace(result=replace(result, message=message))
    curve = told(halves, as_workers(asked.run.workers, result.x.size))
    return found._replace(result=replace(result, curve=curve, resolution=period_told(curve)), halves=halves)


def _with_gains(first: Made, data: Dataset, asked: Asked) -> Made:
    """Return the volume with gains and weights from a first one; return the first one if the call is to end early."""

    def second() -> Made:
        gain, trust = _gains(data.levelled(), first.result.x, asked)
        return _reconstructed(data.replace(gain=gain, weights=data.weights * trust), asked)

    return _unless_ended(first, second, asked, "gains not fitted")


def _unless_ended(first: Made, step: Callable[[], Made], asked: Asked, left: str) -> Made:
    """Return what a step makes; return the first volume, and say what is left to do, if the call is to end early."""
    stop, message = asked.run.stop, f"{first.result.message}; {left}"
    if stop.is_set() or first.result.was_cut_short:
        status = stop.status() or first.result.status
        return first._replace(result=replace(first.result, status=status, message=message))
    try:
        second = step()
    except Cancelled as cut:
        return first._replace(result=replace(first.result, status=cut.status, message=message))
    if stop.is_set() and not second.result.success:
        return first._replace(result=replace(first.result, status=stop.status(), message=message))
    return second


def _with_weights(first: Made, data: Dataset, asked: Asked) -> tuple[Made, NDArray]:
    """Return the volume of the views that fit it, and their weights; the first one, if the call is to end early.

    All views are compared with the last volume until none changes its weight. If gains are to be fitted, brightness and
    noise change nothing, and views that would dominate stay out of these volumes.
    """
    found, weights = first, data.weights
    alike = (first.data if data.fits_gain else data).weights
    verdict: Judged | None = None

    def weighed() -> Made:
        nonlocal verdict, weights
        left = compared(data, found.result.x, asked.model, found.transfers, asked.run, asked.tell)
        verdict = judged(left, data.fits_gain)
        weights = verdict.weights if verdict.enough else data.weights
        same = np.array_equal(weights * alike, found.data.weights)
        return found if same else _reconstructed(data.replace(weights=weights * alike), asked)

    for _ in range(_ROUNDS):
        before, found = found, _unless_ended(found, weighed, asked, "weights not fitted")
        if found is before or found.result.was_cut_short:
            break
    if verdict is None or found.result.was_cut_short:
        return found, found.data.weights
    tell_verdict(data, verdict)
    return found, weights


def _gains(data: Dataset, x: NDArray, asked: Asked) -> tuple[NDArray, NDArray]:
    """Return the relative gain of each view, and how far to trust the view, by comparison with a volume."""
    accumulator = Accumulator(data, [data.used], asked.model, asked.run.workers, asked.tell, asked.run.stop)
    try:
        return fit_gains(accumulator, x)
    finally:
        accumulator.free()

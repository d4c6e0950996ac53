"""The steps of a reconstruction: from views to sums, to lam, to a volume, to its gains, fit and resolution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._messages import Progress, warn
from .._validation import Size
from ..diagnosis.fit import checked
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
    first = replace(asked, assess=False) if data.fits_gain else asked  # that of the second volume is told
    found = _reconstructed(data, first)
    if data.fits_gain:
        if strong := data.source.strong():  # such a view would dominate the first volume
            alike = data.replace(weights=np.where(np.isin(np.arange(len(data)), strong), 0, data.weights))
            found = _reconstructed(alike, first)
        found = _with_gains(found, data, asked)
    result, stop = found.result, asked.run.stop
    fit = None
    if asked.check and not (stop.is_set() or result.was_cut_short):
        fit = checked(data, result, asked.model, found.transfers, asked.lam != "auto", asked.run, asked.tell)
    cropped = np.ascontiguousarray(result.x[inner(result.x.shape, asked.model)])
    return found._replace(result=replace(result, fit=fit, x=cropped))


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
    stop, message = asked.run.stop, f"{first.result.message}; gains not fitted"
    if stop.is_set() or first.result.was_cut_short:
        status = stop.status() or first.result.status
        return first._replace(result=replace(first.result, status=status, message=message))
    try:
        gain, trust = _gains(data.levelled(), first.result.x, asked)
        second = _reconstructed(data.replace(gain=gain, weights=data.weights * trust), asked)
    except Cancelled as cut:
        return first._replace(result=replace(first.result, status=cut.status, message=message))
    if stop.is_set() and not second.result.success:
        return first._replace(result=replace(first.result, status=stop.status(), message=message))
    return second


def _gains(data: Dataset, x: NDArray, asked: Asked) -> tuple[NDArray, NDArray]:
    """Return the relative gain of each view, and how far to trust the view, by comparison with a volume."""
    accumulator = Accumulator(data, [data.used], asked.model, asked.run.workers, asked.tell, asked.run.stop)
    try:
        return fit_gains(accumulator, x)
    finally:
        accumulator.free()

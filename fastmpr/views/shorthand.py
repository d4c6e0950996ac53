"""What public functions make of their first arguments: a Dataset, or ``particles, psf, poses`` and its keywords."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

from .._keywords import check_keywords
from .._messages import Progress
from .._validation import Size
from ..runtime.stopping import Event
from .dataset import Dataset
from .keywords import KEYWORDS, Belongings, ViewKeywords


class Running(TypedDict, total=False):
    """How a call runs: what all functions of views take beside their own keywords."""

    workers: int | None
    progress: bool | Progress | None
    cancel: Event | None
    timeout: float | None


class RunningShorthand(Running, ViewKeywords, total=False):
    """The same beside particles."""


class Summing(Running, total=False):
    """How views are summed: what all functions take that make a volume of views."""

    shape: int | Size | None


class SummingShorthand(Summing, ViewKeywords, total=False):
    """The same beside particles."""


def as_dataset(function: Callable[..., Any], data: Any, psf: Any, poses: Any, views: ViewKeywords) -> Dataset:
    """Return a Dataset: ``data`` itself, or what the shorthand ``(particles, psf, poses, **keywords)`` means.

    ``function`` is the public one that was called: an error for a misspelt keyword looks among its own keywords too.
    """
    given: Belongings = {"psf": psf, "poses": poses, **views}
    check_keywords(function, views, KEYWORDS)
    if not isinstance(data, Dataset):
        return Dataset(data, **given)
    if names := [name for name, value in given.items() if value is not None]:
        raise TypeError(f"{names[0]}: found beside a Dataset, which holds its own, need data.replace({names[0]}=...)")
    return data

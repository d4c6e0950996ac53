"""The keywords of a `Dataset`, each in one line: the type it takes, its check, and whether it has a value for each view.

`Dataset`, its ``replace``, ``[i]`` and pickles, and all functions that take ``(particles, psf, poses, **keywords)`` read
them here, at run time and in their types. A new one is a line here, a parameter and an attribute of `Dataset`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple, TypedDict, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray

from .._validation import as_choice, as_flag, as_names, as_positive, as_voxel_size
from ..geometry.arguments import frozen
from ..geometry.poses import Poses
from .arguments import as_background, as_gain, as_psf_of, as_weights
from .types import Axis, Background, Frame, Gain, HasArray, Numbers, Outside, Particles, Psf, Seen, VoxelSize, Weights


class Keyword(NamedTuple):
    """How a keyword is checked, and kept by a `Dataset`.

    Attributes
    ----------
    check : callable
        Returns what is kept of what was given. It takes that and the keyword's name; if ``per_view``, that and the number of
        views.
    per_view : bool
        Whether it may hold a value for each view, in an array or a tuple; text and None are for all views.
    kept_as : str
        The attribute of the `Dataset`, where that has another name.
    """

    check: Callable[[Any, Any], Any]
    per_view: bool = False
    kept_as: str = ""

    def checked(self, name: str, value: Any, count: int) -> Any:
        """Return what is kept of a value, beside a number of views."""
        return self.check(value, count if self.per_view else name)


def _or_none(check: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return a check that lets None pass."""
    return lambda value, of: None if value is None else check(value, of)


def _word(words: Any) -> Callable[[Any, Any], Any]:
    """Return a check that lets the words of a `Literal` pass."""
    choices = get_args(words)
    return lambda value, name: as_choice(value, name, choices)


def _as_given(value: Any, _: Any) -> Any:
    """Leave a value to `fields`, which checks it together with those that it belongs to."""
    return value


class VoxelSizes(TypedDict, total=False):
    """The keywords that files can answer."""

    voxel_size: Annotated[VoxelSize | None, Keyword(_or_none(as_voxel_size), kept_as="known_voxel")]
    psf_voxel_size: Annotated[VoxelSize | None, Keyword(_or_none(as_voxel_size), kept_as="known_psf_voxel")]


class Unframed(TypedDict, total=False):
    """The keywords that files say nothing of, but for ``frame``, which is also a word of files."""

    psf_of: Annotated[Sequence[int] | HasArray | None, Keyword(_or_none(as_psf_of), per_view=True)]
    weights: Annotated[Weights | None, Keyword(as_weights, per_view=True, kept_as="given_weights")]
    symmetry: Annotated[str | None, Keyword(_as_given)]
    symmetry_axis: Annotated[Axis | None, Keyword(_as_given)]
    symmetry_centre: Annotated[Numbers | None, Keyword(_as_given)]
    names: Annotated[Sequence[str] | None, Keyword(_or_none(as_names), per_view=True)]
    seen: Annotated[Seen, Keyword(_as_given)]
    outside: Annotated[Outside, Keyword(_word(Outside))]
    radius: Annotated[float | None, Keyword(_or_none(as_positive))]
    background: Annotated[Background, Keyword(as_background, per_view=True)]
    gain: Annotated[Gain, Keyword(as_gain, per_view=True)]
    thread_safe: Annotated[bool | None, Keyword(_or_none(as_flag))]


class OtherKeywords(Unframed, total=False):
    """The keywords that files say nothing of."""

    frame: Annotated[Frame, Keyword(_word(Frame))]


class ViewKeywords(VoxelSizes, OtherKeywords, total=False):
    """What a `Dataset` takes beside particles, PSF and poses."""


class Belongings(ViewKeywords, total=False):
    """What a `Dataset` takes beside particles."""

    psf: Psf | None
    poses: Poses | None


class Changes(Belongings, total=False):
    """What `Dataset.replace` takes."""

    particles: Particles


KEYWORDS: dict[str, Keyword] = {
    name: hint.__metadata__[0] for name, hint in get_type_hints(ViewKeywords, include_extras=True).items()
}

PER_VIEW = tuple(keyword.kept_as or name for name, keyword in KEYWORDS.items() if keyword.per_view)


def some_of(values: Any, places: NDArray[np.intp]) -> Any:
    """Return what belongs to some of the views; text and None are for all of them."""
    if values is None or isinstance(values, str):
        return values
    if isinstance(values, tuple):
        return tuple(values[i] for i in places)
    return frozen(values[places]) if isinstance(values, np.ndarray) else values[places]

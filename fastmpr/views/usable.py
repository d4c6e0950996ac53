"""Which particles can be used at all, and what identifies a data set: every particle is read once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._messages import warn
from ..geometry.poses import Poses
from ..io.checkpoints import digest
from ..runtime.stopping import Stop
from ..runtime.threads import Team, as_workers
from .dataset import Dataset
from .keywords import KEYWORDS
from .seen import NothingSeenError
from .source import ParticleError

_NAMED = 5  # particles that a warning names
_IN_VALUES = ("seen", "names", "thread_safe")  # keywords that show in what is read of a particle, or change nothing


def usable(data: Dataset, fewest: int, workers: int | None, stop: Stop) -> tuple[Dataset, list[str]]:
    """Return the data set with weight 0 for particles that cannot be used, and a hash of each particle.

    A particle cannot be used if it cannot be read, if none of its voxels was seen, or if all of them are equal. A warning
    names these particles.

    Raises
    ------
    ParticleError
        If fewer than ``fewest`` are left, or are different images.
    """
    wrong: dict[int, str] = {}
    hashes = [""] * len(data)

    def look(i: int) -> None:
        try:
            particle = data.read(i)
        except NothingSeenError:
            wrong[i] = f"{data.source.name(i)}: found no seen voxel"
        except (ValueError, OSError) as error:
            wrong[i] = " ".join(str(error).split())
        else:
            hashes[i] = digest(particle)
            if _is_constant(particle):
                wrong[i] = f"{data.source.name(i)}: found one value in all voxels"

    used = data.used.tolist()
    first = 0
    while first < len(used) and len(wrong) == first:  # the first that can be read tells the shape of all
        look(used[first])
        first += 1
    rest = used[first:]
    team = Team(max(1, min(as_workers(workers, len(used) << 16), len(rest))), stop.check)

    def work(member: int) -> None:
        for i in rest[member :: team.size]:
            team.check()
            look(i)

    team.run(work)
    _check_differ({hashes[i] for i in used if i not in wrong}, len(used) - len(wrong), fewest)
    if not wrong:
        return data, hashes
    _tell(wrong, len(used), fewest)
    data.source.forget(wrong)
    return data.replace(weights=np.where(np.isin(np.arange(len(data)), [*wrong]), 0, data.weights)), hashes


def identity(data: Dataset, hashes: list[str]) -> dict[str, str]:
    """Return a hash of each argument of a `Dataset`, by its name."""
    kept = {name: vars(data)[one.kept_as or name] for name, one in KEYWORDS.items() if name not in _IN_VALUES}
    parts = {"particles": hashes, "psf": data.psfs, "poses": _numbers(data.poses), **kept}
    return {name: digest(value) for name, value in parts.items()}


def _numbers(poses: Poses | None) -> list[object] | None:
    if poses is None:
        return None
    return [poses.rotation.as_quat(), poses.translation, poses.unit, poses.centre, poses.two_fold]


def _check_differ(images: set[str], count: int, fewest: int) -> None:
    """Refuse copies of too few images."""
    if len(images) < fewest <= count:
        copies = f"{len(images)} image{'s' * (len(images) != 1)} in {count} copies"
        raise ParticleError(
            f"particles: found {copies}, need {fewest} different ones or more, each of its own particle"
        )


def _is_constant(particle: NDArray) -> bool:
    """Return whether all seen voxels have one value."""
    return bool(np.fmin.reduce(particle, axis=None) == np.fmax.reduce(particle, axis=None))


def _tell(wrong: dict[int, str], count: int, fewest: int) -> None:
    """Warn of particles that cannot be used, or raise an error if too few are left."""
    reasons = [wrong[i] for i in sorted(wrong)]
    if count - len(wrong) < fewest:
        raise ParticleError(
            f"particles: found {count - len(wrong)} of {count} that can be used ({reasons[0]}), need {fewest} or more"
        )
    named = "; ".join(reasons[:_NAMED]) + (f"; and {len(reasons) - _NAMED} more" if len(reasons) > _NAMED else "")
    warn(f"particles: {len(reasons)} of {count} cannot be used and are left out, with weight 0: {named}")

"""What this process may use of the machine: its share of the CPUs and of the memory, by the limits it was put under."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

_SYSTEM = Path("/")  # where /proc and the control groups are
_UNCHECKED = 1 << 26  # bytes below which a need is not worth a look at the limits
_NO_LIMIT = 1 << 60  # the first version of control groups writes its largest number where there is no limit


def available_workers() -> int:
    """Return the number of threads this process may use: its CPU affinity, cut by its control groups' CPU quota."""
    return max(1, math.floor(min(visible_cpus(), cpu_quota())))


def visible_cpus() -> int:
    """Return the number of CPUs that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_quota() -> float:
    """Return the CPUs that the control groups of this process grant, infinity where none says."""
    return min((_cpus_of(group) for group in _groups("cpu")), default=math.inf)


def memory_limit() -> tuple[float, str]:
    """Return how many bytes this process may hold at most, and who says so; infinity where that is not known."""
    limits = [(_machine_memory(), "the machine's memory")]
    for group in _groups("memory"):
        limits += [(_number(group / name), "its control group's limit") for name in _MEMORY_FILES]
    return min(limits)


def available_memory() -> tuple[float, str]:
    """Return how many bytes this process may take beside what it holds, and who says so."""
    limit, why = memory_limit()
    return max(0.0, limit - _status("RssAnon")), why


def check_memory(name: str, found: Any, need: int, remedy: str = "") -> None:
    """Refuse what cannot fit into the memory that this process may use, before any of it is taken.

    Parameters
    ----------
    name, found
        The argument to be blamed, and its value: for a shape or a count, the error says what would fit.
    need : int
        Bytes at the peak.
    remedy : str
        What else would help.

    Raises
    ------
    MemoryError
    """
    if need < _UNCHECKED:
        return
    have, why = available_memory()
    if need <= have:
        return
    remedy = remedy or f"at most {_fitting(found, have / min(need, 1e300))}"
    raise MemoryError(f"{name}: found {found}, which takes {_size(need)} of {_size(have)} left ({why}), need {remedy}")


def _fitting(found: Any, ratio: float) -> Any:
    """Return a shape or a count cut down to a share of its voxels."""
    if isinstance(found, tuple):
        return tuple(max(1, int(min(n, 1e100) * ratio ** (1 / len(found)))) for n in found)
    return max(1, int(min(found, 1e300) * ratio))


def _size(count: float) -> str:
    return f"{min(count, 1e300) / (1 << 30):.3g} GiB"


# ----------------------------------------------------------------------------------------------------
# Control groups, of both versions, nested or not: https://docs.kernel.org/admin-guide/cgroup-v2.html
# ----------------------------------------------------------------------------------------------------

_MEMORY_FILES = ("memory.max", "memory.limit_in_bytes")  # second version, first version


def _groups(controller: str) -> Iterator[Path]:
    """Yield the folders of the control groups that this process is in, its own before those around it."""
    own = dict(_memberships())
    for root, point, version, controllers in _mounts():
        if controller in controllers and (path := own.get(controller if version == 1 else "")) is not None:
            inside = path.relative_to(root) if path.is_relative_to(root) else PurePosixPath()
            yield from (_SYSTEM / point.lstrip("/") / above for above in (inside, *inside.parents))


def _memberships() -> Iterator[tuple[str, PurePosixPath]]:
    """Yield each controller with the group that this process is in; the second version's only group has no name."""
    for line in _lines("proc/self/cgroup"):
        _, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if colon:
            yield from ((name, PurePosixPath(path)) for name in controllers.split(","))


def _mounts() -> Iterator[tuple[str, str, int, set[str]]]:
    """Yield where control groups are mounted: the group that is the folder's root, the folder, version, controllers."""
    for line in _lines("proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        fields, (kind, _, options) = before.split(), (*after.split(), "", "", "")[:3]
        if len(fields) > 4 and kind == "cgroup":
            yield fields[3], fields[4], 1, set(options.split(","))
        elif len(fields) > 4 and kind == "cgroup2":
            yield fields[3], fields[4], 2, {"cpu", "memory"}


def _cpus_of(group: Path) -> float:
    """Return the CPUs that one group grants."""
    granted, period = (*(_first(group / "cpu.max").split()), "", "")[:2]
    if not granted:
        granted, period = _first(group / "cpu.cfs_quota_us"), _first(group / "cpu.cfs_period_us")
    quota, length = _positive(granted), _positive(period)
    return quota / length if math.isfinite(length) else math.inf


def _number(path: Path) -> float:
    """Return the limit in a file, infinity where there is none."""
    number = _positive(_first(path))
    return number if number < _NO_LIMIT else math.inf


def _positive(text: str) -> float:
    """Return a positive integer, infinity for anything else: "max", -1, nothing."""
    return int(text) if len(text) < 30 and text.isascii() and text.isdigit() and int(text) > 0 else math.inf


def _first(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _lines(path: str) -> list[str]:
    return _first(_SYSTEM / path).splitlines()


def _machine_memory() -> float:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not a POSIX system
        return math.inf


def _status(field: str) -> int:
    """Return what the kernel says of this process, in bytes; 0 where it does not."""
    for line in _lines("proc/self/status"):
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    return 0

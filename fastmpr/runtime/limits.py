"""The CPUs and the memory that this process may use, by its affinity, its control groups and the machine."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

_SYSTEM = Path("/")  # the folder with /proc and the control groups
_UNCHECKED = 1 << 26  # bytes: smaller needs are not checked, since reading the limits takes time
_NO_LIMIT = 1 << 60  # version 1 of control groups writes a larger number if there is no limit


def available_workers() -> int:
    """Return the number of threads this process may use: the CPUs of its affinity, limited by its control groups' quota."""
    return max(1, math.floor(min(visible_cpus(), cpu_quota())))


def visible_cpus() -> int:
    """Return the number of CPUs that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_quota() -> float:
    """Return the CPU quota of this process's control groups, infinity if there is none."""
    return min((_cpus_of(group) for group in _groups("cpu")), default=math.inf)


def memory_limit() -> tuple[float, str]:
    """Return how many bytes this process may hold at most, and the source of the limit; infinity if unknown."""
    limits = [(_machine_memory(), "the machine's memory")]
    for group in _groups("memory"):
        limits += [(_number(group / name), "its control group's limit") for name in _MEMORY_FILES]
    return min(limits)


def available_memory() -> tuple[float, str]:
    """Return how many more bytes this process may allocate, and the source of the limit."""
    limit, why = memory_limit()
    return max(0.0, limit - _status("RssAnon")), why


def check_memory(name: str, found: Any, need: int, remedy: str = "") -> None:
    """Refuse a task whose memory exceeds what this process may use, before it allocates any.

    Parameters
    ----------
    name, found
        The argument that the error names, and its value. For a shape or a count, the error says what would fit.
    need : int
        Peak memory in bytes.
    remedy : str
        Another remedy for the error message.

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
    """Return a shape or a count reduced to a share of its voxels."""
    if isinstance(found, tuple):
        return tuple(max(1, int(min(n, 1e100) * ratio ** (1 / len(found)))) for n in found)
    return max(1, int(min(found, 1e300) * ratio))


def _size(count: float) -> str:
    return f"{min(count, 1e300) / (1 << 30):.3g} GiB"


# ----------------------------------------------------------------------------------------------------
# Control groups of versions 1 and 2, nested or not: https://docs.kernel.org/admin-guide/cgroup-v2.html
# ----------------------------------------------------------------------------------------------------

_MEMORY_FILES = ("memory.max", "memory.limit_in_bytes")  # version 2, version 1


def _groups(controller: str) -> Iterator[Path]:
    """Yield the folders of this process's control groups, the innermost group first."""
    own = dict(_memberships())
    for root, point, version, controllers in _mounts():
        if controller in controllers and (path := own.get(controller if version == 1 else "")) is not None:
            inside = path.relative_to(root) if path.is_relative_to(root) else PurePosixPath()
            yield from (_SYSTEM / point.lstrip("/") / above for above in (inside, *inside.parents))


def _memberships() -> Iterator[tuple[str, PurePosixPath]]:
    """Yield each controller with this process's group; in version 2 there is one group, without a controller's name."""
    for line in _lines("proc/self/cgroup"):
        _, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if colon:
            yield from ((name, PurePosixPath(path)) for name in controllers.split(","))


def _mounts() -> Iterator[tuple[str, str, int, set[str]]]:
    """Yield the mounts of control groups: the group at the mount's root, its folder, the version, the controllers."""
    for line in _lines("proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        fields, (kind, _, options) = before.split(), (*after.split(), "", "", "")[:3]
        if len(fields) > 4 and kind == "cgroup":
            yield fields[3], fields[4], 1, set(options.split(","))
        elif len(fields) > 4 and kind == "cgroup2":
            yield fields[3], fields[4], 2, {"cpu", "memory"}


def _cpus_of(group: Path) -> float:
    """Return the CPU quota of one group."""
    granted, period = (*(_first(group / "cpu.max").split()), "", "")[:2]
    if not granted:
        granted, period = _first(group / "cpu.cfs_quota_us"), _first(group / "cpu.cfs_period_us")
    quota, length = _positive(granted), _positive(period)
    return quota / length if math.isfinite(length) else math.inf


def _number(path: Path) -> float:
    """Return the limit in a file, infinity if there is none."""
    number = _positive(_first(path))
    return number if number < _NO_LIMIT else math.inf


def _positive(text: str) -> float:
    """Return a positive integer, infinity for any other text, such as "max", "-1" or an empty one."""
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
    """Return a field of the kernel's status of this process in bytes, 0 if it is missing."""
    for line in _lines("proc/self/status"):
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    return 0

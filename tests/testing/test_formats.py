"""What `check_format` finds wrong, each with one line."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fastmpr.io import About, poses_csv, tiff
from fastmpr.io.files import written_whole
from fastmpr.io.stored import Stored
from fastmpr.testing import check_format


def npy(**changes) -> SimpleNamespace:
    """A format of one's own, NumPy's files with a voxel size behind: right, but for what a test changes."""

    @contextmanager
    def opened(path, scene=None):
        with open(path, "rb") as file:
            try:
                volume, said = np.load(file), np.load(file)
            except (ValueError, EOFError) as error:
                raise ValueError(f"{path}: cannot be read ({' '.join(str(error).split())}), need a volume") from None
        yield Stored(path, "an NPY file", volume, "ZYX", lambda flat: tuple(said.tolist()) if said.size else None)

    @contextmanager
    def created(path, shape, dtype, axes, voxel_size, about, overwrite):
        values = np.empty(shape, dtype)
        yield values
        with written_whole(path, overwrite) as temporary, open(temporary, "wb") as file:
            np.save(file, values)
            np.save(file, np.array(voxel_size or (), float))

    right = {"SUFFIXES": (".npy",), "KIND": "an NPY file", "holds": lambda path, head: head[1:6] == b"NUMPY"}
    return SimpleNamespace(**right | {"opened": opened, "created": created} | changes)


RIGHT, POSES = npy(), {name: getattr(poses_csv, name) for name in ("SUFFIXES", "UNIT", "CENTRE", "read", "write")}


@contextmanager
def in_place(path, shape, dtype, axes, voxel_size, about, overwrite):
    """Write without a temporary file, so that half of one may stay."""
    values = np.empty(shape, dtype)
    yield values
    if Path(path).exists() and not overwrite:
        raise FileExistsError(f"{path}: exists already")
    Path(path).write_bytes(b"")
    with open(path, "wb") as file:
        np.save(file, values)
        np.save(file, np.array(voxel_size or (), float))


def changed(**changes):
    """Return ``opened`` with something else in what is opened."""

    @contextmanager
    def opened(path, scene=None):
        with RIGHT.opened(path, scene) as stored:
            yield replace(stored, **{name: change(stored) for name, change in changes.items()})

    return opened


@contextmanager
def anything(path, scene=None):
    """Take an empty file for a volume."""
    if Path(path).stat().st_size:
        with RIGHT.opened(path) as stored:
            yield stored
    else:
        yield Stored(path, "an NPY file", np.zeros((2, 2, 2), np.float32), "ZYX", lambda flat: None)


@contextmanager
def in_two_lines(path, scene=None):
    try:
        with RIGHT.opened(path) as stored:
            yield stored
    except ValueError as error:
        raise ValueError(f"{error}\nor so") from None


@contextmanager
def without_its_name(path, scene=None):
    if not Path(path).stat().st_size:
        int("none")
    with RIGHT.opened(path) as stored:
        yield stored


WRONG = {
    "no suffixes": ({"SUFFIXES": None}, "SUFFIXES: found None, need a tuple"),
    "capital letters": ({"SUFFIXES": (".NPY",)}, r"SUFFIXES: found \('.NPY',\), need a tuple of suffixes in small"),
    "axes in another order": (
        {"opened": changed(axes=lambda stored: "XYZ")},
        r"right.npy: found ndarray of shape \(7, 6, 5\) and float32, need float32 or float64 of \(5, 6, 7\)",
    ),
    "rounded": (
        {"opened": changed(values=lambda stored: np.round(stored.values, 2))},
        "found values that differ by 0.00.*, need the same in float32",
    ),
    "voxels in another unit": (
        {"opened": changed(voxel_size=lambda stored: lambda flat: (300.0, 110.0, 100.0))},
        r"found the voxel size \(300.0, 110.0, 100.0\), need \(0.3, 0.11, 0.1\) \(z, y, x\) in micrometres",
    ),
    "a content that is not recognised": (
        {"holds": lambda path, head: False},
        "right.npy: found that holds does not know it, need True of what was written",
    ),
    "overwritten unasked": (
        {"created": lambda *args: RIGHT.created(*args[:-1], True)},
        "written without overwrite where it is already: found no error, need OSError",
    ),
    "half a file": ({"created": in_place}, "a disk that is full: found|found other bytes after errors"),
    "an empty file": ({"opened": anything}, "an empty file: found no error, need ValueError or OSError, in one line"),
    "two lines": ({"opened": in_two_lines}, "found an error of 2 lines, need ValueError or OSError, in one line"),
    "a file without a name": (
        {"opened": without_its_name},
        "an empty file: found .*, need ValueError or OSError, in one line that names the file",
    ),
    "poses in feet": (POSES | {"UNIT": "foot"}, "UNIT: found 'foot', need 'voxel' or 'um'"),
    "poses about a corner": (POSES | {"CENTRE": "0"}, r"CENTRE: found '0', need one of \('\(n - 1\) / 2', 'n // 2'\)"),
    "rotations inverted": (
        POSES | {"read": lambda path: poses_csv.read(path)._replace(rotation=poses_csv.read(path).rotation.inv())},
        "found rotations that differ by .* rad, need those that were written",
    ),
    "translations reversed": (
        POSES | {"read": lambda path: poses_csv.read(path)._replace(translation=-poses_csv.read(path).translation)},
        "found translations that differ by .*, need those that were written",
    ),
    "names forgotten": (
        POSES | {"read": lambda path: poses_csv.read(path)._replace(names=None)},
        "found the names None",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_in_one_line(name, tmp_path):
    changes, message = WRONG[name]
    with pytest.raises(AssertionError, match=message) as caught:
        check_format(npy(**changes), tmp_path)
    assert "\n" not in str(caught.value)


def test_a_format_of_ones_own(tmp_path):
    check_format(npy(), tmp_path)


def test_a_format_that_is_only_read_needs_a_sample(tmp_path):
    only_read = npy()
    del only_read.created
    with pytest.raises(
        AssertionError, match="found a module without created and no sample, need sample=, a right file"
    ):
        check_format(only_read, tmp_path)
    with RIGHT.created(tmp_path / "a.npy", (3, 4, 5), float, "ZYX", (1.0, 2.0, 2.0), About(), False) as target:
        target[...] = 1
    check_format(only_read, tmp_path, tmp_path / "a.npy")


@pytest.mark.parametrize("module", [tiff, poses_csv], ids=lambda module: module.__name__)
def test_files_may_grow_again_afterwards(module, tmp_path):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    check_format(module, tmp_path)
    assert resource.getrlimit(resource.RLIMIT_FSIZE) == before

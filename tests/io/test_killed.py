"""kill -9 while files are written: what was there stays, nothing half-written looks like a file, the next write works."""

from __future__ import annotations

import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import fastmpr
from fastmpr import io

VOLUME = np.random.default_rng(0).random((4, 5, 6)).astype(np.float32)
PACKAGES = {".ome.tif": "tifffile", ".mrc": "mrcfile", ".mrc.gz": "mrcfile", ".ome.zarr": "zarr", ".h5": "h5py"}
SUFFIXES = [suffix for suffix in (*PACKAGES, ".npy", ".npz") if find_spec(PACKAGES.get(suffix, "numpy"))]
MOMENTS = ("first piece", "last name")  # before the file has the name that it is to have

# one thread writes each file, and never gets beyond its moment
WRITER = """
import os, sys, threading, time
import numpy as np
from fastmpr.io.images import created_image

there = threading.Semaphore(0)

def stay(*_):
    there.release()
    time.sleep(600)

def write(moment, path):
    with created_image(path, (4, 5, 6), np.float32, "ZYX", 0.1, overwrite=os.path.exists(path)) as target:
        target[0] = 7
        if moment == "first piece":
            stay()
        target[1:] = 7

os.replace = stay
tasks = [line.split("|") for line in sys.stdin.read().splitlines()]
for task in tasks:
    threading.Thread(target=write, args=task, daemon=True).start()
for _ in tasks:
    there.acquire()
print("all there", flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A folder of two particles for each format and moment, where another and the second again were being written."""
    root, tasks = tmp_path_factory.mktemp("killed"), []
    for suffix in SUFFIXES:
        for moment in MOMENTS:
            folder = root / suffix / moment
            folder.mkdir(parents=True)
            for k in (0, 1):
                io.write(folder / f"{k}{suffix}", VOLUME + k)
            tasks += [f"{moment}|{folder}/{k}{suffix}" for k in (1, 2)]
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", WRITER], **options) as process:
        process.stdin.write("\n".join(tasks))
        process.stdin.close()
        assert process.stdout.readline() == "all there\n"
        process.kill()
    assert process.returncode == -signal.SIGKILL
    return root


@pytest.mark.skipif(sys.platform == "win32", reason="needs a signal that no process can catch")
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_was_there_stays_and_nothing_half_written_is_seen(killed, suffix, moment):
    folder = killed / suffix / moment
    whole = {f"{k}{suffix}" for k in (0, 1)}
    left = {path.name for path in folder.iterdir()} - whole
    assert all(name.startswith(".") for name in left)
    assert bool(left) != ((suffix, moment) == (".npz", "first piece"))  # which is written at once
    for seen in (folder, f"{folder}/*"):
        data = fastmpr.load(seen)
        assert [Path(name).name for name in data.names] == sorted(whole)
        np.testing.assert_array_equal(np.stack(list(data.source.particles)), [VOLUME, VOLUME + 1])
    io.write(folder / f"2{suffix}", VOLUME + 2)
    io.write(folder / f"1{suffix}", VOLUME + 3, overwrite=True)
    np.testing.assert_array_equal(np.stack(list(io.open_particles(folder))), [VOLUME, VOLUME + 3, VOLUME + 2])

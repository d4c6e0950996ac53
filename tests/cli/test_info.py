from __future__ import annotations

import math
import os
from pathlib import Path

import numba
import numpy as np
import pyfftw
import pytest

from fastmpr import warming
from fastmpr.cli import main
from fastmpr.runtime import limits as _limits

PACKAGES = {"fastmpr", "python", "numba", "llvmlite", "numpy", "pyfftw", "scipy", "tifffile", "matplotlib", "tqdm"}
PACKAGES |= {"mrcfile", "zarr", "h5py", "pylibCZIrw", "liffile", "nd2", "oiffile"}


def rows(capsys) -> dict[str, str]:
    """What the command says, by the words in its first column."""
    assert main(["info"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.isascii() and line[11] == " " and line[12] != " " for line in lines)
    return {line[:11].rstrip(): line[12:] for line in lines}


def test_versions(capsys):
    said = rows(capsys)
    assert said.keys() == PACKAGES | {"threads", "memory", "fftw", "cpu", "cache", "cite"}
    assert said["numpy"] == np.__version__
    assert said["fftw"].endswith(f"aligned to {pyfftw.simd_alignment} bytes")


class TestLimits:
    @pytest.mark.parametrize(
        ("quota", "expected"),
        [
            (2.5, "2: 8 cores in the machine, 4 by affinity, 2.5 by the control group's quota"),
            (math.inf, "4: 8 cores in the machine, 4 by affinity"),
        ],
    )
    def test_threads(self, capsys, monkeypatch, quota, expected):
        monkeypatch.setattr(os, "cpu_count", lambda: 8)
        monkeypatch.setattr(_limits, "visible_cpus", lambda: 4)
        monkeypatch.setattr(_limits, "cpu_quota", lambda: quota)
        assert rows(capsys)["threads"] == expected

    @pytest.mark.parametrize(
        ("limit", "expected"),
        [
            ((1 << 29, "its control group's limit"), "0.5 GiB (its control group's limit)"),
            ((math.inf, "the machine's memory"), "not known"),
        ],
    )
    def test_memory(self, capsys, monkeypatch, limit, expected):
        monkeypatch.setattr(_limits, "memory_limit", lambda: limit)
        assert rows(capsys)["memory"] == expected


class TestNumba:
    def test_cpu(self, capsys, monkeypatch):
        for name in ("CPU_NAME", "CPU_FEATURES"):
            monkeypatch.setattr(numba.config, name, None)
        host = rows(capsys)["cpu"]
        assert " " not in host
        monkeypatch.setattr(numba.config, "CPU_NAME", "x86-64-v3")
        assert rows(capsys)["cpu"] == f"x86-64-v3 by NUMBA_CPU_NAME; this one is {host}"
        monkeypatch.setattr(numba.config, "CPU_FEATURES", "")
        assert rows(capsys)["cpu"] == f"x86-64-v3 by NUMBA_CPU_NAME and NUMBA_CPU_FEATURES; this one is {host}"

    def test_cache(self, capsys, monkeypatch, tmp_path):
        monkeypatch.setattr(warming, "cache_folder", lambda: tmp_path)
        (tmp_path / "a.nbi").write_bytes(b"1" * (1 << 20))
        (tmp_path / "a.1.nbc").write_bytes(b"1" * (1 << 19))
        (tmp_path / "a.pyc").touch()
        assert rows(capsys)["cache"] == f"{tmp_path} (can be written; 2 files, 1.5 MiB)"
        monkeypatch.setattr(warming, "can_write", lambda folder: False)
        assert rows(capsys)["cache"] == f"{tmp_path} (cannot be written; 2 files, 1.5 MiB)"
        monkeypatch.setattr(warming, "cache_folder", lambda: None)
        assert rows(capsys)["cache"].startswith("none")

    @pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder that refuses even root: /proc")
    def test_a_folder_that_cannot_be_written(self):
        assert not warming.can_write(Path("/proc"))

"""What a process may use, under control groups of both versions, however they are nested and mounted."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from fastmpr.runtime import limits as _limits
from fastmpr.runtime.limits import available_memory, available_workers, check_memory, memory_limit

GIB = 1 << 30
V2_MOUNT = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
V1_MOUNTS = """\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
37 31 0:34 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd"""


@pytest.fixture
def system(monkeypatch, tmp_path):
    """A machine of eight CPUs and 64 GiB, whose /proc and /sys are a folder that a test fills."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(_limits, "_machine_memory", lambda: 64.0 * GIB)
    monkeypatch.setattr(_limits, "_SYSTEM", tmp_path)

    def fill(files: dict[str, str]) -> None:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return fill


def second(own: str, files: dict[str, str], mount: str = V2_MOUNT) -> dict[str, str]:
    """The second version: one tree for all controllers."""
    tree = {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    return {"proc/self/cgroup": f"0::{own}\n", "proc/self/mountinfo": mount, **tree}


def first(own: str, files: dict[str, str]) -> dict[str, str]:
    """The first version: a tree for each controller, and an empty one of the second beside them."""
    tree = {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    groups = f"9:name=systemd:/\n4:memory:{own}\n2:cpu,cpuacct:{own}\n0::/\n"
    return {"proc/self/cgroup": groups, "proc/self/mountinfo": V1_MOUNTS, **tree}


class TestWorkers:
    def test_affinity(self, system, monkeypatch):
        assert available_workers() == 8
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5})
        assert available_workers() == 2

    def test_without_affinity_the_machines_count(self, system, monkeypatch):
        monkeypatch.delattr(os, "sched_getaffinity", raising=False)
        monkeypatch.setattr(os, "cpu_count", lambda: 6)
        assert available_workers() == 6
        monkeypatch.setattr(os, "cpu_count", lambda: None)
        assert available_workers() == 1

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("max 100000", 8),
            ("300000 100000", 3),
            ("50000 100000", 1),  # at least one
            ("150000 100000", 1),  # rounded down
            ("290000 100000", 2),
            ("1600000 100000", 8),
            ("250000 100000\n", 2),
            ("", 8),
            ("garbage", 8),
            ("200000", 8),
            ("200000 0", 8),
            ("-1 100000", 8),
            ("9" * 5000 + " 100000", 8),
        ],
    )
    def test_a_quota_of_the_second_version(self, system, text, expected):
        system(second("/", {"cpu.max": text}))
        assert available_workers() == expected

    @pytest.mark.parametrize(
        ("quota", "period", "expected"),
        [("-1", "100000", 8), ("400000\n", "100000\n", 4), ("10000", "100000", 1), ("150000", "100000", 1)]
        + [("", "100000", 8), ("200000", "", 8), ("two", "100000", 8), ("200000", "0", 8)],
    )
    def test_a_quota_of_the_first_version(self, system, quota, period, expected):
        folder = "cpu,cpuacct/docker/abc/"
        system(first("/docker/abc", {folder + "cpu.cfs_quota_us": quota, folder + "cpu.cfs_period_us": period}))
        assert available_workers() == expected

    def test_the_tightest_of_nested_groups_holds(self, system):
        system(second("/a.slice/b.service", {"a.slice/cpu.max": "200000 100000", "cpu.max": "max 100000"}))
        assert available_workers() == 2
        system(second("/a.slice/b.service", {"a.slice/b.service/cpu.max": "100000 100000"}))
        assert available_workers() == 1

    def test_a_container_whose_root_is_its_own_group(self, system):
        """Without a namespace of its own, it sees the host's path and only its part of the tree."""
        mount = V2_MOUNT.replace(" / /sys", " /docker/abc /sys")
        system(second("/docker/abc", {"cpu.max": "300000 100000"}, mount))
        assert available_workers() == 3
        system(second("/docker/abc/inner", {"inner/cpu.max": "100000 100000"}, mount))
        assert available_workers() == 1

    def test_a_group_outside_what_is_mounted(self, system):
        system(second("/../other", {"cpu.max": "300000 100000"}))
        assert available_workers() == 3

    @pytest.mark.parametrize("text", ["", "0", "0:", "::", "0::", "nonsense\n\n", "\0"])
    def test_damaged_descriptions_mean_no_limit(self, system, text):
        system({"proc/self/cgroup": text, "proc/self/mountinfo": text, "proc/self/status": text})
        assert available_workers() == 8
        assert memory_limit() == (64 * GIB, "the machine's memory")


class TestMemory:
    def test_the_tightest_of_nested_groups_holds(self, system):
        system(second("/a/b", {"a/memory.max": str(GIB // 2), "a/b/memory.max": "max"}))
        assert memory_limit() == (GIB // 2, "its control group's limit")

    def test_the_first_version(self, system):
        limits = {
            "memory/a/memory.limit_in_bytes": str(2 * GIB),
            "memory/a/b/memory.limit_in_bytes": "9223372036854771712",
        }
        system(first("/a/b", limits))
        assert memory_limit() == (2 * GIB, "its control group's limit")

    @pytest.mark.parametrize("text", ["max", "", "-1", "lots", "9223372036854771712"])
    def test_no_limit(self, system, text):
        system(second("/", {"memory.max": text}))
        assert memory_limit() == (64 * GIB, "the machine's memory")

    def test_what_the_process_holds_already_is_not_left(self, system):
        system(second("/", {"memory.max": str(GIB)}) | {"proc/self/status": "VmRSS:\t900 kB\nRssAnon:\t  1024 kB\n"})
        assert available_memory() == (GIB - 2**20, "its control group's limit")

    def test_the_error_says_what_was_found_what_it_takes_and_what_would_fit(self, system):
        system(second("/", {"memory.max": str(GIB // 2)}))
        need = "^shape: found \\(4000, 4000, 4000\\), which takes 238 GiB of 0.5 GiB left \\(its control group's limit\\), "
        with pytest.raises(MemoryError, match=need + "need at most \\(512, 512, 512\\)$"):
            check_memory("shape", (4000, 4000, 4000), 4 * 4000**3)
        with pytest.raises(MemoryError, match="^n: found 1000000, .* need at most 5368$"):
            check_memory("n", 10**6, 10**6 * 100_000)
        with pytest.raises(MemoryError, match="need cubic voxels$"):
            check_memory("voxel_size", (300, 0.1, 0.1), 10**400, "cubic voxels")
        check_memory("shape", (500, 500, 500), 4 * 500**3)

    def test_small_needs_look_at_nothing(self, system, monkeypatch):
        monkeypatch.setattr(Path, "read_text", None)
        check_memory("shape", (100, 100, 100), 4 * 100**3)

    def test_this_process_has_some_left(self):
        left, _ = available_memory()
        assert 0 < left < math.inf or not Path("/proc/self/status").exists()

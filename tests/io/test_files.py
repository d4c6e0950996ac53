from __future__ import annotations

import os
import sys

import pytest

from fastmpr.io import files, poses_csv, poses_star, tiff
from fastmpr.io.files import (
    check_fits_memory,
    check_folder_writable,
    check_writable,
    folder_written_whole,
    written_whole,
)
from fastmpr.testing import check_format


@pytest.mark.parametrize("module", [tiff, poses_csv, poses_star], ids=lambda module: module.__name__)
def test_ours_are_what_we_ask_of_others(module, tmp_path):
    check_format(module, tmp_path)


class TestFiles:
    def test_missing_folder(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="nowhere, need an existing one"):
            check_writable(tmp_path / "nowhere" / "v.tif")

    def test_folder_that_is_a_file(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(NotADirectoryError, match="file is a file, need a folder"):
            check_writable(tmp_path / "file" / "v.tif")
        with pytest.raises(NotADirectoryError, match="file: is a file, need a folder"):
            check_folder_writable(tmp_path / "file", ["a"])

    def test_file_that_is_a_folder(self, tmp_path):
        with pytest.raises(IsADirectoryError, match="is a folder"):
            check_writable(tmp_path, overwrite=True)

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a folder that refuses even root: /proc")
    def test_folder_that_takes_no_files(self):
        for check in (
            lambda: check_writable("/proc/v.tif"),
            lambda: check_folder_writable("/proc", ["v.tif"]),
        ):
            with pytest.raises(PermissionError, match="/proc: cannot write in this folder"):
                check()

    def test_checking_leaves_nothing(self, tmp_path):
        check_writable(tmp_path / "v.tif")
        check_folder_writable(tmp_path / "new", ["a"])
        check_folder_writable(tmp_path, ["a"])
        assert list(tmp_path.iterdir()) == []

    def test_interrupted_file(self, tmp_path):
        (tmp_path / "a.txt").write_text("old")
        with pytest.raises(KeyboardInterrupt), written_whole(tmp_path / "a.txt", overwrite=True) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt
        assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]

    def test_interrupted_folder(self, tmp_path):
        with pytest.raises(KeyboardInterrupt), folder_written_whole(tmp_path / "new", ["a.txt"]) as temporary:
            (temporary / "a.txt").write_text("half")
            raise KeyboardInterrupt
        assert list(tmp_path.iterdir()) == []

    def test_folder_keeps_what_is_not_replaced(self, tmp_path):
        (tmp_path / "mine.txt").write_text("mine")
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub" / "old.txt").write_text("old")
        with pytest.raises(FileExistsError, match="holds sub already"):
            check_folder_writable(tmp_path, ["sub", "a.txt"])
        with folder_written_whole(tmp_path, ["sub", "a.txt"], overwrite=True) as temporary:
            (temporary / "a.txt").write_text("a")
            (temporary / "sub").mkdir()
            (temporary / "sub" / "new.txt").write_text("new")
        found = {str(p.relative_to(tmp_path)): p.read_text() for p in tmp_path.rglob("*") if p.is_file()}
        assert found == {"mine.txt": "mine", "a.txt": "a", os.path.join("sub", "new.txt"): "new"}


def test_what_a_file_declares_must_fit_into_what_the_process_may_use(monkeypatch):
    monkeypatch.setattr(files, "memory_limit", lambda: (2e9, "its control group's limit"))
    check_fits_memory("a.tif", 10**9)
    with pytest.raises(ValueError, match=r"a\.tif: found a volume of 40000 GB, need one that fits in memory \(2 GB\)"):
        check_fits_memory("a.tif", 4 * 10**13)

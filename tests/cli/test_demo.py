from __future__ import annotations

import pytest
from commands import files, refusal

from fastmpr import io
from fastmpr.cli import _words, demo, main
from fastmpr.metrics import psnr


class TestDemo:
    @pytest.fixture(autouse=True)
    def smaller(self, monkeypatch):
        """Half as many voxels each way, twice as large."""
        monkeypatch.setattr(demo, "SHAPE", 28)
        monkeypatch.setattr(demo, "VOXEL", 0.025)

    def test_files_and_table(self, tmp_path, capsys):
        folder = tmp_path / "demo"
        assert main(["demo", "--out", str(folder)]) == 0
        assert files(folder) == set(demo.FILES)
        volumes = {name: io.read(folder / name) for name in demo.FILES if name.endswith(".tif")}
        for volume, voxel_size in volumes.values():
            assert volume.shape == (demo.SHAPE,) * 3
            assert voxel_size == (demo.VOXEL,) * 3
        truth = volumes["truth.ome.tif"][0]
        out = capsys.readouterr().out
        decibels = []
        for name in ("average", "reconstruction"):
            value = psnr(volumes[f"{name}.ome.tif"][0], truth)
            (row,) = (line.split() for line in out.splitlines() if line.startswith(name + " "))
            assert float(row[1]) == pytest.approx(value, abs=0.01)
            assert float(row[2]) >= 0
            decibels.append(value)
        assert decibels[1] > decibels[0] + 4
        assert str(folder) in out
        # another demo takes its place, and nothing else
        (folder / "mine.txt").touch()
        assert main(["demo", "--out", str(folder), "--poses", "2", "--quiet"]) == 0
        assert capsys.readouterr().out == ""
        assert files(folder) == {*demo.FILES, "mine.txt"}

    @pytest.mark.parametrize("package", ["tifffile", "matplotlib"])
    def test_missing_extra(self, tmp_path, capsys, monkeypatch, package):
        """Said before the work begins, with the cure."""
        monkeypatch.setattr(_words, "find_spec", lambda name: None if name == package else name)
        message = refusal(["demo", "--out", str(tmp_path / "demo")], capsys)
        assert f'needs {package}: pip install "fastmpr[cli]"' in message
        assert files(tmp_path) == set()

    def test_bad_folder(self, tmp_path, capsys):
        (tmp_path / "file").touch()
        for folder in ("file", "file/demo", "nowhere/demo"):
            assert folder.split("/")[0] in refusal(["demo", "--out", str(tmp_path / folder)], capsys)
        assert files(tmp_path) == {"file"}

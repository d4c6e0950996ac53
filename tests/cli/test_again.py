"""``--again OUT.json``: the command that left a record, run once more."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from commands import arguments, files, refusal, with_value

import fastmpr
from fastmpr.cli import main

PSF = fastmpr.psf.gaussian((9, 7, 7), sigma=(2, 1, 1)).astype(np.float32)


@pytest.fixture
def done(views, monkeypatch, capsys):
    """A folder in which a volume was made, with all sums of their threads."""
    monkeypatch.chdir(views)
    assert main(arguments(Path(), symmetry="C2", lam=None, max_iter=20)) == 0
    capsys.readouterr()
    return views


def record(name: str) -> dict:
    return json.loads(Path(name).read_text())


class TestReconstruct:
    def test_the_same_bits(self, done):
        assert main(["reconstruct", "--again", "out.json", "-o", "again.ome.tif"]) == 0
        first, second = (fastmpr.io.read(name)[0] for name in ("out.ome.tif", "again.ome.tif"))
        assert np.array_equal(first, second)
        old, new = record("out.json"), record("again.json")
        assert new["inputs"] == old["inputs"] and new["found"] == old["found"]
        assert len(old["inputs"]) == 5 and old["input"]["unit"] == "um"

    def test_a_record_of_what_was_run_again_can_be_run_again(self, done):
        assert main(["reconstruct", "--again=out.json", "-o", "again.ome.tif", "--lam", "7"]) == 0
        assert main(["reconstruct", "--again", "again.json", "-o", "third.ome.tif"]) == 0
        assert record("third.json")["found"]["lam"] == 7
        assert np.array_equal(*(fastmpr.io.read(f"{name}.ome.tif")[0] for name in ("again", "third")))

    def test_as_many_threads(self, done):
        told = record("out.json") | {"threads": 1}
        Path("out.json").write_text(json.dumps(told))
        assert main(["reconstruct", "--again", "out.json", "-o", "again.ome.tif"]) == 0
        assert record("again.json")["options"]["workers"] == 1

    def test_nothing_is_replaced_unasked(self, done, capsys):
        assert "out.ome.tif: exists already" in refusal(["reconstruct", "--again", "out.json"], capsys)
        assert main(["reconstruct", "--again", "out.json", "--overwrite"]) == 0
        capsys.readouterr()
        assert "exists already" in refusal(["reconstruct", "--again", "out.json"], capsys)

    @pytest.mark.parametrize("name", ["particles/1.tiff", "psf.tiff", "poses.csv"])
    def test_an_input_that_has_changed_is_refused_by_name(self, done, name, capsys):
        path = next(path for path in done.rglob("*") if path.as_posix().endswith(name.rpartition("/")[2]))
        if path.suffix == ".csv":
            path.write_text(path.read_text() + "\n")
        else:
            volume, voxel = fastmpr.io.read(path)
            fastmpr.io.write(path, volume + np.float32(0.1), voxel, overwrite=True)
        before = files(done)
        said = refusal(["reconstruct", "--again", "out.json", "-o", "again.ome.tif"], capsys)
        assert path.name in said and "found another content than the record tells" in said
        assert files(done) == before

    @pytest.mark.parametrize("changed", ["list.star", "particle"])
    def test_a_list_that_has_changed_is_refused_and_so_is_a_file_that_it_names(self, done, changed, capsys):
        paths = sorted((done / "particles").iterdir())
        rows = "".join(f"particles/{path.name}\n" for path in paths)
        Path("list.star").write_text(f"data_particles\nloop_\n_rlnImageName\n{rows}")
        told = fastmpr.Poses.read("poses.csv")
        fastmpr.Poses(told.rotation, told.translation, names=[f"particles/{p.name}" for p in paths]).write("l.csv")
        words = arguments(Path(), symmetry="C2", lam=None, max_iter=3)
        words = ["list.star" if word == "particles" else "l.csv" if word == "poses.csv" else word for word in words]
        assert main([*words, "--overwrite"]) == 0
        assert {"list.star", "l.csv"} <= set(record("out.json")["inputs"])
        if changed == "list.star":
            Path(changed).write_text(Path(changed).read_text() + "\n")
        else:
            changed = paths[1].name
            volume, voxel = fastmpr.io.read(paths[1])
            fastmpr.io.write(paths[1], volume + np.float32(0.1), voxel, overwrite=True)
        capsys.readouterr()
        said = refusal(["reconstruct", "--again", "out.json", "-o", "again.ome.tif"], capsys)
        assert changed in said and "found another content than the record tells" in said

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("{", "found no record of a command"),
            ("[1]", "found no record of a command"),
            ('{"command": []}', "found no record of a command"),
            (None, "out.json: does not exist"),
        ],
    )
    def test_a_record_that_is_none(self, done, text, message, capsys):
        Path("out.json").unlink() if text is None else Path("out.json").write_text(text)
        assert message in refusal(["reconstruct", "--again", "out.json"], capsys)

    def test_a_record_of_another_command(self, done, capsys):
        said = refusal(["deconvolve", "--again", "out.json"], capsys)
        assert "found a record of fastmpr reconstruct, need fastmpr reconstruct --again out.json" in said
        assert "--again: found nothing" in refusal(["reconstruct", "--again"], capsys)

    @pytest.mark.filterwarnings("always::fastmpr.FastmprWarning")
    def test_another_version_or_folder_is_said(self, done, monkeypatch, capsys):
        told = record("out.json")
        told["versions"]["fastmpr"] = "0.0.1"
        told["folder"] = str(done / "elsewhere")
        Path("out.json").write_text(json.dumps(told))
        assert main(["reconstruct", "--again", "out.json", "-o", "again.ome.tif"]) == 0
        said = capsys.readouterr().err
        assert "fastmpr 0.0.1 made it" in said and "elsewhere" in said


def test_poses_that_were_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    truth, poses = fastmpr.phantom.nuclear_pore((16, 16, 16)), fastmpr.Poses.random(6, rng=0)
    views = fastmpr.simulate(truth, PSF, poses, noise_sigma=0.02, rng=0)
    for i, view in enumerate(views):
        fastmpr.io.write(f"p{i}.tif", view)
    fastmpr.io.write("psf.tif", PSF)
    fastmpr.Poses(poses.rotation, poses.translation, names=[f"p{i}.tif" for i in range(6)]).write("poses.csv")
    particles = [f"p{i}.tif" for i in range(6)]
    assert main(["refine", *particles, "--psf", "psf.tif", "--poses", "poses.csv", "-o", "a.ome.tif"]) == 0
    assert main(["refine", "--again", "a.json", "-o", "b.ome.tif"]) == 0
    assert np.array_equal(*(fastmpr.io.read(f"{name}.ome.tif")[0] for name in "ab"))
    assert Path("a.csv").read_bytes() == Path("b.csv").read_bytes()


def test_an_image(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blurred = fastmpr.simulate(
        fastmpr.phantom.centriole((16, 16, 16)), PSF, fastmpr.Poses.random(1, rng=0), noise_sigma=0.01
    )
    fastmpr.io.write("image.tif", blurred[0])
    fastmpr.io.write("psf.tif", PSF)
    assert main(["deconvolve", "image.tif", "--psf", "psf.tif", "-o", "a.ome.tif", "--lam", "30", "--tol", "1"]) == 0
    assert main(["deconvolve", "--again", "a.json", "-o", "b.ome.tif"]) == 0
    assert np.array_equal(*(fastmpr.io.read(f"{name}.ome.tif")[0] for name in "ab"))
    with_value(Path("image.tif"), 3.0)
    capsys.readouterr()
    said = refusal(["deconvolve", "--again", "a.json", "-o", "c.ome.tif"], capsys)
    assert "image.tif: found another content" in said
    assert not Path("c.ome.tif").exists()

"""``fastmpr ab-initio``, ``refine`` and ``align``: particles in, volume and poses out."""

import json
import signal
import time

import numpy as np
import pytest

import fastmpr
from fastmpr import Poses
from fastmpr.cli import main

PSF = fastmpr.psf.gaussian((9, 7, 7), sigma=(2, 1, 1)).astype(np.float32)
TRUTH = fastmpr.phantom.nuclear_pore((16, 16, 16))
POSES = Poses.random(8, max_translation=0.1, rng=0)  # in micrometres
VOXEL = (0.1, 0.1, 0.1)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of particles, a PSF and a volume."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "particles").mkdir()
    views = fastmpr.simulate(TRUTH, PSF, POSES, noise_sigma=0.02, rng=0, voxel_size=0.1)
    for i, view in enumerate(views):
        fastmpr.io.write(f"particles/p{i}.tif", view, VOXEL)
    fastmpr.io.write("psf.tif", PSF, VOXEL)
    fastmpr.io.write("truth.tif", TRUTH, VOXEL)
    return tmp_path


def test_from_particles_alone(folder, capsys):
    assert main(["ab-initio", "particles", "--psf", "psf.tif", "-o", "found.ome.tif", "--seed", "1", "--page"]) == 0
    told = (folder / "found.html").read_text(encoding="utf-8")
    assert "8 particles, whose poses were found from the images alone" in told
    assert "the average of its views (below)" in told
    volume, voxel = fastmpr.io.read("found.ome.tif")
    assert volume.shape == TRUTH.shape and voxel == pytest.approx(VOXEL)
    record = json.loads((folder / "found.json").read_text())
    assert record["found"]["status"] == "converged" and record["input"]["poses"] is None
    assert len(record["found"]["scores"]) == 8 and 0 <= record["found"]["confidence"] <= 1
    assert (folder / "found.png").stat().st_size > 1000
    assert len(Poses.read("found.csv")) == 8
    said = capsys.readouterr().out
    assert "found.ome.tif: 16 x 16 x 16 voxels" in said and "8 poses, scores" in said and "correlate by" in said


SEARCH = ["ab-initio", "particles", "--psf", "psf.tif", "-o", "found.ome.tif", "--workers", "1"]


@pytest.fixture
def ended(monkeypatch):
    """Have a search end when a share of its work is done."""

    def set_up(share: float, end) -> None:
        call = fastmpr.ab_initio

        def search(data, **options):
            def progress(what, done, total):
                if done >= share * total:
                    end()

            return call(data, **options | {"progress": progress})

        monkeypatch.setattr(fastmpr, "ab_initio", search)

    return set_up


def an_hour_later(monkeypatch):
    clock = time.monotonic
    return lambda: monkeypatch.setattr(time, "monotonic", lambda: clock() + 3600)


@pytest.mark.parametrize("share", [0.1, 0.6])
def test_a_timeout_leaves_the_best_so_far(folder, capsys, ended, monkeypatch, share):
    ended(share, an_hour_later(monkeypatch))
    assert main([*SEARCH, "--timeout", "1800", "--page"]) == 3
    told = (folder / "found.html").read_text(encoding="utf-8")
    assert "This is not the final volume: stopped by the timeout" in told
    record = json.loads((folder / "found.json").read_text())["found"]
    assert (record["status"], record["success"]) == ("timeout", False)
    assert record["message"].startswith("stopped by the timeout before the last reconstruction")
    assert f"fastmpr: warning: {record['message']}" in capsys.readouterr().err
    assert fastmpr.io.read("found.ome.tif")[0].max() > 0
    assert len(Poses.read("found.csv")) == 8 and (folder / "found.png").stat().st_size > 1000


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_signal_leaves_the_best_so_far_and_the_same_command_goes_on(folder, capsys, ended, monkeypatch, number):
    assert main([*SEARCH[:-3], "whole.ome.tif", *SEARCH[-2:]]) == 0
    with monkeypatch.context() as context:
        context.setattr(fastmpr, "ab_initio", fastmpr.ab_initio)
        ended(0.2, lambda: signal.raise_signal(number))
        assert main([*SEARCH, "--checkpoint", "steps"]) == 128 + number
    assert json.loads((folder / "found.json").read_text())["found"]["status"] == "cancelled"
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert main([*SEARCH, "--checkpoint", "steps"]) == 0  # replaces what the first left
    assert fastmpr.io.read("found.ome.tif")[0].tobytes() == fastmpr.io.read("whole.ome.tif")[0].tobytes()
    assert (folder / "found.csv").read_bytes() == (folder / "whole.csv").read_bytes()
    capsys.readouterr()
    assert main([*SEARCH, "--checkpoint", "steps"]) == 2  # but not what is done
    assert "found.ome.tif: exists already" in capsys.readouterr().err


def test_a_checkpoint_of_another_seed_is_refused_and_nothing_is_written(folder, capsys):
    assert main([*SEARCH, "--checkpoint", "steps", "--timeout", "1000"]) == 0
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    other = ["ab-initio", "particles", "--psf", "psf.tif", "-o", "other.tif", "--seed", "5", "--workers", "1"]
    capsys.readouterr()
    assert main([*other, "--checkpoint", "steps"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "checkpoint: found steps of a call with other rng in steps, need the same" in said
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.filterwarnings("always::fastmpr.FastmprWarning")
def test_a_file_that_cannot_be_read_is_left_out(folder, capsys):
    whole = (folder / "particles" / "p5.tif").read_bytes()
    (folder / "particles" / "p5.tif").write_bytes(whole[: len(whole) // 2])
    assert main(SEARCH) == 0
    record = json.loads((folder / "found.json").read_text())
    assert [k for k, score in enumerate(record["found"]["scores"]) if score is None] == [5]
    said = capsys.readouterr()
    assert "7 poses, scores" in said.out
    assert "1 of 8 cannot be used" in said.err and "p5.tif: found the file truncated" in said.err


def test_what_it_finds_is_what_python_finds(folder):
    main(
        [
            "ab-initio",
            "particles",
            "--psf",
            "psf.tif",
            "-o",
            "found.tif",
            "--poses-output",
            "poses.star",
            "--workers",
            "1",
        ]
    )
    data = fastmpr.load("particles", "psf.tif")
    expected = fastmpr.ab_initio(data, workers=1)
    np.testing.assert_array_equal(fastmpr.io.read("found.tif")[0], expected.x)
    written = fastmpr.load("particles", "psf.tif", "poses.star").placed
    np.testing.assert_allclose(written.matrix, expected.poses.matrix, atol=1e-6)
    np.testing.assert_allclose(written.translation, expected.poses.translation, atol=1e-6)


def test_against_a_volume_and_refined(folder, capsys):
    assert main(["align", "particles", "--psf", "psf.tif", "--volume", "truth.tif", "-o", "poses.csv"]) == 0
    data = fastmpr.load("particles", "psf.tif", "poses.csv")
    assert np.abs(data.placed.translation - POSES.translation).max() < 0.05
    near = ["--start", "poses.csv", "--volume", "truth.tif", "-o", "again.star"]
    assert main(["align", "particles", "--psf", "psf.tif", *near]) == 0
    assert (
        main(["refine", "particles", "--psf", "psf.tif", "--poses", "again.star", "-o", "refined.tif", "--page"]) == 0
    )
    assert "whose given poses were improved" in (folder / "refined.html").read_text(encoding="utf-8")
    assert (folder / "refined.csv").exists() and fastmpr.io.read("refined.tif")[0].shape == TRUTH.shape
    assert "scores" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["ab-initio", "particles", "--psf", "psf.tif", "-o", "found.xyz"], "found.xyz: "),
        (["ab-initio", "particles", "--psf", "psf.tif", "-o", "a.tif", "--poses-output", "a.txt"], "a.txt: "),
        (["ab-initio", "particles", "--psf", "psf.tif", "-o", "truth.tif"], "truth.tif: "),
        (["refine", "particles", "--psf", "psf.tif", "-o", "found.tif"], "--poses"),
        (["align", "particles", "--psf", "psf.tif", "--volume", "none.tif", "-o", "poses.csv"], "none.tif: "),
        (
            ["align", "particles", "--psf", "psf.tif", "--volume", "coarse.tif", "-o", "poses.csv"],
            "coarse.tif: found voxels",
        ),
        (["ab-initio", "particles", "--psf", "psf.tif", "-o", "found.tif", "--timeout", "1e-6"], "--timeout: "),
    ],
)
def test_wrong_input_is_told_in_a_line_and_nothing_is_written(folder, capsys, arguments, error):
    fastmpr.io.write("coarse.tif", TRUTH, (0.2, 0.2, 0.2))
    before = sorted(path.name for path in folder.iterdir())
    assert main(arguments) == 2
    told = capsys.readouterr().err.strip()
    assert error in told and "\n" not in told
    assert sorted(path.name for path in folder.iterdir()) == before

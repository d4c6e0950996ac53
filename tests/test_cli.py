from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from tqdm import tqdm

import fastmpr
from fastmpr import cli, phantom, psf
from fastmpr.cli import main
from fastmpr.io import tiff
from fastmpr.metrics import psnr
from fastmpr.poses import Poses

SHAPE = (15, 16, 18)
TRUTH = phantom.centriole(SHAPE)
PSF = psf.gaussian(9, sigma=(2, 1, 1))
N = 3


@pytest.fixture(scope="session")
def simulated(tmp_path_factory):
    """A folder as `fastmpr simulate` leaves it."""
    folder = tmp_path_factory.mktemp("cli")
    tiff.write(folder / "x.tif", TRUTH, 0.1)
    tiff.write(folder / "psf.tif", PSF, 0.1)
    arguments = ["--psf", str(folder / "psf.tif"), "--poses", str(N), "--noise", "0.01", "--quiet"]
    assert main(["simulate", str(folder / "x.tif"), "-o", str(folder / "views"), *arguments]) == 0
    return folder / "views"


@pytest.fixture
def views(simulated, tmp_path):
    """The same, to spoil."""
    return Path(shutil.copytree(simulated, tmp_path / "views"))


def arguments(views: Path, **changes) -> list[str]:
    """The command line that reconstructs ``views``, in a few iterations."""
    options = {
        "psf": views / "psf.tiff",
        "poses": views / "poses.csv",
        "output": views / "out.ome.tif",
        "lam": 10,
        "max-iter": 3,
    } | {name.replace("_", "-"): value for name, value in changes.items()}
    particles = options.pop("particles", views / "particles")
    line = ["reconstruct", str(particles)]
    for name, value in options.items():
        if value is True:
            line.append(f"--{name}")
        elif value is not None:
            line += [f"--{name}", *([str(v) for v in value] if isinstance(value, tuple) else [str(value)])]
    return line


def reconstruct(views: Path, **changes) -> np.ndarray:
    assert main(arguments(views, **changes)) == 0
    return tiff.read(changes.get("output", views / "out.ome.tif"))[0]


def refusal(line: list[str], capsys: pytest.CaptureFixture) -> str:
    """The one line on stderr after which the command ends with status 2, having said nothing else."""
    assert main(line) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("fastmpr: error: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    return err


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def change(path: Path, array: np.ndarray, **options) -> None:
    """Replace a file by another array."""
    tifffile.imwrite(path, array, photometric=options.pop("photometric", "minisblack"), **options)


def with_nan(path: Path) -> None:
    array = tifffile.imread(path)
    array[0, 0, 0] = np.nan
    change(path, array)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def edited(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new, 1))


class TestSimulate:
    def test_what_is_written(self, simulated):
        assert files(simulated) == {
            "particles",
            *(f"particles/00{i}.tiff" for i in range(N)),
            "poses.csv",
            "psf.tiff",
            "truth.tiff",
        }
        for name in ("truth.tiff", "particles/000.tiff"):
            volume, voxel_size = tiff.read(simulated / name)
            assert volume.shape == SHAPE
            assert voxel_size == (0.1, 0.1, 0.1)
        np.testing.assert_array_equal(tiff.read(simulated / "psf.tiff")[0], PSF)
        poses = Poses.read(simulated / "poses.csv")
        assert poses.names == tuple(f"particles/00{i}.tiff" for i in range(N))
        assert 0.1 < np.abs(poses.translation).max() <= 2

    def test_views_are_those_of_the_poses(self, simulated):
        """Without the command: the poses read back, in voxels, make the same views up to the noise."""
        views = fastmpr.simulate(TRUTH, PSF, Poses.read(simulated / "poses.csv"))
        for i, view in enumerate(views):
            error = tiff.read(simulated / f"particles/00{i}.tiff")[0] - view
            assert error.std() == pytest.approx(0.01 * TRUTH.max(), rel=0.1)

    @pytest.mark.parametrize("name", ["centriole", "nuclear_pore"])
    def test_phantoms(self, tmp_path, name, capsys):
        line = ["simulate", name, "-o", str(tmp_path / "a"), "--poses", "1", "--shape", "16", "17", "18"]
        assert main([*line, "--noise", "0", "--seed", "3"]) == 0
        assert "1 particles of 16 x 17 x 18 voxels" in capsys.readouterr().out
        truth, voxel_size = tiff.read(tmp_path / "a" / "truth.tiff")
        np.testing.assert_array_equal(truth, getattr(phantom, name)((16, 17, 18)))
        assert voxel_size is None
        assert tiff.read(tmp_path / "a" / "psf.tiff")[0].shape == (33, 9, 9)

    def test_the_seed_decides(self, simulated, tmp_path):
        for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
            line = ["simulate", str(simulated / "truth.tiff"), "-o", str(tmp_path / name), "--poses", "1"]
            assert main([*line, "--seed", seed, "-q"]) == 0
        a, b, c = (tiff.read(tmp_path / name / "particles" / "000.tiff")[0] for name in "abc")
        np.testing.assert_array_equal(a, b)
        assert np.abs(a - c).max() > 0

    def test_overwriting(self, views, capsys):
        line = ["simulate", str(views / "truth.tiff"), "-o", str(views), "--poses", "1"]
        before = (views / "poses.csv").read_text()
        assert "holds particles already" in refusal(line, capsys)
        assert (views / "poses.csv").read_text() == before
        (views / "mine.txt").touch()
        assert main([*line, "--overwrite"]) == 0
        assert files(views) == {
            "mine.txt",
            "particles",
            "particles/000.tiff",
            "poses.csv",
            "psf.tiff",
            "truth.tiff",
        }

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            (["nothing.tif"], "nothing.tif: does not exist"),
            (["centriole", "--poses", "0"], "argument --poses: found '0'"),
            (["centriole", "--noise", "-1"], "argument --noise: found '-1'"),
            (["centriole", "--noise", "nan"], "argument --noise: found 'nan'"),
            (["centriole", "--max-translation", "-1"], "max_translation: found -1"),
            (["centriole", "--psf-sigma", "4", "0", "1"], "argument --psf-sigma: found '0'"),
            (["centriole", "--shape", "4", "4"], "argument --shape: expected 3 arguments"),
            (["centriole", "--psf", "nothing.tif"], "nothing.tif: does not exist"),
        ],
    )
    def test_bad_arguments(self, tmp_path, capsys, monkeypatch, changes, message):
        monkeypatch.chdir(tmp_path)
        assert message in refusal(["simulate", "-o", "new", *changes], capsys)
        assert files(tmp_path) == set()

    def test_shape_of_a_file(self, simulated, tmp_path, capsys):
        line = [
            "simulate",
            str(simulated / "truth.tiff"),
            "-o",
            str(tmp_path / "a"),
            "--shape",
            "4",
            "4",
            "4",
        ]
        assert "--shape: is for centriole and nuclear_pore" in refusal(line, capsys)

    def test_lengths_need_a_voxel_size(self, simulated, tmp_path, capsys):
        line = ["simulate", "centriole", "-o", str(tmp_path / "a"), "--psf", str(simulated / "psf.tiff")]
        assert "centriole: found no voxel size, but lengths in" in refusal(line, capsys)


class TestReconstruct:
    def test_output(self, views, capsys):
        before = files(views)
        x = reconstruct(views)
        volume, voxel_size = tiff.read(views / "out.ome.tif")
        assert x.shape == SHAPE
        assert x.min() >= 0
        assert voxel_size == pytest.approx((0.1, 0.1, 0.1))
        assert files(views) == before | {"out.ome.tif"}
        out, err = capsys.readouterr()
        assert "15 x 16 x 18 voxels of 0.1 x 0.1 x 0.1 micrometres" in out
        assert "lam 10, 3 iterations" in out
        assert "particles" not in err  # no progress bar where nobody watches

    @pytest.mark.parametrize("symmetry", [None, "C2"])
    def test_same_as_python(self, views, symmetry):
        poses = Poses.read(views / "poses.csv")
        particles = [tiff.read(views / name)[0] for name in poses.names]
        poses = Poses(poses.rotation, 0.1 * poses.translation)
        if symmetry:
            poses, particles = poses.symmetrized("C2"), [p for p in particles for _ in range(2)]
        expected = fastmpr.reconstruct(particles, PSF, poses, lam=10, voxel_size=0.1, max_iter=3).x
        x = reconstruct(views, symmetry=symmetry)
        np.testing.assert_allclose(x, expected, atol=1e-5 * expected.max())

    def test_is_the_truth(self, tmp_path):
        """Enough views and iterations, everything else left to itself."""
        line = [
            "simulate",
            "centriole",
            "--shape",
            "24",
            "24",
            "24",
            "--poses",
            "20",
            "--noise",
            "0.02",
            "-q",
        ]
        assert main([*line, "-o", str(tmp_path / "v"), "--psf-sigma", "2.5", "0.8", "0.8"]) == 0
        x = reconstruct(tmp_path / "v", lam=None, max_iter=None)
        truth = tiff.read(tmp_path / "v" / "truth.tiff")[0]
        blurred = np.mean([psnr(tiff.read(p)[0], truth) for p in (tmp_path / "v" / "particles").iterdir()])
        assert psnr(x, truth) > blurred + 5

    def test_rows_in_another_order(self, views):
        x = reconstruct(views)
        header, *rows = (views / "poses.csv").read_text().splitlines()
        (views / "poses.csv").write_text("\n".join([header, *rows[::-1]]))
        np.testing.assert_allclose(reconstruct(views, overwrite=True), x, atol=1e-5 * x.max())

    def test_folder_under_another_name(self, views):
        x = reconstruct(views)
        (views / "particles").rename(views / "crops")
        again = reconstruct(views, particles=views / "crops", overwrite=True)
        np.testing.assert_allclose(again, x, atol=1e-5 * x.max())

    @pytest.mark.parametrize("compression", [None, "zlib"])
    def test_stack(self, views, compression):
        x = reconstruct(views)
        stack = np.stack([tiff.read(path)[0] for path in sorted((views / "particles").iterdir())])
        metadata = {"axes": "TZYX"} | {f"PhysicalSize{axis}": 0.1 for axis in "XYZ"}
        change(views / "stack.tif", stack, ome=True, metadata=metadata, compression=compression)
        again = reconstruct(views, particles=views / "stack.tif", overwrite=True)
        np.testing.assert_allclose(again, x, atol=1e-5 * x.max())

    def test_stack_with_poses_out_of_order(self, views, capsys):
        stack = np.stack([tiff.read(path)[0] for path in sorted((views / "particles").iterdir())])
        change(views / "stack.tif", stack)
        header, *rows = (views / "poses.csv").read_text().splitlines()
        (views / "poses.csv").write_text("\n".join([header, *rows[::-1]]))
        line = arguments(views, particles=views / "stack.tif", voxel_size=(0.1, 0.1, 0.1))
        assert "poses.csv: found names out of order" in refusal(line, capsys)

    def test_star(self, views):
        """The same poses from RELION's file, whose translations carry their own unit."""
        x = reconstruct(views)
        poses = Poses.read(views / "poses.csv")
        Poses(poses.rotation, 0.1 * poses.translation, poses.names).write(views / "poses.star")
        again = reconstruct(views, poses=views / "poses.star", overwrite=True)
        np.testing.assert_allclose(again, x, atol=1e-4 * x.max())

    def test_voxel_size_only_scales(self, views):
        """Translations in voxels: another voxel size for all, the same volume."""
        x = reconstruct(views)
        flags = {"voxel_size": (0.4, 0.4, 0.4), "psf_voxel_size": (0.4, 0.4, 0.4)}
        again = reconstruct(views, **flags, overwrite=True)
        np.testing.assert_allclose(again, x, atol=1e-4 * x.max())
        assert tiff.read(views / "out.ome.tif")[1] == pytest.approx((0.4, 0.4, 0.4))

    def test_no_voxel_size_anywhere(self, views, capsys):
        x = reconstruct(views)
        for path in [views / "psf.tiff", *(views / "particles").iterdir()]:
            change(path, tiff.read(path)[0])
        capsys.readouterr()
        again = reconstruct(views, overwrite=True, verbose=True)
        np.testing.assert_allclose(again, x, atol=1e-4 * x.max())
        assert tiff.read(views / "out.ome.tif")[1] is None
        out, err = capsys.readouterr()
        assert "voxels of unknown size, taken as cubes" in out
        assert "voxel size: not in the files, so 1 voxel" in err
        assert "PSF's voxel size: not in the files, so the particles'" in err

    def test_lengths_need_a_voxel_size(self, views, capsys):
        for path in (views / "particles").iterdir():
            change(path, tiff.read(path)[0])
        assert "particles: found no voxel size, but lengths in" in refusal(arguments(views), capsys)
        poses = Poses.read(views / "poses.csv")
        change(views / "psf.tiff", PSF)
        poses.write(views / "poses.star")
        line = arguments(views, poses=views / "poses.star")
        assert "but lengths in" in (message := refusal(line, capsys))
        assert "poses.star, need --voxel-size" in message

    def test_quiet_and_verbose(self, views, capsys):
        main(arguments(views, quiet=True))
        assert capsys.readouterr().out == ""
        main(arguments(views, verbose=True, overwrite=True))
        err = capsys.readouterr().err
        for text in (
            "3 particles of 15 x 16 x 18",
            "voxel size: 0.1 x 0.1 x 0.1",
            "from the files",
            "lam 10, 3 it",
        ):
            assert text in err

    def test_progress_bars_on_a_terminal(self, views, capsys, monkeypatch):
        moved = []
        monkeypatch.setattr(tqdm, "update", lambda bar: moved.append(bar.desc))
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        main(arguments(views))
        assert moved.count("particles") == N
        assert moved.count("iterations") == 3
        assert "0/3" in capsys.readouterr().err
        main(arguments(views, overwrite=True, quiet=True))
        assert capsys.readouterr().err == "fastmpr: warning: stopped at max_iter = 3 iterations\n"

    def test_watched_particles(self):
        ticks = []
        watched = cli._Watched(["a", "b"], 3, lambda: ticks.append(1))
        assert list(watched) == list("aaabbb")
        assert len(watched) == len(ticks) == 6
        assert watched[-1] == "b"
        assert len(ticks) == 6


# what may be wrong with the files: name -> (what to do to the folder, what the message must say)
SPOILED = {
    "a particle too many": (
        lambda v: shutil.copy(v / "particles/000.tiff", v / "particles/009.tiff"),
        "poses.csv: found 3 poses for 4 particles",
    ),
    "a particle too few": (lambda v: (v / "particles/000.tiff").unlink(), "found 3 poses for 2 particles"),
    "another name": (lambda v: edited(v / "poses.csv", "001", "007"), "found none for 'particles/001.tiff'"),
    "a name twice": (
        lambda v: edited(v / "poses.csv", "001", "000"),
        "line 3: found 'particles/000.tiff' again",
    ),
    "an angle is nan": (
        lambda v: (v / "poses.csv").write_text("particles/000.tiff,0,nan,0,0,0,0\n"),
        "poses.csv, line 1: found 'nan' for rot2",
    ),
    "poses empty": (lambda v: (v / "poses.csv").write_text(""), "poses.csv: found no poses"),
    "poses binary": (lambda v: shutil.copy(v / "psf.tiff", v / "poses.csv"), "poses.csv: found no text"),
    "no poses": (lambda v: (v / "poses.csv").unlink(), "poses.csv"),
    "particle 2-D": (
        lambda v: change(v / "particles/000.tiff", TRUTH[0]),
        "000.tiff: found an image of shape (16, 18)",
    ),
    "later particle 2-D": (
        lambda v: change(v / "particles/002.tiff", TRUTH[0]),
        "002.tiff: found an image of shape (16, 18)",
    ),
    "particle RGB": (
        lambda v: change(v / "particles/000.tiff", np.zeros((15, 18, 3), "u1"), photometric="rgb"),
        "000.tiff: found an image of shape (15, 18, 3) with axes YXS, which is RGB",
    ),
    "particle empty": (
        lambda v: (v / "particles/001.tiff").write_bytes(b""),
        "001.tiff: found an empty file",
    ),
    "particle truncated": (
        lambda v: truncated(v / "particles/001.tiff"),
        "001.tiff: found the file truncated",
    ),
    "particle no TIFF": (lambda v: (v / "particles/001.tiff").write_text("II"), "001.tiff: cannot be read"),
    "particle nan": (lambda v: with_nan(v / "particles/000.tiff"), "000.tiff: found 1 NaN"),
    "particle of another size": (
        lambda v: change(v / "particles/001.tiff", TRUTH[1:]),
        "001.tiff: found shape (14, 16, 18), need (15, 16, 18) as in 000.tiff",
    ),
    "no particles": (lambda v: shutil.rmtree(v / "particles"), "particles: does not exist"),
    "no particle": (
        lambda v: [path.unlink() for path in (v / "particles").iterdir()],
        "particles: found no TIFF file in this folder",
    ),
    "psf zero": (lambda v: change(v / "psf.tiff", 0 * PSF), "psf"),
    "psf negative": (lambda v: change(v / "psf.tiff", -PSF), "psf"),
    "psf nan": (lambda v: with_nan(v / "psf.tiff"), "psf.tiff: found 1 NaN"),
    "psf 2-D": (lambda v: change(v / "psf.tiff", PSF[4]), "psf.tiff: found an image of shape (9, 9)"),
    "psf truncated": (lambda v: truncated(v / "psf.tiff"), "psf.tiff: found the file truncated"),
    "no psf": (lambda v: (v / "psf.tiff").unlink(), "psf.tiff: does not exist"),
    "output exists": (lambda v: (v / "out.ome.tif").write_text("mine"), "out.ome.tif: exists already"),
    "output is a folder": (lambda v: (v / "out.ome.tif").mkdir(), "out.ome.tif: is a folder"),
}


class TestBadInput:
    @pytest.mark.parametrize("what", SPOILED)
    def test_files(self, views, capsys, what):
        spoil, message = SPOILED[what]
        spoil(views)
        before = files(views)
        assert message in refusal(arguments(views), capsys)
        assert files(views) == before

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"lam": 0}, "argument --lam: found '0', need auto or a positive number"),
            ({"lam": -1}, "argument --lam: found '-1'"),
            ({"lam": "inf"}, "argument --lam: found 'inf'"),
            ({"lam": "car"}, "argument --lam: found 'car'"),
            ({"max_iter": 0}, "argument --max-iter: found '0'"),
            ({"max_iter": 1.5}, "argument --max-iter: found '1.5'"),
            ({"tol": -1}, "argument --tol: found '-1'"),
            ({"workers": 0}, "argument --workers: found '0'"),
            ({"voxel_size": (1, 1, 0)}, "argument --voxel-size: found '0'"),
            ({"voxel_size": (1, 1)}, "argument --voxel-size: expected 3 arguments"),
            ({"psf_voxel_size": (1, 1, -1)}, "argument --psf-voxel-size: found '-1'"),
            ({"symmetry": "X3"}, "symmetry: found 'X3'"),
            ({"regularizer": "magic"}, "magic"),
            ({"psf": None}, "--psf"),
            ({"quiet": True, "verbose": True}, "not allowed with"),
        ],
    )
    def test_arguments(self, views, capsys, changes, message):
        before = files(views)
        assert message in refusal(arguments(views, **changes), capsys)
        assert files(views) == before

    def test_output_that_cannot_be_written(self, views, capsys):
        for output, message in (
            (views / "nowhere" / "out.ome.tif", "nowhere, need an existing one"),
            (views / "psf.tiff" / "out.ome.tif", "psf.tiff is a file, need a folder"),
            (views / "out.mrc", "found the suffix '.mrc', need .tif or .tiff"),
        ):
            assert message in refusal(arguments(views, output=output), capsys)

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a folder that refuses even root: /proc")
    def test_output_in_a_folder_that_takes_no_files(self, views, capsys):
        line = arguments(views, output="/proc/out.ome.tif")
        assert "/proc: cannot write in this folder" in refusal(line, capsys)

    def test_output_is_checked_first(self, views, capsys):
        """Not after hours of reading."""
        (views / "poses.csv").unlink()
        (views / "out.ome.tif").write_text("mine")
        assert "out.ome.tif: exists already" in refusal(arguments(views), capsys)

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ([], "COMMAND"),
            (["dance"], "dance"),
            (["info", "--loud"], "--loud"),
            (["reconstruct"], "PARTICLES"),
        ],
    )
    def test_commands(self, capsys, line, message):
        assert message in refusal(line, capsys)

    @pytest.mark.parametrize(
        ("error", "status", "message"),
        [
            (KeyboardInterrupt(), 130, "fastmpr: interrupted"),
            (MemoryError("8 GB"), 2, "fastmpr: error: not enough memory (8 GB)"),
            (ValueError("two\nlines"), 2, "fastmpr: error: two lines"),
        ],
    )
    def test_stopped_midway(self, views, capsys, monkeypatch, error, status, message):
        def stop(*args, **kwargs):
            raise error

        monkeypatch.setattr(tifffile, "imwrite", stop)
        before = files(views)
        assert main(arguments(views)) == status
        assert capsys.readouterr().err.splitlines()[-1] == message
        assert files(views) == before


class TestDemo:
    @pytest.fixture(autouse=True)
    def smaller(self, monkeypatch):
        """Half as many voxels each way, twice as large."""
        monkeypatch.setattr(cli, "_DEMO_SHAPE", 28)
        monkeypatch.setattr(cli, "_DEMO_VOXEL", 0.025)

    def test_files_and_table(self, tmp_path, capsys):
        folder = tmp_path / "demo"
        assert main(["demo", "--out", str(folder)]) == 0
        assert files(folder) == set(cli._DEMO_FILES)
        volumes = {name: tiff.read(folder / name) for name in cli._DEMO_FILES if name.endswith(".tif")}
        for volume, voxel_size in volumes.values():
            assert volume.shape == (cli._DEMO_SHAPE,) * 3
            assert voxel_size == (cli._DEMO_VOXEL,) * 3
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
        assert files(folder) == {*cli._DEMO_FILES, "mine.txt"}

    @pytest.mark.parametrize("package", ["tifffile", "matplotlib"])
    def test_missing_extra(self, tmp_path, capsys, monkeypatch, package):
        """Said before the work begins, with the cure."""
        monkeypatch.setattr(cli, "find_spec", lambda name: None if name == package else name)
        message = refusal(["demo", "--out", str(tmp_path / "demo")], capsys)
        assert f'needs {package}: pip install "fastmpr[cli]"' in message
        assert files(tmp_path) == set()

    def test_bad_folder(self, tmp_path, capsys):
        (tmp_path / "file").touch()
        for folder in ("file", "file/demo", "nowhere/demo"):
            assert folder.split("/")[0] in refusal(["demo", "--out", str(tmp_path / folder)], capsys)
        assert files(tmp_path) == {"file"}


class TestInfo:
    def test_versions(self, capsys):
        assert main(["info"]) == 0
        rows = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
        assert rows["numpy"] == np.__version__
        assert {
            "fastmpr",
            "python",
            "numba",
            "scipy",
            "pyfftw",
            "tifffile",
            "matplotlib",
            "tqdm",
        } <= rows.keys()
        assert int(rows["threads"]) >= 1


class TestHelp:
    @pytest.mark.parametrize("command", ["demo", "simulate", "reconstruct", "info"])
    def test_shows_an_example(self, capsys, command):
        with pytest.raises(SystemExit) as stop:
            main([command, "--help"])
        assert stop.value.code == 0
        out = capsys.readouterr().out
        assert f"example:\n  fastmpr {command}" in out
        example = out.split("example:\n")[1].strip().splitlines()
        for line in example:  # each example is one that the parser takes
            cli._parser().parse_args(line.split()[1:])

    def test_as_a_module(self):
        run = subprocess.run([sys.executable, "-m", "fastmpr", "dance"], capture_output=True, text=True, check=False)
        assert run.returncode == 2
        assert run.stderr.count("\n") == 1
        assert "dance" in run.stderr

from __future__ import annotations

import inspect
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import tifffile
from commands import change, files, refusal
from stacks import FEW, PSF, SHAPE, VOXEL, blurred, sides
from tqdm import tqdm

import fastmpr
from fastmpr.cli import _parser, main
from fastmpr.cli._records import plain
from fastmpr.io import About, read_about, read_image, write_image

MANY = {"lam": 10, "max_iter": 3, "tol": 0}


def record(name: str) -> dict:
    def refuse(text: str) -> None:
        raise AssertionError(f"{text} is no JSON")

    return json.loads(Path(name).read_text(), parse_constant=refuse)


def agree(path: str, expected: np.ndarray, axes: str = "ZYX", voxel: tuple[float, ...] | None = VOXEL) -> None:
    values, found, size = read_image(path)
    assert (found, size) == (axes, voxel)
    np.testing.assert_allclose(values, expected, atol=1e-5 * expected.max())


class TestOneImage:
    def test_same_as_python(self, folder, capsys):
        before = files(folder)
        assert main(["deconvolve", "cell.tif", "--psf", "psf.tif", "-o", "sharp.ome.tif", *FEW]) == 0
        expected = fastmpr.deconvolve(blurred(), PSF, voxel_size=VOXEL, **MANY)
        agree("sharp.ome.tif", expected)
        assert files(folder) == before | {"sharp.ome.tif", "sharp.json"}
        out, err = capsys.readouterr()
        assert "sharp.ome.tif: 12 x 20 x 22 voxels of 0.3 x 0.1 x 0.1 micrometres, lam 10" in out
        assert err == ""

    @pytest.mark.slow
    def test_the_options_are_those_of_python(self, folder):
        image = blurred().astype(np.float32)
        image[3, 4, 5] = np.nan
        change(Path("cell.tif"), image, ome=True, metadata=sides(VOXEL))
        words = ["--lam", "5", "--regularizer", "tv", "--seen", "all", "--outside", "dark", "--background", "12.5"]
        words += ["--max-memory", "1G", "--max-iter", "4", "--tol", "0", "--workers", "1", "--psf-voxel-size"]
        words += ["0.2", "0.1", "0.1"]
        assert main(["deconvolve", "cell.tif", "--psf", "psf.tif", "-o", "sharp.ome.tif", *words]) == 0
        options = {
            "frames": "auto",
            "lam": 5,
            "regularizer": "tv",
            "seen": "all",
            "outside": "dark",
            "background": 12.5,
            "max_iter": 4,
        }
        options |= {"tol": 0, "workers": 1, "max_memory": 2**30}
        expected = fastmpr.deconvolve(image, PSF, voxel_size=VOXEL, psf_voxel_size=(0.2, 0.1, 0.1), **options)
        agree("sharp.ome.tif", expected)
        assert record("sharp.json")["options"] == options | {"timeout": None, "scene": None}
        assert record("sharp.json")["found"][0]["unseen"] == 1

    def test_defaults_are_those_of_python(self):
        args = _parser().parse_args(["deconvolve", "in.tif", "--psf", "psf.tif", "-o", "out.tif"])
        for name, parameter in inspect.signature(fastmpr.deconvolve).parameters.items():
            if hasattr(args, name) and name not in ("psf", "voxel_size", "psf_voxel_size"):
                assert getattr(args, name) == parameter.default, name

    def test_the_record(self, folder):
        assert (
            main(["deconvolve", "cell.tif", "--psf", "psf.tif", "-o", "sharp.ome.tif", *FEW, "--max-memory", "1g"]) == 0
        )
        told = []
        fastmpr.deconvolve(blurred(), PSF, voxel_size=VOXEL, report=told.append, **MANY)
        kept = record("sharp.json")
        assert kept["input"] == {
            "file": "cell.tif",
            "axes": "ZYX",
            "shape": list(SHAPE),
            "dtype": "uint16",
            "voxel_size": list(VOXEL),
            "voxel_size_from": "file",
        }
        assert kept["psf"] == {
            "file": "psf.tif",
            "measured": False,
            "shape": [9, 7, 7],
            "voxel_size": list(VOXEL),
            "voxel_size_from": "file",
        }
        (found,) = kept["found"]
        assert found == {**told[0], "index": []}
        assert kept["versions"].keys() == {"fastmpr", "numpy", "numba", "pyfftw", "python", "scipy"}
        assert any(text.startswith("deconvolve: lam = 10") for text in kept["log"])
        assert kept["warnings"] == []
        assert 0 < kept["seconds"] < 600

    def test_a_record_is_plain(self):
        value = {
            "a": np.float32(1.5),
            "b": (np.int64(2), np.nan),
            "c": Path("x"),
            "d": np.array([np.inf, 1]),
            "e": True,
        }
        assert plain(value) == {"a": 1.5, "b": [2, None], "c": "x", "d": [None, 1.0], "e": True}

    def test_voxel_sizes_that_are_given(self, folder):
        words = ["--voxel-size", "0.6", "0.2", "0.2", "--psf-voxel-size", "0.6", "0.2", "0.2", *FEW]
        assert main(["deconvolve", "cell.tif", "--psf", "psf.tif", "-o", "sharp.ome.tif", *words]) == 0
        agree("sharp.ome.tif", fastmpr.deconvolve(blurred(), PSF, voxel_size=(3, 1, 1), **MANY), voxel=(0.6, 0.2, 0.2))
        assert record("sharp.json")["input"]["voxel_size_from"] == "given"
        assert record("sharp.json")["psf"]["voxel_size_from"] == "given"

    def test_no_voxel_size_anywhere(self, folder, capsys):
        change(Path("cell.tif"), blurred())
        write_image("psf.tif", PSF, "ZYX", overwrite=True)
        assert main(["deconvolve", "cell.tif", "--psf", "psf.tif", "-o", "sharp.ome.tif", *FEW, "--preview"]) == 0
        agree("sharp.ome.tif", fastmpr.deconvolve(blurred(), PSF, **MANY), voxel=None)
        assert "voxels of unknown size" in capsys.readouterr().out
        assert record("sharp.json")["input"]["voxel_size_from"] is None

    def test_a_bead(self, folder):
        rng = np.random.default_rng(0)
        bead = 100 + 4000 / PSF.max() * np.pad(PSF, 3) + rng.normal(0, 5, (15, 13, 13))
        change(Path("bead.tif"), bead.astype(np.uint16))
        words = ["--psf", "bead.tif", "--psf-measured", "-o", "sharp.ome.tif", *FEW]
        assert main(["deconvolve", "cell.tif", *words]) == 0
        psf = fastmpr.psf.measured(bead.astype(np.uint16))
        agree("sharp.ome.tif", fastmpr.deconvolve(blurred(), psf, voxel_size=VOXEL, **MANY))

    def test_a_bead_of_two_dimensions(self, folder):
        rng = np.random.default_rng(0)
        bead = (100 + 4000 / PSF[4].max() * np.pad(PSF[4], 5) + rng.normal(0, 5, (17, 17))).astype(np.uint16)
        change(Path("bead.tif"), bead)
        change(Path("cell.tif"), blurred()[5], ome=True, metadata=sides((0.1, 0.1), "YX"))
        words = ["--psf", "bead.tif", "--psf-measured", "-o", "sharp.ome.tif", *FEW]
        assert main(["deconvolve", "cell.tif", *words]) == 0
        expected = fastmpr.deconvolve(blurred()[5], fastmpr.psf.measured(bead), voxel_size=0.1, **MANY)
        agree("sharp.ome.tif", expected, "YX", (0.1, 0.1))

    def test_quiet_and_verbose(self, folder, capsys):
        line = ["deconvolve", "cell.tif", "--psf", "psf.tif", "-o", "sharp.ome.tif", "--overwrite", *FEW]
        assert main([*line, "-q"]) == 0
        assert capsys.readouterr() == ("", "")
        assert main([*line, "-v"]) == 0
        err = capsys.readouterr().err
        assert err.startswith("cell.tif: background ")
        assert ", lam 10, nit 3, unseen 0, tiles 1, fit " in err


class TestAxes:
    @pytest.mark.parametrize(("axes", "shape"), [("CZYX", (2, *SHAPE)), ("TCZYX", (2, 3, 10, 16, 18))])
    def test_channels_and_frames(self, folder, axes, shape):
        image = np.array([blurred(k, shape[-3:]) for k in range(int(np.prod(shape[:-3])))]).reshape(shape)
        change(Path("cell.tif"), image, ome=True, metadata=sides(VOXEL, axes))
        words = ["--psf", "psf.tif", "-o", "sharp.ome.tif", "--preview", *FEW]
        assert main(["deconvolve", "cell.tif", *words]) == 0
        agree("sharp.ome.tif", fastmpr.deconvolve(image, PSF, axes=axes, voxel_size=VOXEL, **MANY), axes)
        assert sorted(one["index"] for one in record("sharp.json")["found"]) == [
            list(k) for k in np.ndindex(shape[:-3])
        ]
        assert Path("sharp.png").read_bytes().startswith(b"\x89PNG")

    @pytest.mark.parametrize("axes", ["YX", "CYX", "ZYX"])
    def test_a_psf_of_two_dimensions(self, folder, axes):
        image = blurred()[5] if axes == "YX" else blurred()[4:6]
        change(Path("cell.tif"), image, ome=True, metadata=sides(VOXEL[-min(len(axes), 2 + ("Z" in axes)) :], axes))
        write_image("psf.tif", PSF[4], "YX", 0.1, overwrite=True)
        words = ["--psf", "psf.tif", "-o", "sharp.ome.tif", "--preview", *FEW]
        assert main(["deconvolve", "cell.tif", *words]) == 0
        expected = fastmpr.deconvolve(image, PSF[4], voxel_size=0.1, **MANY)
        agree("sharp.ome.tif", expected, axes, VOXEL if "Z" in axes else (0.1, 0.1))
        assert Path("sharp.png").exists()


class TestOptics:
    WORDS = ("--na", "0.8", "--wavelength", "0.5", "--refractive-index", "1.33")
    OPTICS = {"na": 0.8, "wavelength": 0.5, "refractive_index": 1.33}

    @pytest.mark.parametrize("confocal", [False, True])
    def test_in_three_dimensions(self, folder, confocal):
        words, optics = [*self.WORDS], dict(self.OPTICS)
        if confocal:
            words += ["--confocal", "--pinhole", "1", "--excitation-wavelength", "0.45"]
            optics |= {"confocal": True, "pinhole": 1.0, "excitation_wavelength": 0.45}
        assert main(["deconvolve", "cell.tif", "-o", "sharp.ome.tif", *words, *FEW]) == 0
        kept = record("sharp.json")["psf"]
        shape = tuple(kept["shape"])
        assert {name: kept[name] for name in optics} == optics
        assert shape == (2 * 28 + 1, 2 * 63 + 1, 2 * 63 + 1)  # 8.3 and 6.3 micrometres to either side
        psf = fastmpr.psf.born_wolf(shape, voxel_size=VOXEL, **optics)
        agree("sharp.ome.tif", fastmpr.deconvolve(blurred(), psf, voxel_size=VOXEL, **MANY))

    def test_in_two_dimensions_it_is_that_in_focus(self, folder):
        change(Path("cell.tif"), blurred()[5])
        words = ["-o", "sharp.ome.tif", "--voxel-size", "9", "0.2", "0.1"]
        assert main(["deconvolve", "cell.tif", *words, *self.WORDS, *FEW]) == 0
        psf = fastmpr.psf.born_wolf((1, 65, 127), voxel_size=(0.3, 0.2, 0.1), **self.OPTICS)[0]
        expected = fastmpr.deconvolve(blurred()[5], psf, voxel_size=(0.2, 0.1), **MANY)
        agree("sharp.ome.tif", expected, "YX", (0.2, 0.1))


class TestManyImages:
    @pytest.fixture
    def calls(self, monkeypatch):
        """What `fastmpr.deconvolve` was called with."""
        made = []

        def noted(images, psf, _call=fastmpr.deconvolve, **options):
            made.append(options["voxel_size"])
            return _call(images, psf, **options)

        monkeypatch.setattr(fastmpr, "deconvolve", noted)
        return made

    def test_one_preparation_for_each_voxel_size(self, folder, calls, capsys):
        other = (0.2, 0.1, 0.1)
        change(Path("a.tif"), blurred(1), ome=True, metadata=sides(other))
        assert main(["deconvolve", "cell.tif", "a.tif", "b.tif", "--psf", "psf.tif", "-o", "out", *FEW]) == 0
        assert calls == [VOXEL, other]
        for seed, (name, voxel) in enumerate({"cell": VOXEL, "a": other, "b": VOXEL}.items()):
            expected = fastmpr.deconvolve(blurred(seed), PSF, voxel_size=voxel, psf_voxel_size=VOXEL, **MANY)
            agree(f"out/{name}.ome.tif", expected, voxel=voxel)
        assert files(folder / "out") == {f"{name}.{end}" for name in ("cell", "a", "b") for end in ("ome.tif", "json")}
        assert capsys.readouterr().out.count("\n") == 3

    def test_each_is_written_as_soon_as_it_is_there(self, folder, monkeypatch):
        there = []

        def noted(path, *args, _call=read_image, **choice):
            there.append(Path("out/a.ome.tif").exists())
            return _call(path, *args)

        monkeypatch.setattr(fastmpr.io, "read_image", noted)
        assert main(["deconvolve", "a.tif", "b.tif", "--psf", "psf.tif", "-o", "out", *FEW]) == 0
        assert there == [False, False, True]  # the PSF, and two images

    def test_a_folder_that_is_there(self, folder):
        Path("out").mkdir()
        Path("out/other").write_text("mine")
        assert main(["deconvolve", "a.tif", "--psf", "psf.tif", "-o", "out", *FEW]) == 0
        assert files(folder / "out") == {"other", "a.ome.tif", "a.json"}

    @pytest.mark.parametrize("spoiled", ["a", "b"])
    @pytest.mark.parametrize("how", ["damaged", "too bright"])
    def test_one_that_fails_midway_is_no_loss_to_the_others(self, folder, capsys, spoiled, how):
        path = Path(f"{spoiled}.tif")
        image = blurred().astype(np.float32)
        image[2, 3, 4:12] = 1e20
        change(path, image, ome=True, metadata=sides(VOXEL), compression="zlib")
        if how == "damaged":
            content = bytearray(path.read_bytes())
            with tifffile.TiffFile(path) as tif:
                content[tif.pages[5].dataoffsets[0]] ^= 255
            path.write_bytes(content)
        assert main(["deconvolve", "a.tif", "cell.tif", "b.tif", "--psf", "psf.tif", "-o", "out", *FEW]) == 2
        others = {"a", "cell", "b"} - {spoiled}
        assert files(folder / "out") == {f"{name}.{end}" for name in others for end in ("ome.tif", "json")}
        agree("out/cell.ome.tif", fastmpr.deconvolve(blurred(), PSF, voxel_size=VOXEL, **MANY))
        first, last = capsys.readouterr().err.splitlines()
        assert first.startswith(f"fastmpr: error: {spoiled}.tif: ")
        assert ("found values up to 1e+20" in first) == (how == "too bright")
        assert last == "fastmpr: error: 1 of 3 images failed"

    def test_warnings_name_their_file(self, folder, monkeypatch, capsys):
        def dusty(images, psf, *, report, **options):
            for image in images:
                warnings.warn("image: found dust, need none", fastmpr.FastmprWarning, stacklevel=1)
                report(
                    {
                        "index": (),
                        "lam": 1.0,
                        "background": 0.0,
                        "unseen": 0,
                        "tiles": 1,
                        "nit": 3,
                        "status": "converged",
                    }
                )
                yield image

        monkeypatch.setattr(fastmpr, "deconvolve", dusty)
        assert main(["deconvolve", "a.tif", "b.tif", "--psf", "psf.tif", "-o", "out"]) == 0
        expected = [f"fastmpr: warning: {name}.tif: found dust, need none" for name in "ab"]
        assert capsys.readouterr().err.splitlines() == expected


class TestInterruption:
    def test_leaves_nothing_half_written(self, folder, monkeypatch, capsys):
        def stop(path, *args, **kwargs):
            Path(path).write_bytes(b"half")
            raise KeyboardInterrupt

        before = files(folder)
        monkeypatch.setattr(tifffile, "imwrite", stop)
        assert main(["deconvolve", "cell.tif", "--psf", "psf.tif", "-o", "sharp.ome.tif", *FEW]) == 130
        assert files(folder) == before
        assert capsys.readouterr().err == "fastmpr: interrupted\n"


class TestProgress:
    def test_bars_on_a_terminal(self, folder, monkeypatch):
        moved = []
        monkeypatch.setattr(tqdm, "update", lambda bar, n: moved.append(bar.desc))
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        assert main(["deconvolve", "cell.tif", "--psf", "psf.tif", "-o", "sharp.ome.tif", *FEW]) == 0
        assert moved == ["iterations"] * 3
        moved.clear()
        assert main(["deconvolve", "a.tif", "b.tif", "--psf", "psf.tif", "-o", "out", *FEW]) == 0
        assert moved == ["1 of 2, a.tif: iterations"] * 3 + ["2 of 2, b.tif: iterations"] * 3
        moved.clear()
        assert main(["deconvolve", "a.tif", "--psf", "psf.tif", "-o", "sharp.ome.tif", "--overwrite", "-q", *FEW]) == 0
        assert moved == []


class TestChannels:
    """A PSF or a wavelength for each, and what their file says of them."""

    ABOUT = About(("DAPI", "Cy5"), (0.46, 0.67), (None, None), 1.5)

    @pytest.fixture
    def two(self, folder):
        image = np.array([blurred(0), blurred(1)], np.float32)
        write_image("two.ome.tif", image, "CZYX", VOXEL, about=self.ABOUT)
        return image

    def test_a_wavelength_for_each(self, two, capsys):
        words = ["--na", "0.8", "--refractive-index", "1.33", "--wavelength", "0.45", "0.69", *FEW]
        assert main(["deconvolve", "two.ome.tif", "-o", "sharp.ome.tif", *words]) == 0
        psfs = record("sharp.json")["psf"]
        assert [one["wavelength"] for one in psfs] == [0.45, 0.69]
        assert capsys.readouterr().err == ""
        for k, length in enumerate(("0.45", "0.69")):
            change(Path("one.tif"), two[k], ome=True, metadata=sides(VOXEL))
            line = ["--na", "0.8", "--refractive-index", "1.33", "--wavelength", length, *FEW, "--overwrite"]
            assert main(["deconvolve", "one.tif", "-o", "one.ome.tif", *line]) == 0
            np.testing.assert_allclose(
                read_image("sharp.ome.tif").values[k], read_image("one.ome.tif").values, atol=1e-5
            )

    def test_the_wavelengths_that_the_file_says(self, two, capsys):
        words = ["--na", "0.8", "--refractive-index", "1.33", *FEW]
        assert main(["deconvolve", "two.ome.tif", "-o", "sharp.ome.tif", *words]) == 0
        assert [one["wavelength"] for one in record("sharp.json")["psf"]] == [0.46, 0.67]
        assert capsys.readouterr().err == ""
        psfs = fastmpr.channel_psfs("two.ome.tif", na=0.8, refractive_index=1.33)
        agree("sharp.ome.tif", fastmpr.deconvolve(two, psfs, axes="CZYX", voxel_size=VOXEL, **MANY), "CZYX")

    def test_files_that_say_different_wavelengths_have_different_psfs(self, two):
        write_image("other.ome.tif", two, "CZYX", VOXEL, about=self.ABOUT._replace(emission=(0.5, 0.6)))
        words = ["--na", "0.8", "--refractive-index", "1.33", *FEW]
        assert main(["deconvolve", "two.ome.tif", "other.ome.tif", "-o", "out", *words]) == 0
        found = {name: [one["wavelength"] for one in record(f"out/{name}.json")["psf"]] for name in ("two", "other")}
        assert found == {"two": [0.46, 0.67], "other": [0.5, 0.6]}

    def test_a_psf_for_each(self, two):
        wide = fastmpr.psf.gaussian((9, 7, 7), sigma=(2, 1.6, 1.6))
        write_image("wide.tif", wide, "ZYX", VOXEL)
        assert main(["deconvolve", "two.ome.tif", "--psf", "psf.tif", "wide.tif", "-o", "sharp.ome.tif", *FEW]) == 0
        agree("sharp.ome.tif", fastmpr.deconvolve(two, [PSF, wide], voxel_size=VOXEL, **MANY), "CZYX")
        assert [one["file"] for one in record("sharp.json")["psf"]] == ["psf.tif", "wide.tif"]

    def test_what_the_file_says_goes_to_the_output(self, two):
        assert main(["deconvolve", "two.ome.tif", "--psf", "psf.tif", "-o", "sharp.ome.tif", *FEW]) == 0
        assert read_about("sharp.ome.tif") == self.ABOUT

    @pytest.mark.parametrize("words", [["0.52"], ["0.69", "0.45"]])
    def test_a_wavelength_that_the_file_contradicts_is_said(self, two, capsys, words):
        line = ["--na", "0.8", "--refractive-index", "1.33", "--wavelength", *words, *FEW]
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            assert main(["deconvolve", "two.ome.tif", "-o", "sharp.ome.tif", *line]) == 0
        said = capsys.readouterr().err
        expected = (
            f"two.ome.tif: found wavelength {words[0]} for DAPI, whose emission the file says is 0.46 micrometres"
        )
        assert said.startswith(f"fastmpr: warning: {expected}")
        assert said.count("for Cy5") == 1
        assert record("sharp.json")["warnings"][0].startswith(expected)

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (
                ["--na", "0.8", "--wavelength", "0.4", "0.5", "0.6"],
                "two.ome.tif: found 2 channels and 3 values of wavelength",
            ),
            (
                ["--na", "1", "--confocal", "--excitation-wavelength", "0.4", "0.5", "0.6"],
                "two.ome.tif: found 2 channels and 3 values of excitation_wavelength",
            ),
            (["--psf", "psf.tif", "flat.tif"], "--psf: found files of different dimensions"),
            (["--psf", "psf.tif", "two.ome.tif"], "need a PSF of two or three dimensions"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, two, capsys, words, message):
        write_image("flat.tif", PSF[4], "YX", 0.1)
        assert message in refusal(["deconvolve", "two.ome.tif", "-o", "sharp.ome.tif", *words], capsys)


class TestOrder:
    """Options that take several values are followed by the images, or the other way round."""

    @pytest.mark.parametrize(
        "words",
        [
            ["--psf", "psf.tif", "cell.tif"],
            ["--psf", "psf.tif", "--", "cell.tif"],
            ["--na", "0.8", "--refractive-index", "1.33", "--wavelength", "0.5", "cell.tif"],
        ],
    )
    def test_images_after_options(self, folder, words):
        assert main(["deconvolve", "-o", "sharp.ome.tif", *FEW, *words]) == 0
        assert record("sharp.json")["input"]["file"] == "cell.tif"

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--psf", "psf.tif"], "IN: found none, need the names of images"),
            (["--na", "1", "--wavelength", "0.5"], "IN: found none"),
            (["cell.tif", "--na", "1", "--wavelength", "red"], "--wavelength: found 'red', need a positive number"),
            (["--na", "1", "--wavelength", "0.5", "red", "0.6"], "--wavelength: found 'red'"),
            (
                ["--na", "1", "--wavelength", "-1", "cell.tif"],
                "argument --wavelength: found '-1', need a positive number",
            ),
        ],
    )
    def test_what_is_no_image_is_refused(self, folder, capsys, words, message):
        assert message in refusal(["deconvolve", "-o", "sharp.ome.tif", *words], capsys)


class TestMovies:
    def test_axes_that_are_given(self, folder):
        movie = np.array([blurred(k)[5] for k in range(6)])
        change(Path("movie.tif"), movie)
        write_image("flat.tif", PSF[4], "YX")
        line = [
            "movie.tif",
            "--psf",
            "flat.tif",
            "-o",
            "sharp.ome.tif",
            "--axes",
            "TYX",
            "--max-iter",
            "5",
            "--tol",
            "0",
        ]
        assert main(["deconvolve", *line, "--preview"]) == 0
        expected = fastmpr.deconvolve(movie, PSF[4], axes="TYX", max_iter=5, tol=0)
        agree("sharp.ome.tif", expected, "TYX", None)
        assert len({one["lam"] for one in record("sharp.json")["found"]}) == 1

    def test_a_frame_of_nan(self, folder, capsys):
        movie = np.array([blurred(k) for k in range(3)], np.float32)
        movie[0] = np.nan
        write_image("movie.ome.tif", movie, "TZYX", VOXEL)
        assert main(["deconvolve", "movie.ome.tif", "--psf", "psf.tif", "-o", "sharp.ome.tif", *FEW, "--preview"]) == 0
        assert "movie.ome.tif: image[0]: found no voxel that was seen" in capsys.readouterr().err
        assert np.isnan(read_image("sharp.ome.tif").values[0]).all()
        assert record("sharp.json")["found"][0]["background"] is None


def test_the_examples_of_the_help_run(folder, capsys):
    with pytest.raises(SystemExit):
        main(["deconvolve", "--help"])
    example = capsys.readouterr().out.split("example:\n")[1].strip().splitlines()
    assert len(example) == 3
    two = np.array([blurred(0), blurred(1)])
    change(Path("two.ome.tif"), two, ome=True, metadata=sides(VOXEL, "CZYX"))
    Path("sharp.ome.tif").unlink(missing_ok=True)
    for line in example:
        assert main([*line.split()[1:], "--max-iter", "2", "--tol", "0", "--overwrite"]) == 0
    assert files(folder) >= {"sharp.ome.tif", "sharp.json", "sharp.png", "sharp/a.ome.tif", "sharp/b.json"}

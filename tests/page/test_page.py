"""The page of a run: whole whatever is missing, safe whatever files are called, and small."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from image_files import hide

import fastmpr
from fastmpr import Poses, page

pytest.importorskip("matplotlib", reason="the page's pictures need matplotlib, of the extra cli")

N, SHAPE = 30, (12, 14, 16)
VOID = {"meta", "link", "img", "br"}
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
NASTY = "<script>alert(1)</script> \"><img src=x onerror='a'> & \0 \x1b \u202e \udcff </title></style>.tif"


def curve(last: float) -> fastmpr.Curve:
    """A correlation that falls in a straight line."""
    frequency = np.linspace(0, 5, 11)
    return fastmpr.Curve(frequency, 1 - frequency / last, np.full(11, 100.0), np.full(11, 0.05))


RING = np.hypot(*np.meshgrid(np.arange(14) - 6.5, np.arange(16) - 7.5, indexing="ij"))
PROFILES = fastmpr.profile(np.exp(-((RING - 4) ** 2)) * np.ones((12, 1, 1)), voxel_size=0.1)


def quality(**changes):
    """What `assess` measures, all of it."""
    parts = {
        "resolution": 0.25,
        "resolution_reached": True,
        "curve": curve(8.0),
        "halves": curve(6.0),
        "cones": fastmpr.Cones(
            np.eye(3), curve(8.0).frequency, np.array([curve(n).correlation for n in (8, 6, 5)]), 40.0
        ),
        "coverage": SimpleNamespace(filled=0.93, smallest=0.12, worst_axis=np.array([1.0, 0.0, 0.0])),
        "local": np.full(SHAPE, 0.25),
        "replicates": np.zeros((50, 1, 1, 1)),
        "deviation": np.full(SHAPE, 0.01),
        "profiles": PROFILES,
        "unit": "um",
        "seconds": 3.0,
        "warnings": ("coverage: found a cone that no view fills",),
    }
    return SimpleNamespace(**parts | changes)


def result(**changes):
    """What `refine` returns."""
    scores, weights = np.linspace(0.6, 0.99, N), np.ones(N)
    scores[3], weights[3] = np.nan, 0
    parts = {
        "x": np.random.default_rng(0).random(SHAPE),
        "lam": 2345.6,
        "nit": 40,
        "success": True,
        "status": "converged",
        "message": "converged: all residuals below tol",
        "history": [{"nit": 10, "primal": 0.1, "dual": 0.2}, {"nit": 20, "primal": 0.01, "dual": 0.0}],
        "fit": 1.04,
        "voxel_size": (0.1,) * 3,
        "poses": Poses.random(N, rng=0),
        "scores": scores,
        "weights": weights,
        "gains": np.ones(N),
        "rounds": [{"start": 0, "voxel_size": 0.1, "score": 0.9}],
        "confidence": 0.97,
        "symmetry": None,
        "psf_scale": 1.1,
    }
    return SimpleNamespace(**parts | changes)


def record(name: str = "volume.ome.tif", **changes):
    """What `fastmpr refine` writes to OUT.json."""
    view = {"shape": [12, 14, 16], "voxel_size": [0.1] * 3, "voxel_size_from": "file"}
    inputs = {"particles": ["views"], "poses": "poses.csv", "count": N, "unit": "um", "symmetry": "C9", "seen": "auto"}
    return {
        "input": inputs | view,
        "psf": {"file": "psf.tif", "measured": False} | view,
        "options": {"lam": "auto", "regularizer": "hessian"},
        "output": {"file": name, **view},
        "assumed": ["background: taken from the corners"],
        "log": ["background: taken from the corners", "fit 1.04"],
        "warnings": ["psf: found a PSF that is off its centre"],
        "seconds": 12.3,
        "command": ["refine", "views", "--psf", "psf.tif", "-o", name],
        "folder": "/data/today",
        "threads": 2,
        "inputs": {"psf.tif": "0123456789abcdef" * 2, "poses.csv": "f" * 32},
        "written": "2026-02-03T04:05:06+00:00",
        "versions": {"fastmpr": "1.2.3", "numpy": "2.0"},
    } | changes


class Reader(HTMLParser):
    """Reads a page, and checks that its elements are closed in order."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.elements, self.text, self.declared = [], [], "", ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_decl(self, decl):
        self.declared = decl

    def handle_starttag(self, tag, attributes):
        assert len(dict(attributes)) == len(attributes)
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def read(path: Path) -> Reader:
    return Reader(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """A page of all that can be told."""
    path = tmp_path_factory.mktemp("page") / "volume.html"
    found = result()
    page.write(path, record(), found, found.x / 2, 0.1, quality())
    return path


@pytest.fixture
def unseen(monkeypatch):
    """Pages whose pictures are not drawn, made in no time."""
    monkeypatch.setattr(page.pictures, "_encoded", lambda figure: ("png", b""))
    for part in (page.volume, page.sharpness, page.sizes, page.directions, page.views, page.solving):
        for name in [name for name in vars(part) if name.startswith("figure_of_")]:
            monkeypatch.setattr(part, name, lambda *given: None)
    monkeypatch.setattr(page.sizes, "figures_of", lambda found: dict.fromkeys(["radial", "axial", "angular"]))


def written(tmp_path: Path, *given, **options) -> Reader:
    page.write(tmp_path / "p.html", *given, **options)
    return read(tmp_path / "p.html")


class TestWhole:
    def test_it_is_html_with_a_picture_of_each_part(self, full):
        told = read(full)
        assert told.declared == "doctype html" and [one["lang"] for one in told.all("html")] == ["en"]
        for once in ("title", "h1", "main", "header", "footer", "style"):
            assert len(told.all(once)) == 1
        images = told.all("img")
        assert (
            len(images) == 12
        )  # sections, maxima, FSC, two maps, local, deviation, three profiles, scores, convergence
        assert all(len(one["alt"]) > 30 and one["src"].startswith("data:image/png;base64,iVBOR") for one in images)
        assert len(told.all("figcaption")) == len(told.all("figure")) == 12
        assert full.stat().st_size < 1_000_000

    def test_it_says_what_was_done_and_measured(self, full):
        text = " ".join(read(full).text.split())
        for words in (
            "30 particles, whose given poses were improved, became one volume of 12 × 14 × 16 voxels",
            "Resolution0.25 µm",
            "Views used29 of 30",
            "Detail of 0.25 µm and coarser can be trusted, in the mean of all directions",
            "Worst direction0.4 µm1.6 times that of the best",
            "two finished volumes would agree even where both are wrong",
            "cover the directions: 0.93",
            "along (1.00, 0.00, 0.00) (z, y, x), 12 % of what they tell in the mean",
            "The worst has 1.6 times the period of the best",
            "their volumes correlate by 0.970: they agree",
            "The resolution along a direction is read from",
            "1.1 times as wide as given",
            "lam2,346, chosen by the program",
            "fastmpr refine --again",
            f"Diameter of the ring{PROFILES.diameter.number} µm",
            "Height of the barrelthe axial profile does not fall to half within the box",
            "3 February 2026, 04:05 UTC",
            "0123456789ab",
        ):
            assert words in text, words
        assert "0123456789abc" not in text  # of a hash the beginning

    def test_warnings_come_before_the_pictures(self, full):
        text = full.read_text(encoding="utf-8")
        assert "What is doubtful: 2 warnings" in text
        assert text.index("off its centre") < text.index("no view fills") < text.index("<img")

    def test_nothing_comes_from_elsewhere(self, full):
        told = read(full)
        assert {"http-equiv": "Content-Security-Policy", "content": POLICY} in told.all("meta")
        assert not {"script", "iframe", "object", "embed", "form", "a", "base"} & {name for name, _ in told.elements}
        for name, attributes in told.elements:
            for key, value in attributes.items():
                assert not key.startswith("on")
                if key in ("src", "href", "srcset", "data", "action", "poster"):
                    assert value.startswith("data:"), (name, key)
        style = re.search("<style>(.*?)</style>", full.read_text(encoding="utf-8"), re.DOTALL).group(1)
        assert not re.search(r"url\(|@import|://", style)

    @pytest.mark.slow
    def test_the_same_run_makes_the_same_page(self, full, tmp_path):
        found = result()
        page.write(tmp_path / "volume.html", record(), found, found.x / 2, 0.1, quality())
        first, second = (path.read_text(encoding="utf-8") for path in (full, tmp_path / "volume.html"))
        assert first.replace(str(full.parent), "") == second.replace(str(tmp_path), "")


@pytest.mark.usefixtures("unseen")
class TestText:
    def test_names_are_text_whatever_they_are(self, tmp_path):
        told = record(
            NASTY,
            warnings=[NASTY, NASTY],
            assumed=[NASTY],
            log=[NASTY * 2],
            inputs={NASTY: NASTY},
            folder=NASTY,
            versions={NASTY: NASTY},
        )
        told["input"] |= {"particles": [NASTY], "channel": NASTY, "symmetry": NASTY, "voxel_size_from": NASTY}
        found = result(message=NASTY, success=False)
        reader = written(tmp_path, told, found, None, 0.1, quality(warnings=(NASTY,)), names=[NASTY] * N)
        assert not reader.all("script") and len(reader.all("title")) == 1
        assert all("onerror" not in attributes for _, attributes in reader.elements)
        assert all(one["src"].startswith("data:") for one in reader.all("img"))
        shown = "<script>alert(1)</script> \"><img src=x onerror='a'> & \\x00 \\x1b \\u202e \\udcff"
        assert reader.text.count(shown) >= 10
        assert not set("\0\x1b\u202e") & set((tmp_path / "p.html").read_text(encoding="utf-8"))

    @pytest.mark.parametrize("name", [*vars(quality()), "all"])
    def test_what_was_not_measured_is_said(self, tmp_path, name):
        missing = dict.fromkeys(vars(quality()) if name == "all" else [name])
        reader = written(tmp_path, record(), result(), None, 0.1, quality(**missing))
        assert len(reader.all("h1")) == 1
        said = reader.text.lower().count("not measured")
        unsaid = {"local", "replicates", "unit", "seconds", "warnings", "resolution_reached", "halves", "curve"}
        assert said == 7 if name == "all" else said >= (name not in unsaid)

    @pytest.mark.parametrize("told", [{}, {"input": None, "found": 3, "command": []}, record()])
    def test_records_may_lack_anything(self, tmp_path, told):
        names = ("x", "lam", "nit", "success", "message", "history")
        bare = SimpleNamespace(**{name: vars(result())[name] for name in names} | {"history": []})
        reader = written(tmp_path, told, bare, None, None)
        assert reader.text.lower().count("not measured") >= 6
        assert "There is no record of the command" in reader.text or told.get("command")
        assert len(reader.all("img")) == 2

    def test_of_many_views_few_are_named_the_worst_first(self, tmp_path):
        n = 1000
        rng = np.random.default_rng(0)
        scores = rng.random(n)
        scores[500] = np.nan
        out = np.count_nonzero(~(scores > 0.01))
        found = result(scores=scores, weights=(scores > 0.01).astype(float), gains=np.ones(n), poses=Poses.random(n))
        names = [f"particle {i}." for i in range(n)]
        told = record(warnings=[f"particle {i}: odd" for i in range(n)], inputs=dict.fromkeys(names, "0" * 32))
        told["input"]["particles"] = names
        reader = written(tmp_path, told, found, None, 0.1, names=names)
        table = reader.text[reader.text.index("These views fit worst") :]
        table = table[: table.index("How it was computed")]
        assert re.findall(r"particle (\d+)\.", table) == [str(i) for i in np.argsort(np.nan_to_num(scores, nan=-1))[:8]]
        assert "The other 992 are in the record" in table and f"{out} views of 1,000 left out" in reader.text
        assert "and 992 more" in reader.text and (tmp_path / "p.html").stat().st_size < 60_000

    def test_an_unfinished_solve_is_doubtful(self, tmp_path):
        stopped = result(success=False, status="timeout", message="stopped by the timeout")
        assert "This is not the final volume: stopped by the timeout" in written(tmp_path, {}, stopped, None, None).text
        told = record(warnings=[], options={"tol": 0})
        every = written(tmp_path, told, result(success=False, status="max_iter"), None, None, overwrite=True)
        assert "No warnings" in every.text and "final volume" not in every.text

    def test_lengths_of_unknown_unit_are_in_voxels(self, tmp_path):
        told = written(tmp_path, {}, result(), None, None, quality(unit="voxel", resolution=2.5)).text
        assert "Resolution2.5 voxels" in told and "µm" not in told

    def test_a_resolution_that_was_not_reached(self, tmp_path):
        told = written(tmp_path, {}, result(), None, 0.1, quality(resolution_reached=False, resolution=0.2)).text
        assert "Resolution≤ 0.2 µm" in told and "stays above 0.5 down to 0.2 µm" in told

    @pytest.mark.parametrize(("last", "words"), [(8.0, "Resolution0.25 µm"), (80.0, "Resolution≤ 0.2 µm")])
    def test_the_result_may_tell_its_resolution_alone(self, tmp_path, last, words):
        told = result(curve=curve(last), resolution=1 / (curve(last).crossing(0.5) or 5.0))
        text = written(tmp_path, {}, told, None, 0.1).text
        assert words in text and "The blue curve is the least" in text and "The halves are compared" not in text

    def test_a_long_command_is_cut(self, tmp_path):
        told = record(command=["reconstruct", *(f"view{i}" for i in range(1000))])
        assert "and 962 more words" in written(tmp_path, told, result(), None, 0.1).text


class TestFile:
    def test_what_is_there_is_replaced_only_if_asked(self, tmp_path, unseen):
        path = tmp_path / "p.html"
        path.write_text("mine")
        with pytest.raises(FileExistsError, match="exists already"):
            page.write(path, {}, result(), None, None)
        assert path.read_text() == "mine"
        page.write(path, {}, result(), None, None, overwrite=True)
        assert read(path).all("h1")

    @pytest.mark.parametrize("there", [False, True])
    def test_an_interrupted_page_leaves_what_was_there(self, tmp_path, monkeypatch, there):
        def interrupt(figure):
            raise KeyboardInterrupt

        monkeypatch.setattr(page.pictures, "_encoded", interrupt)
        if there:
            (tmp_path / "p.html").write_text("mine")
        with pytest.raises(KeyboardInterrupt):
            page.write(tmp_path / "p.html", {}, result(), None, None, overwrite=True)
        assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"] * there

    def test_wrong_arguments_leave_nothing(self, tmp_path):
        path, found = tmp_path / "p.html", result()
        for given, error, message in (
            ((3, found, None, None), TypeError, "record: found 3, need a dict"),
            (({}, 3, None, None), TypeError, "result: found 3, need what reconstruct"),
            (({}, found, found.x[1:], None), ValueError, "average: found shape"),
            (({}, found, None, -1), ValueError, "voxel_size: found -1"),
            (({}, found, None, None, 3), TypeError, "quality: found 3, need what assess returns"),
        ):
            with pytest.raises(error, match=message):
                page.write(path, *given)
        with pytest.raises(TypeError, match="poses: found 3, need fastmpr.Poses"):
            page.write(path, {}, found, None, None, poses=3)
        with pytest.raises(ValueError, match="names: found 1, need 30"):
            page.write(path, {}, found, None, None, poses=found.poses, names=["a"])
        with pytest.raises(FileNotFoundError, match="found no folder"):
            page.write(tmp_path / "none" / "p.html", {}, found, None, None)
        assert not list(tmp_path.iterdir())

    def test_missing_matplotlib(self, tmp_path, monkeypatch):
        hide(monkeypatch, "matplotlib")
        with pytest.raises(ImportError, match=r'pip install "fastmpr\[cli\]"'):
            page.write(tmp_path / "p.html", {}, result(), None, None)
        assert not list(tmp_path.iterdir())


def test_pictures_of_noise_are_small_too():
    x = np.random.default_rng(0).random((256, 256, 256), dtype=np.float32)
    figure = page.volume.figure_of_sections({"volume": x, "average": x[::-1]}, (1.0, 1.0, 1.0), True)
    kind, content = page.pictures._encoded(figure)
    assert kind == "jpeg" and content.startswith(b"\xff\xd8") and len(content) < 400_000


@pytest.mark.slow
def test_noise_of_a_large_volume_and_many_views_is_small_too(tmp_path):
    x = np.random.default_rng(0).random((512, 512, 512), dtype=np.float32)
    views = {"scores": np.linspace(0, 1, 1000), "weights": np.ones(1000), "gains": np.ones(1000)}
    found = result(x=x, poses=Poses.random(1000, rng=0), **views)
    page.write(tmp_path / "p.html", record(), found, x[::-1], 0.1, quality(local=x, deviation=x))
    assert (tmp_path / "p.html").stat().st_size < 2_000_000


@pytest.mark.slow
def test_what_assess_returns_is_told(tmp_path):
    truth, poses = fastmpr.phantom.centriole((24, 24, 24)), Poses.random(20, rng=0)
    psf = fastmpr.psf.gaussian((15, 9, 9), sigma=(3, 1, 1))
    data = fastmpr.Dataset(fastmpr.simulate(truth, psf, poses, noise_sigma=0.02, rng=0), psf, poses, voxel_size=0.05)
    found = fastmpr.assess(data, bootstrap=3)
    page.write(tmp_path / "p.html", {}, found.result, fastmpr.average(data), 0.05, found, poses=data.placed)
    told = read(tmp_path / "p.html")
    assert len(told.all("img")) == 7  # sections, maxima, FSC, two maps, deviation, convergence
    assert f"Detail of {found.resolution:.3g} µm and coarser can be trusted" in told.text
    assert "over 3 volumes, each from a random choice" in told.text

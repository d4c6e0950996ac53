"""The paper's table and figures again, at a size that takes seconds."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from fastmpr import cli, paper, phantom
from fastmpr.io import tiff

PLAN = paper.Plan(n_poses=2, draws=2, counts=(1, 2), timed=(1, 2), variances=(5,), max_iter=2)
FILES = {"table1.txt", "table1.csv", "table1.md", "fig1.png", "fig2.png", "fig3.png", "index.html", "cells"}
CELLS = 4 + 4


@pytest.fixture(scope="module")
def volume():
    return phantom.nuclear_pore(paper.SHAPE)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, volume):
    """A folder with a finished run, its table, and the names of its cells in order."""
    out, names = tmp_path_factory.mktemp("paper"), []
    return out, paper.run(out, {"nuclear pore": volume}, PLAN, names.append), names


def test_it_writes_all_it_promises(finished):
    out, _, names = finished
    assert {path.name for path in out.iterdir()} == FILES == set(paper.FILES)
    assert len(names) == CELLS == paper.count(1, PLAN)
    for k in (1, 2, 3):
        assert (out / f"fig{k}.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_the_tables_agree_and_hold_the_papers_figures(finished):
    out, text, _ = finished
    assert (out / "table1.txt").read_text() == text
    with (out / "table1.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == ["Average", "Deconv/Average", "TV", "Hessian (proposed)"]
    assert rows[0]["paper (dB)"] == "8.55"
    markdown = (out / "table1.md").read_text()
    for row in rows:
        assert row["PSNR (dB)"] in text
        assert f"| {row['PSNR (dB)']} |" in markdown
        assert float(row["spread (dB)"]) >= 0


def test_scores_are_means_over_draws_that_lam_was_not_chosen_on(finished, volume):
    out, _, _ = finished
    kept = json.loads((out / "cells" / "nuclear_pore-tv-variance_5.json").read_text())["value"]
    experiment = paper.Experiment(paper.fitted(volume), PLAN)
    for draw, psnr in zip((1, 2), kept["psnr"], strict=True):
        x = experiment.run("tv", *experiment.views(2, 5, draw), kept["lam"])
        assert paper.psnr(x, experiment.truth) == pytest.approx(psnr, abs=1e-3)
    first, second = (experiment.views(2, 5, draw)[0] for draw in (0, 1))
    assert not np.allclose(first, second)


def test_noise_has_the_variance_it_is_given(volume):
    experiment = paper.Experiment(paper.fitted(volume), PLAN)
    noise = experiment.views(2, 9, 1)[0] - experiment.views(2, 0, 1)[0]
    assert noise.std() == pytest.approx(3, rel=0.02)
    assert experiment.truth.std() == pytest.approx(1, rel=1e-5)


def test_the_page_is_alone_and_holds_the_record(finished):
    page = (finished[0] / "index.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert "http" not in page.replace("http-equiv", "")
    for word in ("numba", "seed", "max_iter", "Hessian (proposed)", "seconds"):
        assert word in page


def test_finished_cells_are_not_done_again(finished, volume, monkeypatch, tmp_path):
    out, table, _ = finished
    monkeypatch.setattr(paper.Experiment, "run", lambda *_: pytest.fail("done again"))
    assert paper.run(out, {"nuclear pore": volume}, PLAN) == table


def test_an_interrupted_run_goes_on_where_it_stopped(volume, tmp_path):
    class Interrupt(Exception):
        pass

    def stop_after_two(name: str) -> None:
        names.append(name)
        if len(names) == 2:
            raise Interrupt

    names: list[str] = []
    with pytest.raises(Interrupt):
        paper.run(tmp_path, {"nuclear pore": volume}, PLAN, stop_after_two)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cells").glob("*.json")}
    assert len(before) == 2
    paper.run(tmp_path, {"nuclear pore": volume}, PLAN)
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cells").glob("*.json")}
    assert len(after) == CELLS
    assert before.items() <= after.items()


def test_cells_of_another_setting_are_done_again(finished, volume):
    out, _, _ = finished
    cells = paper.Cells(out / "cells", PLAN, {"nuclear pore": paper.fitted(volume)})
    other = paper.Cells(out / "cells", PLAN, {"nuclear pore": paper.fitted(volume[::-1])})
    same = paper.Cells(out / "cells", paper.QUICK, {"nuclear pore": paper.fitted(volume)})
    settings = [c.setting("nuclear pore, tv, variance 5") for c in (cells, other, same)]
    assert settings[0] != settings[1] and settings[0] != settings[2]


def test_volumes_are_binned_until_they_fit():
    x = np.zeros((100, 100, 100))
    x[31:69, 1:99, 1:99] = 1
    fitted = paper.fitted(x)
    assert fitted.shape == paper.SHAPE
    assert fitted.dtype == np.float32
    expected = np.zeros(paper.SHAPE)
    expected[:, 10:60, 10:60] = x.reshape(50, 2, 50, 2, 50, 2).mean(axis=(1, 3, 5))[7:42]
    np.testing.assert_allclose(fitted, expected / expected.std(), rtol=1e-5)


@pytest.mark.parametrize("bad", [np.zeros((5, 5, 5)), np.ones(paper.SHAPE), -np.ones((5, 5, 5)), np.ones((5, 5))])
def test_a_volume_without_a_particle_is_refused(bad):
    with pytest.raises(ValueError, match="volume: found"):
        paper.fitted(bad)


@pytest.mark.parametrize("top", [0.02, 1.0, 3e4])
def test_best_lam_finds_the_top_wherever_it_starts(top):
    tried: list[float] = []

    def score(lam: float) -> float:
        tried.append(lam)
        return -(np.log(lam / top) ** 2)

    assert paper.best_lam(score, 10.0) == pytest.approx(top, rel=1e-6)
    assert len(tried) == len(set(tried)) <= 12


def test_command_line(tmp_path, monkeypatch, capsys, volume):
    monkeypatch.setattr(paper, "QUICK", PLAN)
    tiff.write(tmp_path / "pore.ome.tif", volume)
    arguments = ["paper", "--quick", "--out", str(tmp_path / "out"), "--volume", str(tmp_path / "pore.ome.tif")]
    assert cli.main(arguments) == 0
    out, err = capsys.readouterr()
    assert "Hessian (proposed)" in out
    assert "index.html" in out
    assert err == ""


@pytest.mark.parametrize("name", ["nowhere.tif", "nowhere.mrc.gz", "text.tif", "text.mrc"])
def test_a_bad_volume_is_refused_in_one_line_before_anything_is_written(tmp_path, capsys, name):
    (tmp_path / "text.tif").write_text("no volume")
    (tmp_path / "text.mrc").write_text("no volume")
    assert cli.main(["paper", "--out", str(tmp_path / "out"), "--volume", str(tmp_path / name)]) == 2
    _, err = capsys.readouterr()
    assert err.startswith(f"fastmpr: error: {tmp_path / name}")
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()

"""The paper's table and figures again, at a size that takes seconds."""

from __future__ import annotations

import csv
import json
import re
import shutil
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fastmpr import cli, io, paper, phantom
from fastmpr.metrics import psnr
from fastmpr.paper import cells as cell_files
from fastmpr.paper import experiment
from fastmpr.paper.cells import Cells
from fastmpr.paper.experiment import Experiment, best_lam

PLAN = paper.Plan(n_poses=2, draws=2, counts=(1, 2), timed=(1, 2), variances=(5,), max_iter=2, timed_max_iter=2)
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


def read_csv(out):
    with (out / "table1.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_it_writes_all_it_promises(finished):
    out, _, names = finished
    assert {path.name for path in out.iterdir()} == FILES == set(paper.FILES)
    assert len(names) == CELLS == paper.count(1, PLAN)
    for k in (1, 2, 3):
        assert (out / f"fig{k}.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_the_tables_agree_and_hold_the_papers_figures(finished):
    out, text, _ = finished
    assert (out / "table1.txt").read_text() == text
    rows = read_csv(out)
    assert [row["method"] for row in rows] == ["Average", "Deconv/Average", "TV", "Hessian (proposed)"]
    assert [row["paper (dB)"] for row in rows] == ["8.33", "19.66", "21.28", "21.83"]
    markdown = (out / "table1.md").read_text()
    for row in rows:
        assert row["PSNR (dB)"] in text
        assert f"| {row['PSNR (dB)']} |" in markdown
        assert float(row["spread (dB)"]) >= 0


def test_scores_are_means_over_draws_that_lam_was_not_chosen_on(finished, volume):
    out, _, _ = finished
    kept = json.loads((out / "cells" / "nuclear_pore-tv-variance_5.json").read_text())["value"]
    made = Experiment(paper.fitted(volume), PLAN)
    for draw, decibels in zip((1, 2), kept["psnr"], strict=True):
        x = made.run("tv", made.data(2, 5, draw), kept["lam"])
        assert psnr(x, made.truth) == pytest.approx(decibels, abs=1e-3)
    first, second = (made.data(2, 5, draw).source.particles for draw in (0, 1))
    assert not np.allclose(first, second)


def test_noise_has_the_variance_it_is_given(volume):
    made = Experiment(paper.fitted(volume), PLAN)
    noise = made.data(2, 9, 1).source.particles - made.data(2, 0, 1).source.particles
    assert noise.std() == pytest.approx(3, rel=0.02)
    assert made.truth.std() == pytest.approx(1, rel=1e-5)


def test_the_page_is_alone_and_holds_the_record(finished):
    page = (finished[0] / "index.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert "http" not in page.replace("http-equiv", "")
    for word in ("numba", "seed", "checksum", "Hessian (proposed)", "seconds", "below 0.002, or after 2 iterations"):
        assert word in page
    assert "timed_tol: 0.002" in page


def test_finished_cells_are_not_done_again(finished, volume, monkeypatch, tmp_path):
    out, table, _ = finished
    monkeypatch.setattr(Experiment, "run", lambda *_: pytest.fail("done again"))
    assert paper.run(out, {"nuclear pore": volume}, PLAN) == table


@pytest.mark.parametrize("damage", [b"", b'{"setting": {', b"{}", b"[1]", b"\xff\xfe", None])
@pytest.mark.parametrize("name", ["nuclear_pore-average-variance_5.json", "nuclear_pore-average.npy"])
def test_a_damaged_cell_is_done_again(finished, volume, tmp_path, monkeypatch, name, damage):
    out, table, _ = finished
    folder = tmp_path / "out"
    shutil.copytree(out, folder)
    path = folder / "cells" / name
    path.unlink() if damage is None else path.write_bytes(damage)
    done = []
    work = Experiment.run
    monkeypatch.setattr(Experiment, "run", lambda self, *args: done.append(args[0]) or work(self, *args))
    cells = Cells(folder / "cells", PLAN, {"nuclear pore": paper.fitted(volume)})
    for cell in cells.all():
        cells.finish(cell)
    assert done == ["average"] * PLAN.draws
    assert path.read_bytes() == (out / "cells" / name).read_bytes() or path.suffix == ".json"
    assert paper.report.table(cells)[1] == [list(row.values()) for row in read_csv(out)]


def test_a_picture_of_another_setting_is_not_shown(finished, volume, tmp_path):
    """As an interruption between a picture and its cell leaves them."""
    shutil.copytree(finished[0] / "cells", tmp_path / "cells")
    cells = Cells(tmp_path / "cells", PLAN, {"nuclear pore": paper.fitted(volume)})
    picture = cells.picture("nuclear pore", "average")
    right = picture.read_bytes()
    np.save(picture, np.ones(paper.SHAPE, np.float32))
    cells.finish(next(cells.all()))
    assert picture.read_bytes() == right


@pytest.fixture
def heeded():
    """Ctrl-C as in a terminal, also where whoever started the tests ignores it, as nohup does."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded")
def test_on_the_command_line_control_c_keeps_what_is_finished(volume, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paper, "QUICK", PLAN)
    io.write(tmp_path / "pore.ome.tif", volume)
    arguments = ["paper", "--quick", "--out", str(tmp_path / "out"), "--volume", str(tmp_path / "pore.ome.tif")]
    work, last = Experiment.run, iter([False] * 5 + [True])

    def interrupted(self, *args, **options):
        if next(last):
            signal.raise_signal(signal.SIGINT)
        return work(self, *args, **options)

    monkeypatch.setattr(Experiment, "run", interrupted)
    assert cli.main(arguments) == 130
    assert capsys.readouterr() == ("", "fastmpr: interrupted\n")
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out" / "cells").iterdir()}
    assert set(before) == {"pore-average-variance_5.json", "pore-average.npy"}

    monkeypatch.setattr(Experiment, "run", work)
    assert cli.main(arguments) == 0
    out, err = capsys.readouterr()
    assert "Hessian (proposed)" in out
    assert "index.html" in out
    assert err == ""
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out" / "cells").iterdir()}
    assert before.items() <= after.items()
    assert len(after) == CELLS + len(paper.METHODS)


def test_progress_is_shown_where_somebody_watches(tmp_path, monkeypatch, capsys, volume):
    monkeypatch.setattr(Cells, "finish", lambda self, cell: time.sleep(0.02))
    monkeypatch.setattr(paper.report, "write", lambda out, cells: "table")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    io.write(tmp_path / "pore.tif", volume)
    arguments = ["paper", "--verbose", "--out", str(tmp_path / "out"), "--volume", str(tmp_path / "pore.tif")]
    assert cli.main(arguments) == 0
    err = capsys.readouterr().err
    assert re.search(r"cells: .*\b[1-9]\d?/16 \[00:0\d<", err)
    assert re.search(r"\d\.\d s  pore, hessian, times\n", err)


def test_cells_of_another_program_are_done_again(finished, volume, monkeypatch):
    volumes = {"nuclear pore": paper.fitted(volume)}
    now = Cells(finished[0] / "cells", PLAN, volumes).setting("nuclear pore")
    monkeypatch.setattr(cell_files, "source_checksum", lambda: 1)
    assert now != (edited := Cells(finished[0] / "cells", PLAN, volumes).setting("nuclear pore"))
    monkeypatch.setattr(cell_files, "__version__", "0")
    assert edited != Cells(finished[0] / "cells", PLAN, volumes).setting("nuclear pore")


def test_cells_of_another_setting_are_done_again(finished, volume):
    out, _, _ = finished
    cells = Cells(out / "cells", PLAN, {"nuclear pore": paper.fitted(volume)})
    other = Cells(out / "cells", PLAN, {"nuclear pore": paper.fitted(volume[::-1])})
    same = Cells(out / "cells", paper.QUICK, {"nuclear pore": paper.fitted(volume)})
    settings = [c.setting("nuclear pore") for c in (cells, other, same)]
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


@pytest.mark.parametrize("unit", [1e38, 1e-40, 1e300])
def test_volumes_in_any_unit_give_the_same(volume, unit):
    scaled = (volume * np.float64(unit)).astype(np.float32 if 1e-45 < unit < 1e39 else np.float64)
    np.testing.assert_allclose(paper.fitted(scaled), paper.fitted(volume), atol=1e-3)


EMPTY = {
    "zeros": np.zeros((5, 5, 5)),
    "constant": np.full(paper.SHAPE, 0.1),
    "negative": -phantom.nuclear_pore(16),
    "one voxel": np.ones((1, 1, 1)),
    "plane": np.ones((5, 5)),
    "box": np.pad(np.ones(paper.SHAPE), 9),  # after cropping, nothing but ones
}


@pytest.mark.parametrize("bad", EMPTY.values(), ids=EMPTY)
def test_a_volume_without_a_particle_is_refused(bad):
    with pytest.raises(ValueError, match="^volume: found"):
        paper.fitted(bad)


@pytest.mark.parametrize("shape", [(5, 5), 0, "abc", (1, 2, 2.5)])
def test_a_bad_shape_is_refused(volume, shape):
    with pytest.raises(ValueError, match="shape: found .* need one or three positive integers"):
        paper.fitted(volume, shape)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"volumes": {}}, "volumes: found none, need at least one"),
        ({"volumes": [np.ones((5, 5, 5))]}, "volumes: found list, need a dict"),
        ({"volumes": np.ones((5, 5, 5))}, "volumes: found ndarray, need a dict"),
        ({"volumes": {"": np.eye(5)}}, "volumes: found the name '', need a string"),
        ({"volumes": {5: np.eye(5)}}, "volumes: found the name 5, need a string"),
        (
            {"volumes": {"a b": np.eye(5), "A/b": np.eye(5)}},
            "volumes: found the names 'a b' and 'A/b', need names that",
        ),
        ({"volumes": {"flat": np.zeros((5, 5, 5))}}, r"volumes\['flat'\]: found nothing above zero"),
        ({"plan": None}, "plan: found None, need paper.FULL, paper.QUICK"),
        ({"plan": "quick"}, "plan: found 'quick', need paper.FULL, paper.QUICK"),
        ({"out": ""}, "out: found '', need the name of a folder"),
    ],
)
def test_run_says_what_is_wrong_and_leaves_nothing_behind(tmp_path, monkeypatch, change, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((TypeError, ValueError), match=message) as error:
        paper.run(**{"out": "new", "plan": PLAN} | change)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_the_folder_above_must_exist(tmp_path, volume):
    with pytest.raises(FileNotFoundError, match="found no folder .*, need an existing one"):
        paper.run(tmp_path / "no" / "where", {"pore": volume}, PLAN)
    assert not list(tmp_path.iterdir())


def test_names_of_volumes_do_not_reach_paths(tmp_path, volume):
    cells = Cells(tmp_path, PLAN, {"../a, b/c": paper.fitted(volume)})
    first = next(cells.all())
    assert first.picture.parent == tmp_path
    cells.finish(first)
    assert {path.name for path in tmp_path.iterdir()} == {".._a_b_c-average-variance_5.json", ".._a_b_c-average.npy"}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"n_poses": 0}, "n_poses: found 0, need an integer of at least 1"),
        ({"draws": 0}, "draws: found 0, need"),
        ({"variances": (-1,)}, "variances: found -1, need"),
        ({"variances": ()}, r"variances: found \(\), need a tuple"),
        ({"counts": 5}, "counts: found 5, need a tuple"),
        ({"timed": (1, 0)}, "timed: found 0, need"),
        ({"shown": 2}, r"shown: found 2, need one of the variances \(1, 5, 10\)"),
        ({"max_iter": 0}, "max_iter: found 0, need"),
        ({"timed_max_iter": 1.5}, "timed_max_iter: found 1.5, need"),
        ({"tol": -1}, "tol: found -1, need a positive"),
        ({"timed_tol": np.nan}, "timed_tol: found nan, need a positive"),
    ],
)
def test_a_plan_is_checked(change, message):
    with pytest.raises(ValueError, match=message):
        paper.Plan(**change)


def test_times_are_to_the_same_accuracy_whatever_the_tables_cap(volume, monkeypatch):
    plan = paper.Plan(n_poses=2, counts=(2,), timed=(1, 2), max_iter=3, timed_max_iter=77, timed_tol=0.5)
    cells = Cells(Path(), plan, {"pore": paper.fitted(volume)})
    cells.values = {f"pore, {method}, variance 5": {"lam": 1.0} for method in paper.METHODS}
    options = []

    def see(given):
        options.append({name: given[name] for name in ("max_iter", "tol")})

    monkeypatch.setattr(experiment, "solve", lambda sums, *_, **o: see(o) or SimpleNamespace(x=np.zeros(sums.shape)))
    monkeypatch.setattr(
        experiment,
        "deconvolve_average",
        lambda *_, **o: see(o),
    )
    for method in ("deconvolve_average", "hessian"):
        assert len(cells._times("pore", method)["times"]) == 2
    assert options == [{"max_iter": 77, "tol": 0.5}] * 6


@pytest.mark.parametrize("top", [0.02, 1.0, 3e4])
def test_best_lam_finds_the_top_wherever_it_starts(top):
    tried: list[float] = []

    def score(lam: float) -> float:
        tried.append(lam)
        return -(np.log(lam / top) ** 2)

    assert best_lam(score, 10.0) == pytest.approx(top, rel=1e-6)
    assert len(tried) == len(set(tried)) <= 12


def test_a_table_holds_any_name(tmp_path, monkeypatch, capsys, volume, finished):
    cells = Cells(finished[0] / "cells", PLAN, {"nuclear pore": paper.fitted(volume)})
    for cell in cells.all():
        cells.finish(cell)
    heads, rows = paper.report.table(cells)
    rows[0][0] = 'a, "b" | c'
    assert next(csv.reader([paper.report._as_csv(heads, rows).splitlines()[1]])) == rows[0]
    assert paper.report._as_markdown(heads, rows).splitlines()[2].startswith('| a, "b" \\| c | 5 |')


@pytest.mark.parametrize(
    "files, message",
    [
        (
            ["a b.tif", "a_b.tif"],
            "volumes: found the names 'a b' and 'a_b', need names that differ in more than case and punctuation",
        ),
        (["a.tif", "a.ome.tif"], "--volume: found two files of the same name, need different ones"),
    ],
)
def test_files_of_equal_names_are_refused(tmp_path, capsys, volume, files, message):
    arguments = ["paper", "--quick", "--out", str(tmp_path / "out")]
    for name in files:
        io.write(tmp_path / name, volume)
        arguments += ["--volume", str(tmp_path / name)]
    assert cli.main(arguments) == 2
    assert capsys.readouterr().err == f"fastmpr: error: {message}\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("file, name", [("a,b.tif", "a,b"), (".hidden.tif", ".hidden.tif")])
def test_any_name_of_a_file_will_do(tmp_path, monkeypatch, capsys, volume, file, name):
    """The cells, rather than the run, which takes seconds."""
    io.write(tmp_path / file, volume)
    tasks = []
    monkeypatch.setattr(Cells, "finish", lambda self, cell: tasks.append((cell, self.setting(cell.volume))))
    monkeypatch.setattr(paper.report, "write", lambda out, cells: "table")
    assert cli.main(["paper", "--out", str(tmp_path / "out"), "--volume", str(tmp_path / file)]) == 0
    assert {cell.volume for cell, _ in tasks} == {name}
    assert len({setting["volume"] for _, setting in tasks}) == 1


def test_no_name_of_a_folder_is_refused(tmp_path, monkeypatch, capsys, volume):
    monkeypatch.chdir(tmp_path)
    io.write("pore.tif", volume)
    assert cli.main(["paper", "--quick", "--out", "", "--volume", "pore.tif"]) == 2
    assert capsys.readouterr().err == "fastmpr: error: out: found '', need the name of a folder\n"
    assert [path.name for path in tmp_path.iterdir()] == ["pore.tif"]


BAD_FILES = ["nowhere.tif", "nowhere.mrc.gz", "text.tif", "text.mrc", "zeros.tif", "negative.tif"]


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_volume_is_refused_in_one_line_before_anything_is_written(tmp_path, capsys, name):
    for stem in ("zeros", "negative"):
        io.write(tmp_path / f"{stem}.tif", EMPTY[stem])
    (tmp_path / "text.tif").write_text("no volume")
    (tmp_path / "text.mrc").write_text("no volume")
    assert cli.main(["paper", "--out", str(tmp_path / "out"), "--volume", str(tmp_path / name)]) == 2
    _, err = capsys.readouterr()
    assert err.startswith(f"fastmpr: error: {tmp_path / name}")
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()

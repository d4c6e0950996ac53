"""The page of the benchmarks, from made-up results."""

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("matplotlib", reason="the page's pictures need matplotlib, of the extra bench")
GraphSet = pytest.importorskip("asv.graph", reason="the page is a plugin of asv, of the extra bench").GraphSet

PATH = Path(__file__).parents[2] / "benchmarks" / "page.py"
SPEC = importlib.util.spec_from_file_location("benchmarks_page", PATH)
page = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(page)

FIRST = page.HEADLINE_BENCHMARK
ENVIRONMENT = {"machine": "m", "cpu": "<c>", "python": "3.12"}
COMMITS = {3: "aaaaaaaa of 2026-01-01", 5: "bbbbbbbb of 2026-01-02", 9: "cccccccc of 2026-01-03"}


def results(**values):
    """Return (benchmarks, graphs): values by benchmark, revision and number of poses."""
    benchmarks, graphs = {}, GraphSet()
    for name, history in values.items():
        poses = ["1", "10", "1000"]
        benchmarks[name] = {"name": name, "unit": "seconds", "param_names": ["poses"], "params": [poses]}
        for revision, readings in history.items():
            graphs.get_graph(name, ENVIRONMENT).add_data_point(revision, readings)
    return benchmarks, graphs


@pytest.fixture
def publish(tmp_path):
    """Return publish(benchmarks, graphs, found), which writes the page as asv would and returns its text."""

    def run(benchmarks, graphs, found=()):
        (tmp_path / "index.html").write_text("asv's own")
        (tmp_path / "regressions.json").write_text(json.dumps({"regressions": found}))
        conf = SimpleNamespace(html_dir=str(tmp_path), project="p", hash_length=8)
        revisions = {label[:8] * 5: revision for revision, label in COMMITS.items()}
        page.Page.publish(conf, SimpleNamespace(get_date=lambda commit: 0), benchmarks, graphs, revisions)
        return (tmp_path / "index.html").read_text()

    return run


def test_headline_is_the_newest_ratio_of_a_thousand_views_to_one():
    ratios = {name: {3: [1.5], 5: [1.014], 9: [None]} for name in [page.HEADLINE_BENCHMARK]}
    _, graphs = results(**ratios, memory={9: [1.0, 1.0, 1.0]})
    assert "A solve of 1,000 views takes 1.01 times as long as one of a single view" in page._headline(graphs)
    assert page._headline(GraphSet()) == ""


def test_regressions_are_a_table_with_the_worst_first():
    small, large = [None, 5, 2.0, 3.0], [3, 9, 1.0, 2.5]
    table = page._regressions(
        [["x(1)", "path", {}, 0, 3.0, 2.0, [small]], ["y", "path", {}, None, 1, 1, [large]]], COMMITS
    )
    rows = re.findall("<td>(.*)<td>(.*) &rarr; (.*)<td>(.*)", table)
    assert rows == [("y", COMMITS[3], COMMITS[9], "2.50"), ("x(1)", COMMITS[3], COMMITS[5], "1.50")]
    assert page._regressions([], COMMITS) == "None found."


def test_page_shows_all_public_names_first_and_without_scripts(publish, tmp_path):
    values = {3: [1.0, 2.0, 3.0], 9: [1.0, None, 3.0]}
    names = ["internals.T.time", "startup.T.time", "memory.T.time", FIRST]
    benchmarks, graphs = results(**{name: values for name in [*names, "without.results"]} | {"without.results": {}})
    shown = publish(benchmarks, graphs)
    assert re.findall('<h3 id="(.*?)"', shown) == [FIRST, "memory.T.time", "startup.T.time", "internals.T.time"]
    pictures = re.findall('<img src="(.*?)"', shown)
    assert len(pictures) == 8
    assert all((tmp_path / path).stat().st_size for path in pictures)
    assert "<script" not in shown
    assert "http" not in shown
    assert "<p>machine m, cpu &lt;c&gt;, python 3.12</p>" in shown
    assert all(benchmark["less_is_better"] for benchmark in benchmarks.values())


def test_a_picture_with_too_many_lines_to_name_is_drawn_all_the_same(publish, tmp_path):
    benchmarks, graphs = results(many={})
    labels = [str(k) for k in range(60)]
    benchmarks["many"]["params"] = [labels]
    graphs.get_graph("many", ENVIRONMENT).add_data_point(3, list(map(float, labels)))
    publish(benchmarks, graphs)
    assert "60 lines: see the interactive page" in (tmp_path / "plots" / "many-0.svg").read_text()


def test_page_before_there_are_results(publish):
    assert "Commits with results: 0; the newest is none." in publish({}, GraphSet())


def test_asvs_own_page_stays_where_asv_tachyon_is_not_installed(publish, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "asv_tachyon", None)
    assert "its scripts come from the internet" in publish({}, GraphSet())
    assert (tmp_path / "interactive.html").read_text() == "asv's own"


def test_asv_tachyon_is_the_interactive_page(publish, tmp_path):
    pytest.importorskip("asv_tachyon", reason="asv-tachyon is in the extra bench")
    assert "run <code>asv preview</code>, which needs no internet" in publish({}, GraphSet())
    shell = (tmp_path / "interactive.html").read_text()
    assert page.NEEDS_SERVER in shell  # or it would be blank where it is opened as a file
    needed = re.findall('(?:src|href)="(.*?)"', shell)
    assert len(needed) >= 2
    assert all((tmp_path / path).is_file() for path in needed)

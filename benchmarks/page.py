"""A plugin of asv: the page that `asv publish` opens with. It needs no scripts, no server and no internet.

It shows the headline, the regressions that asv found, and every benchmark as pictures: at the newest commit against its
parameters, and over all commits. Behind it, as ``interactive.html``, is asv-tachyon's page, or asv's own where asv-tachyon
is not installed.
"""

from __future__ import annotations

import itertools
import json
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from asv.publishing import OutputPublisher
from numpy.typing import NDArray

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{project}: benchmarks</title>
<style>
  body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 61rem; margin: 2rem auto; padding: 0 1rem; color: #222 }}
  h2 {{ margin: 3rem 0 .5rem }}
  h3 {{ font-size: 1rem; margin: 2rem 0 0 }}
  h3, td {{ overflow-wrap: anywhere }}
  p {{ margin: .3rem 0; color: #555 }}
  p.headline {{ font-size: 1.2rem; color: inherit }}
  figure {{ margin: .3rem 0; display: flex; flex-wrap: wrap; gap: .5rem }}
  img {{ width: 30rem; max-width: 100% }}
  td, th {{ text-align: left; vertical-align: top; padding: .1rem 1.2rem .1rem 0 }}
  li a {{ margin-left: .7rem; display: inline-block }}
  ul {{ padding: 0; list-style: none }}
</style>
<h1>{project}: benchmarks</h1>
{headline}
<p><b>Lower is better everywhere.</b> Commits with results: {count}; the newest is {newest}.
<a href="interactive.html">Interactive page</a> ({needs}).</p>
{top}
<h2>Regressions</h2>
{regressions}
<h2>All benchmarks</h2>
<ul>{contents}</ul>
{sections}
</html>
"""
HEADLINE = """<p class="headline">A solve of 1,000 views takes {:.2f} times as long as one of a single view, at the newest
commit: the iterations never see the views, only their sums. Both are timed in turn, so that what slows the machine slows
both.</p>"""
HEADLINE_BENCHMARK = "iteration.ManyPosesOverOne.track_ratio"
EMPTY = '<div id="root"></div>'  # of asv-tachyon's page, until its scripts run: browsers take them from servers only
NEEDS_SERVER = (
    '<div id="root"><p>This page needs a web server: run <code>asv preview</code> beside asv.conf.json.</p></div>'
)
MOST_NAMED = 14  # lines: more names would not fit beside a picture
STYLE = {"svg.fonttype": "none", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
COLOURS = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000"]  # for the colour-blind too
ENVIRONMENT = ("machine", "cpu", "num_cpu", "python", "numba")  # a machine's record may lack any
QUANTITIES = {"seconds": ("time", "s"), "bytes": ("memory", "B")}


class Page(OutputPublisher):
    """Written by `asv publish` after asv's own pages."""

    name = "page"

    @classmethod
    def publish(cls, conf, repo, benchmarks, graphs, revisions):
        folder = Path(conf.html_dir)
        (folder / "plots").mkdir()
        hashes = {revision: commit for commit, revision in revisions.items()}
        measured = sorted({revision for _, graph in graphs for revision, *_ in graph.get_data()})
        commits = {revision: _label(repo, hashes[revision], conf.hash_length) for revision in measured}
        sections = {}
        for name in sorted(benchmarks, key=lambda name: (_module(name) == "internals", name)):
            benchmarks[name]["less_is_better"] = True  # asv-tachyon would want what a track_ benchmark returns high
            if section := _section(folder, benchmarks[name], graphs.get_graph_group(name), commits):
                sections[name] = section
        page = PAGE.format(
            project=escape(conf.project),
            headline=_headline(graphs),
            count=len(measured),
            newest=commits[measured[-1]] if measured else "none",
            needs=_add_interactive_page(folder),
            regressions=_regressions(json.loads((folder / "regressions.json").read_text())["regressions"], commits),
            contents="\n".join(itertools.starmap(_links, itertools.groupby(sections, _module))),
            top=sections.pop(HEADLINE_BENCHMARK, ""),
            sections="\n".join(sections.values()),
        )
        (folder / "index.html").write_text(page, encoding="utf-8")


def _label(repo: Any, commit: str, length: int) -> str:
    day = datetime.fromtimestamp(repo.get_date(commit) / 1000, UTC)
    return f"{commit[:length]} of {day:%Y-%m-%d}"


def _module(name: str) -> str:
    return name.partition(".")[0]


def _links(module: str, names: Iterable[str]) -> str:
    """Return one line of the contents: the benchmarks of one module."""
    return f"<li><b>{module}</b>" + "\n".join(f'<a href="#{name}">{name[len(module) + 1 :]}</a>' for name in names)


def _headline(graphs: Any) -> str:
    """Return the sentence about the views, or nothing where they were not measured."""
    history = {
        revision: v for graph in graphs.get_graph_group(HEADLINE_BENCHMARK) for revision, v in _history(graph).items()
    }
    return HEADLINE.format(float(history[max(history)][0])) if history else ""


def _add_interactive_page(folder: Path) -> str:
    """Put it behind ours; return what it needs."""
    try:
        from asv_tachyon import cli
    except ImportError:
        needs = "its scripts come from the internet"
    else:
        (folder / "index.json").touch()  # asv-tachyon insists on it; asv writes it when all pages are done
        cli.main(["install", str(folder), "--no-backup"])
        shell = folder / "index.html"
        shell.write_text(shell.read_text(encoding="utf-8").replace(EMPTY, NEEDS_SERVER), encoding="utf-8")
        needs = "run <code>asv preview</code>, which needs no internet"
    os.replace(folder / "index.html", folder / "interactive.html")
    return needs


def _regressions(found: list[list], commits: dict[int, str]) -> str:
    """Return asv's regressions as a table, the worst first."""
    rows = []
    for name, _, environment, *_, jumps in found:
        where = escape(" ".join([name, *map(str, environment.values())]))
        for first, last, before, after in jumps:
            if first is None:  # asv's way to say that no commit lies between
                first = max(revision for revision in commits if revision < last)
            rows.append((after / before, f"<tr><td>{where}<td>{commits[first]} &rarr; {commits[last]}"))
    lines = [f"{row}<td>{ratio:.2f}" for ratio, row in sorted(rows, reverse=True)]
    return "\n".join(["<table><tr><th>Benchmark<th>Commits<th>Ratio", *lines, "</table>"] if lines else ["None found."])


def _history(graph: Any) -> dict[int, NDArray]:
    """Return by revision, where there are any, the values for all parameters; what failed or was skipped is NaN."""
    history = {revision: np.atleast_1d(np.array(values, float)) for revision, values, *_ in graph.get_data()}
    return {revision: values for revision, values in history.items() if np.isfinite(values).any()}


def _section(folder: Path, benchmark: dict, graphs: list[Any], commits: dict[int, str]) -> str:
    """Return the HTML that shows one benchmark in all its environments, or nothing where there are no results."""
    name, shown = benchmark["name"], []
    for number, graph in enumerate(graphs):
        if history := _history(graph):
            where = ", ".join(f"{key} {graph.params[key]}" for key in ENVIRONMENT if key in graph.params)
            paths = _draw(folder, f"plots/{name}-{number}", benchmark, history, commits)
            images = "\n".join(f'<img src="{path}" alt="{name}" loading="lazy">' for path in paths)
            shown.append(f"<p>{escape(where)}</p>\n<figure>{images}</figure>")
    title = name.replace(".", ".<wbr>")  # where a narrow window may break it
    return "\n".join([f'<h3 id="{name}">{title}</h3>', *shown]) if shown else ""


def _draw(folder: Path, stem: str, benchmark: dict, history: dict[int, NDArray], commits: dict[int, str]) -> list[str]:
    """Draw the newest values against a parameter, if there is one, and all over the commits; return the pictures' paths."""
    paths, unit = [f"{stem}.svg"], benchmark["unit"]
    with _picture(folder / paths[0], "all commits", unit) as axes:
        _against_commits(axes, benchmark, history, list(commits), list(commits.values()))
    if benchmark["params"]:
        newest = max(history)
        paths.insert(0, f"{stem}-newest.svg")
        with _picture(folder / paths[0], f"commit {commits[newest]}", unit) as axes:
            _against_parameter(axes, benchmark, history[newest])
    return paths


@contextmanager
def _picture(path: Path, title: str, unit: str) -> Iterator[Any]:
    """Write a picture: the axes that are to be filled."""
    from cycler import cycler
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    cycle = cycler(marker=["o", "s", "^", "D"]) * cycler(color=COLOURS)
    with rc_context({**STYLE, "axes.prop_cycle": cycle, "lines.markersize": 4}):
        figure = Figure(figsize=(4.4, 2.9), layout="constrained")
        axes = figure.subplots()
        axes.set_title(title, loc="left", fontsize=9)
        yield axes
        axes.grid(alpha=0.25)
        _fit_scale(axes, unit)
        figure.savefig(path)


def _against_parameter(axes: Any, benchmark: dict, values: NDArray) -> None:
    """Plot along the first parameter that is a number, else the last one; a series for each choice of the others."""
    names, choices = list(benchmark["param_names"]), list(benchmark["params"])
    numeric = [k for k, labels in enumerate(choices) if "'" not in "".join(labels)]
    along = numeric[0] if numeric else len(choices) - 1
    table = np.moveaxis(values.reshape([len(labels) for labels in choices]), along, 0)
    name, ticks = names.pop(along), choices.pop(along)
    places = np.array(ticks, float) if numeric else np.arange(len(ticks))
    _plot(axes, places, table.reshape(len(ticks), -1), names, choices, "-" if numeric else "none")
    if numeric:
        axes.set_xscale("log")
    slant = {} if numeric else {"rotation": 25, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(places, [label.strip("'") for label in ticks], **slant)
    axes.minorticks_off()
    axes.set_xlabel(name)
    axes.margins(x=0.1)


def _against_commits(
    axes: Any, benchmark: dict, history: dict[int, NDArray], revisions: list[int], labels: list[str]
) -> None:
    """Plot a line for each choice of all parameters; the commits with any results at all are evenly spaced."""
    places = np.array([revisions.index(revision) for revision in history])
    _plot(axes, places, np.array(list(history.values())), benchmark["param_names"], benchmark["params"], "-")
    shown = range(len(labels) - 1, -1, -math.ceil(len(labels) / 4))  # always the newest
    axes.set_xticks(shown, [labels[k].replace(" of ", "\n") for k in shown], fontsize=7)
    axes.set_xlim(-0.5, len(labels) - 0.5)
    axes.set_xlabel("commit")


def _plot(
    axes: Any, places: NDArray, table: NDArray, names: list[str], choices: list[list[str]], linestyle: str
) -> None:
    """Plot each column that was measured, named by its parameters: a line goes on over what was not measured."""
    for heights, choice in zip(table.T, itertools.product(*choices), strict=True):
        there = np.isfinite(heights)
        if there.any():
            label = ", ".join(choice).replace("'", "")
            axes.plot(places[there], heights[there], linestyle=linestyle, label=label)
    if len(axes.lines) > MOST_NAMED:
        axes.set_title(f"{len(axes.lines)} lines: see the interactive page", loc="right", fontsize=7)
    elif len(axes.lines) > 1:
        axes.legend(title=", ".join(names), title_fontsize=7, fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))


def _fit_scale(axes: Any, unit: str) -> None:
    """Start at zero, so that flat looks flat; where the values span more than a decade, take logarithms."""
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    heights = [y for line in axes.lines for y in line.get_ydata()]
    if min(heights) > 0 and max(heights) > 10 * min(heights):
        axes.set_yscale("log")
        axes.margins(y=0.1)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(0, 1.15 * max(heights))
    quantity, symbol = QUANTITIES.get(unit, (unit, ""))
    axes.set_ylabel(quantity)
    axes.yaxis.set_major_formatter(EngFormatter(symbol) if symbol else "{x:g}")

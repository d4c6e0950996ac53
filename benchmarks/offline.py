"""A plugin of asv: `asv publish` also draws every benchmark as a picture, on a page without scripts.

asv's own page loads its scripts from the internet and stays blank where there is none. Here it becomes
``interactive.html``, and ``index.html`` shows each benchmark of the newest commit against its parameters, and its course
over the commits, as SVG files beside it.
"""

from __future__ import annotations

import html
import itertools
import math
import os
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

try:
    from asv.publishing import OutputPublisher
except ImportError:  # a fresh environment holds the benchmarks, which asv looks for here too, but not asv
    OutputPublisher = object

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{project}: benchmarks</title>
<style>
  body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222 }}
  h2 {{ font-size: 1.05rem; margin: 2.5rem 0 0 }}
  p, details {{ margin: .2rem 0; color: #555 }}
  img {{ max-width: 100%; display: block }}
  li a {{ margin-left: .7rem; display: inline-block }}
  ul {{ padding: 0; list-style: none }}
</style>
<h1>{project}: benchmarks</h1>
<p>{summary} <a href="interactive.html">Interactive page</a> (its scripts come from the internet).</p>
<ul>{contents}</ul>
{sections}
</html>
"""
STYLE = {"svg.fonttype": "none", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
COLOURS = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000"]  # for the colour-blind too
QUANTITIES = {"seconds": ("time", "s"), "bytes": ("memory", "B")}


class OfflinePage(OutputPublisher):
    """Written by `asv publish` after asv's own pages."""

    name = "offline"

    @classmethod
    def publish(cls, conf, repo, benchmarks, graphs, revisions):
        folder = Path(conf.html_dir)
        os.replace(folder / "index.html", folder / "interactive.html")
        (folder / "plots").mkdir()
        hashes = {revision: commit for commit, revision in revisions.items()}
        measured = sorted({revision for _, graph in graphs for revision, *_ in graph.get_data()})
        commits = {revision: _label(repo, hashes[revision], conf.hash_length) for revision in measured}
        pictures = {}
        for name, benchmark in sorted(benchmarks.items()):
            drawn = [_picture(folder, benchmark, g, commits, k) for k, g in enumerate(graphs.get_graph_group(name))]
            if any(drawn):
                code = html.escape(benchmark["code"])
                pictures[name] = f"<details><summary>code</summary><pre>{code}</pre></details>" + "\n".join(drawn)
        newest = commits[measured[-1]].replace("\n", " of ") if measured else "none"
        page = PAGE.format(
            project=html.escape(conf.project),
            summary=f"Commits with results: {len(measured)}; the newest is {newest}.",
            contents="\n".join(_links(module, names) for module, names in itertools.groupby(pictures, _module)),
            sections="\n".join(f'<h2 id="{name}">{name}</h2>\n{shown}' for name, shown in pictures.items()),
        )
        (folder / "index.html").write_text(page, encoding="utf-8")


def _label(repo: Any, commit: str, length: int) -> str:
    """Return the commit's short hash and, on a second line, its day."""
    day = datetime.fromtimestamp(repo.get_date(commit) / 1000, timezone.utc)
    return f"{commit[:length]}\n{day:%Y-%m-%d}"


def _module(name: str) -> str:
    return name.partition(".")[0]


def _links(module: str, names: Any) -> str:
    """Return one line of the contents: the benchmarks of one module."""
    return f"<li><b>{module}</b>" + "\n".join(f'<a href="#{name}">{name[len(module) + 1 :]}</a>' for name in names)


def _picture(folder: Path, benchmark: dict, graph: Any, commits: dict[int, str], number: int) -> str:
    """Draw one benchmark in one environment; return the HTML that shows it, or nothing where there are no results."""
    history = {revision: _as_list(values) for revision, values, *_ in graph.get_data()}
    history = {revision: values for revision, values in history.items() if not all(map(math.isnan, values))}
    if not history:
        return ""
    path = f"plots/{benchmark['name']}-{number}.svg"
    _draw(benchmark, history, commits).savefig(folder / path)
    where = "{machine}: {cpu}, {num_cpu} CPUs, Python {python}".format_map(graph.params)
    return f'<p>{html.escape(where)}</p>\n<img src="{path}" alt="{benchmark["name"]}" loading="lazy">'


def _as_list(values: Any) -> list[float]:
    """Return the values of all parameters as numbers; what failed or was skipped is NaN."""
    values = values if isinstance(values, list | tuple) else [values]
    return [math.nan if value is None else value for value in values]


def _draw(benchmark: dict, history: dict[int, list[float]], commits: dict[int, str]) -> Any:
    """Return a figure: the newest values against a parameter, if there is one, and all values against the commits."""
    from cycler import cycler
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    names, choices = benchmark["param_names"], [[s.strip("'") for s in labels] for labels in benchmark["params"]]
    cycle = cycler(marker=["o", "s", "^", "D"]) * cycler(color=COLOURS)
    with rc_context({**STYLE, "axes.prop_cycle": cycle, "lines.markersize": 4}):
        figure = Figure(figsize=(10, 3.2), layout="constrained")
        *left, right = figure.subplots(1, 2 if choices else 1, squeeze=False)[0]
        for axes in left:
            newest = max(history)
            axes.set_title("commit " + commits[newest].replace("\n", " of "), loc="left", fontsize=9)
            _against_parameter(axes, choices, names, history[newest])
        right.set_title("all commits", loc="left", fontsize=9)
        _against_commits(right, choices, names, history, commits)
        for axes in (*left, right):
            axes.grid(alpha=0.25)
            _fit_scale(axes, benchmark["unit"])
    return figure


def _against_parameter(axes: Any, choices: list[list[str]], names: list[str], values: list[float]) -> None:
    """Plot along the first parameter that is a number, else the last one; a series for each choice of the others."""
    along = next((k for k, labels in enumerate(choices) if all(map(_is_number, labels))), len(choices) - 1)
    numeric = all(map(_is_number, choices[along]))
    series: dict[str, list[float]] = {}
    for labels, value in zip(itertools.product(*choices), values, strict=True):
        others = [f"{name} {label}" for k, (name, label) in enumerate(zip(names, labels, strict=True)) if k != along]
        series.setdefault(", ".join(others), []).append(value)
    ticks = [float(label) for label in choices[along]] if numeric else range(len(choices[along]))
    for label, heights in series.items():
        _plot(axes, ticks, heights, label, "-" if numeric else "none")
    if numeric and min(ticks) > 0:
        axes.set_xscale("log")
    slanted = {} if numeric or len(ticks) < 4 else {"rotation": 25, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(ticks, choices[along], **slanted)
    axes.minorticks_off()
    axes.set_xlabel(names[along])
    axes.margins(x=0.1)
    if len(axes.lines) > 1:
        axes.legend(fontsize=7)


def _against_commits(
    axes: Any,
    choices: list[list[str]],
    names: list[str],
    history: dict[int, list[float]],
    commits: dict[int, str],
) -> None:
    """Plot a line for each choice of all parameters; the commits with any results at all are evenly spaced."""
    places = {revision: k for k, revision in enumerate(commits)}
    columns = zip(*history.values(), strict=True)
    for labels, heights in zip(itertools.product(*choices), columns, strict=True):
        _plot(axes, [places[revision] for revision in history], heights, ", ".join(labels), "-")
    every = math.ceil(len(commits) / 4)
    shown = [k for k in range(len(commits)) if (len(commits) - 1 - k) % every == 0]  # always the newest
    axes.set_xticks(shown, [list(commits.values())[k] for k in shown])
    axes.set_xlim(-0.2 - 0.03 * len(commits), len(commits) - 0.8 + 0.03 * len(commits))
    axes.set_xlabel("commit")
    if len(axes.lines) > 1:
        axes.legend(title=", ".join(names), title_fontsize=7, fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))


def _plot(axes: Any, places: Sequence[float], heights: Sequence[float], label: str, linestyle: str) -> None:
    """Plot what was measured: a line goes on over what was not."""
    points = [(x, y) for x, y in zip(places, heights, strict=True) if not math.isnan(y)]
    if points:
        axes.plot(*zip(*points, strict=True), linestyle=linestyle, label=label)


def _is_number(label: str) -> bool:
    try:
        return math.isfinite(float(label))
    except ValueError:
        return False


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

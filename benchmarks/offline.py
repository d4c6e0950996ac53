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
  body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }}
  h2 {{ font-size: 1.05rem; margin: 2.5rem 0 0 }}
  p {{ margin: .2rem 0; color: #555 }}
  img {{ max-width: 100% }}
  li {{ display: inline-block; margin-right: 1rem }}
  ul {{ padding: 0 }}
</style>
<h1>{project}: benchmarks</h1>
<p>{summary} <a href="interactive.html">Interactive page</a> (its scripts come from the internet).</p>
<ul>{contents}</ul>
{sections}
</html>
"""


class OfflinePage(OutputPublisher):
    """Written by `asv publish` after asv's own pages."""

    name = "offline"

    @classmethod
    def publish(cls, conf, repo, benchmarks, graphs, revisions):
        folder = Path(conf.html_dir)
        os.replace(folder / "index.html", folder / "interactive.html")
        (folder / "plots").mkdir()
        hashes = {revision: commit[: conf.hash_length] for commit, revision in revisions.items()}
        contents, sections = [], []
        for name, benchmark in sorted(benchmarks.items()):
            group = graphs.get_graph_group(name)
            pictures = [_picture(folder, benchmark, graph, hashes, k) for k, graph in enumerate(group)]
            if any(pictures):
                contents.append(f'<li><a href="#{name}">{name}</a></li>')
                sections.append(f'<h2 id="{name}">{name}</h2>\n' + "\n".join(filter(None, pictures)))
        measured = {revision for _, graph in graphs for revision, *_ in graph.get_data()}
        newest = hashes[max(measured)] if measured else "none"
        summary = f"Commits with results: {len(measured)}; the newest is <code>{newest}</code>."
        page = PAGE.format(
            project=html.escape(conf.project), summary=summary, contents="".join(contents), sections="\n".join(sections)
        )
        (folder / "index.html").write_text(page, encoding="utf-8")


def _picture(folder: Path, benchmark: dict, graph: Any, hashes: dict[int, str], number: int) -> str:
    """Draw one benchmark in one environment; return the HTML that shows it, or nothing where there are no results."""
    history = [(revision, _as_list(values)) for revision, values, _ in graph.get_data()]
    if not history:
        return ""
    path = f"plots/{benchmark['name']}-{number}.svg"
    _draw(benchmark, history, hashes).savefig(folder / path)
    known = ("machine", "python")
    environment = ", ".join(f"{key} {graph.params[key]}" for key in known if graph.params.get(key))
    return f'<p>{html.escape(environment)}</p>\n<img src="{path}" alt="{benchmark["name"]}" loading="lazy">'


def _as_list(values: Any) -> list[float]:
    """Return the values of all parameters as numbers; what failed or was skipped is NaN."""
    values = values if isinstance(values, list | tuple) else [values]
    return [math.nan if value is None else value for value in values]


def _draw(benchmark: dict, history: list[tuple[int, list[float]]], hashes: dict[int, str]) -> Any:
    """Return a figure: the newest values against a parameter, and all values against the commits."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    choices = [[label.strip("'") for label in labels] for labels in benchmark["params"]]
    with rc_context({"svg.fonttype": "none", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(9, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        left.set_title(f"commit {hashes[history[-1][0]]}", loc="left", fontsize=9)
        _against_parameter(left, choices, benchmark["param_names"], history[-1][1])
        right.set_title("all commits", loc="left", fontsize=9)
        _against_commits(right, choices, history, hashes)
        for axes in (left, right):
            axes.set_ylabel(benchmark["unit"])
            axes.grid(alpha=0.25)
            _fit_scale(axes, benchmark["unit"])
    return figure


def _against_parameter(axes: Any, choices: list[list[str]], names: list[str], values: list[float]) -> None:
    """Plot along the first parameter that is a number, else the last one; a series for each choice of the others."""
    if not choices:
        choices, names = [[""]], [""]
    along = next((k for k, labels in enumerate(choices) if all(map(_is_number, labels))), len(choices) - 1)
    numeric = all(map(_is_number, choices[along]))
    series: dict[str, list[float]] = {}
    for labels, value in zip(itertools.product(*choices), values, strict=True):
        others = [f"{name} {label}" for k, (name, label) in enumerate(zip(names, labels, strict=True)) if k != along]
        series.setdefault(", ".join(others), []).append(value)
    ticks = [float(label) for label in choices[along]] if numeric else range(len(choices[along]))
    for label, heights in series.items():
        if not all(map(math.isnan, heights)):
            axes.plot(ticks, heights, "o-" if numeric else "o", label=label)
    if numeric and min(ticks) > 0:
        axes.set_xscale("log")
    axes.set_xticks(ticks, choices[along], rotation=0 if numeric else 30)
    axes.minorticks_off()
    axes.set_xlabel(names[along])
    if len(axes.lines) > 1:
        axes.legend(fontsize=7)


def _against_commits(
    axes: Any, choices: list[list[str]], history: list[tuple[int, list[float]]], hashes: dict[int, str]
) -> None:
    """Plot one line per choice of all parameters, commits evenly spaced."""
    columns = zip(*(values for _, values in history), strict=True)
    for labels, heights in zip(itertools.product(*choices), columns, strict=True):
        if all(map(math.isnan, heights)):
            continue
        axes.plot(range(len(history)), heights, "o-", markersize=3, label=", ".join(labels))
    every = max(1, len(history) // 6)
    shown = range(0, len(history), every)
    axes.set_xticks(shown, [hashes[history[k][0]] for k in shown])
    axes.set_xlabel("commit")
    if 1 < len(axes.lines) <= 10:
        axes.legend(fontsize=7)


def _is_number(label: str) -> bool:
    try:
        return math.isfinite(float(label))
    except ValueError:
        return False


def _fit_scale(axes: Any, unit: str) -> None:
    """Start at zero, so that flat looks flat; where the values span more than a decade, take logarithms."""
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    heights = [y for line in axes.lines for y in line.get_ydata() if math.isfinite(y)]
    if heights and min(heights) > 0 and max(heights) > 10 * min(heights):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    elif heights:
        axes.set_ylim(0, 1.15 * max(heights))
    if unit in ("seconds", "bytes"):
        axes.yaxis.set_major_formatter(EngFormatter(unit[0].replace("b", "B")))

"""Write the results of `paper`: the table in three formats, three figures, and an HTML page with the run's record.

``cells`` is always a `fastmpr.paper.cells.Cells` with all cells finished.
"""

from __future__ import annotations

import base64
import csv
import html
import json
import platform
from importlib.metadata import version
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..io.files import written_whole
from ..runtime.limits import available_workers

METHODS = {"average": "Average", "deconvolve_average": "Deconv/Average", "tv": "TV", "hessian": "Hessian (proposed)"}
PUBLISHED = {  # Table 1 of the paper, by volume and variance, in the order of METHODS
    ("centriole", 1): (10.84, 19.80, 23.14, 23.79),
    ("centriole", 5): (10.63, 18.00, 20.22, 21.10),
    ("centriole", 10): (10.50, 17.71, 20.01, 20.17),
    ("nuclear pore", 1): (8.55, 20.28, 23.72, 24.05),
    ("nuclear pore", 5): (8.33, 19.66, 21.28, 21.83),
    ("nuclear pore", 10): (8.32, 18.57, 20.84, 20.92),
}

# colours of Okabe and Ito, safe for the colour-blind
_COLOURS = {"deconvolve_average": "#D55E00", "hessian": "#0072B2"}
_SEAM = "#E69F00"
_MARKERS = {"deconvolve_average": "s", "hessian": "o"}
_PACKAGES = ("numba", "numpy", "pyfftw", "scipy", "matplotlib")


def write(out: Path, cells: Any) -> str:
    """Write all files into ``out``, and return the table as text."""
    heads, rows = table(cells)
    text = _as_text(heads, rows)
    figures = {"fig1": _figure_1(cells), "fig2": _figure_2(cells), "fig3": _figure_3(cells)}
    pictures = {name: _png(figure) for name, figure in figures.items()}
    files: dict[str, bytes] = {f"{name}.png": data for name, data in pictures.items()}
    files["table1.txt"] = text.encode()
    files["table1.csv"] = _as_csv(heads, rows).encode()
    files["table1.md"] = _as_markdown(heads, rows).encode()
    files["index.html"] = _page(cells, heads, rows, pictures).encode()
    for name, data in files.items():
        with written_whole(out / name, overwrite=True) as temporary:
            temporary.write_bytes(data)
    return text


# ---- Table 1 ------------------------------------------------------------------------------------------------


def table(cells: Any) -> tuple[list[str], list[list[str]]]:
    """Return the heads and rows of Table 1: PSNR as mean and spread over the noise draws, then the paper's figure."""
    heads = ["volume", "variance", "method", "PSNR (dB)", "spread (dB)", "lam", "paper (dB)"]
    rows = []
    for volume in cells.volumes:
        for variance in cells.plan.variances:
            published = PUBLISHED.get((volume, variance))
            for j, (method, title) in enumerate(METHODS.items()):
                value = cells.scored(volume, variance, method)
                spread = f"{np.ptp(value['psnr']):.2f}" if cells.plan.draws > 1 else ""
                lam = "" if method == "average" else f"{value['lam']:.3g}"
                theirs = f"{published[j]:.2f}" if published else ""
                mean = f"{np.mean(value['psnr']):.2f}"
                rows.append([volume, str(variance), title, mean, spread, lam, theirs])
    return heads, rows


def _as_text(heads: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[k]) for row in [heads, *rows]) for k in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if k in (0, 2) else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in [heads, *rows]
    )


def _as_csv(heads: list[str], rows: list[list[str]]) -> str:
    buffer = StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([heads, *rows])
    return buffer.getvalue()


def _as_markdown(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


# ---- figures ------------------------------------------------------------------------------------------------


def _png(figure: Any) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, dpi=180, format="png")
    return buffer.getvalue()


def _new_figure(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError('pictures need matplotlib: pip install "fastmpr[cli]"') from None
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def _figure_1(cells: Any) -> Any:
    """Draw sections of two views, the truth and every method; a method's left half is beside the truth's right half."""
    titles = ["View 1", "View 2", "Truth", *METHODS.values()]
    windows = {name: _window(truth) for name, truth in cells.volumes.items()}
    height = sum(1 + len(truth) / windows[name] for name, truth in cells.volumes.items())
    figure = _new_figure(1.55 * len(titles) + 0.6, 1.55 * height + 0.5)
    parts = figure.subfigures(len(windows), 1, squeeze=False)[:, 0]
    for part, (name, truth) in zip(parts, cells.volumes.items(), strict=True):
        part.set_facecolor("white")
        part.supylabel(name, fontsize=11)
        axes = part.subplots(2, len(titles), height_ratios=[windows[name], len(truth)])
        for column, (full, limits) in enumerate(_panels(cells, name)):
            volume = _middle(full, windows[name])
            for row, axis in enumerate((0, 1)):
                ax = axes[row, column]
                section = volume.take(volume.shape[axis] // 2, axis=axis)
                ax.imshow(section, cmap="gray", vmin=limits[0], vmax=limits[1], interpolation="nearest")
                ax.set(xticks=[], yticks=[])
                ax.spines[:].set_visible(False)
                if column > 2:
                    ax.axvline(section.shape[1] / 2 - 0.5, color=_SEAM, linewidth=0.8)
            if part is parts[0]:
                axes[0, column].set_title(titles[column], fontsize=10)
            if column > 2:
                _name_halves(axes[0, column])
        for ax, label in zip(axes[:, 0], ("xy", "xz"), strict=True):
            ax.set_ylabel(label, fontsize=10)
        _draw_scale_bar(axes[0, 2], windows[name])
    return figure


def _panels(cells: Any, name: str) -> list[tuple[NDArray, tuple[float, float]]]:
    """Return the volumes of a row of Figure 1 with their grey-scale limits, the same for all except the views."""
    truth = cells.volumes[name]
    data = cells.experiments[name].data(2, cells.plan.shown, cells.plan.draws)
    panels = [(view, tuple(np.percentile(view, [1, 99.8]))) for view in map(data.read, range(2))]
    half = truth.shape[2] // 2
    volumes = [truth]
    for method in METHODS:
        result = np.load(cells.picture(name, method))
        volumes.append(np.concatenate([result[:, :, :half], truth[:, :, half:]], axis=2))
    return panels + [(volume, (0.0, float(np.percentile(truth, 99.8)))) for volume in volumes]


def _window(truth: NDArray) -> int:
    """Return the side of the square, centred in y and x, that shows the content and a margin."""
    seen = np.argwhere(truth > 0.05 * truth.max())[:, 1:]
    reach = np.abs(seen - (np.array(truth.shape[1:]) - 1) / 2).max()
    return min(*truth.shape[1:], 2 * int(reach + 7))


def _middle(volume: NDArray, window: int) -> NDArray:
    y, x = ((n - window) // 2 for n in volume.shape[1:])
    return volume[:, y : y + window, x : x + window]


def _draw_scale_bar(ax: Any, window: int) -> None:
    ax.plot([2, 12], [window - 3, window - 3], color="white", linewidth=2.5, solid_capstyle="butt")
    ax.text(13.5, window - 3, "10 voxels", color="white", fontsize=7, va="center")


def _name_halves(ax: Any) -> None:
    for x, align, half in ((0.03, "left", "result"), (0.97, "right", "truth")):
        ax.text(x, 0.96, half, transform=ax.transAxes, color=_SEAM, fontsize=7, ha=align, va="top")


def _figure_2(cells: Any) -> Any:
    """Draw the PSNR against the number of poses."""
    figure, _ = _curves(cells, "by poses", "psnr", cells.plan.counts, "PSNR (dB)")
    return figure


def _figure_3(cells: Any) -> Any:
    """Draw the time against the number of poses."""
    figure, ax = _curves(cells, "times", "times", cells.plan.timed, "Time (s)")
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    steps = [float(f"{m}e{e}") for e in range(-9, 9) for m in (1, 2, 5)]
    ticks = [step for step in steps if low / 2 < step < high * 2]
    ax.set_yticks(ticks, [f"{step:g}" for step in ticks])
    ax.set_ylim(low / 1.3, high * 1.3)
    ax.minorticks_off()
    return figure


def _curves(cells: Any, task: str, key: str, counts: tuple[int, ...], label: str) -> tuple[Any, Any]:
    figure = _new_figure(4.8, 3.4)
    ax = figure.subplots()
    first = next(iter(cells.volumes))
    for method, colour in _COLOURS.items():
        values = cells.values[f"{first}, {method}, {task}"][key]
        ax.plot(counts, values, marker=_MARKERS[method], color=colour, label=METHODS[method])
    ax.set(xscale="log", xlabel="Number of poses", ylabel=label)
    ax.set_title(f"{first}, noise variance {cells.plan.shown}", fontsize=10)
    ax.set_xticks(counts, [str(n) for n in counts])
    ax.minorticks_off()
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25)
    ax.legend(frameon=False, fontsize=9)
    return figure, ax


# ---- the page -----------------------------------------------------------------------------------------------


def record(cells: Any) -> dict[str, Any]:
    """Return versions, parameters, seeds and times of a run."""
    settings = {name: cells.setting(name) for name in cells.volumes}
    shared = dict(next(iter(settings.values())))
    del shared["volume"]
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{package: version(package) for package in _PACKAGES},
        "threads": available_workers(),
        **shared,
        "volumes": {
            name: {"shape": volume.shape, "checksum": settings[name]["volume"]}
            for name, volume in cells.volumes.items()
        },
        "cells": cells.values,
    }


def _as_lines(record: dict[str, Any]) -> str:
    """Return a record as text, with a line per entry and per entry of a nested dict."""
    lines = []
    for name, value in record.items():
        if isinstance(value, dict):
            lines += [f"{name}:", *(f"  {key}: {json.dumps(inner)}" for key, inner in value.items())]
        else:
            lines.append(f"{name}: {json.dumps(value)}")
    return "\n".join(lines)


def _page(cells: Any, heads: list[str], rows: list[list[str]], pictures: dict[str, bytes]) -> str:
    """Return one HTML page that needs no other file."""
    first, plan = next(iter(cells.volumes)), cells.plan
    slow, fast = (
        cells.values[f"{first}, {method}, times"]["times"][-1] for method in ("deconvolve_average", "hessian")
    )
    captions = {
        "fig1": f"Figure 1. Sections through the middle of two views, the truth and the results from {plan.n_poses} views, "
        f"noise variance {plan.shown}. For every method, the left half shows its result and the right half the truth, in "
        "the same grey scale.",
        "fig2": f"Figure 2. PSNR against the number of poses: {first}, noise variance {plan.shown}, lam as in Table 1.",
        "fig3": f"Figure 3. Time against the number of poses: {first}, noise variance {plan.shown}, lam as in Table 1. "
        f"Both methods run to the same accuracy: every solve stops when its residuals are below {plan.timed_tol:g}, or "
        f"after {plan.timed_max_iter} iterations. With {plan.timed[-1]} poses, Deconv/Average takes {slow / fast:.1f} times "
        "as long as the proposed method.",
    }
    body = "".join(
        f'<figure id="{name}"><img alt="{name}" src="data:image/png;base64,{base64.b64encode(pictures[name]).decode()}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        for name, caption in captions.items()
    )
    lines = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in heads)
    draws = f"{plan.draws} noise draw" + "s" * (plan.draws > 1)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>fastmpr paper</title>'
        "<style>body{font:16px sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}img{max-width:100%}"
        "table{border-collapse:collapse}td,th{padding:.2rem .7rem;border-bottom:1px solid #ddd;text-align:right}"
        "td:nth-child(odd):nth-child(-n+3),th:nth-child(odd):nth-child(-n+3){text-align:left}"
        "tr:nth-child(4n+1) td{border-bottom-color:#888}td{font-variant-numeric:tabular-nums}"
        "figure{margin:2rem 0 0}#fig2{margin-right:2rem}"
        "#fig2,#fig3{display:inline-block;vertical-align:top;width:min(100%,34rem)}"
        "pre{background:#f6f6f6;padding:1rem;overflow:auto}</style>"
        f"<h1>The paper's table and figures, reproduced</h1><p>Table 1. PSNR: mean and spread over {draws}, {plan.n_poses} "
        f"poses; every solve stops at residuals of {plan.tol:g} or after {plan.max_iter} iterations. "
        "The paper's volumes, optics and noise normalisation are unknown, so its figures are only for comparison."
        f"</p><table><tr>{head}</tr>{lines}</table>{body}<h2>Record</h2>"
        f"<pre>{html.escape(_as_lines(record(cells)))}</pre></html>"
    )

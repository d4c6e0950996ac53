"""What `paper` writes: the table in three formats, three figures, and one HTML page with the run's record.

``cells`` is a `fastmpr.paper.Cells` whose every cell is finished.
"""

from __future__ import annotations

import base64
import html
import json
import platform
from dataclasses import asdict
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import __version__
from ._threads import available_workers
from .io.files import written_whole

METHODS = {"average": "Average", "deconvolve_average": "Deconv/Average", "tv": "TV", "hessian": "Hessian (proposed)"}
PUBLISHED = {  # Table 1 of the paper, in the order of METHODS; rows: variance 1, 5, 10
    "centriole": [(10.84, 19.80, 23.14, 23.79), (10.63, 18.00, 20.22, 21.10), (10.50, 17.71, 20.01, 20.17)],
    "nuclear pore": [(8.55, 20.28, 23.72, 24.05), (8.33, 19.66, 21.28, 21.83), (8.32, 18.57, 20.84, 20.92)],
}

_COLOURS = {"deconvolve_average": "#D55E00", "hessian": "#0072B2"}  # of Okabe and Ito: safe for the colour-blind
_MARKERS = {"deconvolve_average": "s", "hessian": "o"}
_PACKAGES = ("numba", "numpy", "pyfftw", "scipy", "matplotlib")


def write(out: Path, cells: Any) -> str:
    """Write everything into ``out`` and return the table as text."""
    heads, rows = table(cells)
    text = _as_text(heads, rows)
    figures = {"fig1": _figure_1(cells), "fig2": _figure_2(cells), "fig3": _figure_3(cells)}
    pictures = {name: _png(figure) for name, figure in figures.items()}
    files: dict[str, bytes] = {f"{name}.png": data for name, data in pictures.items()}
    files["table1.txt"] = text.encode()
    files["table1.csv"] = "".join(",".join(row) + "\n" for row in [heads, *rows]).encode()
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
        for i, variance in enumerate(cells.plan.variances):
            for j, (method, title) in enumerate(METHODS.items()):
                value = cells.values[cells.scored_name(volume, variance, method)]
                spread = max(value["psnr"]) - min(value["psnr"])
                lam = "" if method == "average" else f"{value['lam']:.3g}"
                published = f"{PUBLISHED[volume][i][j]:.2f}" if volume in PUBLISHED else ""
                mean = f"{np.mean(value['psnr']):.2f}"
                rows.append([volume, str(variance), title, mean, f"{spread:.2f}", lam, published])
    return heads, rows


def _as_text(heads: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[k]) for row in [heads, *rows]) for k in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if k in (0, 2) else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in [heads, *rows]
    )


def _as_markdown(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


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
    """Sections of two views, the truth and every method; a method's left half beside the truth's right half."""
    titles = ["view 1", "view 2", "truth", *METHODS.values()]
    windows = {name: _window(truth) for name, truth in cells.volumes.items()}
    height = sum(1 + len(truth) / windows[name] for name, truth in cells.volumes.items())
    figure = _new_figure(1.55 * len(titles) + 0.6, 1.55 * height + 0.5)
    parts = figure.subfigures(len(cells.volumes), 1, squeeze=False)[:, 0]
    for k, (part, (name, truth)) in enumerate(zip(parts, cells.volumes.items(), strict=True)):
        part.set_facecolor("white")
        axes = part.subplots(2, len(titles), height_ratios=[windows[name], len(truth)])
        views, _ = cells.experiments[name].views(2, cells.plan.shown, cells.plan.draws)
        panels = [(view, tuple(np.percentile(view, [1, 99.8]))) for view in views]
        top = float(np.percentile(truth, 99.8))
        panels.append((truth, (0.0, top)))
        for method in METHODS:
            panels.append((_halves(np.load(cells.picture(name, method)), truth), (0.0, top)))
        for column, (full, limits) in enumerate(panels):
            volume = _middle(full, windows[name])
            for row, axis in enumerate((0, 1)):
                ax = axes[row, column]
                section = volume.take(volume.shape[axis] // 2, axis=axis)
                ax.imshow(section, cmap="gray", vmin=limits[0], vmax=limits[1], interpolation="nearest")
                ax.set(xticks=[], yticks=[])
                ax.spines[:].set_visible(False)
                if column > 2:
                    ax.axvline(section.shape[1] / 2 - 0.5, color="#E69F00", linewidth=0.8)
            if k == 0:
                axes[0, column].set_title(titles[column], fontsize=9)
        for row, label in enumerate(("xy", "xz")):
            axes[row, 0].set_ylabel(f"{name}\n{label}" if row == 0 else label, fontsize=9)
        _draw_scale_bar(axes[0, 2], windows[name])
    return figure


def _window(truth: NDArray) -> int:
    """Return the side of the square, centred in y and x, that shows what is there and a margin."""
    seen = np.argwhere(truth > 0.05 * truth.max())[:, 1:]
    reach = np.abs(seen - (np.array(truth.shape[1:]) - 1) / 2).max()
    return min(*truth.shape[1:], 2 * int(reach + 7))


def _middle(volume: NDArray, window: int) -> NDArray:
    y, x = ((n - window) // 2 for n in volume.shape[1:])
    return volume[:, y : y + window, x : x + window]


def _draw_scale_bar(ax: Any, window: int) -> None:
    ax.plot([2, 12], [window - 3, window - 3], color="white", linewidth=2.5, solid_capstyle="butt")
    ax.text(7, window - 5, "10 voxels", color="white", fontsize=7, ha="center")


def _halves(volume: NDArray, truth: NDArray) -> NDArray:
    """Return a volume's left half, scaled to the truth by least squares, beside the truth's right half."""
    scale = np.vdot(volume, truth) / max(np.vdot(volume, volume), 1e-30)
    half = truth.shape[2] // 2
    return np.concatenate([scale * volume[:, :, :half], truth[:, :, half:]], axis=2)


def _figure_2(cells: Any) -> Any:
    """PSNR against the number of poses."""
    counts = cells.plan.counts
    return _curves(cells, "by poses", "psnr", counts, "PSNR (dB)", logarithmic=False)


def _figure_3(cells: Any) -> Any:
    """Time against the number of poses."""
    return _curves(cells, "times", "times", cells.plan.timed, "time (s)", logarithmic=True)


def _curves(cells: Any, cell: str, key: str, counts: tuple[int, ...], label: str, logarithmic: bool) -> Any:
    figure = _new_figure(4.8, 3.4)
    ax = figure.subplots()
    first = next(iter(cells.volumes))
    for method, colour in _COLOURS.items():
        values = cells.values[f"{first}, {method}, {cell}"][key]
        ax.plot(counts, values, marker=_MARKERS[method], color=colour, label=METHODS[method])
    ax.set(xscale="log", xlabel="number of poses", ylabel=label)
    if logarithmic:
        ends = [line.get_ydata() for line in ax.lines]
        low, high = np.floor(np.log10(np.min(ends))), np.ceil(np.log10(np.max(ends)))
        ax.set(yscale="log", ylim=(10**low, 10**high))
        ax.yaxis.set_major_formatter("{x:g}")
    ax.set_xticks(counts, [str(n) for n in counts])
    ax.minorticks_off()
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25)
    ax.legend(frameon=False, fontsize=9)
    return figure


# ---- the page -----------------------------------------------------------------------------------------------


def record(cells: Any) -> dict[str, Any]:
    """Return versions, parameters, seeds and times of a run."""
    return {
        "fastmpr": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{package: version(package) for package in _PACKAGES},
        "threads": available_workers(),
        "plan": asdict(cells.plan),
        "volumes": {name: list(volume.shape) for name, volume in cells.volumes.items()},
        "psf and seed": cells.setting(next(iter(cells.volumes))),
        "cells": cells.values,
    }


def _page(cells: Any, heads: list[str], rows: list[list[str]], pictures: dict[str, bytes]) -> str:
    """Return one page that needs no other file."""
    first, n = next(iter(cells.volumes)), cells.plan.n_poses
    captions = {
        "fig1": f"Figure 1. Views and results, {n} poses, noise variance {cells.plan.shown}. For every method the left "
        "half is its result, the right half the truth.",
        "fig2": f"Figure 2. PSNR against the number of poses: {first}, noise variance {cells.plan.shown}, "
        "lam as in Table 1.",
        "fig3": f"Figure 3. Time against the number of poses: {first}, noise variance {cells.plan.shown}.",
    }
    body = "".join(
        f'<figure><img alt="{name}" src="data:image/png;base64,{base64.b64encode(pictures[name]).decode()}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        for name, caption in captions.items()
    )
    lines = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in heads)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>fastmpr paper</title>'
        "<style>body{font:16px sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}img{max-width:100%}"
        "table{border-collapse:collapse}td,th{padding:.2rem .7rem;border-bottom:1px solid #ddd;text-align:left}"
        "pre{background:#f6f6f6;padding:1rem;overflow:auto}</style>"
        f"<h1>The paper's table and figures again</h1><p>Table 1. PSNR over {cells.plan.draws} noise draw(s), {n} poses. "
        "The volumes, optics and noise normalisation of the paper are not known: its figures are for comparison only."
        f"</p><table><tr>{head}</tr>{lines}</table>{body}<h2>Record</h2>"
        f"<pre>{html.escape(json.dumps(record(cells), indent=1))}</pre></html>"
    )

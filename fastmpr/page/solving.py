"""How the volume was computed, and what was assumed."""

from __future__ import annotations

from ..plot.results import figure_of_convergence
from .layout import lines, long, section, table
from .markup import Html, tag
from .pictures import picture
from .run import Run, counted, number

_LOGGED = 60  # lines


def convergence(run: Run) -> Html:
    """Return lam, and how the solver came to its end."""
    result = run.result
    chosen = {"auto": "chosen by the program"}.get(run.told("options", "lam", otherwise="auto"), "as given")
    rows = [
        ["lam", f"{number(result.lam)}, {chosen}"],
        ["Prior", run.told("options", "regularizer", otherwise="hessian")],
        ["Iterations", f"{result.nit:,}"],
        ["End", long(result.message)],
    ]
    words = [
        tag(
            "p",
            "The volume is a compromise: it agrees with the views, and is as smooth as that allows. lam weighs the views "
            "against smoothness: a larger one shows more detail, and more noise. Its value depends on the intensities.",
        ),
        table(None, [], rows),
    ]
    if not result.history:
        return section("How it was computed", words)
    alt = f"Residuals of the solver against its iterations. {result.message}"
    caption = "How far the volume is from the solution, on a logarithmic scale; both lines should fall."
    return section("How it was computed", words, [picture(figure_of_convergence(result), alt, caption)])


def assumed(run: Run) -> Html:
    """Return what was assumed, and all that was logged."""
    taken = run.told("assumed", otherwise=[])
    logged = [text for text in run.told("log", otherwise=[]) if text not in taken]
    words = [lines(taken) if taken else tag("p", "The record tells of no assumption.")]
    if logged:
        title = f"What else the program said: {counted(len(logged), 'line')}"
        words.append(tag("details", tag("summary", title), lines(logged, _LOGGED)))
    return section("What was assumed", words)

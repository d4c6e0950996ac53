"""The page of a run: one HTML file that tells a biologist what was done, what the numbers mean and what is doubtful.

    whole       `write`: the file, and the order of its parts
    run         what the parts tell of, and how lengths and numbers are said
    doubts      the warnings, and the few numbers that come first
    volume      sections and projections
    sharpness   resolution and FSC, local resolution, error bars
    directions  of the views, and the resolution along each
    sizes       profiles, and the diameter, width and height of a ring or barrel
    views       scores, outliers
    solving     lam, convergence, what was assumed
    origin      files, settings, versions, how to run it again
    layout      sections, tables, lists
    pictures    figures of `plot` as images within the page
    markup      HTML from text, escaped
    style       how it looks: wide, narrow, dark, printed

The page holds no script and asks for nothing from elsewhere. A new part is a function of a `Run` in one of these files, and
its place in the list in `whole`.
"""

from .whole import write

__all__ = ["write"]

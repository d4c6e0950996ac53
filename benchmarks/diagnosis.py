"""How often `fastmpr.diagnose` names the mistake that was made, and one that was not.

    FASTMPR_DATA=DATA python -m benchmarks.diagnosis [part ...]

Parts: single, right, imprecise, pairs, centriole, widefield, anisotropic, time; all by default. s is the noise over the
brightest voxel of the views without. With the folder of shared data at ``../shared/data`` or where ``FASTMPR_DATA`` says,
its ribosome and its centrioles are among the particles.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections import Counter
from collections.abc import Iterable

import fastmpr
from fastmpr import Dataset

from .mistakes import PARTICLES, mistakes, views_of


def tell(counts: Counter, what: str, data: Dataset, cure: str) -> None:
    """Count whether the right cure comes first, is tied with the first, and is named; print what is not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        found = fastmpr.diagnose(data)
        spent = time.perf_counter() - start
    first, named = found[0], next((one for one in found if one.named), None)
    leads = cure in (first.name, *first.ties)
    is_named = named is not None and cure in (named.name, *named.ties)
    counts.update(all=1, first=leads, named=is_named, seconds=spent)
    if not (leads and is_named):
        right = next((one for one in found if one.name == cure), None)
        behind = "" if right is None else f"; {cure} {right.misfit:.4f}"
        said = "none" if named is None else f"{named.name} {named.margin:.4f}"
        print(f"    {what}: first {first.name} {first.misfit:.4f}{behind}; named {said}", flush=True)


def single(counts: Iterable[int] = (12, 100), noises: Iterable[float] = (0.03, 0.2), seed: int = 1) -> None:
    """Make every mistake with every particle."""
    print(
        "| particle | N | s | mistakes | right cure first or tied | named | s each |\n|---|---:|---:|---:|---:|---:|---:|"
    )
    for name in PARTICLES:
        for count in counts:
            for noise in noises:
                tally: Counter = Counter()
                for what, data, cure in mistakes(views_of(name, noise, count, seed=seed)):
                    tell(tally, what, data, cure)
                row = [
                    name,
                    count,
                    noise,
                    tally["all"],
                    tally["first"],
                    tally["named"],
                    f"{tally['seconds'] / tally['all']:.1f}",
                ]
                print("| " + " | ".join(map(str, row)) + " |", flush=True)


PARTS = {"single": single}


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.diagnosis", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS))
    for part in parser.parse_args().parts or PARTS:
        PARTS[part]()


if __name__ == "__main__":
    main()

"""What --assess does: tell how good the volume is, and write what a figure needs."""

from __future__ import annotations

import argparse
import csv
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import fastmpr

from ..io.files import check_writable, written_whole
from ..io.formats import check_output
from ._arguments import not_negative_count
from ._ending import Ending
from ._records import beside, stem
from ._words import check_extras, complain, say

_THRESHOLDS = 0.143, 0.5


def add_assess(command: Any) -> None:
    """Add --assess."""
    text = (
        "estimate how sharp the volume is, from two independent halves of the views: OUT.json, OUT.fsc.csv; "
        "'fastmpr assess' can do more"
    )
    command.add_argument("--assess", action="store_true", help=text)
    command.set_defaults(bootstrap=0, local=False, profiles=False, save_halves=False)


def add_more(command: Any) -> None:
    """Add what `fastmpr assess` can do beside that."""
    command.set_defaults(assess=True)
    text = (
        "draw the views anew N times, which tells the standard error of each voxel, OUT.deviation; 50 tell it to a tenth; "
        "needs eight views, seen whole (default: %(default)s)"
    )
    command.add_argument("--bootstrap", type=not_negative_count, default=0, metavar="N", help=text)
    text = (
        "also write OUT.profiles.csv and .png: profiles about the axis of symmetry, or z; a ring's diameter, a height"
    )
    command.add_argument("--profiles", action="store_true", help=text)
    text = "also write OUT.local: the resolution at each voxel, 0 outside of the particle"
    command.add_argument("--local", action="store_true", help=text)
    text = "also write the volume and the sums of each half: OUT.half-1, OUT.half-1.npz, ..."
    command.add_argument("--save-halves", action="store_true", help=text)


def check_assessed(args: argparse.Namespace) -> None:
    """Raise an error now if what is written at the end could not be."""
    if args.assess:
        check_writable(_curves(args), args.overwrite)
        for path in _volumes(args):
            check_output(path, args.overwrite)
        for path in [*_sums(args), *_profiles(args)]:
            check_writable(path, args.overwrite)
        check_extras(*(["matplotlib"] if args.profiles else []))


def assessed(
    args: argparse.Namespace, data: fastmpr.Dataset, options: dict[str, Any]
) -> tuple[fastmpr.Result, fastmpr.Quality | None]:
    """Return the volume and how good it is; the volume alone if the call ends before that is told."""
    try:
        quality = fastmpr.assess(data, bootstrap=args.bootstrap, profiles=args.profiles, local=args.local, **options)
    except fastmpr.Cancelled as cut:
        if cut.result is None:
            raise
        return cut.result, None
    return quality.result, quality


def is_assessed(args: argparse.Namespace, quality: fastmpr.Quality | None, ending: Ending) -> bool:
    """Return whether all that was asked for is known; say so if it is not."""
    if not args.assess:
        return True
    if quality is None:
        complain("ended before the resolution of the volume was estimated", "warning")
        return False
    drawn = 0 if quality.replicates is None else len(quality.replicates)
    return drawn >= args.bootstrap or not ending.has_come


def write_assessed(args: argparse.Namespace, quality: fastmpr.Quality | None, voxel: Any) -> dict[str, Any] | None:
    """Write the curves, and the volumes and sums that are asked for; return what the record tells."""
    if quality is None:
        return None
    _write_curves(_curves(args), quality, args.overwrite)
    volumes = [*(quality.half_volumes if args.save_halves else [])]
    volumes += [] if quality.local is None else [np.nan_to_num(quality.local)]
    volumes += [quality.deviation] if args.bootstrap and quality.deviation is not None else []
    for path, volume in zip(_volumes(args), volumes, strict=False):
        fastmpr.io.write(path, volume, voxel, args.overwrite)
    for path, sums in zip(_sums(args), quality.half_sums, strict=False):
        sums.save(path)
    if quality.profiles is not None:
        table, picture = _profiles(args)
        quality.profiles.write(table, args.overwrite)
        fastmpr.plot.profiles(quality.profiles, picture, args.overwrite)
    return _told(quality)


def say_assessed(args: argparse.Namespace, quality: fastmpr.Quality | None, unit: str) -> None:
    """Say how good the volume is, if that was asked for."""
    if quality is None:
        return
    sign = "" if quality.resolution_reached else "at most "
    say(
        args,
        f"resolution {sign}{quality.resolution:.3g} {unit}, estimated from two independent halves ({_curves(args)})",
    )
    say(args, f"along the worst direction the period is {quality.cones.ratio:.2f} times that along the best")
    for name, one in ({} if quality.profiles is None else quality.profiles.measures).items():
        say(args, f"{name} {one}")


def _told(quality: fastmpr.Quality) -> dict[str, Any]:
    cones, coverage, halves = quality.cones, quality.coverage, quality.halves
    sizes = None if quality.profiles is None else {name: asdict(one) for name, one in quality.profiles.measures.items()}
    crossings = {str(one): halves.crossing(one) for one in _THRESHOLDS}
    return {
        "resolution": quality.resolution,
        "resolution_reached": quality.resolution_reached,
        "halves": {name: None if found is None else 1 / found for name, found in crossings.items()},
        "directions": {
            "half_angle": cones.half_angle,
            "ratio": cones.ratio,
            "worst_axis": cones.axes[int(np.argmax(cones.resolution))],
            "along_zyx": cones.resolution[:3],
        },
        "coverage": {name: getattr(coverage, name) for name in ("filled", "smallest", "worst_axis")},
        "sizes": sizes,
        "replicates": 0 if quality.replicates is None else len(quality.replicates),
        "seconds": quality.seconds,
    }


def _write_curves(path: Path, quality: fastmpr.Quality, overwrite: bool) -> None:
    """Write the told correlation and that of the halves, shell by shell."""
    curve, halves = quality.curve, quality.halves.correlation
    columns = curve.frequency, curve.correlation, np.asarray(curve.error), halves, quality.cones.share
    with written_whole(path, overwrite) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["frequency", "with_truth_estimated", "standard_error", "halves", "directions_above_0.5"])
        writer.writerows([f"{number:.6g}" for number in row] for row in zip(*columns, strict=True))


def _curves(args: argparse.Namespace) -> Path:
    return beside(Path(args.output), ".fsc.csv")


def _volumes(args: argparse.Namespace) -> list[Path]:
    """Return where the halves and the deviation go, in the format of the output."""
    output = Path(args.output)
    suffix = output.name[len(stem(output)) :]
    names = ["half-1", "half-2"] if args.save_halves else []
    names += ["local"] if args.local else []
    names += ["deviation"] if args.bootstrap else []
    return [beside(output, f".{name}{suffix}") for name in names]


def _sums(args: argparse.Namespace) -> list[Path]:
    return [beside(Path(args.output), f".half-{k}.npz") for k in (1, 2)] if args.save_halves else []


def _profiles(args: argparse.Namespace) -> list[Path]:
    return [beside(Path(args.output), f".profiles.{suffix}") for suffix in ("csv", "png")] if args.profiles else []

"""Run a module of SPFluo with fastmpr's functions: ``python -m fastmpr.compat.spfluo -m spfluo.refinement ...``."""

from __future__ import annotations

import argparse
import runpy
import sys

from ...regularizers import KNOWN
from .patching import patch


def parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Parse the arguments up to the module's name; the module's own arguments are passed on as they are."""
    parser = argparse.ArgumentParser(
        prog="python -m fastmpr.compat.spfluo",
        description="Run a module of SPFluo, as python -m does, with fastmpr's reconstruction and pose search.",
        epilog="example: python -m fastmpr.compat.spfluo -m spfluo.refinement --particles_dir particles --psf_path psf.tiff "
        "--guessed_poses_path poses.csv --steps '(1000,20)' 5 --ranges 0 10",
    )
    parser.add_argument(
        "--regularizer", choices=list(KNOWN), help="use fastmpr.reconstruct with this regularizer, which chooses lam"
    )
    parser.add_argument("-m", dest="module", metavar="MODULE ...", required=True, help="the module, and its arguments")
    end = arguments.index("-m") + 2 if "-m" in arguments else len(arguments)
    return parser.parse_args(arguments[:end]), arguments[end:]


def main() -> None:
    """Patch SPFluo, then run the module."""
    own, others = parse(sys.argv[1:])
    try:
        patched = patch(own.regularizer)
    except ImportError as error:
        raise SystemExit(f"python -m fastmpr.compat.spfluo: error: {error}") from None
    with patched:
        sys.argv = ["-m", *others]  # runpy replaces the first by the module's file
        runpy.run_module(own.module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

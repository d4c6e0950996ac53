"""How good a guest fastmpr is in other programs: what was asked, and what is reached, line by line in Markdown.

    python -m benchmarks.reports.guest [part ...]

Each part runs in a process of its own. The exit code is not 0 if a promise is not kept: other bits, threads left behind,
children that hang, memory that grows. Times and ratios depend on the machine, which must have nothing else to do: where
they miss what was asked, the line says so.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from .forking import forks
from .lasting import bytes_by_threads, memory
from .load import ROOT
from .sharing import concurrent, processes, throughput
from .stopping import interrupts

PARTS = {
    "concurrent": concurrent,
    "throughput": throughput,
    "memory": memory,
    "interrupts": interrupts,
    "forks": forks,
    "processes": processes,
    "bytes": bytes_by_threads,
}


def run(name: str, share: float) -> bool:
    """Run a part here, print its lines, and return whether all promises were kept."""
    kept = True
    for line in PARTS[name](share):
        print(line, flush=True)
        kept &= line.kept or not line.promise
    return kept


def main() -> None:
    """Run parts, each in a process of its own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reports.guest", description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)} (default all)")
    parser.add_argument("--share", type=float, default=1.0, help="of the counts of calls, for a quick look (default 1)")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"found {', '.join(sorted(unknown))}, need any of {', '.join(PARTS)}")
    if arguments.here:
        sys.exit(not run(*arguments.parts, arguments.share))
    print("| | asked | reached | kept |", "|---|---|---|---|", sep="\n", flush=True)
    command = [sys.executable, "-m", "benchmarks.reports.guest", "--here", "--share", str(arguments.share)]
    sys.exit(max(subprocess.run([*command, name], cwd=ROOT).returncode != 0 for name in arguments.parts or PARTS))


if __name__ == "__main__":
    main()

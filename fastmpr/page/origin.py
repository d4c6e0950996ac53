"""Where the volume comes from: files, settings, versions, and the command that makes it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from .._version import __version__
from .layout import long, section, shortened, table
from .markup import Html, tag
from .run import Run, number, sides, voxels

_FEW = 3  # particles that are named
_FILES = 6  # that are listed with their hashes
_WORDS, _LETTERS = 40, 4000  # of a command that are shown
_DIGITS = 12  # of a hash that are shown
_NAME = 200  # letters
_ORIGINS = {"given": "as given", "file": "from the file", "particles": "that of the particles"}
_SETTINGS = {
    "symmetry": "Symmetry",
    "symmetry_axis": "Axis of symmetry (z, y, x)",
    "symmetry_centre": "Centre of symmetry (z, y, x)",
    "channel": "Channel",
    "frame": "Frame",
    "scene": "Scene",
    "seen": "What was seen",
    "outside": "Beyond the images",
    "radius": "Radius of the particle",
    "background": "Background",
    "gain": "Gain",
}


def inputs(run: Run) -> Html:
    """Return what went in: files with their voxels, settings, hashes."""
    if not run.told("input") and not run.told("psf"):
        return section("What went in", [tag("p", "There is no record of the files.", class_="missing")])
    files = table("Files (all sizes z, y, x)", [], list(_files(run)))
    given = {title: run.told("input", name) for name, title in _SETTINGS.items()}
    settings = table("Settings", [], [[title, _setting(value)] for title, value in given.items() if value is not None])
    return section("What went in", [tag("div", files, settings, _hashes(run), class_="columns")])


def again(run: Run) -> Html:
    """Return how to make the volume again."""
    command = run.told("command")
    words: list[Any] = [tag("p", "There is no record of the command.", class_="missing")]
    if command:
        words = [
            tag("p", "This command made it:"),
            tag("pre", shown_command(["fastmpr", *map(str, command)])),
            tag("p", f"It ran in {shortened(run.told('folder', otherwise='a folder that is not recorded'), _NAME)}."),
            tag("p", "This makes it again, with as many threads, and refuses files that have changed:"),
            tag("pre", shown_command(["fastmpr", str(command[0]), "--again", str(run.beside), "-o", "again.ome.tif"])),
        ]
    versions = run.told("versions", otherwise={"fastmpr": __version__})
    rows = [[str(name), str(version)] for name, version in versions.items()]
    rows += [["threads", number(run.told("threads"))]] if run.told("threads") else []
    return section("To run it again", [tag("div", tag("div", words), table("Versions", [], rows), class_="columns")])


def footer(run: Run) -> Html:
    """Return the last line."""
    where = f" All numbers are in {run.beside.name} beside this page." if run.told("command") else ""
    return tag("footer", tag("p", f"Written by fastmpr {__version__}.{where} Nothing here comes from the internet."))


def shown_command(words: Sequence[str]) -> str:
    """Return a command as one types it; of a long one the beginning, and how much more there is."""
    left = len(words) - _WORDS
    text = shortened(shlex.join(words[:_WORDS]), _LETTERS)
    return f"{text} … and {left:,} more words, which are in the record" if left > 0 else text


def _files(run: Run) -> Iterator[list[Any]]:
    """Yield a row for the particles, the PSF, the poses and the volume."""
    particles = [str(one) for one in run.told("input", "particles", otherwise=[])]
    count, poses = run.told("input", "count"), run.told("input", "poses")
    yield ["Particles", [*_names(particles), _size(run, "input", "" if count is None else f"{count:,} of ")]]
    yield ["PSF", [*_names([run.told("psf", "file")]), _size(run, "psf")]]
    yield ["Poses", _names([poses]) if poses else long("none: found from the particles")]
    yield ["Volume", [*_names([run.told("output", "file")]), _size(run, "output")]]


def _names(paths: Sequence[Any]) -> list[Html]:
    """Return names of files, a line each; of many the first, and how many more there are."""
    shown = [tag("div", tag("code", shortened(path, _NAME))) for path in paths[:_FEW] if path is not None]
    return [*shown, *([tag("div", f"and {len(paths) - _FEW:,} more")] if len(paths) > _FEW else [])]


def _size(run: Run, which: str, count: str = "") -> Html:
    """Return the voxels of an image, their size, and where that comes from."""
    shape, size, origin = (run.told(which, name) for name in ("shape", "voxel_size", "voxel_size_from"))
    whence = f", {_ORIGINS.get(origin, origin)}" if size and origin else ""
    return tag("div", long(f"{count}{sides(shape)} voxels of {voxels(size)}{whence}"))


def _setting(value: Any) -> str:
    return ", ".join(map(number, value)) if isinstance(value, list | tuple) else shortened(number(value), _NAME)


def _hashes(run: Run) -> Html | None:
    """Return the hashes of the inputs: those of the PSF and poses first, of the particles a few."""
    hashes = run.told("inputs")
    if not hashes:
        return None
    first = {run.told("psf", "file"), run.told("input", "poses")}
    names = sorted(hashes, key=lambda name: name not in first)
    rows = [[long(shortened(name, _NAME)), str(hashes[name])[:_DIGITS]] for name in names[:_FILES]]
    if len(names) > _FILES:
        rows.append([long(f"and {len(names) - _FILES:,} more"), long("in the record")])
    return table(f"Hashes of what was read (first {_DIGITS} letters of each)", [], rows)

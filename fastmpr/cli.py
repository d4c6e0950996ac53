"""The command line: ``fastmpr demo | simulate | reconstruct | paper | info``."""

from __future__ import annotations

import argparse
import logging
import math
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from . import __version__, phantom, plot, psf
from ._validation import Vector
from .io import mrc, tiff
from .io.files import check_folder_writable, check_writable, folder_written_whole
from .io.particles import ParticleFolder, natural_key, open_particles
from .poses import Poses

_ZYX = ("Z", "Y", "X")
_PHANTOMS = {"centriole": phantom.centriole, "nuclear_pore": phantom.nuclear_pore}

_SIMULATED = ("particles", "poses.csv", "psf.tiff", "truth.tiff")

_DEMO_VOXEL = 0.0125  # micrometres
_DEMO_SHAPE = 56
_DEMO_PSF_SIGMA = (0.08, 0.02, 0.02)  # micrometres: four times as long along the optical axis as across it
_DEMO_NOISE = 0.05  # of the brightest voxel of the truth
_DEMO_FILES = ("truth.ome.tif", "view.ome.tif", "average.ome.tif", "reconstruction.ome.tif", "sections.png")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the program's name; those of the process by default.

    Returns
    -------
    int
        0, or 2 after one line on stderr where the input is bad, or 130 after Ctrl-C.
    """
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it logs of a broken file, our error says
    try:
        args = _parser().parse_args(argv)
        args.run(args)
    except KeyboardInterrupt:
        print("fastmpr: interrupted", file=sys.stderr)
        return 130
    except MemoryError as error:
        return _fail(f"not enough memory ({error})")
    except (ValueError, TypeError, OSError, ImportError) as error:
        return _fail(str(error))
    return 0


def _fail(message: str) -> int:
    print("fastmpr: error:", " ".join(message.split()), file=sys.stderr)
    return 2


# ---- the commands -----------------------------------------------------------------------------------------


def _demo(args: argparse.Namespace) -> None:
    from .baselines import average
    from .metrics import psnr
    from .simulate import simulate

    _check_extras("tifffile", "matplotlib")
    check_folder_writable(args.out, _DEMO_FILES, overwrite=True)
    rng = np.random.default_rng(args.seed)
    truth = phantom.centriole(_DEMO_SHAPE, voxel_size=_DEMO_VOXEL)
    h = psf.gaussian(_DEMO_SHAPE, sigma=_DEMO_PSF_SIGMA, voxel_size=_DEMO_VOXEL)
    poses = Poses.random(args.poses, max_translation=2 * _DEMO_VOXEL, rng=rng)
    _say(args, f"simulating {len(poses)} views of a centriole ...")
    noise_sigma = _DEMO_NOISE * float(truth.max())
    views = simulate(truth, h, poses, noise_sigma=noise_sigma, voxel_size=_DEMO_VOXEL, rng=rng)

    start = time.perf_counter()
    mean = average(views, poses, voxel_size=_DEMO_VOXEL)
    between = time.perf_counter()
    result = _run_reconstruct(args, views, h, poses, voxel_size=_DEMO_VOXEL)
    end = time.perf_counter()

    volumes = {"truth": truth, "one raw view": views[0], "average": mean, "reconstruction": result.x}
    with folder_written_whole(args.out, _DEMO_FILES, overwrite=True) as folder:
        for name, volume in zip(_DEMO_FILES[:4], volumes.values(), strict=True):
            tiff.write(folder / name, volume, _DEMO_VOXEL)
        plot.sections(volumes, _DEMO_VOXEL, folder / _DEMO_FILES[4])

    _say(args, f"\n{'':16}{'PSNR (dB)':>10}{'time (s)':>10}")
    _say(args, f"{'average':16}{psnr(mean, truth):10.2f}{between - start:10.2f}")
    _say(args, f"{'reconstruction':16}{psnr(result.x, truth):10.2f}{end - between:10.2f}")
    _say(args, f"\nThe files are in {Path(args.out).resolve()}:\n  " + "\n  ".join(_DEMO_FILES))


def _simulate(args: argparse.Namespace) -> None:
    from .simulate import simulate

    check_folder_writable(args.out, _SIMULATED, args.overwrite)
    truth, voxel_size = _truth(args)
    unit = voxel_size or (1.0, 1.0, 1.0)
    h, psf_voxel_size = _simulation_psf(args, voxel_size)

    rng = np.random.default_rng(args.seed)
    # translations are in voxels here, as in the CSV
    poses = Poses.random(args.poses, max_translation=args.max_translation, rng=rng)
    digits = max(3, len(str(len(poses) - 1)))
    names = [f"particles/{i:0{digits}}.tiff" for i in range(len(poses))]
    poses = Poses(poses.rotation, poses.translation, names)

    with folder_written_whole(args.out, _SIMULATED, args.overwrite) as folder:
        (folder / "particles").mkdir()
        with _progress(args, "views", len(poses)) as tick:
            for name, pose in zip(names, _in_unit(poses, unit), strict=True):
                view = simulate(
                    truth,
                    h,
                    pose,
                    noise_sigma=args.noise * float(truth.max()),
                    voxel_size=unit,
                    psf_voxel_size=psf_voxel_size,
                    rng=rng,
                )
                tiff.write(folder / name, view[0], voxel_size)
                tick()
        poses.write(folder / "poses.csv")
        tiff.write(folder / "psf.tiff", h, psf_voxel_size)
        tiff.write(folder / "truth.tiff", truth, voxel_size)
    _say(args, f"{args.out}: {len(poses)} particles of {_size(view[0].shape)} voxels")


def _reconstruct(args: argparse.Namespace) -> None:
    if Path(args.output).suffix.lower() not in (".tif", ".tiff"):
        raise ValueError(f"{args.output}: found the suffix {Path(args.output).suffix!r}, need .tif or .tiff")
    check_writable(args.output, args.overwrite)
    particles = open_particles(args.particles)
    poses = _matched_poses(args.poses, particles)
    h, psf_file_voxel = tiff.read(args.psf)

    voxel_size = args.voxel_size or particles.voxel_size
    psf_voxel_size = args.psf_voxel_size or psf_file_voxel
    unit = voxel_size or (1.0, 1.0, 1.0)
    if voxel_size is None:
        in_micrometres = _is_star(args.poses) and poses.translation.any()
        _check_no_lengths(args.particles, args.psf if psf_voxel_size else args.poses if in_micrometres else None)
    _explain(args, f"{len(particles)} particles of {_size(particles.shape)} voxels in {args.particles}")
    _explain(args, _told("voxel size", args.voxel_size, particles.voxel_size, "1 voxel"))
    _explain(args, _told("PSF's voxel size", args.psf_voxel_size, psf_file_voxel, "the particles'"))

    result = _run_reconstruct(
        args,
        particles,
        h,
        poses if _is_star(args.poses) else _in_unit(poses, unit),
        voxel_size=unit,
        psf_voxel_size=psf_voxel_size,
        lam=args.lam,
        regularizer=args.regularizer,
        workers=args.workers,
    )
    tiff.write(args.output, result.x, result.voxel_size if voxel_size else None, args.overwrite)
    size = _lengths(result.voxel_size) if voxel_size else "unknown size, taken as cubes"
    _say(args, f"{args.output}: {_size(result.x.shape)} voxels of {size}")
    _say(args, f"lam {result.lam:.4g}, {result.nit} iterations")


def _paper(args: argparse.Namespace) -> None:
    from . import paper

    _check_extras("matplotlib")
    plan = paper.QUICK if args.quick else paper.FULL
    names = [_stem(path) for path in args.volume]
    if len(set(names)) < len(names):
        raise ValueError("--volume: found two files of the same name, need different ones")
    volumes = {name: paper.fitted(_volume(path), name=path) for name, path in zip(names, args.volume, strict=True)}
    start = time.perf_counter()
    with _progress(args, "cells", paper.count(len(volumes) or 2, plan)) as tick:

        def told(name: str) -> None:
            tick()
            _explain(args, f"{time.perf_counter() - start:7.1f} s  {name}")

        table = paper.run(args.out, volumes or None, plan, told)
    _say(args, table)
    _say(args, f"\nThe figures and the record are in {Path(args.out).resolve() / 'index.html'}")


def _info(args: argparse.Namespace) -> None:
    from ._threads import available_workers

    print(f"{'fastmpr':11} {__version__}")
    print(f"{'python':11} {platform.python_version()} on {platform.platform()}")
    for package in ("numba", "numpy", "pyfftw", "scipy", "tifffile", "matplotlib", "tqdm"):
        try:
            print(f"{package:11} {version(package)}")
        except PackageNotFoundError:
            print(f"{package:11} not installed")
    print(f"{'threads':11} {available_workers()}")


# ---- their parts ------------------------------------------------------------------------------------------


def _check_extras(*packages: str) -> None:
    """Refuse at once where a package is missing that would be missed only at the end."""
    for package in packages:
        if find_spec(package) is None:
            raise ImportError(f'this command needs {package}: pip install "fastmpr[cli]"')


def _run_reconstruct(args: argparse.Namespace, particles: Any, h: NDArray, poses: Poses, **options: Any) -> Any:
    """Call `reconstruct` with a progress bar for the particles read and one for the iterations."""
    from .reconstruct import reconstruct

    n_equivalent = 1
    if args.symmetry:
        n_particles, poses = len(poses), poses.symmetrized(args.symmetry)
        n_equivalent = len(poses) // n_particles
    options |= {name: value for name in ("max_iter", "tol") if (value := getattr(args, name)) is not None}
    with (
        _progress(args, "particles", len(poses)) as read,
        _progress(args, "iterations", None) as iterate,
    ):

        def callback(intermediate_result: Any) -> None:
            iterate()

        result = reconstruct(_Watched(particles, n_equivalent, read), h, poses, callback=callback, **options)
    _explain(args, f"lam {result.lam:.6g}, {result.nit} iterations: {result.message}")
    if not result.success:
        print(f"fastmpr: warning: {result.message}", file=sys.stderr)
    return result


class _Watched(Sequence[NDArray]):
    """Particles, each ``n_equivalent`` times in a row, that tell when one is read for the first time."""

    def __init__(self, particles: Sequence[NDArray], n_equivalent: int, tick: Callable[[], object]) -> None:
        self._particles, self._n_equivalent, self._tick = particles, n_equivalent, tick
        self._seen: set[int] = set()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._particles) * self._n_equivalent

    def __getitem__(self, index: Any) -> Any:
        i = range(len(self))[index]
        particle = self._particles[i // self._n_equivalent]
        with self._lock:  # read by several threads
            if i not in self._seen:
                self._seen.add(i)
                self._tick()
        return particle


def _matched_poses(path: str, particles: ParticleFolder | tiff.Stack) -> Poses:
    """Return the poses of a file in the order of the particles."""
    poses = Poses.read(path)
    if len(poses) != len(particles):
        raise ValueError(f"{path}: found {len(poses)} poses for {len(particles)} particles in {particles.path}")
    if isinstance(particles, ParticleFolder):
        try:
            return poses.matched(particles.names)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    # The volumes of a stack have no names, so their poses must be in an order that leaves no doubt.
    if poses.names and list(poses.names) != sorted(poses.names, key=natural_key):
        raise ValueError(f"{path}: found names out of order, need 1, 2, ... 10 to tell the volumes of a stack")
    return poses


def _check_no_lengths(path: str, other: str | None) -> None:
    """Refuse to mix voxels of unknown size with the micrometres of another file."""
    if other is not None:
        raise ValueError(f"{path}: found no voxel size, but lengths in {other}, need --voxel-size")


def _in_unit(poses: Poses, voxel_size: Vector) -> Poses:
    """Turn translations in voxels into the unit of ``voxel_size``."""
    return Poses(poses.rotation, poses.translation * voxel_size, poses.names)


def _is_star(path: str) -> bool:
    return Path(path).suffix.lower() == ".star"


def _truth(args: argparse.Namespace) -> tuple[NDArray, Vector | None]:
    """Return the volume to simulate, from a file or a phantom, and its voxel size."""
    if args.volume in _PHANTOMS and not Path(args.volume).exists():
        shape = args.shape or (64, 64, 64)
        return _PHANTOMS[args.volume](shape, voxel_size=args.voxel_size), args.voxel_size
    if args.shape:
        raise ValueError(f"--shape: is for {' and '.join(_PHANTOMS)}, {args.volume} has its own")
    truth, voxel_size = tiff.read(args.volume)
    return truth, args.voxel_size or voxel_size


def _volume(path: str) -> NDArray:
    """Return the volume in a TIFF or MRC file."""
    return (mrc if path.lower().endswith(mrc.SUFFIXES) else tiff).read(path)[0]


def _stem(path: str) -> str:
    """Return a file's name without its suffixes, all of it where nothing else is left."""
    return Path(path).name.split(".")[0] or Path(path).name


def _simulation_psf(args: argparse.Namespace, voxel_size: Vector | None) -> tuple[NDArray, Vector | None]:
    """Return the PSF to simulate with, from a file or a Gaussian, and its voxel size."""
    if args.psf:
        h, psf_voxel_size = tiff.read(args.psf)
        if voxel_size is None:
            _check_no_lengths(args.volume, args.psf if psf_voxel_size else None)
        return h, psf_voxel_size or voxel_size
    z, y, x = (2 * math.ceil(4 * sigma) + 1 for sigma in args.psf_sigma)
    return psf.gaussian((z, y, x), sigma=args.psf_sigma), voxel_size


# ---- what is said -----------------------------------------------------------------------------------------


def _say(args: argparse.Namespace, text: str) -> None:
    if not args.quiet:
        print(text)


def _explain(args: argparse.Namespace, text: str) -> None:
    if args.verbose:
        print(text, file=sys.stderr)


def _size(shape: Sequence[int]) -> str:
    return " x ".join(str(n) for n in shape)


def _told(what: str, given: Sequence[float] | None, found: Sequence[float] | None, otherwise: str) -> str:
    """Say which voxel size is used and where it comes from."""
    lengths = given or found
    if not lengths:
        return f"{what}: not in the files, so {otherwise}"
    return f"{what}: {_lengths(lengths)}, {'as given' if given else 'from the files'}"


def _lengths(voxel_size: Sequence[float]) -> str:
    return " x ".join(f"{length:.4g}" for length in voxel_size) + " micrometres"


@contextmanager
def _progress(args: argparse.Namespace, what: str, total: int | None) -> Iterator[Callable[[], object]]:
    """Give a function to call at each step; it moves a bar where somebody watches."""
    if args.quiet or not sys.stderr.isatty():
        yield lambda: None
        return
    try:
        from tqdm import tqdm
    except ImportError:
        raise ImportError('the progress bar needs tqdm: pip install "fastmpr[cli]", or use --quiet') from None
    with tqdm(total=total, desc=what, leave=False) as bar:
        yield bar.update


# ---- arguments ---------------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, like all others."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message} (see {self.prog} --help)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="fastmpr", description="Many blurred views of one particle become one sharp volume.")
    parser.add_argument("--version", action="version", version=f"fastmpr {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add_command in (_add_demo, _add_simulate, _add_reconstruct, _add_paper, _add_info):
        add_command(commands)
    return parser


def _new_command(commands: Any, name: str, run: Callable, summary: str, *examples: str) -> Any:
    command = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog="\n  ".join(["example:", *examples]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run)
    return command


def _add_talk(command: Any) -> None:
    talk = command.add_mutually_exclusive_group()
    talk.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors and warnings")
    talk.add_argument("-v", "--verbose", action="store_true", help="say what was found and chosen")


def _add_demo(commands: Any) -> None:
    summary = "simulate views of a centriole, reconstruct it and show both"
    demo = _new_command(commands, "demo", _demo, summary, "fastmpr demo --out fastmpr-demo --poses 60")
    add = demo.add_argument
    add(
        "-o",
        "--out",
        default="fastmpr-demo",
        metavar="DIR",
        help="where the files go; another demo there is replaced (default: %(default)s)",
    )
    add("--poses", type=_count, default=60, metavar="N", help="number of views (default: %(default)s)")
    add("--seed", type=int, default=0, help="of the random poses and the noise (default: %(default)s)")
    _add_talk(demo)
    demo.set_defaults(symmetry=None, max_iter=None, tol=None)


def _add_simulate(commands: Any) -> None:
    summary = "simulate blurred and noisy views of a volume in random poses"
    simulate = _new_command(
        commands,
        "simulate",
        _simulate,
        summary,
        "fastmpr simulate centriole -o views --poses 30",
        "fastmpr reconstruct views/particles --psf views/psf.tiff --poses views/poses.csv -o volume.ome.tif",
    )
    add = simulate.add_argument
    add("volume", metavar="VOLUME", help="a 3-D TIFF file, or centriole, or nuclear_pore")
    add("-o", "--out", required=True, metavar="DIR", help=f"folder for {', '.join(_SIMULATED)}")
    add("--poses", type=_count, default=30, metavar="N", help="number of views (default: %(default)s)")
    add(
        "--max-translation",
        type=float,
        default=2.0,
        metavar="T",
        help="at most, along each axis, in voxels (default: %(default)s)",
    )
    add(
        "--noise",
        type=_not_negative,
        default=0.05,
        metavar="S",
        help="standard deviation of the noise over the maximum of VOLUME (default: %(default)s)",
    )
    add("--psf", metavar="PSF", help="the point spread function, a 3-D TIFF file (default: a Gaussian)")
    add(
        "--psf-sigma",
        type=_positive,
        nargs=3,
        default=(4, 1, 1),
        metavar=_ZYX,
        help="standard deviations of the Gaussian, in voxels (default: 4 1 1)",
    )
    add(
        "--shape",
        type=_count,
        nargs=3,
        metavar=_ZYX,
        help="of a centriole or nuclear_pore, in voxels (default: 64 64 64)",
    )
    add(
        "--voxel-size",
        type=_positive,
        nargs=3,
        metavar=_ZYX,
        help="in micrometres (default: what VOLUME says, if anything)",
    )
    add("--seed", type=int, default=0, help="of the random poses and the noise (default: %(default)s)")
    add("--overwrite", action="store_true", help="replace what is there")
    _add_talk(simulate)


def _add_reconstruct(commands: Any) -> None:
    summary = "reconstruct one volume from many particles"
    example = "fastmpr reconstruct particles --psf psf.tif --poses poses.csv -o volume.ome.tif"
    reconstruct = _new_command(commands, "reconstruct", _reconstruct, summary, example)
    add = reconstruct.add_argument
    add("particles", metavar="PARTICLES", help="a folder of 3-D TIFF files, or one 4-D TIFF file")
    add("--psf", required=True, metavar="PSF", help="the point spread function, a 3-D TIFF file")
    add("--poses", required=True, metavar="POSES", help="a .csv (SPFluo) or .star (RELION) file")
    add("-o", "--output", required=True, metavar="OUT.ome.tif", help="the volume to write")
    add(
        "--lam",
        type=_lam,
        default="auto",
        help="weight of the data against the regularizer (default: %(default)s)",
    )
    add(
        "--regularizer",
        default="hessian",
        metavar="NAME",
        help="what is asked of the volume (default: %(default)s)",
    )
    add(
        "--voxel-size",
        type=_positive,
        nargs=3,
        metavar=_ZYX,
        help="in micrometres (default: what PARTICLES say, else 1 voxel)",
    )
    add(
        "--psf-voxel-size",
        type=_positive,
        nargs=3,
        metavar=_ZYX,
        help="in micrometres (default: what PSF says, else the particles')",
    )
    add("--symmetry", metavar="Cn|Dn", help="of the particle about its z axis, such as C9 (default: none)")
    add("--max-iter", type=_count, metavar="N", help="stop after so many iterations")
    add("--tol", type=_not_negative, help="stop at residuals as small as this; 0 runs all iterations")
    add("--workers", type=_count, metavar="N", help="threads (default: all that this process may use)")
    add("--overwrite", action="store_true", help="replace the output if it is there")
    _add_talk(reconstruct)


def _add_paper(commands: Any) -> None:
    summary = "make the table and the figures of the paper again, for the methods it compares"
    example = "fastmpr paper --out fastmpr-paper --quick"
    paper = _new_command(commands, "paper", _paper, summary, example)
    add = paper.add_argument
    add(
        "-o",
        "--out",
        default="fastmpr-paper",
        metavar="DIR",
        help="where the files go; what is finished there is not done again (default: %(default)s)",
    )
    add("--quick", action="store_true", help="few poses, one noise draw: to see that it works")
    add(
        "--volume",
        action="append",
        default=[],
        metavar="FILE",
        help="a 3-D TIFF or MRC file in place of the built-in particles; may be repeated",
    )
    _add_talk(paper)


def _add_info(commands: Any) -> None:
    _new_command(commands, "info", _info, "show versions and threads, for a bug report", "fastmpr info")


def _positive(text: str) -> float:
    return _number(text, float, "a positive number", lambda number: 0 < number < math.inf)


def _not_negative(text: str) -> float:
    return _number(text, float, "a number of at least 0", lambda number: 0 <= number < math.inf)


def _count(text: str) -> int:
    return _number(text, int, "an integer of at least 1", lambda number: number >= 1)


def _lam(text: str) -> float | str:
    return text if text == "auto" else _number(text, float, "auto or a positive number", lambda n: 0 < n < math.inf)


def _number(text: str, kind: Callable[[str], Any], need: str, fits: Callable[[Any], bool]) -> Any:
    try:
        if fits(number := kind(text)):
            return number
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"found {text!r}, need {need}")

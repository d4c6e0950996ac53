"""Particles from files of every format: the same volume, and what reading costs.

    python -m benchmarks.reports.formats same [--data FOLDER]
    python -m benchmarks.reports.formats anisotropic
    python -m benchmarks.reports.formats streaming [--count 2000] [--workers N]

same
    SPFluo's ten centrioles (``particles``, ``psf.tiff``, ``poses.csv`` in FOLDER), written in each format and in each way to
    give particles; the largest difference of their volumes from that of the TIFF files, over the largest voxel.
anisotropic
    Particles of 0.2 x 0.08 x 0.08 um (35 x 70 x 70, and odd sizes) from OME-Zarr in micrometres, with poses from a STAR file
    in angstroms: how far the volume lies from the truth, and its PSNR beside that of the same optics sampled at 0.08 um with
    noise larger by the square root of 2.5, which is the same information.
streaming
    Particles of 64^3 as OME-Zarr (zstd) and as one OME-TIFF (deflate): the peak memory for 20 and for all of them, and the
    time of the sums of 400 beside that from memory and that of the codec alone, with as many threads.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

import fastmpr
from fastmpr.io import write, write_image

DATA = Path(os.environ.get("FASTMPR_DATA", "../shared/data")) / "centriole-translations"
ONE_FILE_EACH = (".tif", ".mrc", ".npy", ".npz", ".h5", ".ome.zarr")
STACKS = (".ome.tif", ".npy", ".npz", ".h5", ".ome.zarr")
LAM = 3000.0


def same(folder: Path) -> None:
    """Print how far the volume from each format lies from that of the files as they are."""
    given = fastmpr.load(folder / "particles", folder / "psf.tiff", folder / "poses.csv")
    expected = fastmpr.reconstruct(given, lam=LAM, workers=1).x
    views, names = [given.read(i) for i in range(len(given))], given.names

    def told(what: str, *arguments: object, **options: object) -> None:
        x = fastmpr.reconstruct(fastmpr.load(*arguments, **options), lam=LAM, workers=1, check=False).x
        print(f"| {what} | {np.abs(x - expected).max() / expected.max():.1e} |", flush=True)

    print("| particles, PSF and poses | largest difference |\n|---|---|")
    with tempfile.TemporaryDirectory() as made:
        base = Path(made)
        given.poses.write(base / "poses.star", shape=given.particle_shape, voxel_size=(0.05, 0.05, 0.05))
        poses = [folder / "poses.csv", base / "poses.star", base / "own.poses.csv"]
        given.poses.write(poses[2])
        for suffix in ONE_FILE_EACH:
            particles = base / f"particles{suffix.replace('.', '-')}"
            particles.mkdir()
            for name, view in zip(names, views, strict=True):
                write(particles / f"{Path(name).stem}{suffix}", view, 0.05)
            write(base / f"psf{suffix}", given.psfs[0], 0.05)
            renamed = fastmpr.Poses.read(poses[0])
            stems = [f"{Path(name).stem}{suffix}" for name in renamed.names]
            moved = fastmpr.Poses(renamed.rotation, renamed.translation, names=stems, unit="voxel")
            told(f"a folder of {suffix}", particles, base / f"psf{suffix}", moved, voxel_size=0.05)
            files = sorted(particles.iterdir(), key=lambda path: int(path.name.split(".")[0]))
            told(f"a list of {suffix}", files, base / f"psf{suffix}", moved, voxel_size=0.05)
        ordered = given.poses
        bare = fastmpr.Poses(ordered.rotation, ordered.translation, unit="voxel")
        for suffix in STACKS:
            write_image(base / f"stack{suffix}", np.stack(views), "TZYX", 0.05)
            told(f"a stack, {suffix}", base / f"stack{suffix}", folder / "psf.tiff", bare, voxel_size=0.05)
        for path in poses[1:]:
            told(f"poses from {path.name}", folder / "particles", folder / "psf.tiff", path, voxel_size=0.05)


VOXEL, FINE = (0.2, 0.08, 0.08), 0.08
SIGMA = (0.45, 0.12, 0.12)  # micrometres
COUNT, NOISE = 100, 0.05


def anisotropic() -> None:
    """Print how well anisotropic particles from files do."""
    print("| particles | off, voxels | dB | isotropic, dB |\n|---|---|---|---|")
    for shape in ((35, 70, 70), (33, 71, 68)):
        cube = tuple(round(n * side / FINE) for n, side in zip(shape, VOXEL, strict=True))
        truth = fastmpr.phantom.centriole(cube)
        poses = fastmpr.Poses.random(COUNT, max_translation=0.3, rng=0)
        psfs, sizes = [], ((21, 13, 13), (45, 13, 13))
        for sides, size in zip((VOXEL, (FINE,) * 3), sizes, strict=True):
            z, y, x = (sigma / side for sigma, side in zip(SIGMA, sides, strict=True))
            psfs.append(fastmpr.psf.gaussian(size, sigma=(z, y, x)))
        fine = fastmpr.simulate(truth, psfs[1], poses, voxel_size=FINE, rng=0)
        noise = NOISE * float(fine.max())
        rng = np.random.default_rng(0)
        coarse = sampled(fine, shape)
        coarse += np.float32(noise) * rng.standard_normal(coarse.shape, np.float32)
        fine += np.float32(noise * np.sqrt(VOXEL[0] / FINE)) * rng.standard_normal(fine.shape, np.float32)
        with tempfile.TemporaryDirectory() as made:
            base = Path(made)
            write_image(base / "stack.ome.zarr", coarse, "TZYX", VOXEL)
            write(base / "psf.ome.zarr", psfs[0], VOXEL)
            poses.write(base / "poses.star", shape=shape, voxel_size=VOXEL)
            result = fastmpr.reconstruct(
                fastmpr.load(base / "stack.ome.zarr", base / "psf.ome.zarr", base / "poses.star")
            )
        other = fastmpr.reconstruct(fine, psfs[1], poses, voxel_size=FINE)
        aligned = fastmpr.metrics.psnr(result.x, truth), fastmpr.metrics.psnr(other.x, truth)
        print(f"| {shape} | {offset(result.x, truth):.3f} | {aligned[0]:.2f} | {aligned[1]:.2f} |", flush=True)


def sampled(fine: NDArray, shape: tuple[int, ...]) -> NDArray:
    """Return views with wider voxels along z, sampled by Fourier interpolation, exact for what the PSF passes."""
    n, deep = fine.shape[1], (np.arange(shape[0]) - (shape[0] - 1) / 2) * VOXEL[0] / FINE + (fine.shape[1] - 1) / 2
    frequencies = np.fft.fftfreq(n)
    matrix = np.exp(2j * np.pi * (deep[:, None] - np.arange(n)[None])[..., None] * frequencies).real.mean(axis=-1)
    return np.ascontiguousarray(np.einsum("zk,nkyx->nzyx", matrix, fine), np.float32)


def offset(x: NDArray, truth: NDArray) -> float:
    """Return how far a volume lies from another, in voxels, by aligning it."""
    point = np.zeros((5, 5, 5))
    point[2, 2, 2] = 1
    start = fastmpr.Poses(Rotation.identity(1), np.zeros((1, 3)))
    data = fastmpr.Dataset(x[np.newaxis], point, start, seen="all", outside="dark", background="none")
    return float(np.linalg.norm(fastmpr.align(data, truth, search="local").poses.translation[0]))


SIDE = 64


def streaming(count: int, workers: int) -> None:
    """Print memory and time of sums of particles that are read from compressed files."""
    with tempfile.TemporaryDirectory() as made:
        base = Path(made)
        made_stacks(base, count)
        print(
            "| file | peak, 20 | peak, all | sums from memory, s | decoding, s | sums from the file, s | over |\n"
            + "|---" * 7
            + "|"
        )
        for name in ("all.ome.zarr", "all.ome.tif"):
            few, many = (child("peak", base / file, workers)[0] for file in (f"few{name[3:]}", name))
            memory, decoding, file = child("times", base / name, workers)
            over = file / (memory + decoding)
            print(
                f"| {name[3:]} | {few:.0f} MB | {many:.0f} MB | {memory:.2f} | {decoding:.2f} | {file:.2f} | {over:.2f} |",
                flush=True,
            )


def made_stacks(base: Path, count: int) -> None:
    """Write particles, the first 20 and all, in both formats."""
    import tifffile
    import zarr

    truth, psf = fastmpr.phantom.centriole((SIDE,) * 3), fastmpr.psf.gaussian((21, 9, 9), sigma=(3, 1, 1))
    poses = fastmpr.Poses.random(20, rng=0)
    views = fastmpr.simulate(truth, psf, poses, noise_sigma=0.05, rng=0)
    write(base / "psf.tif", psf)
    for name, n in (("few", 20), ("all", count)):
        target = zarr.create_array(
            store=str(base / f"{name}.ome.zarr"), shape=(n, *(SIDE,) * 3), chunks=(1, *(SIDE,) * 3), dtype="float32"
        )
        for i in range(n):
            target[i] = views[i % 20]
        with tifffile.TiffWriter(base / f"{name}.ome.tif", bigtiff=True, ome=True) as file:
            planes = (plane for i in range(n) for plane in views[i % 20])
            options = {"compression": "deflate", "metadata": {"axes": "TZYX"}, "photometric": "minisblack"}
            file.write(planes, shape=(n, *(SIDE,) * 3), dtype="float32", **options)


def child(task: str, path: Path, workers: int) -> list[float]:
    """Run a part in a process of its own, and return what it prints."""
    command = [sys.executable, "-m", __spec__.name, "part", task, str(path), str(workers)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


def part(task: str, path: Path, workers: int) -> None:
    """Measure one thing and print it."""
    import resource

    data = fastmpr.load(path, path.parent / "psf.tif")
    data = data.replace(poses=fastmpr.Poses.random(len(data), rng=0))
    fastmpr.accumulate(data[:20], workers=workers)  # compile
    if task == "peak":
        fastmpr.accumulate(data, workers=workers)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    some = data[: min(len(data), 400)]
    kept = some.replace(particles=np.stack([some.read(i) for i in range(len(some))]))
    pieces, codec = packed(path, len(some))
    times: dict[str, list[float]] = {"memory": [], "decoding": [], "file": []}
    for _ in range(3):
        for name, work in (
            ("memory", lambda: fastmpr.accumulate(kept, workers=workers)),
            ("decoding", lambda: decode(pieces, codec, workers)),
            ("file", lambda: fastmpr.accumulate(some, workers=workers)),
        ):
            begun = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - begun)
    print(*(min(found) for found in times.values()))


def packed(path: Path, count: int) -> tuple[list[list[bytes]], Callable[[bytes], Any]]:
    """Return the compressed pieces of the first particles, and the codec's own function that decodes one."""
    if path.is_dir():
        from numcodecs.zstd import Zstd

        return [[(path / f"c/{i}/0/0/0").read_bytes()] for i in range(count)], Zstd().decode
    import tifffile

    with tifffile.TiffFile(path) as file, open(path, "rb") as raw:
        pages = file.series[0].pages
        places = [(pages[k].dataoffsets, pages[k].databytecounts) for k in range(count * SIDE)]
        pieces = [
            piece(raw, begin, size) for begins, sizes in places for begin, size in zip(begins, sizes, strict=True)
        ]
    each = len(pieces) // count
    return [pieces[i * each : (i + 1) * each] for i in range(count)], zlib.decompress


def piece(file: Any, begin: int, size: int) -> bytes:
    """Return some bytes of a file."""
    file.seek(begin)
    return file.read(size)


def decode(particles: list[list[bytes]], codec: Callable[[bytes], Any], workers: int) -> None:
    """Decode all pieces and do nothing with them."""
    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(lambda pieces: [codec(one) for one in pieces], particles):
            pass


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("same").add_argument("--data", type=Path, default=DATA)
    commands.add_parser("anisotropic")
    many = commands.add_parser("streaming")
    many.add_argument("--count", type=int, default=2000)
    many.add_argument("--workers", type=int, default=2)
    one = commands.add_parser("part")
    one.add_argument("task")
    one.add_argument("path", type=Path)
    one.add_argument("workers", type=int)
    args = parser.parse_args()
    if args.command == "same":
        same(args.data)
    elif args.command == "anisotropic":
        anisotropic()
    elif args.command == "streaming":
        streaming(args.count, args.workers)
    else:
        part(args.task, args.path, args.workers)


if __name__ == "__main__":
    main()

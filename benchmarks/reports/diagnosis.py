"""How often `fastmpr.diagnose` names the mistake that was made, and one that was not.

    FASTMPR_DATA=DATA python -m benchmarks.reports.diagnosis [part ...]

Parts: single, right, imprecise, wide, pairs, rows, centriole, widefield, anisotropic, symmetry, time; all by default. s is
the noise over the brightest voxel of the views without. With the folder of shared data at ``../shared/data`` or where
``FASTMPR_DATA`` says, its ribosome and its centrioles are among the particles.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

import fastmpr
from fastmpr import Dataset, Poses

from .mistakes import DATA, OFFSET, PARTICLES, PSF, VOXEL, Views, mistakes, of_file, particle, seen, views_of

NOISES = (0.03, 0.2)


def told(tally: Counter, what: str, data: Dataset, *cures: str) -> None:
    """Count whether a right cure comes first, is tied with the first, and is named; print what is not."""
    start = time.perf_counter()
    found = fastmpr.diagnose(data)
    tally["seconds"] += time.perf_counter() - start
    first, named = found[0], next((one for one in found if one.named), None)
    leads = bool({first.name, *first.ties} & {*cures})
    is_named = named is not None and bool({named.name, *named.ties} & {*cures})
    tally.update(all=1, first=leads, named=is_named)
    if not (leads and is_named):
        right = next((one for one in found if one.name in cures), None)
        behind = "" if right is None else f"; {right.name} {right.misfit:.4f}"
        said = "none" if named is None else f"{named.name} {named.margin:.4f}"
        print(f"    {what}: first {first.name} {first.misfit:.4f}{behind}; named {said}", flush=True)


def row(what: str, tally: Counter) -> None:
    """Print a line of the table."""
    each = tally["seconds"] / max(tally["all"], 1)
    print(f"| {what} | {tally['all']} | {tally['first']} | {tally['named']} | {each:.1f} |", flush=True)


def single(counts: Iterable[int] = (12, 100), seed: int = 1) -> None:
    """Make every mistake with every particle."""
    for name in PARTICLES:
        for count in counts:
            for noise in NOISES:
                tally: Counter = Counter()
                for what, data, cure in mistakes(views_of(name, noise, count, seed=seed)):
                    told(tally, what, data, cure)
                row(f"single: {name}, N = {count}, s = {noise}", tally)


def right(draws: int = 100) -> None:
    """Make no mistake."""
    tally: Counter = Counter()
    for k in range(draws):
        name, noise, count = PARTICLES[k % 4], NOISES[k // 4 % 2], (12, 16)[k // 8 % 2]
        made = views_of(name, noise, count, seed=100 + k)
        told(tally, f"{name}, s = {noise}, N = {count}, seed {100 + k}", made.data(), "as given")
    row("right", tally)


def imprecise(draws: int = 7) -> None:
    """Make no mistake, but be imprecise."""
    tally: Counter = Counter()
    for k in range(draws):
        name, noise = PARTICLES[k % 4], NOISES[k // 4 % 2]
        made = views_of(name, noise, 16, seed=300 + k)
        for what, data in _imprecise(made, np.random.default_rng(k)):
            told(tally, f"{what}, {name}, s = {noise}", data, "as given")
    row("imprecise", tally)


def _imprecise(made: Views, rng: np.random.Generator) -> Iterator[tuple[str, Dataset]]:
    r, t, views = made.poses.rotation, made.poses.translation, made.views
    n = len(views)
    turns = Rotation.from_rotvec(np.radians(2) * rng.standard_normal((n, 3)) / np.sqrt(3))
    yield "poses off 2 degrees", made.data(poses=Poses(turns * r, t))
    yield "t off 0.3", made.data(poses=Poses(r, t + 0.3 * rng.standard_normal((n, 3)) / np.sqrt(3)))
    gains = 1.5 ** rng.uniform(-1, 1, (n, 1, 1, 1)).astype(np.float32)
    yield "gains 1.5", made.data((views - OFFSET) * gains + OFFSET)
    shifts = rng.uniform(-0.5, 0.5, (n, 3))
    boxes = np.stack([ndimage.shift(v, s, order=1, mode="nearest") for v, s in zip(views, shifts, strict=True)])
    yield "interpolated boxes", made.data(boxes, Poses(r, t + shifts))
    crops = np.zeros_like(views)
    inside = (slice(None), *[slice(2, -2)] * 3)
    crops[inside] = views[inside]
    yield "crops", made.data(crops)
    peak = 20 / float((views - OFFSET).max())
    yield "photons", made.data(rng.poisson(np.maximum(peak * (views - OFFSET), 0) + 2).astype(np.float32))
    yield "PSF 3 % too wide", Dataset(views, PSF, made.data().poses, voxel_size=VOXEL, psf_voxel_size=1.03 * VOXEL)


def wide(draws: int = 8) -> None:
    """Give a PSF that is 10 % too wide: its width may be named, and nothing else."""
    tally: Counter = Counter()
    for k in range(draws):
        made = views_of(PARTICLES[k % 4], NOISES[k // 4 % 2], 16, seed=400 + k)
        data = Dataset(made.views, PSF, made.data().poses, voxel_size=VOXEL, psf_voxel_size=1.1 * VOXEL)
        told(tally, f"{PARTICLES[k % 4]}, s = {made.noise}", data, "as given", "PSF 0.7 as wide")
    row("PSF 10 % too wide", tally)


def pairs() -> None:
    """Make two mistakes."""
    for name, noise in (("helix", 0.03), ("centriole", 0.2), ("ribosome", 0.03)):
        made = views_of(name, noise, 16, seed=11)
        undone(f"pairs: {name}, s = {noise}", made, _pairs(made))


def rows() -> None:
    """Move the rows, and make every other mistake besides."""
    for name, noise in (("helix", 0.03), ("centriole", 0.2)):
        made = views_of(name, noise, 16, seed=12)
        moved = (
            (what, data.replace(particles=np.stack([data.read(i) for i in np.roll(np.arange(16), 1)])))
            for what, data, _ in mistakes(made)
            if what not in ("right", "rows moved", "centred already")  # the last takes other views
        )
        undone(f"rows moved and another: {name}, s = {noise}", made, moved)


def undone(title: str, made: Views, wrong: Iterable[tuple[str, Dataset]]) -> None:
    """Count whether mistakes are undone: several cures may come to the same, so the misfit tells."""
    tally = Counter[str]()
    right = next(one for one in fastmpr.diagnose(made.data()) if one.name == "as given").misfit
    for what, data in wrong:
        start = time.perf_counter()
        found = next((one for one in fastmpr.diagnose(data) if one.named), None)
        is_undone = found is not None and found.misfit < 1.03 * right
        tally.update(all=1, first=is_undone, named=is_undone)
        tally["seconds"] += time.perf_counter() - start
        if not is_undone:
            print(f"    {what}: named {found and found.name}, {found and found.misfit}; right {right:.4f}", flush=True)
    row(title, tally)


def _pairs(made: Views) -> Iterator[tuple[str, Dataset]]:
    r, t, views = made.poses.rotation, np.array(made.poses.translation), made.views
    inverse, angles, order = Poses(r.inv(), t), r.as_euler("ZXZ", degrees=True), np.roll(np.arange(len(t)), 1)
    contrast, along_x = views.max() - views, np.swapaxes(made.psf, 0, 2)
    yield "inverse, mirrored z", made.data(np.flip(views, 1), inverse)
    yield "t sign, ZXZ", made.data(poses=of_file(angles, -t))
    yield "inverse, t sign", made.data(poses=Poses(r.inv(), -t))
    yield "t xyz, mirrored y", made.data(np.flip(views, 2), Poses(r, t[:, ::-1]))
    yield "contrast, inverse", made.data(contrast, inverse)
    yield "rows, t sign", made.data(poses=Poses(r[order], -t[order]))
    yield "PSF along x, inverse", made.data(poses=inverse, psf=along_x)
    yield "ZXZ, t xyz", made.data(poses=of_file(angles, t[:, ::-1]))
    yield "t um, inverse", made.data(poses=Poses(r.inv(), VOXEL * t, unit="voxel"))
    yield "contrast, ZXZ", made.data(contrast, of_file(angles, t))


def centriole() -> None:
    """Make mistakes with SPFluo's own simulation."""
    folder = DATA / "centriole-translations"
    given = fastmpr.load(folder / "particles", folder / "psf.tiff", folder / "poses.csv")
    views, poses = np.stack([given.read(i) for i in range(len(given))]), given.poses
    made = Views(views[0], views, Poses(poses.rotation, poses.translation), 0.0, 0, given.psfs[0])
    tally: Counter = Counter()
    for what, data, cure in mistakes(made):
        if what not in ("centred already", "centre n // 2"):  # which take other views
            told(tally, what, data, cure)
    row("centriole-translations", tally)


def widefield() -> None:
    """Make mistakes with the PSF of a widefield microscope."""
    optics = {"na": 1.2, "wavelength": 0.5, "refractive_index": 1.33, "voxel_size": VOXEL}
    psf = fastmpr.psf.born_wolf((41, 25, 25), **optics)
    for noise in NOISES:
        tally: Counter = Counter()
        for what, data, cure in mistakes(views_of("helix", noise, 16, seed=21, psf=psf)):
            told(tally, what, data, cure)
        row(f"widefield: helix, s = {noise}", tally)


def anisotropic() -> None:
    """Make mistakes with voxels that are three times as long along z."""
    truth = particle("helix", 30)
    poses = Poses.random(16, max_translation=1.5 * VOXEL, rng=31)
    voxel, box = (3 * VOXEL, VOXEL, VOXEL), (10, 30, 30)
    psf = fastmpr.psf.gaussian((7, 9, 9), sigma=(1, 1, 1))
    options = {"voxel_size": voxel, "model_voxel_size": VOXEL, "psf_voxel_size": voxel, "shape": box}
    for noise in NOISES:
        clean = np.stack(list(fastmpr.simulate(truth, psf, poses, **options)))
        views = clean + noise * clean.max() * np.random.default_rng(32).standard_normal(clean.shape)
        r, t = poses.rotation, np.array(poses.translation)
        right = Dataset(views.astype(np.float32), psf, poses, voxel_size=voxel)
        tally: Counter = Counter()
        told(tally, "right", right, "as given")
        others = {
            "rotations inverted": Poses(r.inv(), t),
            "t of other sign": Poses(r, -t),
            "t in x, y, z": Poses(r, t[:, ::-1]),
            "t in micrometres": Poses(r, t, unit="voxel"),
            "t in voxels": Poses(r, t / voxel, unit="um"),
            "angles negated": of_file(-r.as_euler("XZX", degrees=True), t / voxel),
            "angles as XYZ": of_file(r.as_euler("XYZ", degrees=True), t / voxel),
            "rows moved by -1": poses[np.roll(np.arange(16), 1)],
        }
        for cure, wrong in others.items():
            told(tally, cure, right.replace(poses=wrong), cure)
        for axis, name in enumerate("zyx"):
            mirrored = right.replace(particles=np.flip(views, axis + 1).astype(np.float32))
            told(tally, f"mirrored {name}", mirrored, f"stacks mirrored along {name}")
        row(f"anisotropic: helix, s = {noise}", tally)


def symmetry() -> None:
    """Give the axis of a symmetric particle along another direction, or beside the middle."""
    for name, group in (("centriole", "C9"), ("nuclear_pore", "C8")):
        for noise in NOISES:
            made = views_of(name, noise, 16, seed=51)
            right, tally = made.data().replace(symmetry=group), Counter[str]()
            told(tally, "right", right, "as given")
            for axis in ((0, 1, 0), (0, 0, 1)):
                told(tally, f"axis {axis}", right.replace(symmetry_axis=axis), "symmetry about z")
            told(
                tally,
                "centre",
                right.replace(symmetry_centre=(0, 1.5 * VOXEL, -VOXEL)),
                "symmetry about the middle",
            )
            off = VOXEL * (made.poses.translation - made.poses.matrix @ (0, 1.5, -1))
            aside = right.replace(poses=Poses(made.poses.rotation, off))
            told(tally, "particle beside the middle", aside, "symmetry about the light's centre")
            inverse = Poses(right.poses.rotation.inv(), right.poses.translation)
            told(tally, "inverted", right.replace(poses=inverse), "rotations inverted")
            row(f"symmetry: {name}, {group}, s = {noise}", tally)


def spent() -> None:
    """Tell what 100 views of 64^3 take."""
    poses = Poses.random(100, max_translation=3, rng=41)
    views = seen(particle("centriole", 64), poses, 0.03, 42)
    for what, given in (("right", poses), ("inverted", Poses(poses.rotation.inv(), poses.translation))):
        start, used = time.perf_counter(), time.process_time()
        found = fastmpr.diagnose(views, PSF, given)
        seconds, used = time.perf_counter() - start, time.process_time() - used
        print(f"| 100 views of 64^3, {what}: {found[0].name} | {seconds:.1f} s, {used:.1f} s of CPU |", flush=True)


PARTS = {
    "single": single,
    "right": right,
    "imprecise": imprecise,
    "wide": wide,
    "pairs": pairs,
    "rows": rows,
    "centriole": centriole,
    "widefield": widefield,
    "anisotropic": anisotropic,
    "symmetry": symmetry,
    "time": spent,
}


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reports.diagnosis", description="Which mistakes are found."
    )
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS))
    print("| | sets | right cure first, or tied | named | s each |\n|---|---:|---:|---:|---:|")
    with warnings.catch_warnings():  # that a PSF lies beside its centre, say, is what it is about
        warnings.simplefilter("ignore", fastmpr.FastmprWarning)
        for part in parser.parse_args().parts or PARTS:
            PARTS[part]()


if __name__ == "__main__":
    main()

"""Right calls of what works on views and on sums."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
from calls.common import (
    FOLDER,
    PATIENCE,
    SEEDS,
    SHAPES,
    SUMS,
    WORKERS,
    Call,
    are_sums,
    dataset,
    first_precision,
    is_dataset,
    is_number,
    is_result,
    is_volume,
    model_shape,
    poses_of,
    precision,
    sizes,
    views,
    volumes,
)
from hypothesis import strategies as st

import fastmpr
from fastmpr.compat.spfluo import convolution_matching_poses, find_angles_grid, reconstruction_L2, refine

REGULARIZERS = st.sampled_from(["hessian", "tv", "tikhonov"])


@st.composite
def solved(draw) -> Call:
    sums = draw(SUMS)
    arguments = {
        "sums": sums,
        "lam": draw(st.sampled_from([1.0, 30, np.float32(0.1)])),
        "regularizer": draw(REGULARIZERS),
        "x0": draw(st.one_of(st.none(), volumes(sums.shape))),
        "max_iter": draw(st.integers(1, 12)),
        "tol": draw(st.sampled_from([0, 1e-3, 0.5])),
        "mu": draw(st.sampled_from([None, 1.0, (1.0, 2.0)])),
        "relaxation": draw(st.sampled_from([1.0, 1.8])),
        "workers": draw(WORKERS),
        "deterministic": draw(st.booleans()),
        "callback": draw(st.sampled_from([None, len_of_history])),
        **draw(PATIENCE),
    }

    def check(result: Any, given: dict[str, Any]) -> None:
        is_result(result, given["sums"].shape, given["sums"].gram.dtype)

    return Call(fastmpr.solve, arguments, check)


def len_of_history(result: Any) -> None:
    len(result.history)


@st.composite
def objective(draw) -> Call:
    sums = draw(SUMS)
    arguments = {"x": draw(volumes(sums.shape)), "sums": sums, "lam": 2.0, "regularizer": draw(REGULARIZERS)}

    return Call(fastmpr.objective, arguments, is_number)


@st.composite
def chosen_lam(draw) -> Call:
    sums = draw(SUMS)
    options = {"regularizer": draw(st.sampled_from(["hessian", "tv"])), "max_iter": 3, "workers": 1, **draw(PATIENCE)}
    calls = {fastmpr.select_lam: {"half": sums, "other": sums, **options}, fastmpr.infer_lam: {"sums": sums, **options}}
    function = draw(st.sampled_from(list(calls)))

    def check(found: Any, given: dict[str, Any]) -> None:
        lam, x = found
        assert math.isfinite(lam)
        assert lam > 0
        is_volume(x, sums.shape, sums.gram.dtype)

    return Call(function, calls[function], check, also=(fastmpr.Cancelled,))


def of_views(function: Callable, arguments: dict[str, Any], check: Callable) -> Call:
    """A call with ``particles`` as the first argument, as errors call it."""
    aside = arguments["poses"].centre == "n // 2"  # turned about there, a thin image may leave the model

    def call(particles: Any, **given: Any) -> Any:
        return function(particles, **given)

    return Call(call, arguments, check, also=(fastmpr.Cancelled, OSError), blamed=("psf_of", "names"), doubtful=aside)


@st.composite
def options(draw) -> dict[str, Any]:
    """What calls that work on views have in common."""
    return {
        "shape": draw(st.one_of(st.none(), SHAPES)),
        "workers": draw(WORKERS),
        "progress": draw(st.sampled_from([None, False, progress])),
        **draw(PATIENCE),
    }


def progress(what: str, done: int, total: int | None) -> None:
    assert done <= (total or done)


@st.composite
def accumulated(draw) -> Call:
    arguments = draw(views()) | draw(options())

    def check(sums: Any, given: dict[str, Any]) -> None:
        are_sums(sums)
        assert sums.gram.dtype == first_precision(given)

    return of_views(fastmpr.accumulate, for_shape(arguments), check)


def for_shape(arguments: dict[str, Any]) -> dict[str, Any]:
    """Leave the shape of aligned views to them."""
    return arguments | ({"shape": None} if arguments.get("frame") == "model" else {})


@st.composite
def reconstructed(draw) -> Call:
    arguments = (
        draw(views())
        | draw(options())
        | {
            "lam": draw(st.sampled_from([1.0, 10, "auto"])),
            "regularizer": draw(REGULARIZERS),
            "max_iter": draw(st.integers(1, 3)),
            "tol": 0.1,
            "check": draw(st.booleans()),
            "assess": draw(st.booleans()),
            "callback": draw(st.sampled_from([None, len_of_history])),
        }
    )
    if arguments["regularizer"] == "tikhonov":
        arguments["lam"] = 1.0

    def check(result: Any, given: dict[str, Any]) -> None:
        is_result(result, model_shape(given), first_precision(given))
        assert result.fit is None or given["check"]
        assert result.resolution is None or (given["assess"] and result.resolution > 0)

    return of_views(fastmpr.reconstruct, for_shape(arguments), check)


@st.composite
def assessed(draw) -> Call:
    arguments = (
        draw(views(least=4))
        | draw(options())
        | {
            "lam": draw(st.sampled_from([1.0, 10, "auto"])),
            "max_iter": draw(st.integers(1, 3)),
            "tol": 0.1,
            "bootstrap": draw(st.sampled_from([0, 0, 2])),
            "profiles": draw(st.booleans()),
            "local": draw(st.booleans()),
            "rng": draw(SEEDS),
        }
    )

    def check(quality: Any, given: dict[str, Any]) -> None:
        is_result(quality.result, model_shape(given), first_precision(given))
        assert quality.resolution > 0
        assert quality.half_volumes.shape == (2, *quality.result.x.shape)
        assert 0 <= quality.coverage.filled <= 1 + 1e-9
        assert quality.cones.ratio >= 1
        assert (quality.local is not None) == given["local"]
        if given["local"]:
            assert quality.local.shape == quality.result.x.shape
            assert (np.isnan(quality.local) | (quality.local > 0)).all()

    return of_views(fastmpr.assess, for_shape(arguments), check)._replace(doubtful=True)  # copies are no halves


@st.composite
def compared(draw) -> Call:
    arguments = draw(views())
    data, shape = dataset(arguments), draw(SHAPES)
    arguments |= {
        "x": draw(volumes(data.particle_shape if data.frame == "model" else shape)),
        "workers": draw(WORKERS),
        "progress": draw(st.sampled_from([None, False, progress])),
        **draw(PATIENCE),
    }

    def check(found: Any, given: dict[str, Any]) -> None:
        for numbers in vars(found).values():
            assert numbers.shape == (len(given["poses"]),)
            assert numbers.dtype == np.float64

    return of_views(fastmpr.residuals, arguments, check)


def of_poses(function: Callable, arguments: dict[str, Any], own: tuple[str, ...], check: Callable) -> Call:
    """A call of a function that takes a Dataset alone, by all that is in it, and what is its ``own``."""

    def call(**given: Any) -> Any:
        named = {name: given.pop(name) for name in (*own, "workers", "progress", "cancel", "timeout") if name in given}
        return function(fastmpr.Dataset(**given), **named)

    return Call(call, arguments, check, also=(fastmpr.Cancelled,), blamed=("psf_of", "names"), doubtful=True)


@st.composite
def aligned(draw) -> Call:
    arguments = draw(views())
    arguments |= {
        "x": draw(volumes(draw(SHAPES))),
        "search": draw(st.sampled_from(["global", "local"])),
        "workers": draw(WORKERS),
        "progress": draw(st.sampled_from([None, progress])),
        **draw(PATIENCE),
    }

    def check(found: Any, given: dict[str, Any]) -> None:
        assert len(found.poses) == len(given["poses"]) == len(found.scores)
        assert not (found.scores < 0).any() and not (found.scores > 1 + 1e-6).any()

    return of_poses(fastmpr.align, arguments, ("x", "search"), check)


@st.composite
def found_poses(draw) -> Call:
    own = draw(st.sampled_from([{"rng": 0}, {}]))
    fits = {"fit_psf": draw(st.booleans())}
    arguments = draw(views(least=3)) | own | fits | {"workers": draw(WORKERS), **draw(PATIENCE)}
    if draw(st.booleans()):
        arguments["checkpoint"] = tempfile.mkdtemp(dir=FOLDER)

    def check(result: Any, given: dict[str, Any]) -> None:
        is_result(result, model_shape(given), first_precision(given))
        assert len(result.poses) == len(given["poses"]) == len(result.scores)

    return of_poses(fastmpr.ab_initio if own else fastmpr.refine, arguments, (*own, *fits, "checkpoint"), check)


@st.composite
def averaged(draw) -> Call:
    arguments = draw(views(psf=False)) | draw(options())

    def check(x: Any, given: dict[str, Any]) -> None:
        is_volume(x, model_shape(given), first_precision(given))

    return of_views(fastmpr.average, for_shape(arguments), check)


@st.composite
def deconvolved_images(draw) -> Call:
    axes = draw(st.sampled_from(["YX", "ZYX", "TYX", "CZYX", "ZCYX", "YXC", "TZYX"]))
    letters = draw(st.sampled_from([axes, axes, axes, None]))
    solid = draw(st.booleans()) and "Z" in axes
    shape = tuple(draw(st.lists(st.integers(2, 7), min_size=len(axes), max_size=len(axes))))
    arguments = {
        "image": draw(volumes(shape)),
        "psf": draw(volumes((3, 3, 3) if solid else (3, 3))),
        "axes": letters,
        "frames": draw(st.sampled_from(["auto", "each", "alike"] if "T" in axes else ["auto", "each"])),
        "lam": draw(st.sampled_from([1.0, 30, "auto"])),
        "background": draw(st.sampled_from(["auto", "plane", "none", 0.5])),
        "seen": draw(st.sampled_from(["auto", "all"])),
        "outside": draw(st.sampled_from(["unseen", "dark"])),
        "regularizer": draw(st.sampled_from(["hessian", "tv"])),
        "max_iter": draw(st.integers(1, 3)),
        "tol": draw(st.sampled_from([0, 0.5])),
        "workers": draw(WORKERS),
        "report": draw(st.sampled_from([None, dict])),
        **draw(PATIENCE),
    }

    def check(found: Any, given: dict[str, Any]) -> None:
        wanted = np.shape(given["image"])
        if hasattr(given["image"], "shape"):
            assert found.shape == wanted
            assert not (found < 0).any()

    return Call(
        fastmpr.deconvolve, arguments, check, also=(fastmpr.Cancelled,), blamed=("sums", "image", "psf"), doubtful=True
    )


@st.composite
def deconvolved(draw) -> Call:
    arguments = draw(views()) | draw(options()) | {"lam": draw(st.sampled_from([1.0, "auto"])), "max_iter": 2}
    if isinstance(arguments.get("weights"), str):  # refused, as these need a volume of all views
        arguments["weights"] = None

    def check(x: Any, given: dict[str, Any]) -> None:
        is_volume(x, model_shape(given), first_precision(given))

    return of_views(fastmpr.deconvolve_average, for_shape(arguments), check)


@st.composite
def diagnosed(draw) -> Call:
    given = draw(views(least=4))
    arguments = given | {
        "workers": draw(WORKERS),
        "progress": draw(st.sampled_from([None, progress])),
        **draw(PATIENCE),
    }

    def check(found: Any, given: dict[str, Any]) -> None:
        assert found
        for finding in found:
            assert math.isfinite(finding.misfit)
            assert math.isfinite(finding.margin)
        assert sum(finding.named for finding in found) <= 1
        is_dataset(found[0].data, len(given["poses"]))

    call = of_views(fastmpr.diagnose, arguments, check)
    return call._replace(doubtful=True)  # views that show nothing are refused


@st.composite
def simulated(draw) -> Call:
    n, shape = draw(st.integers(1, 3)), draw(SHAPES)
    arguments = {
        "x": draw(volumes(shape)),
        "psf": draw(volumes()),
        "poses": draw(poses_of(n)),
        "noise_sigma": draw(st.sampled_from([0, 0.1])),
        "voxel_size": draw(st.sampled_from([1.0, (0.3, 0.1, 0.1)])),
        "rng": draw(SEEDS),
        "workers": draw(WORKERS),
        **draw(PATIENCE),
    }
    if draw(st.booleans()):
        arguments |= {"psf_voxel_size": 0.2, "model_voxel_size": (0.1, 0.1, 0.2), "shape": draw(SHAPES)}
    else:
        arguments |= {"frame": draw(st.sampled_from(["particle", "model"]))}

    def check(seen: Any, given: dict[str, Any]) -> None:
        size = np.shape(given["x"]) if given.get("shape") is None else sizes(given["shape"])
        is_volume(seen, (len(given["poses"]), *size), precision(given["x"]))

    return Call(fastmpr.simulate, arguments, check, also=(fastmpr.Cancelled,))


# Each with the number of calls in a run of the tests.
@st.composite
def as_spfluo(draw) -> Call:
    """The drop-in for SPFluo's reconstruction."""
    batch, symmetry, multichannel = (draw(st.booleans()) for _ in range(3))
    n, size, rng = draw(st.integers(1, 3)), draw(st.integers(1, 6)), np.random.default_rng(draw(SEEDS))
    channels, count = (2,) * multichannel, (3,) * batch
    arguments = {
        "volumes": draw(volumes((n, *channels, size, size, size))),
        "psf": draw(volumes((*channels, *draw(SHAPES)))),
        "poses": rng.uniform(-1, 1, (*count, *(2,) * symmetry, n, 6)) * [180, 180, 180, 1, 1, 1],
        "lambda_": np.ones(3) if batch else 1.0,
        "batch": batch,
        "symmetry": symmetry,
        "multichannel": multichannel,
        "exact": draw(st.booleans()),
        "batch_size": draw(st.sampled_from([None, 2])),
    }

    def check(x: Any, given: dict[str, Any]) -> None:
        shape = np.shape(given["volumes"])[1:]
        is_volume(x, (3, *shape) if given["batch"] else shape, precision(given["volumes"]))

    return Call(reconstruction_L2, arguments, check, spare=("batch_size",))


@st.composite
def as_spfluo_search(draw) -> Call:
    """The drop-ins for SPFluo's search of poses; most cubes here are too small for one."""
    n, channels, size, rng = draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(1, 9)), draw(SEEDS)
    views, psf = draw(volumes((n, channels, size, size, size))), draw(volumes((channels, *draw(SHAPES))))
    poses = np.random.default_rng(rng).uniform(-1, 1, (n, 6)) * [180, 180, 180, 1, 1, 1]
    volume = draw(volumes((channels, size, size, size)))
    by_function: dict[Callable[..., Any], dict[str, Any]] = {
        convolution_matching_poses: {
            "reference": volume,
            "volumes": views,
            "psf": psf,
            "potential_poses": np.stack([poses, -poses], 1),
            "batch_size": 2,
        },
        find_angles_grid: {"reconstruction": volume, "patches": views, "psf": psf, "precision": 60, "xp": np},
        refine: {
            "patches": views,
            "psf": psf,
            "guessed_poses": poses,
            "steps": draw(st.sampled_from([[3], [(9, 2)]])),
            "ranges": [0],
            "initial_volume": draw(st.sampled_from([None, volume])),
            "lambda_": 1.0,
            "symmetry": draw(st.sampled_from([1, 3])),
            "convention": "XZX",
            "batch_size": draw(st.sampled_from([None, 2])),
        },
    }
    function = draw(st.sampled_from(list(by_function)))

    def check(found: Any, given: dict[str, Any]) -> None:
        poses, other = found if function is not refine else found[::-1]
        n = len(given["volumes" if function is convolution_matching_poses else "patches"])  # others may fit, too
        assert np.shape(poses) == (n, 6) and np.isfinite(poses).all()
        assert np.shape(other) == (np.shape(given["patches"])[1:] if function is refine else (n,))

    spare = ("batch_size", "xp")
    return Call(function, by_function[function], check, spare=spare, blamed=("particles", "x"), doubtful=True)


CALLS: dict[str, tuple[Callable[[], st.SearchStrategy[Call]], int]] = {
    "solve": (solved, 700),
    "objective": (objective, 150),
    "lam": (chosen_lam, 150),
    "accumulate": (accumulated, 500),
    "reconstruct": (reconstructed, 500),
    "assess": (assessed, 60),
    "residuals": (compared, 300),
    "align": (aligned, 150),
    "found poses": (found_poses, 40),
    "average": (averaged, 300),
    "deconvolve": (deconvolved_images, 200),
    "deconvolve_average": (deconvolved, 150),
    "diagnose": (diagnosed, 25),
    "simulate": (simulated, 500),
    "compat.spfluo.reconstruction_L2": (as_spfluo, 500),
    "compat.spfluo: search": (as_spfluo_search, 150),
}

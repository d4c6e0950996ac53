"""Right calls of load, io, metrics, operators, phantom, prox, psf and plot."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from calls.common import (
    FOLDER,
    SEEDS,
    SHAPES,
    SIZES,
    VOXELS,
    WORKERS,
    Call,
    is_dataset,
    is_volume,
    precision,
    sizes,
    volumes,
)
from hypothesis import strategies as st
from numpy.typing import NDArray

import fastmpr
from fastmpr import Poses

ONLY = st.sampled_from([None, 0])  # of what a file has one
THICK = st.tuples(*[st.integers(2, 7)] * 3)  # a plane is no volume to most readers


@st.composite
def loaded(draw) -> Call:
    n, voxel = draw(st.integers(1, 3)), draw(VOXELS)
    folder = Path(tempfile.mkdtemp(dir=FOLDER))
    for i in range(n):
        fastmpr.io.write(folder / f"{i}.ome.tif", np.random.default_rng(i).random((5, 6, 7)), voxel)
    fastmpr.io.write(folder.with_suffix(".tif"), draw(volumes((5, 5, 5))), voxel)
    poses = Poses.random(n, rng=0)
    poses = Poses(poses.matrix, poses.translation, names=[f"{i}.ome.tif" for i in range(n)], unit="voxel")
    poses.write(folder.with_suffix(".csv"))
    arguments = {
        "particles": draw(st.sampled_from([folder, str(folder), np.ones((n, 4, 4, 4))])),
        "psf": draw(st.sampled_from([None, folder.with_suffix(".tif"), np.ones((3, 3, 3))])),
        "poses": draw(st.sampled_from([None, folder.with_suffix(".csv"), poses])),
        "voxel_size": draw(st.sampled_from([0.1, (0.3, 0.1, 0.1)])),
        "psf_voxel_size": draw(st.sampled_from([None, 0.1])),
        "psf_measured": False,
    }
    if not isinstance(arguments["particles"], np.ndarray):
        arguments |= {"channel": draw(ONLY), "frame": draw(st.sampled_from([None, 0, "particle"])), "scene": draw(ONLY)}

    def check(data: Any, given: dict[str, Any]) -> None:
        is_dataset(data)

    return Call(fastmpr.load, arguments, check, also=(OSError, ImportError))


@st.composite
def written_volume(draw) -> Call:
    arguments = {
        "path": str(FOLDER / draw(st.sampled_from(["volume.tif", "volume.ome.tif", "volume.npz"]))),
        "volume": draw(volumes(draw(THICK))),
        "voxel_size": draw(VOXELS),
        "overwrite": True,
    }

    def write(**given: Any) -> Any:
        fastmpr.io.write(**given)
        return fastmpr.io.read(given["path"])

    def check(again: Any, given: dict[str, Any]) -> None:
        is_volume(again[0], np.shape(given["volume"]), precision(given["volume"]))
        assert np.array_equal(again[0], np.asarray(given["volume"]).astype(again[0].dtype))
        wanted = given["voxel_size"]
        assert wanted is None or np.allclose(again[1], np.array(wanted, float))

    return Call(write, arguments, check, also=(OSError, ImportError))


@st.composite
def written_image(draw) -> Call:
    axes = draw(st.sampled_from(["YX", "ZYX", "CYX", "TCZYX"]))
    arguments = {
        "path": str(FOLDER / "image.ome.tif"),
        "values": draw(volumes(tuple(draw(st.lists(st.integers(2, 5), min_size=len(axes), max_size=len(axes)))))),
        "axes": axes,
        "voxel_size": draw(VOXELS),
        "overwrite": True,
        "about": draw(
            st.sampled_from([None, fastmpr.io.About(), fastmpr.io.About(("a",) * 3, (0.5, 0.6, None), (), 2.0)])
        ),
    }

    def write(**given: Any) -> Any:
        fastmpr.io.write_image(**given)
        fastmpr.io.read_about(given["path"])
        return fastmpr.io.read_image(given["path"])

    def check(again: Any, given: dict[str, Any]) -> None:
        assert again.axes == given["axes"]
        assert np.array_equal(again.values, np.asarray(given["values"]).astype(again.values.dtype))

    return Call(write, arguments, check, also=(OSError, ImportError))


@st.composite
def read_volume(draw) -> Call:
    """Files that are damaged."""
    path = FOLDER / draw(st.sampled_from(["damaged.tif", "damaged.mrc", "damaged.npy", "damaged.npz"]))
    if path.suffix != ".mrc":
        fastmpr.io.write(path, draw(volumes(draw(THICK))), draw(VOXELS), overwrite=True)
    else:
        import mrcfile

        with mrcfile.new(path, overwrite=True) as file:
            file.set_data(np.random.default_rng(draw(SEEDS)).random(draw(SHAPES)).astype("f4"))
    content = bytearray(path.read_bytes())
    for _ in range(draw(st.integers(0, 3))):
        content[draw(st.integers(0, min(len(content) - 1, 400)))] = draw(st.integers(0, 255))
    path.write_bytes(content[: draw(st.integers(0, 3)) * len(content) or None])
    function = draw(st.sampled_from([fastmpr.io.read, fastmpr.io.open_particles, fastmpr.io.read_image]))

    def first(**given: Any) -> NDArray:
        return function(**given)[0]

    def check(volume: Any, given: dict[str, Any]) -> None:
        if function == fastmpr.io.read_image:  # of any type, as it is
            assert volume.dtype.kind in "fiub" and volume.ndim >= 2
        else:
            is_volume(volume, np.shape(volume), precision(volume))

    arguments = {"path": path, "voxel_size": draw(VOXELS)}
    arguments |= {"channel": draw(ONLY), "frame": None, "scene": draw(ONLY)}
    return Call(first, arguments, check, also=(OSError, ImportError), doubtful=True)


@st.composite
def pose_format(draw) -> Call:
    return Call(fastmpr.io.pose_format, {"path": draw(st.sampled_from(["a.csv", "b.STAR"]))}, lambda found, given: None)


@st.composite
def converted(draw) -> Call:
    """Poses, or a volume, in another format."""
    folder, voxel = Path(tempfile.mkdtemp(dir=FOLDER)), draw(st.sampled_from([0.1, (0.3, 0.1, 0.1)]))
    fastmpr.io.write(folder / "a.tif", np.ones((5, 6, 7)), voxel)
    Poses.random(3, rng=0).write(folder / "a.csv")
    image = draw(st.booleans())
    names = ["b.ome.tif"] if image else ["b.star", "b.poses.csv", "b.csv"]
    arguments: dict[str, Any] = {
        "source": folder / ("a.tif" if image else "a.csv"),
        "target": folder / draw(st.sampled_from(names)),
        "voxel_size": voxel,
        "overwrite": draw(st.booleans()),
    }
    if not image:
        arguments["shape"] = draw(st.sampled_from([8, (5, 6, 7)]))

    def check(nothing: Any, given: dict[str, Any]) -> None:
        assert nothing is None

    return Call(fastmpr.convert, arguments, check, also=(OSError, ImportError))


@st.composite
def psnr(draw) -> Call:
    shape = draw(SHAPES)

    def check(value: Any, given: dict[str, Any]) -> None:
        assert isinstance(value, float)
        assert not math.isnan(value)

    return Call(fastmpr.metrics.psnr, {"a": draw(volumes(shape)), "truth": draw(volumes(shape))}, check)


@st.composite
def correlation(draw) -> Call:
    shape, voxel = draw(SHAPES), draw(st.sampled_from([1.0, 0.1, (0.2, 0.1, 0.1)]))
    mask = draw(st.sampled_from([None, None, "soft"]))

    def check(curve: Any, given: dict[str, Any]) -> None:
        assert isinstance(curve, fastmpr.Curve)
        assert curve.frequency.shape == curve.correlation.shape == curve.count.shape
        assert np.nanmax(np.abs(curve.correlation)) <= 1
        assert int(curve.count.sum()) == math.prod(shape)

    arguments = {
        "a": draw(volumes(shape)),
        "b": draw(volumes(shape)),
        "voxel_size": voxel,
        "mask": mask,
        "rng": draw(SEEDS),
    }
    return Call(fastmpr.fsc, arguments, check)


@st.composite
def cones(draw) -> Call:
    shape, count = draw(SHAPES.filter(lambda sizes: math.prod(sizes) > 1)), draw(st.integers(3, 12))

    def check(found: Any, given: dict[str, Any]) -> None:
        assert isinstance(found, fastmpr.Cones)
        assert found.correlation.shape == (count, len(found.frequency))
        assert found.ratio >= 1
        assert (found.share >= 0).all() and (found.share <= 1).all()

    arguments = {
        "a": draw(volumes(shape)),
        "b": draw(volumes(shape)),
        "voxel_size": draw(st.sampled_from([1.0, (0.2, 0.1, 0.1)])),
        "half_angle": draw(st.sampled_from([20.0, 40, 90])),
        "threshold": draw(st.sampled_from([0.143, 0.5])),
        "directions": count,
    }
    return Call(fastmpr.conical_fsc, arguments, check)


OF_RESULT = st.sampled_from([np.float32, np.float64, "float32", "f8"])


@st.composite
def phantom(draw) -> Call:
    function = draw(st.sampled_from([fastmpr.phantom.centriole, fastmpr.phantom.nuclear_pore]))
    voxel = draw(st.sampled_from([None, None, 0.03, (0.05, 0.03, 0.03)]))
    shape = draw(st.one_of(SHAPES, SIZES)) if voxel is None else 7
    arguments = {"shape": shape, "voxel_size": voxel, "dtype": draw(OF_RESULT)}

    def check(x: Any, given: dict[str, Any]) -> None:
        is_volume(x, sizes(given["shape"]), given["dtype"])
        assert x.min() >= 0
        assert x.max() == 1

    return Call(function, arguments, check)


PLANES = st.tuples(SIZES, SIZES)


def along(shape: Any, *choices: Any) -> Any:
    """One of some lengths: numbers, and those along each axis (z, y, x), without the first for a plane."""
    plane = np.iterable(shape) and len(shape) == 2
    return st.sampled_from([one[1:] if plane and np.iterable(one) else one for one in choices])


@st.composite
def gaussian(draw) -> Call:
    shape = draw(st.one_of(SHAPES, SIZES, PLANES))
    arguments = {
        "shape": shape,
        "sigma": draw(along(shape, 1.0, (2, 1, 1), [0.5, 0.1, 3])),
        "voxel_size": draw(along(shape, 1.0, (0.3, 0.1, 0.1))),
        "dtype": draw(OF_RESULT),
    }
    return Call(fastmpr.psf.gaussian, arguments, is_psf)


def is_psf(psf: Any, given: dict[str, Any]) -> None:
    is_volume(psf, psf.shape if given["shape"] is None else sizes(given["shape"]), given["dtype"])
    assert psf.min() >= 0
    assert math.isclose(psf.sum(dtype=float), 1, rel_tol=1e-4)


@st.composite
def born_wolf(draw) -> Call:
    confocal, shape = draw(st.booleans()), draw(st.one_of(SHAPES, SIZES, PLANES))
    voxel = along(shape, 0.1, (0.3, 0.1, 0.1))
    if draw(st.integers(0, 9)) == 0:
        shape, voxel = None, st.sampled_from([0.4, (0.9, 0.4, 0.4), (0.4, 0.3)])
    arguments = {
        "shape": shape,
        "voxel_size": draw(voxel),
        "wavelength": draw(st.sampled_from([0.52, 0.6])),
        "na": draw(st.sampled_from([1.4, 1.0])),
        "refractive_index": 1.515,
        "confocal": confocal,
        "excitation_wavelength": draw(st.sampled_from([None, 0.488])) if confocal else None,
        "pinhole": draw(st.sampled_from([0.0, 1])) if confocal else 0,
        "dtype": draw(OF_RESULT),
    }
    return Call(fastmpr.psf.born_wolf, arguments, is_psf)


@st.composite
def channel_psfs(draw) -> Call:
    channels, deep = draw(st.integers(1, 3)), draw(st.booleans())
    path, axes = FOLDER / "channels.ome.tif", "C" * (channels > 1) + "Z" * deep + "YX"
    about = fastmpr.io.About(emission=(0.5, 0.55, 0.6)[:channels])
    voxel = (0.9, 0.3, 0.3) if deep else (0.3, 0.3)
    shape = (*[channels] * (channels > 1), *[3] * deep, 4, 5)
    fastmpr.io.write_image(path, np.ones(shape), axes, voxel, True, about)
    confocal = draw(st.booleans())
    arguments = {
        "path": str(path),
        "na": draw(st.sampled_from([1.0, 0.8])),
        "wavelength": draw(st.sampled_from([None, 0.55, [0.5, 0.55, 0.6][:channels]])),
        "refractive_index": 1.33,
        "confocal": confocal,
        "excitation_wavelength": draw(st.sampled_from([None, 0.488, [0.48] * channels])) if confocal else None,
        "pinhole": draw(st.sampled_from([0.0, 1])) if confocal else 0,
        "voxel_size": draw(st.sampled_from([None, (0.8, 0.3, 0.3)])),
        "axes": None,
        "scene": draw(ONLY),
    }

    def check(psfs: Any, given: dict[str, Any]) -> None:
        assert len(psfs) in (1, channels)
        for psf in psfs:
            is_volume(psf, psf.shape, np.float32)

    return Call(fastmpr.channel_psfs, arguments, check, also=(OSError, ImportError), blamed=("channels.ome.tif",))


@st.composite
def centred(draw) -> Call:
    def check(psf: Any, given: dict[str, Any]) -> None:
        is_volume(psf, np.shape(given["psf"]), precision(given["psf"]))

    return Call(fastmpr.psf.centred, {"psf": draw(volumes(draw(st.one_of(SHAPES, PLANES))))}, check)


@st.composite
def measured(draw) -> Call:
    shape = draw(st.tuples(*[st.sampled_from([9, 11])] * draw(st.sampled_from([2, 3]))))
    bead = 1000 * fastmpr.psf.gaussian(shape, sigma=1.2, dtype=draw(st.sampled_from(["f4", "f8"])))
    bead += np.random.default_rng(draw(SEEDS)).normal(10, 1e-3, shape).astype(bead.dtype)
    stack = draw(st.sampled_from([bead, [bead, bead], np.stack([bead, bead]) if len(shape) == 3 else bead]))

    def check(psf: Any, given: dict[str, Any]) -> None:
        is_volume(psf, psf.shape, psf.dtype)
        assert math.isclose(psf.sum(dtype=float), 1, rel_tol=1e-4)

    return Call(fastmpr.psf.measured, {"stack": stack}, check)


@st.composite
def sections(draw) -> Call:
    arguments = {
        "volumes": {"one": draw(volumes()), "other": draw(volumes())},
        "voxel_size": draw(st.sampled_from([0.1, (0.3, 0.1, 0.1)])),
        "path": str(FOLDER / "sections.svg"),
        "overwrite": True,
    }
    return Call(fastmpr.plot.sections, arguments, lambda found, given: None, also=(OSError,))


@st.composite
def pictured_results(draw) -> Call:
    x, curve = (
        draw(volumes()),
        [{"nit": 10 * k, "primal": 0.1 / (k + 1), "dual": 0.0} for k in range(draw(st.integers(0, 3)))],
    )
    arguments = {
        "found": SimpleNamespace(x=x, history=curve, nit=30, message="converged"),
        "average": draw(volumes(np.shape(x))),
        "voxel_size": draw(VOXELS),
        "path": str(FOLDER / "result.svg"),
        "overwrite": True,
    }
    return Call(fastmpr.plot.result, arguments, lambda found, given: None, also=(OSError,))


@st.composite
def profiled(draw) -> Call:
    shape = draw(SHAPES)
    arguments = {
        "x": draw(volumes(shape)),
        "axis": draw(st.sampled_from([None, (1, 0, 0), [0, 2, -1], ((1, 1, 0), (0, 0, 1))])),
        "centre": draw(st.sampled_from([None, (0.0, 0.01, -0.02)])),
        "voxel_size": draw(VOXELS),
        "replicates": draw(
            st.one_of(st.none(), volumes((3, *shape)), st.lists(volumes(shape), min_size=2, max_size=3))
        ),
        "symmetry": draw(st.sampled_from([None, "C1", "C9", "D3"])),
        "radii": draw(st.sampled_from([None, (0, 0.5), [0.01, 20]])),
        "heights": draw(st.sampled_from([None, (-0.05, 0.05), (-3, 20.0)])),
        "background": draw(st.sampled_from([None, 0, 0.3, -2.0])),
    }

    def check(found: Any, given: dict[str, Any]) -> None:
        assert found.unit == ("voxel" if given["voxel_size"] is None else "um")
        for curve in (found.radial, found.axial, found.angular):
            assert curve.position.shape == curve.value.shape
            assert not np.isinf(curve.value).any()
            assert (curve.error is None) == (given["replicates"] is None)
        for measure in found.measures.values():
            assert (measure.value > 0) != bool(measure.message) or "replicates have none" in measure.message
        assert "\n" not in repr(found)

    return Call(fastmpr.profile, arguments, check)


@st.composite
def written_profiles(draw) -> Call:
    replicates = draw(st.sampled_from([None, [np.eye(5)[None]] * 2]))
    found = fastmpr.profile(np.eye(5)[None], voxel_size=draw(VOXELS), replicates=replicates)
    function, name = draw(st.sampled_from([(found.write, "profiles.csv"), (picture(found), "profiles.svg")]))
    arguments = {"path": str(FOLDER / name), "overwrite": True}
    return Call(function, arguments, lambda found, given: None, also=(OSError,))


def picture(found: Any) -> Callable[..., None]:
    return lambda path, overwrite: fastmpr.plot.profiles(found, path, overwrite)


@st.composite
def pictured_poses(draw) -> Call:
    n, scores = draw(st.integers(1, 9)), [0.5, math.nan, 1.0, 0.0]
    result = SimpleNamespace(
        x=draw(volumes()),
        poses=fastmpr.Poses.random(n, rng=draw(SEEDS)),
        scores=np.resize(scores, n) if draw(st.booleans()) else np.full(n, math.nan),
        rounds=[{"start": k % 3, "voxel_size": 1.0, "score": 0.1 * k} for k in range(draw(st.integers(0, 7)))],
    )
    arguments = {
        "result": result,
        "voxel_size": draw(VOXELS),
        "path": str(FOLDER / "poses.svg"),
        "overwrite": True,
    }
    return Call(fastmpr.plot.poses, arguments, lambda found, given: None, also=(OSError,))


@st.composite
def nuclear(draw) -> Call:
    entries = draw(volumes((6, draw(SIZES), 4)))  # (6, 3, 3) would be matrices
    whole = np.asarray(draw(volumes((4, 3, 3))), float)
    arguments = {
        "h": draw(st.sampled_from([entries, whole + whole.swapaxes(1, 2)])),
        "threshold": draw(st.sampled_from([0, 0.5, np.float32(3)])),
        "workers": draw(WORKERS),
    }

    def check(u: Any, given: dict[str, Any]) -> None:
        is_volume(u, np.shape(given["h"]), precision(given["h"]))

    return Call(fastmpr.prox.nuclear, arguments, check)


@st.composite
def nonnegative(draw) -> Call:
    def check(u: Any, given: dict[str, Any]) -> None:
        is_volume(u, np.shape(given["x"]), precision(given["x"]))
        assert u.min() >= 0

    return Call(fastmpr.prox.nonnegative, {"x": draw(volumes()), "workers": draw(WORKERS)}, check)


@st.composite
def differences(draw) -> Call:
    function, count = draw(st.sampled_from([(fastmpr.operators.hessian, 6), (fastmpr.operators.gradient, 3)]))

    def check(h: Any, given: dict[str, Any]) -> None:
        is_volume(h, (count, *np.shape(given["x"])), precision(given["x"]))

    return Call(function, {"x": draw(volumes()), **draw(of_voxels())}, check)


@st.composite
def adjoint(draw) -> Call:
    function, name, count = draw(
        st.sampled_from([(fastmpr.operators.hessian_adjoint, "h", 6), (fastmpr.operators.gradient_adjoint, "g", 3)])
    )

    def check(x: Any, given: dict[str, Any]) -> None:
        is_volume(x, np.shape(given[name])[1:], precision(given[name]))

    return Call(function, {name: draw(volumes((count, *draw(SHAPES)))), **draw(of_voxels())}, check)


@st.composite
def of_voxels(draw) -> dict[str, Any]:
    return {"voxel_size": draw(st.sampled_from([1.0, (0.3, 0.1, 0.1)])), "workers": draw(WORKERS)}


# Each with the number of calls in a run of the tests.
CALLS: dict[str, tuple[Callable[[], st.SearchStrategy[Call]], int]] = {
    "load": (loaded, 150),
    "io.write": (written_volume, 150),
    "io.write_image": (written_image, 150),
    "io.read": (read_volume, 300),
    "io.pose_format": (pose_format, 30),
    "convert": (converted, 100),
    "psnr": (psnr, 150),
    "fsc": (correlation, 100),
    "conical_fsc": (cones, 60),
    "phantom": (phantom, 200),
    "psf.gaussian": (gaussian, 150),
    "psf.born_wolf": (born_wolf, 300),
    "channel_psfs": (channel_psfs, 100),
    "psf.centred": (centred, 100),
    "psf.measured": (measured, 150),
    "profile": (profiled, 200),
    "profiles written": (written_profiles, 20),
    "plot.sections": (sections, 20),
    "plot.poses": (pictured_poses, 20),
    "plot.result": (pictured_results, 20),
    "prox.nuclear": (nuclear, 200),
    "prox.nonnegative": (nonnegative, 100),
    "operators": (differences, 200),
    "operators' adjoints": (adjoint, 200),
}

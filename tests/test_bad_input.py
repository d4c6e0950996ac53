"""Bad arguments, all in one file: each gets one line that names it, says what was found and what is needed."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import fastmpr
from fastmpr import NormalEquations, Poses, metrics

VIEWS = np.random.default_rng(0).random((3, 8, 9, 10)).astype(np.float32)
PSF = fastmpr.psf.gaussian((7, 5, 5), sigma=(1.5, 0.8, 0.8))
POSES = Poses.random(3, rng=0)
SUMS = fastmpr.accumulate(VIEWS, PSF, POSES)
TRUTH = VIEWS[0]
NAN, INF = float("nan"), float("inf")


def with_value(array: np.ndarray, value: float) -> np.ndarray:
    """A copy with one bad voxel."""
    out = array.copy()
    out.flat[out.size // 2] = value
    return out


def ragged() -> list[np.ndarray]:
    return [VIEWS[0], VIEWS[1][:7], VIEWS[2]]


def each(name: str, *values) -> list:
    """One case per value, named by the value where it is short."""
    ids = [repr(value) if len(repr(value)) < 20 else f"array {k}" for k, value in enumerate(values)]
    return [pytest.param(name, value, id=f"{name}={text}") for value, text in zip(values, ids, strict=True)]


def refuse(call: Callable, name: str) -> str:
    """Check that a call raises one readable line about ``name``."""
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    message = str(caught.value)
    assert message.startswith(name), message
    assert "\n" not in message
    assert "found" in message, message
    assert "need" in message, message
    return message


# what reconstruct, accumulate and average have in common
PARTICLES = {
    "one infinity": (with_value(VIEWS, -INF), "particles[1]"),
    "too few": (VIEWS[:2], "particles"),
    "too many": (np.concatenate([VIEWS, VIEWS]), "particles"),
    "none": (VIEWS[:0], "particles"),
    "one volume": (VIEWS[0, :3], "particles[0]"),
    "2-D": (VIEWS[:, 0, 0], "particles[0]"),
    "RGB": (VIEWS[..., None], "particles[0]"),
    "empty volumes": (VIEWS[:, :0], "particles[0]"),
    "another shape": (ragged(), "particles[1]"),
    "complex": (VIEWS.astype(complex), "particles[0]"),
    "text": (["a", "b", "c"], "particles"),
    "objects": ([None] * 3, "particles[0]"),
    "a generator": ((view for view in VIEWS), "particles"),
    "nothing": (None, "particles"),
}


@pytest.mark.parametrize("function", [fastmpr.reconstruct, fastmpr.accumulate, fastmpr.average])
@pytest.mark.parametrize("particles", PARTICLES)
def test_particles(function, particles):
    value, name = PARTICLES[particles]
    refuse(lambda: function(value, PSF, POSES), name)


@pytest.mark.parametrize("function", [fastmpr.reconstruct, fastmpr.accumulate])
def test_a_bad_particle_among_good_ones_is_named_whoever_reads_it(function):
    for i in range(3):
        views = VIEWS.copy()
        views[i, 3, 3, 3] = INF
        for workers in (1, 2, 3):
            message = refuse(lambda views=views, n=workers: function(views, PSF, POSES, workers=n), f"particles[{i}]")
            assert "1 infinite" in message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *each("psf", np.zeros((5, 5, 5)), -PSF, PSF[0], np.zeros((0, 3, 3)), with_value(PSF, NAN), None, "x"),
        *each("poses", np.eye(3), None, POSES.rotation, [POSES]),
        *each("frame", "image", None, 1),
        *each("voxel_size", 0, -1.0, NAN, INF, (1, 2), (1, 1, -1), "1 um"),
        *each("psf_voxel_size", 0, (1, 2), NAN, "small"),
        *each("shape", 0, -3, (8, 8), (8, 8, 8, 8), (8, 8, 0), 8.5, "8", (8, 8, 8.5)),
        *each("weights", [1, 2], [1, 1, -1], [1, 1, NAN], [0, 0, 0], [[1, 1, 1]], [1, 1, INF]),
        *each("workers", 0, -1, 1.5, "2"),
    ],
)
def test_accumulate_and_reconstruct(name, value):
    for function in (fastmpr.accumulate, fastmpr.reconstruct):
        arguments = {"psf": PSF, "poses": POSES} | {name: value}
        refuse(lambda f=function, a=arguments: f(VIEWS, **a), name)


def test_aligned_views_must_lie_on_the_models_grid():
    refuse(lambda: fastmpr.accumulate(VIEWS, PSF, POSES, frame="model", voxel_size=(2, 1, 1)), "voxel_size")
    refuse(lambda: fastmpr.accumulate(VIEWS, PSF, POSES, frame="model", shape=12), "shape")


SOLVER = [
    *each("lam", 0, -1, NAN, INF, "much", None, "", [1, 2]),
    *each("max_iter", 0, -5, 1.5, "10", None),
    *each("tol", -1e-3, NAN, 2),
    *each("regularizer", "hesian", None),
    *each("workers", 0, -2, 2.5),
]


@pytest.mark.parametrize(("name", "value"), SOLVER)
def test_solve_and_reconstruct(name, value):
    refuse(lambda: fastmpr.solve(SUMS, **({"lam": 1.0} | {name: value})), name)
    refuse(lambda: fastmpr.reconstruct(VIEWS, PSF, POSES, **({"lam": 1.0} | {name: value})), name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *each("mu", 0, -1, NAN, (1, 0), (1, 2, 3), (1, INF), 1e30, 1e-30),
        *each("relaxation", 0, 2, -1, NAN),
        *each("timeout", -1, NAN),
        *each("x0", TRUTH, np.zeros(SUMS.shape)[0], np.full(SUMS.shape, NAN), np.zeros(SUMS.shape, complex)),
    ],
)
def test_solve(name, value):
    refuse(lambda: fastmpr.solve(SUMS, 1.0, **{name: value}), name)


def test_what_is_not_sums():
    refuse(lambda: fastmpr.solve(VIEWS, 1.0), "sums")
    refuse(lambda: fastmpr.objective(TRUTH, VIEWS, 1.0), "sums")


@pytest.mark.parametrize("x", [TRUTH, np.full(SUMS.shape, NAN), np.zeros(SUMS.shape, complex)])
def test_objective(x):
    refuse(lambda: fastmpr.objective(x, SUMS, 1.0), "x")
    refuse(lambda: fastmpr.objective(np.zeros(SUMS.shape), SUMS, -1.0), "lam")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *each("gram", SUMS.gram[1:], -SUMS.gram, with_value(SUMS.gram, NAN), SUMS.gram + 1j),
        *each("rhs", SUMS.rhs[:, 1:], with_value(SUMS.rhs, INF)),
        *each("energy", -1.0, NAN, INF),
        *each("n_poses", 0, -1, 1.5),
        *each("shape", (1, 2), (0, 1, 2), None),
        *each("voxel_size", 0, (1, 2), NAN),
    ],
)
def test_normal_equations(name, value):
    refuse(lambda: replace(SUMS, **{name: value}), name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *each("x", TRUTH[0], with_value(TRUTH, NAN), TRUTH[:0], TRUTH.astype(complex), None),
        *each("psf", np.zeros((5, 5, 5)), -PSF, PSF[0], with_value(PSF, INF)),
        *each("poses", np.eye(3), None),
        *each("noise_sigma", -1, NAN, INF),
        *each("frame", "image", None),
        *each("voxel_size", 0, (1, 2), NAN),
        *each("psf_voxel_size", -1, "x"),
        *each("model_voxel_size", -1),
        *each("shape", 0, (8, 8), 8.5),
        *each("boxes", [[0, 3]] * 3, np.zeros((3, 3, 2), int), [[[0, 99]] * 3] * 3, np.full((3, 3, 2), 0.5)),
        *each("workers", 0, 1.5),
    ],
)
def test_simulate(name, value):
    arguments = {"x": TRUTH, "psf": PSF, "poses": POSES, "noise_sigma": 0.1} | {name: value}
    refuse(lambda: fastmpr.simulate(**arguments), name)


def test_simulate_with_the_model_frames_one_grid():
    refuse(lambda: fastmpr.simulate(TRUTH, PSF, POSES, frame="model", shape=12), "shape")


@pytest.mark.parametrize(
    ("a", "truth", "name"),
    [
        (TRUTH[1:], TRUTH, "a"),
        (TRUTH[0], TRUTH, "a"),
        (with_value(TRUTH, NAN), TRUTH, "a"),
        (TRUTH, with_value(TRUTH, INF), "truth"),
        (TRUTH, 0 * TRUTH, "truth"),
        (TRUTH, None, "truth"),
    ],
)
def test_psnr(a, truth, name):
    refuse(lambda: metrics.psnr(a, truth), name)


@pytest.mark.parametrize(
    "matrix", [2 * np.eye(3), -np.eye(3), np.diag([1, 1, -1.0]), np.full((3, 3), NAN), np.eye(2), "x"]
)
def test_what_is_not_a_rotation(matrix):
    refuse(lambda: Poses(matrix), "rotation")


def test_names_that_do_not_match():
    poses = Poses(POSES.rotation, names=["a.tiff", "b.tiff", "c.tiff"])
    assert "d.tiff" in refuse(lambda: poses.matched(["a.tiff", "d.tiff"]), "poses")


def test_nothing_is_half_written(tmp_path):
    with pytest.raises(OSError, match="need"):
        SUMS.save(tmp_path / "missing" / "sums.npz")
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OSError, match="need"):
        SUMS.save(tmp_path / "file" / "sums.npz")
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(OSError, match="folder"):
        SUMS.save(folder)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]
    assert os.listdir(folder) == []


def test_a_psf_that_sees_nothing_is_refused_when_lam_is_to_be_chosen():
    dark = NormalEquations(0 * SUMS.gram, 0 * SUMS.rhs, 0.0, 3, SUMS.shape, 1.0)
    refuse(lambda: fastmpr.select_lam(dark, dark), "sums")


def test_views_without_anything_in_them():
    """There is nothing in the result either; of images that are no mere toys that is said."""
    for lam in (1.0, "auto"):
        result = fastmpr.reconstruct(np.zeros_like(VIEWS), PSF, POSES, lam=lam)
        np.testing.assert_array_equal(result.x, 0)
    with pytest.warns(fastmpr.FastmprWarning, match=r"particles\[0\]: found the same value, 7, everywhere.*in 2 more"):
        fastmpr.reconstruct(np.full((3, 12, 12, 12), 7.0), PSF, POSES)


def test_particles_that_change_shape_on_the_way():
    """Nothing is read past its end."""

    class Changing:
        def __init__(self):
            self.reads = 0

        def __len__(self):
            return 3

        def __getitem__(self, i):
            self.reads += 1
            return np.ones((8, 9, 10)) if self.reads < 3 else np.ones((4, 5, 6))

    refuse(lambda: fastmpr.accumulate(Changing(), PSF, POSES, workers=1), "particles[")


HUGE = 10**400
DATA = fastmpr.Dataset(VIEWS, PSF, POSES)


def short(call: Callable, name: str, *errors: type[Exception]) -> str:
    """Check that a call raises one short line that begins with ``name``."""
    with pytest.raises(errors or (ValueError, TypeError, MemoryError, IndexError)) as caught:
        call()
    message = str(caught.value)
    assert message.startswith(f"{name}: found"), message
    assert "\n" not in message
    assert len(message) < 250
    return message


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("n", lambda: Poses.random(10**12)),
        ("n", lambda: Poses.random(10**20)),
        ("n", lambda: Poses.random(10**5000)),
        ("max_translation", lambda: Poses.random(3, max_translation=HUGE)),
        ("max_translation", lambda: Poses.random(3, max_translation=1e300)),
        ("max_translation", lambda: Poses.random(3, max_translation=None)),
        ("translation", lambda: Poses(np.eye(3), [1e300, 0, 0])),
        ("translation", lambda: Poses(np.eye(3), [HUGE, 0, 0])),
        ("rotation", lambda: Poses([[1e300, 0, 0], [0, 1, 0], [0, 0, 1]])),
        ("symmetry", lambda: POSES.symmetrized("C99999")),
        ("symmetry", lambda: POSES.symmetrized("C" + 5000 * "9")),
        ("index", lambda: POSES[HUGE]),
        ("index", lambda: POSES[[99]]),
        ("index", lambda: DATA[-HUGE]),
        ("shape", lambda: fastmpr.phantom.centriole(10**9)),
        ("shape", lambda: fastmpr.phantom.nuclear_pore((1, 10**9, 10**9), voxel_size=0.01)),
        ("shape", lambda: fastmpr.psf.gaussian(10**9, sigma=1)),
        ("shape", lambda: fastmpr.psf.gaussian(HUGE, sigma=1)),
        ("shape", lambda: fastmpr.psf.born_wolf(10**5, voxel_size=0.1, wavelength=0.5, na=1.2)),
        ("shape", lambda: fastmpr.psf.born_wolf((1, 1, 10**6), voxel_size=0.1, wavelength=0.5, na=1.2)),
        ("sigma", lambda: fastmpr.psf.gaussian(9, sigma=1e300)),
        ("voxel_size", lambda: fastmpr.psf.gaussian(9, sigma=1, voxel_size=1e-300)),
        ("wavelength", lambda: fastmpr.psf.born_wolf(9, voxel_size=0.1, wavelength=HUGE, na=1.2)),
        (
            "pinhole",
            lambda: fastmpr.psf.born_wolf(9, voxel_size=0.1, wavelength=0.5, na=1, confocal=True, pinhole=HUGE),
        ),
        ("voxel_size", lambda: DATA.replace(voxel_size=HUGE)),
        ("voxel_size", lambda: DATA.replace(voxel_size=1e300)),
        ("voxel_size", lambda: fastmpr.average(VIEWS, poses=POSES, voxel_size=(1e12, 1, 1e-3))),
        ("weights", lambda: DATA.replace(weights=[1e300] * 3)),
        ("weights", lambda: DATA.replace(weights=[1e-300] * 3)),
        ("weights", lambda: DATA.replace(weights=[HUGE] * 3)),
        ("shape", lambda: DATA.model_shape(10**20)),
        ("n", lambda: DATA.split(HUGE)),
        ("energy", lambda: replace(SUMS, energy=HUGE)),
        ("n_poses", lambda: replace(SUMS, n_poses=HUGE)),
        ("gram", lambda: operator.add(*[replace(SUMS, gram=np.full(SUMS.gram.shape, 3e38, np.float32))] * 2)),
        ("rhs", lambda: replace(SUMS, rhs=np.full(SUMS.rhs.shape, 1e300))),
        ("x", lambda: SUMS.misfit(np.full(SUMS.shape, 1e30, np.float32))),
        ("x", lambda: SUMS.misfit(TRUTH)),
        ("psf", lambda: DATA.replace(psf=PSF.astype(float) * 1e300)),
        ("psf", lambda: fastmpr.psf.centred(PSF.astype(float) * 1e300)),
        ("stack", lambda: fastmpr.psf.measured(PSF.astype(float) * 1e300)),
        ("particles[0]", lambda: fastmpr.average(VIEWS * np.float32(1e38), poses=POSES, workers=1)),
        (
            "particles[1]",
            lambda: fastmpr.average([VIEWS[0], VIEWS[1].astype(float) * 1e100, VIEWS[2]], poses=POSES, workers=1),
        ),
        ("particles[0]", lambda: fastmpr.reconstruct(VIEWS.astype(float) * 1e300, PSF, POSES, workers=1)),
    ],
)
def test_numbers_beyond_all_measure(name, call):
    short(call, name)


MASKED = {
    "rotation": lambda: Poses(masked(POSES.matrix)),
    "translation": lambda: Poses(POSES.rotation, masked(np.zeros((3, 3)))),
    "names": lambda: Poses(POSES.rotation, names=masked(np.array(["a", "b", "c"]))),
    "weights": lambda: DATA.replace(weights=list(masked(np.ones(3)))),
    "psf_of": lambda: DATA.replace(psf_of=masked(np.zeros(3, int))),
    "psf": lambda: DATA.replace(psf=masked(PSF)),
    "psf[0]": lambda: DATA.replace(psf=[masked(PSF)], psf_of=[0, 0, 0]),
    "voxel_size": lambda: DATA.replace(voxel_size=masked(np.ones(3))),
    "index": lambda: POSES[masked(np.arange(3))],
    "gram": lambda: replace(SUMS, gram=masked(SUMS.gram)),
    "rhs": lambda: replace(SUMS, rhs=masked(SUMS.rhs)),
    "energy": lambda: replace(SUMS, energy=np.ma.masked),
    "x": lambda: SUMS.misfit(masked(np.zeros(SUMS.shape))),
    "x0": lambda: fastmpr.solve(SUMS, 1.0, x0=list(masked(np.zeros(SUMS.shape)))),
    "truth": lambda: metrics.psnr(TRUTH, masked(TRUTH)),
    "sigma": lambda: fastmpr.psf.gaussian(9, sigma=masked(np.ones(3))),
    "max_translation": lambda: Poses.random(3, max_translation=np.ma.masked),
}


def masked(array: np.ndarray) -> np.ma.MaskedArray:
    return np.ma.array(array, mask=np.arange(array.size).reshape(array.shape) == 1)


@pytest.mark.parametrize("name", MASKED)
def test_nothing_that_is_masked_is_used(name):
    short(MASKED[name], name)


def test_a_mask_that_hides_nothing_is_none():
    poses = Poses(np.ma.array(POSES.matrix), np.ma.array(POSES.translation))
    weights, psf_of = np.ma.array([1.0, 2.0, 3.0]), np.ma.array([0, 0, 0])
    data = fastmpr.Dataset(np.ma.array(VIEWS), np.ma.array(PSF), poses, weights=weights, psf_of=psf_of)
    assert len(data[np.ma.array([0, 1])]) == 2
    assert replace(SUMS, gram=np.ma.array(SUMS.gram)).gram.shape == SUMS.gram.shape


def test_what_is_complex_has_no_part_that_is_dropped():
    short(lambda: Poses(POSES.matrix + 0j), "rotation", TypeError)
    short(lambda: Poses(POSES.rotation, POSES.translation + 0j), "translation", TypeError)
    short(lambda: DATA.replace(weights=np.ones(3, complex)), "weights", TypeError)
    short(lambda: DATA.replace(voxel_size=np.complex64(1)), "voxel_size", TypeError)
    short(lambda: replace(SUMS, energy=np.complex64(1)), "energy", ValueError)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        *[("rng", lambda rng=rng: Poses.random(3, rng=rng)) for rng in ("a", -1, 1.5, [None])],
        ("rng", lambda: DATA.split(2, rng="a")),
        ("unit", lambda: Poses(np.eye(3), unit=np.array(["um", "nm"]))),
        ("centre", lambda: Poses(np.eye(3), centre=np.array([1, 2]))),
        ("frame", lambda: DATA.replace(frame=np.array(["model", "particle"]))),
        ("names", lambda: Poses(np.eye(3), names=5)),
        ("names", lambda: Poses(np.eye(3), names={"a"})),
        ("names", lambda: Poses(np.eye(3), names=[10**5000])),
        ("names", lambda: Poses(np.eye(3), names=["a"]).matched("a")),
        ("names", lambda: Poses(np.eye(3), names=["a"]).matched([])),
        ("voxel_size", lambda: Poses(np.eye(3), unit="voxel").in_unit_of((1, 2))),
        ("index", lambda: POSES[np.array(2.0)]),
        ("index", lambda: POSES[::0]),
        ("index", lambda: POSES["a":]),
        ("index", lambda: DATA[[[1], [2, 3]]]),
        ("index", lambda: DATA[True]),
        ("psf_of", lambda: DATA.replace(psf_of=[[0], [0, 0], 0])),
        ("particles", lambda: fastmpr.Dataset(np.array(1.0))),
        ("particles", lambda: fastmpr.load(np.array(1.0))),
        ("thread_safe", lambda: DATA.replace(thread_safe="no")),
        ("thread_safe", lambda: fastmpr.Dataset(VIEWS, thread_safe=np.ones(2))),
        ("psf_measured", lambda: fastmpr.load(VIEWS, PSF, psf_measured="no")),
        ("confocal", lambda: fastmpr.psf.born_wolf(9, voxel_size=0.1, wavelength=0.5, na=1.2, confocal=np.ones(2))),
        ("dtype", lambda: fastmpr.psf.gaussian(9, sigma=1, dtype="a")),
        ("shape", lambda: fastmpr.phantom.centriole([1, [2, 3], 4])),
        ("volumes", lambda: fastmpr.plot.sections([TRUTH], 1, "picture.png")),
        ("truth", lambda: metrics.psnr(TRUTH, -TRUTH * (TRUTH > 0.5))),
        *[("path", lambda path=path: Poses.read(path)) for path in (None, 5, b"a.csv", "", "a\nb.csv", "a\0.csv")],
        *[("particles", lambda path=path: fastmpr.load(path)) for path in ("", "a\nb", "a\0")],
        *[("path", lambda path=path: fastmpr.io.read(path)) for path in (None, "a\nb.tif")],
        *[("path", lambda path=path: fastmpr.io.write(path, TRUTH)) for path in (None, "")],
        *[("path", lambda path=path: SUMS.save(path)) for path in (None, "a\0")],
        *[("path", lambda path=path: NormalEquations.load(path)) for path in (1, "a\n")],
    ],
)
def test_what_is_of_another_kind(name, call):
    short(call, name)


def test_sums_are_added_to_sums_alone():
    for other in (1.0, np.ones(3), np.ma.masked, None):
        with pytest.raises(TypeError, match="NormalEquations"):
            SUMS + other


def test_sums_keep_float64_in_any_byte_order():
    gram = SUMS.gram.astype(">f8")
    assert replace(SUMS, gram=gram).gram.dtype == np.float64
    np.testing.assert_array_equal(replace(SUMS, gram=gram).gram, SUMS.gram)


@pytest.mark.parametrize("factor", [1e300, 1e-300])
def test_the_psnr_of_any_intensities(factor):
    a, truth = VIEWS[0].astype(float), VIEWS[1].astype(float)
    assert metrics.psnr(a * factor, truth) == pytest.approx(metrics.psnr(a, truth), rel=1e-12)
    assert metrics.psnr(a, truth * factor) == pytest.approx(metrics.psnr(a, truth), rel=1e-12)

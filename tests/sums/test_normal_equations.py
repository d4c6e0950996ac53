"""The sums over all views: against a loop over them, and as the sums they are."""

from __future__ import annotations

import dataclasses
import functools
import operator
import os
import pickle

import naive
import numpy as np
import pytest
from rotations import random_rotations

import fastmpr
from fastmpr import NormalEquations, Poses
from fastmpr.sums.transfer import TransferFunction

RNG = np.random.default_rng(0)
PSF = naive.lopsided_psf((17, 11, 12))
POSES = Poses(random_rotations(5, 1), RNG.uniform(-2, 2, (5, 3)))
NEAR = Poses(POSES.rotation, 0.1 * POSES.translation)
VIEWS = np.stack([naive.embedded(RNG.standard_normal((9, 8, 11)), (13, 12, 15)) for _ in POSES])
VIEWS += 0.1 * RNG.standard_normal(VIEWS.shape)
WEIGHTS = np.array([1.0, 0.5, 2.0, 0.0, 3.0])


def same(a: NormalEquations, b: NormalEquations, rtol: float = 0.0) -> bool:
    """Whether two sums agree relative to their largest values."""
    pairs = [(a.gram, b.gram), (a.rhs, b.rhs), (np.array(a.energy), np.array(b.energy))]
    close = all(np.abs(p - q).max() <= rtol * np.abs(q).max() for p, q in pairs)
    return close and (a.n_poses, a.shape, a.voxel_size) == (b.n_poses, b.shape, b.voxel_size)


def on_grid(frame: str, grid, voxel=(1.0, 1.0, 1.0), model=None, views=VIEWS) -> list[np.ndarray]:
    """The views on the solver's grid, the slow way."""
    if frame == "model":
        return [naive.embedded(view, grid) for view in views]
    poses = zip(views, POSES.matrix, POSES.translation, strict=True)
    return [naive.aligned(view, rotation, shift, voxel, grid, model or view.shape) for view, rotation, shift in poses]


def check(sums: NormalEquations, views, psf, psf_voxel, weights) -> None:
    """Sums against the loop, at the frequencies that the PSF's own sampling holds in every view."""
    transfers = [naive.transfer(psf, psf_voxel, rotation, sums.shape, sums.voxel_size) for rotation in POSES.matrix]
    gram, rhs, energy = naive.normal_equations(views, transfers, weights)
    held = np.all([h != 0 for h in transfers], axis=0)
    np.testing.assert_allclose(sums.gram[held], gram[held], rtol=0, atol=1e-3 * gram.max())
    np.testing.assert_allclose(sums.rhs[held], rhs[held], rtol=0, atol=1e-3 * np.abs(rhs).max())
    assert sums.energy == pytest.approx(energy, rel=1e-10 if sums.gram.dtype == np.float64 else 1e-5)


@pytest.mark.parametrize(
    ("frame", "dtype", "options"),
    [
        ("model", np.float64, {}),
        ("particle", np.float64, {}),
        ("particle", np.float32, {}),
        ("particle", np.float64, {"voxel_size": (1.4, 0.7, 0.9)}),
        ("particle", np.float64, {"voxel_size": 1.3, "psf_voxel_size": (2.6, 1.04, 1.3)}),
        ("particle", np.float64, {"shape": (16, 11, 10)}),
        ("particle", np.float64, {"weights": WEIGHTS, "workers": 3}),
    ],
)
def test_sums_are_those_of_a_loop_over_views(frame, dtype, options):
    voxel = np.broadcast_to(options.get("voxel_size", 1.0), 3)
    psf_voxel = options.get("psf_voxel_size", voxel)
    poses = Poses(POSES.rotation, POSES.translation)
    sums = fastmpr.accumulate(VIEWS.astype(dtype), PSF, poses, frame=frame, **options)
    model = options.get("shape") or tuple(
        int(round(n * v / min(voxel))) for n, v in zip((13, 12, 15), voxel, strict=True)
    )
    views = on_grid(frame, sums.shape, tuple(voxel), model)
    check(sums, views, PSF, psf_voxel, options.get("weights", np.ones(5)))
    used = np.count_nonzero(options.get("weights", np.ones(5)))
    assert (sums.gram.dtype, sums.n_poses, sums.voxel_size) == (dtype, used, (min(voxel),) * 3)


@pytest.mark.parametrize("frame", ["model", "particle"])
def test_misfit_is_that_of_every_view(frame):
    sums = fastmpr.accumulate(VIEWS, PSF, POSES, frame=frame, weights=WEIGHTS)
    transfer = TransferFunction(PSF, (1.0, 1.0, 1.0), np.float64)
    x = np.random.default_rng(2).random(sums.shape)
    spectrum, expected = np.fft.rfftn(x), 0.0
    for view, rotation, weight in zip(on_grid(frame, sums.shape), POSES.matrix, WEIGHTS, strict=True):
        h = transfer.sample(rotation, sums.shape, sums.voxel_size)
        expected += weight * ((view - np.fft.irfftn(h * spectrum, sums.shape, (0, 1, 2))) ** 2).sum()
    assert sums.misfit(x) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("frame", ["model", "particle"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_frequency_claims_more_than_the_views_hold(frame, dtype):
    """Cauchy-Schwarz: S and B come from one discretisation, so no volume makes the misfit negative."""
    sums = fastmpr.accumulate(VIEWS.astype(dtype), PSF, POSES, frame=frame)
    count, slack = np.prod(sums.shape), 1 + 100 * np.finfo(dtype).eps
    power, gram = np.abs(sums.rhs.astype(complex)) ** 2, sums.gram.astype(float)
    assert (power <= slack * gram * sums.energy * count).all()
    explained = np.divide(power, gram, out=np.zeros_like(power), where=gram > 0)
    assert naive.half_sum(explained, sums.shape) / count <= slack * sums.energy


class TestSums:
    def test_parts_add_up_to_the_whole(self):
        whole = fastmpr.accumulate(VIEWS, PSF, POSES)
        halves = [fastmpr.accumulate(VIEWS[part], PSF, POSES[part]) for part in (slice(0, 2), slice(2, 5))]
        assert same(halves[0] + halves[1], whole, 1e-13)
        singles = [fastmpr.accumulate(VIEWS[i : i + 1], PSF, POSES[i]) for i in range(5)]
        assert same(functools.reduce(operator.add, singles), whole, 1e-13)

    def test_order_does_not_matter(self):
        order = [3, 0, 4, 2, 1]
        whole = fastmpr.accumulate(VIEWS, PSF, POSES, weights=WEIGHTS)
        assert same(fastmpr.accumulate(VIEWS[order], PSF, POSES[order], weights=WEIGHTS[order]), whole, 1e-13)

    def test_neither_does_the_thread_count(self):
        alone = fastmpr.accumulate(VIEWS, PSF, POSES, workers=1)
        for workers in (2, 5, 9):
            assert same(fastmpr.accumulate(VIEWS, PSF, POSES, workers=workers), alone, 1e-13)
            assert same(*(fastmpr.accumulate(VIEWS, PSF, POSES, workers=workers) for _ in range(2)))

    def test_a_weight_is_a_repetition(self):
        repeated = [0, 0, 0, 1, 4, 4]
        weighted = fastmpr.accumulate(VIEWS, PSF, POSES, weights=[3, 1, 0, 0, 2])
        several = fastmpr.accumulate(VIEWS[repeated], PSF, POSES[repeated])
        for name in ("gram", "rhs", "energy"):
            np.testing.assert_allclose(getattr(weighted, name), getattr(several, name), rtol=1e-12, atol=1e-12)

    def test_different_grids_do_not_add(self):
        a, b = (fastmpr.accumulate(VIEWS, PSF, POSES, voxel_size=v) for v in (1.0, 2.0))
        with pytest.raises(ValueError, match="need the same grid"):
            a + b
        with pytest.raises(TypeError):
            a + 1


class TestModel:
    """Sums know where the model lies in their grid."""

    def test_what_is_cropped_is_what_reconstruct_returns(self):
        data = fastmpr.Dataset(VIEWS.astype(np.float32), PSF, POSES, background="none")
        for symmetry in (None, "C3"):
            for shape in (None, (9, 10, 11)):
                symmetric = data.replace(symmetry=symmetry)
                sums = fastmpr.accumulate(symmetric, shape=shape)
                result = fastmpr.solve(sums, 1.0, max_iter=5)
                expected = fastmpr.reconstruct(symmetric, lam=1.0, max_iter=5, shape=shape, check=False).x
                assert result.x.shape != sums.model_shape == (shape or VIEWS.shape[1:])
                np.testing.assert_array_equal(sums.crop(result.x), expected)
                assert sums.crop(result.x).flags.c_contiguous

    def test_it_goes_through_all_that_makes_sums_of_sums(self, tmp_path):
        sums = fastmpr.accumulate(VIEWS, PSF, POSES, shape=(9, 10, 11))
        (sums + sums).save(tmp_path / "sums.npz")
        for other in (
            sums + sums,
            NormalEquations.load(tmp_path / "sums.npz"),
            pickle.loads(pickle.dumps(sums)),
            dataclasses.replace(sums, energy=2 * sums.energy),
        ):
            assert (other.model_shape, other.shape) == ((9, 10, 11), sums.shape)

    def test_without_one_the_model_is_the_grid(self):
        half = np.ones((4, 5, 3))
        sums = NormalEquations(half, half + 0j, 1.0, 1, (4, 5, 4), 1.0)
        assert sums.model_shape == (4, 5, 4)
        np.testing.assert_array_equal(sums.crop(x := np.random.default_rng(0).random((4, 5, 4))), x)

    def test_two_models_do_not_add(self):
        large = fastmpr.accumulate(VIEWS, PSF, POSES, shape=(13, 12, 15))
        small = dataclasses.replace(large, model_shape=(13, 11, 15))
        with pytest.raises(
            ValueError, match=r"^sums: found models of shape \(13, 12, 15\) and \(13, 11, 15\), need one"
        ):
            large + small

    def test_what_does_not_fit_is_refused(self):
        half = np.ones((4, 5, 3))
        sums = NormalEquations(half, half + 0j, 1.0, 1, (4, 5, 4), 1.0)
        with pytest.raises(ValueError, match=r"^model_shape: found \(4, 6, 4\), need one that fits in the grid"):
            dataclasses.replace(sums, model_shape=(4, 6, 4))
        with pytest.raises(ValueError, match=r"^x: found shape \(4, 5, 5\), need \(4, 5, 4\)"):
            sums.crop(np.ones((4, 5, 5)))

    def test_it_is_shown_in_a_line_without_its_arrays(self):
        sums = fastmpr.accumulate(VIEWS.astype(np.float32), PSF, POSES, shape=(9, 10, 11), voxel_size=2.0)
        grid = " x ".join(map(str, sums.shape))
        expected = f"<NormalEquations: 5 views, model of 9 x 10 x 11, grid of {grid}, voxels of 2 x 2 x 2, float32>"
        assert repr(sums) == str(sums) == expected


class TestInput:
    """What is not bad input: the sums of anything that holds the same numbers are the same, bit for bit."""

    COUNTS = np.random.default_rng(3).poisson(9, VIEWS.shape)
    EXPECTED = fastmpr.accumulate(COUNTS.astype(np.float32), PSF, POSES)

    @pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "i4", "i8", ">f4", "<f2"])
    def test_dtypes(self, dtype):
        sums = fastmpr.accumulate(self.COUNTS.astype(dtype), PSF, POSES)
        assert sums.gram.dtype == np.float32
        assert same(sums, self.EXPECTED)

    def test_float64_stays(self):
        sums = fastmpr.accumulate(self.COUNTS.astype(">f8"), PSF, POSES)
        assert (sums.gram.dtype, sums.rhs.dtype) == (np.float64, np.complex128)
        assert same(sums, fastmpr.accumulate(self.COUNTS.astype(np.float64), PSF, POSES))
        assert fastmpr.solve(sums, 1.0, max_iter=2).x.dtype == np.float64

    def test_containers(self, tmp_path):
        counts = self.COUNTS.astype(np.float32)
        path = tmp_path / "views.raw"
        counts.tofile(path)

        class Lazy:
            def __len__(self):
                return len(counts)

            def __getitem__(self, i):
                return counts[operator.index(i)]

        containers = [
            list(counts),
            tuple(counts.tolist()),
            np.memmap(path, np.float32, "r", shape=counts.shape),
            Lazy(),
            np.repeat(counts, 2, axis=3)[..., ::2],
            np.ascontiguousarray(counts.transpose(3, 2, 1, 0)).transpose(3, 2, 1, 0),
            np.ascontiguousarray(counts[:, ::-1])[:, ::-1],
        ]
        for views in containers:
            sums = fastmpr.accumulate(views, PSF, POSES)
            if sums.gram.dtype == np.float32:
                assert same(sums, self.EXPECTED)
            else:  # nested lists of Python floats
                assert same(sums, self.EXPECTED, 1e-5)

    def test_nothing_of_the_callers_is_changed(self):
        views, psf, weights = self.COUNTS.astype(np.float32), PSF.copy(), WEIGHTS.copy()
        for array in (views, psf, weights):
            array.setflags(write=False)
        for frame in ("particle", "model"):
            fastmpr.accumulate(views, psf, POSES, frame=frame, weights=weights)
        np.testing.assert_array_equal(views, self.COUNTS)
        np.testing.assert_array_equal(psf, PSF)

    @pytest.mark.parametrize("dtype", [np.float32, ">f8", np.int32])
    def test_psf_of_any_kind_and_any_positive_sum(self, dtype):
        counts = np.rint(1e6 * PSF)
        expected = fastmpr.accumulate(VIEWS, counts / counts.sum(), POSES)
        for psf in (counts.astype(dtype), np.repeat(counts.astype(dtype), 2, axis=1)[:, ::2]):
            assert same(fastmpr.accumulate(VIEWS, psf, POSES), expected, 1e-6)

    @pytest.mark.parametrize("psf_shape", [(21, 17, 18), (40, 11, 11), (1, 1, 1), (16, 12, 14)])
    @pytest.mark.parametrize("frame", ["model", "particle"])
    def test_psf_larger_than_the_volume_and_even_sized(self, psf_shape, frame):
        psf = naive.lopsided_psf(psf_shape)
        sums = fastmpr.accumulate(VIEWS, psf, POSES, frame=frame)
        check(sums, on_grid(frame, sums.shape), psf, (1, 1, 1), np.ones(5))

    def test_one_particle_is_in_memory_at_a_time_and_each_is_read_once(self):
        reads = []

        class Counting:
            def __len__(self):
                return 5

            def __getitem__(self, i):
                reads.append(i)
                return VIEWS[i]

        fastmpr.accumulate(Counting(), PSF, POSES)
        assert sorted(reads) == [0, 1, 2, 3, 4]


class TestFile:
    SUMS = fastmpr.accumulate(VIEWS, PSF, NEAR, voxel_size=0.1, weights=WEIGHTS)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_round_trip(self, tmp_path, dtype):
        sums = fastmpr.accumulate(VIEWS.astype(dtype), PSF, NEAR, voxel_size=0.1)
        for path in (tmp_path / "sums.npz", str(tmp_path / "no suffix")):
            sums.save(path)
            loaded = NormalEquations.load(path)
            assert same(loaded, sums)
            assert (loaded.gram.dtype, loaded.rhs.dtype) == (sums.gram.dtype, sums.rhs.dtype)

    def test_a_file_saved_before_sums_knew_their_model(self, tmp_path):
        names = ("gram", "rhs", "energy", "n_poses", "shape", "voxel_size")
        np.savez(tmp_path / "sums.npz", **{name: getattr(self.SUMS, name) for name in names})
        loaded = NormalEquations.load(tmp_path / "sums.npz")
        assert same(loaded, self.SUMS)
        assert loaded.model_shape == loaded.shape

    def test_other_users_may_read_it_as_any_new_file(self, tmp_path):
        self.SUMS.save(tmp_path / "sums.npz")
        (tmp_path / "plain").touch()
        assert (tmp_path / "sums.npz").stat().st_mode == (tmp_path / "plain").stat().st_mode

    def test_a_save_that_fails_leaves_what_was_there(self, tmp_path, monkeypatch):
        path = tmp_path / "sums.npz"
        path.write_bytes(b"before")

        def fail(file, **arrays):
            file.write(b"half")
            raise OSError("disk full")

        monkeypatch.setattr(np, "savez", fail)
        with pytest.raises(OSError, match="disk full"):
            self.SUMS.save(path)
        assert os.listdir(tmp_path) == ["sums.npz"]
        assert path.read_bytes() == b"before"

    def test_damaged_files_are_named(self, tmp_path):
        path = tmp_path / "sums.npz"
        self.SUMS.save(path)
        good = path.read_bytes()
        damaged = {"truncated": good[: len(good) // 2], "garbage": b"not sums at all", "empty": b""}
        flipped = bytearray(good)
        flipped[len(good) // 3] ^= 255
        damaged["flipped"] = bytes(flipped)
        for content in damaged.values():
            path.write_bytes(content)
            with pytest.raises(ValueError, match=r"sums\.npz.*need") as error:
                NormalEquations.load(path)
            assert "\n" not in str(error.value)

    @pytest.mark.parametrize(
        "field",
        [
            {"gram": np.full(SUMS.gram.shape, np.nan)},
            {"gram": -SUMS.gram},
            {"rhs": SUMS.rhs[1:]},
            {"energy": np.array([1.0, 2.0])},
            {"shape": np.array([1, 2])},
            {"voxel_size": np.zeros(3)},
            {"rhs": None},
            {"model_shape": np.array([1, 2])},
            {"model_shape": np.array([1000, 2, 2])},
        ],
    )
    def test_files_with_wrong_fields_are_named(self, tmp_path, field):
        path = tmp_path / "sums.npz"
        names = ("gram", "rhs", "energy", "n_poses", "shape", "voxel_size")
        fields = {name: getattr(self.SUMS, name) for name in names} | field
        np.savez(path, **{name: value for name, value in fields.items() if value is not None})
        with pytest.raises(ValueError, match=r"sums\.npz.*need") as error:
            NormalEquations.load(path)
        assert "\n" not in str(error.value)

    def test_a_missing_file_or_folder_is_named(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"absent\.npz.*need"):
            NormalEquations.load(tmp_path / "absent.npz")
        with pytest.raises(FileNotFoundError, match="nowhere.*need"):
            self.SUMS.save(tmp_path / "nowhere" / "sums.npz")

"""The symmetry of a particle, found from its views."""

from threading import Event

import numpy as np
import pytest
from particles_alone import PSF, SHAPE, TRUTH, views_of
from scipy import ndimage
from scipy.spatial.transform import Rotation

import fastmpr
from fastmpr import Dataset, Poses
from fastmpr.alignment.cycle import Cycle
from fastmpr.alignment.self_rotation import SelfRotation, in_frame
from fastmpr.alignment.symmetry import _Trial
from fastmpr.geometry.symmetry import as_group
from fastmpr.runtime.stopping import as_stop

MIDDLE = (np.array(SHAPE) - 1) / 2
VIEWS, POSES = views_of(3)
AUTO = Dataset(VIEWS, PSF, POSES, symmetry="auto")


def particle_of(symmetry, turn=None, off=(0.0, 0.0, 0.0), seed=1):
    """Balls in all places that a group takes a few of them to, then turned and shifted as a whole."""
    rng, x = np.random.default_rng(seed), np.zeros(SHAPE)
    grid = np.stack(np.indices(SHAPE), axis=-1) - MIDDLE
    for place in rng.normal(size=(5, 3)) * [2.5, 3.5, 3.5]:
        weight = rng.uniform(0.5, 1.5)
        for rotation in as_group(symmetry):
            at = rotation @ place if turn is None else turn.as_matrix() @ rotation @ place
            x += weight * np.exp(-np.square(grid - at - off).sum(axis=-1) / 2)
    return (x / x.max()).astype(np.float32)


@pytest.mark.parametrize("fold", [3, 4, 5])
def test_the_axis_and_the_folds_of_a_volume(fold):
    turn, off = Rotation.from_rotvec([0.3, -0.5, 0.8]), np.array([0.4, -0.6, 0.3])
    itself = SelfRotation(particle_of(f"C{fold}", turn, off))
    axis = itself.main()
    assert axis.fold == fold and axis.likeness > 0.99
    assert abs(axis.direction @ turn.apply([1, 0, 0])) > np.cos(np.radians(1))
    aside = axis.centre - off
    assert np.linalg.norm(aside - (aside @ axis.direction) * axis.direction) < 0.1
    assert abs(axis.two_fold @ axis.direction) < 1e-9
    assert itself.axis(fold).likeness == pytest.approx(axis.likeness, abs=1e-3)


def test_likeness_is_a_correlation_with_the_rotated_volume():
    x = particle_of("C2")
    quarter = SelfRotation(x).likeness(np.array([1.0, 0, 0]), np.zeros(3), np.array([0, np.pi / 2, np.pi]))
    turned = np.rot90(x, 1, (1, 2))
    spectra = [np.fft.fftn(one) for one in (x, turned)]
    radius = np.sqrt(sum(f * f for f in np.meshgrid(*map(np.fft.fftfreq, SHAPE), indexing="ij")))
    a, b = (one[(radius <= 0.3) & (radius > 0)] for one in spectra)
    expected = np.vdot(a, b).real / np.linalg.norm(a) / np.linalg.norm(b)
    np.testing.assert_allclose(quarter, [1, expected, 1], atol=0.01)


@pytest.mark.parametrize(
    "symmetry, where",
    [
        ("C4", {}),
        ("C4", {"symmetry_axis": (0, 1, 1), "symmetry_centre": (0.1, -0.05, 0.08)}),
        ("D3", {}),
        ("D3", {"symmetry_axis": ((0, 0, 1), (0.6, 0.8, 0)), "symmetry_centre": (0, 0.1, 0)}),
        ("D1", {}),
    ],
)
def test_poses_in_the_frame_of_a_symmetry(symmetry, where):
    turn, off = Rotation.from_rotvec([-0.2, 0.4, 0.5]), np.array([0.5, 0.3, -0.4])
    x = particle_of(symmetry, turn, off)
    poses = Poses.random(6, max_translation=0.1, rng=0)
    data = Dataset(np.zeros((6, *SHAPE)), PSF, poses, voxel_size=0.1, symmetry=symmetry, **where)
    framed = in_frame(data, SelfRotation(x).axis(int(symmetry[1:])))
    new, old = framed.placed, poses
    grid = 0.1 * (np.stack(np.indices(SHAPE), axis=-1) - MIDDLE).reshape(-1, 3)

    def seen(places):  # at places of the new frame
        there = (places @ new.matrix[0].T + new.translation[0] - old.translation[0]) @ old.matrix[0]
        return ndimage.map_coordinates(x, (there / 0.1 + MIDDLE).T)

    for rotation in data.group:
        turned = (grid - data.symmetry_centre) @ rotation.T + data.symmetry_centre
        assert np.corrcoef(seen(grid), seen(turned))[0, 1] > 0.98, rotation


class TestFound:
    @pytest.mark.parametrize("symmetry", ["C2", "C4"])
    def test_what_there_is(self, symmetry):
        views, _ = views_of(12, truth=particle_of(symmetry))
        result = fastmpr.ab_initio(Dataset(views, PSF, symmetry="auto"))
        assert result.symmetry.name == symmetry and result.symmetry.margin > 2
        assert str(result.symmetry).startswith(f"{symmetry}, ")
        fold = int(symmetry[1:])
        assert SelfRotation(result.x).folded(np.array([1.0, 0, 0]), np.zeros(3), fold) > 0.99  # about z, in the middle

    def test_the_highest_multiple_that_explains_as_much(self, monkeypatch):
        rng, trial = np.random.default_rng(0), _Trial(AUTO, 1, as_stop("refine", None, None))
        means = {"C3": 0.02, "C6": 0.05, "C9": 0.02, "C12": 0.06}
        left = {name: mean + 0.001 * rng.normal(size=20) for name, mean in means.items()}
        trial._left["C3"] = left["C3"]
        monkeypatch.setattr(trial, "add", lambda name, axis: trial._left.update({name: left[name]}))
        assert trial.highest(SelfRotation(particle_of("C3")).axis(3)).fold == 9

    def test_the_volume_can_be_made_again(self):
        views, poses = views_of(12, truth=particle_of("C4"))
        views = views * np.linspace(0.6, 1.6, 12)[:, None, None, None]
        data = Dataset(views, PSF, poses, symmetry="auto")
        found = fastmpr.refine(data)
        assert found.symmetry.name == "C4" and found.gains.max() > 1.2 * found.gains.min()
        given = {"poses": found.poses, "weights": found.weights, "gain": found.gains}
        again = fastmpr.reconstruct(data.replace(symmetry="C4", **given))
        np.testing.assert_array_equal(again.x, found.x)

    def test_none(self):
        views, poses = views_of(16)
        result = fastmpr.refine(Dataset(views, PSF, poses, symmetry="auto"))
        assert result.symmetry.name == "C1" and np.isnan(result.symmetry.margin)
        assert result.symmetry.left["C1"] < min(v for name, v in result.symmetry.left.items() if name != "C1")
        plain = fastmpr.refine(Dataset(views, PSF, poses))
        assert plain.symmetry is None
        np.testing.assert_array_equal(plain.x, result.x)

    def test_too_few_views_tell_none(self):
        views, poses = views_of(5, truth=particle_of("C4"))
        result = fastmpr.refine(Dataset(views, PSF, poses, symmetry="auto"))
        assert result.symmetry.name == "C1" and result.symmetry.left == {}


@pytest.mark.parametrize("call", ["refine", "ab_initio"])
def test_a_call_that_ends_once_a_symmetry_is_imposed_returns_poses_of_its_volume(monkeypatch, call):
    """The volume is still that of the frame before."""
    ends, truth, go_on = Event(), particle_of("C4"), Cycle.go_on

    def go_on_and_end(cycle, data):
        go_on(cycle, data)
        ends.set()

    monkeypatch.setattr(Cycle, "go_on", go_on_and_end)
    views, poses = views_of(16, truth=truth)
    poses = poses.moved(Rotation.from_rotvec([0.4, 1.0, -0.7]))  # the axis is far from z
    data = Dataset(views, PSF, poses, symmetry="auto" if call == "refine" else "C4")
    result = getattr(fastmpr, call)(data, cancel=ends)
    again = fastmpr.reconstruct(Dataset(views, PSF, result.poses)).x
    assert np.corrcoef(result.x.ravel(), again.ravel())[0, 1] > 0.97
    assert result.status == "cancelled" and result.symmetry is None


def test_starts_with_a_symmetry_agree():
    views, _ = views_of(12, truth=particle_of("C4"))
    for seed in range(2):
        assert fastmpr.ab_initio(Dataset(views, PSF, symmetry="C4"), rng=seed).confidence > 0.97


@pytest.mark.parametrize(
    "call",
    [
        fastmpr.accumulate,
        fastmpr.average,
        fastmpr.deconvolve_average,
        fastmpr.diagnose,
        fastmpr.reconstruct,
        lambda data: fastmpr.align(data, TRUTH),
        lambda data: fastmpr.residuals(data, TRUTH),
    ],
)
def test_all_else_needs_a_group(call):
    with pytest.raises(ValueError, match="^symmetry: found 'auto', need a group such as 'C9'"):
        call(AUTO)


def test_auto_has_no_axis():
    with pytest.raises(ValueError, match="^symmetry_axis: found .* and symmetry 'auto', which finds it: need none"):
        Dataset(VIEWS, PSF, symmetry="auto", symmetry_axis=(0, 1, 0))
    symmetric = Dataset(VIEWS, PSF, symmetry="C3", symmetry_axis=(0, 1, 0))
    assert symmetric.replace(symmetry="auto").symmetry == "auto"

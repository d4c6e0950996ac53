"""Every usual mistake, made and found again: its cure is named, and undoes it."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
from particles import POSES, PSF, SIZE, VIEWS, VOXEL, N, assert_same, data_of, helix, views_of

import fastmpr
from fastmpr import Dataset, FastmprWarning, Poses

pytestmark = pytest.mark.slow

R, T = POSES.rotation, np.array(POSES.translation)
RIGHT = data_of()
SLOPE = np.linspace(-0.1, 0.1, SIZE, dtype=np.float32)[:, None, None]


def from_file(tmp_path, angles, translation=T) -> Poses:
    """The poses of a file with these angles."""
    path = tmp_path / "poses.csv"
    path.write_text("\n".join(",".join(map(str, [i, *row])) for i, row in enumerate(np.hstack([angles, translation]))))
    return Poses.read(path)


def wide(factor: float) -> np.ndarray:
    n = [int(np.ceil(k * max(factor, 1))) | 1 for k in PSF.shape]
    first = [k // 2 - (m // 2) / factor for k, m in zip(PSF.shape, n, strict=True)]
    return scipy.ndimage.affine_transform(PSF, np.eye(3) / factor, first, tuple(n), order=3).clip(0)


def rolled(steps: tuple[int, int, int]) -> np.ndarray:
    return np.roll(np.pad(PSF, 3), steps, (0, 1, 2))


# the cure, and the data set with the mistake
OF_POSES = {
    "t of other sign": lambda: data_of(translation=-T),
    "t halved": lambda: data_of(translation=2 * T),
    "t doubled": lambda: data_of(translation=T / 2),
    "t in x, y, z": lambda: data_of(translation=T[:, ::-1]),
    "t turned by R": lambda: data_of(translation=R.inv().apply(T)),
    "t turned by R, other sign": lambda: data_of(translation=-R.inv().apply(T)),
    "t turned by 1/R": lambda: data_of(translation=R.apply(T)),
    "t in micrometres": lambda: data_of(translation=VOXEL * T),
    "t in voxels": lambda: data_of(translation=T, unit="um"),
    "rotations inverted": lambda: data_of(rotation=R.inv()),
    "inverted, t turned along": lambda: data_of(rotation=R.inv(), translation=-R.inv().apply(T)),
    "inverted, t of other sign": lambda: data_of(rotation=R.inv(), translation=-T),
    "poses in x, y, z": lambda: data_of(rotation=POSES.matrix[:, ::-1, ::-1], translation=T[:, ::-1]),
    "rotations in x, y, z": lambda: data_of(rotation=POSES.matrix[:, ::-1, ::-1]),
    "rows moved by 1": lambda: data_of(rotation=R[np.roll(np.arange(N), -1)], translation=np.roll(T, -1, axis=0)),
    "rows moved by -1": lambda: data_of(rotation=R[np.roll(np.arange(N), 1)], translation=np.roll(T, 1, axis=0)),
}
OF_STACKS = {
    "stacks mirrored along z": lambda: data_of(VIEWS[:, ::-1]),
    "stacks mirrored along y": lambda: data_of(VIEWS[:, :, ::-1]),
    "stacks mirrored along x": lambda: data_of(VIEWS[..., ::-1]),
    "stacks' axes reversed": lambda: data_of(VIEWS.transpose(0, 3, 2, 1)),
    "contrast inverted": lambda: data_of(VIEWS.max() - VIEWS),
    "background a plane": lambda: data_of(VIEWS + SLOPE),
}
OF_PSF = {
    "PSF 0.7 as wide": lambda: data_of(psf=wide(1.4)),
    "PSF 1.4 as wide": lambda: data_of(psf=wide(0.7)),
    "PSF's z and x swapped": lambda: data_of(psf=np.swapaxes(PSF, 0, 2)),
    "PSF's z and y swapped": lambda: data_of(psf=np.swapaxes(PSF, 0, 1)),
    "PSF moved by (-1, 0, 0)": lambda: data_of(psf=rolled((1, 0, 0))),
    "PSF moved by (2, 0, 0)": lambda: data_of(psf=rolled((-2, 0, 0))),
    "PSF moved by (0, 1, 0)": lambda: data_of(psf=rolled((0, -1, 0))),
}
ANGLES = ("ZXZ", "ZYZ", "XYZ", "xzx", "zyz", "xyz")


def named(data: Dataset):
    """The one finding that is named."""
    (found,) = [finding for finding in fastmpr.diagnose(data) if finding.named]
    return found


def assert_found(data: Dataset, cure: str, right: Dataset) -> None:
    """That a cure is named, or what cannot be told from it, and that it undoes the mistake, here and as Python."""
    found = named(data)
    assert cure in (found.name, *found.ties)
    assert found.margin > 1.01
    pasted = executed(found.code, data)
    assert_same(found.data, pasted)
    if found.name == cure:
        assert_same(found.data, right, psf=0.25)


def executed(code: str, data: Dataset) -> Dataset:
    scope = {"data": data, "np": np, "fastmpr": fastmpr}
    exec(code, scope)
    return scope["data"]


@pytest.mark.parametrize("cure", OF_POSES)
def test_poses(cure):
    assert_found(OF_POSES[cure](), cure, RIGHT)


@pytest.mark.parametrize("cure", OF_STACKS)
def test_stacks(cure):
    right = RIGHT if cure != "background a plane" else OF_STACKS[cure]().replace(background="plane")
    assert_found(OF_STACKS[cure](), cure, right)


@pytest.mark.parametrize("cure", OF_PSF)
@pytest.mark.filterwarnings("ignore:psf:fastmpr.FastmprWarning")  # of centres
def test_psfs(cure):
    assert_found(OF_PSF[cure](), cure, RIGHT)


@pytest.mark.parametrize("convention", ANGLES)
def test_angles_of_a_file(convention, tmp_path):
    """Those about three axes too, which matrices do not give back."""
    poses = from_file(tmp_path, R.as_euler(convention, degrees=True))
    assert_found(data_of(rotation=poses), f"angles as {convention}", RIGHT)


def test_negated_angles_and_radians(tmp_path):
    angles = R.as_euler("XZX", degrees=True)
    assert_found(data_of(rotation=from_file(tmp_path, -angles)), "angles negated", RIGHT)
    with pytest.warns(FastmprWarning, match="look like radians"):
        poses = from_file(tmp_path, np.radians(angles))
    assert_found(data_of(rotation=poses), "angles in radians", RIGHT)


def test_images_that_are_centred_already():
    views = views_of(Poses(R))
    assert_found(data_of(views), "t left out", data_of(views, translation=0 * T))


def test_centre_of_the_box():
    half = np.full(3, 0.5)
    views = views_of(Poses(R, T + half - R.apply(half)))
    right = data_of(views, Poses(R, T, unit="voxel", centre="n // 2"))
    assert_found(data_of(views), "centre n // 2", right)


def test_two_mistakes():
    """The second on top of the first; moved rows hide whatever else is wrong."""
    inverted = data_of(VIEWS.max() - VIEWS, rotation=R.inv())
    assert {*named(inverted).name.split(" + ")} == {"rotations inverted", "contrast inverted"}
    assert_same(named(inverted).data, RIGHT)
    order = np.roll(np.arange(N), 1)
    moved = data_of(rotation=R[order], translation=-T[order])
    assert named(moved).name == "t of other sign + rows moved by -1"
    assert_same(named(moved).data, RIGHT)
    assert_same(executed(named(moved).code, moved), RIGHT)


def test_axis_of_the_symmetry():
    truth = fastmpr.phantom.nuclear_pore((SIZE,) * 3)
    views = fastmpr.simulate(truth, PSF, POSES, noise_sigma=0.02, rng=0)
    right = data_of(views, symmetry="C8")
    assert named(right).name == "as given"
    found = named(right.replace(symmetry_axis=(0, 1, 0)))
    assert (found.name, found.data.symmetry_axis) == ("symmetry about z", (1, 0, 0))
    found = named(right.replace(symmetry_centre=(0, 2 * VOXEL, -VOXEL)))
    assert (found.name, found.data.symmetry_centre) == ("symmetry about the middle", (0, 0, 0))
    beside = Poses(R, T - POSES.matrix @ (0, 1.5, -1), unit="voxel")  # the model lies as far from the middle
    found = named(right.replace(poses=beside))
    assert found.name == "symmetry about the light's centre"
    np.testing.assert_allclose(found.data.symmetry_centre[1:], (1.5 * VOXEL, -VOXEL), atol=0.3 * VOXEL)
    assert executed(found.code, right).symmetry_centre == found.data.symmetry_centre


@pytest.mark.parametrize("two_fold", ["y", "x"])
def test_the_two_fold_axis_of_a_dihedral_particle(two_fold):
    """Poses of another convention have it along the other axis."""
    copies = Poses(np.eye(3), two_fold=two_fold).symmetrized("D3").matrix
    truth = sum(
        scipy.ndimage.affine_transform(helix(), g, (SIZE - 1) / 2 * (1 - g.sum(axis=1)), order=3) for g in copies
    )
    views = fastmpr.simulate(truth / truth.max(), PSF, POSES, noise_sigma=0.02, rng=0)
    for given in ("y", "x"):
        found = named(data_of(views, Poses(R, T, unit="voxel", two_fold=given), symmetry="D3"))
        assert found.name == ("as given" if given == two_fold else f"two-fold axis along {two_fold}")
        if given != two_fold:
            assert executed(found.code, data_of(views, symmetry="D3")).symmetry_axis == found.data.symmetry_axis


@pytest.mark.parametrize("noise", [0.02, 0.1])
def test_nothing_is_named_where_nothing_is_wrong(noise):
    noisy = VIEWS + noise * VIEWS.max() * np.random.default_rng(0).standard_normal(VIEWS.shape).astype(np.float32)
    found = named(data_of(noisy))
    assert (found.name, found.code, found.margin) == ("as given", "", 1)
    assert_same(found.data, data_of(noisy))


def test_haze_that_leaves_the_images_is_no_wrong_psf():
    """The widest PSF would suffer most from what nobody saw beyond the edges; a wrong pose is found all the same."""
    psf = np.pad(PSF, [(10, 10), (6, 6), (6, 6)]) + 2 * fastmpr.psf.gaussian((31, 19, 19), sigma=(9, 5, 5))
    views = fastmpr.simulate(helix(), psf, POSES, noise_sigma=0.01, rng=3)
    assert named(data_of(views, psf=psf)).name == "as given"
    found = named(data_of(views, psf=psf, rotation=R.inv()))
    assert "rotations inverted" in (found.name, *found.ties)


def test_views_without_a_voxel_size():
    """Then the width of the PSF is a matter of the particles' voxels."""
    found = named(Dataset(VIEWS, wide(1.4), Poses(R, T)))
    assert found.name == "PSF 0.7 as wide"
    assert_same(found.data, RIGHT, psf=0.25)
    assert_same(executed(found.code, Dataset(VIEWS, wide(1.4), Poses(R, T))), found.data)


def test_foreign_poses_are_told():
    """No cure helps where the poses are those of other particles: then nothing is named, not even as given."""
    foreign = Poses.random(N, max_translation=1.0, rng=99)
    found = fastmpr.diagnose(data_of(rotation=foreign.rotation, translation=foreign.translation))
    (given,) = [finding for finding in found if finding.name == "as given"]
    assert not given.named
    assert "no less than with the poses of other particles" in given.words

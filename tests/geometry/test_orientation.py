"""Where things land: a point at p from the centre of the model lies at R p + t from the centre of the particle image.

Each blob of the phantom has a place of its own and a brightness of its own: any turn, shift, mirror or swap of axes
that should not be there shows.
"""

from __future__ import annotations

import naive
import numpy as np
import pytest
import scipy.ndimage
import scipy.optimize
from rotations import random_rotations
from scipy.spatial.transform import Rotation

import fastmpr
from fastmpr import Poses

BLOBS = {(-6.0, 1.0, 2.0): 1.0, (2.0, 5.0, -4.0): 0.7, (4.0, -3.0, 3.0): 0.5, (0.0, -5.0, -5.0): 0.85}
SHARP = fastmpr.psf.gaussian((7, 7, 7), sigma=0.7)
LONG = fastmpr.psf.gaussian((21, 9, 9), sigma=(3.0, 1.0, 1.0))


def phantom(shape, edge: float = 1.0, rotation=None, shift=(0.0, 0.0, 0.0), sigma: float = 1.3) -> np.ndarray:
    """The blobs at R p + t from the middle of a volume of cubic voxels, drawn from their formula."""
    matrix = np.eye(3) if rotation is None else rotation
    offsets = np.stack(np.meshgrid(*((np.arange(n) - (n - 1) / 2) * edge for n in shape), indexing="ij"), axis=-1)
    squares = {p: ((offsets - matrix @ p - shift) ** 2).sum(axis=-1) for p in BLOBS}
    return sum(weight * np.exp(-squares[p] / (2 * sigma**2)) for p, weight in BLOBS.items()).astype(np.float32)


def found_near(image: np.ndarray, place: np.ndarray, radius: float, voxel: np.ndarray) -> np.ndarray:
    """The centre of mass of an image within a ball, in samples; the ball follows what it finds."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in image.shape), indexing="ij"), axis=-1)
    for _ in range(20):
        inside = (((index - place) * voxel) ** 2).sum(axis=-1) < radius**2
        weight = np.where(inside, image, 0)
        place = (weight[..., None] * index).sum(axis=(0, 1, 2)) / weight.sum()
    return place


def displacement(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The shift of a against b, in voxels: where their cross-correlation, as a continuous function, is largest."""
    cross = np.fft.fftn(a) * np.fft.fftn(b).conj()
    f = np.stack(np.meshgrid(*(np.fft.fftfreq(n) for n in a.shape), indexing="ij"))

    def loss(shift: np.ndarray) -> float:
        return -(cross * np.exp(2j * np.pi * np.tensordot(shift, f, 1))).real.sum() / np.abs(cross).sum()

    simplex = np.vstack([np.zeros(3), np.eye(3)])
    return scipy.optimize.minimize(loss, np.zeros(3), method="Nelder-Mead", options={"initial_simplex": simplex}).x


def test_displacement_knows_which_way_and_how_far():
    shift = np.array([0.4, -0.3, 0.15])
    np.testing.assert_allclose(
        displacement(phantom((24, 24, 25), shift=shift), phantom((24, 24, 25))), shift, atol=0.01
    )


ONE_AT_A_TIME = {
    "none": (None, (0, 0, 0)),
    "turn about z": (Rotation.from_rotvec([0.6, 0, 0]), (0, 0, 0)),
    "turn about y": (Rotation.from_rotvec([0, 0.6, 0]), (0, 0, 0)),
    "turn about x": (Rotation.from_rotvec([0, 0, 0.6]), (0, 0, 0)),
    "shift along z": (None, (1.7, 0, 0)),
    "shift along y": (None, (0, 1.7, 0)),
    "shift along x": (None, (0, 0, 1.7)),
    "all": (Rotation.from_rotvec([0.4, -1.1, 0.8]), (0.6, -1.2, 0.9)),
}


@pytest.mark.parametrize("shape", [(25, 25, 25), (26, 26, 26), (25, 28, 26)])
@pytest.mark.parametrize("pose", ONE_AT_A_TIME)
def test_simulate_puts_every_blob_where_its_pose_says(pose, shape):
    rotation, shift = ONE_AT_A_TIME[pose]
    poses = Poses(np.eye(3) if rotation is None else rotation, [shift])
    view = fastmpr.simulate(phantom(shape), SHARP, poses)[0]
    for p in BLOBS:
        expected = (np.array(shape) - 1) / 2 + poses.matrix[0] @ p + shift
        np.testing.assert_allclose(found_near(view, expected, 3.0, np.ones(3)), expected, atol=0.1)
    drawn = phantom(shape, rotation=poses.matrix[0], shift=np.array(shift), sigma=np.hypot(1.3, 0.7))
    np.testing.assert_allclose(displacement(view, drawn), 0, atol=0.05)


@pytest.mark.parametrize("pose", ONE_AT_A_TIME)
def test_simulate_counts_in_lengths(pose):
    """Particles of anisotropic voxels, from a model of finer ones, with translations in micrometres."""
    rotation, shift = ONE_AT_A_TIME[pose]
    edge, voxel, size = 0.1, np.array([0.2, 0.1, 0.13]), (15, 30, 24)
    poses = Poses(np.eye(3) if rotation is None else rotation, [edge * np.array(shift)])
    options = {"voxel_size": tuple(voxel), "model_voxel_size": edge, "psf_voxel_size": edge, "shape": size}
    view = fastmpr.simulate(phantom((27, 27, 27)), SHARP, poses, **options)[0]
    assert view.shape == size
    for p in BLOBS:
        expected = (np.array(size) - 1) / 2 + edge * (poses.matrix[0] @ p + shift) / voxel
        found = found_near(view, expected, 3.5 * edge, voxel)
        np.testing.assert_allclose(found, expected, atol=0.1)


def test_simulated_psf_stays_in_the_frame_of_the_microscope():
    """In the particle's frame every pose is blurred along z; in the model's, along R^-1 z."""
    point = np.zeros((21, 21, 21))
    point[10, 10, 10] = 1
    rotation = Rotation.from_rotvec([0, 0, np.pi / 2])  # takes z to y, so the model sees the PSF along R^-1 z = -y
    assert np.allclose(rotation.apply([1, 0, 0]), [0, 1, 0])
    for frame, long_axis in (("particle", 0), ("model", 1)):
        view = fastmpr.simulate(point, LONG, Poses(rotation), frame=frame)[0]
        index = np.indices(view.shape) - 10
        widths = [np.sqrt((view * index[d] ** 2).sum() / view.sum()) for d in range(3)]
        expected = [3.0 if d == long_axis else 1.0 for d in range(3)]
        np.testing.assert_allclose(widths, expected, atol=0.15)


def test_a_lopsided_psf_turns_the_right_way():
    """The model sees h(R q): what lies at q from the PSF's centre lies at R^-1 q in the model."""
    psf = np.zeros((11, 11, 11))
    psf[5, 5, 5], psf[8, 5, 5], psf[5, 7, 5] = 1, 0.8, 0.5
    psf = scipy.ndimage.gaussian_filter(psf, 0.8)
    point = scipy.ndimage.gaussian_filter(np.eye(1, 21**3, 21**3 // 2).reshape(21, 21, 21), 0.8)
    rotation = Rotation.from_rotvec([0.7, 0.4, -0.5])
    view = fastmpr.simulate(point, psf, Poses(rotation), frame="model")[0]
    for q in ([3, 0, 0], [0, 2, 0]):
        expected = 10 + rotation.inv().apply(q)
        if q[0]:
            np.testing.assert_allclose(found_near(view, expected, 1.5, np.ones(3)), expected, atol=0.15)
    both = rotation.inv().apply((0.8 * np.array([3, 0, 0]) + 0.5 * np.array([0, 2, 0])) / 2.3)
    np.testing.assert_allclose(scipy.ndimage.center_of_mass(view), 10 + both, atol=0.02)


@pytest.mark.parametrize(
    ("shape", "voxel"),
    [
        ((24, 24, 24), (1.0, 1.0, 1.0)),
        ((25, 25, 25), (1.0, 1.0, 1.0)),
        ((24, 25, 26), (1.0, 1.0, 1.0)),
        ((13, 27, 26), (0.2, 0.1, 0.1)),
    ],
)
def test_reconstruction_lies_on_the_truth(shape, voxel):
    """Views drawn and blurred by simulate, random poses and translations; no shift of half a voxel, odd or even."""
    edge = min(voxel)
    size = tuple(int(round(n * v / edge)) for n, v in zip(shape, voxel, strict=True))
    poses = Poses.random(25, max_translation=1.5 * edge, rng=3)
    options = {"voxel_size": voxel, "psf_voxel_size": edge}
    views = fastmpr.simulate(
        phantom((27, 27, 27)), LONG, poses, model_voxel_size=edge, shape=shape, noise_sigma=0.01, rng=0, **options
    )
    result = fastmpr.reconstruct(views, LONG, poses, lam=2000.0, max_iter=60, **options)
    truth = phantom(size)
    assert (result.x.shape, result.voxel_size) == (size, (edge,) * 3)
    assert np.abs(displacement(result.x, truth)).max() < 0.1
    for p in BLOBS:
        expected = (np.array(size) - 1) / 2 + p
        np.testing.assert_allclose(found_near(result.x, expected, 2.5, np.ones(3)), expected, atol=0.1)


@pytest.mark.parametrize("pose", ONE_AT_A_TIME)
def test_one_view_reconstructs_in_the_frame_of_the_model(pose):
    """Drawn here, not by simulate: a mistake that both directions make does not cancel."""
    rotation, shift = ONE_AT_A_TIME[pose]
    poses = Poses(np.eye(3) if rotation is None else rotation, [shift])
    view = phantom((26, 26, 27), rotation=poses.matrix[0], shift=np.array(shift))
    result = fastmpr.reconstruct(view[None], SHARP, poses, lam=1000.0, max_iter=60)
    assert np.abs(displacement(result.x, phantom(view.shape))).max() < 0.1
    average = fastmpr.average(view[None], poses=poses)
    assert np.abs(displacement(average, phantom(view.shape))).max() < 0.1


def test_spfluos_csv_means_what_the_conventions_say(tmp_path):
    """Intrinsic turns about array axes 0, 2 and 0, written out; translations in voxels; rows matched by name."""
    rows = {"b.tiff": (30.0, 40.0, -70.0, 1.0, -0.5, 0.7), "a.tiff": (200.0, 75.0, 15.0, -1.2, 0.4, 0.0)}
    path = tmp_path / "poses.csv"
    lines = [f"particles/{name},{','.join(map(str, row))}" for name, row in rows.items()]
    path.write_text("\n".join(["name,rot1,rot2,rot3,t1,t2,t3", *lines]))
    poses = Poses.read(path).matched(["a.tiff", "b.tiff"])
    views = []
    for name in ("a.tiff", "b.tiff"):
        matrix = np.eye(3)
        for axis, degrees in zip((0, 2, 0), rows[name][:3], strict=True):
            matrix = matrix @ about(axis, degrees)
        views.append(phantom((26, 26, 26), rotation=matrix, shift=np.array(rows[name][3:])))
    average = fastmpr.average(views, poses=poses)
    truth = phantom((26, 26, 26))
    assert np.abs(displacement(average, truth)).max() < 0.05
    assert fastmpr.metrics.psnr(average, truth) > 30


ANGLES = random_rotations(8, 11).as_euler("ZYZ", degrees=True)  # Rot, Tilt, Psi
ORIGINS = np.random.default_rng(11).uniform(-1.5, 1.5, (8, 3))  # x, y, z
TO_IMAGE = Rotation.from_euler("ZYZ", ANGLES, degrees=True).inv().as_matrix()[:, ::-1, ::-1]


def relion(path, edge: float = 1.0) -> Poses:
    """The poses from a file as RELION writes it, with origins of so many edges, in angstroms; an edge is in micrometres."""
    labels = ["_rlnAngle" + name for name in ("Rot", "Tilt", "Psi")] + [f"_rlnOrigin{axis}Angst" for axis in "XYZ"]
    rows = [" ".join(f"{value:.8f}" for value in row) for row in np.hstack([ANGLES, 1e4 * edge * ORIGINS])]
    path.write_text("\n".join(["data_particles", "", "loop_", *labels, *rows, ""]))
    return Poses.read(path)


@pytest.mark.parametrize("shape", [(32, 32, 32), (31, 31, 31), (30, 33, 32)])
def test_relion_turns_boxes_about_voxel_n_half(shape, tmp_path):
    """Views turned by scipy about voxel n // 2; their average lies on the volume, voxel by voxel, even or odd."""
    centre = np.array(shape) // 2
    truth = phantom(shape, shift=centre - (np.array(shape) - 1) / 2)
    views = []
    for matrix, origin in zip(TO_IMAGE, ORIGINS[:, ::-1], strict=True):
        offset = centre - matrix.T @ (centre - origin)
        views.append(scipy.ndimage.affine_transform(truth, matrix.T, offset, order=5))
    average = fastmpr.average(np.array(views), poses=relion(tmp_path / "p.star"), voxel_size=1.0)
    assert fastmpr.metrics.psnr(average, truth) > 40
    assert np.abs(displacement(average, truth)).max() < 0.05
    for p in BLOBS:
        np.testing.assert_allclose(found_near(average, centre + p, 2.5, np.ones(3)), centre + p, atol=0.1)


@pytest.mark.parametrize("voxel", [(2.0, 1.0, 1.0), (2.0, 1.5, 1.0)])
@pytest.mark.parametrize("shape", [(16, 32, 32), (15, 31, 31), (16, 31, 32)])
def test_a_box_of_long_voxels_turns_about_its_voxel_n_half(shape, voxel, tmp_path):
    """Drawn from the formula, in lengths; the model's cubes keep what lies in voxel n // 2 of the box where it is."""
    off = (np.array(shape) // 2 - (np.array(shape) - 1) / 2) * voxel
    index = np.stack(np.meshgrid(*((np.arange(n) - n // 2) for n in shape), indexing="ij"), axis=-1) * voxel
    views = []
    for matrix, origin in zip(TO_IMAGE, ORIGINS[:, ::-1], strict=True):
        squares = {p: ((index - matrix @ p + origin) ** 2).sum(axis=-1) for p in BLOBS}
        views.append(sum(weight * np.exp(-squares[p] / (2 * 1.8**2)) for p, weight in BLOBS.items()))
    average = fastmpr.average(np.array(views), poses=relion(tmp_path / "p.star"), voxel_size=voxel)
    truth = phantom(average.shape, shift=off, sigma=1.8)
    assert fastmpr.metrics.psnr(average, truth) > 35
    assert np.abs(displacement(average, truth)).max() < 0.1


@pytest.mark.parametrize(("symmetry", "free"), [("C4", (1, 0, 0)), ("D2", (0, 0, 0))])
def test_the_axes_of_a_symmetric_particle_pass_through_the_middle(symmetry, free, tmp_path):
    """RELION's pass through voxel n // 2: the model is moved there by what the symmetry does not leave unchanged."""
    shape, group = (32, 32, 32), fastmpr.Dataset(np.ones((1, 2, 2, 2)), symmetry=symmetry).group
    index = np.stack(np.meshgrid(*((np.arange(n) - n // 2) for n in shape), indexing="ij"), axis=-1)

    def drawn(matrix, shift):
        return sum(
            weight * np.exp(-((index - matrix @ g @ p - shift) ** 2).sum(axis=-1) / (2 * 1.3**2))
            for p, weight in BLOBS.items()
            for g in group
        )

    views = [drawn(matrix, -origin) for matrix, origin in zip(TO_IMAGE, ORIGINS[:, ::-1], strict=True)]
    poses = relion(tmp_path / "p.star")
    average = fastmpr.average(np.array(views), poses=poses, voxel_size=1.0, symmetry=symmetry)
    truth = drawn(np.eye(3), 0.5 * np.array(free) - 0.5)
    assert fastmpr.metrics.psnr(average, truth) > 60  # 74; half a voxel beside the axis leaves 44
    assert np.abs(displacement(average, truth)).max() < 0.05
    # written out, pose by pose, the axis stays where RELION has it
    copies = np.repeat(views, len(group), axis=0)
    average = fastmpr.average(copies, poses=poses.symmetrized(symmetry), voxel_size=1.0)
    assert np.abs(displacement(average, drawn(np.eye(3), 0))).max() < 0.05


@pytest.mark.parametrize("shape", [(26, 26, 26), (25, 28, 26)])
def test_simulate_and_reconstruct_turn_about_the_same_point(shape, tmp_path):
    poses = relion(tmp_path / "p.star", edge=0.1)
    truth = phantom(shape)
    views = fastmpr.simulate(truth, SHARP, poses, voxel_size=0.1)
    for view, matrix, origin in zip(views, TO_IMAGE, ORIGINS[:, ::-1], strict=True):
        off = np.array(shape) // 2 - (np.array(shape) - 1) / 2
        for p in BLOBS:
            expected = np.array(shape) // 2 + matrix @ (p - off) - origin
            np.testing.assert_allclose(found_near(view, expected, 3.0, np.ones(3)), expected, atol=0.1)
    average = fastmpr.average(views, poses=poses, voxel_size=0.1)
    assert np.abs(displacement(average, truth)).max() < 0.05


def about(axis: int, degrees: float) -> np.ndarray:
    """The matrix on (axis 0, axis 1, axis 2) vectors that turns about one of them: the next towards the one after."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix, a, b = np.eye(3), (axis + 1) % 3, (axis + 2) % 3
    matrix[a, a], matrix[a, b], matrix[b, a], matrix[b, b] = c, -s, s, c
    return matrix


@pytest.mark.parametrize("turn", [about(0, 90), about(1, 90), about(2, 180), about(0, 90) @ about(1, 90)])
def test_turning_the_model_turns_the_sums_and_the_result(turn):
    """The same views, seen as those of a particle turned by G in poses R G^-1."""
    turn = np.rint(turn)
    poses = Poses(random_rotations(12, 7), np.random.default_rng(7).uniform(-1, 1, (12, 3)))
    turned = Poses(poses.matrix @ turn.T, poses.translation)
    views = fastmpr.simulate(phantom((25, 25, 25)).astype(float), LONG, poses, noise_sigma=0.02, rng=1)
    b, s = [], []
    for seen in (poses, turned):
        sums = fastmpr.accumulate(views, LONG, seen, shape=25)
        inside = tuple(slice((m - 25) // 2, (m - 25) // 2 + 25) for m in sums.shape)
        b.append(np.fft.irfftn(sums.rhs, sums.shape, (0, 1, 2))[inside])
        s.append(naive.half_sum(sums.gram, sums.shape))
    assert s[0] == pytest.approx(s[1], rel=1e-3)
    np.testing.assert_allclose(b[1], moved(b[0], turn), atol=1e-3 * np.abs(b[0]).max())
    results = [fastmpr.reconstruct(views, LONG, seen, lam=1000.0, max_iter=80).x for seen in (poses, turned)]
    assert np.abs(displacement(results[1], moved(results[0], turn))).max() < 0.1
    assert fastmpr.metrics.psnr(results[1], moved(results[0], turn)) > 35


def moved(x: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """A cube turned about its middle by a permutation of axes and signs: out(G p) = x(p)."""
    middle = (np.array(x.shape) - 1) / 2
    index = np.stack(np.meshgrid(*(np.arange(n) for n in x.shape), indexing="ij"), axis=-1) - middle
    place = np.rint(index @ matrix + middle).astype(int)  # G^-1 p
    return x[tuple(np.moveaxis(place, -1, 0))]

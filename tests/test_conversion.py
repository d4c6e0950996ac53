"""Lists of particles, and files that become files of another format."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import fastmpr
from fastmpr import FastmprWarning, Poses
from fastmpr.cli import main

VOXEL = (0.3, 0.1, 0.1)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "views").mkdir()
    for i in range(3):
        fastmpr.io.write(tmp_path / "views" / f"{i}.tif", np.full((4, 5, 6), i + 1.0), VOXEL)
    return tmp_path


def poses(unit="voxel"):
    random = Poses.random(3, max_translation=1.5, rng=0)
    return Poses(random.rotation, random.translation, names=["views/2.tif", "views/0.tif", "views/1.tif"], unit=unit)


@pytest.mark.parametrize("name", ["list.star", "list.csv", "list.poses.csv"])
def test_a_list_brings_its_files_and_poses(folder, name):
    poses().write(folder / name, shape=(4, 5, 6), voxel_size=VOXEL)
    data = fastmpr.load(folder / name)
    assert [float(view.max()) for view in fastmpr.io.open_particles(folder / name)] == [3, 1, 2]
    np.testing.assert_allclose(data.poses.matrix, poses().matrix, atol=1e-9)


def test_names_alone_are_a_list(folder):
    (folder / "list.csv").write_text("views/1.tif\nviews/0.tif\n")
    data = fastmpr.load(folder / "list.csv")
    assert (len(data), data.poses) == (2, None)


@pytest.mark.parametrize("name", ["7@stack.mrcs", "none.tif"])
def test_what_a_list_cannot_mean(folder, name):
    (folder / "list.star").write_text(f"data_particles\nloop_\n_rlnImageName\n{name}\n")
    with pytest.raises((ValueError, OSError), match=rf"list\.star: found '{name}'") as error:
        fastmpr.load(folder / "list.star")
    assert "\n" not in str(error.value)


def test_nanometres_are_suspected(folder):
    far = Poses(poses().matrix, 1000 * poses().translation * 0.3, names=poses().names, unit="um")
    far.write(folder / "far.poses.csv")
    with pytest.warns(FastmprWarning, match=r"far\.poses\.csv: found translations of .* fit if they were nanometres"):
        fastmpr.load(folder / "far.poses.csv")


def test_commands(folder, capsys):
    poses().write(folder / "a.csv")
    line = ["convert", str(folder / "a.csv"), str(folder / "b.star"), "--voxel-size", "0.3", "0.1", "0.1"]
    assert main(line) == 2  # the centre differs
    assert "need shape=" in capsys.readouterr().err
    assert main([*line, "--shape", "4", "5", "6"]) == 0
    assert main(["convert", str(folder / "views"), str(folder / "all.ome.tif")]) == 0
    image = fastmpr.io.open_particles(folder / "all.ome.tif")
    np.testing.assert_allclose(image.voxel_size, VOXEL)
    assert [float(view.max()) for view in image] == [1, 2, 3]
    assert main(["convert", str(folder / "all.ome.tif"), str(folder / "one.ome.tif"), "--frame", "1"]) == 0
    assert fastmpr.io.read(folder / "one.ome.tif")[0].max() == 2


@pytest.mark.parametrize("suffix", [".ome.tif", ".npy"])
def test_a_list_names_volumes_of_stacks(folder, suffix):
    views = np.random.default_rng(0).random((2, 3, 4, 5, 6)).astype(np.float32)
    for name, stack in zip("ab", views, strict=True):
        fastmpr.io.write_image(folder / f"{name}{suffix}", stack, "TZYX", VOXEL)
    names = [f"{k}@{name}{suffix}" for name, k in (("a", "000003"), ("b", "1"), ("a", "1"))]
    given = Poses(poses().matrix, poses().translation, names=names, unit="voxel")
    for name in ("list.star", "list.csv"):
        given.write(folder / name, shape=(4, 5, 6), voxel_size=VOXEL)
        particles = fastmpr.io.open_particles(folder / name)
        expected = [views[0, 2], views[1, 0], views[0, 0]]
        np.testing.assert_array_equal(np.stack(list(particles)), expected)
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(particles))[1], expected[1])
        data = fastmpr.load(folder / name, voxel_size=VOXEL)
        np.testing.assert_allclose(data.poses.matrix, given.matrix, atol=1e-9)
        assert particles.voxel_size == (None if suffix == ".npy" else VOXEL)


@pytest.mark.parametrize(("name", "found"), [("4@a.npy", "3 volumes"), ("0@a.npy", "3 volumes"), ("1@b.npy", "no 4-D")])
def test_a_volume_that_no_stack_has(folder, name, found):
    np.save(folder / "a.npy", np.ones((3, 4, 5, 6), np.float32))
    np.save(folder / "b.npy", np.ones((4, 5, 6), np.float32))  # it may be four planes
    (folder / "list.csv").write_text(f"{name}\n")
    with pytest.raises(ValueError, match=rf"{name[2:]}: found {found}.* need one with volume {name[0]}") as error:
        fastmpr.load(folder / "list.csv")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", [".ome.tif", ".npz"])
@pytest.mark.parametrize(("channel", "k"), [("GFP", 1), (1, 1), ("0", 0), (None, slice(None))])
@pytest.mark.parametrize("frame", [None, 1])
def test_a_channel_keeps_its_name(folder, suffix, channel, k, frame):
    image = np.random.default_rng(0).random((2, 2, 4, 5, 6)).astype(np.float32)
    about = fastmpr.io.About(("DAPI", "GFP"), (0.46, 0.51), (0.4, 0.49), 1.5)
    fastmpr.io.write_image(folder / f"a{suffix}", image, "TCZYX", VOXEL, about=about)
    fastmpr.convert(folder / f"a{suffix}", folder / f"b{suffix}", channel=channel, frame=frame)
    np.testing.assert_array_equal(
        fastmpr.io.read_image(folder / f"b{suffix}").values,
        image[slice(None) if frame is None else frame, ..., k, :, :, :],
    )
    found = fastmpr.io.read_about(folder / f"b{suffix}")
    one = slice(k, k + 1) if isinstance(k, int) else k
    assert found == (*(entries[one] for entries in about[:3]), None if frame is not None else 1.5)

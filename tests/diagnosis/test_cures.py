"""What each cure does, beside the Python that it gives to paste, and what it leaves alone."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from particles import POSES, PSF, SIZE, VIEWS, N, assert_same, data_of

import fastmpr
from fastmpr import Dataset, Poses
from fastmpr.diagnosis.cures import cures_of
from fastmpr.diagnosis.setup import Setup

NAMES = [f"{i}.tif" for i in range(N)]


def datasets(tmp_path) -> dict[str, Dataset]:
    """Data sets that cures find something else in."""
    named = Poses(POSES.rotation, POSES.translation, names=NAMES, unit="voxel", centre="n // 2")
    named.write(tmp_path / "poses.csv", shape=SIZE, voxel_size=0.1)
    named.write(tmp_path / "poses.star", shape=SIZE, voxel_size=0.1)
    return {
        "plain": Dataset(VIEWS, PSF, POSES),
        "csv": data_of(rotation=Poses.read(tmp_path / "poses.csv"), names=NAMES[::-1]),
        "star": data_of(rotation=Poses.read(tmp_path / "poses.star")),
        "symmetry": data_of(symmetry="C3", symmetry_axis=(1, 1, 0), symmetry_centre=(0, 0.1, 0)),
        "levels": data_of(background=np.linspace(0, 0.3, N), voxel_size=(0.1, 0.1, 0.1), psf_voxel_size=0.08),
        "plane": data_of(background="plane"),
        "psfs": data_of(psf=[PSF, PSF[1:-1]], psf_of=[0, 1] * (N // 2)),
        "crops": data_of(np.where(np.arange(SIZE) < 11, VIEWS, np.nan), outside="unseen"),
    }


@pytest.mark.filterwarnings("ignore:psf:fastmpr.FastmprWarning")  # of centres
def test_every_cure_does_what_its_python_does(tmp_path):
    names = set()
    for data in datasets(tmp_path).values():
        before = (data.poses, data.psfs, data.source)
        for cure in cures_of(Setup.of(data)):
            setup = cure.undo(Setup.of(data))
            scope = {"data": data, "np": np, "fastmpr": fastmpr}
            exec(cure.code, scope)
            assert_alike(setup.dataset(), scope["data"])
            assert setup.dataset().weights is not None
            assert cure.mistake
            assert "\n" not in cure.mistake
            names.add(cure.name)
        assert (data.poses, data.psfs, data.source) == before
    assert len(names) > 70


def assert_alike(data: Dataset, other: Dataset) -> None:
    """That two data sets hold the same."""
    assert data.names == other.names
    assert (data.poses.unit, data.poses.centre) == (other.poses.unit, other.poses.centre)
    np.testing.assert_allclose(data.placed.matrix, other.placed.matrix, atol=1e-12)
    np.testing.assert_allclose(data.placed.translation, other.placed.translation, atol=1e-12)
    assert all(np.array_equal(a, b) for a, b in zip(data.psfs, other.psfs, strict=True))
    assert np.array_equal(data.psf_of, other.psf_of)
    np.testing.assert_allclose(data.psf_voxel_size, other.psf_voxel_size)
    assert np.array_equal(data.background, other.background)
    assert (data.symmetry_axis, data.symmetry_centre) == (other.symmetry_axis, other.symmetry_centre)
    assert np.array_equal(data.read(1), other.read(1), equal_nan=True)


def test_what_does_not_apply_is_not_tried():
    cures = {cure.name for cure in cures_of(Setup.of(Dataset(VIEWS[:, :, 1:, 1:], PSF, POSES)))}
    assert not {"stacks' axes reversed", "t in micrometres", "t in voxels", "symmetry about y"} & cures
    assert "centre n // 2" in cures
    cures = {cure.name for cure in cures_of(Setup.of(Dataset(VIEWS[:, 1:, 1:, 1:], PSF, POSES)))}
    assert "centre n // 2" not in cures


def test_units_are_those_that_the_translations_are_not_in():
    for unit, other in (("voxel", "t in micrometres"), ("um", "t in voxels"), (None, "t in voxels")):
        cures = {cure.name for cure in cures_of(Setup.of(data_of(unit=unit)))}
        assert [name for name in cures if name in ("t in micrometres", "t in voxels")] == [other]


def test_a_cured_data_set_travels():
    """To other processes, with what its particles go through."""
    for cure in cures_of(Setup.of(data_of())):
        if cure.name in ("stacks mirrored along y", "contrast inverted"):
            data = cure.undo(Setup.of(data_of())).dataset()
            assert_same(pickle.loads(pickle.dumps(data)), data)


def test_masks_move_along_with_the_stacks():
    """What was seen of a particle, by a mask or a crop, is mirrored as it is."""
    mask = np.ones(VIEWS.shape[1:], bool)
    mask[:3] = False
    data = data_of(seen=[mask] * N)
    (cure,) = (cure for cure in cures_of(Setup.of(data)) if cure.name == "stacks mirrored along z")
    assert np.array_equal(np.isnan(cure.undo(Setup.of(data)).dataset().read(0)), ~mask[::-1])

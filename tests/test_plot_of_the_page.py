"""Figures that stand on the page of a run."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from fastmpr.plot import curves, directions, drawing, maps

CURVE = SimpleNamespace(frequency=np.linspace(0, 5, 11), correlation=np.linspace(1, 0, 11), error=np.full(11, 0.1))


def test_the_told_resolution_is_marked_among_the_thresholds():
    both = {"one": CURVE, "two": SimpleNamespace(**vars(CURVE) | {"error": None})}
    share = CURVE.frequency, np.ones(11)
    ax = curves.figure_of_fsc(both, 0.4, "µm", share).axes[0]
    assert [line.get_label() for line in ax.lines[:3]] == ["one", "two", "directions resolved"]
    assert [line.get_ydata()[0] for line in ax.lines[3:5]] == [0.5, 0.143]
    assert list(ax.lines[5].get_xdata()) == [2.5, 2.5]
    assert [text.get_text() for text in ax.texts] == ["0.5", "0.143", "0.4 µm"]
    assert len(ax.collections) == 1  # the band of the one that has errors


def test_directions_with_the_one_that_is_known_least():
    ax = directions.figure_of_directions(np.eye(3), (0.0, 1.0, 0.0)).axes[0]
    views, least = (np.asarray(one.get_offsets()) for one in ax.collections)
    assert len(views) == 3
    np.testing.assert_allclose(least, [[np.pi / 2, np.sqrt(0.5)], [-np.pi / 2, np.sqrt(0.5)]], atol=1e-12)


def test_a_resolution_is_drawn_at_both_ends_of_its_axis():
    ax, bar = directions.figure_of_cones(np.eye(3), np.array([0.3, 0.2, 0.1]), "µm").axes
    assert np.asarray(ax.collections[0].get_array()).tolist() == [0.3, 0.2, 0.1] * 2
    angle, radius = np.asarray(ax.collections[0].get_offsets()).T
    ends = np.sqrt([0, 0.5, 0.5, 1, 0.5, 0.5])  # of z, y, x, and their opposites
    np.testing.assert_allclose(radius, ends, atol=1e-12)
    assert bar.get_ylabel() == "resolution (µm)"


def test_a_map_has_one_scale_for_what_is_known():
    volume = np.full((5, 6, 7), np.nan)
    volume[2], volume[2, 3] = 0.2, 0.4
    *planes, bar = maps.figure_of_map(volume, (1.0, 1.0, 1.0), True, "here").axes
    assert {ax.images[0].get_clim() for ax in planes} == {(0.2, 0.4)}
    assert bar.get_ylabel() == "here" and len(planes[0].texts) == 1
    nothing = maps.figure_of_map(np.full((5, 6, 7), np.nan), (1.0, 1.0, 1.0), False, "here")
    assert nothing.axes[0].images[0].get_clim() == (0, 1)


def test_blocks_of_large_planes_are_averaged():
    plane = np.arange(600 * 40.0).reshape(600, 40)
    drawn = drawing._averaged(plane)
    np.testing.assert_allclose(drawn, (plane[::2] + plane[1::2]) / 2)
    small = plane[:500]
    assert drawing._averaged(small) is small


def test_intensities_of_large_volumes_are_read_from_some_voxels(monkeypatch):
    volume = np.random.default_rng(0).random((40, 40, 40))
    whole = drawing.limits_of(volume)
    monkeypatch.setattr(drawing, "_LOOKED_AT", 10_000)
    np.testing.assert_allclose(drawing.limits_of(volume), whole, atol=2e-3)

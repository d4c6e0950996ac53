"""How `diagnose` is called: what it refuses, tells and can be stopped by."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from particles import POSES, PSF, VIEWS, N, data_of

import fastmpr
from fastmpr import Dataset


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda: data_of()[:3], "particles: found 3 in use, need at least 4 to compare with one another"),
        (lambda: data_of(weights=[1, 1, 1] + [0] * (N - 3)), "particles: found 3 in use, need at least 4"),
        (lambda: Dataset(VIEWS, PSF), "poses: found none, need fastmpr.Poses"),
        (lambda: Dataset(VIEWS, poses=POSES), "psf: found none, need a PSF"),
    ],
)
def test_bad_input(data, message):
    with pytest.raises(ValueError, match="^" + message) as error:
        fastmpr.diagnose(data())
    assert "\n" not in str(error.value)


@pytest.mark.filterwarnings("ignore:particles:fastmpr.FastmprWarning")
def test_views_that_hold_nothing():
    views = VIEWS.copy()
    views[1:4] = 7
    need = r"^particles\[1\]: found one value everywhere, as in 3 of 6 views, need at least 4 that show something$"
    with pytest.raises(ValueError, match=need):
        fastmpr.diagnose(views, PSF, POSES)


def test_a_data_set_and_its_shorthand():
    (one, other) = (fastmpr.diagnose(Dataset(VIEWS, PSF, POSES)), fastmpr.diagnose(VIEWS, PSF, POSES, workers=1))
    assert [a.name for a in one if a.named] == [b.name for b in other if b.named]
    misfits, others = ({found.name: found.misfit for found in list_} for list_ in (one, other))
    assert misfits == pytest.approx(others, rel=1e-5)  # one thread sums in another order than two


def test_what_findings_say():
    found = fastmpr.diagnose(data_of(rotation=POSES.rotation.inv()))
    assert [finding.misfit for finding in found] == sorted(finding.misfit for finding in found)
    assert len({finding.name for finding in found}) == len(found) > 50
    best, given = found[0], next(finding for finding in found if finding.name == "as given")
    assert best.named
    assert not any(finding.named for finding in found[1:])
    assert best.margin == pytest.approx(given.misfit / best.misfit)
    assert best.words.startswith("it looks as if the rotations take the image to the model")
    assert best.changed == ("poses",)
    assert given.data is given.setup.given
    assert all("\n" not in finding.words for finding in found)


def test_cures_that_change_nothing_are_not_tried():
    """Without translations most of what may have become of them is the same."""
    found = fastmpr.diagnose(data_of(translation=0 * POSES.translation))
    names = {finding.name for finding in found}
    assert not {"t of other sign", "t in x, y, z", "inverted, t turned along"} & names
    (inverted,) = (finding for finding in found if finding.name == "rotations inverted")
    assert "inverted, t turned along" in inverted.ties


def test_progress_and_end():
    told = []
    fastmpr.diagnose(VIEWS, PSF, POSES, progress=lambda *args: told.append(args))
    assert [args for args in told if args[0] == "particles"] == [("particles", k, N) for k in range(1, N + 1)]
    counts = [done for what, done, total in told if what == "hypotheses" and total is None]
    assert counts == list(range(1, len(counts) + 1))
    cancel = threading.Event()
    with pytest.raises(fastmpr.Cancelled, match="^diagnose: cancelled"):
        fastmpr.diagnose(VIEWS, PSF, POSES, cancel=cancel, progress=lambda *args: cancel.set())
    with pytest.raises(fastmpr.Cancelled, match="^diagnose: stopped by the timeout"):
        fastmpr.diagnose(VIEWS, PSF, POSES, timeout=1e-6)


def test_nothing_is_logged_or_warned_of_what_is_only_tried(caplog):
    data = data_of()
    caplog.clear()
    with caplog.at_level("INFO", "fastmpr"):
        fastmpr.diagnose(data)
    assert not caplog.records


def test_intensities_of_any_size():
    """A camera's gain changes nothing, nor does double precision."""
    expected = fastmpr.diagnose(VIEWS, PSF, POSES)[0]
    for factor in (1e-9, 1e9):
        found = fastmpr.diagnose(factor * VIEWS.astype(np.float64), PSF, POSES)[0]
        assert found.name == expected.name
        assert found.misfit == pytest.approx(expected.misfit, rel=1e-3)

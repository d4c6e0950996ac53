"""A search that goes on from its checkpoint ends with the same bits, however it ended before."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from particles_alone import PSF, views_of

import fastmpr
from fastmpr import Cancelled, Dataset, FastmprWarning, Poses


def same_bits(one, other):
    for name in ("x", "scores"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()
    assert one.poses.matrix.tobytes() == other.poses.matrix.tobytes()
    assert one.poses.translation.tobytes() == other.poses.translation.tobytes()
    assert (one.lam, one.nit, one.history, one.fit, one.rounds) == (
        other.lam,
        other.nit,
        other.history,
        other.fit,
        other.rounds,
    )
    np.testing.assert_equal(one.confidence, other.confidence)


def cancelled_at(share):
    cancel = threading.Event()
    return {"progress": lambda what, done, total: cancel.set() if done >= share * total else None, "cancel": cancel}


def cancelled_after(times):
    """As `cancelled_at`, after so many calls of the progress callback: of what is computed, not read."""
    cancel, told = threading.Event(), []

    def progress(*args):
        told.append(args)
        if len(told) >= times:
            cancel.set()

    return {"progress": progress, "cancel": cancel}


@pytest.fixture(scope="module")
def data():
    views, poses = views_of(10)
    views[4] *= 1.5
    return Dataset(views, PSF, poses, weights=[1, 1, 0, 1, 2, 1, 1, 1, 1, 1], background=0.01)


@pytest.mark.parametrize("call", [fastmpr.ab_initio, fastmpr.refine])
def test_a_search_that_was_cut_short_goes_on(data, tmp_path, call):
    expected, folder = call(data), tmp_path / "c"
    with pytest.raises(Cancelled):
        call(data, checkpoint=folder, **cancelled_after(1))
    ends = 0
    while call(data, checkpoint=folder, **cancelled_after(15)).status == "cancelled":  # 9 views are aligned in a turn
        ends += 1
    assert ends >= len(expected.rounds) - 1
    told = []
    same_bits(call(data, checkpoint=folder, progress=lambda *args: told.append(args)), expected)
    assert told[-1][1] == told[-1][2]
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    same_bits(call(data, checkpoint=folder), expected)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_more_threads(data, tmp_path):
    expected = fastmpr.refine(data, workers=2)
    fastmpr.refine(data, workers=2, checkpoint=tmp_path, **cancelled_at(0.5))
    same_bits(fastmpr.refine(data, workers=2, checkpoint=tmp_path), expected)
    with pytest.raises(ValueError, match=r"of a call with workers 2 instead of 1 in .*, need the same call as before"):
        fastmpr.refine(data, workers=1, checkpoint=tmp_path)


@pytest.mark.filterwarnings("ignore:.*the particle less symmetric:fastmpr.FastmprWarning")
def test_a_symmetry_and_a_generator(data, tmp_path):
    symmetric = data[:6].replace(symmetry="C2")
    expected = fastmpr.ab_initio(symmetric, rng=np.random.default_rng([1, 2]))
    fastmpr.ab_initio(symmetric, rng=np.random.default_rng([1, 2]), checkpoint=tmp_path, **cancelled_at(0.3))
    same_bits(fastmpr.ab_initio(symmetric, rng=np.random.default_rng([1, 2]), checkpoint=tmp_path), expected)


def test_particles_that_cannot_be_used(data, tmp_path):
    particles = [data.read(i) for i in range(10)]
    particles[7] = np.full_like(particles[0], np.nan)
    spoilt = data.replace(particles=particles, background="auto")
    for _ in range(2):
        with pytest.warns(FastmprWarning, match=r"1 of 9 cannot be used .* particles\[7\]: found no seen voxel"):
            result = fastmpr.refine(spoilt, checkpoint=tmp_path)
        assert np.isnan(result.scores[[2, 7]]).all()


@pytest.fixture(scope="module")
def kept(data, tmp_path_factory):
    """The folder of a refinement that was cut short."""
    folder = tmp_path_factory.mktemp("kept")
    fastmpr.refine(data, checkpoint=folder, **cancelled_at(0.5))
    return folder


def one_voxel_differs(data):
    particles = np.array([data.read(i) if data.weights[i] else 0 * data.read(0) for i in range(10)])
    particles[9, 3, 4, 5] = np.nextafter(particles[9, 3, 4, 5], np.float32(9))
    return data.replace(particles=particles)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (one_voxel_differs, "other particles"),
        (lambda data: data.replace(psf=PSF[1:-1]), "other psf"),
        (lambda data: data.replace(poses=Poses(data.poses.rotation, data.poses.translation + 1e-9)), "other poses"),
        (lambda data: data.replace(weights=[1, 1, 0, 1, 2, 1, 1, 1, 1, 1.5]), "other weights"),
        (lambda data: data.replace(voxel_size=0.1), "other voxel_size"),
        (lambda data: data.replace(symmetry="C2"), "other symmetry"),
        (lambda data: data.replace(radius=20), "other radius"),
        (lambda data: data.replace(background=0.0), "other background"),
        (lambda data: data.replace(gain=np.full(10, 2.0)), "other gain"),
        (lambda data: data.replace(outside="unseen"), "other .*outside"),
        (lambda data: data[::-1], "other particles, other poses"),
    ],
)
def test_other_data_are_refused(data, kept, change, named):
    before = {path.name: path.read_bytes() for path in kept.iterdir()}
    with pytest.raises(ValueError, match=f"^checkpoint: found steps of a call with .*{named}.* in .*, need") as error:
        fastmpr.refine(change(data), checkpoint=kept)
    assert "\n" not in str(error.value)
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before


def test_names_and_the_way_particles_are_held_do_not_matter(data, kept):
    held = [data.read(i) if data.weights[i] else None for i in range(10)]
    other = data.replace(particles=held, names=[f"{i}.tif" for i in range(10)], thread_safe=False)
    same_bits(fastmpr.refine(other, checkpoint=kept), fastmpr.refine(data))


def test_other_calls_are_refused(data, kept, tmp_path):
    with pytest.raises(ValueError, match=r"^checkpoint: found steps of refine in .*, need steps of ab_initio"):
        fastmpr.ab_initio(data, checkpoint=kept)
    fastmpr.ab_initio(data, rng=0, checkpoint=tmp_path / "c", **cancelled_at(0.1))
    with pytest.raises(ValueError, match="of a call with other rng in"):
        fastmpr.ab_initio(data, rng=1, checkpoint=tmp_path / "c")
    with pytest.raises(ValueError, match=r"^rng: found None with checkpoint=, need a seed"):
        fastmpr.ab_initio(data, rng=None, checkpoint=tmp_path / "d")


def test_each_particle_is_read_once_more(data, tmp_path):
    class Counted(list):
        reads = 0

        def __getitem__(self, i):
            type(self).reads += 1
            return super().__getitem__(i)

    def reads(**options):
        Counted.reads = 0
        fastmpr.refine(data.replace(particles=Counted(particles)), **options)
        return Counted.reads

    particles = [np.ones(data.particle_shape) if not data.weights[i] else data.read(i) for i in range(10)]
    assert reads(checkpoint=tmp_path / "c") == reads()


PROGRAM = """
import sys
import numpy as np
import fastmpr
from particles_alone import PSF, views_of
from fastmpr.runtime import threads

threads._SHARE = 1
views, _ = views_of(10)
found = fastmpr.ab_initio(fastmpr.Dataset(views, PSF), rng=3, workers=1, checkpoint=sys.argv[1] or None)
np.savez(sys.argv[2], x=found.x, scores=found.scores, matrix=found.poses.matrix, shift=found.poses.translation)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs signals between processes")
def test_killed_at_three_random_moments(tmp_path):
    here = [str(Path(__file__).parent.parent / "helpers"), str(Path(fastmpr.__file__).parent.parent)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(here)}
    folder, rng = tmp_path / "c", np.random.default_rng()
    moments = np.sort(rng.integers(1, 14, 3)), rng.uniform(0, 0.15, 3)  # after so many files, and so many seconds

    def start(checkpoint, output):
        return subprocess.Popen([sys.executable, "-c", PROGRAM, str(checkpoint), str(output)], env=environment)

    for files, seconds in zip(*moments, strict=True):
        process = start(folder, tmp_path / "never.npz")
        while len(list(folder.glob("*.npz"))) < files and process.poll() is None:
            time.sleep(0.005)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert len(list(folder.glob("*.npz"))) >= moments[0][-1], moments
    assert start(folder, tmp_path / "resumed.npz").wait() == start("", tmp_path / "undisturbed.npz").wait() == 0
    with np.load(tmp_path / "resumed.npz") as resumed, np.load(tmp_path / "undisturbed.npz") as undisturbed:
        for name in undisturbed.files:
            assert resumed[name].tobytes() == undisturbed[name].tobytes(), (name, moments)
    assert json.loads((folder / "checkpoint.json").read_text())["call"] == "ab_initio"

"""FFTW's wisdom: kept whole or not at all, first writer first, for large grids only; without it all works as before."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pyfftw
import pytest

import fastmpr
from fastmpr.runtime import fft, wisdom
from fastmpr.runtime.threads import Team

SHAPE, OTHER = (12, 20, 16), (12, 20, 18)
TEXT = b"some wisdom\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """A folder of its own, and small grids that count as large."""
    monkeypatch.setattr(wisdom, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(wisdom, "LEAST", 1000)
    monkeypatch.setattr(fft, "_CACHED_BYTES", 0)
    return tmp_path


@pytest.fixture
def path() -> Path:
    found = wisdom.file_of(SHAPE, np.float32, 2)
    assert found is not None
    return found


def transformed(shape=SHAPE, dtype=np.float32) -> np.ndarray:
    """What an iteration's FFTs make of some noise, there and back."""
    team = Team(2)
    slab = fft.SlabFFT(shape, dtype, team)
    slab.feedback[:, :, : shape[2]] = np.random.default_rng(0).standard_normal(shape)

    def work(member):
        slab.forward_planes(member)
        team.barrier(member)
        for block in slab.blocks[member]:
            block.forward()
            block.inverse()
        team.barrier(member)
        slab.inverse_planes(member)

    team.run(work)
    return slab.image[:, : shape[1], : shape[2]].copy()


def heard(monkeypatch) -> list[bytes]:
    """All wisdom in single precision that FFTW will be given."""
    texts, learn = [], pyfftw.import_wisdom
    monkeypatch.setattr(pyfftw, "import_wisdom", lambda triple: (texts.append(triple[1]), learn(triple))[1])
    return texts


def refuse(*args, **options):
    raise AssertionError("not to be called")


class TestFile:
    def test_what_was_kept_is_loaded(self, path):
        assert wisdom.load(path) is None
        wisdom.keep(path, TEXT)
        assert wisdom.load(path) == TEXT
        assert list(path.parent.iterdir()) == [path]

    def test_the_first_writer_wins(self, path):
        wisdom.keep(path, TEXT)
        wisdom.keep(path, b"later")
        assert wisdom.load(path) == TEXT
        assert list(path.parent.iterdir()) == [path]

    @pytest.mark.parametrize(
        "damage", [lambda data: b"", lambda data: data[:-3], lambda data: data.replace(b"some", b"same")]
    )
    def test_a_damaged_file_is_none_and_is_replaced(self, path, damage):
        wisdom.keep(path, TEXT)
        path.write_bytes(damage(path.read_bytes()))
        assert wisdom.load(path) is None
        wisdom.keep(path, b"later")
        assert wisdom.load(path) == b"later"

    def test_a_file_of_another_grid_is_none(self, path):
        wisdom.keep(path, TEXT)
        other = path.rename(wisdom.file_of(OTHER, np.float32, 2))
        assert wisdom.load(other) is None

    def test_a_folder_in_its_place_is_none(self, path):
        path.mkdir()
        assert wisdom.load(path) is None

    def test_without_links_too(self, path, monkeypatch):
        def link(*names):
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", link)
        wisdom.keep(path, TEXT)
        wisdom.keep(path, b"later")
        assert wisdom.load(path) == TEXT
        assert list(path.parent.iterdir()) == [path]

    def test_a_full_disk_leaves_nothing_behind(self, path, monkeypatch):
        def write_bytes(self, data):
            self.touch()
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", write_bytes)
        with pytest.raises(OSError, match="No space left"):
            wisdom.keep(path, TEXT)
        assert list(path.parent.iterdir()) == []

    def test_threads_that_write_at_once_leave_one_whole_file(self, path):
        texts = [bytes([65 + k]) * 100_000 for k in range(8)]
        seen = []
        writers = [
            threading.Thread(target=lambda t=text: (wisdom.keep(path, t), seen.append(wisdom.load(path))))
            for text in texts
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert len(seen) == 8
        assert set(seen) == {wisdom.load(path)} <= set(texts)


class TestKey:
    def test_each_has_a_file_of_its_own(self):
        grids = [(SHAPE, np.float32, 2), (SHAPE, np.float64, 2), (SHAPE, np.float32, 1), (OTHER, np.float32, 2)]
        assert len({wisdom.file_of(*grid) for grid in grids}) == 4

    @pytest.mark.parametrize("fact", ["fftw_version", "fftw_cc", "simd_alignment"])
    def test_so_has_each_build(self, path, monkeypatch, fact):
        monkeypatch.setattr(pyfftw, fact, "another", raising=False)
        wisdom._build.cache_clear()
        try:
            assert wisdom.file_of(SHAPE, np.float32, 2) != path
        finally:
            wisdom._build.cache_clear()

    def test_small_grids_and_no_folder_have_none(self, monkeypatch):
        assert wisdom.file_of((9, 11, 10), np.float32, 2) is None
        monkeypatch.setattr(wisdom, "cache_folder", lambda: None)
        assert wisdom.file_of(SHAPE, np.float32, 2) is None

    def test_small_is_below_a_million(self, monkeypatch):
        monkeypatch.undo()
        assert wisdom.LEAST == 1_000_000


class TestMeasured:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_plans_come_from_the_file_with_the_same_bits(self, dtype):
        plain = transformed(dtype=dtype)
        fft.measure_plans(SHAPE, dtype, 2)
        text = wisdom.load(wisdom.file_of(SHAPE, dtype, 2))
        assert b"codelet" in text
        first = transformed(dtype=dtype)
        np.testing.assert_array_equal(transformed(dtype=dtype), first)
        np.testing.assert_allclose(first, plain, rtol=0, atol=1e-4 * plain.max())

    def test_in_another_process_too(self, folder):
        fft.measure_plans(SHAPE, np.float32, 2)
        code = (
            "import pathlib, sys\nimport test_wisdom\nfrom fastmpr.runtime import fft, wisdom\nfft._CACHED_BYTES = 0\n"
            f"wisdom.cache_folder, wisdom.LEAST = lambda: pathlib.Path({str(folder)!r}), 1000\n"
            "sys.stdout.buffer.write(test_wisdom.transformed().tobytes())"
        )
        here = Path(__file__).parent
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=here)
        assert done.stdout == transformed().tobytes()

    def test_it_is_what_was_kept_that_counts(self, path, monkeypatch):
        fft.measure_plans(SHAPE, np.float32, 2)
        texts = heard(monkeypatch)
        transformed()
        assert texts[0] == wisdom.load(path)
        assert len(texts) == 2  # and then what had been known before

    def test_every_plan_is_in_it(self, path, monkeypatch):
        """FFTW adds to what it knows whatever it had to plan itself."""
        fft.measure_plans(SHAPE, np.float32, 2)
        known, forget = [], pyfftw.forget_wisdom
        monkeypatch.setattr(pyfftw, "forget_wisdom", lambda: (known.append(pyfftw.export_wisdom()[1]), forget()))
        fft.SlabFFT(SHAPE, np.float32, Team(2))
        assert sorted(known[1].split(b"\n")) == sorted(wisdom.load(path).split(b"\n"))

    def test_what_is_kept_is_not_measured_again(self, path, monkeypatch):
        wisdom.keep(path, TEXT)
        monkeypatch.setattr(fft, "SlabFFT", refuse)
        fft.measure_plans(SHAPE, np.float32, 2)
        assert wisdom.load(path) == TEXT

    def test_small_grids_are_not_measured(self, folder, monkeypatch):
        monkeypatch.setattr(fft, "SlabFFT", refuse)
        fft.measure_plans((9, 11, 10), np.float32, 2)
        assert list(folder.iterdir()) == []

    def test_what_the_host_knows_stays_and_has_no_part_in_it(self):
        known = pyfftw.export_wisdom()
        fft.measure_plans(SHAPE, np.float32, 2)
        fft.SlabFFT(SHAPE, np.float32, Team(2))
        after = pyfftw.export_wisdom()
        assert [set(a.split(b"\n")) - set(b.split(b"\n")) for a, b in zip(after, known, strict=True)] <= [set()] * 3

    def test_small_grids_keep_their_bits(self):
        small = (3, *SHAPE[1:])
        before = transformed(small)
        fft.measure_plans(SHAPE, np.float32, 2)
        transformed()
        np.testing.assert_array_equal(transformed(small), before)

    def test_also_where_planning_fails(self, monkeypatch):
        known = pyfftw.export_wisdom()
        with fft._PLANNING, pytest.raises(ZeroDivisionError):
            wisdom.gather(np.float32, lambda: 1 / 0)
        assert set(pyfftw.export_wisdom()[0].split(b"\n")) >= set(known[0].split(b"\n"))

    def test_two_processes_that_measure_at_once(self, folder, path):
        code = (
            "import pathlib, numpy\nfrom fastmpr.runtime import fft, wisdom\n"
            f"wisdom.cache_folder, wisdom.LEAST = lambda: pathlib.Path({str(folder)!r}), 1000\n"
            f"fft.measure_plans({SHAPE}, numpy.float32, 2)"
        )
        both = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
        assert [process.wait(timeout=120) for process in both] == [0, 0]
        assert list(folder.iterdir()) == [path]
        assert wisdom.load(path) is not None


def sums(shape=SHAPE) -> fastmpr.NormalEquations:
    gram = np.ones(fft.half_shape(shape), np.float32)
    return fastmpr.NormalEquations(gram, gram.astype(np.complex64), 1.0, 1, shape, 1.0)


class TestSolve:
    @pytest.fixture(autouse=True)
    def never_measured(self, monkeypatch):
        plan = pyfftw.FFTW

        def estimated(*args, flags, **options):
            assert flags == ("FFTW_ESTIMATE",)
            return plan(*args, flags=flags, **options)

        monkeypatch.setattr(pyfftw, "FFTW", estimated)

    def solved(self) -> np.ndarray:
        return fastmpr.solve(sums(), 1.0, max_iter=3, workers=2).x

    @pytest.mark.parametrize(
        "text",
        [
            b"",
            b"no wisdom at all",
            b"(fftw-3.1.2 fftwf_wisdom #x00000000 #x00000000 #x00000000 #x00000000\n)\n",
            b"(fftw-3.3.5 fftwf_wisdom #x706526c0",
        ],
    )
    def test_a_sound_file_of_wisdom_that_fftw_refuses(self, path, text):
        plain = self.solved()
        wisdom.keep(path, text)
        np.testing.assert_array_equal(self.solved(), plain)

    def test_wisdom_on_other_problems(self, path, monkeypatch):
        plain = self.solved()
        with fft._PLANNING:
            array = pyfftw.zeros_aligned(16, np.complex64)
            found = wisdom.gather(np.float32, lambda: pyfftw.FFTW(array, array, flags=("FFTW_ESTIMATE",)))
        wisdom.keep(path, found)
        np.testing.assert_array_equal(self.solved(), plain)

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a folder that refuses even root: /proc")
    def test_a_folder_that_cannot_be_written(self, monkeypatch):
        plain = self.solved()
        monkeypatch.setattr(wisdom, "cache_folder", lambda: Path("/proc"))
        np.testing.assert_array_equal(self.solved(), plain)

    def test_a_folder_that_is_gone(self, monkeypatch, tmp_path):
        plain = self.solved()
        monkeypatch.setattr(wisdom, "cache_folder", lambda: tmp_path / "nowhere")
        np.testing.assert_array_equal(self.solved(), plain)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_of_a_process_that_measures_can_plan():
    measuring = threading.Thread(target=fft.measure_plans, args=((16, 24, 25), np.float32, 2))
    measuring.start()
    child = os.fork()
    if child == 0:
        transformed()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    measuring.join()
    assert status == 0

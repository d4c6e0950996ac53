"""Commands that end before their work is done: what they write, and what their exit status says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import tifffile
from commands import SHAPE, arguments, change, files
from stacks import blurred

import fastmpr
from fastmpr import io
from fastmpr.cli import _ending, main
from fastmpr.cli._ending import Ending, Interrupted, handled
from fastmpr.io import read_image

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
ENDLESS = {"max_iter": 10**6, "tol": 1e-12}
STACK = ["--psf", "psf.tif", "--lam", "10", "--max-iter", "1000000", "--tol", "1e-12"]


@pytest.fixture
def at_iteration(monkeypatch):
    """Have something happen at an iteration of every reconstruction and deconvolution."""

    def set_up(nit: int, happen) -> None:
        def meddled(call):
            def called(*given, **options):
                return call(*given, **options, callback=lambda result: happen() if result.nit == nit else None)

            return called

        for name in ("reconstruct", "deconvolve"):
            monkeypatch.setattr(fastmpr, name, meddled(getattr(fastmpr, name)))

    return set_up


@pytest.fixture
def an_hour_passes(monkeypatch):
    """Set the clock forward."""
    clock = time.monotonic
    return lambda: monkeypatch.setattr(time, "monotonic", lambda: clock() + 3600)


class TestReconstruct:
    def test_what_has_not_converged(self, views, capsys):
        assert main(arguments(views, tol=1e-9)) == 3
        assert capsys.readouterr().err.startswith("fastmpr: warning: stopped at max_iter = 3 iterations, residuals")
        assert io.read(views / "out.ome.tif")[0].shape == SHAPE
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", fastmpr.FastmprWarning)  # of the fit
            assert main(arguments(views, overwrite=True, max_iter=1000, tol=1e-2)) == 0
        assert main(arguments(views, overwrite=True, tol=0)) == 0  # all iterations were asked for
        assert "warning" not in capsys.readouterr().err

    def test_a_timeout(self, views, capsys, at_iteration, an_hour_passes):
        at_iteration(4, an_hour_passes)
        assert main(arguments(views, timeout=1800, **ENDLESS)) == 3
        found = json.loads((views / "out.json").read_text())["found"]
        assert (found["nit"], found["status"], found["success"]) == (5, "timeout", False)
        assert found["message"] in capsys.readouterr().err
        assert io.read(views / "out.ome.tif")[0].max() > 0

    def test_a_timeout_before_there_is_a_volume(self, views, capsys):
        before = files(views)
        assert main(arguments(views, timeout=1e-6)) == 2
        said = capsys.readouterr().err
        assert said.startswith("fastmpr: error: --timeout: found 1e-06 seconds, which end before there is a volume (")
        assert said.count("\n") == 1
        assert files(views) == before

    @BOTH
    def test_a_signal(self, views, capsys, at_iteration, number):
        options = {"lam": 10, "max_iter": 5, "tol": 0, "check": False}
        paths = (views / "particles", views / "psf.tiff", views / "poses.csv")
        expected = fastmpr.reconstruct(fastmpr.load(*paths), **options).x
        before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
        at_iteration(4, lambda: signal.raise_signal(number))
        assert main(arguments(views, **ENDLESS)) == 128 + number
        assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before
        found = json.loads((views / "out.json").read_text())["found"]
        assert (found["nit"], found["status"], found["success"]) == (5, "cancelled", False)
        word = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}[number]
        assert capsys.readouterr().err.splitlines() == [f"fastmpr: warning: {found['message']}", f"fastmpr: {word}"]
        np.testing.assert_allclose(io.read(views / "out.ome.tif")[0], expected, atol=1e-5 * expected.max())

    @BOTH
    def test_a_signal_before_there_is_a_volume(self, views, capsys, monkeypatch, number):
        before, accumulate = files(views), fastmpr.reconstruct

        def signalled(data, **options):
            signal.raise_signal(number)
            return accumulate(data, **options)

        monkeypatch.setattr(fastmpr, "reconstruct", signalled)
        assert main(arguments(views)) == 128 + number
        assert files(views) == before

    @BOTH
    def test_a_signal_while_files_are_read(self, views, monkeypatch, number):
        monkeypatch.setattr(fastmpr, "load", lambda *args, **options: signal.raise_signal(number))
        assert main(arguments(views)) == 128 + number

    def test_a_signal_too_late_undoes_nothing(self, views, monkeypatch):
        def late(*args, _call=tifffile.imwrite, **options):
            signal.raise_signal(signal.SIGTERM)
            return _call(*args, **options)

        monkeypatch.setattr(tifffile, "imwrite", late)
        assert main(arguments(views)) == 0
        assert io.read(views / "out.ome.tif")[0].shape == SHAPE

    def test_in_another_thread_signals_stay_the_callers(self, views):
        status = []
        thread = threading.Thread(target=lambda: status.append(main(arguments(views))))
        thread.start()
        thread.join()
        assert status == [0]


PROGRAM = """
import os, signal, sys
import fastmpr
from fastmpr.cli import main
call = fastmpr.reconstruct
number = int(sys.argv[1])
def end(result):
    if result.nit == 4:
        os.kill(os.getpid(), number)
fastmpr.reconstruct = lambda data, **options: call(data, callback=end, **options)
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.skipif(os.name != "posix", reason="needs signals between processes")
@BOTH
def test_a_process_that_gets_a_signal_leaves_a_readable_volume(views, number):
    line = [sys.executable, "-c", PROGRAM, str(int(number)), *arguments(views, **ENDLESS)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 128 + number, done.stderr
    assert io.read(views / "out.ome.tif")[0].max() > 0
    assert not list(views.glob("*.part"))


class TestDeconvolve:
    def test_what_has_not_converged(self, folder, capsys):
        line = ["cell.tif", "--psf", "psf.tif", "-o", "sharp.ome.tif", "--lam", "10", "--max-iter", "3"]
        assert main(["deconvolve", *line]) == 3
        warning = "cell.tif: found not converged after 3 iterations, need more (--max-iter), or a larger --tol"
        assert capsys.readouterr().err == f"fastmpr: warning: {warning}\n"
        kept = json.loads(Path("sharp.json").read_text())
        assert kept["warnings"] == [warning]
        assert kept["found"][0]["status"] == "max_iter"

    @BOTH
    def test_a_signal(self, folder, capsys, at_iteration, number):
        options = {"lam": 10, "max_iter": 5, "tol": 0, "voxel_size": (0.3, 0.1, 0.1)}
        expected = fastmpr.deconvolve(blurred(1), read_image("psf.tif").values, **options)
        at_iteration(4, lambda: signal.raise_signal(number))
        assert main(["deconvolve", "a.tif", "b.tif", *STACK, "-o", "out"]) == 128 + number
        assert files(folder / "out") == {"a.ome.tif", "a.json"}  # the volume so far; the second is not begun
        np.testing.assert_allclose(read_image("out/a.ome.tif").values, expected, atol=1e-4 * expected.max())

    def test_a_timeout(self, folder, at_iteration, an_hour_passes):
        at_iteration(4, an_hour_passes)
        assert main(["deconvolve", "cell.tif", *STACK, "-o", "sharp.ome.tif", "--timeout", "1800"]) == 3
        assert json.loads(Path("sharp.json").read_text())["found"][0]["nit"] == 5

    def test_a_timeout_before_the_last_image(self, folder, capsys, at_iteration, an_hour_passes):
        at_iteration(4, an_hour_passes)
        assert main(["deconvolve", "a.tif", "b.tif", *STACK, "-o", "out", "--timeout", "1800"]) == 2
        assert files(folder / "out") == {"a.ome.tif", "a.json"}
        assert "--timeout: found 1800 seconds" in capsys.readouterr().err

    def test_frames_of_which_nothing_was_seen_are_no_failure(self, folder):
        movie = np.array([blurred(k) for k in range(2)], np.float32)
        movie[0] = np.nan
        change(Path("cell.tif"), movie, ome=True, metadata={"axes": "TZYX"})
        line = ["cell.tif", "--psf", "psf.tif", "--psf-voxel-size", "1", "1", "1", "--voxel-size", "1", "1", "1"]
        assert main(["deconvolve", *line, "-o", "sharp.ome.tif", "--lam", "1", "--tol", "0.1"]) == 0


class TestEnding:
    def test_a_second_interrupt_ends_at_once_and_a_passed_on_one_does_not(self, monkeypatch):
        with Ending(None) as ending:
            assert not ending.is_set()
            for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
                signal.raise_signal(number)
            assert ending.is_set()
            now = time.monotonic() + 2 * _ending._TWICE
            monkeypatch.setattr(time, "monotonic", lambda: now)
            signal.raise_signal(signal.SIGTERM)  # from now on too, such as by `timeout`
            with pytest.raises(Interrupted):
                signal.raise_signal(signal.SIGINT)

    def test_the_time_that_is_left(self):
        assert Ending(None).left is None
        assert 99 < Ending(100).left <= 100
        assert 0 < Ending(1e-9).left < 1

    def test_signals_that_are_ignored_stay_so(self):
        before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            with handled(lambda number, frame: pytest.fail(f"{number}"), signal.SIGTERM):
                signal.raise_signal(signal.SIGTERM)
        finally:
            signal.signal(signal.SIGTERM, before)

    def test_help_tells_of_it(self, capsys):
        for command in ("reconstruct", "deconvolve"):
            with pytest.raises(SystemExit):
                main([command, "--help"])
            out = capsys.readouterr().out
            assert "--timeout SECONDS" in out
            assert "exit status: 0 when done" in out

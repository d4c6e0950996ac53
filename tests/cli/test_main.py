from __future__ import annotations

import os
import subprocess
import sys

import pytest
from commands import arguments

from fastmpr import cli
from fastmpr.cli import main


class TestHelp:
    @pytest.mark.parametrize("command", ["demo", "simulate", "reconstruct", "deconvolve", "convert", "info", "warmup"])
    def test_shows_an_example(self, capsys, command):
        with pytest.raises(SystemExit) as stop:
            main([command, "--help"])
        assert stop.value.code == 0
        out = capsys.readouterr().out
        assert f"example:\n  fastmpr {command}" in out
        example = out.split("example:\n")[1].strip().splitlines()
        for line in example:  # each example is one that the parser takes
            cli._parser().parse_args(line.split()[1:])

    def test_as_a_module(self):
        run = subprocess.run([sys.executable, "-m", "fastmpr", "dance"], capture_output=True, text=True, check=False)
        assert run.returncode == 2
        assert run.stderr.count("\n") == 1
        assert "dance" in run.stderr


class TestOutput:
    """Once the volume is written, nothing that happens to words makes it a failure."""

    def run(self, views, output, **options):
        line = [sys.executable, "-m", "fastmpr", *arguments(views, output=output)]
        return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)

    def test_letters_that_the_terminal_does_not_know(self, views):
        output = views / "volumé.ome.tif"
        process = self.run(views, output, env=os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
        out, err = process.communicate()
        assert (process.returncode, output.exists()) == (0, True), err
        assert b"volum\\xe9.ome.tif: 15 x 16 x 18 voxels" in out

    def test_a_reader_who_has_gone(self, views):
        output = views / "volume.ome.tif"
        with self.run(views, output) as process:
            process.stdout.close()
            err = process.stderr.read()
        assert (process.returncode, output.exists()) == (0, True), err
        assert b"Exception" not in err

    @pytest.mark.parametrize("stream", ["stdout", "stderr"])
    def test_a_stream_that_was_closed_before(self, views, stream):
        output = views / "volume.ome.tif"
        line = [sys.executable, "-m", "fastmpr", *arguments(views, output=output)]
        closed = {"stdout": ">&-", "stderr": "2>&-"}[stream]
        shell = subprocess.run(["sh", "-c", f'"$@" {closed}', "sh", *line], check=False, capture_output=True)
        assert (shell.returncode, output.exists()) == (0, True), shell.stderr

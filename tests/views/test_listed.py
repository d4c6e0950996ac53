"""Pose files and lists of particles as people have them: forms that mean the same, and mistakes, each told in one line."""

from __future__ import annotations

import numpy as np
import pytest

import fastmpr
from fastmpr import FastmprWarning, Poses
from fastmpr.cli import main

VOXEL = (0.1, 0.1, 0.1)
SHAPE = (5, 7, 9)
KINDS = ("p.star", "p.csv", "p.poses.csv")  # RELION's, SPFluo's and our own
NAMES = ("views/2.npz", "views/0.npz", "views/1.npz")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "views").mkdir()
    for i in range(3):
        fastmpr.io.write(tmp_path / "views" / f"{i}.npz", np.full(SHAPE, i + 1.0), VOXEL)
    return tmp_path


def write(folder, kind, names=NAMES, times=1.0):
    """Write poses whose translations are of 0.1 micrometres or so, which are then multiplied."""
    drawn = Poses.random(3, max_translation=1.0, rng=0)
    unit = "voxel" if kind == "p.csv" else "um"
    translation = times * drawn.translation * (1 if unit == "voxel" else VOXEL[0])
    poses = Poses(drawn.rotation, translation, names=names, unit=unit)
    poses.write(folder / kind, shape=SHAPE, voxel_size=VOXEL, overwrite=True)
    return poses


def loads(folder, kind):
    """The ways in which a file of poses comes to a data set: as the list of its particles, or beside their folder."""
    return [lambda: fastmpr.load(folder / kind), lambda: fastmpr.load(folder / "views", poses=folder / kind)]


FORMS = {
    "a byte order mark": lambda text: "\ufeff" + text,
    "Windows line ends": lambda text: text.replace("\n", "\r\n"),
    "both, and empty lines at the end": lambda text: "\ufeff" + text.replace("\n", "\r\n") + "\r\n\r\n",
    "semicolons": lambda text: text.replace(",", ";"),
    "blanks": lambda text: text.replace(",", " , "),
}


@pytest.mark.parametrize(
    ("kind", "form"),
    [(kind, form) for kind in KINDS for form in FORMS if kind != "p.star" or form not in ("semicolons", "blanks")],
)
def test_forms_that_mean_the_same(folder, kind, form):
    given = write(folder, kind)
    expected = [load().poses for load in loads(folder, kind)]
    text = (folder / kind).read_text()
    (folder / kind).write_bytes(FORMS[form](text).encode())
    for load, poses, order in zip(loads(folder, kind), expected, ([2, 0, 1], [0, 1, 2]), strict=True):
        data = load()
        assert [float(view.max()) for view in data.source.particles] == [i + 1 for i in order]
        places = [given.names.index(f"views/{i}.npz") for i in order]
        np.testing.assert_allclose(data.poses.matrix, given.matrix[places], atol=1e-9)
        np.testing.assert_array_equal(data.poses.matrix, poses.matrix)
        np.testing.assert_array_equal(data.poses.translation, poses.translation)


def without_a_column(text):
    """Take away the last column of a table with commas, or the title of one of RELION's angles."""
    lines = text.rstrip("\n").split("\n")
    if "," not in lines[-1]:
        return text.replace("_rlnAngleTilt", "_rlnTilt")
    return "\n".join(line.rpartition(",")[0] if "," in line else line for line in lines)


def with_nan(text):
    """Replace the first number of the last row."""
    head, last = text.rstrip("\n").rsplit("\n", 1)
    mark = "," if "," in last else " "
    name, _, *others = last.split(mark)
    return f"{head}\n{mark.join([name, 'nan', *others])}\n"


# what is changed in the text of a file, and what is said; the file or "poses" is named
WRONG = {
    "a missing column": (without_a_column, "found no column|found the header"),
    "NaN": (with_nan, "found 'nan'"),
    "a name twice": (lambda text: text.replace("views/1", "views/0"), r"'views/0\.npz' (again|twice)"),
    "a name of no particle": (lambda text: text.replace("views/1", "views/7"), r"views/(7|1)\.npz'"),
}


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("kind", KINDS)
def test_mistakes_are_refused_in_one_line(folder, kind, what, capsys):
    spoil, message = WRONG[what]
    write(folder, kind)
    text = (folder / kind).read_text()
    assert spoil(text) != text
    (folder / kind).write_text(spoil(text))
    for load in loads(folder, kind):
        with pytest.raises((ValueError, OSError), match=message) as error:
            load()
        assert "\n" not in str(error.value)
        assert str(folder / kind) in str(error.value) or str(error.value).startswith("poses: ")
    line = ["reconstruct", str(folder / kind), "--psf", str(folder / "views/0.npz"), "-o", str(folder / "x.ome.tif")]
    assert main(line) == 2
    said = capsys.readouterr().err
    assert said.startswith("fastmpr: error: ") and said.count("\n") == 1
    assert not (folder / "x.ome.tif").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_nanometres_are_suspected(folder, kind):
    write(folder, kind, times=100 if kind == "p.csv" else 1000)
    for load in loads(folder, kind):
        with pytest.warns(FastmprWarning, match=rf"{kind}: found translations of .* fit if they were nanometres"):
            load()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("given", [None, VOXEL])
def test_particles_of_several_voxel_sizes(folder, kind, given):
    write(folder, kind)
    fastmpr.io.write(folder / "views" / "1.npz", np.ones(SHAPE), 0.2, overwrite=True)
    data = fastmpr.load(folder / kind, voxel_size=given)
    with pytest.raises(ValueError, match=r"1\.npz: found voxel size \(0\.2, 0\.2, 0\.2\)") as error:
        list(data.source.particles)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", KINDS)
def test_what_systems_leave_behind_is_no_particle(folder, kind):
    for left in (".DS_Store", "Thumbs.db", "desktop.ini", "._0.npz", "._1.npz"):
        (folder / "views" / left).write_bytes(b"nothing of ours")
    write(folder, kind)
    assert len(fastmpr.load(folder / "views", poses=folder / kind)) == 3

"""A folder of steps: read as they were written, refused by other calls, and never a reason for a run to end."""

import os
import re

import numpy as np
import pytest

from fastmpr import FastmprWarning
from fastmpr.io.checkpoints import Checkpoint, digest

OF = {"call": "example", "data": digest([1.0, 2.0]), "workers": "2"}


def arrays():
    rng = np.random.default_rng(0)
    return {"x": rng.random((3, 4, 5)).astype(np.float32), "scores": np.array([1.0, np.nan]), "lam": np.array(0.1)}


def never():
    raise AssertionError("computed again")


def files(folder):
    return sorted(path for path in folder.iterdir() if path.suffix == ".npz")


def test_a_step_is_read_as_it_was_computed(tmp_path):
    written = Checkpoint(tmp_path / "new", OF).step("one", arrays)
    read = Checkpoint(tmp_path / "new", OF).step("one", never)
    assert read.keys() == written.keys()
    for name, array in written.items():
        assert (read[name].dtype, read[name].shape) == (array.dtype, array.shape)
        assert read[name].tobytes() == array.tobytes()


def test_without_a_folder_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Checkpoint(None, OF).step("one", arrays).keys() == arrays().keys()
    assert not list(tmp_path.iterdir())


def test_steps_have_files_of_their_own(tmp_path):
    checkpoint = Checkpoint(tmp_path, OF)
    for k in range(3):
        checkpoint.step(f"step-{k}", lambda k=k: {"k": np.array(k)})
    assert [int(checkpoint.step(f"step-{k}", never)["k"]) for k in range(3)] == [0, 1, 2]
    assert not list(tmp_path.glob("*.part"))


def test_an_error_in_a_step_leaves_no_file(tmp_path):
    with pytest.raises(AssertionError, match="computed again"):
        Checkpoint(tmp_path, OF).step("one", never)
    assert not files(tmp_path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"call": "other"}, "found steps of example in {}, need steps of other, or another folder"),
        ({"data": digest([1.0, 3.0])}, "found steps of a call with other data in {}, need the same call as before"),
        ({"workers": "4"}, "found steps of a call with workers 2 instead of 4 in {}, need the same call"),
        ({"more": "yes"}, "found steps of a call with more none instead of yes in {}"),
    ],
)
def test_another_call_is_refused_and_changes_nothing(tmp_path, change, told):
    Checkpoint(tmp_path, OF).step("one", arrays)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match="^checkpoint: " + re.escape(told.format(tmp_path))) as error:
        Checkpoint(tmp_path, OF | change)
    assert "\n" not in str(error.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("package", ["fastmpr", "numpy"])
def test_another_version_is_refused(tmp_path, package):
    about = tmp_path / "checkpoint.json"
    Checkpoint(tmp_path, OF)
    about.write_text(re.sub(rf'("{package}": )".*"', r'\1"0.0"', about.read_text()))
    with pytest.raises(ValueError, match=f"of a call with {package} 0.0 instead of"):
        Checkpoint(tmp_path, OF)


def test_a_folder_of_other_files_is_refused(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"sun")
    with pytest.raises(ValueError, match=r"^checkpoint: found holiday.jpg in .*, need an empty or a new folder"):
        Checkpoint(tmp_path, OF)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"call": 1}', "\x00\x01"])
def test_a_folder_with_a_damaged_description_is_refused(tmp_path, text):
    (tmp_path / "checkpoint.json").write_text(text)
    with pytest.raises(
        ValueError, match=r"^checkpoint: found a damaged .*checkpoint.json, need an empty or a new folder"
    ):
        Checkpoint(tmp_path, OF)


@pytest.mark.parametrize("name", ["a_file", "no/such/folder"])
def test_a_folder_that_cannot_be_is_refused(tmp_path, name):
    (tmp_path / "a_file").write_text("")
    with pytest.raises(OSError, match=name) as error:
        Checkpoint(tmp_path / name, OF)
    assert "\n" not in str(error.value)


def damaged(whole):
    other = bytearray(whole)
    other[len(whole) // 2] ^= 255
    return [b"", whole[:10], whole[: len(whole) // 2], whole[:-1], bytes(other), b"something else"]


@pytest.mark.parametrize("which", range(6))
def test_a_damaged_file_is_computed_again(tmp_path, which):
    Checkpoint(tmp_path, OF).step("one", arrays)
    (path,) = files(tmp_path)
    path.write_bytes(damaged(path.read_bytes())[which])
    with pytest.warns(FastmprWarning, match=rf"{path.name}: found a damaged file, .* this step is computed again"):
        again = Checkpoint(tmp_path, OF).step("one", arrays)
    assert again["x"].tobytes() == arrays()["x"].tobytes()
    assert Checkpoint(tmp_path, OF).step("one", never)["x"].shape == (3, 4, 5)


@pytest.mark.parametrize("make", ["another step", "an array", "a pickle"])
def test_a_file_of_something_else_is_computed_again(tmp_path, make):
    checkpoint = Checkpoint(tmp_path, OF)
    checkpoint.step("one", arrays)
    (path,) = files(tmp_path)
    if make == "another step":
        checkpoint.step("two", lambda: {"x": np.zeros(2)})
        path.write_bytes(next(each for each in files(tmp_path) if each != path).read_bytes())
    else:
        with open(path, "wb") as file:
            np.save(file, np.zeros(3) if make == "an array" else np.array([{}, 1], object), allow_pickle=True)
    with pytest.warns(FastmprWarning, match="this step is computed again"):
        assert Checkpoint(tmp_path, OF).step("one", arrays)["x"].shape == (3, 4, 5)


def test_a_full_disk_is_told_once_and_the_call_goes_on(tmp_path, monkeypatch):
    checkpoint = Checkpoint(tmp_path, OF)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns(FastmprWarning, match="No space left on device.* no further step is kept") as told:
        for name in ("one", "two", "three"):
            assert checkpoint.step(name, arrays)["x"].shape == (3, 4, 5)
    assert len(told) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.json"]


def test_digests_tell_values_apart():
    values = [
        None,
        0,
        0.0,
        "0",
        [],
        [0],
        [[0]],
        {"0": 0},
        True,
        "",
        "None",
        ["a", "b"],
        ["ab"],
        np.zeros(1),
        np.zeros(2),
    ]
    values += [
        np.zeros(1, np.float32),
        np.zeros((1, 1)),
        np.array(0.0),
        np.array([-0.0]),
        np.array([0]),
        np.array([np.nan]),
    ]
    assert len({digest(value) for value in values}) == len(values)
    assert digest(np.arange(6).reshape(2, 3).T) == digest(np.arange(6).reshape(2, 3).T.copy())
    assert digest("\ud800") != digest("\ud801")
    with pytest.raises(TypeError, match="value: found object"):
        digest(object())

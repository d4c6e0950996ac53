"""Right calls of Poses, Dataset, NormalEquations and of what they can do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from calls.common import (
    FOLDER,
    SEEDS,
    SHAPES,
    SIZES,
    SUMS,
    VOXELS,
    Call,
    are_sums,
    dataset,
    is_dataset,
    is_number,
    is_poses,
    poses_of,
    views,
)
from hypothesis import strategies as st

from fastmpr import Dataset, NormalEquations, Poses


@st.composite
def make_poses(draw) -> Call:
    n = draw(st.integers(1, 5))
    poses = draw(poses_of(n))
    rotation = draw(st.sampled_from([poses.rotation, poses.matrix, poses.matrix.tolist(), poses.matrix.astype("f4")]))
    translation = draw(st.sampled_from([None, poses.translation, poses.translation.tolist(), np.zeros((n, 3), int)]))
    arguments = {
        "rotation": rotation,
        "translation": translation,
        "names": poses.names,
        "unit": draw(st.sampled_from([None, "voxel", "um", "nm", "A"])),
        "centre": poses.centre,
        "two_fold": draw(st.sampled_from(["y", "x"])),
    }

    def check(made: Any, given: dict[str, Any]) -> None:
        is_poses(made, len(made))

    return Call(Poses, arguments, check)


@st.composite
def random_poses(draw) -> Call:
    arguments = {
        "n": draw(SIZES),
        "max_translation": draw(st.sampled_from([0, 1.5, np.float32(2)])),
        "rng": draw(SEEDS),
    }

    def check(poses: Any, given: dict[str, Any]) -> None:
        is_poses(poses, int(given["n"]))
        assert np.abs(poses.translation).max() <= float(given["max_translation"])

    return Call(Poses.random, arguments, check)


@st.composite
def indexed_poses(draw) -> Call:
    n = draw(st.integers(1, 5))
    poses = draw(poses_of(n))
    index = draw(
        st.one_of(st.integers(-n, n - 1), *map(st.just, ([0], slice(None), np.ones(n, bool), np.array([-1, 0]))))
    )

    def check(some: Any, given: dict[str, Any]) -> None:
        is_poses(some, len(some))

    return Call(lambda index: poses[index], {"index": index}, check, also=(IndexError,))


@st.composite
def changed_poses(draw) -> Call:
    """The methods of Poses that return other Poses."""
    n = draw(st.integers(1, 5))
    poses, voxel = draw(poses_of(n)), draw(VOXELS)
    if poses.names is None:
        poses = Poses(poses.matrix, poses.translation, names=[f"{i}" for i in range(n)])

    def check(other: Any, given: dict[str, Any]) -> None:
        is_poses(other, len(other))

    calls = {
        poses.symmetrized: {
            "symmetry": draw(st.sampled_from(["C1", "C3", "D2", "D5"])),
            "symmetry_axis": draw(st.sampled_from([None, (0, 2, 0), (1, -1, 1)])),
            "symmetry_centre": draw(st.sampled_from([None, (0.5, 0, -1)])),
        },
        poses.moved: {
            "rotation": draw(st.sampled_from([None, np.eye(3), poses.rotation[0], poses.matrix[:1]])),
            "shift": draw(st.sampled_from([None, (1, -2.5, 0), np.ones(3, "f4")])),
        },
        poses.in_unit_of: {"voxel_size": draw(st.sampled_from([None, (0.3, 0.1, 0.1), (1, 1, 1)]))},
        poses.about_middle: {
            "shape": draw(SHAPES),
            "voxel_size": voxel,
            "symmetry": draw(st.sampled_from([None, "C4"])),
        },
        poses.matched: {"names": list(poses.names)[::-1]},
    }
    function = draw(st.sampled_from(list(calls)))
    return Call(function, calls[function], check, blamed=("poses",))


@st.composite
def written_poses(draw) -> Call:
    poses = draw(poses_of(draw(st.integers(1, 5))))
    path = str(FOLDER / draw(st.sampled_from(["poses.csv", "poses.star"])))
    arguments = {"path": path, "overwrite": True, "shape": draw(SHAPES), "voxel_size": draw(VOXELS.filter(is_given))}
    odd = draw(st.booleans())
    if odd:
        letters = st.text(st.one_of(st.sampled_from(" '\"#_,;\n\t\r\x0b\x85\u2028"), st.characters()), max_size=4)
        arguments["names"] = draw(st.lists(letters, min_size=len(poses), max_size=len(poses), unique=True))

    def write(names: Any = poses.names, **given: Any) -> Poses:
        Poses(poses.matrix, poses.translation, names=names, unit=poses.unit, centre=poses.centre).write(**given)
        return Poses.read(given["path"])

    def check(again: Any, given: dict[str, Any]) -> None:
        is_poses(again, len(poses))
        assert np.allclose(again.matrix, poses.matrix, atol=1e-6)
        if (names := given.get("names", poses.names)) is not None and any(names):
            assert again.names == tuple(map(str, names))

    return Call(write, arguments, check, also=(OSError,), doubtful=odd)


def is_given(value: Any) -> bool:
    return value is not None


@st.composite
def read_poses(draw) -> Call:
    """Files that somebody has edited."""
    suffix = draw(st.sampled_from([".csv", ".star"]))
    path = FOLDER / f"edited{suffix}"
    draw(poses_of(3)).write(path, overwrite=True, shape=(4, 4, 4), voxel_size=0.1)
    text = path.read_text()
    at = draw(st.integers(0, len(text)))
    text = (
        text[:at]
        + draw(st.sampled_from([",", ";", "\n", " ", "nan", "1e999", "#", "'", '"', "\0", "é", "_"]))
        + text[at:]
    )
    path.write_bytes(text.encode(draw(st.sampled_from(["utf-8", "latin-1", "utf-16"]))))

    def check(poses: Any, given: dict[str, Any]) -> None:
        is_poses(poses, len(poses))

    return Call(Poses.read, {"path": path}, check, also=(OSError,), doubtful=True)


@st.composite
def make_dataset(draw) -> Call:
    def check(data: Any, given: dict[str, Any]) -> None:
        is_dataset(data)

    return Call(Dataset, draw(views()), check, blamed=("psf_of", "names"))


@st.composite
def indexed_dataset(draw) -> Call:
    data = dataset(draw(views()))
    n = len(data)
    index = draw(st.one_of(st.integers(-n, n - 1), *map(st.just, ([0, 0], slice(None), np.ones(n, bool), range(n)))))

    def check(some: Any, given: dict[str, Any]) -> None:
        is_dataset(some)

    return Call(lambda index: data[index], {"index": index}, check, also=(IndexError,))


@st.composite
def changed_dataset(draw) -> Call:
    """The methods of a Dataset."""
    given = draw(views())
    data, n = dataset(given), len(given["particles"])
    name = draw(st.sampled_from(sorted(given.keys() - {"names", "frame", "psf_voxel_size", "thread_safe"})))
    calls = {
        data.replace: {name: given[name]},
        data.split: {"n": min(2, n), "rng": draw(SEEDS)},
        data.model_shape: {"shape": draw(SHAPES)},
        data.require: {"psf": draw(st.booleans())},
    }
    if n == 1:
        del calls[data.split]
    function = draw(st.sampled_from(list(calls)))

    def check(other: Any, given: dict[str, Any]) -> None:
        if function == data.model_shape:
            assert len(other) == 3
        else:
            for part in other if isinstance(other, list) else [other]:
                is_dataset(part)

    return Call(
        function,
        calls[function],
        check,
        spare=("psf",) if function == data.require else (),
        blamed=("weights", "names", "psf_of", "voxel_size"),
    )


@st.composite
def make_sums(draw) -> Call:
    sums = draw(SUMS)

    def check(made: Any, given: dict[str, Any]) -> None:
        are_sums(made)

    return Call(NormalEquations, dict(vars(sums)), check)


def is_part_of(cropped: Any, x: Any, sums: NormalEquations) -> None:
    """The middle of a volume, or half a voxel before it, whatever is in it."""
    assert cropped.shape == sums.model_shape
    place = tuple(slice((m - n) // 2, (m - n) // 2 + n) for m, n in zip(sums.shape, cropped.shape, strict=True))
    np.testing.assert_array_equal(cropped, np.asarray(x)[place])


@st.composite
def used_sums(draw) -> Call:
    sums, path = draw(SUMS), FOLDER / "sums.npz"
    x = np.random.default_rng(draw(SEEDS)).random(sums.shape)

    def saved(path: Any) -> NormalEquations:
        sums.save(path)
        return NormalEquations.load(path)

    def loaded(content: bytes) -> NormalEquations:
        path.write_bytes(content)
        return NormalEquations.load(path)

    sums.save(path)
    content = path.read_bytes()
    place = draw(st.integers(0, len(content) - 1))
    content = content[:place] + bytes([content[place] ^ 255]) + content[place + draw(st.integers(0, 1)) :]
    calls = {
        sums.misfit: ({"x": x}, is_number),
        sums.crop: ({"x": x}, lambda cropped, given: is_part_of(cropped, given["x"], sums)),
        saved: ({"path": path}, lambda again, given: are_sums(again, sums.n_poses)),
        loaded: ({"content": content}, lambda again, given: are_sums(again)),
    }
    function = draw(st.sampled_from(list(calls)))
    doubtful = function == loaded
    return Call(function, *calls[function], also=(OSError,), spare=("content",), doubtful=doubtful, blamed=(str(path),))


@st.composite
def added_sums(draw) -> Call:
    sums = draw(SUMS)

    def check(total: Any, given: dict[str, Any]) -> None:
        are_sums(total, 2 * sums.n_poses)

    return Call(lambda NormalEquations: sums + NormalEquations, {"NormalEquations": sums}, check)


# Each with the number of calls in a run of the tests.
CALLS: dict[str, tuple[Callable[[], st.SearchStrategy[Call]], int]] = {
    "Poses": (make_poses, 500),
    "Poses.random": (random_poses, 150),
    "poses[index]": (indexed_poses, 150),
    "poses.method": (changed_poses, 300),
    "poses.write": (written_poses, 200),
    "Poses.read": (read_poses, 200),
    "Dataset": (make_dataset, 500),
    "data[index]": (indexed_dataset, 150),
    "data.method": (changed_dataset, 300),
    "NormalEquations": (make_sums, 400),
    "sums.method": (used_sums, 150),
    "sums + other": (added_sums, 50),
}

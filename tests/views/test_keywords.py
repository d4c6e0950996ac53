"""A keyword stands in one place: signatures, types, slices, pickles and errors follow from it."""

from __future__ import annotations

import inspect
import pickle
from typing import get_overloads, get_type_hints

import numpy as np
import pytest
from data_sets import DATA, POSES, PSF, VIEWS, N

import fastmpr
from fastmpr import Dataset
from fastmpr.views.keywords import KEYWORDS, PER_VIEW, OtherKeywords, ViewKeywords

OF_VIEWS = (
    fastmpr.reconstruct,
    fastmpr.accumulate,
    fastmpr.average,
    fastmpr.deconvolve_average,
    fastmpr.residuals,
    fastmpr.diagnose,
)
GIVEN = {
    "psf_of": np.arange(N) % 2,
    "weights": np.arange(1, N + 1),
    "names": [f"{i}.tif" for i in range(N)],
    "background": np.linspace(0, 0.1, N),
    "gain": np.linspace(0.5, 2, N),
}


def own(function) -> dict[str, inspect.Parameter]:
    """The keywords that a function lists itself."""
    parameters = inspect.signature(function).parameters
    return {name: one for name, one in parameters.items() if one.kind is one.KEYWORD_ONLY}


def test_a_dataset_lists_all_keywords_with_their_types():
    listed, hints = own(Dataset), get_type_hints(Dataset.__init__)
    assert set(listed) == set(KEYWORDS)
    assert {name: hints[name] for name in listed} == get_type_hints(ViewKeywords)
    assert all(one.default is not one.empty for one in listed.values())
    with_words = [name for name, one in listed.items() if isinstance(one.default, str)]
    assert with_words == ["frame", "seen", "outside", "background", "gain"]


def test_all_but_one_are_attributes_of_a_dataset():
    missing = [name for name, keyword in KEYWORDS.items() if (keyword.kept_as or name) not in vars(DATA)]
    assert missing == ["thread_safe"]  # the source has it


@pytest.mark.parametrize("function", OF_VIEWS, ids=lambda function: function.__name__)
def test_overloads_list_what_the_function_does(function):
    of_dataset, of_particles = get_overloads(function)
    hints = get_type_hints(function)
    for overload, further in ((of_dataset, {}), (of_particles, get_type_hints(ViewKeywords))):
        (options,) = get_type_hints(overload)["options"].__args__
        assert get_type_hints(options) == {name: hints[name] for name in own(function)} | further


def test_overloads_of_deconvolve_list_what_it_does():
    hints = get_type_hints(fastmpr.deconvolve)
    for overload in get_overloads(fastmpr.deconvolve):
        (options,) = get_type_hints(overload)["options"].__args__
        assert get_type_hints(options) == {name: hints[name] for name in own(fastmpr.deconvolve) if name != "out"}


@pytest.mark.parametrize("function", OF_VIEWS, ids=lambda function: function.__name__)
def test_the_shorthand_is_one_and_the_same(function):
    parameters = inspect.signature(function).parameters
    places = [name for name, one in parameters.items() if one.kind is one.POSITIONAL_OR_KEYWORD]
    assert [name for name in places if name != "x"] == ["data", "psf", "poses"]
    order = ["workers", "callback", "progress", "cancel", "timeout"]
    assert [name for name in parameters if name in order] == [name for name in order if name in parameters]


def test_what_belongs_to_each_view_goes_along_with_it():
    assert set(PER_VIEW) == {KEYWORDS[name].kept_as or name for name in GIVEN}
    data = Dataset(VIEWS, [PSF, 2 * PSF], POSES, **GIVEN)
    which = [4, 4, 7]
    for some in (data[which], pickle.loads(pickle.dumps(data))[which], pickle.loads(pickle.dumps(data[which]))):
        for name, values in GIVEN.items():
            kept = getattr(some, name)
            assert np.array_equal(kept, np.asarray(values)[which])
            assert isinstance(kept, tuple) or not kept.flags.writeable
        np.testing.assert_array_equal(some.poses.matrix, POSES.matrix[which])


@pytest.mark.parametrize("name", KEYWORDS)
def test_what_is_replaced_by_itself_stays(name):
    data = Dataset(VIEWS, [PSF, 2 * PSF], POSES, voxel_size=0.1, psf_voxel_size=0.2, symmetry="C3", radius=0.5, **GIVEN)
    kept = KEYWORDS[name].kept_as or name
    value = data.source.thread_safe if name == "thread_safe" else getattr(data, kept)
    other = data.replace(**{name: value})
    for attribute, was in vars(data).items():
        now = vars(other)[attribute]
        assert was is now or attribute == "source" or np.array_equal(was, now), attribute


MISSPELT = {
    "reconstruct": (lambda **k: fastmpr.reconstruct(DATA, **k), {"lambd": "lam", "symetry": "symmetry", "ps": "psf"}),
    "accumulate": (
        lambda **k: fastmpr.accumulate(VIEWS, PSF, POSES, **k),
        {"voxelsize": "voxel_size", "worker": "workers"},
    ),
    "average": (lambda **k: fastmpr.average(DATA, **k), {"weight": "weights", "time_out": "timeout", "pose": "poses"}),
    "deconvolve_average": (lambda **k: fastmpr.deconvolve_average(DATA, **k), {"maxiter": "max_iter", "gains": "gain"}),
    "residuals": (lambda **k: fastmpr.residuals(DATA, VIEWS[0], **k), {"cancle": "cancel", "name": "names"}),
    "diagnose": (
        lambda **k: fastmpr.diagnose(DATA, **k),
        {"verbose_progress": "progress", "symmetry_center": "symmetry_centre"},
    ),
    "select_lam": (lambda **k: fastmpr.select_lam(None, None, **k), {"maxiter": "max_iter", "noise_sigma": "noise"}),
    "infer_lam": (lambda **k: fastmpr.infer_lam(None, **k), {"relax": "relaxation", "time_out": "timeout"}),
    "Dataset": (lambda **k: Dataset(VIEWS, PSF, POSES, **k), {"symetry": "symmetry", "pixel_size": "voxel_size"}),
    "replace": (lambda **k: DATA.replace(**k), {"particle": "particles", "psf_off": "psf_of", "symetry": "symmetry"}),
    "load": (lambda **k: fastmpr.load("particles/", **k), {"psf_measure": "psf_measured", "backgrond": "background"}),
    "deconvolve": (lambda **k: fastmpr.deconvolve(VIEWS[0], PSF, **k), {"lambda_": "lam", "max_memroy": "max_memory"}),
}


@pytest.mark.parametrize("called", MISSPELT)
def test_a_misspelt_keyword_and_the_nearest_right_one(called):
    call, words = MISSPELT[called]
    for wrong, right in words.items():
        with pytest.raises(TypeError) as caught:
            call(**{wrong: 3})
        assert str(caught.value) == f"{called}: found no keyword {wrong!r}, did you mean {right!r}?"


def test_a_keyword_like_no_other_is_told_all_that_there_are():
    with pytest.raises(
        TypeError, match=r"^average: found no keyword 'x', need one of background, cancel, .*, workers$"
    ):
        fastmpr.average(DATA, x=None)
    with pytest.raises(TypeError) as caught:
        fastmpr.load("particles/", **{"a\nb": 1})
    assert "\n" not in str(caught.value)


def test_psf_and_poses_in_each_others_place():
    for function in (fastmpr.reconstruct, fastmpr.average):
        with pytest.raises(TypeError, match=r"^psf: found Poses, need a PSF: the order is \(particles, psf, poses\)$"):
            function(VIEWS, POSES)


def test_files_tell_voxel_sizes_and_nothing_else():
    assert set(KEYWORDS) - set(get_type_hints(OtherKeywords)) == {"voxel_size", "psf_voxel_size"}
    assert {"voxel_size", "psf_voxel_size"} < set(own(fastmpr.load))

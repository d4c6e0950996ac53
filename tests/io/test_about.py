"""What files say of channels and frames, and what goes on to the next file."""

from __future__ import annotations

import numpy as np
import pytest
from image_files import save

import fastmpr
from fastmpr.io import About, read_about, read_image, write_image

FULL = About(("DAPI", "a <b> & c"), (0.461, 0.509), (0.405, 0.488), 0.25)


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "a.ome.tif"
    write_image(path, np.ones((3, 2, 4, 5)), "TCYX", 0.1, about=FULL)
    assert read_about(path) == FULL
    assert read_image(path).axes == "TCYX"
    write_image(path, np.ones((4, 5)), "YX", overwrite=True, about=About(("GFP",), (0.509,)))
    assert read_about(path)[:2] == (("GFP",), (0.509,))


@pytest.mark.parametrize("about", [None, About(), About(("a",), (0.5,)), About(("a", None), (None, 0.5))])
def test_what_is_not_known_of_all_channels_is_not_written(tmp_path, about):
    path = tmp_path / "a.ome.tif"
    write_image(path, np.ones((2, 4, 5)), "CYX", about=about)
    assert read_about(path) == About((None, None), (None, None), (None, None))


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ({"finterval": 2.5}, 2.5),
        ({"finterval": 40.0, "tunit": "ms"}, 0.04),
        ({"finterval": 1, "tunit": "fortnight"}, None),
    ],
)
def test_imagej_tells_the_interval(tmp_path, said, seconds):
    path = save(tmp_path / "a.tif", np.zeros((3, 4, 5), "u2"), imagej=True, metadata={"axes": "TYX", **said})
    assert read_about(path) == About(interval=seconds)


def test_units_of_ome(tmp_path):
    channel = {"Name": ["x"], "EmissionWavelength": [0.6], "EmissionWavelengthUnit": ["µm"]}
    metadata = {"axes": "TYX", "Channel": channel, "TimeIncrement": 2.0, "TimeIncrementUnit": "min"}
    about = read_about(save(tmp_path / "a.ome.tif", np.zeros((3, 4, 5), "u2"), ome=True, metadata=metadata))
    assert about == About(("x",), (0.6,), (None,), 120.0)
    channel["EmissionWavelengthUnit"] = ["reference frame"]
    about = read_about(save(tmp_path / "b.ome.tif", np.zeros((3, 4, 5), "u2"), ome=True, metadata=metadata))
    assert about.emission == (None,)


def test_other_files_say_nothing(tmp_path):
    assert read_about(save(tmp_path / "a.tif", np.zeros((3, 4, 5), "u2"))) == About()
    assert read_about(save(tmp_path / "b.tif", np.zeros((9, 8, 3), "u1"), photometric="rgb")) == About()
    with pytest.raises(TypeError, match="about: found"):
        write_image(tmp_path / "c.ome.tif", np.ones((4, 5)), "YX", about={"names": ["a"]})


class TestAxes:
    def test_letters_are_believed(self, tmp_path):
        stack = np.arange(3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5)
        path = save(tmp_path / "a.tif", stack, metadata=None)
        assert read_image(path).axes == "ZYX"
        for axes in ("TYX", "CYX"):
            image = read_image(path, axes=axes)
            assert image.axes == axes
            np.testing.assert_array_equal(image.values, stack)
        image = read_image(path, axes="YXC")
        assert image.axes == "CYX"
        np.testing.assert_array_equal(image.values, stack.transpose(2, 0, 1))

    def test_colours(self, tmp_path):
        colours = np.random.default_rng(0).integers(0, 255, (9, 8, 3)).astype("u1")
        path = save(tmp_path / "a.tif", colours, photometric="rgb")
        with pytest.raises(ValueError, match="which is RGB"):
            read_image(path)
        image = read_image(path, axes="YXC")
        assert image.axes == "CYX"
        np.testing.assert_array_equal(image.values, colours.transpose(2, 0, 1))

    def test_ones_need_no_letter(self, tmp_path):
        path = save(tmp_path / "a.ome.tif", np.zeros((4, 1, 5, 6), "u2"), ome=True, metadata={"axes": "ZCYX"})
        assert read_image(path, axes="TYX").axes == "TYX"

    @pytest.mark.parametrize("axes", ["ZZYX", "SYX", "Z", "", 3, ["Y", "X"], "TZYX", "YX"])
    def test_letters_that_do_not_fit(self, tmp_path, axes):
        path = save(tmp_path / "a.tif", np.zeros((3, 4, 5), "u2"))
        with pytest.raises(ValueError, match="axes") as error:
            fastmpr.io.read_image(path, axes=axes)
        assert "\n" not in str(error.value)

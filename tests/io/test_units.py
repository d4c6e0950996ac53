"""Units of length: what each is, and what has no one plain meaning."""

from __future__ import annotations

import pytest
import scipy.constants

from fastmpr.io import units

SI = {"Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1, "": 0, "d": -1, "c": -2}
SI |= {"m": -3, "\u00b5": -6, "\u03bc": -6, "n": -9, "p": -12, "f": -15, "a": -18, "z": -21, "y": -24}
OTHERS = {"\u00c5": 1e-10, "\u212b": 1e-10, "A\u030a": 1e-10, "thou": scipy.constants.mil, "in": scipy.constants.inch}
OTHERS |= {"li": scipy.constants.inch / 12, "pt": scipy.constants.point, "ft": scipy.constants.foot}
OTHERS |= {"yd": scipy.constants.yard, "mi": scipy.constants.mile}
WORDS = {1e-6: ["um", "UM", "um ", "Micron", "microns", "micrometer", "Micrometers", "micrometre", "\\u00B5m"]}
WORDS |= {1e-9: ["nanometer", "Nanometres"], 1e-3: ["millimeters"], 1.0: ["meter", "metres"]}
WORDS |= {0.0254: ["inch", "Inches"], 1e-10: ["angstrom", "Angstroms", "\u00e5ngstr\u00f6m"]}
MOJIBAKE = {"\u00c2\u00b5m": 1e-6, "\u00ce\u00bcm": 1e-6, "\u00c3\u2026": 1e-10}
METRES = {f"{prefix}m": 10.0**power for prefix, power in SI.items()} | OTHERS | MOJIBAKE
METRES |= {word: metres for metres, words in WORDS.items() for word in words}


@pytest.mark.parametrize("unit", METRES)
def test_every_length(unit):
    assert units.micrometres(unit) == pytest.approx(METRES[unit] * 1e6, rel=1e-12)


@pytest.mark.parametrize(
    "unit", ["", "pixel", "pixels", "reference frame", "\u00b5", "MM", "NM", "sec", "\ufffdm", "?m", "s"]
)
def test_what_is_no_length_or_not_plain(unit):
    assert units.micrometres(unit) is None


def test_an_error_shows_what_does_not_show():
    with pytest.raises(ValueError, match=r"\(z 0.3 '\\ufffdm', y 0.1 \u00b5m, x not given\)"):
        units.voxel_size("a.tif", z=(0.3, "\ufffdm"), y=(0.1, "\u00b5m"), x=(None, ""))

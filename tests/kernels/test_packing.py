"""Numbers in 16 bits: the compiled conversions are those spelt out in Python, and as precise as they say."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from fastmpr.kernels.packing import packed, unpacked


@numba.njit
def there(values, out):
    for i in range(values.size):
        out[i] = packed(values[i], out[i])


@numba.njit
def back(values, out):
    for i in range(values.size):
        out[i] = unpacked(values[i])


def rounded(values: np.ndarray) -> np.ndarray:
    kept, out = np.zeros(values.size, np.int16), np.empty(values.size, np.float32)
    there(values, kept)
    back(kept, out)
    return out


def magnitudes() -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.standard_normal(5000) * 10.0 ** rng.uniform(-30, 7, 5000)).astype(np.float32)


def test_compiled_is_what_is_spelt_out():
    values = np.concatenate([magnitudes(), np.array([0, -0.0, 1, -1, 1e20, -1e20, np.inf, 2.0**27], np.float32)])
    kept = np.zeros(values.size, np.int16)
    there(values, kept)
    assert kept.tolist() == [int(packed(value, kept[0])) for value in values]
    assert rounded(values).tolist() == [float(unpacked(code)) for code in kept]


def test_all_codes_survive():
    codes = np.arange(-(1 << 15), 1 << 15).astype(np.int16)
    values, again = np.empty(codes.size, np.float32), np.empty_like(codes)
    back(codes, values)
    there(values, again)
    np.testing.assert_array_equal(codes, again)


def test_eleven_digits_of_what_is_not_small():
    values = magnitudes()
    assert (np.abs(rounded(values) - values) <= 2.0**-11 * (np.abs(values) + 1 / 32)).all()
    assert rounded(np.zeros(3, np.float32)).tolist() == [0, 0, 0]


@pytest.mark.parametrize("value", [2e8, 1e30, np.inf])
def test_too_large_is_the_largest(value):
    np.testing.assert_allclose(rounded(np.array([value, -value], np.float32)), [2.0**27, -(2.0**27)], rtol=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_stay_as_they_are(dtype):
    values, out = np.array([1 / 3, -1e12], dtype), np.zeros(2, dtype)
    there(values, out)
    np.testing.assert_array_equal(out, values)
    back(values, out)
    np.testing.assert_array_equal(out, values)
    assert packed(values[0], out[0]) == unpacked(values[0]) == values[0]

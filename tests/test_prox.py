"""The proximal maps against NumPy's eigenvalues, and what every prox obeys."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from compiled_steps import clip_spectra
from hypothesis import given, settings
from hypothesis import strategies as st

import fastmpr
from fastmpr.prox import nonnegative, nuclear

DTYPES = [np.float32, np.float64]
ACCURACY = {np.float32: 2e-6, np.float64: 1e-14}
WEIGHTS = naive.WEIGHTS.reshape(6, 1)


def twin(h, threshold):
    """The same by eigenvectors, in float64."""
    return naive.on_spectrum(np.asarray(h, float), lambda s: np.sign(s) * np.maximum(np.abs(s) - threshold, 0))


def entries(seed, dtype, *shape, scale=1.0):
    return (scale * np.random.default_rng(seed).standard_normal((6, *shape))).astype(dtype)


def largest(h):
    """The largest eigenvalue of each matrix."""
    return np.abs(np.linalg.eigvalsh(naive.matrices(np.asarray(h, float)))).max(axis=-1)


EIGENVALUES = st.one_of(st.sampled_from([0.0, 1.0, -1.0, 1 + 1e-6, 2.0, 1e-3, 1e3]), st.floats(-4, 4, width=32))


@st.composite
def spectra(draw):
    """Matrices with eigenvalues that are zero, double or at the threshold 1, turned anyhow, at any scale of float32."""
    values = np.array(draw(st.lists(st.tuples(*[EIGENVALUES] * 3), min_size=1, max_size=6)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    turns = np.linalg.qr(rng.standard_normal((len(values), 3, 3)))[0]
    turns[draw(st.lists(st.integers(0, len(values) - 1)))] = np.eye(3)
    full = np.einsum("nij,nj,nkj->nik", turns, values, turns)
    return np.stack([full[:, i, j] for i, j in naive.PAIRS]), 10.0 ** draw(st.integers(-33, 33))


def always(test):
    return settings(max_examples=300, derandomize=True, deadline=None, database=None)(test)


@pytest.mark.parametrize("dtype", DTYPES)
def test_nuclear_is_that_of_eigenvectors(dtype):
    @always
    @given(spectra(), st.sampled_from([0.0, 1e-30, 1e-13, 1e-3, 1.0, 1.0, 1.0, 30.0]))
    def one(drawn, threshold):
        h, scale = drawn
        h, threshold = (scale * h).astype(dtype), threshold * scale
        error = np.abs(nuclear(h, threshold) - twin(h, float(dtype(threshold))))
        size = largest(h)
        assert (error <= ACCURACY[dtype] * size + 1e-30 * size.max() + np.finfo(dtype).tiny).all()

    one()


@pytest.mark.parametrize("dtype", DTYPES)
def test_nuclear_and_the_projection_of_its_dual_add_up(dtype):
    """Moreau: the dual of the nuclear norm is the largest singular value, clipped."""

    @always
    @given(spectra())
    def one(drawn):
        h = drawn[0].astype(dtype)
        assert (np.abs(nuclear(h, 1.0) + clip_spectra(h, 1) - h) <= ACCURACY[dtype] * np.maximum(largest(h), 1)).all()

    one()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
def test_nuclear_is_firmly_nonexpansive(dtype):
    @always
    @given(spectra(), st.integers(0, 9), st.sampled_from([1e-6, 1e-2, 1.0, 10.0]))
    def one(drawn, seed, step):
        a = drawn[0].astype(dtype)
        b = a + step * entries(seed, dtype, a.shape[1])
        gap = (nuclear(a, 1.0) - nuclear(b, 1.0)).astype(float)
        product = (WEIGHTS * gap * (a.astype(float) - b)).sum(axis=0)
        rounding = ACCURACY[dtype] * (largest(a) + largest(b)) * np.sqrt((WEIGHTS * (a.astype(float) - b) ** 2).sum(0))
        square = (WEIGHTS * gap**2).sum(axis=0)
        assert (square <= product + 10 * rounding + (10 * ACCURACY[dtype] * (largest(a) + largest(b))) ** 2).all()

    one()


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_lies_within_the_threshold_becomes_zero_and_without_a_threshold_nothing_changes(dtype):
    h = entries(0, dtype, 400)
    assert not nuclear(h, float(largest(h).max()) * 1.001).any()
    assert not any(nuclear(0 * h, threshold).any() for threshold in (0, 1e-30, 1, 1e30))
    assert np.abs(nuclear(h, 0) - h).max() <= np.finfo(dtype).eps * np.abs(h).max()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 700), (6, 5, 6, 7), (6, 3, 5)])
def test_entries_of_any_shape_are_those_of_whole_matrices(shape, dtype):
    h = entries(1, dtype, *shape[1:])
    u = nuclear(h, 0.7)
    assert u.shape == h.shape
    assert u.dtype == dtype
    np.testing.assert_allclose(u, twin(h, 0.7), atol=5 * ACCURACY[dtype])
    whole = naive.matrices(h).astype(dtype)
    np.testing.assert_allclose(nuclear(whole, 0.7), naive.matrices(u), atol=5 * ACCURACY[dtype])


def test_six_matrices_are_matrices():
    whole = naive.matrices(entries(2, float, 6))
    assert whole.shape == (6, 3, 3)
    np.testing.assert_allclose(nuclear(whole, 0.7), naive.matrices(twin(entries(2, float, 6), 0.7)), atol=1e-13)


@pytest.mark.parametrize("layout", ["entries", "matrices"])
@pytest.mark.parametrize("workers", [1, 3])
def test_in_place_elsewhere_and_by_several_threads_it_is_the_same(layout, workers):
    h = entries(3, np.float32, 9, 10, 11)
    h = h if layout == "entries" else naive.matrices(h).astype(np.float32)
    expected, kept = nuclear(h, 0.5, workers=1), h.copy()
    for out in (np.empty_like(h), np.full((*h.shape, 2), 7, h.dtype)[..., 0], np.asfortranarray(h)):
        assert nuclear(h, 0.5, out=out, workers=workers) is out
        np.testing.assert_array_equal(out, expected)
        np.testing.assert_array_equal(h, kept)
    for view in (np.asfortranarray(h), h[::-1, ..., ::-1][::-1, ..., ::-1], np.repeat(h, 2, axis=-1)[..., ::2]):
        np.testing.assert_array_equal(nuclear(view, 0.5, workers=workers), expected)
    assert nuclear(h, 0.5, out=h, workers=workers) is h
    np.testing.assert_array_equal(h, expected)


def test_an_output_that_overlaps_the_input_is_filled_as_if_it_did_not():
    memory = entries(4, np.float64, 500).ravel()
    h, out = memory[:2940].reshape(6, 490), memory[60:].reshape(6, 490)
    expected = nuclear(h.copy(), 0.5)
    np.testing.assert_array_equal(nuclear(h, 0.5, out=out), expected)


def test_integers_are_converted():
    h = np.arange(6 * 4).reshape(6, 4)
    assert nuclear(h, 2).dtype == nonnegative(h).dtype == np.float32
    np.testing.assert_allclose(nuclear(h, 2), twin(h, 2), rtol=1e-5, atol=1e-5)


def test_a_number_stays_one():
    for x in (2.0, -2.0):
        found = nonnegative(x)
        assert found.shape == () and found == max(x, 0)


@pytest.mark.parametrize("workers", [1, 3])
def test_nonnegative(workers):
    x = entries(5, np.float32, 7, 8)
    expected, kept = np.where(x > 0, x, 0), x.copy()
    np.testing.assert_array_equal(nonnegative(x, workers=workers), expected)
    np.testing.assert_array_equal(nonnegative(np.asfortranarray(x), workers=workers), expected)
    np.testing.assert_array_equal(x, kept)
    assert nonnegative(x, out=x, workers=workers) is x
    np.testing.assert_array_equal(x, expected)


SKEW = np.eye(3) + np.triu(np.ones((3, 3)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nuclear(np.ones((5, 4)), 1), "h: found shape (5, 4), need (6, ...) or (..., 3, 3)"),
        (lambda: nuclear(SKEW, 1), "h: found entries 01 and 10 that differ by 1, need symmetric matrices"),
        (lambda: nuclear([*np.ones(5), np.nan], 1), "h: found 1 NaN or infinite values, need finite ones"),
        (lambda: nuclear(np.full(6, 3e38, "f4"), 1), "h: found values up to 3e+38, need at most 8.51e+37 in float32"),
        (lambda: nuclear(np.ones(6), -1), "threshold: found -1, need a finite number of at least 0"),
        (
            lambda: nuclear(np.ones(6), 1, out=np.ones(6, "f4")),
            "out: found float32 of shape (6,), need float64 of shape (6,)",
        ),
        (lambda: nuclear(np.ones(6), 1, out=[0] * 6), "out: found list, need a numpy array"),
        (lambda: nonnegative([np.inf]), "x: found 1 NaN or infinite values, need finite ones"),
    ],
)
def test_errors_say_what_is_needed(call, message):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert str(caught.value) == message


def test_an_output_that_cannot_be_written_to_is_refused():
    out = np.empty(6)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="^out: found an array that cannot be written to"):
        fastmpr.prox.nuclear(np.ones(6), 1, out=out)

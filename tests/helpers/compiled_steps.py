"""Compiled steps put together in Python, to be held against slow twins one by one."""

from __future__ import annotations

import numpy as np

from fastmpr.kernels.eigenvalue_steps import WORK, deviators
from fastmpr.kernels.projection import project_chunk
from fastmpr.kernels.rows import CHUNK
from fastmpr.kernels.spline_coefficients import MARGIN, spline_columns, spline_planes


def clip_spectra(entries, bound):
    """Return symmetric matrices, (6, n) entries, with their eigenvalues clipped to [-bound, bound]."""
    dtype = entries.dtype.type
    out, work, ignored = np.empty_like(entries), np.empty(WORK, dtype), np.empty((6, CHUNK), dtype)
    bound, zero = dtype(bound), dtype(0)
    just_d = (zero, bound, zero, zero, zero)
    for at in range(0, entries.shape[1], CHUNK):
        rows = entries[:, at : at + CHUNK]
        deviators(*rows, dtype(1) / bound, work)
        project_chunk(work, rows.shape[1], None, just_d, out, at, ignored, 0)
    return out


def spline_coefficients(samples, dtype, horizon):
    """Return a volume's coefficients of cubic B-splines, with mirrored margins."""
    buffer = np.zeros([n + 2 * MARGIN for n in samples.shape], dtype)
    buffer[tuple(slice(MARGIN, MARGIN + n) for n in samples.shape)] = samples
    spline_planes(buffer, horizon, 0, samples.shape[0])
    spline_columns(buffer, horizon, 0, buffer[0].size)
    return buffer

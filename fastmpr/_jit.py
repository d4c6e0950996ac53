"""Whether compiled functions can be kept on disk, decided once for all of them."""

from __future__ import annotations

import warnings

from numba import njit


def _probe() -> None:
    """Do nothing, compiled or not."""


def can_cache() -> bool:
    """Return whether Numba finds a folder that it may write its cache to; say so if not.

    Without one, asking for the cache makes the import fail, on read-only installations for instance.
    """
    try:
        njit(cache=True)(_probe)
    except RuntimeError:
        warnings.warn(
            "fastmpr: found no folder for Numba's cache, so every process compiles for some seconds; "
            "need NUMBA_CACHE_DIR set to a writable folder",
            RuntimeWarning,
            stacklevel=2,
        )
        return False
    return True


CACHE = can_cache()

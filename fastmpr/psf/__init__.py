"""Point spread functions: volumes (z, y, x) or planes (y, x), centred at ``size // 2`` on each axis, of sum 1."""

from __future__ import annotations

from .measured import centred, measured
from .theory import born_wolf, gaussian

__all__ = ["born_wolf", "centred", "gaussian", "measured"]

"""Regularisers: operator, adjoint, symbol, proximal step (in a fused sweep) and value, one file each; a table of them."""

from __future__ import annotations

from typing import Any

from ..._validation import shown
from .hessian import Hessian
from .protocol import Regularizer, axis_symbols, symbol
from .tikhonov import Tikhonov
from .tv import TotalVariation

__all__ = ["Hessian", "Regularizer", "Tikhonov", "TotalVariation", "as_regularizer", "axis_symbols", "symbol"]

_KNOWN: dict[str, Regularizer | Tikhonov] = {"hessian": Hessian(), "tv": TotalVariation(), "tikhonov": Tikhonov()}


def as_regularizer(regularizer: Any) -> Any:
    """Return the regulariser of a name, or the object itself."""
    if isinstance(regularizer, Tikhonov) or all(
        hasattr(regularizer, name) for name in ("components", "order", "sweep")
    ):
        return regularizer
    if not isinstance(regularizer, str) or regularizer not in _KNOWN:
        raise ValueError(f"regularizer: found {shown(regularizer)}, need one of {', '.join(map(repr, _KNOWN))}")
    return _KNOWN[regularizer]

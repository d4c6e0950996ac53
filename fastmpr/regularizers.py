"""Regularisers as objects, and how to make one of your own; they stand in `fastmpr.solver.regularizers`."""

from .solver.regularizers import (
    Hessian,
    Pointwise,
    SchattenInfinity,
    SchattenTwo,
    Tikhonov,
    TotalVariation,
    WholeArrays,
)

__all__ = ["Hessian", "Pointwise", "SchattenInfinity", "SchattenTwo", "Tikhonov", "TotalVariation", "WholeArrays"]

"""Fast multi-particle reconstruction for fluorescence microscopy."""

from .admm import Result, objective, solve
from .normal_equations import NormalEquations, accumulate

__version__ = "0.1.0"
__all__ = ["NormalEquations", "Result", "objective", "solve"]

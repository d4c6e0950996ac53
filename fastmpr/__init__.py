"""Fast multi-particle reconstruction: many blurred views of one particle become one volume, sharp in every direction."""

from . import metrics, phantom, psf
from .admm import Result, objective, solve
from .baselines import average
from .normal_equations import NormalEquations, accumulate
from .poses import Poses
from .reconstruct import reconstruct
from .selection import infer_lam, select_lam
from .simulate import simulate

__version__ = "0.1.0"
__all__ = [
    "NormalEquations",
    "Poses",
    "Result",
    "accumulate",
    "average",
    "infer_lam",
    "metrics",
    "objective",
    "phantom",
    "psf",
    "reconstruct",
    "select_lam",
    "simulate",
    "solve",
]

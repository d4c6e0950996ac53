"""Fast multi-particle reconstruction: many blurred views of one particle become one volume, sharp in every direction.

Names are imported when they are first used, so `import fastmpr` is fast although importing Numba is slow. The folders are
layers: each imports only from those below it, from `cli` at the top down to `kernels`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__ as __version__

if TYPE_CHECKING:
    from . import io, metrics, operators, paper, phantom, plot, prox, psf, regularizers, testing
    from ._messages import FastmprWarning
    from .alignment.main import ab_initio, align, refine
    from .alignment.results import Alignment, PoseResult
    from .alignment.symmetry import FoundSymmetry
    from .assessment.findings import Coverage, Quality
    from .assessment.main import assess
    from .conversion import convert
    from .deconvolution.images import deconvolve
    from .deconvolution.optics import channel_psfs
    from .diagnosis.fit import residuals
    from .diagnosis.search import diagnose
    from .geometry.poses import Poses
    from .lam.selection import infer_lam, select_lam
    from .quality.correlation import fsc
    from .quality.curve import Curve
    from .quality.directions import Cones, conical_fsc
    from .quality.profiles import Profiles, profile
    from .reconstruction.baselines import average, deconvolve_average
    from .reconstruction.main import reconstruct
    from .runtime.stopping import Cancelled
    from .simulation import simulate
    from .solver.admm import objective, solve
    from .solver.result import Result
    from .sums.accumulate import accumulate
    from .sums.normal_equations import NormalEquations
    from .views.dataset import Dataset
    from .views.loading import load
    from .warming import warm_up

_MODULES = {"io", "metrics", "operators", "paper", "phantom", "plot", "prox", "psf", "regularizers", "testing"}
# The module that each other public name stands in; none has the name of a function, or one would hide the other.
_HOME = {
    "Alignment": "alignment.results",
    "Cancelled": "runtime.stopping",
    "Cones": "quality.directions",
    "Coverage": "assessment.findings",
    "Curve": "quality.curve",
    "Dataset": "views.dataset",
    "FastmprWarning": "_messages",
    "FoundSymmetry": "alignment.symmetry",
    "NormalEquations": "sums.normal_equations",
    "Poses": "geometry.poses",
    "PoseResult": "alignment.results",
    "Profiles": "quality.profiles",
    "Quality": "assessment.findings",
    "Result": "solver.result",
    "ab_initio": "alignment.main",
    "accumulate": "sums.accumulate",
    "align": "alignment.main",
    "assess": "assessment.main",
    "average": "reconstruction.baselines",
    "channel_psfs": "deconvolution.optics",
    "conical_fsc": "quality.directions",
    "convert": "conversion",
    "deconvolve": "deconvolution.images",
    "deconvolve_average": "reconstruction.baselines",
    "diagnose": "diagnosis.search",
    "fsc": "quality.correlation",
    "infer_lam": "lam.selection",
    "load": "views.loading",
    "objective": "solver.admm",
    "profile": "quality.profiles",
    "reconstruct": "reconstruction.main",
    "refine": "alignment.main",
    "residuals": "diagnosis.fit",
    "select_lam": "lam.selection",
    "simulate": "simulation",
    "solve": "solver.admm",
    "warm_up": "warming",
}
__all__ = [
    "Alignment",
    "Cancelled",
    "Cones",
    "Coverage",
    "Curve",
    "Dataset",
    "FastmprWarning",
    "FoundSymmetry",
    "NormalEquations",
    "PoseResult",
    "Poses",
    "Profiles",
    "Quality",
    "Result",
    "ab_initio",
    "accumulate",
    "align",
    "assess",
    "average",
    "channel_psfs",
    "conical_fsc",
    "convert",
    "deconvolve",
    "deconvolve_average",
    "diagnose",
    "fsc",
    "infer_lam",
    "io",
    "load",
    "metrics",
    "objective",
    "operators",
    "paper",
    "phantom",
    "plot",
    "profile",
    "prox",
    "psf",
    "reconstruct",
    "refine",
    "regularizers",
    "residuals",
    "select_lam",
    "simulate",
    "solve",
    "testing",
    "warm_up",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value: Any = import_module(f".{name}", __name__)
    elif name in _HOME:
        value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    else:
        raise AttributeError(f"module 'fastmpr' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

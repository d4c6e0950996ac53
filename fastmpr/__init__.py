"""Fast multi-particle reconstruction: many blurred views of one particle become one volume, sharp in every direction.

Names are imported when they are first used: `import fastmpr` alone stays fast, though Numba does not.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import metrics, phantom, psf
    from .admm import Result, objective, solve
    from .baselines import average, deconvolve_average
    from .normal_equations import NormalEquations, accumulate
    from .poses import Poses
    from .reconstruct import reconstruct
    from .selection import infer_lam, select_lam
    from .simulate import simulate

__version__ = "0.1.0"

_HOME = {
    "NormalEquations": "normal_equations",
    "Poses": "poses",
    "Result": "admm",
    "accumulate": "normal_equations",
    "average": "baselines",
    "deconvolve_average": "baselines",
    "infer_lam": "selection",
    "metrics": "",
    "objective": "admm",
    "phantom": "",
    "psf": "",
    "reconstruct": "reconstruct",
    "select_lam": "selection",
    "simulate": "simulate",
    "solve": "admm",
}
__all__ = [
    "NormalEquations",
    "Poses",
    "Result",
    "accumulate",
    "average",
    "deconvolve_average",
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


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'fastmpr' has no attribute {name!r}")
    home = _HOME[name]
    value = getattr(import_module(f".{home}", __name__), name) if home else import_module(f".{name}", __name__)
    globals()[name] = value
    return value


class _Package(ModuleType):
    """Keeps `fastmpr.reconstruct` the function when its module of the same name is imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and _HOME.get(name) == name:
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

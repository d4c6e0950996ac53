"""A drop-in replacement for SPFluo 0.1.0's reconstruction: same signature and numbers, in a fraction of the time.

`reconstruction_L2` needs neither SPFluo nor PyTorch. `patch` puts it into an installed SPFluo, whose own programs then use
it. ``python -m fastmpr.compat.spfluo -m spfluo.refinement ...`` does so for one process.
"""

from .patching import patch
from .reconstruction import reconstruction_L2

__all__ = ["patch", "reconstruction_L2"]

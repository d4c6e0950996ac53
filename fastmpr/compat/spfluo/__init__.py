"""A drop-in for the reconstruction of SPFluo 0.1.0: its signature, its meaning and its numbers, in a fraction of the time.

`reconstruction_L2` needs neither SPFluo nor PyTorch. `patch` puts it into an installed SPFluo, whose own programs then run
on it; ``python -m fastmpr.compat.spfluo -m spfluo.refinement ...`` does so in a process of its own.
"""

from .patching import patch
from .reconstruction import reconstruction_L2

__all__ = ["patch", "reconstruction_L2"]

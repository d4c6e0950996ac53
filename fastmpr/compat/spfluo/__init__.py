"""Drop-in replacements for SPFluo 0.1.0's reconstruction and pose search: the same signatures, in a fraction of the time.

`reconstruction_L2` gives SPFluo's numbers. `convolution_matching_poses` and `find_angles_grid` compare the same candidates.
`refine` and `AbInitioReconstruction` find poses by `fastmpr.align` and `fastmpr.ab_initio`. None needs SPFluo or PyTorch.
`patch` puts them into an installed SPFluo, whose own programs then use them. ``python -m fastmpr.compat.spfluo -m
spfluo.refinement ...`` does so for one process.
"""

from .from_particles import AbInitioReconstruction
from .patching import patch
from .poses import convolution_matching_poses, find_angles_grid
from .reconstruction import reconstruction_L2
from .refinement import refine

__all__ = [
    "AbInitioReconstruction",
    "convolution_matching_poses",
    "find_angles_grid",
    "patch",
    "reconstruction_L2",
    "refine",
]

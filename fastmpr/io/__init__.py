"""Files in and out: one small module per format, each of them yielding plain arrays.

=============  ====================================================================
`formats`      the table of them, and reading and writing a volume of any
`images`       images of two or three dimensions, with channels and frames
`about`        what a file says of channels and frames
`files`        whether a file may be written, and writing it whole or not at all
`particles`    a folder of volumes, or one stack, read one particle at a time
`tiff`         3-D volumes and 4-D stacks, with their voxel size
`mrc`          3-D volumes as electron microscopes give them
`units`        lengths as files write them, and what they say of a voxel
`poses_csv`    poses as SPFluo writes them
`poses_star`   poses as RELION writes them
`conventions`  the unit and the centre of poses
=============  ====================================================================
"""

from .about import About, read_about
from .formats import pose_format, read, write
from .images import read_image, write_image
from .particles import open_particles

__all__ = ["About", "open_particles", "pose_format", "read", "read_about", "read_image", "write", "write_image"]

"""Files in and out: one small module per format, each of them yielding plain arrays.

=============  ====================================================================
`files`        whether a file may be written, and writing it whole or not at all
`tiff`         3-D volumes and 4-D stacks, with their voxel size
`particles`    a folder of volumes, or one stack, read one particle at a time
`poses_csv`    poses as SPFluo writes them
`poses_star`   poses as RELION writes them
=============  ====================================================================
"""

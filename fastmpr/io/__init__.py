"""Read and write files: one small module per format, and each returns plain arrays.

=============  ====================================================================
`formats`      the table of formats; reads and writes a volume in any of them
`stored`       a file's image, opened and unread, and what is done alike whatever the format
`images`       images in two or three dimensions, with channels and frames
`about`        a file's metadata about channels and frames
`checkpoints`  the steps of a long call, kept in a folder
`files`        checks that a file can be written; writes it whole or not at all
`particles`    a folder of volumes, or one stack, read one particle at a time
`lists`        files that list particles
`tiff`         TIFF files: OME, ImageJ or plain
`mrc`          MRC files, from electron microscopy
`ome_zarr`     OME-Zarr folders and plain Zarr arrays; `ome_metadata` reads and writes their metadata
`hdf5`         HDF5 files
`npy`, `npz`   NumPy's files; `arrays` is what formats of plain arrays share
`czi`          CZI files of Zeiss microscopes
`lif`          LIF files of Leica microscopes
`nikon`        ND2 files of Nikon microscopes
`oif`          OIF and OIB files of Olympus microscopes
`planes`       an image that is read plane by plane
`columns_csv`  columns of numbers for a spreadsheet
`units`        lengths and voxel sizes in file metadata
`poses_own`    poses in a CSV file that says what they mean
`poses_csv`    poses in SPFluo's format
`poses_star`   poses in RELION's format
`conventions`  the unit and the centre of poses
=============  ====================================================================
"""

from .about import About
from .formats import pose_format, read, write
from .images import read_about, read_image, write_image
from .particles import open_particles

__all__ = ["About", "open_particles", "pose_format", "read", "read_about", "read_image", "write", "write_image"]

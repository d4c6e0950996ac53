"""One image from a camera, read plane by plane: unseen voxels, faults of the camera, and the background."""

"""What is compiled: loops over voxels and frequencies, and the cache of their machine code."""

"""Likely mistakes that the data show: unseen voxels, saturation, inverted masks, lengths in the wrong unit."""

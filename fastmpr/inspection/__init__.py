"""What numbers tell of how they came: voxels that nobody saw, saturation, inverted masks, lengths in the wrong unit."""

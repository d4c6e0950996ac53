"""The ADMM solver for the normal equations."""

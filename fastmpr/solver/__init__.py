"""ADMM on the normal equations."""

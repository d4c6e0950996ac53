"""Deconvolution of images that stand alone: what a user calls, one image with one PSF, and the tiles of a large one."""

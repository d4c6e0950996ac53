"""Deconvolution of single images: the public function, channels and movies, one image with one PSF, and tiles."""

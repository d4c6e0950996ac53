"""Reconstruct one volume from a data set: `reconstruct`, views that saw a part of their images, and older methods."""

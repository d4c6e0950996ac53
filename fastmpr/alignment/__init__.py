"""From particles to poses: each view's spectrum is held against that of a volume."""

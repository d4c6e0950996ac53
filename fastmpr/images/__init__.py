"""One image as its camera gave it, plane by plane: what was seen of it, faults of the camera, and what lies behind it."""

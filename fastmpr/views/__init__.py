"""The views of a particle: particles as they come and all that belongs to them, in one `Dataset`."""

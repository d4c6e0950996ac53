"""The views as they come: particles and all that belongs to them, in one `Dataset`."""

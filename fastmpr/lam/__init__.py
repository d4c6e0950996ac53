"""The weight of the data term, lam: chosen for many views, for few, and for one image."""

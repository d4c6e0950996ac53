"""Choose lam, the weight of the data term: for many views, for few, and for one image."""

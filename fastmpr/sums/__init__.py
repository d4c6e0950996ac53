"""The normal equations: their sums over all views, and how views are added to them."""

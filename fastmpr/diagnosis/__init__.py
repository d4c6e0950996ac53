"""Check whether a volume explains its views, and find the usual mistake that makes views inconsistent."""

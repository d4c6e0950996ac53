"""Whether a volume explains its views, and what may be wrong where it does not."""

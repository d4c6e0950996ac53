"""Whether a volume explains its views, and which usual mistake keeps views from fitting together."""

"""Whether views fit together, and which usual mistake keeps them from it."""

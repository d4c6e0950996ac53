"""How good a volume is, without the truth: its resolution in all directions, what the views cover, error bars."""

"""How good a volume is: measures and pictures."""

"""How fine the details of a volume are, told from two halves of its views, without the truth."""

"""How particles lie in their images: rotations, translations, poses, and point groups."""

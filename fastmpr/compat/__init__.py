"""Drop-ins for other programs: what they call, by their names and in their terms."""

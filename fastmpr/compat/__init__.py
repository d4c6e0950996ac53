"""What other programs call, by their names and in their terms: each module is named after one, and imports it late."""

"""Drop-in replacements and adapters for other programs; each module is named after a program and imports it late."""

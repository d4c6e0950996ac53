"""Drop-in replacements and adapters for other programs; each module is named after a program, imported on use."""

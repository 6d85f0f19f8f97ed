"""The demo: its input, and whether what was planted in it was found."""

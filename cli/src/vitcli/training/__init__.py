"""One training run in a directory of its own."""

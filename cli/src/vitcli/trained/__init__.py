"""What is done with a trained run: it is loaded, names images, is scored again, and leaves as a file for other programs."""

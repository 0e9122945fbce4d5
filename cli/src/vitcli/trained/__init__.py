"""What can be done with a trained run: load it, predict images, score it again, and export it for other programs."""

"""Data for dense tasks: images with a label of every pixel, or with boxes and masks."""

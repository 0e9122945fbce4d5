"""Segmentation: heads, losses, scores, inference and the task."""

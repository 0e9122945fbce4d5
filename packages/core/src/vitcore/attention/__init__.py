"""Attention: what a token sees of the map, one mechanism a file."""

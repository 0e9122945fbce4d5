"""Positions: what tells a token where it is."""

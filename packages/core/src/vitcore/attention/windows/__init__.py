"""Tokens see those of their window."""

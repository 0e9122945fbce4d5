"""Trials as tasks of Ray."""

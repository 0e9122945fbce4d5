"""Data modules, and what draws the order of their samples. They are imported from ``vittasks``."""

"""vitmodels."""

"""vittasks."""

"""vitcli."""

"""One file a command of ``vitcli``."""

"""``vitcli show``: pictures of what an op lets a token see, measured by gradient."""

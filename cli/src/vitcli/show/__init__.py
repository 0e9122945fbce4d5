"""``vitcli show``: pictures of the tokens that a query sees in an op, measured by gradient."""

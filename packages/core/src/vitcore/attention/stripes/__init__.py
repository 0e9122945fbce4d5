"""Tokens see stripes of the map: rows, columns, crosses and pales."""

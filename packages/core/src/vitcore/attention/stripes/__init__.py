"""A token sees stripes of the map: rows, columns, crosses and pales."""

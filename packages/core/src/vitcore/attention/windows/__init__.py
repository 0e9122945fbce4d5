"""A token sees the tokens of its window: a square of the map, spread-out tokens, or the pixels of a patch."""

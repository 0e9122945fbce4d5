"""A token sees tokens that are chosen by their content: clusters of like tokens, or points that a network chooses."""

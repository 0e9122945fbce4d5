"""A token sees tokens that are chosen by their content: clusters of similar tokens, or points that a network chooses."""

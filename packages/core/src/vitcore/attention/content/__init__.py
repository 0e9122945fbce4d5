"""A token sees tokens that are chosen by what they hold."""

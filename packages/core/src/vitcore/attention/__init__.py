"""Attention: which tokens a token sees. Each op is a file; the rooms group them by how the tokens are chosen."""

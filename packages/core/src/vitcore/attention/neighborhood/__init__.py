"""Every token sees the tokens around it."""

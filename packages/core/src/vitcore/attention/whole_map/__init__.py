"""Every token sees the whole map, either all tokens or a shorter list of keys that stands for them."""

"""Every token sees the whole map, as it is or in a shorter list of keys."""

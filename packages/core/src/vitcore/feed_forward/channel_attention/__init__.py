"""Channel attentions: a gate for each channel, computed from the whole map."""

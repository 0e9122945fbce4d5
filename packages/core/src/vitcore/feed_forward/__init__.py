"""Feed-forwards, and the channel attentions that they can hold."""

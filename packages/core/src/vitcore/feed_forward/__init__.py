"""Feed-forwards, which act on each token or on its close neighbours, and the channel attentions that they can hold."""

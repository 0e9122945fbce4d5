"""Training runs: one run in its directory, checkpoints, logged metrics, random numbers, and where a result comes from."""

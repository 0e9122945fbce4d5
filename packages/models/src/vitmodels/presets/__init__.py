"""One file per paper: its models as data for the skeletons, and the rules that rename the keys of its public checkpoints."""

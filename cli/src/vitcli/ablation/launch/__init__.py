"""Where trials run: the same jobs, statuses and directories on this machine, a Slurm cluster or a Ray cluster."""

"""Trials as jobs of a Slurm cluster, or of submitit on this machine."""

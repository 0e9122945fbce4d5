"""The statistics of an ablation: arrays in, numbers out; no files and no torch."""

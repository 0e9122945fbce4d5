"""The statistics of an ablation: numbers in, numbers out; no files, no records and no torch. See docs/statistics.md."""

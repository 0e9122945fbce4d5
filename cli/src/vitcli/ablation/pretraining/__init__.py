"""Classifiers that backbones start from: planned like the arms of an ablation, and trained before the first trial."""

"""From ablation files to a plan: what is run, with which configurations, and what is refused before the first trial."""

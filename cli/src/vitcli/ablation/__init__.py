"""An ablation: arms times seeds, planned, run and written down."""

"""The TensorBoard view of an ablation."""

"""Costs of a model: parameters, multiply-adds, speed and memory."""

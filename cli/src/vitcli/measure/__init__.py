"""What a model costs: parameters, multiply-adds, speed and memory."""

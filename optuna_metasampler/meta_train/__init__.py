"""Meta-training: the loop for methods that learn from prior studies by gradient steps."""

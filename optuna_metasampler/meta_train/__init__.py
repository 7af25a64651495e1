"""Meta-training: one loop for everything that learns from prior studies by gradient steps."""

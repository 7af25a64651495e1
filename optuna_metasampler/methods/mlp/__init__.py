"""``mlp``: an ensemble of networks from configuration to outcome, and gradient ascent on it."""

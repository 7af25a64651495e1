"""``q-learning``: a Q function over history and candidate, trained on the prior studies."""

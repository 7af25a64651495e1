"""``lstm``: a recurrent policy without a surrogate, trained on the prior studies."""

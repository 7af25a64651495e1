"""``fine-tune``, ``maml``, ``reptile``, ``meta-sgd``, ``imaml``, ``meta-random-search``."""

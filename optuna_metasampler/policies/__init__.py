"""Policies: the history of a study in, the next point out."""

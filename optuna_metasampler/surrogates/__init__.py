"""Surrogates: a task in, the distribution of the outcome at any point out."""

"""Runs of common learners on public tables: what knowledge about a learner is made from."""

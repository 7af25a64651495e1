"""``MetaSampler``: an Optuna sampler that starts where your earlier studies ended."""

from .sampler import MetaSampler


__all__ = ["MetaSampler"]

"""What users look at: log loss, accuracy, area under the curve; squared and absolute error."""

from __future__ import annotations

import numpy as np


CLASSIFICATION = ("log_loss", "accuracy", "auc")
REGRESSION = ("rmse", "mae")

Metrics = dict[str, float]


def of_classes(y: np.ndarray, scores: np.ndarray, probabilities: bool) -> Metrics:
    """Metrics of predicted classes.

    Args:
        y: Classes from 0, shape ``(n,)``.
        scores: The higher, the likelier; shape ``(n, classes)``.
        probabilities: Whether scores are probabilities; without them there is no log loss.
    """
    metrics = {
        "accuracy": float(np.mean(scores.argmax(1) == y)),
        "auc": float(np.mean([_auc(y == c, scores[:, c]) for c in _classes(y, scores)])),
    }
    if probabilities:
        metrics["log_loss"] = _log_loss(y, scores)
    return metrics


def of_numbers(y: np.ndarray, guess: np.ndarray) -> Metrics:
    """Metrics of predicted numbers.

    Args:
        y: Targets, shape ``(n,)``.
        guess: Predictions, shape ``(n,)``.
    """
    return {
        "rmse": float(np.sqrt(np.mean((y - guess) ** 2))),
        "mae": float(np.mean(np.abs(y - guess))),
    }


def _classes(y: np.ndarray, scores: np.ndarray) -> range:
    """The positive class of two, or each of several against the rest."""
    return range(1, 2) if scores.shape[1] == 2 else range(scores.shape[1])


def _auc(positive: np.ndarray, score: np.ndarray) -> float:
    """How often a positive row has the higher score; a tie counts half."""
    from scipy.stats import rankdata

    n = int(positive.sum())
    ranks = rankdata(score)[positive].sum() - n * (n + 1) / 2
    return float(ranks / (n * (len(positive) - n)))


def _log_loss(y: np.ndarray, scores: np.ndarray) -> float:
    """With probabilities that are not quite 0 or 1, as scikit-learn has it."""
    tiny = float(np.finfo(np.float64).eps)
    clipped = np.clip(scores.astype(np.float64), tiny, 1 - tiny)
    clipped /= clipped.sum(1, keepdims=True)
    return float(-np.log(clipped[np.arange(len(y)), y]).mean())

"""A demonstration on a real model: what old studies are worth to a new one.

Gradient boosting is tuned on four data sets that come with scikit-learn. Each is tuned anew with
what Optuna's default sampler has learned on the three others: by ``MetaSampler``, and by Optuna's
default sampler with the best old configurations enqueued. Both also start without old studies.

Nothing is picked by its outcome: every data set is shown, and the seeds are 0, 1, and so on.

Run it from the root of the repository: ``python -m examples.demo``, or ``make demo``.
"""

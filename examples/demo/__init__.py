"""A demonstration on real models: what four finished studies are worth to a fifth.

One small neural network (scikit-learn's ``MLPClassifier`` or ``MLPRegressor``) is tuned on the
five data sets that come with scikit-learn. Four of them are tuned with Optuna's default sampler,
and these studies are kept in a SQLite file. The fifth, the target, is then tuned by
``MetaSampler``, which reads those four studies, and by Optuna's default sampler, which does not,
with the same budget and seeds.

Nothing is picked by its outcome: the target is the data set with the most rows (the case where
earlier, cheaper studies are wanted most), and the seeds are 0, 1, 2, and so on.

Run it from the root of the repository: ``python -m examples.demo``, or ``make demo``.
"""

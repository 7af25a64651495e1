"""The learners: their parameters, and one fit that is judged at many sizes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
import time
from typing import Any, ClassVar

import numpy as np

from benchmarks.learner_records.catalogue import Kind
from benchmarks.learner_records.network import Training, train
from benchmarks.learner_records.parameters import Configuration, Parameter


@dataclass(frozen=True)
class Size:
    """A parameter that grows during one fit, such as the number of trees.

    Attributes:
        name: The official one.
        stages: The sizes at which predictions are judged.
        most: The largest one in a study that tunes it.
        default: The library's.
    """

    name: str
    stages: tuple[int, ...]
    most: int
    default: int

    @property
    def parameter(self) -> Parameter:
        """For a study that tunes it."""
        return Parameter(self.name, self.stages[0], self.most, log=True, whole=True)


class Clock:
    """Seconds of computing that a fit may take; other processes do not count."""

    def __init__(self, limit: float) -> None:
        self._end = time.process_time() + limit
        self.expired = False

    def over(self) -> bool:
        """Whether the time is up, which is remembered."""
        self.expired = self.expired or time.process_time() > self._end
        return self.expired


@dataclass(frozen=True)
class Fit:
    """What a learner is given.

    Attributes:
        kind: Of the data set.
        configuration: Values by name, without the size.
        stages: Increasing sizes to predict at; empty for a learner without a size.
        x: Features to learn from, ``(n, d)``.
        y: Targets to learn from, ``(n,)``.
        tested: Features to predict for, ``(m, d)``.
        clock: When to stop.
    """

    kind: Kind
    configuration: Configuration
    stages: tuple[int, ...]
    x: np.ndarray
    y: np.ndarray
    tested: np.ndarray
    clock: Clock

    @property
    def classes(self) -> bool:
        """Whether classes are predicted."""
        return self.kind == "classification"


class Learner(ABC):
    """A learner with its parameters."""

    name: ClassVar[str]
    package: ClassVar[str]
    size: ClassVar[Size | None] = None
    probabilities: ClassVar[bool] = True

    @abstractmethod
    def parameters(self, kind: Kind) -> tuple[Parameter, ...]:
        """All but the size."""

    def describe(self) -> dict[str, Any]:
        """As a table says it."""
        kinds: tuple[Kind, ...] = ("classification", "regression")
        return {
            "package": self.package,
            "size": asdict(self.size) if self.size else None,
            **{kind: [each.describe() for each in self.parameters(kind)] for kind in kinds},
        }

    @abstractmethod
    def predict(self, fit: Fit) -> Iterator[np.ndarray]:
        """Scores at each stage, or once: ``(m, classes)`` for classes, else ``(m,)``.

        Ends early when the time is up.
        """


_TREES = (10, 20, 35, 60, 100, 180, 320, 560, 1000)
_DEAR_TREES = (10, 20, 35, 60, 100, 180, 300)
_FOREST = (10, 20, 35, 60, 100)


class LightGBM(Learner):
    """Leaf-wise boosting."""

    name = "lightgbm"
    package = "lightgbm"
    size = Size("n_estimators", _TREES, 1000, 100)

    def parameters(self, kind: Kind) -> tuple[Parameter, ...]:
        return (
            Parameter("learning_rate", 1e-3, 0.5, log=True, default=0.1),
            Parameter("num_leaves", 2, 512, log=True, whole=True, default=31),
            Parameter("max_depth", 1, 16, whole=True),
            Parameter("min_child_samples", 1, 200, log=True, whole=True, default=20),
            Parameter("min_child_weight", 1e-5, 100, log=True, default=1e-3),
            Parameter("subsample", 0.2, 1.0, default=1.0),
            Parameter("colsample_bytree", 0.1, 1.0, default=1.0),
            Parameter("reg_alpha", 1e-8, 100, log=True, default=0.0),
            Parameter("reg_lambda", 1e-8, 100, log=True, default=0.0),
            Parameter("min_split_gain", 1e-8, 10, log=True, default=0.0),
        )

    def predict(self, fit: Fit) -> Iterator[np.ndarray]:
        import lightgbm

        n_classes = int(fit.y.max()) + 1 if fit.classes else 0
        objective = {0: "regression", 2: "binary"}.get(n_classes, "multiclass")
        options = {
            "objective": objective,
            "subsample_freq": 1,
            "random_state": 0,
            "num_threads": 1,
            "verbose": -1,
            "deterministic": True,
            "force_col_wise": True,
            **({"num_class": n_classes} if objective == "multiclass" else {}),
            **fit.configuration,
        }
        # As the wrapper for scikit-learn does it, without a copy of the model by way of text.
        booster = lightgbm.Booster(options, lightgbm.Dataset(fit.x, fit.y, params=options))
        raw = np.zeros(1)
        done = 0
        for i in range(fit.stages[-1]):
            booster.update()
            if fit.clock.over():
                return
            if i + 1 in fit.stages:
                # A round that finds no split leaves no tree.
                n_trees = booster.current_iteration()
                if n_trees > done:
                    raw = raw + booster.predict(
                        fit.tested,
                        raw_score=True,
                        start_iteration=done,
                        num_iteration=n_trees - done,
                    )
                done = n_trees
                yield _probabilities(raw) if fit.classes else raw


class XGBoost(Learner):
    """Depth-wise boosting."""

    name = "xgboost"
    package = "xgboost"
    size = Size("n_estimators", _TREES, 1000, 100)

    def parameters(self, kind: Kind) -> tuple[Parameter, ...]:
        return (
            Parameter("learning_rate", 1e-3, 0.5, log=True, default=0.3),
            Parameter("max_depth", 1, 14, whole=True, default=6),
            Parameter("min_child_weight", 1e-2, 100, log=True, default=1.0),
            Parameter("gamma", 1e-8, 10, log=True, default=0.0),
            Parameter("subsample", 0.2, 1.0, default=1.0),
            Parameter("colsample_bytree", 0.1, 1.0, default=1.0),
            Parameter("colsample_bylevel", 0.1, 1.0, default=1.0),
            Parameter("reg_alpha", 1e-8, 100, log=True, default=0.0),
            Parameter("reg_lambda", 1e-8, 100, log=True, default=1.0),
        )

    def predict(self, fit: Fit) -> Iterator[np.ndarray]:
        import xgboost

        n_classes = int(fit.y.max()) + 1 if fit.classes else 0
        objective = {0: "reg:squarederror", 2: "binary:logistic"}.get(n_classes, "multi:softprob")
        options = {
            "objective": objective,
            "seed": 0,
            "nthread": 1,
            **({"num_class": n_classes} if objective == "multi:softprob" else {}),
            **fit.configuration,
        }
        # As the wrapper for scikit-learn does it, without a copy of the model at the end.
        table = xgboost.DMatrix(fit.x, fit.y, nthread=1)
        booster = xgboost.Booster(options, [table])
        for i in range(fit.stages[-1]):
            booster.update(table, i)
            if fit.clock.over():
                return
            if i + 1 in fit.stages:
                out = np.asarray(booster.inplace_predict(fit.tested), dtype=float)
                yield np.column_stack([1 - out, out]) if n_classes == 2 else out


class CatBoost(Learner):
    """Boosting of oblivious trees."""

    name = "catboost"
    package = "catboost"
    size = Size("iterations", _DEAR_TREES, 600, 1000)

    def parameters(self, kind: Kind) -> tuple[Parameter, ...]:
        return (
            Parameter("learning_rate", 1e-3, 0.5, log=True),
            Parameter("depth", 1, 8, whole=True, default=6),
            Parameter("l2_leaf_reg", 1e-2, 100, log=True, default=3.0),
            Parameter("random_strength", 1e-8, 100, log=True, default=1.0),
            Parameter("rsm", 0.1, 1.0, default=1.0),
            Parameter("border_count", 8, 254, log=True, whole=True, default=254),
            Parameter("bootstrap_type", choices=("MVS", "Bayesian", "Bernoulli"), default="MVS"),
            Parameter(
                "subsample", 0.2, 1.0, needs=("bootstrap_type", ("MVS", "Bernoulli")), default=0.8
            ),
            Parameter("bagging_temperature", 0.0, 10.0, needs=("bootstrap_type", ("Bayesian",))),
        )

    def predict(self, fit: Fit) -> Iterator[np.ndarray]:
        import catboost

        class Stop:
            def after_iteration(self, _: object) -> bool:
                return not fit.clock.over()

        model = (catboost.CatBoostClassifier if fit.classes else catboost.CatBoostRegressor)(
            iterations=fit.stages[-1],
            # The library's own choice depends on the number of iterations.
            **{"learning_rate": 0.03, **fit.configuration},
            random_seed=0,
            thread_count=1,
            verbose=False,
            allow_writing_files=False,
        )
        model.fit(fit.x, fit.y, callbacks=[Stop()])
        predict = model.predict_proba if fit.classes else model.predict
        for stage in fit.stages:
            if stage > model.tree_count_:
                return
            yield np.asarray(predict(fit.tested, ntree_end=stage, thread_count=1))


class HistGradientBoosting(Learner):
    """scikit-learn's histogram boosting."""

    name = "hist_gradient_boosting"
    package = "scikit-learn"
    size = Size("max_iter", _DEAR_TREES, 400, 100)

    def parameters(self, kind: Kind) -> tuple[Parameter, ...]:
        return (
            Parameter("learning_rate", 1e-3, 0.5, log=True, default=0.1),
            Parameter("max_leaf_nodes", 2, 256, log=True, whole=True, default=31),
            Parameter("max_depth", 1, 16, whole=True),
            Parameter("min_samples_leaf", 1, 200, log=True, whole=True, default=20),
            Parameter("l2_regularization", 1e-8, 100, log=True, default=0.0),
            Parameter("max_features", 0.1, 1.0, default=1.0),
            Parameter("max_bins", 8, 255, log=True, whole=True, default=255),
        )

    def predict(self, fit: Fit) -> Iterator[np.ndarray]:
        from sklearn import ensemble

        model = (
            ensemble.HistGradientBoostingClassifier
            if fit.classes
            else ensemble.HistGradientBoostingRegressor
        )(early_stopping=False, warm_start=True, random_state=0, **fit.configuration)
        for stage in fit.stages:
            if fit.clock.over():
                return
            model.set_params(max_iter=stage).fit(fit.x, fit.y)
            yield (model.predict_proba if fit.classes else model.predict)(fit.tested)


class _Forest(Learner):
    """A forest: the mean of trees that are grown apart."""

    package = "scikit-learn"
    size = Size("n_estimators", _FOREST, 300, 100)

    bootstrap: ClassVar[bool]
    classifier: ClassVar[str]
    regressor: ClassVar[str]

    def parameters(self, kind: Kind) -> tuple[Parameter, ...]:
        criteria = ("gini", "entropy") if kind == "classification" else ()
        criterion = (Parameter("criterion", choices=criteria, default="gini"),) if criteria else ()
        everything = 1.0 if kind == "regression" else None
        return (
            Parameter("max_depth", 1, 32, log=True, whole=True),
            Parameter("max_features", 0.05, 1.0, default=everything),
            Parameter("min_samples_split", 2, 100, log=True, whole=True, default=2),
            Parameter("min_samples_leaf", 1, 100, log=True, whole=True, default=1),
            Parameter("max_leaf_nodes", 4, 1024, log=True, whole=True),
            Parameter("min_impurity_decrease", 1e-7, 0.1, log=True, default=0.0),
            Parameter("bootstrap", choices=(True, False), default=self.bootstrap),
            Parameter("max_samples", 0.1, 1.0, needs=("bootstrap", (True,))),
            *criterion,
        )

    def predict(self, fit: Fit) -> Iterator[np.ndarray]:
        from sklearn import ensemble

        model = getattr(ensemble, self.classifier if fit.classes else self.regressor)(
            warm_start=True, random_state=0, n_jobs=1, **fit.configuration
        )
        tested = np.asarray(fit.tested, dtype=np.float32)
        total = np.zeros(1)
        done = 0
        for stage in fit.stages:
            if fit.clock.over():
                return
            model.set_params(n_estimators=stage).fit(fit.x, fit.y)
            for tree in model.estimators_[done:]:
                total = total + (tree.predict_proba if fit.classes else tree.predict)(tested)
            done = stage
            yield total / stage


class RandomForest(_Forest):
    """Trees on samples of the rows."""

    name = "random_forest"
    bootstrap = True
    classifier = "RandomForestClassifier"
    regressor = "RandomForestRegressor"


class ExtraTrees(_Forest):
    """Trees with thresholds drawn at random."""

    name = "extra_trees"
    bootstrap = False
    classifier = "ExtraTreesClassifier"
    regressor = "ExtraTreesRegressor"


class _Scaled(Learner):
    """A learner that compares features, so they get mean 0 and standard deviation 1 first."""

    package = "scikit-learn"

    def predict(self, fit: Fit) -> Iterator[np.ndarray]:
        mean, deviation = fit.x.mean(0), fit.x.std(0)
        deviation = np.where(deviation > 0, deviation, 1.0)
        x, tested = ((each - mean) / deviation for each in (fit.x, fit.tested))
        yield from self.predict_scaled(replace(fit, x=x, tested=tested))

    @abstractmethod
    def predict_scaled(self, fit: Fit) -> Iterator[np.ndarray]:
        """See `Learner.predict`."""


class SupportVectorMachine(_Scaled):
    """A margin in the space of a kernel; it gives no probabilities."""

    name = "svm"
    probabilities = False

    # libsvm may go on for hours where the penalty is large.
    _MAX_ITERATIONS = 50_000

    def parameters(self, kind: Kind) -> tuple[Parameter, ...]:
        own = (
            Parameter("class_weight", choices=("none", "balanced"), default="none")
            if kind == "classification"
            else Parameter("epsilon", 1e-4, 1.0, log=True, default=0.1)
        )
        kernels = ("rbf", "linear", "poly", "sigmoid")
        return (
            Parameter("C", 1e-3, 1e4, log=True, default=1.0),
            Parameter("kernel", choices=kernels, default="rbf"),
            Parameter("gamma", 1e-6, 10.0, log=True, needs=("kernel", ("rbf", "poly", "sigmoid"))),
            Parameter("degree", 2, 5, whole=True, needs=("kernel", ("poly",)), default=3),
            Parameter("coef0", 0.0, 2.0, needs=("kernel", ("poly", "sigmoid")), default=0.0),
            own,
        )

    def predict_scaled(self, fit: Fit) -> Iterator[np.ndarray]:
        """See `Learner.predict`."""
        from sklearn import svm

        model = (svm.SVC if fit.classes else svm.SVR)(
            max_iter=self._MAX_ITERATIONS, **_without_none(fit.configuration)
        )
        model.fit(fit.x, fit.y)
        if not fit.classes:
            yield model.predict(fit.tested)
            return
        scores = model.decision_function(fit.tested)
        yield scores if scores.ndim == 2 else np.column_stack([-scores, scores])


class Linear(_Scaled):
    """Logistic regression, or a linear one, under an elastic net."""

    name = "linear"

    def parameters(self, kind: Kind) -> tuple[Parameter, ...]:
        if kind == "regression":
            return (
                Parameter("alpha", 1e-6, 1e2, log=True, default=1.0),
                Parameter("l1_ratio", 0.0, 1.0, default=0.5),
                Parameter("fit_intercept", choices=(True, False), default=True),
            )
        return (
            Parameter("C", 1e-5, 1e4, log=True, default=1.0),
            Parameter("l1_ratio", 0.0, 1.0, default=0.0),
            Parameter("fit_intercept", choices=(True, False), default=True),
            Parameter("class_weight", choices=("none", "balanced"), default="none"),
        )

    def predict_scaled(self, fit: Fit) -> Iterator[np.ndarray]:
        """See `Learner.predict`."""
        from sklearn.linear_model import ElasticNet, LogisticRegression

        options = _without_none(fit.configuration)
        if fit.classes:
            model = LogisticRegression(solver="saga", max_iter=300, random_state=0, **options)
            yield model.fit(fit.x, fit.y).predict_proba(fit.tested)
        else:
            yield ElasticNet(**options).fit(fit.x, fit.y).predict(fit.tested)


class NearestNeighbors(_Scaled):
    """The mean of the nearest rows."""

    name = "nearest_neighbors"

    def parameters(self, kind: Kind) -> tuple[Parameter, ...]:
        metrics = ("minkowski", "cosine", "chebyshev")
        return (
            Parameter("n_neighbors", 1, 150, log=True, whole=True, default=5),
            Parameter("weights", choices=("uniform", "distance"), default="uniform"),
            Parameter("metric", choices=metrics, default="minkowski"),
            Parameter("p", 1.0, 5.0, needs=("metric", ("minkowski",)), default=2.0),
        )

    def predict_scaled(self, fit: Fit) -> Iterator[np.ndarray]:
        """See `Learner.predict`."""
        from sklearn import neighbors

        model = (neighbors.KNeighborsClassifier if fit.classes else neighbors.KNeighborsRegressor)(
            n_jobs=1, **fit.configuration
        )
        model.fit(fit.x, fit.y)
        yield (model.predict_proba if fit.classes else model.predict)(fit.tested)


class NeuralNetwork(_Scaled):
    """A multilayer perceptron, trained by Adam or by descent with momentum."""

    name = "neural_network"
    package = "numpy"
    size = Size("epochs", (1, 2, 4, 8, 15, 30, 60), 100, 30)

    def parameters(self, kind: Kind) -> tuple[Parameter, ...]:
        return (
            Parameter("optimizer", choices=("adam", "sgd"), default="adam"),
            Parameter("learning_rate", 1e-5, 0.3, log=True, default=1e-3),
            Parameter("momentum", 0.0, 0.99, needs=("optimizer", ("sgd",)), default=0.0),
            Parameter("weight_decay", 1e-8, 0.3, log=True, default=0.0),
            Parameter("batch_size", 16, 512, log=True, whole=True, default=32),
            Parameter("dropout", 0.0, 0.8, default=0.0),
            Parameter("n_layers", 1, 4, whole=True, default=2),
            Parameter("n_units", 8, 256, log=True, whole=True, default=64),
            Parameter("activation", choices=("relu", "tanh", "sigmoid"), default="relu"),
        )

    def predict_scaled(self, fit: Fit) -> Iterator[np.ndarray]:
        """See `Learner.predict`."""
        from scipy.special import softmax

        options: dict[str, Any] = {**fit.configuration}
        training = Training(**options)
        n_outputs = int(fit.y.max()) + 1 if fit.classes else 1
        networks = train(fit.x, fit.y, n_outputs, training, seed=0)
        tested = np.asarray(fit.tested, dtype=np.float32)
        for epoch, network in enumerate(islice(networks, fit.stages[-1]), start=1):
            if fit.clock.over():
                return
            if epoch in fit.stages:
                out = network.predict(tested, training.activation).astype(float)
                yield softmax(out, axis=1) if fit.classes else out[:, 0]


def _without_none(configuration: Configuration) -> dict[str, Any]:
    """Options of scikit-learn, whose name for no weights is no word."""
    return {name: None if value == "none" else value for name, value in configuration.items()}


def _probabilities(raw: np.ndarray) -> np.ndarray:
    """From raw scores: of the positive class ``(m,)``, or of each class ``(m, classes)``."""
    from scipy.special import expit, softmax

    if raw.ndim == 1:
        positive = expit(raw)
        return np.column_stack([1 - positive, positive])
    shares: np.ndarray = softmax(raw, axis=1)
    return shares


LEARNERS: dict[str, Learner] = {
    learner.name: learner
    for learner in (
        LightGBM(),
        XGBoost(),
        CatBoost(),
        HistGradientBoosting(),
        RandomForest(),
        ExtraTrees(),
        SupportVectorMachine(),
        Linear(),
        NearestNeighbors(),
        NeuralNetwork(),
    )
}

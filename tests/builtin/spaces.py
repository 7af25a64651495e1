"""Search spaces as tutorials, manuals and papers have them, in our own words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from optuna_metasampler.builtin.catalogue import LearnerName


def real(low: float, high: float) -> FloatDistribution:
    return FloatDistribution(low, high)


def log(low: float, high: float) -> FloatDistribution:
    return FloatDistribution(low, high, log=True)


def whole(low: int, high: int, step: int = 1) -> IntDistribution:
    return IntDistribution(low, high, step=step)


def log_whole(low: int, high: int) -> IntDistribution:
    return IntDistribution(low, high, log=True)


def of(*choices: Any) -> CategoricalDistribution:
    return CategoricalDistribution(choices)


Row = tuple[BaseDistribution, "str | None"]


@dataclass(frozen=True)
class Space:
    """A search space and what it should be taken for.

    Attributes:
        title: Where one finds such a space.
        learner: Whose it is; ``None`` if it is nobody's, or cannot be told.
        rows: Name to distribution and canonical name, ``None`` for what is unknown.
        hints: Texts that may name the learner.
    """

    title: str
    learner: LearnerName | None
    rows: Mapping[str, Row]
    hints: tuple[str, ...] = field(default=())

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        return {name: row[0] for name, row in self.rows.items()}

    @property
    def canonical(self) -> dict[str, str]:
        return {name: row[1] for name, row in self.rows.items() if row[1]}


def nobodys(title: str, *hints: str, **distributions: BaseDistribution) -> Space:
    return Space(title, None, {name: (d, None) for name, d in distributions.items()}, hints)


SOMEBODYS = (
    Space(
        "Optuna's example of LightGBM",
        "lightgbm",
        {
            "lambda_l1": (log(1e-8, 10), "reg_alpha"),
            "lambda_l2": (log(1e-8, 10), "reg_lambda"),
            "num_leaves": (whole(2, 256), "num_leaves"),
            "feature_fraction": (real(0.4, 1), "colsample_bytree"),
            "bagging_fraction": (real(0.4, 1), "subsample"),
            "bagging_freq": (whole(1, 7), None),
            "min_child_samples": (whole(5, 100), "min_child_samples"),
        },
    ),
    Space(
        "an objective for a competition, with LightGBM's wrapper",
        "lightgbm",
        {
            "n_estimators": (whole(100, 3000), "n_estimators"),
            "learning_rate": (log(0.005, 0.3), "learning_rate"),
            "num_leaves": (whole(20, 3000, 20), "num_leaves"),
            "max_depth": (whole(3, 12), "max_depth"),
            "min_data_in_leaf": (whole(200, 10_000, 100), None),
            "max_bin": (whole(200, 300), None),
            "lambda_l1": (whole(0, 100, 5), "reg_alpha"),
            "lambda_l2": (whole(0, 100, 5), "reg_lambda"),
            "min_gain_to_split": (real(0, 15), "min_split_gain"),
            "bagging_fraction": (FloatDistribution(0.2, 0.9, step=0.1), "subsample"),
            "bagging_freq": (of(1), None),
            "feature_fraction": (FloatDistribution(0.2, 0.9, step=0.1), "colsample_bytree"),
        },
    ),
    Space(
        "FLAML's LightGBM",
        "lightgbm",
        {
            "n_estimators": (log_whole(4, 32768), "n_estimators"),
            "num_leaves": (log_whole(4, 32768), "num_leaves"),
            "min_child_samples": (log_whole(2, 129), "min_child_samples"),
            "learning_rate": (log(1 / 1024, 1), "learning_rate"),
            "log_max_bin": (whole(3, 10), None),
            "colsample_bytree": (real(0.01, 1), "colsample_bytree"),
            "reg_alpha": (log(1 / 1024, 1024), "reg_alpha"),
            "reg_lambda": (log(1 / 1024, 1024), "reg_lambda"),
        },
    ),
    Space(
        "LightGBM with an unbalanced target",
        "lightgbm",
        {
            "num_leaves": (whole(10, 100), "num_leaves"),
            "learning_rate": (log(0.01, 0.3), "learning_rate"),
            "scale_pos_weight": (real(1, 10), None),
            "is_unbalance": (of(True, False), None),
            "extra_trees": (of(True, False), None),
        },
    ),
    Space(
        "a pipeline with a step called lgbm",
        "lightgbm",
        {
            "scaler__with_mean": (of(True, False), None),
            "lgbm__num_leaves": (whole(8, 64), "num_leaves"),
            "lgbm__learning_rate": (log(0.01, 0.3), "learning_rate"),
        },
    ),
    Space(
        "prefixes in front of names that boosters share",
        "lightgbm",
        {
            "lgb_learning_rate": (log(0.01, 0.3), "learning_rate"),
            "lgb_max_depth": (whole(3, 10), "max_depth"),
            "lgb_subsample": (real(0.5, 1), "subsample"),
        },
    ),
    Space(
        "names in the manner of Java",
        "lightgbm",
        {
            "numLeaves": (whole(8, 128), "num_leaves"),
            "learningRate": (log(0.01, 0.3), "learning_rate"),
            "maxDepth": (of(-1, 5, 10), "max_depth"),
        },
    ),
    Space(
        "Optuna's example of XGBoost",
        "xgboost",
        {
            "booster": (of("gbtree", "gblinear", "dart"), None),
            "lambda": (log(1e-8, 1), "reg_lambda"),
            "alpha": (log(1e-8, 1), "reg_alpha"),
            "subsample": (real(0.2, 1), "subsample"),
            "colsample_bytree": (real(0.2, 1), "colsample_bytree"),
            "max_depth": (whole(3, 9, 2), "max_depth"),
            "min_child_weight": (whole(2, 10), "min_child_weight"),
            "eta": (log(1e-8, 1), "learning_rate"),
            "gamma": (log(1e-8, 1), "gamma"),
            "grow_policy": (of("depthwise", "lossguide"), None),
        },
    ),
    Space(
        "caret's xgbTree",
        "xgboost",
        {
            "nrounds": (whole(50, 250, 50), "n_estimators"),
            "max_depth": (whole(1, 5), "max_depth"),
            "eta": (of(0.3, 0.4), "learning_rate"),
            "gamma": (real(0, 10), "gamma"),
            "colsample_bytree": (of(0.6, 0.8), "colsample_bytree"),
            "min_child_weight": (whole(0, 20), "min_child_weight"),
            "subsample": (real(0.25, 1), "subsample"),
        },
    ),
    Space(
        "mlr3's default space of xgboost",
        "xgboost",
        {
            "eta": (log(1e-4, 1), "learning_rate"),
            "nrounds": (whole(1, 5000), "n_estimators"),
            "max_depth": (whole(1, 20), "max_depth"),
            "colsample_bytree": (real(0.1, 1), "colsample_bytree"),
            "colsample_bylevel": (real(0.1, 1), "colsample_bylevel"),
            "lambda": (log(1e-3, 1e3), "reg_lambda"),
            "alpha": (log(1e-3, 1e3), "reg_alpha"),
            "subsample": (real(0.1, 1), "subsample"),
        },
    ),
    Space(
        "FLAML's XGBoost",
        "xgboost",
        {
            "n_estimators": (log_whole(4, 32768), "n_estimators"),
            "max_leaves": (log_whole(4, 32768), None),
            "min_child_weight": (log(0.001, 128), "min_child_weight"),
            "learning_rate": (log(1 / 1024, 1), "learning_rate"),
            "subsample": (real(0.1, 1), "subsample"),
            "colsample_bylevel": (real(0.01, 1), "colsample_bylevel"),
            "colsample_bytree": (real(0.01, 1), "colsample_bytree"),
            "reg_alpha": (log(1 / 1024, 1024), "reg_alpha"),
            "reg_lambda": (log(1 / 1024, 1024), "reg_lambda"),
        },
    ),
    Space(
        "hyperopt's grid for XGBoost, with floats for whole numbers",
        "xgboost",
        {
            "max_depth": (FloatDistribution(3, 18, step=1), "max_depth"),
            "gamma": (real(1, 9), "gamma"),
            "reg_alpha": (FloatDistribution(40, 180, step=1), "reg_alpha"),
            "reg_lambda": (real(0, 1), "reg_lambda"),
            "colsample_bytree": (real(0.5, 1), "colsample_bytree"),
            "min_child_weight": (FloatDistribution(0, 10, step=1), "min_child_weight"),
        },
    ),
    Space(
        "two names with XGBoost's prefix",
        "xgboost",
        {
            "xgb_max_depth": (whole(2, 8), "max_depth"),
            "xgb.lr": (log(0.01, 0.3), "learning_rate"),
        },
    ),
    Space(
        "Optuna's example of CatBoost",
        "catboost",
        {
            "objective": (of("Logloss", "CrossEntropy"), None),
            "colsample_bylevel": (log(0.01, 0.1), None),
            "depth": (whole(1, 12), "depth"),
            "boosting_type": (of("Ordered", "Plain"), None),
            "bootstrap_type": (of("Bayesian", "Bernoulli", "MVS"), "bootstrap_type"),
            "bagging_temperature": (real(0, 10), "bagging_temperature"),
            "subsample": (real(0.1, 1), "subsample"),
        },
    ),
    Space(
        "CatBoost's manual on tuning",
        "catboost",
        {
            "learning_rate": (log(1e-3, 0.3), "learning_rate"),
            "depth": (whole(4, 10), "depth"),
            "l2_leaf_reg": (of(1, 3, 5, 7, 9), "l2_leaf_reg"),
            "min_data_in_leaf": (whole(1, 100), None),
        },
    ),
    Space(
        "scikit-learn's histogram boosting",
        "hist_gradient_boosting",
        {
            "max_iter": (whole(50, 400), "max_iter"),
            "learning_rate": (log(0.01, 1), "learning_rate"),
            "max_leaf_nodes": (of(3, 10, 30, 100), "max_leaf_nodes"),
            "l2_regularization": (log(1e-6, 1e3), "l2_regularization"),
            "min_samples_leaf": (log_whole(1, 100), "min_samples_leaf"),
            "max_bins": (whole(2, 255), "max_bins"),
        },
    ),
    Space(
        "scikit-learn's course: histogram boosting in a pipeline",
        "hist_gradient_boosting",
        {
            "classifier__l2_regularization": (log(1e-6, 1e3), "l2_regularization"),
            "classifier__learning_rate": (log(0.001, 10), "learning_rate"),
            "classifier__max_leaf_nodes": (log_whole(2, 256), "max_leaf_nodes"),
            "classifier__min_samples_leaf": (log_whole(1, 100), "min_samples_leaf"),
            "classifier__max_bins": (whole(2, 255), "max_bins"),
        },
    ),
    Space(
        "a random search for a forest",
        "random_forest",
        {
            "n_estimators": (whole(200, 2000, 200), None),
            "max_features": (of("sqrt", "log2"), None),
            "max_depth": (of(10, 20, 40, 80, None), "max_depth"),
            "min_samples_split": (of(2, 5, 10), "min_samples_split"),
            "min_samples_leaf": (of(1, 2, 4), "min_samples_leaf"),
            "bootstrap": (of(True, False), "bootstrap"),
        },
    ),
    Space(
        "auto-sklearn's forest",
        "random_forest",
        {
            "classifier:random_forest:bootstrap": (of("True", "False"), "bootstrap"),
            "classifier:random_forest:criterion": (of("gini", "entropy"), "criterion"),
            "classifier:random_forest:max_features": (real(0, 1), "max_features"),
            "classifier:random_forest:min_samples_leaf": (whole(1, 20), "min_samples_leaf"),
            "classifier:random_forest:min_samples_split": (whole(2, 20), "min_samples_split"),
            "classifier:random_forest:min_weight_fraction_leaf": (of(0.0), None),
        },
    ),
    Space(
        "mlr3's default space of ranger",
        "random_forest",
        {
            "mtry.ratio": (real(0, 1), "max_features"),
            "replace": (of(True, False), "bootstrap"),
            "sample.fraction": (real(0.1, 1), "max_samples"),
            "num.trees": (whole(1, 2000), "n_estimators"),
        },
    ),
    Space(
        "a forest where only a prefix says so",
        "random_forest",
        {
            "rf_max_depth": (log_whole(2, 32), "max_depth"),
            "rf_n_estimators": (whole(10, 200), "n_estimators"),
        },
    ),
    Space(
        "extremely randomised trees, named by the study",
        "extra_trees",
        {
            "n_estimators": (whole(50, 300), "n_estimators"),
            "max_features": (real(0.1, 1), "max_features"),
            "min_samples_leaf": (whole(1, 20), "min_samples_leaf"),
        },
        hints=("ExtraTreesClassifier",),
    ),
    Space(
        "LIBSVM's guide: a grid of powers of two",
        "svm",
        {
            "C": (whole(-5, 15, 2), "C"),
            "gamma": (whole(-15, 3, 2), "gamma"),
        },
    ),
    Space(
        "scikit-learn's grid of powers of ten",
        "svm",
        {
            "svc__C": (log(1e-2, 1e10), "C"),
            "svc__gamma": (log(1e-9, 1e3), "gamma"),
        },
    ),
    Space(
        "mlr3's default space of svm",
        "svm",
        {
            "cost": (log(1e-4, 1e4), "C"),
            "kernel": (of("polynomial", "radial", "sigmoid", "linear"), "kernel"),
            "degree": (whole(2, 5), "degree"),
            "gamma": (log(1e-4, 1e4), "gamma"),
        },
    ),
    Space(
        "caret's svmRadial",
        "svm",
        {"sigma": (log(1e-3, 1), "gamma"), "C": (log(0.25, 128), "C")},
    ),
    Space(
        "a support-vector machine behind principal components",
        "svm",
        {
            "pca__n_components": (whole(2, 30), None),
            "clf__log_C": (real(-3, 3), "C"),
            "clf__log_gamma": (real(-6, 1), "gamma"),
        },
    ),
    Space(
        "logistic regression with an elastic net",
        "linear",
        {
            "C": (log(1e-4, 1e4), "C"),
            "l1_ratio": (real(0, 1), "l1_ratio"),
            "class_weight": (of(None, "balanced"), "class_weight"),
        },
    ),
    Space(
        "logistic regression with a choice of penalties",
        "linear",
        {
            "C": (log(1e-4, 1e2), "C"),
            "penalty": (of("l1", "l2"), None),
            "solver": (of("liblinear", "saga"), None),
        },
    ),
    Space(
        "a lasso behind polynomials",
        "linear",
        {"poly__degree": (whole(1, 3), None), "lasso__alpha": (log(1e-4, 1), "alpha")},
    ),
    Space(
        "an elastic net",
        "linear",
        {
            "model__regressor__alpha": (log(1e-5, 10), "alpha"),
            "model__regressor__l1_ratio": (real(0, 1), "l1_ratio"),
        },
    ),
    Space(
        "ridge regression, by its name alone",
        "linear",
        {"ridge__alpha": (log(1e-3, 1e3), "alpha")},
    ),
    Space(
        "scikit-learn's nearest neighbours",
        "nearest_neighbors",
        {
            "n_neighbors": (whole(1, 30), "n_neighbors"),
            "weights": (of("uniform", "distance"), "weights"),
            "metric": (of("euclidean", "manhattan", "minkowski"), "metric"),
            "leaf_size": (whole(10, 50), None),
        },
    ),
    Space(
        "neighbours by a prefix",
        "nearest_neighbors",
        {"knn_k": (whole(1, 50), "n_neighbors"), "knn_p": (whole(1, 2), "p")},
    ),
    Space(
        "Optuna's example of PyTorch",
        "neural_network",
        {
            "n_layers": (whole(1, 3), "n_layers"),
            "n_units_l0": (whole(4, 128), "n_units"),
            "n_units_l1": (whole(4, 128), "n_units"),
            "dropout_l0": (real(0.2, 0.5), "dropout"),
            "dropout_l1": (real(0.2, 0.5), "dropout"),
            "optimizer": (of("Adam", "RMSprop", "SGD"), "optimizer"),
            "lr": (log(1e-5, 1e-1), "learning_rate"),
        },
    ),
    Space(
        "Optuna's example of TensorFlow",
        "neural_network",
        {
            "n_layers": (whole(1, 3), "n_layers"),
            "weight_decay": (log(1e-10, 1e-3), "weight_decay"),
            "n_units_l0": (log_whole(4, 128), "n_units"),
            "optimizer": (of("RMSprop", "Adam", "SGD"), "optimizer"),
            "adam_learning_rate": (log(1e-5, 1e-1), "learning_rate"),
            "sgd_opt_learning_rate": (log(1e-5, 1e-1), "learning_rate"),
            "sgd_opt_momentum": (log(1e-5, 1e-1), "momentum"),
        },
    ),
    Space(
        "skorch",
        "neural_network",
        {
            "lr": (log(1e-4, 1e-1), "learning_rate"),
            "max_epochs": (whole(10, 50), "epochs"),
            "module__num_units": (of(16, 32, 64), "n_units"),
            "module__dropout": (real(0, 0.5), "dropout"),
            "optimizer__momentum": (real(0, 0.95), "momentum"),
        },
    ),
    Space(
        "scikit-learn's perceptron",
        "neural_network",
        {
            "hidden_layer_sizes": (of("50", "100"), None),
            "activation": (of("relu", "logistic"), "activation"),
            "alpha": (log(1e-6, 0.1), None),
            "learning_rate_init": (log(1e-4, 0.1), "learning_rate"),
            "solver": (of("adam", "sgd", "lbfgs"), "optimizer"),
        },
    ),
    Space(
        "Keras's tuner, with a number for each layer",
        "neural_network",
        {
            "num_layers": (whole(1, 3), "n_layers"),
            "units_0": (whole(32, 256, 32), "n_units"),
            "units_1": (whole(32, 256, 32), "n_units"),
            "activation": (of("relu", "tanh"), "activation"),
            "dropout": (of(True, False), None),
            "lr": (log(1e-4, 1e-2), "learning_rate"),
        },
    ),
)

NOBODYS = (
    Space(
        "Optuna's example that chooses between learners",
        None,
        {
            "classifier": (of("SVC", "RandomForest"), None),
            "svc_c": (log(1e-10, 1e10), None),
            "rf_max_depth": (log_whole(2, 32), None),
        },
    ),
    nobodys(
        "a choice between boosters that share all names",
        model=of("xgb", "lgbm"),
        learning_rate=log(0.01, 0.3),
        max_depth=whole(3, 10),
        min_child_weight=log(0.1, 10),
        colsample_bytree=real(0.5, 1),
    ),
    nobodys(
        "two learners in one ensemble",
        xgb_max_depth=whole(3, 10),
        xgb_gamma=log(1e-3, 1),
        lgb_num_leaves=whole(8, 128),
        lgb_learning_rate=log(0.01, 0.3),
    ),
    nobodys("a polynomial", x=real(-10, 10), y=real(-10, 10)),
    nobodys("a function of ten numbers", **{f"x{i}": real(-5, 5) for i in range(10)}),
    nobodys("a learning rate alone", learning_rate=log(1e-4, 1e-1)),
    nobodys("a network by its rates alone", lr=log(1e-5, 1e-1), dropout=real(0, 0.5)),
    nobodys("the rates of any network", learning_rate=log(1e-5, 1e-1), batch_size=of(32, 64)),
    nobodys(
        "fine-tuning of a transformer",
        learning_rate=log(1e-6, 1e-4),
        weight_decay=real(0, 0.3),
        num_train_epochs=whole(1, 5),
        per_device_train_batch_size=of(8, 16, 32),
        warmup_ratio=real(0, 0.2),
    ),
    nobodys(
        "Optuna's example of a convolutional network",
        filters=of(32, 64),
        kernel_size=of(3, 5),
        strides=of(1, 2),
        activation=of("relu", "linear"),
        learning_rate=log(1e-5, 1e-1),
    ),
    nobodys(
        "reinforcement learning",
        gamma=real(0.9, 0.9999),
        learning_rate=log(1e-5, 1),
        max_grad_norm=log(0.3, 5),
        n_steps=of(8, 16, 32),
        activation_fn=of("tanh", "relu"),
    ),
    nobodys("a decision tree", max_depth=whole(2, 32), min_samples_split=whole(2, 20)),
    nobodys(
        "scikit-learn's exact boosting, which is none of the learners",
        n_estimators=whole(50, 500),
        learning_rate=log(0.01, 0.3),
        max_depth=whole(2, 10),
        subsample=real(0.5, 1),
        min_samples_split=whole(2, 20),
        min_samples_leaf=whole(1, 20),
        max_features=real(0.2, 1),
    ),
    nobodys("boosted stumps", n_estimators=whole(50, 500), learning_rate=log(0.01, 2)),
    nobodys(
        "trees that boosters and forests have alike",
        n_estimators=whole(50, 500),
        max_depth=whole(2, 10),
    ),
    nobodys(
        "an isolation forest",
        n_estimators=whole(50, 300),
        max_samples=real(0.1, 1),
        max_features=real(0.1, 1),
        contamination=real(0.01, 0.2),
    ),
    nobodys(
        "bagged trees",
        n_estimators=whole(10, 100),
        max_samples=real(0.1, 1),
        max_features=real(0.1, 1),
        bootstrap=of(True, False),
        bootstrap_features=of(True, False),
    ),
    nobodys(
        "a linear support-vector classifier",
        C=log(1e-3, 100),
        loss=of("hinge", "squared_hinge"),
        penalty=of("l1", "l2"),
    ),
    nobodys(
        "stochastic gradient descent of linear models",
        alpha=log(1e-5, 0.1),
        l1_ratio=real(0, 1),
        loss=of("hinge", "log_loss"),
        eta0=log(1e-3, 1),
    ),
    nobodys(
        "a recurrent network",
        hidden_size=whole(16, 256),
        num_layers=whole(1, 4),
        dropout=real(0, 0.5),
        learning_rate=log(1e-5, 1e-2),
    ),
    nobodys(
        "a vision transformer",
        depth=whole(4, 12),
        num_heads=of(4, 8),
        embed_dim=of(128, 256),
        lr=log(1e-5, 1e-2),
        weight_decay=log(1e-6, 0.1),
    ),
    nobodys(
        "groups of any network's configuration",
        **{
            "optimizer.lr": log(1e-5, 0.1),
            "optimizer.weight_decay": log(1e-6, 0.1),
            "model.dropout": real(0, 0.5),
            "data.batch_size": of(32, 64),
        },
    ),
    nobodys(
        "a choice between classes of trees",
        model_type=of("RandomForestClassifier", "XGBClassifier"),
        n_estimators=whole(50, 300),
        max_depth=whole(3, 20),
        min_samples_split=whole(2, 10),
    ),
    nobodys("an epidemic", beta=log(0.01, 1), gamma=log(0.01, 1), sigma=log(0.01, 1)),
    nobodys("neighbours by number and norm alone", n_neighbors=whole(1, 30), p=whole(1, 2)),
    nobodys("an inverse penalty alone", C=log(1e-3, 1e3)),
    nobodys("kernel ridge regression", alpha=log(1e-4, 10), gamma=log(1e-4, 10), kernel=of("rbf")),
    nobodys("glmnet, whose alpha is a mixture", alpha=real(0, 1), **{"lambda": log(1e-4, 1)}),
    nobodys(
        "maps of neighbours",
        n_neighbors=whole(2, 100),
        min_dist=real(0, 0.99),
        metric=of("euclidean", "cosine"),
    ),
    nobodys("autoregression", p=whole(0, 5), d=whole(0, 2), q=whole(0, 5)),
    nobodys("a controller", kp=log(0.1, 100), ki=log(0.01, 10), kd=real(0, 5)),
    nobodys(
        "a database",
        "lgbm",
        shared_buffers_mb=log_whole(128, 16384),
        work_mem_mb=log_whole(1, 512),
        max_connections=whole(20, 500),
        random_page_cost=real(1, 4),
    ),
    nobodys(
        "a chemical reactor",
        temperature=real(300, 500),
        pressure=real(1, 20),
        residence_time=log(1, 100),
        catalyst=of("Pd", "Pt"),
    ),
    nobodys(
        "a workflow with text, whose features are counted",
        tfidf__max_features=whole(1000, 50_000),
        tfidf__ngram_range=of("1,1", "1,2"),
        nb__alpha=log(1e-3, 1),
    ),
    nobodys(
        "a genetic algorithm",
        population_size=whole(10, 200),
        mutation_rate=real(0, 0.5),
        crossover_rate=real(0.5, 1),
        n_iter=whole(10, 500),
    ),
    nobodys("an approximate index", M=whole(4, 64), ef_construction=whole(50, 500), k=of(1, 10)),
    nobodys("nothing at all"),
)

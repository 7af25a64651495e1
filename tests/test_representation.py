"""``repr`` of a sampler: the arguments that differ from their defaults."""

from __future__ import annotations

import optuna
import pandas as pd
import pytest

from optuna_metasampler import MetaSampler, PriorFilter


OLD = optuna.create_study(study_name="old")


@pytest.mark.parametrize(
    ("sampler", "expected"),
    [
        (MetaSampler(), "MetaSampler()"),
        (MetaSampler(seed=0, explain=False), "MetaSampler(seed=0, explain=False)"),
        (MetaSampler(OLD, method="gp"), "MetaSampler(prior=<study 'old'>, method='gp')"),
        (MetaSampler([OLD, OLD]), "MetaSampler(prior=[<study 'old'>, <study 'old'>])"),
        (
            MetaSampler(OLD, method="mlp", method_options={"n_members": 2}),
            "MetaSampler(prior=<study 'old'>, method='mlp', method_options={'n_members': 2})",
        ),
        (
            MetaSampler(pd.DataFrame({"params_x": [0.5], "value": [1.0], "state": ["COMPLETE"]})),
            "MetaSampler(prior=<DataFrame>)",
        ),
        (
            MetaSampler(independent_sampler=optuna.samplers.TPESampler()),
            "MetaSampler(independent_sampler=<TPESampler>)",
        ),
    ],
)
def test_it_lists_what_the_user_chose(sampler: MetaSampler, expected: str) -> None:
    assert repr(sampler) == expected


def test_long_arguments_are_cut() -> None:
    sampler = MetaSampler(OLD, prior_filter=PriorFilter(user_attrs={"model": "resnet" * 50}))
    assert len(repr(sampler)) < 200


def test_passwords_are_hidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = "postgresql://me:secret@host/old"
    monkeypatch.setattr("optuna_metasampler.priors.sources.names_at", lambda location: ["old"])
    sampler = MetaSampler(url)
    assert "secret" not in repr(sampler)
    assert "host/old" in repr(sampler)

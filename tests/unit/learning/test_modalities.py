"""A task needs features of its own modality; a multimodal one those of any, whatever the parts."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from annotate.errors import ModelError
from annotate.learning.ensemble import fit_ensemble
from annotate.learning.model_config import ModelConfig
from annotate.learning.predict import predict
from annotate.learning.prepared import TrainingSet
from annotate.registry import FUSIONS, SHARINGS
from annotate.types import Label, Modality, Task
from tests.support.dimensions import regression

T, A, V, M = Modality
SENTIMENT = regression("sentiment", -1.0, 1.0)
RECIPE = ModelConfig(hidden=8, members=1, epochs=1, dropout=0.0)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def training_set(features: str, tasks: str, n: int = 8) -> TrainingSet:
    """Features and tasks by the keys of their modalities."""
    ids = [f"{i:04d}" for i in range(n)]
    chosen = tuple(Task(SENTIMENT, Modality(key)) for key in tasks)
    labels = {
        (s, t.id): Label(s, t.id, float(i % 2), {}, 1) for i, s in enumerate(ids) for t in chosen
    }  # fmt: skip
    frames = np.random.default_rng(0).normal(size=(n, 3, 4)).astype(np.float32)
    return TrainingSet(
        chosen, ids, [], labels, lambda m, wanted: [frames[int(s)] for s in wanted],
        {Modality(key): "made" for key in features},
    )  # fmt: skip


@pytest.mark.parametrize(("features", "tasks", "lacking"), [("T", "AM", A), ("TA", "TVM", V), ("V", "T", T)])
@pytest.mark.parametrize("sharing", ["hard", "none"])
def test_a_task_without_features_of_its_modality_says_what_to_do(features, tasks, lacking, sharing):
    with pytest.raises(ModelError, match=f"sentiment.{lacking} .* no {lacking.word} features") as error:
        fit_ensemble(training_set(features, tasks), replace(RECIPE, sharing=sharing), seed=0, device="cpu")
    assert f"[features] {lacking.word}" in error.value.hint and "annotate extract" in error.value.hint


def test_without_any_features_there_is_nothing_to_learn_from():
    with pytest.raises(ModelError, match="no features") as error:
        fit_ensemble(training_set("", "M"), RECIPE, seed=0, device="cpu")
    assert "annotate extract" in error.value.hint


@pytest.mark.parametrize("features", ["T", "AV"])
@pytest.mark.parametrize(
    "config",
    [
        *(replace(RECIPE, sharing=name) for name in SHARINGS.names()),
        *(replace(RECIPE, fusion=name) for name in FUSIONS.names()),
    ],
    ids=lambda config: f"{config.sharing}-{config.fusion}",
)
def test_a_multimodal_task_works_with_features_of_any_modalities(features, config):
    given = training_set(features, f"{features}M")
    made = fit_ensemble(given, config, seed=0, device="cpu")
    predicted = predict(made, given.read, given.train, origins=given.origins).predictions
    assert np.isfinite(predicted["sentiment.M"].members).all()

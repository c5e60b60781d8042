"""modAL and ours understand each other in both directions, with the scikit-learn that is pinned."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from annotate.registry import STRATEGIES
from annotate.types import Answer, Dimension, Kind, Modality, Pool, Task, TaskPrediction
from strategies._modal import RoundClassifier

TASK = Task(Dimension("emotion", Kind.CLASSIFICATION, (Answer("a", "a"), Answer("b", "b"))), Modality.AUDIO)


def pool_of(classifier: LogisticRegression, features: NDArray[np.float64]) -> Pool:
    probs = classifier.predict_proba(features).astype(np.float32)[None]
    flat = np.zeros(len(features), dtype=np.float32)
    return Pool(
        np.array([f"{i:016x}" for i in range(len(features))]),
        {TASK.id: TaskPrediction(TASK, probs, flat, flat, flat)},
        {TASK.id: np.ones(len(features), dtype=bool)},
        features.astype(np.float32),
        features[:0].astype(np.float32),
    )


def ours(
    classifier: LogisticRegression, features: NDArray[np.float64], n_instances: int = 1
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Our strategy with the signature that modAL calls; it wants the pair."""
    chosen = STRATEGIES.get("entropy")().select(
        pool_of(classifier, features), n_instances, np.random.default_rng(0)
    )
    return chosen.indices, chosen.scores


# modAL's own call; from scikit-learn 1.8 on it is an error, which is why we pin below.
@pytest.mark.filterwarnings("ignore:'force_all_finite' was renamed:FutureWarning")
def test_our_strategy_teaches_a_modal_learner() -> None:
    from modAL.models import ActiveLearner

    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 2))
    classes = (features.sum(axis=1) > 0).astype(int)
    start = np.array([classes.argmin(), classes.argmax()])
    learner = ActiveLearner(
        LogisticRegression(), query_strategy=ours, X_training=features[start], y_training=classes[start]
    )
    before = learner.score(features, classes)
    for _ in range(10):
        chosen, _ = learner.query(features, n_instances=2)
        learner.teach(features[chosen], classes[chosen])
    assert learner.X_training.shape == (22, 2)
    assert learner.score(features, classes) > max(before, 0.93)


def test_modal_chooses_on_our_predictions_what_our_strategy_chooses() -> None:
    from modAL.uncertainty import entropy_sampling

    rng = np.random.default_rng(1)
    features = rng.normal(size=(100, 3))
    model = LogisticRegression().fit(features, features[:, 0] > 0)
    probs = pool_of(model, features).predictions[TASK.id].probs
    theirs, _ = entropy_sampling(RoundClassifier(probs), np.arange(100), n_instances=5)
    mine, _ = ours(model, features, n_instances=5)
    assert set(theirs.tolist()) == set(mine.tolist())

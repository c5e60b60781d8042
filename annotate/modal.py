"""Adapter that makes query strategies usable in modAL: `ActiveLearner(...,
query_strategy=as_modal("badge"))`."""

from collections.abc import Callable, Mapping
from importlib import import_module
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.batch.choosing import choose
from annotate.batch.opening import make_strategy
from annotate.types import Answer, Dimension, Kind, LabeledSet, Modality, Pool, Task, TaskPrediction

CELLS = 9
"""Number of answers on the scale of a regressor, from the lowest to the highest label."""
NOISE_FLOOR = 0.05
"""Smallest noise of a regressor as a share of its scale: its training error is too optimistic."""
Query = Callable[..., tuple[NDArray[np.intp], NDArray[np.float64]]]
Numbers = NDArray[np.floating]


def as_modal(
    name: str, rng: np.random.Generator | None = None, options: Mapping[str, Any] | None = None
) -> Query:
    """A query strategy for modAL's `ActiveLearner` or `Committee` that chooses like our strategy `name`.

    `X` are features (n, d); they are used as embeddings and representations, too, and the learner's training
    set as the labelled set. Members are those of a committee, or of an estimator that has `predict_members`,
    as `MultiTaskModel` has. `rng` decides ties and draws; its default is seeded with 0.
    `options` are those of the strategy. Raises `UnknownName` and `ConfigError` at once, `ModelError` when the
    strategy cannot rank the predictions of the learner. modAL's `teach` works from then on: see
    `repair_teach`.
    """
    repair_teach()
    strategy = make_strategy(name, {name.partition(":")[0]: dict(options or {})})
    chance = rng or np.random.default_rng(0)

    def query(
        learner: Any, X: Any, n_instances: int = 1, random_tie_break: bool = False, **given: Any
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        # Ties are always broken at random, so `random_tie_break` has no effect.
        chosen = choose(strategy, name, pool_of(learner, X, **given), n_instances, chance)
        return chosen.indices, chosen.scores

    return query


def repair_teach() -> None:
    """Make `teach` and `fit` of modAL's learners work with scikit-learn 1.8 and newer.

    modAL 0.4.2.1 passes `force_all_finite` to scikit-learn's `check_X_y`, which calls the argument
    `ensure_all_finite` since 1.6 and refuses the old name since 1.8
    (https://github.com/modAL-python/modAL/issues/196). Only the reference in modAL's own module is replaced,
    and only while modAL uses scikit-learn's function unchanged. Calling it again changes nothing.
    """
    from sklearn.utils import check_X_y

    learners = import_module("modAL.models.learners")
    renamed = "ensure_all_finite" in signature(check_X_y).parameters
    if renamed and getattr(learners, "check_X_y", None) is check_X_y:
        learners.check_X_y = _check_X_y  # type: ignore[attr-defined]


def _check_X_y(*args: Any, **options: Any) -> Any:
    """scikit-learn's `check_X_y` under both names of the argument."""
    from sklearn.utils import check_X_y

    if "force_all_finite" in options:
        options["ensure_all_finite"] = options.pop("force_all_finite")
    return check_X_y(*args, **options)


def pool_of(learner: Any, X: Any, **given: Any) -> Pool:
    """The predictions of a modAL learner for `X` as a `Pool`; `given` is passed to `predict_proba`."""
    points = _points(X)
    training_set = _training(learner, points.shape[1])
    taught = _points(training_set[0])
    first = _learners(learner)[0]
    if hasattr(getattr(first, "estimator", first), "predict_proba"):
        task, of_pool, labels = _classes(learner, X, **given)
        of_known = _classes(learner, training_set[0], **given)[1] if len(taught) else None
    else:
        task, of_pool, labels = _scale(learner, X)
        of_known = _scale(learner, training_set[0])[1] if len(taught) else None
    known = LabeledSet(
        taught,
        {task.id: taught},
        {task.id: of_known} if of_known else {},
        {task.id: labels},
    )
    return Pool(
        sample_ids=np.array([f"{i:09d}" for i in range(len(points))], dtype=np.str_),
        predictions={task.id: of_pool},
        missing={task.id: np.ones(len(points), dtype=bool)},
        embeddings=points,
        known=known,
        representations={task.id: points},
    )


def _points(X: Any) -> NDArray[np.float32]:
    dense = X.toarray() if hasattr(X, "toarray") else np.asarray(X)
    wide = np.asarray(dense, np.float32)
    return wide.reshape(len(wide), int(np.prod(wide.shape[1:])))


def _training(learner: Any, width: int) -> tuple[Any, Any]:
    """The training features and labels; for a committee those of the first member."""
    first = next(iter(getattr(learner, "learner_list", [learner])))
    X, y = getattr(first, "X_training", None), getattr(first, "y_training", None)
    return (np.zeros((0, width)), np.zeros(0)) if X is None else (X, np.asarray(y))


def _learners(learner: Any) -> list[Any]:
    return list(getattr(learner, "learner_list", [learner]))


def _classes(learner: Any, X: Any, **given: Any) -> tuple[Task, TaskPrediction, NDArray[np.float64]]:
    """The predictions of a classifier for `X`, and the class indices of its training set."""
    members = _probabilities(learner, X, **given).astype(np.float32)
    estimator = getattr(learner, "estimator", learner)
    names = [
        str(c) for c in getattr(learner, "classes_", getattr(estimator, "classes_", range(members.shape[2])))
    ]
    task = _task(Kind.CLASSIFICATION, tuple(Answer(name, name) for name in names))
    mean = members.mean(axis=0)
    doubt = -(mean * np.log(np.maximum(mean, 1e-12))).sum(axis=1)
    each = -(members * np.log(np.maximum(members, 1e-12))).sum(axis=2).mean(axis=0)
    taught = [names.index(str(y)) if str(y) in names else np.nan for y in _training(learner, 1)[1]]
    prediction = TaskPrediction(
        task, members, mean.argmax(axis=1).astype(np.float32), np.maximum(doubt - each, 0), each
    )
    return task, prediction, np.array(taught, dtype=np.float64)


def _probabilities(learner: Any, X: Any, **given: Any) -> Numbers:
    """(members, n, classes) probabilities."""
    estimator = getattr(learner, "estimator", None)
    if estimator is not None and hasattr(estimator, "predict_members"):
        return np.asarray(estimator.predict_members(X))
    if hasattr(learner, "vote_proba"):
        return np.asarray(learner.vote_proba(X, **given)).transpose(1, 0, 2)
    return np.asarray(learner.predict_proba(X, **given))[None]


def _scale(learner: Any, X: Any) -> tuple[Task, TaskPrediction, NDArray[np.float64]]:
    """The predictions of a regressor or a committee for `X`; the noise is the error on its training set."""
    from scipy.special import ndtr

    training_features, taught = _training(learner, 1)
    labels = taught.astype(np.float64).reshape(-1)
    low, high = (float(labels.min()), float(labels.max())) if len(labels) else (0.0, 1.0)
    scale = np.linspace(low, high if high > low else low + 1.0, CELLS)
    task = _task(Kind.REGRESSION, tuple(Answer(float(v), f"{v:g}") for v in scale))
    means, spread = _values(learner, X)
    noise = NOISE_FLOOR * (scale[-1] - scale[0])
    if len(labels):
        noise = max(
            noise,
            float(np.sqrt(np.mean((_values(learner, training_features)[0].mean(axis=0) - labels) ** 2))),
        )
    between = (scale[1:] + scale[:-1]) / 2
    below = ndtr((between - means[:, :, None]) / noise)
    members = np.diff(below, axis=2, prepend=0.0, append=1.0).astype(np.float32)
    flat = np.full(means.shape[1], noise, np.float32)
    prediction = TaskPrediction(
        task, members, means.mean(axis=0).astype(np.float32), spread.astype(np.float32), flat
    )
    return task, prediction, labels


def _values(learner: Any, X: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(members, n) values and (n,) standard deviation: between members, or predicted by the regressor."""
    learners = _learners(learner)
    if len(learners) == 1:
        try:
            mean, spread = learners[0].predict(X, return_std=True)
        except TypeError:
            return np.ravel(learners[0].predict(X))[None], np.zeros(len(_points(X)))
        # Three values with that mean and that standard deviation, for strategies that read members.
        apart = np.sqrt(1.5) * np.ravel(spread)
        return np.ravel(mean) + np.stack([-apart, 0 * apart, apart]), np.ravel(spread)
    means = np.stack([np.ravel(one.predict(X)) for one in learners]).astype(np.float64)
    return means, means.std(axis=0)


def _task(kind: Kind, answers: tuple[Answer, ...]) -> Task:
    return Task(Dimension("answer", kind, answers), Modality.MULTIMODAL)
